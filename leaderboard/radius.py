"""A promised radius a keypoint: within how many pixels of its answer a detector's points lie, nine times of ten.

The promise is about one new image of the kind the test images are, answered by one of the fits that the row is made of,
and holds without any assumption about the errors (`benchmark.statistics.radius`). Where images come in groups it is about
a new group. A point that was not found lies at infinity: it is no small error, and no pixel error at all.

It is a promise about one row. Whoever looks at many rows and takes the one with the smallest radius has chosen it by these
very images, and may expect a little less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics.evaluation import Evaluation
from benchmark.runs.store import Results
from benchmark.statistics.radius import promised_radius
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions
from leaderboard.board import Board
from leaderboard.which import only_board, rows_named

ALL = ""
"""The name of what is no keypoint: all of them together."""


@dataclass(frozen=True)
class Radius:
    """What is promised of one keypoint.

    Attributes:
        row: Label of the row; "" for predictions that are on no board.
        keypoint: Its name, or `ALL`.
        pixels: Infinite where nothing can be promised.
        share: Of the points that lie within it, as promised.
        units: Test images, or groups of these, that it stands on.
        points: Labelled points, every fit counted.
        missed: How many of these were not found.
    """

    row: str
    keypoint: str
    pixels: float
    share: float
    units: int
    points: int
    missed: int

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``pixels`` is None where nothing can be promised."""
        finite = math.isfinite(self.pixels)
        return {
            "row": self.row,
            "keypoint": self.keypoint or None,
            "share": self.share,
            "radius_px": self.pixels if finite else None,
            "units": self.units,
            "points": self.points,
            "missed": self.missed,
        }


def board_radii(board: Board, share: float, labels: Sequence[str] = ()) -> list[Radius]:
    """The radii of a board, by row, best first, then by keypoint.

    Args:
        board: Which.
        share: What is promised.
        labels: Of the rows asked about; all that are finished where there are none.
    """
    rows = [row for row in board.finished if not labels or row.label in labels]
    return [
        radius
        for row in rows
        for radius in radii(row.runs[0].annotations, [run.predictions for run in row.runs], share, row.label)
    ]


def radii_of(
    results: Results, names: Sequence[str], share: float, task: str | None = None, data: str | None = None
) -> tuple[Board, list[Radius]]:
    """The radii of rows of the one board that is asked about.

    Args:
        results: Where the runs are.
        names: Of rows, by label or detector; all that are finished where there are none.
        share: What is promised.
        task: None where one board alone fits.
        data: None where one board alone fits.

    Raises:
        UserError: Where no board, or more than one, fits, or a row is not on it.
    """
    board = only_board(results, names, task, data)
    return board, board_radii(board, share, [row.label for name in names for row in rows_named(board, name)])


def radii(annotations: Annotations, fits: Sequence[Predictions], share: float, row: str = "") -> list[Radius]:
    """The radius of every keypoint that is labelled, and of all together where there are several.

    Args:
        annotations: Of images that no fit learned from.
        fits: The answers of one or more fits.
        share: What is promised.
        row: What to call them.
    """
    tables = [point_errors(annotations, answers) for answers in fits]
    errors = np.concatenate([errors for errors, _ in tables])
    unit = units_of(annotations)[np.concatenate([images for _, images in tables])]
    names = annotations.keypoint_names
    asked = [(name, [k]) for k, name in enumerate(names)] + ([(ALL, list(range(len(names))))] if len(names) > 1 else [])
    found = []
    for name, which in asked:
        some = errors[:, which]
        known = ~np.isnan(some)
        if not known.any():
            continue
        values = some[known]
        units = np.broadcast_to(unit[:, None], some.shape)[known]
        found.append(
            Radius(
                row=row,
                keypoint=name,
                pixels=promised_radius(values, units, share),
                share=share,
                units=len(np.unique(units)),
                points=len(values),
                missed=int(np.isinf(values).sum()),
            )
        )
    return found


def point_errors(annotations: Annotations, predictions: Predictions) -> tuple[FloatArray, IntArray]:
    """How far every labelled point is from its answer.

    Args:
        annotations: What is known of the images.
        predictions: What was predicted for them.

    Returns:
        (R, K) float64 px of the R instances that count, NaN where a keypoint is not labelled and infinite where the instance
        was not found; and (R,) int64, the image of each.
    """
    evaluation = Evaluation(annotations, predictions)
    counted = np.flatnonzero(evaluation.counted)
    errors = np.where(annotations.visible[counted] > 0, np.inf, np.nan)
    answered = evaluation.pairs.rows[evaluation.errors.answered]
    at = np.searchsorted(counted, answered)
    errors[at] = np.where(np.isnan(errors[at]), np.nan, evaluation.errors.distances[evaluation.errors.answered])
    return errors, annotations.index[counted]


def units_of(annotations: Annotations) -> IntArray:
    """(N,) int64: what is exchangeable, groups where the images come in such, else the images themselves."""
    if annotations.groups is None:
        return np.arange(len(annotations))
    return np.unique(np.asarray(annotations.groups, dtype=np.str_), return_inverse=True)[1].astype(np.int64)
