"""Each keypoint on its own: how often it is labelled in the test images, and how well every row of a board finds it.

A board's figures are over all labelled keypoints alike; what is easy hides what is hard, and which of the two a keypoint
is, only this table says. It holds figures; `leaderboard.render` makes tables of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics import Scores
from leaderboard.board import Board
from leaderboard.rows import over_seeds


@dataclass(frozen=True)
class KeypointRow:
    """One keypoint, found by one detector.

    Attributes:
        keypoint: Its name.
        row: Label of the detector's row; "" where there is only one.
        labelled: In how many test instances that count it is labelled.
        scored: How many of these have a pixel error, mean over seeds: fewer where instances are matched and some missed.
        metrics: Its pixel metrics, over seeds; None where nothing is scored.
    """

    keypoint: str
    row: str
    labelled: int
    scored: float
    metrics: Mapping[str, float | None]


def keypoint_rows(board: Board) -> list[KeypointRow]:
    """The table of a board: by keypoint in the order of the annotations, then by row, best first."""
    return [
        _row(keypoint, row.label, row.scores)
        for keypoint in board.keypoints
        for row in board.finished
        if keypoint in row.scores[0].keypoints
    ]


def keypoint_rows_of(scores: Scores) -> list[KeypointRow]:
    """The table of one set of predictions."""
    return [_row(keypoint, "", [scores]) for keypoint in scores.keypoints]


def keypoint_records(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """The tables of some boards as JSON objects: board, keypoint, row, labelled, scored, the pixel metrics by name."""
    return [
        {
            "task": board.task,
            "version": board.version,
            "data": board.data,
            "data_digest": board.digest,
            **({"pair": ",".join(board.pair)} if board.pair else {}),
            "keypoint": one.keypoint,
            "row": one.row,
            "labelled": one.labelled,
            "scored": one.scored,
            **one.metrics,
        }
        for board in boards
        for one in keypoint_rows(board)
    ]


def _row(keypoint: str, label: str, seeds: Sequence[Scores]) -> KeypointRow:
    return KeypointRow(
        keypoint=keypoint,
        row=label,
        labelled=seeds[0].labels[keypoint]["labelled"],
        scored=float(np.mean([table.labels[keypoint]["scored"] for table in seeds])),
        metrics=over_seeds([table.keypoints[keypoint] for table in seeds]),
    )
