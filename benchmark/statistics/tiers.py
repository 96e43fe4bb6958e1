"""Which rows of a board can be told apart: Holm's correction (Scandinavian Journal of Statistics 6, 1979), tiers, and
the row to use. ``RULE`` is said beside every board, because "cannot be told apart" is not transitive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from benchmark.statistics.uncertainty import TIE, p_value
from benchmark.structures import FloatArray

RULE = (
    "The best row without a tier leads the next one; every row not shown to be worse than its leader joins it; repeat. "
    "Worse: a paired p value below 5 % after Holm's correction over the comparisons with that leader, each p allowing for "
    "the leader having been picked as the best: rows as good as it all join it in 95 % of cases or more. "
    "Two rows of one tier may still differ from each other."
)


@dataclass(frozen=True, eq=False)
class Row:
    """What the tier rule needs of a row of the board.

    errors: (S, N) float64 px, the mean error of each image with each seed. seeds: S seeds, in the order of errors.
    images: what identifies the images and their order (the hash of the annotations). exact: the share exactly right, or None.
    reference: unranked and untested.
    """

    name: str
    errors: FloatArray
    seeds: tuple[int, ...]
    images: Hashable
    exact: float | None = None
    reference: bool = False


@dataclass(frozen=True)
class Place:
    """Where a row stands. tier: from 1, None where untested (``why`` says so). leader: position of the row that leads
    the tier. p: corrected p value against that leader, 1 for the leader itself."""

    tier: int | None
    leader: int | None = None
    p: float | None = None
    why: str = ""


def holm(p: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's corrected p values, (n,) float64 in the order given: reject those below the level."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def board_order(rows: Sequence[Row]) -> list[int]:
    """Positions of the rows, best first: by mean error; ties within 1e-9 px by exact, then name.

    Raises ValueError where a mean is not a finite number, which has no place in an order.
    """
    means = [float(np.mean(row.errors)) for row in rows]
    if not np.isfinite(means).all():
        strange = rows[int(np.argmin(np.isfinite(means)))]
        raise ValueError(f"{strange.name}: a row is ranked by finite errors, and these are not")
    waiting = sorted(range(len(rows)), key=means.__getitem__)
    ordered: list[int] = []
    while waiting:
        tied = [i for i in waiting if means[i] - means[waiting[0]] <= TIE]
        waiting = waiting[len(tied) :]
        ordered += sorted(tied, key=lambda i: (-_share(rows[i]), rows[i].name))
    return ordered


def place(rows: Sequence[Row], level: float = 0.95) -> list[Place]:
    """Every row's tier, in the order given.

    Only rows on the same seeds and images are tested against each other: the largest such set makes the tiers (the one
    with the best row where two are as large), and a row outside it, like a reference row, has none.

    The leader is picked for being best, which Holm's procedure does not know: with plain p values some row of 30 equal
    ones is split on 10 to 30 % of boards. So each p value allows for the pick (`uncertainty.p_value`), which holds that
    rate at 5 % a tier (measured by ``scripts/simulate_coverage.py``). Counting all pairs instead would hold it too, but
    finds 3 tiers where this finds 11 and the plain values 14 (30 rows of a ladder, 3 seeds).
    """
    places = [
        Place(None, why="a reference row: not tested" if row.reference else "other seeds or images: not tested")
        for row in rows
    ]
    waiting = _tested(rows)
    tier = 0
    while waiting:
        tier += 1
        leader, others = waiting[0], waiting[1:]
        corrected = holm([p_value(rows[i].errors, rows[leader].errors, len(waiting)) for i in others])
        places[leader] = Place(tier, leader, 1.0)
        waiting = []
        for i, p in zip(others, corrected, strict=True):
            if p < 1 - level:
                waiting.append(i)
            else:
                places[i] = Place(tier, leader, float(p))
    return places


def tiers(rows: Sequence[Row], level: float = 0.95) -> list[int | None]:
    """Every row's tier from 1, in the order given; None for a row that is not tested. ``place`` says why."""
    return [found.tier for found in place(rows, level)]


def recommend(
    rows: Sequence[Row], standing: Sequence[int | None], costs: Mapping[str, tuple[float, float]]
) -> str | None:
    """*Use X*: the name of the cheapest row of the best tier there is among ``rows``, or None where none is tested.

    standing: the tier of each row, as its board gives it, so that the choice among some rows of a board never
    contradicts that board. costs: name -> (fit seconds, predict ms per image). Cheapest by fit seconds, then predict ms,
    then the better row; a row whose cost is unknown comes last.
    """
    best = min((tier for tier in standing if tier is not None), default=None)
    top = [i for i in board_order(rows) if best is not None and standing[i] == best]
    return min((rows[i].name for i in top), key=lambda name: costs.get(name, (inf, inf)), default=None)


def _share(row: Row) -> float:
    return -inf if row.exact is None else row.exact


def _tested(rows: Sequence[Row]) -> list[int]:
    """Positions of the rows of the largest set that shares seeds and images, best first."""
    ranked = [i for i in board_order(rows) if not rows[i].reference]
    if not ranked:
        return []
    sets = [(rows[i].seeds, rows[i].images) for i in ranked]
    largest = Counter(sets).most_common(1)[0][0]  # of equal counts the first met, which holds the better row
    return [i for i, shared in zip(ranked, sets, strict=True) if shared == largest]
