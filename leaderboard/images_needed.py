"""How many training images each detector of a board needs for a target, from its rows of several numbers of images.

A curve is all the rows of one detector and budget, on the seeds that all of them ran with: seed k learns from the same
nested sequence of images at every size. The images for validation come on top of those that are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.runs.store import Results
from benchmark.statistics.learning_curve import LEVEL, LearningCurve, Needed, Reason, images_needed, learning_curve
from benchmark.structures import FloatArray, UserError
from leaderboard.board import Board
from leaderboard.rows import BoardRow, answered, groups_of
from leaderboard.which import only_board, rows_named


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    Attributes:
        value: A mean error in px, or a share of exact keypoints.
        exact: Which of the two.
    """

    value: float
    exact: bool = False

    @property
    def error(self) -> float:
        """What must not be exceeded: px, or the share that is not exact."""
        return 1 - self.value if self.exact else self.value

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {"metric": "exact" if self.exact else "mean", "value": self.value}


@dataclass(frozen=True, eq=False)
class DetectorNeeds:
    """What one detector needs.

    Attributes:
        detector: Its name, with a budget that is not its recipe's.
        sizes: Training images of its rows.
        curve: Of these; None where they share no seed or no images.
        needed: The number, or why it cannot be said.
    """

    detector: str
    sizes: tuple[int, ...]
    curve: LearningCurve | None
    needed: Needed

    @property
    def figures(self) -> list[tuple[float, float, float]]:
        """Of each size (mean, low, high): px, or the share exact."""
        if self.curve is None:
            return []
        bands = zip(self.curve.mean.tolist(), self.curve.low.tolist(), self.curve.high.tolist())
        return [(1 - mean, 1 - high, 1 - low) if self.curve.share else (mean, low, high) for mean, low, high in bands]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``images_needed`` is None, and ``reason`` says why, where it cannot be said."""
        why = self.needed.reason
        return {
            "detector": self.detector,
            "seeds": self.curve.seeds if self.curve else 0,
            "measured": [
                {"n": n, "value": value, "low": low, "high": high}
                for n, (value, low, high) in zip(self.sizes, self.figures)
            ],
            "images_needed": self.needed.images,
            "low": self.needed.low,
            "high": self.needed.high,
            "how": self.needed.how or None,
            "reason": {"code": why.code, **why.values} if why else None,
        }


def needs_of(
    results: Results, names: Sequence[str], target: Target, task: str | None = None, data: str | None = None
) -> tuple[Board, list[DetectorNeeds]]:
    """What the detectors of the one board that is asked about need, best first.

    Args:
        results: Where the runs are.
        names: Of rows, by label or detector; every ranked detector with several sizes where there are none.
        target: What is to be reached.
        task: None where one board alone fits.
        data: None where one board alone fits.

    Raises:
        UserError: Where no board, or more than one, fits, a row is not on it, no detector has several sizes, or the board
            has no such metric.
    """
    board = only_board(results, names, task, data)
    return board, needs_on(board, names, target)


def needs_on(board: Board, names: Sequence[str], target: Target) -> list[DetectorNeeds]:
    """What the detectors of a board need, best first; see `needs_of`."""
    chosen = [row for name in names for row in rows_named(board, name)] or board.rows
    wanted = dict.fromkeys((row.config.detector, row.config.budget) for row in board.finished if row in chosen)
    rows = {
        of: sorted(
            (r for r in board.finished if _curve_of(r) == of and r.config.n_train), key=lambda r: r.config.n_train
        )
        for of in wanted
    }
    found = [(of, made) for of, made in rows.items() if len(made) > (0 if names else 1)]
    if not found:
        raise UserError(
            f"{board.title}: no detector was run with several numbers of training images "
            "(run --n 10 --n 25 --n 50 --n 100 --seeds 5)"
        )
    if target.exact and all(row.metrics.get("exact") is None for _, made in found for row in made):
        raise UserError(f"{board.title}: exact is not measured, for its answers lie on no lattice; ask for --px")
    return [_needs(name if budget == "recipe" else f"{name} {budget}", made, target) for (name, budget), made in found]


def _curve_of(row: BoardRow) -> tuple[str, str]:
    return row.config.detector, row.config.budget


def _needs(name: str, rows: Sequence[BoardRow], target: Target) -> DetectorNeeds:
    """What the rows of one detector say, by rising size."""
    sizes = tuple(row.config.n_train for row in rows)
    curve = curve_of_rows(rows, exact=target.exact)
    if isinstance(curve, Reason):
        return DetectorNeeds(name, sizes, None, Needed(None, None, None, reason=curve))
    return DetectorNeeds(name, sizes, curve, images_needed(curve, target.error))


def curve_of_rows(rows: Sequence[BoardRow], *, exact: bool = False) -> LearningCurve | Reason:
    """The curve of the rows of one detector, on the seeds and images that all of them have, or why there is none.

    Args:
        rows: Of different numbers of training images.
        exact: Of the share exact, and not of the mean error.
    """
    seeds = sorted(set.intersection(*(set(row.seeds) for row in rows)))
    if len({row.annotation_digests for row in rows}) > 1 or not all(row.errors.size for row in rows):
        return Reason("other_images")
    if not seeds:
        return Reason("one_seed")
    tables: list[FloatArray] = [row.exact if exact else row.errors for row in rows]
    shared = [table[[row.seeds.index(seed) for seed in seeds]] for row, table in zip(rows, tables)]
    known = answered(np.concatenate(shared))
    if not len(known):
        return Reason("other_images")
    values = {
        row.config.n_train: np.clip(1 - table[:, known], 0.0, 1.0) if exact else table[:, known]
        for row, table in zip(rows, shared)
    }
    return learning_curve(values, share=exact, level=LEVEL, groups=groups_of(rows[0].runs[0].annotations, known))
