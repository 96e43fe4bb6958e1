"""Whether the runs made so far tell the rows of a grid apart, looked at after every round of seeds.

See `benchmark.statistics.sequential`: what is shown at a look may be relied on, however many looks there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.runs.store import StoredRun
from benchmark.statistics.sequential import ranked_at, told_apart
from leaderboard.board import LEVEL, failure_size, test_rows
from leaderboard.rows import BoardRow, labels_of, make_row, newest


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
    tests, _ = test_rows(rows)
    return told_apart(tests, ranked_at(tests, failure, look, LEVEL), [row.label for row in rows])
