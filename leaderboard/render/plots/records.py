"""Rows of a board as records: which are drawn, and the figures that several kinds of plot share."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from benchmark.metrics.evaluation import Evaluation
from benchmark.registry import entries
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from leaderboard.board import Board
from leaderboard.render.columns import rank
from leaderboard.render.plots.kind import Kind, Record
from leaderboard.rows import ORACLE, STRUCTURED, BoardRow

BASELINE = "mean"
"""The detector that answers with the training mean: what any other has to beat."""


def choose(board: Board, kind: Kind, names: Sequence[str] = ()) -> list[BoardRow]:
    """The rows to draw, best first: those that are named, or the best and the references that the kind asks for.

    Args:
        board: Theirs.
        kind: What is drawn.
        names: Labels of rows, or names of detectors, which are all their rows.

    Raises:
        UserError: Where a name is on no finished row.
    """
    if not names:
        wanted = {"all": board.references, "none": ()}.get(
            kind.references, tuple(row for row in board.references if row.config.name == BASELINE)
        )
        best = _families_first(board.rows)[: kind.most] if kind.families else board.rows[: kind.most]
        return [*(row for row in board.rows if row in best), *wanted]
    chosen = [row for name in names for row in find(board, name)]
    return [row for row in board.finished if row in chosen]


def _families_first(ranked: Sequence[BoardRow]) -> list[BoardRow]:
    """The best row of each family, then the others, each best first."""
    first = {family(row): row for row in reversed(ranked)}
    return sorted(ranked, key=lambda row: first[family(row)] is not row)


def find(board: Board, name: str) -> list[BoardRow]:
    """The finished row of that label; else all rows of the detector, by its specification or its bare name.

    Raises:
        UserError: Where there is none.
    """
    called = [(row, (row.label, row.config.detector, row.config.name)) for row in board.finished]
    for how in range(3):
        if found := [row for row, names in called if names[how] == name]:
            return found
    for row in board.failed:
        if name in (row.label, row.config.detector):
            raise UserError(f"{name!r} has failed on {board.title}: {row.error}")
    known = [row.label for row in board.finished]
    raise UserError(f"{board.title} has no row {name!r}{suggestion(name, known)}")


def figures(board: Board, row: BoardRow) -> Record:
    """What most kinds show of a row: its name, standing, error with its interval, and cost."""
    span = row.interval if row.interval and math.isfinite(row.interval.high) else None  # of one end nothing is drawn
    return {
        "row": printable(row.label),
        "order": order(board, row),
        "family": family(row),
        "reference": not row.record.ranked,
        "aided": bool({ORACLE, STRUCTURED} & set(row.marks)),
        "rank": rank(row),
        "mean": row.metrics.get("mean"),
        "low": span.low if span else None,
        "high": span.high if span else None,
        "fit_seconds": row.fit_seconds,
        "predict_ms": row.predict_ms,
    }


def order(board: Board, row: BoardRow) -> int:
    """The place of a row on its board, from 1; references follow the ranked rows."""
    return board.finished.index(row) + 1


def family(row: BoardRow) -> str:
    """The kind of detector it is, as the catalog says; "external" for another tool's, "other" for what is offered nowhere."""
    if row.record.external:
        return "external"
    known = entries().get(row.config.name)
    return printable(known[0].family) if known else "other"


def printable(text: str) -> str:
    """A name without line breaks and other control characters, which neither an SVG nor a label may hold."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else "�" for c in text)


def finite(value: float) -> float | None:
    """A limit as JSON has it: None where there is none."""
    return float(value) if math.isfinite(value) else None


def evaluations(row: BoardRow) -> list[Evaluation]:
    """What the metrics of each seed of a row are computed from: which prediction answers which instance, and the errors."""
    return [Evaluation(run.annotations, run.predictions) for run in row.runs]
