"""How sure a mean error is: intervals, paired differences and what it would take to separate two rows.

Every figure is a mean over S seeds and N images that the seeds share, so there are two sources of chance and they
cross: ``e[s, i] = mean + image[i] + seed[s] + rest[s, i]``. The mean squares of the two-way layout estimate

    seed part   B = s^2 / S,  s^2 the variance of the S seed means            (S - 1 degrees of freedom)
    image part  A = variance of the seed-averaged images / N, less the rest   (N - 1 degrees of freedom)

and the variance of the mean is A + B. The rest is taken out of A because s^2 / S holds it already: counted twice, two
rows that differ by noise alone would get a variance twice too large. The half width is

    h = sqrt(t(N-1)^2 A + t(S-1)^2 B),

each part with its own Student t (Banerjee, Sankhya 22, 1960), which is never narrower than promised for normal errors
whatever the ratio of A to B. One t with S - 1 degrees of freedom for both parts covers 99 % and more as soon as images
matter (exact where seeds alone do, and there the two agree); Satterthwaite's combined degrees of freedom cover too
little at few seeds, and far too little in the tails where a correction for many comparisons looks. The coverage found
by simulation is printed by ``scripts/simulate_coverage.py``. With one seed B is unknown: the interval holds images
alone and says so.

Everything is pure: arrays in, frozen records out; float64; pixels wherever the errors are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, gammainc, nctdtr, ndtr, stdtr, stdtrit

from benchmark.structures import FloatArray, IntArray

TIE = 1e-9
"""px: two errors closer than this are the same error, so that rounding never decides a comparison."""

FEW = 30.0
"""Fewer images than this (or than half of them) carrying a mean, by Kish's effective number, get a warning: Student's t
then covers 92 % and less, by the heavy-tailed worlds of the simulation."""

_MOST_SEEDS = 10_000
_MOST_IMAGES = 1_000_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie. ``method`` names the formula, ``note`` what the reader must know ("" if nothing)."""

    mean: float
    low: float
    high: float
    method: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Paired:
    """How two rows differ on the same images and seeds; negative means that the first has the smaller error.

    p: two-sided, for "no difference"; below 1 - level exactly where the interval excludes 0.
    images_that_decide: (n,) int64 positions of images, the largest contribution first: the fewest images that, taken
        away, take the whole difference away. Empty where there is no difference.
    """

    difference: float
    low: float
    high: float
    p: float
    images_that_decide: IntArray
    method: str
    note: str = ""


@dataclass(frozen=True)
class Power:
    """About how many seeds (images as they are) or images (seeds as they are) would separate two rows; None: no number."""

    seeds: int | None
    images: int | None
    text: str


@dataclass(frozen=True)
class _Parts:
    """The two parts of the variance of one mean, and the variance components they are made of (for planning)."""

    mean: float
    seeds: int
    images: int
    image_part: float
    seed_part: float
    image_variance: float
    seed_variance: float
    rest_variance: float

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the part that has the fewest."""
        return self.seeds - 1 if self.seed_part > 0 else self.images - 1

    def half_width(self, alpha: float) -> float:
        """Half the width of the interval that misses with probability alpha at most; infinite with one image."""
        if self.images < 2:
            return math.inf
        square = float(stdtrit(self.images - 1, alpha / 2)) ** 2 * self.image_part
        if self.seed_part > 0:
            square += float(stdtrit(self.seeds - 1, alpha / 2)) ** 2 * self.seed_part
        return math.sqrt(square)

    def p_value(self) -> float:
        """The alpha at which the interval just reaches 0."""
        size = abs(self.mean)
        if size == 0 or self.images < 2:
            return 1.0
        total = self.image_part + self.seed_part
        if total == 0:
            return 0.0
        t = size / math.sqrt(total)
        of_images = 2 * float(stdtr(self.images - 1, -t))
        if self.seed_part == 0:
            return of_images
        of_seeds = 2 * float(stdtr(self.seeds - 1, -t))
        if self.image_part == 0 or of_seeds == 0:
            return of_seeds
        # The answer lies between the two; halve the gap on a log scale until it is closed.
        low, high = sorted((max(of_images, 1e-300), max(of_seeds, 1e-300)))
        while high > low * (1 + 1e-12):
            middle = math.sqrt(low) * math.sqrt(high)
            if not low < middle < high:
                break
            low, high = (middle, high) if self.half_width(middle) > size else (low, middle)
        return high


def interval(errors: FloatArray, level: float = 0.95) -> Interval:
    """Where the mean of ``errors`` may lie.

    errors: (S, N) float64, the mean error of each image with each seed, px, finite and not negative.
    One seed: images only, for this fitted model. Several: another set of seeds and images.
    """
    values = _checked(errors)
    parts = _parts(values)
    half = parts.half_width(1 - level)
    note = [] if parts.seeds > 1 else ["this fitted model"]
    if parts.images < 2:
        note.append("one image says nothing of others")
    elif not values.any():
        note.append(
            f"no error on any of {parts.images} images: nothing was seen to vary; the share exactly right has the limit"
        )
    else:
        note += _few(values)
    return Interval(
        parts.mean, max(parts.mean - half, 0.0), parts.mean + half, _method(parts.seeds, parts.images), "; ".join(note)
    )


def paired(a: FloatArray, b: FloatArray, level: float = 0.95) -> Paired:
    """The difference ``a - b`` of two rows on the same images and seeds, both (S, N) float64 px.

    Differences within ``TIE`` are none. One seed: Student's paired t test over images, for these two fitted models.
    Raises ValueError where the shapes differ.
    """
    differences = _differences(a, b)
    parts = _parts(differences)
    note = [] if parts.seeds > 1 else ["these two fitted models"]
    deciding = _deciding(differences)
    if parts.images < 2:
        note.append("one image says nothing of others")
    elif not differences.any():
        note.append("the same error on every image")
    else:
        note += _few(differences)
    half = parts.half_width(1 - level)
    return Paired(
        parts.mean,
        parts.mean - half,
        parts.mean + half,
        parts.p_value(),
        deciding,
        "paired, " + _method(parts.seeds, parts.images),
        "; ".join(note),
    )


def p_value(a: FloatArray, b: FloatArray, rows: int = 2) -> float:
    """The p value of ``paired(a, b)``, without the rest; where ``b`` was picked as the best of ``rows``, allowing for it.

    The best of many equal rows is lucky, so the others differ from it by more than a pair named beforehand. Let D be how
    far a random other one of R independent standard normal values lies above the least, over sqrt(2); with R = 2 that is
    |Z|, and P(|Z| > t sqrt(chi2 / f)) is Student's p with f degrees of freedom. The corrected value is the same tail of
    D. The luck is in the differences, not in their estimated variance: with few degrees of freedom, where extremes come
    from the variance, the correction is small (at most a factor of 2.8 for 30 rows on 3 seeds); with many it grows to
    R / 2, Bonferroni's price for all pairs.
    """
    parts = _parts(_differences(a, b))
    plain = parts.p_value()
    if rows <= 2 or not 0 < plain < 1:
        return plain
    half = parts.freedom / 2
    t = float(stdtrit(parts.freedom, plain / 2))
    above, share = _above_the_least(rows)
    return max(plain, float(share @ gammainc(half, half * (above / t) ** 2)))


@lru_cache(maxsize=256)
def _above_the_least(rows: int) -> tuple[FloatArray, FloatArray]:
    """How far a random other one of ``rows`` standard normal values lies above the least, over sqrt(2), and how often.

    Rows P(least = x) P(other > x + sqrt(2) d) is integrated over x, on a grid of d; beyond 12 lies 1e-32.
    """
    d = np.linspace(0, 12, 601)
    x = np.linspace(-9, 9, 361)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    beyond = rows * (density * ndtr(-x) ** (rows - 2)) @ ndtr(-(x[:, None] + math.sqrt(2) * d))
    return (d[1:] + d[:-1]) / 2, beyond[:-1] - beyond[1:]


def exact_interval(successes: float, n: float, level: float = 0.95) -> Interval:
    """Clopper and Pearson's interval (Biometrika 26, 1934) for the share of n images that are exactly right.

    ``successes`` and ``n`` may be fractions (an effective number). At either end the note gives the one-sided limit.
    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not (0 <= successes <= n and n > 0):
        raise ValueError(f"{successes} of {n} is not a share")
    alpha = 1 - level
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, alpha / 2))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - alpha / 2))
    note = ""
    if successes in (0, n):
        limit = 100 * (1 - alpha ** (1 / n))
        what = "wrong" if successes == n else "right"
        note = f"none of {n:.0f} {what} still allows {limit:.3g} % (one-sided {100 * level:g} %)"
    return Interval(successes / n, low, high, "Clopper-Pearson", note)


def exact_share(exact: FloatArray, level: float = 0.95) -> Interval:
    """The share exactly right with its interval, from (S, N) values in [0, 1] (a share of keypoints, or 0 and 1).

    One seed: Clopper and Pearson's interval over the N images. Several seeds share their images, so S * N is not a number
    of independent trials. As in surveys (Korn and Graubard, Survey Methodology 24, 1998) the interval is Clopper and
    Pearson's at an effective number of images: N divided by how much wider, squared, the two-way interval of this module
    is than that of N independent images; S * N at most. Where every answer was right, or none, nothing was seen to vary,
    seeds count for nothing and the number is N.
    """
    values = _checked(exact)
    if values.max() > 1:
        raise ValueError("shares lie in [0, 1]")
    seeds, images = values.shape
    share = float(values.mean())
    if seeds == 1:
        found = exact_interval(share * images, images, level)
        note = "this fitted model"
    else:
        effective = float(images)
        if 0 < share < 1 and images > 1:
            simple = abs(float(stdtrit(images - 1, (1 - level) / 2))) * math.sqrt(share * (1 - share) / (images - 1))
            half = _parts(values).half_width(1 - level)
            effective = images * min((simple / half) ** 2, float(seeds)) if half > 0 else effective
        found = exact_interval(share * effective, effective, level)
        note = f"as good as {effective:.0f} independent images"
    return Interval(share, found.low, found.high, found.method, "; ".join(filter(None, (note, found.note))))


def power(a: FloatArray, b: FloatArray, level: float = 0.95, wanted: float = 0.8) -> Power:
    """About how many seeds, or images, would separate two rows, both (S, N) px, if the difference seen is the true one.

    Separate: a single paired comparison passes at ``1 - level`` with probability ``wanted``, given the variance
    components seen. A comparison among many rows needs more. The seeds' part is unknown with one seed.
    """
    parts = _parts(_differences(a, b))
    if parts.images < 2:
        return Power(None, None, "one image cannot say how many would separate them")
    if parts.mean == 0:
        return Power(None, None, "no number of seeds or images would separate them: no difference was seen")

    def of_seeds(seeds: int) -> float:
        return _planned(parts, seeds, parts.images, level)

    def of_images(images: int) -> float:
        return _planned(parts, parts.seeds, images, level)

    seeds = _first(of_seeds, wanted, _MOST_SEEDS) if parts.seeds > 1 else None
    images = _first(of_images, wanted, _MOST_IMAGES)
    ways = [f"about {count:,} {unit}" for count, unit in ((seeds, "seeds"), (images, "images")) if count is not None]
    models = "" if parts.seeds > 1 else " these two fitted models; one seed cannot say how many seeds"
    if parts.p_value() < 1 - level:
        text = f"already separated ({parts.seeds} seed{'s' * (parts.seeds > 1)}, {parts.images:,} images)"
    elif ways:
        text = " or ".join(ways) + " would separate" + (models or " them")
    else:
        text = "neither more seeds nor more images alone would separate them"
    return Power(seeds, images, text)


def _checked(values: FloatArray) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"expected (seeds, images), at least one of each, got shape {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError("errors must be finite and not negative")
    return array


def _differences(a: FloatArray, b: FloatArray) -> FloatArray:
    first, second = _checked(a), _checked(b)
    if first.shape != second.shape:
        raise ValueError(f"rows on other seeds or images are not tested: shapes {first.shape} and {second.shape}")
    differences = first - second
    differences[np.abs(differences) <= TIE] = 0.0
    return differences


def _parts(values: FloatArray) -> _Parts:
    """The variance components of (S, N) values by their mean squares; negative estimates are 0."""
    seeds, images = values.shape
    of_image = values.mean(axis=0)
    mean = float(of_image.mean())
    if images < 2:
        return _Parts(mean, seeds, images, math.inf, 0.0, math.inf, 0.0, 0.0)
    image = float(of_image.var(ddof=1)) / images
    if seeds == 1:
        return _Parts(mean, seeds, images, image, 0.0, image * images, 0.0, 0.0)
    of_seed = values.mean(axis=1)
    seed = float(of_seed.var(ddof=1)) / seeds
    left = values - of_image - (of_seed - mean)[:, None]
    rest_variance = float(np.vdot(left, left)) / ((seeds - 1) * (images - 1))
    rest = rest_variance / (seeds * images)
    image = max(image - rest, 0.0)
    return _Parts(mean, seeds, images, image, seed, image * images, max(seed - rest, 0.0) * seeds, rest_variance)


def _few(values: FloatArray) -> list[str]:
    """A warning where few images carry the mean (Kish's effective number), because Student's t is then too narrow."""
    size = np.abs(values.mean(axis=0))
    square = float(size @ size)
    carrying = float(size.sum()) ** 2 / square if square > 0 else 0.0
    if carrying >= min(FEW, len(size) / 2):
        return []
    return [f"about {max(carrying, 1):.0f} of {len(size)} images carry it: the interval is likely too narrow"]


def _deciding(differences: FloatArray) -> IntArray:
    """Positions of the fewest images whose contributions add up to the whole difference, the largest first."""
    of_image = differences.mean(axis=0)
    total = float(of_image.sum())
    if total == 0:
        return np.zeros(0, dtype=np.int64)
    along = of_image * math.copysign(1.0, total)
    order = np.argsort(-along, kind="stable")
    reached = np.cumsum(along[order]) >= abs(total) * (1 - 1e-12)
    return order[: int(np.argmax(reached)) + 1].astype(np.int64)


def _method(seeds: int, images: int) -> str:
    if seeds == 1:
        return f"Student t over {images:,} images"
    return f"Student t over {seeds} seeds and {images:,} images"


def _planned(parts: _Parts, seeds: int, images: int, level: float) -> float:
    """The probability that the difference seen would pass with ``seeds`` and ``images``, by the noncentral t."""
    image = parts.image_variance / images
    seed = (parts.seed_variance + parts.rest_variance / images) / seeds
    plan = _Parts(parts.mean, seeds, images, image, seed, 0.0, 0.0, 0.0)
    total = image + seed
    if total == 0:
        return 1.0
    spread = math.sqrt(total)
    limit, shift = plan.half_width(1 - level) / spread, abs(parts.mean) / spread
    if shift > 30:  # far beyond any limit that matters, and where the noncentral t loses its digits
        return float(shift > limit)
    freedom = total**2 / (image**2 / (images - 1) + (seed**2 / (seeds - 1) if seeds > 1 else 0.0))
    return float(1 - nctdtr(freedom, shift, limit))


def _first(chance: Callable[[int], float], wanted: float, most: int) -> int | None:
    """The least number from 2 to ``most`` whose ``chance`` is at least ``wanted``; ``chance`` rises."""
    high = 2
    while chance(high) < wanted:
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high
