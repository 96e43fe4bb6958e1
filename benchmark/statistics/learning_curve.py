"""How many training images reach a target: read off between measured sizes, foretold beyond them, or not said at all.

Between measured sizes no model is needed. Each size has a mean over seeds and images and its two-way interval
(``benchmark.statistics.intervals``); the sizes at which the target lies within that band are the interval of the answer, as
in Fieller's inversion. Between two sizes error and limits follow a power law, a straight line in both logarithms.
Seeds draw from the training images at hand: where a size takes all of these, no luck of drawing is left in its interval.

Beyond the largest size the curve is continued by all power laws that agree with it (``benchmark.statistics.power_laws``).
Where the chance that so many images reach the target is 1/2 lies the answer, where it is 2.5 and 97.5 % its interval.

A number is given only where it is warranted (`Needed.reason` otherwise). Among other things a curve has to foretell its own
largest sizes from its smaller ones. Stored curves fitted up to n = 100 are held against n = 568 by
``scripts/backtest_learning_curves.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.statistics.components import TIE, checked_errors, components
from benchmark.statistics.groups import Groups, effective_of, values_of
from benchmark.statistics.intervals import exact_share, interval
from benchmark.statistics.power_laws import FARTHEST, FLOORS, Laws, weigh
from benchmark.structures import FloatArray, IntArray

LEVEL = 0.95

FEWEST_SIZES = 4
"""A law with three or four parameters is not fitted to fewer."""

WIDEST = 10.0
"""An interval whose ends are further apart than this factor is no answer."""

REFUTED = 0.001
"""A fit whose p value is smaller is no fit."""

FORETOLD = 6.0
"""To be believed a curve foretells its largest sizes from those down to a so much smaller one, three at least."""

EVIDENCE = 0.1
"""A floor is seen where the sizes make it so many times less likely that the target is ever reached."""

SHOWN = 0.05
"""The p value below which the errors of two sizes differ; to call a curve rising, over all pairs of sizes (Bonferroni)."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Errors of one detector, trained on several numbers of images.

    Attributes:
        sizes: (k,) int64, training images, rising.
        mean: (k,) float64, error in px, or the share of keypoints that are not exact.
        low: (k,) float64, lower end of its interval.
        high: (k,) float64, upper end.
        seeds: Sequences of training images, each with a fit of every size.
        share: Whether the errors are shares.
        logs: (k,) float64, logarithms of the errors, of shares of their odds.
        of_seeds: (k,) float64, the seeds' part of the variance of these.
        of_images: (k, k) float64, the images' part of their covariance: all sizes are asked about the same.
        p_values: (k, k) float64, of "these two sizes have the same error", by paired differences of seeds and images.
    """

    sizes: IntArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    seeds: int
    share: bool
    logs: FloatArray
    of_seeds: FloatArray
    of_images: FloatArray
    p_values: FloatArray

    def up_to(self, count: int) -> LearningCurve:
        """The curve of its ``count`` smallest sizes."""
        names = ("sizes", "mean", "low", "high", "logs", "of_seeds")
        parts = {name: getattr(self, name)[:count] for name in names}
        square = {name: getattr(self, name)[:count, :count] for name in ("of_images", "p_values")}
        return replace(self, **parts, **square)

    @property
    def rise(self) -> tuple[int, int] | None:
        """Two sizes of which the larger is shown to have the larger error; None where there are none."""
        pairs = list(combinations(range(len(self.sizes)), 2))
        for i, j in pairs:
            if self.mean[j] > self.mean[i] + TIE and self.p_values[i, j] * len(pairs) < SHOWN:
                return int(self.sizes[i]), int(self.sizes[j])
        return None

    @property
    def falls(self) -> bool:
        """Whether the largest size is shown to have a smaller error than the smallest."""
        return bool(self.mean[-1] < self.mean[0] - TIE and self.p_values[0, -1] < SHOWN)

    @cached_property
    def laws(self) -> Laws:
        """What its sizes say of the laws it may follow."""
        return weigh(self.sizes, self.logs, self.of_seeds, self.of_images)


@dataclass(frozen=True)
class Reason:
    """Why it cannot be said how many images are needed.

    Attributes:
        code: "one_size"; "one_seed"; "rises": more images made it worse; "few_sizes", too few to fit; "no_fall": no size is shown
            to be better than the smallest; "misfit": no law fits;
            "not_foretold": its smaller sizes did not foretell its larger ones; "floor": the error levels off above the
            target; "far": beyond what is foretold; "wide": the interval is.
        values: The figures that belong to it.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Needed:
    """How many training images reach a target, or why that cannot be said.

    Attributes:
        images: How many; None where it cannot be said.
        low: Lower end of the interval; None where it cannot be said, or lies below the smallest size.
        high: Upper end; None where it cannot be said.
        how: "measured" (between sizes), "foretold" (beyond the largest), "smallest" (the smallest size reaches it, and
            perhaps fewer would); "" where it cannot be said.
        reason: Why it cannot be said; None where it can.
    """

    images: int | None
    low: int | None
    high: int | None
    how: str = ""
    reason: Reason | None = None


def learning_curve(
    values: dict[int, FloatArray], *, share: bool = False, level: float = LEVEL, groups: Groups | None = None
) -> LearningCurve:
    """The curve of some fits.

    Args:
        values: Training images -> (S, N) float64 px, the error of each image with each seed; or, of ``share``, the share of its
            keypoints that are not exact. The same seeds and images for every size.
        share: Which of the two.
        level: Of the intervals.
        groups: Which images belong together; None where each stands alone.

    Returns:
        The curve, by rising size.

    Raises:
        ValueError: where there is nothing, shapes differ, or values are negative or not finite.
    """
    sizes = sorted(values)
    tables = [checked_errors(values[n]) for n in sizes]
    if not tables or len({table.shape for table in tables}) > 1:
        raise ValueError("a curve has the same seeds and images for every size, and a size at least")
    spans = [exact_share(1 - t, level, groups) if share else interval(t, level, groups) for t in tables]
    lows = [1 - span.high if share else span.low for span in spans]
    highs = [1 - span.low if share else span.high for span in spans]
    logs, of_seeds, of_images = _in_logarithms(tables, groups, share)
    return LearningCurve(
        sizes=np.array(sizes, dtype=np.int64),
        mean=np.array([table.mean() for table in tables]),
        low=np.maximum(lows, 0.0),
        high=np.array(highs),
        seeds=len(tables[0]),
        share=share,
        logs=logs,
        of_seeds=of_seeds,
        of_images=of_images,
        p_values=_p_values(tables, groups),
    )


def images_needed(curve: LearningCurve, target: float, level: float = LEVEL) -> Needed:
    """How many training images reach a target.

    Args:
        curve: Theirs.
        target: An error in px, or a share that may fail, that is to be reached or fallen below; above 0.
        level: Of the interval.

    Returns:
        The number with its interval, or why it cannot be said.

    Raises:
        ValueError: where the target is not above 0, or a share not below 1.
    """
    if not target > 0 or (curve.share and target >= 1):
        raise ValueError(f"{target} is no target")
    if reason := _unread(curve):
        return _cannot(reason)
    # the band as it is, sharpened by no assumption: the target may be reached from where any limit first meets it,
    # and surely is from where all later ones do
    lower, upper = np.minimum.accumulate(curve.low), np.maximum.accumulate(curve.high[::-1])[::-1]
    images = reached(curve, target)
    low, high = _crossing(curve.sizes, lower, target), _crossing(curve.sizes, upper, target)
    how = "measured" if images is not None else "foretold"
    if images is None or high is None:
        if reason := _unfitted(curve, level):
            return _cannot(reason)
        beyond = _foretold(curve, target, (1 - level) / 2)
        images, low, high = [known or then for known, then in zip((images, low, high), beyond)]
        if images is None or high is None:
            return _cannot(_out_of_reach(curve, target, images, low))
    assert low is not None  # not above the mean, which has reached it
    low, high = min(low, images), max(high, images)
    if high > WIDEST * low:
        return _cannot(Reason("wide", {"low": low, "high": high, "means": reached(curve, target)}))
    smallest = int(curve.sizes[0])
    how = "smallest" if images <= smallest else how
    return Needed(images, low if low > smallest else None, high, how)


def reached(curve: LearningCurve, target: float) -> int | None:
    """Where the means that were measured reach a target, between sizes by a power law; None: nowhere."""
    return _crossing(curve.sizes, _falling(curve.mean), target)


def error_at(curve: LearningCurve, size: int, level: float = LEVEL) -> tuple[float, float, float]:
    """What a curve foretells of a size beyond its largest: (low, median, high), as `LearningCurve.mean` is.

    Args:
        curve: Of two sizes or more.
        size: Training images, at least the largest size.
        level: Of the interval.
    """
    chances = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
    low, high = np.full(3, curve.logs.min() - 40.0), np.full(3, curve.logs.max() + 40.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = np.array([curve.laws.chance(t, np.array([size]))[0] for t in middle]) < chances
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = np.exp(low)
    one, two, three = (found / (1 + found) if curve.share else found).tolist()
    return one, two, three


def refusal(curve: LearningCurve, level: float = LEVEL) -> Reason | None:
    """Why nothing is foretold of sizes beyond the largest; None where it is.

    Args:
        curve: Of one size or more.
        level: Of the interval in which its own largest sizes have to lie.
    """
    return _unread(curve) or _unfitted(curve, level)


def _cannot(reason: Reason) -> Needed:
    return Needed(None, None, None, reason=reason)


def _unread(curve: LearningCurve) -> Reason | None:
    """Why nothing at all is read off a curve; None where it is."""
    if len(curve.sizes) < 2:
        return Reason("one_size", {"size": int(curve.sizes[0])})
    if curve.seeds < 2:
        return Reason("one_seed")
    if curve.rise:
        return Reason("rises", {"from": curve.rise[0], "to": curve.rise[1]})
    return None


def _unfitted(curve: LearningCurve, level: float) -> Reason | None:
    """Why nothing is foretold of sizes beyond the largest; None where it is."""
    count = len(curve.sizes)
    if count < FEWEST_SIZES:
        return Reason("few_sizes", {"sizes": count, "fewest": FEWEST_SIZES, "largest": int(curve.sizes[-1])})
    if not curve.falls:
        return Reason("no_fall", {"from": int(curve.sizes[0]), "to": int(curve.sizes[-1])})
    if curve.laws.p_value < REFUTED:
        return Reason("misfit", {"p": curve.laws.p_value, "largest": int(curve.sizes[-1])})
    kept = [i for i in range(3, count) if curve.sizes[-1] <= FORETOLD * curve.sizes[i - 1]] or [count - 1]
    part = curve.up_to(kept[0])
    for i in range(kept[0], count):
        chance = float(part.laws.chance(float(curve.logs[i]), curve.sizes[i : i + 1])[0])
        if not (1 - level) / 2 <= chance <= (1 + level) / 2:
            low, _, high = error_at(part, int(curve.sizes[i]), level)
            figures = {"low": low, "high": high, "measured": float(curve.mean[i]), "share": curve.share}
            return Reason("not_foretold", {"from": int(part.sizes[-1]), "size": int(curve.sizes[i]), **figures})
    return None


def _out_of_reach(curve: LearningCurve, target: float, images: int | None, low: int | None) -> Reason:
    """Why the laws give no number, or no upper end."""
    farthest = int(FARTHEST * curve.sizes[-1])
    if images is not None:
        means = reached(curve, target)
        return Reason("wide", {"low": min(low or images, images), "high": None, "means": means, "farthest": farthest})
    laws, goal = curve.laws, _logarithm(target, curve.share)
    ever = float(laws.chance(goal, np.array([np.inf]))[0])
    before = float(np.mean(math.exp(float(laws.weights @ laws.levels)) * FLOORS <= math.exp(goal)))
    values = {"low": low, "largest": int(curve.sizes[-1]), "times": FARTHEST, "farthest": farthest}
    return Reason("floor" if ever < EVIDENCE * before else "far", values)


def _foretold(curve: LearningCurve, target: float, tail: float) -> tuple[int | None, int | None, int | None]:
    """Where the chance of reaching the target is 1/2, ``tail`` and 1 - ``tail``, up to `FARTHEST`; None where it never is."""
    sizes = curve.sizes[-1] * np.geomspace(1.0, FARTHEST, 121)
    chances = np.maximum.accumulate(curve.laws.chance(_logarithm(target, curve.share), sizes))
    places = [int(np.searchsorted(chances, wanted)) for wanted in (0.5, tail, 1 - tail)]
    images, low, high = [math.ceil(sizes[i] - 1e-9) if i < len(sizes) else None for i in places]
    return images, low, high


def _crossing(sizes: IntArray, limits: FloatArray, target: float) -> int | None:
    """The first number of images with which falling limits reach a target, between sizes by a power law; None: none does."""
    reached = np.flatnonzero(limits <= target)
    if not len(reached):
        return None
    i = int(reached[0])
    if i == 0:
        return int(sizes[0])
    above, below = float(limits[i - 1]), float(limits[i])
    scale = math.log if below > 0 else float  # no power law ends on 0
    part = (scale(above) - scale(target)) / (scale(above) - scale(below))
    before, after = int(sizes[i - 1]), int(sizes[i])
    return math.ceil(before * math.pow(after / before, part) - 1e-9)


def _falling(mean: FloatArray) -> FloatArray:
    """The least-squares fit that never rises: neighbours that do are pooled (Ayer et al., 1955)."""
    blocks: list[tuple[float, int]] = []
    for value in mean.tolist():
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (one, m), (two, n) = blocks[-2:]
            blocks[-2:] = [((one * m + two * n) / (m + n), m + n)]
    return np.concatenate([np.full(n, value) for value, n in blocks])


def _p_values(tables: Sequence[FloatArray], groups: Groups | None) -> FloatArray:
    """(k, k) float64: of each pair of sizes, by the paired differences of seeds and images."""
    found = np.ones((len(tables), len(tables)))
    for i, j in combinations(range(len(tables)), 2):
        difference = tables[j] - tables[i]
        if abs(difference.mean()) > TIE:
            parts = components(values_of(groups, difference), effective_of(groups))
            found[i, j] = found[j, i] = float(np.ravel(parts.p_value())[0])
    return found


def _logarithm(error: float, share: bool) -> float:
    return math.log(error / (1 - error)) if share else math.log(error)


def _in_logarithms(
    tables: Sequence[FloatArray], groups: Groups | None, share: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The logarithms of the errors (of shares: of their odds), the seeds' variances and the images' covariance of these."""
    seeds, images = tables[0].shape
    mean = np.array([table.mean() for table in tables])
    by_unit = np.stack([values_of(groups, table).mean(axis=0) for table in tables])
    units = effective_of(groups) or images
    of_images = np.atleast_2d(np.cov(by_unit)) / units if by_unit.shape[1] > 1 else np.diag(mean**2)
    of_seeds = np.array([t.mean(axis=1).var(ddof=1) / seeds for t in tables]) if seeds > 1 else np.zeros(len(tables))
    if share:
        # as if half a keypoint more had failed, and half a one not: neither odds nor their variance is ever 0 or infinite
        trials = seeds * units
        mean = (mean * trials + 0.5) / (trials + 1)
        of_seeds = np.maximum(of_seeds, mean * (1 - mean) / trials)
        slope, logs = 1 / (mean * (1 - mean)), np.log(mean / (1 - mean))
    else:
        mean = np.maximum(mean, TIE)
        slope, logs = 1 / mean, np.log(mean)
    return logs, of_seeds * slope**2, of_images * np.outer(slope, slope)
