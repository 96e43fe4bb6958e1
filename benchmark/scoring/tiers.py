"""Which rows of a board can be told apart: Holm's correction (Scandinavian Journal of Statistics 6, 1979), tiers, and
the row to use. ``RULE`` is said beside every board, because "cannot be told apart" is not transitive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from benchmark.scoring.uncertainty import TIE, p_value
from benchmark.structures import FloatArray

RULE = (
    "The best row without a tier leads the next one; every row not shown to be worse than its leader joins it; repeat. "
    "Worse: a paired p value below 5 % after Holm's correction over the comparisons with that leader. "
    "Two rows of one tier may still differ from each other."
)


@dataclass(frozen=True, eq=False)
class Row:
    """What the tier rule needs of a row of the board.

    errors: (S, N) float64 px, the mean error of each image with each seed. seeds: S seeds, in the order of errors.
    images: what identifies the images and their order (the hash of the truth). exact: the share exactly right, or None.
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
    """Positions of the rows, best first: by mean error; ties within 1e-9 px by exact, then name."""
    means = [float(np.mean(row.errors)) for row in rows]
    waiting = sorted(range(len(rows)), key=means.__getitem__)
    ordered: list[int] = []
    while waiting:
        tied = [i for i in waiting if means[i] - means[waiting[0]] <= TIE]
        waiting = waiting[len(tied) :]
        ordered += sorted(tied, key=lambda i: (-_share(rows[i]), rows[i].name))
    return ordered


def place(rows: Sequence[Row], level: float = 0.95, strict: bool = False) -> list[Place]:
    """Every row's tier, in the order given.

    Only rows on the same seeds and images are tested against each other: the largest such set makes the tiers (the one
    with the best row where two are as large), and a row outside it, like a reference row, has none.

    The leader is chosen for being best, which Holm's correction does not know: a row as good as the leader is split
    from it in less than 5 % of boards, but that *some* row of many equal ones is split happens more often (measured by
    ``scripts/simulate_coverage.py``). ``strict`` counts every pair of waiting rows instead of the leader's alone (each p
    times half their number before Holm), which holds that rate under 5 % too, at the price of larger tiers.
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
        raw = np.array([p_value(rows[i].errors, rows[leader].errors) for i in others], dtype=np.float64)
        corrected = holm(raw * max(len(waiting) / 2, 1.0) if strict else raw)
        places[leader] = Place(tier, leader, 1.0)
        waiting = []
        for i, p in zip(others, corrected, strict=True):
            if p < 1 - level:
                waiting.append(i)
            else:
                places[i] = Place(tier, leader, float(p))
    return places


def tiers(rows: Sequence[Row], level: float = 0.95, strict: bool = False) -> list[int | None]:
    """Every row's tier from 1, in the order given; None for a row that is not tested. ``place`` says why."""
    return [found.tier for found in place(rows, level, strict)]


def recommend(
    rows: Sequence[Row], costs: Mapping[str, tuple[float, float]], level: float = 0.95, strict: bool = False
) -> str | None:
    """*Use X*: the name of the cheapest row of the top tier, or None where no row is tested.

    costs: name -> (fit seconds, predict ms per image). Cheapest by fit seconds, then predict ms, then the better row;
    a row whose cost is unknown comes last.
    """
    standing = tiers(rows, level, strict)
    top = [i for i in board_order(rows) if standing[i] == 1]
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
