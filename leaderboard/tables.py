"""Boards as people and programs read them: a table for the terminal, ``LEADERBOARD.md``, CSV and JSON.

One list of columns (`leaderboard.columns`) serves all of them. A narrow terminal gets the columns that matter most; a wide one, and every file,
gets them all.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import writing
from benchmark.metrics import METRICS
from benchmark.statistics.uncertainty import Interval
from leaderboard.board import Board
from leaderboard.columns import Column, columns, share
from leaderboard.rows import LEGEND, TIED, BoardRow, over_seeds

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

NAME_WIDTH = 40
NAMES = ("LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json")


def as_rows(board: Board) -> list[dict[str, Any]]:
    """The rows as JSON objects: identity, standing, the metrics of METRICS.md by name, interval, cost, marks, errors."""
    return [_as_row(board, row) for row in board.every]


def frame(boards: Sequence[Board]) -> pd.DataFrame:
    """A row a board row, best first within its board; nested objects (keypoints, taxonomy) are left to the JSON."""
    import pandas as pd

    rows = [row for board in boards for row in as_rows(board)]
    found = pd.DataFrame([{k: v for k, v in row.items() if not isinstance(v, dict)} for row in rows])
    whole = [name for name in ("rank", "tier", "n_parameters", "n_train") if name in found]
    return found.astype(dict.fromkeys(whole, "Int64"))


def render(board: Board, console: Console) -> None:
    """Print a board: title, table, which row to use, the failed rows, the legend."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    chosen = _fitting(board, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in chosen:
        table.add_column(
            column.head, justify="left" if column.left else "right", no_wrap=not column.left, overflow="fold"
        )
    for i, row in enumerate(board.rows):
        table.add_row(*(escape(column.cell(row)) for column in chosen), end_section=i == len(board.rows) - 1)
    for row in board.references:
        table.add_row(*(escape(column.cell(row)) for column in chosen), style="dim")
    console.print()
    console.print(f"{board.title}: {_size(board)}", style="bold", highlight=False, markup=False)
    console.print(table, highlight=False)
    if board.use:
        console.print(board.use, style="bold", highlight=False, markup=False)
    for row in board.failed:
        console.print(f"failed: {row.label}: {row.error}", style="red", highlight=False, markup=False)
    for line in _footnotes(board, chosen):
        console.print(line, style="dim", highlight=False, markup=False)


def markdown(boards: Sequence[Board]) -> str:
    """``LEADERBOARD.md``: every board with all columns."""
    from jinja2 import Environment

    env = Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return env.from_string(_TEMPLATE).render(
        boards=boards, table=_table, cell=_escaped, size=_size, footnotes=_footnotes, by_keypoint=_by_keypoint
    )


def write(boards: Sequence[Board], folder: Path) -> list[Path]:
    """Write ``LEADERBOARD.md``, ``.csv`` and ``.json`` into ``folder``, each written aside and renamed; returns the paths."""
    rows = [row for board in boards for row in as_rows(board)]
    table = frame(boards)
    for name in ("seeds", "marks", "failed_seeds"):
        if name in table:
            table[name] = [(" " if name != "marks" else "; ").join(map(str, values)) for values in table[name]]
    texts = (
        markdown(boards),
        table.to_csv(index=False, lineterminator="\n"),
        json.dumps(rows, indent=1, allow_nan=False),
    )
    paths = [folder / name for name in NAMES]
    for path, text in zip(paths, texts):
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8", newline="\n")
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
    return paths


_TEMPLATE = """\
# Leaderboard

Ranked by mean pixel error on the test images, best first; every figure is scored from stored predictions.
{% for board in boards %}

## {{ board.title }}

{{ size(board) }}.

{% for line in table(board) %}
{{ line }}
{% endfor %}

{% if board.use %}
**{{ cell(board.use) }}**

{% endif %}
{% if board.keypoints | length > 1 %}
{{ by_keypoint(board) }}

{% endif %}
{% for row in board.failed %}
- failed: {{ cell(row.label) }}: {{ cell(row.error) }}
{% endfor %}
{% for line in footnotes(board) %}
- {{ cell(line) }}
{% endfor %}
{% endfor %}
"""


def _as_row(board: Board, row: BoardRow) -> dict[str, Any]:
    facts = row.record.facts
    tables = row.scores
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
        "rank": row.rank,
        "tier": row.tier,
        "p": row.p,
        "untested": row.why,
        "seeds": list(row.seeds),
        "failed_seeds": sorted(row.failures),
        "error": row.error,
        "marks": list(row.marks),
        **{name: row.metrics.get(name) for name in METRICS},
        **_limits("mean", row.interval),
        **_limits("exact", row.exact_interval),
        "untrained_mean": row.untrained.get("mean"),
        "untrained_exact": row.untrained.get("exact"),
        "fit_seconds": row.fit_seconds,
        "predict_ms": row.predict_ms,
        "n_parameters": row.n_parameters,
        "device": row.config.device,
        "threads": row.config.threads,
        "processor": facts.processor,
        "instruction_set": facts.instruction_set,
        "config": row.config.digest,
        "annotations": ",".join(row.annotation_digests),
        "keypoints": {name: _keypoint(row, name) for name in board.keypoints} if tables else {},
        "taxonomy": {kind: sum(t.taxonomy[kind] for t in tables) / len(tables) for kind in tables[0].taxonomy}
        if tables
        else {},
    }


def _limits(name: str, found: Interval | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys((f"{name}_low", f"{name}_high", f"{name}_interval"))
    low, high = (value if math.isfinite(value) else None for value in (found.low, found.high))
    return {
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_interval": "; ".join(filter(None, (found.method, found.note))),
    }


def _keypoint(row: BoardRow, name: str) -> dict[str, float | None]:
    return over_seeds([table.keypoints[name] for table in row.scores])


def _table(board: Board) -> list[str]:
    """A markdown table of the ranked and reference rows, the latter in italics."""
    shown = columns(board)
    lines = [
        "| " + " | ".join(column.head for column in shown) + " |",
        "| " + " | ".join(":--" if column.left else "--:" for column in shown) + " |",
    ]
    for row in (*board.rows, *board.references):
        cells = [_escaped(column.cell(row)) for column in shown]
        if not row.record.ranked:
            cells = [f"*{cell}*" if column.left else cell for column, cell in zip(shown, cells)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []


def _by_keypoint(board: Board) -> str:
    """A markdown table of mean error and exact share, a keypoint a column."""
    lines = ["| detector | " + " | ".join(f"{_escaped(name)}: px, exact %" for name in board.keypoints) + " |"]
    lines.append("| :-- |" + " --: |" * len(board.keypoints))
    for row in (*board.rows, *board.references):
        cells = []
        for name in board.keypoints:
            found = _keypoint(row, name)
            mean, exact = found["mean"], found["exact"]
            cells.append(("–" if mean is None else f"{mean:.3f}") + ("" if exact is None else f", {share(exact)}"))
        lines.append(f"| {_escaped(row.label)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _fitting(board: Board, width: int) -> list[Column]:
    """The columns that fit into ``width`` characters, those needed least left out first; never the four that tell most."""
    chosen = columns(board)
    shown = (*board.rows, *board.references)

    def taken() -> int:
        return sum(max([len(c.head), *(min(len(c.cell(row)), NAME_WIDTH) for row in shown)]) + 2 for c in chosen)

    while taken() > width and (spare := [column for column in chosen if column.need > 1]):
        chosen.remove(max(spare, key=lambda column: column.need))
    return chosen


def _size(board: Board) -> str:
    parts = [f"{board.images:,} test images"] if board.images else []
    parts += [f"{len(board.keypoints)} keypoints ({', '.join(board.keypoints)})"] if len(board.keypoints) > 1 else []
    parts += [f"out of {board.folds} folds"] if board.folds else []
    return ", ".join([*parts, f"data {board.digest[:12]}"])


def _footnotes(board: Board, shown: Sequence[Column] | None = None) -> list[str]:
    """What a reader must know of the ``shown`` columns (default all): AP, where it is left out, needs no caveat."""
    marks = board.marks if shown is None or any(column.head == "AP" for column in shown) else set(board.marks) - {TIED}
    lines = [f"{LEGEND[mark][0]}  {LEGEND[mark][1]}" for mark in board.marks if mark in marks]
    lines += board.notes
    if any(row.tier for row in board.rows):
        lines.append(f"Tiers: {board.rule}")
    if board.references:
        lines.append("Rows without a rank are references: neither ranked nor tested.")
    lines.append("Over seeds: the mean of each metric; the largest of max.")
    return lines


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
