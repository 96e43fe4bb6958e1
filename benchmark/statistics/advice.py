"""Which row to use: the cheapest that was shown not to be worse than any other by more than a margin.

*Not shown to be worse* is no reason to use a row: a row tested on few images, or one with wide errors, is not shown to be
anything. So the row has to be shown *not inferior* (Wellek, Testing Statistical Hypotheses of Equivalence and
Noninferiority, 2010), and not to the leader alone, because the leader was picked for looking best and may not be it.
A row qualifies if, for **every** other row, a one-sided paired test shows that its mean error exceeds the other's by less
than the margin. All of these tests have to pass, so each may be made at the full level (intersection-union test, Berger,
Technometrics 24, 1982), and what they show holds for whichever row is truly best.

The cheapest of several qualifying rows is picked, so the rows' p values are corrected by Holm's procedure. At most R - 1
of the R rows can be inferior, since the truly best one is not, so no p value is multiplied by more than R - 1 (Shaffer,
Journal of the American Statistical Association 81, 1986). The tests are those of ``benchmark.statistics.paired``, which
keep their level where few images carry the error: with failures of M px, none seen, and a margin of m px, about 3.6 M / m
images are needed for two rows (-log .05 = 3 by the exact Poisson count), and twice as many for thirty.

Errors are never negative. So a row whose own mean error is shown to be below the margin is not inferior to any, however few
seeds the others have and however widely they vary. Both ways are tried, each at its share of the level fixed beforehand
(weighted Bonferroni, Rosenthal & Rubin, Psychological Bulletin 94, 1983): nine tenths for the comparisons with the others,
and one for the row's own error, which is told from the margin by far or not at all.

The best of rows that have all learned nothing is no row to use either. So a row has to be shown, too, to be better than the
constant answer, the training mean. First some row has to pass that test at the level divided by R (Bonferroni): where no
row is better than the mean, that goes wrong no more often than the level says. Where one is, at most R - 1 of the rows are
inferior or no better than the mean, and Holm's procedure goes on over the larger of a row's p values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.special import ndtri

from benchmark.statistics.components import TIE, Components, components
from benchmark.statistics.groups import effective_of, values_of
from benchmark.statistics.holm import holm
from benchmark.statistics.paired import added_failure, p_below
from benchmark.statistics.ranks import Row, comparable_rows, on_shared_seeds
from benchmark.statistics.tail import signed_root
from benchmark.structures import FloatArray

SMALLEST_MARGIN = 0.1
"""px: nobody minds less."""

MARGIN_SHARE = 0.1
"""The margin as a part of the leader's mean error, where that is more than ``SMALLEST_MARGIN``."""

CODES = ("shown", "not_shown", "no_better_than_mean", "one_row", "untested")
"""What an ``Advice`` can say, as explained there."""

OWN_SHARE = 0.1
"""Of the level, what the test of a row's own error gets."""

_MOST_IMAGES = 1e9
_NEAREST = 3  # rows that are asked for the number of images, the one nearest to being shown first


@dataclass(frozen=True)
class Advice:
    """The row to use, or why there is none.

    Attributes:
        code: "shown": ``name`` is the row to use, the cheapest that was shown not to be inferior; "not_shown": no row was,
            and ``name`` is the leader; "no_better_than_mean": no row was shown to be better than the training mean, the
            same answer for every image, and ``name`` is the leader; "one_row": ``name`` is the only tested row, and there
            is nothing to compare it with; "untested": there is none.
        name: of the row that ``code`` speaks of; None where none is tested.
        leader: name of the row with the least mean error observed; None where none is tested.
        margin: px; None where no row is tested.
        qualifying: names of all rows shown not to be inferior, the cheapest first.
        images_needed: where none was shown: on about how many test images (or groups of them) one would be, in four of five test sets, if the
            differences seen are the true ones; None where that number is unknown, or images alone would not do.
    """

    code: str
    name: str | None
    leader: str | None
    margin: float | None
    qualifying: tuple[str, ...] = ()
    images_needed: int | None = None

    @property
    def advised(self) -> str | None:
        """Name of the row to use; None where none is advised."""
        return self.name if self.code == "shown" else None


def advise(
    rows: Sequence[Row], costs: Mapping[str, tuple[float, float]], failure: float, level: float = 0.95
) -> Advice:
    """The cheapest row that is shown not to be worse than any other by more than the margin, and better than the mean.

    Args:
        rows: the board, or some rows of it, in any order. Reference rows, and rows that do not share the seeds
            or images of the others, are left out, as in ``benchmark.statistics.ranks``. Whose ``constant`` is None, its
            board says nothing of the training mean, and rows are held against each other alone.
        costs: name -> (fit seconds, predict ms per image). Cheapest by the first, then the second, then board order; a
            row whose cost is unknown comes last.
        failure: px, how bad a failure is on these images; see ``benchmark.statistics.paired.added_failure``.
        level: the probability that the row named is not worse than the truly best one by more than the margin.

    Returns:
        The advice.

    Raises:
        ValueError: where an error is not finite, or ``failure`` is not a size.
    """
    cut = on_shared_seeds(rows)
    tested = [cut[i] for i in comparable_rows(rows)]
    if not tested:
        return Advice("untested", None, None, None)
    leader = tested[0].name
    table = np.stack([row.values for row in tested])
    effective = effective_of(tested[0].groups)
    failures = added_failure(table, failure)
    margin = max(SMALLEST_MARGIN, MARGIN_SHARE * float(table[0].mean()))
    above = _p_of_the_mean(tested, failures, effective)
    if len(tested) * above.min() >= 1 - level:
        return Advice("no_better_than_mean", leader, leader, margin)
    if len(tested) == 1:
        return Advice("one_row", leader, leader, margin)
    p = np.array([_inferiority_p(table, k, failures[k], margin, 1 - level, effective) for k in range(len(tested))])
    p = np.maximum(p, above)
    corrected = holm(p, most_true=len(tested) - 1)
    by_cost = sorted(range(len(tested)), key=lambda k: costs.get(tested[k].name, (inf, inf)))
    qualifying = tuple(tested[k].name for k in by_cost if corrected[k] < 1 - level)
    if qualifying:
        return Advice("shown", qualifying[0], leader, margin, qualifying)
    alpha = (1 - level) / (len(tested) - 1)
    nearest = np.argsort(p, kind="stable")[:_NEAREST].tolist()
    plans = (_images_needed(table, k, failures[k], margin, alpha, effective) for k in nearest)
    return Advice("not_shown", leader, leader, margin, (), next((n for n in plans if n is not None), None))


def _p_of_the_mean(tested: Sequence[Row], failures: FloatArray, effective: float | None) -> FloatArray:
    """(R,) the p value of "no better than the training mean" of each row; 0 where that is unknown."""
    constant = tested[0].constant
    if constant is None:
        return np.zeros(len(tested))
    differences = np.stack([values_of(row.groups, row.errors - constant) for row in tested])
    differences[np.abs(differences) <= TIE] = 0.0
    if (differences.shape[2] if effective is None else effective) < 2:
        return np.ones(len(tested))
    return np.where(differences.mean(axis=(1, 2)) < 0, p_below(differences, failures, effective=effective), 1.0)


def _differences(table: FloatArray, k: int) -> FloatArray:
    """(R - 1, S, N) px: row k minus every other."""
    differences: FloatArray = table[k] - np.delete(table, k, axis=0)
    differences[np.abs(differences) <= TIE] = 0.0
    return differences


def _inferiority_p(
    table: FloatArray, k: int, failure: float, margin: float, needed: float, effective: float | None
) -> float:
    """The p value of "row k is worse than some other row by the margin or more"; not exact from ``needed`` on."""
    means = table.mean(axis=(1, 2))
    if means[k] - means.min() >= margin or (table.shape[2] if effective is None else effective) < 2:
        return 1.0
    beside = float(p_below(_differences(table, k), failure, margin, needed, effective).max())
    own = float(p_below(table[k][None], failure, margin, needed, effective)[0])
    return min(1.0, beside / (1 - OWN_SHARE), own / OWN_SHARE)


def _images_needed(
    table: FloatArray, k: int, failure: float, margin: float, alpha: float, effective: float | None
) -> int | None:
    """On about how many images (or groups) row k would be shown not inferior, or None where more images alone do not do it."""
    images = table.shape[2] if effective is None else effective
    ways = ((_differences(table, k), (1 - OWN_SHARE) * alpha), (table[k][None], OWN_SHARE * alpha))
    plans = [_images_to_show(values, failure, margin, level, images) for values, level in ways]
    return min((plan for plan in plans if plan is not None), default=None)


def _images_to_show(
    values: FloatArray, failure: float, margin: float, alpha: float, images: float, power: float = 0.8
) -> int | None:
    """On about how many images all of some means would be shown to be below the margin.

    Args:
        values: (B, S, N) float64 px, of images or of groups.
        failure: px, of one that was not seen.
        margin: px.
        alpha: one-sided.
        images: how many there are, or groups, effectively.
        power: in how many of such test sets.

    Returns:
        The number; None where more images alone would not do.
    """
    gains = margin - values.mean(axis=1)
    if images < 2 or failure <= 0 or (gains.mean(axis=1) <= 0).any():
        return None
    parts = components(values, images)
    reserve = float(ndtri(power))

    def enough(count: float) -> bool:
        return _passes_t(parts.planned(parts.seeds, count), margin, alpha, reserve) and bool(
            (signed_root(gains, failure, count / images) > reserve - float(ndtri(alpha))).all()
        )

    few, many = 2.0, float(images)
    while not enough(many):
        few, many = many, 2 * many
        if many > _MOST_IMAGES:
            return None
    while many > 1.01 * few:
        middle = math.sqrt(few * many)
        few, many = (few, middle) if enough(middle) else (middle, many)
    return math.ceil(many)


def _passes_t(plan: Components, margin: float, alpha: float, reserve: float) -> bool:
    """Whether every mean lies below the margin by the one-sided half width and ``reserve`` standard errors."""
    spread = np.sqrt(plan.image_part + plan.seed_part)
    return bool((margin - plan.mean > plan.half_width(2 * alpha) + reserve * spread).all())
