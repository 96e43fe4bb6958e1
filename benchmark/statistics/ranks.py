"""Between which ranks each row of a board lies: rank intervals from paired tests.

A row's interval is ``low = 1 + the rows shown to be better`` to ``high = R - the rows shown to be worse``, R the rows that
are tested. Shown: a paired p value below 5 % after Holm's correction over the row's R - 1 comparisons, so that, for each
row, all of these statements hold together with a probability of 95 % or more, and the interval holds the row's true rank
(Al Mohamad, Goeman & van Zwet, Biometrics 78, 2022). Rows that are equally good share all the ranks of their block, and
the interval holds the block.

The intervals of two rows may overlap although one row was shown to be better than the other, since each holds all ranks
that its own row may have; ``better`` and ``worse`` say which pairs were told apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from benchmark.statistics.components import TIE, components, joined
from benchmark.statistics.groups import Groups, effective_of, values_of
from benchmark.statistics.holm import holm
from benchmark.statistics.paired import added_failure, p_of
from benchmark.structures import FloatArray, IntArray

UNTESTED = ("unranked", "other_seeds_or_images")
"""Why a row may not be tested, as explained in ``RankInterval``."""

ENOUGH_SEEDS = 3
"""From here on another seed adds less than another row does."""

BATCH = 1 << 21
"""How many differences of images are tested at once: equations are solved together, and memory stays below 100 MB."""

CACHED = 1 << 16
"""How many differences of images and seeds are summed up at once: what a processor's cache holds."""

MOST_CHOICES = 1000
"""Sets of seeds that are looked at: boards have a handful, and what anybody may send in must not take for ever."""


@dataclass(frozen=True, eq=False)
class Row:
    """What the tests need of a row of the board.

    Attributes:
        name: the row's name.
        errors: (S, N) float64 px, the mean error of each image with each seed.
        seeds: S seeds, in the order of errors.
        images: what identifies the images and their order (the hash of the annotations).
        exact: the share exactly right, or None.
        reference: unranked and untested.
        groups: which images belong together, the same for all rows of the same images; None where each stands alone.
        constant: (N,) float64 px, the error of the training mean, the same answer for every image, likewise; None where
            that is unknown.
    """

    name: str
    errors: FloatArray
    seeds: tuple[int, ...]
    images: Hashable
    exact: float | None = None
    reference: bool = False
    groups: Groups | None = None
    constant: FloatArray | None = None

    @property
    def values(self) -> FloatArray:
        """What the tests take: (S, N) errors of images, or (S, G) values of groups, float64 px."""
        return values_of(self.groups, np.asarray(self.errors, dtype=np.float64))


@dataclass(frozen=True)
class RankInterval:
    """Between which ranks a row lies.

    Attributes:
        low: the best rank it may have, from 1; None where the row is not tested.
        high: the worst rank it may have; None where the row is not tested.
        better: positions of the rows shown to be better than this one, ascending.
        worse: positions of the rows shown to be worse, ascending.
        untested: why it is not tested: "unranked" (a reference row), "other_seeds_or_images", or None where it is.
    """

    low: int | None
    high: int | None
    better: tuple[int, ...] = ()
    worse: tuple[int, ...] = ()
    untested: str | None = None


def board_order(rows: Sequence[Row]) -> list[int]:
    """Positions of the rows, best first: by mean error; ties within 1e-9 px by exact, then name.

    Raises:
        ValueError: where a mean is not a finite number, which has no place in an order.
    """
    means = [float(np.mean(row.errors)) for row in rows]
    if not np.isfinite(means).all():
        broken = rows[int(np.argmin(np.isfinite(means)))]
        raise ValueError(f"{broken.name}: a row is ranked by finite errors, and these are not")
    waiting = sorted(range(len(rows)), key=means.__getitem__)
    ordered: list[int] = []
    while waiting:
        tied = [i for i in waiting if means[i] - means[waiting[0]] <= TIE]
        waiting = waiting[len(tied) :]
        ordered += sorted(tied, key=lambda i: (-_share(rows[i]), rows[i].name))
    return ordered


def comparable_rows(rows: Sequence[Row]) -> list[int]:
    """Positions of the rows that are tested against each other, best first.

    They share images, and the seeds they are tested on, of which a row may have more. Of all choices of seeds that one
    stands which has the most rows times seeds, where seeds beyond `ENOUGH_SEEDS` count for nothing: a few rows with more
    seeds than the others put nobody out, nor does one row with a single seed take the others' seeds away. Of equal
    choices the one with more seeds stands, then the one with the best row. Reference rows are left out.

    Raises:
        ValueError: where a mean is not a finite number.
    """
    return _comparable(rows)[0]


def on_shared_seeds(rows: Sequence[Row]) -> list[Row]:
    """All rows in the order given, those that are tested against each other cut to the seeds they are tested on."""
    tested, seeds = _comparable(rows)
    cut = list(rows)
    for i in tested:
        if rows[i].seeds != seeds:
            kept = [rows[i].seeds.index(seed) for seed in seeds]
            cut[i] = replace(rows[i], errors=np.asarray(rows[i].errors)[kept], seeds=seeds)
    return cut


def _comparable(rows: Sequence[Row]) -> tuple[list[int], tuple[int, ...]]:
    """The positions of `comparable_rows`, and the seeds they are tested on."""
    ranked = [i for i in board_order(rows) if not rows[i].reference]
    if not ranked:
        return [], ()
    sets = list(dict.fromkeys((rows[i].images, rows[i].seeds) for i in ranked))
    choices = [choice for choice in _intersections(sets) if choice[1]] or sets
    own = {i: frozenset(rows[i].seeds) for i in ranked}

    def having(images: Hashable, seeds: tuple[int, ...]) -> list[int]:
        return [i for i in ranked if rows[i].images == images and own[i].issuperset(seeds)]

    def worth(choice: tuple[Hashable, tuple[int, ...]]) -> tuple[int, int, int]:
        held = having(*choice)
        return len(held) * min(len(choice[1]), ENOUGH_SEEDS), len(choice[1]), -ranked.index(held[0])

    images, seeds = max(choices, key=worth)  # of equal choices the first met
    return having(images, seeds), seeds


def _intersections(sets: Sequence[tuple[Hashable, tuple[int, ...]]]) -> list[tuple[Hashable, tuple[int, ...]]]:
    """The sets of seeds, and what any of them of the same images share: the best choice is among these.

    Whatever seeds are chosen, all rows that have them have the intersection of their sets, too, which is no smaller.
    """
    found = dict.fromkeys(sets)
    waiting = list(sets)
    for images, seeds in waiting:  # grows while it is gone through
        if len(found) > MOST_CHOICES:
            break
        for same, others in sets:
            shared = (images, tuple(seed for seed in seeds if seed in others))
            if same == images and shared not in found:
                found[shared] = None
                waiting.append(shared)
    return list(found)


def rank_intervals(
    rows: Sequence[Row], failure: float, level: float = 0.95, *, together: bool = False
) -> list[RankInterval]:
    """Every row's rank interval.

    Args:
        rows: the board, or some rows of it, in any order.
        failure: px, how bad a failure is on these images; see ``benchmark.statistics.paired.added_failure``.
        level: for each row, the probability that all it is shown to be better or worse than is so.
        together: the same for all rows at once, which is more and shows less: Holm's correction over all pairs.

    Returns:
        One interval a row, in the order given.

    Raises:
        ValueError: where an error is not finite, or ``failure`` is not a size.
    """
    tested, rows = comparable_rows(rows), on_shared_seeds(rows)
    intervals = [RankInterval(None, None, untested=UNTESTED[0 if row.reference else 1]) for row in rows]
    if not tested:
        return intervals
    effective = effective_of(rows[tested[0]].groups)
    p, order = pairwise_p([rows[i].values for i in tested], failure, 1 - level, effective)
    shown = order * ((_over_pairs(p) if together else _within_rows(p)) < 1 - level)
    for k, i in enumerate(tested):
        better = tuple(sorted(tested[j] for j in np.flatnonzero(shown[k] > 0)))
        worse = tuple(sorted(tested[j] for j in np.flatnonzero(shown[k] < 0)))
        intervals[i] = RankInterval(1 + len(better), len(tested) - len(worse), better, worse)
    return intervals


def pairwise_p(
    errors: Sequence[FloatArray], failure: float, needed: float = 2.0, effective: float | None = None
) -> tuple[FloatArray, IntArray]:
    """Two-sided paired p values of all pairs of rows, each pair tested once.

    Args:
        errors: R arrays (S, N) float64 px, on the same seeds and images or groups.
        failure: px, how bad a failure is that was not seen; the row that looks better is charged with it, or with its own
            largest error where that is larger.
        needed: p values from here on need not be exact: they may be Student's alone, which is never larger.
        effective: the effective number of groups; None for images.

    Returns:
        p: (R, R) float64, 1 on the diagonal and where means agree within ``TIE``.
        order: (R, R) int64, the sign of mean i - mean j, 0 where they agree: 1 where row j is the better one.

    Raises:
        ValueError: where ``failure`` is not a size.
    """
    table = np.stack([np.asarray(e, dtype=np.float64) for e in errors])
    failures = added_failure(table, failure)
    count, _, images = table.shape
    means = table.mean(axis=(1, 2))
    gap = means[:, None] - means
    order = np.where(np.abs(gap) <= TIE, 0, np.sign(gap)).astype(np.int64)
    p = np.ones((count, count))
    if (images if effective is None else effective) < 2:
        return p, order
    firsts, seconds = np.nonzero(np.triu(order))  # each pair once, those that agree left out
    at_once, chunk = max(1, BATCH // images), max(1, CACHED // table[0].size)
    for start in range(0, len(firsts), at_once):
        a, b = firsts[start : start + at_once], seconds[start : start + at_once]
        better, worse = np.where(order[a, b] > 0, (b, a), (a, b))
        parts, of_image = [], []
        for k in range(0, len(a), chunk):
            differences = table[better[k : k + chunk]]
            differences -= table[worse[k : k + chunk]]
            differences[np.abs(differences) <= TIE] = 0.0
            parts.append(components(differences, effective))
            of_image.append(differences.mean(axis=1))
        below = p_of(joined(parts), np.concatenate(of_image), failures[better], needed=needed / 2)
        p[a, b] = p[b, a] = np.minimum(1.0, 2 * below)
    return p, order


def _within_rows(p: FloatArray) -> FloatArray:
    """Holm's corrected p values of each row over its comparisons with the others, (R, R), 1 on the diagonal."""
    count = len(p)
    corrected = np.ones_like(p)
    away = ~np.eye(count, dtype=np.bool_)
    if count > 1:
        corrected[away] = holm(p[away].reshape(count, count - 1)).ravel()
    return corrected


def _over_pairs(p: FloatArray) -> FloatArray:
    """Holm's corrected p values over all pairs of rows, (R, R), 1 on the diagonal."""
    corrected = np.ones_like(p)
    first, second = np.triu_indices(len(p), 1)
    corrected[first, second] = corrected[second, first] = holm(p[first, second])
    return corrected


def _share(row: Row) -> float:
    return -inf if row.exact is None else row.exact
