"""Looking after every round of seeds, at no risk: when the rows of a grid are told apart, it may stop.

Who tests after each round and stops at the first that shows a difference will sooner or later find one between equal rows.
So the error that a grid may make is spent over its looks: the look number r tests at alpha / (r (r + 1)), and these add up to
alpha however many there will be (a union bound, so it holds whatever seeds and images have in common; Robbins, Annals of
Mathematical Statistics 41, 1970, has the idea). The first look keeps half of alpha, so the price is small where rows differ
plainly. What is shown at a look may be relied on although nobody knew when the grid would end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmark.statistics.ranks import RankInterval, Row, rank_intervals

FIRST_SEEDS = 2
"""Seeds at the first look: with one, a difference would be one of two fitted models."""


def look_level(look: int, level: float = 0.95) -> float:
    """The level to test at, so that all looks together keep ``level``.

    Args:
        look: 1 for the first.
        level: of the whole grid.

    Raises:
        ValueError: where ``look`` is below 1.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, got {look}")
    return 1 - (1 - level) / (look * (look + 1))


def ranked_at(rows: Sequence[Row], failure: float, look: int, level: float = 0.95) -> list[RankInterval]:
    """The rank intervals at a look: for all rows at once, and together with those of all other looks.

    A board promises each of its rows that its interval holds; a grid that stops has acted on all of them, so here no pair
    of equal rows may be told apart.

    Args:
        rows: see ``benchmark.statistics.ranks.rank_intervals``.
        failure: px, likewise.
        look: 1 for the first.
        level: of the whole grid.
    """
    return rank_intervals(rows, failure, look_level(look, level), together=True)


def told_apart(rows: Sequence[Row], intervals: Sequence[RankInterval], names: Collection[str]) -> bool:
    """Whether each of the named rows is shown to be better or worse than each other named one.

    Args:
        rows: of the board.
        intervals: one a row.
        names: of the rows asked about; those that are not tested are not told apart from anything.
    """
    asked = {i for i, row in enumerate(rows) if row.name in names}
    return len(asked) == len(set(names)) and all(
        asked - {i} <= {*intervals[i].better, *intervals[i].worse} for i in asked
    )
