"""Whether the runs made so far tell the rows of a grid apart, looked at after every round of seeds.

See `benchmark.statistics.sequential`: what is shown at a look may be relied on, however many looks there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.runs.plan import Planned
from benchmark.runs.store import StoredRun
from benchmark.statistics.sequential import FIRST_SEEDS, ranked_at, told_apart
from leaderboard.board import failure_size
from leaderboard.rows import BoardRow, labels_of, make_row, newest
from leaderboard.tested import LEVEL, rows_to_test


def rounds_of(planned: Sequence[Planned], seeds: Sequence[int]) -> list[list[Planned]]:
    """The runs of a grid in the rounds that they are made in: the first seeds, then seed by seed, each in the grid's order."""
    order = {seed: max(i, FIRST_SEEDS - 1) for i, seed in enumerate(seeds)}
    rounds: dict[int, list[Planned]] = {}
    for one in planned:
        rounds.setdefault(order[one.job.seed], []).append(one)
    return [rounds[at] for at in sorted(rounds)]


def unneeded(planned: Sequence[Planned], seeds: Sequence[int]) -> list[Planned]:
    """The runs that no round is needed for: what is stored of the rounds before tells the rows apart."""
    rounds, made = rounds_of(planned, seeds), list[StoredRun]()
    for look, some in enumerate(rounds, 1):
        stored = [one.stored for one in some if one.stored is not None]
        made += stored
        if len(stored) < len(some):
            return []
        if answer_known(made, look):
            return [one for later in rounds[look:] for one in later]
    return []


def answer_known(runs: Sequence[StoredRun], look: int) -> bool:
    """Whether every two ranked rows on as many training images are told apart.

    Args:
        runs: Of one board, of the seeds made so far.
        look: How often this was asked about the grid, this time included.

    Returns:
        False also where fewer than two rows have finished.
    """
    shown, _ = newest(runs)
    labels = labels_of(shown)
    rows = [row for identity, seeds in shown.items() if (row := make_row(labels[identity], seeds, None)).runs]
    if not rows:
        return False
    failure = failure_size(rows[0].runs[0].annotations, rows)
    by_size: dict[int, list[BoardRow]] = {}
    for row in rows:
        if row.record.ranked:
            by_size.setdefault(row.config.n_train, []).append(row)
    return any(len(same) > 1 for same in by_size.values()) and all(
        _told_apart(same, failure, look) for same in by_size.values()
    )


def _told_apart(rows: Sequence[BoardRow], failure: float, look: int) -> bool:
    tests, _ = rows_to_test(rows)
    return told_apart(tests, ranked_at(tests, failure, look, LEVEL), [row.label for row in rows])
