"""Rows by boards: what detectors reach on several tasks, as a table and as a drawing of it.

A cell is a figure as the boards write it: with half its 95 % interval, or the wider side of that, and the letters of the
marks that the row has on that board.
"""

from __future__ import annotations

import math
from typing import Any

from benchmark.metrics.registry import metrics, percent
from benchmark.study.evidence import Evidence
from benchmark.study.study_file import AcrossTable
from benchmark.suggestions import unknown
from leaderboard.render.columns import NONE, mean, name
from leaderboard.render.markdown import table
from leaderboard.rows import BoardRow

SHARES = ("exact", "pck")


def across(asked: AcrossTable, evidence: Evidence) -> list[str]:
    """The lines of the table, and of the link to its drawing.

    Raises:
        UserError: For a metric or board that is none.
    """
    for metric in asked.metrics:
        if metric not in metrics():
            raise unknown("metric", metric, metrics())
    cells = [
        [detector, *(NONE if row is None else cell(row, asked.metrics) for row in line)]
        for detector, line in _rows(asked, evidence)
    ]
    lines = table(["detector", *asked.boards], cells)
    return [*lines, "", f"![The same as a drawing.]({asked.heat})"] if asked.heat else lines


def cell(row: BoardRow, of: tuple[str, ...]) -> str:
    """``0.220 ±0.177, 97.3 ±1.9 % [r]``: some metrics of a row, and the letters of its marks."""
    parts = [text for metric in of if (text := _figure(row, metric))]
    return ", ".join(parts) + name(row).removeprefix(row.label) if parts else NONE


def _figure(row: BoardRow, metric: str) -> str:
    value = row.metrics.get(metric)
    if value is None:
        return ""
    if metric == "mean":
        return mean(row)
    if not metric.startswith(SHARES):
        return f"{value:.3f}"
    span = row.exact_interval if metric == "exact" else None
    half = math.inf if span is None else 100 * max(span.high - value, value - span.low)
    return percent(value) + (f" ±{half:.1f} %" if math.isfinite(half) else " %")


def _rows(asked: AcrossTable, evidence: Evidence) -> list[tuple[str, list[BoardRow | None]]]:
    """Each detector with its row on each board; None where it has none."""
    found = []
    for detector in asked.rows:
        line = []
        for on in asked.boards.values():
            known = any(detector in (row.label, row.config.detector) for row in evidence.board(on).finished)
            line.append(evidence.row(detector, on) if known else None)
        found.append((detector, line))
    return found


def heat(asked: AcrossTable, evidence: Evidence) -> dict[str, Any]:
    """The share exact of a table's rows on its boards, the darker the more: the Vega-Lite specification, with its data."""
    import altair as alt

    from leaderboard.render.plots.theme import config

    records = [
        {"detector": detector, "board": board, "share": 100 * share, "text": percent(share)}
        for detector, line in _rows(asked, evidence)
        for board, row in zip(asked.boards, line, strict=True)
        if row is not None and (share := row.metrics.get("exact")) is not None
    ]
    base = alt.Chart(alt.InlineData(values=records)).encode(
        x=alt.X("board:N", sort=list(asked.boards), title=None, axis=alt.Axis(orient="top", labelAngle=-40)),
        y=alt.Y("detector:N", sort=list(asked.rows), title=None),
    )
    shade = alt.Scale(domain=[0, 100], range=["#f3f6f9", "#0072b2"])
    squares = base.mark_rect().encode(color=alt.Color("share:Q", scale=shade, legend=None))
    words = base.mark_text(fontSize=11).encode(
        text="text:N", color=alt.condition("datum.share > 55", alt.value("#ffffff"), alt.value("#1b1f24"))
    )
    title = {"text": "Share of points on the exact pixel, %", "subtitle": "empty: not run"}
    chart: Any = alt.layer(squares, words, title=title).properties(width={"step": 50}, height={"step": 22})
    made: dict[str, Any] = chart.to_dict()
    made["config"] = config("light")
    return made
