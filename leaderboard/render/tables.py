"""Boards for programs: rows as JSON objects, and as a frame."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.metrics import metrics
from benchmark.runs.cost import Cost
from benchmark.statistics.advice import Advice
from benchmark.statistics.intervals import Interval
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.keypoints import keypoint_records
from leaderboard.render import words
from leaderboard.render.columns import key_of, rank
from leaderboard.render.selection import ALL, Selection
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import pandas as pd

WHOLE = ("position", "rank_low", "rank_high", "n_parameters", "n_train", "detector_version")


def as_rows(board: Board, selection: Selection = ALL) -> list[dict[str, Any]]:
    """The rows as JSON objects: identity, standing, the metrics by name, intervals, cost, marks, errors, facts."""
    shown = selection.rows_of(board)
    known = {name for row in board.finished for name in row.metrics}
    costs = any(run.record.cost.reference_ms for row in board.every for run in row.runs)
    return [_as_row(shown, row, known, costs) for row in shown.every]


def as_dict(board: Board) -> dict[str, Any]:
    """What a board says besides its rows, as a JSON object: advice, separation and notes, as codes and figures."""
    between = board.separation
    return {
        "task": board.task,
        "version": board.version,
        "data": board.data,
        "data_digest": board.digest,
        "folds": board.folds,
        "images": board.images,
        "keypoints": list(board.keypoints),
        "multi_instance": board.multi_instance,
        "pair": None if board.pair is None else list(board.pair),
        "failure": board.failure,
        "marks": board.marks,
        "advice": _advice(board.advice),
        "unaided": None if board.unaided is None else _advice(board.unaided),
        "separation": None
        if between is None
        else {"leader": between.leader, "other": between.other, "rows": between.rows, **vars(between.power)},
        "notes": [{"code": note.code, **note.values} for note in board.notes],
        "text": [*words.advice(board), *words.notes_of(board)],
    }


def frame(boards: Sequence[Board], selection: Selection = ALL) -> pd.DataFrame:
    """A row a board row, best first within its board; nested objects (keypoints, taxonomy) are left to the JSON."""
    import pandas as pd

    rows = [row for board in boards for row in as_rows(board, selection)]
    table = pd.DataFrame([{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows])
    return table.astype({name: "Int64" for name in WHOLE if name in table})


def indexed(boards: Sequence[Board]) -> pd.DataFrame:
    """`frame` with an index of task, data, detector and n, the number of training images; 0 where that is unknown.

    Rows that differ in their budget alone, or boards of one name and another content, share an index: the columns
    ``row`` and ``data_digest`` tell them apart.
    """
    table = frame(boards)
    index = ["task", "data", "detector", "n"]
    if table.empty:
        return table.reindex(columns=index).set_index(index)
    return table.assign(n=table["n_train"].fillna(0).astype("int64")).drop(columns="n_train").set_index(index)


def as_csv(rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> str:
    """What `frame` makes of the rows of `as_rows`, as CSV, with lists as text; pandas takes longer to import than to write.

    Args:
        rows: Of `as_rows`.
        columns: Which, in this order; all where none is named.

    Raises:
        UserError: For a name of no column.
    """
    shown = [{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows]
    there = list(dict.fromkeys(name for row in shown for name in row))
    names = [name if name in there else key_of(name) for name in columns]
    if missing := next((name for name in names if name not in there), None):
        raise unknown("column", missing, there)
    text = io.StringIO()
    writer = csv.DictWriter(text, names or there, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in shown:
        writer.writerow({k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()})
    return text.getvalue()


def flat_keypoints(boards: Sequence[Board], selection: Selection = ALL) -> pd.DataFrame:
    """A row a board, keypoint and detector, for CSV: how often it is labelled and scored, and its pixel metrics."""
    import pandas as pd

    return pd.DataFrame(keypoint_records([selection.rows_of(board) for board in boards]))


def _as_row(board: Board, row: BoardRow, known: set[str], costs: bool) -> dict[str, Any]:
    """A row as a JSON object.

    Args:
        board: Its board.
        row: The row.
        known: The metrics that some row of the board has.
        costs: Whether some row of the board knows more of its cost than seconds on the clock.
    """
    facts = row.record.facts
    return {
        "detector": row.config.detector,
        "row": row.label,
        "task": board.task,
        "version": board.version,
        "data": board.data,
        "data_digest": board.digest,
        "n_train": row.config.n_train or None,
        "budget": row.config.budget,
        "status": "finished" if row.runs else "failed",
        "ranked": row.record.ranked,
        "position": row.position,
        "rank": None if row.rank_low is None else rank(row, "-"),
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "untested": row.untested,
        "advised": bool(row.runs) and row.label == board.advice.advised,
        "seeds": list(row.seeds),
        "failed_seeds": sorted(row.failures),
        "error": row.error,
        "marks": list(row.marks),
        **{name: row.metrics.get(name) for name, entry in metrics().items() if entry.applies is None or name in known},
        **({"pair": ",".join(board.pair)} if board.pair else {}),
        **_limits("mean", row.interval),
        **_limits("exact", row.exact_interval),
        "untrained_mean": row.untrained.get("mean"),
        "untrained_exact": row.untrained.get("exact"),
        "fit_seconds": row.fit_seconds,
        "predict_ms": row.predict_ms,
        **({"fit_ratio": row.fit_ratio, **{name: row.cost(name) for name in Cost.model_fields}} if costs else {}),
        "n_parameters": row.n_parameters,
        "device": row.config.device,
        "threads": row.config.threads,
        "processor": facts.processor,
        "instruction_set": facts.instruction_set,
        "code": "" if row.code is None else row.code.status,
        "changed_files": [] if row.code is None else list(row.code.files),
        "config": row.config.digest,
        "name": row.config.name,
        "detector_version": row.config.detector_version,
        "parameters": dict(row.config.parameters),
        "annotations": ",".join(row.annotation_digests),
        "keypoints": {name: row.keypoint(name) for name in board.keypoints} if row.runs else {},
        "taxonomy": row.taxonomy,
    }


def _advice(advice: Advice) -> dict[str, Any]:
    return {
        "code": advice.code,
        "name": advice.name,
        "leader": advice.leader,
        "margin": advice.margin,
        "qualifying": list(advice.qualifying),
        "images_needed": advice.images_needed,
    }


def _limits(name: str, span: Interval | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys((f"{name}_low", f"{name}_high", f"{name}_interval"))
    low, high = (value if math.isfinite(value) else None for value in (span.low, span.high))
    return {f"{name}_low": low, f"{name}_high": high, f"{name}_interval": words.interval(span)}
