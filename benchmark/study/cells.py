"""A table of cells that are named one by one: a detector beside its ablation, backbones by poolings, runs of a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.metrics.registry import metrics, percent
from benchmark.structures import UserError
from benchmark.study.evidence import Evidence
from benchmark.study.study_file import Cell, CellTable
from benchmark.suggestions import unknown
from leaderboard.render.columns import NONE
from leaderboard.render.markdown import table


def cell_table(asked: CellTable, evidence: Evidence) -> list[str]:
    """The lines of the table.

    Raises:
        UserError: For a row, a seed or a metric that is none.
    """
    here = evidence.at(asked)
    lines = []
    for name, cells in asked.rows.items():
        line = [name, *(_cell(cell, asked.metrics, here) for cell in cells)]
        if asked.difference:
            first, second = map(str, cells)
            result = here.compared(second, first).result
            line.append(f"{result.difference:+.3f} ({result.low:+.3f} to {result.high:+.3f})")
        lines.append(line)
    return table([asked.corner, *asked.columns, *(["difference px"] if asked.difference else [])], lines)


def _cell(cell: Cell | str | None, shown: Sequence[str], evidence: Evidence) -> str:
    if cell is None:
        return ""
    asked = Cell(row=cell) if isinstance(cell, str) else cell
    row = evidence.row(asked.row, asked)
    figures: Mapping[str, Any] = row.metrics
    if asked.seed is not None:
        runs = [run for run in row.runs if run.record.seed == asked.seed]
        if not runs:
            raise UserError(f"{row.label} has no run of seed {asked.seed}; it has {', '.join(map(str, row.seeds))}")
        figures = runs[0].record.scores
    return ", ".join(_text(figures, name) for name in asked.metrics or shown)


def _text(figures: Mapping[str, Any], name: str) -> str:
    if name not in figures:
        raise unknown("metric", name, figures)
    value, unit = figures[name], metrics()[name].unit
    if value is None:
        return NONE
    return f"{percent(value)} %" if unit == "share" else f"{value:.3f} {unit}".rstrip()
