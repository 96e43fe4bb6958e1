"""Robustness in a report: what corrupted images cost each detector, over all corruptions and in each."""

from __future__ import annotations

import math
from typing import Any

from benchmark.metrics.registry import percent
from benchmark.structures import UserError
from benchmark.study.evidence import Evidence
from benchmark.study.study_file import CorruptedTable, Curves
from leaderboard.render.columns import NONE
from leaderboard.render.markdown import table
from leaderboard.render.plots.theme import SERIES
from leaderboard.robustness import Robustness


def corrupted_table(asked: CorruptedTable, evidence: Evidence) -> list[str]:
    """The lines of the table: a row a detector, least error first."""
    rows = [row for row in evidence.corrupted if not asked.rows or row.detector in asked.rows]
    rows = [evidence.hardiness(row.detector) for row in rows]
    if unknown := [name for name in asked.rows if name not in {row.detector for row in rows}]:
        evidence.hardiness(unknown[0])  # says what it may have meant
    kinds = list(rows[0].curves)
    cells = [
        [
            row.detector,
            _px(row.clean),
            _px(row.corrupted) + ("" if row.span is None else f" ({_px(row.span.low)} to {_px(row.span.high)})"),
            NONE if row.relative is None else f"{row.relative:.2f}",
            NONE if row.exact is None else percent(row.exact),
            *(_px(_mean(row.curves[kind])) for kind in kinds),
            str(len(row.seeds)),
        ]
        for row in rows
    ]
    headings = ["detector", "clean px", "corrupted px", "of mean", "exact %", *kinds, "seeds"]
    return [
        *table(headings, cells),
        "",
        "- corrupted px: the mean corruption error, over corruptions and five severities, with its 95 % interval; "
        "of mean: its share of the training mean's. Each corruption: px, mean over its severities.",
        "- exact %: over the corruptions that keep points on whole pixels.",
    ]


def corrupted_said(evidence: Evidence, row: str) -> str:
    """The mean corruption error of one detector with its interval, for prose."""
    found = evidence.hardiness(row)
    return f"{_px(found.corrupted)} px" + (
        "" if found.span is None else f" ({_px(found.span.low)} to {_px(found.span.high)})"
    )


def corrupted_records(asked: Curves, evidence: Evidence) -> list[dict[str, Any]]:
    """A record a corruption, severity and detector: px; severity 0 is clean.

    Raises:
        UserError: For more detectors than there are colours.
    """
    most = len(SERIES["light"])
    if len(asked.rows) > most:
        raise UserError(f"curves of {len(asked.rows)} detectors: name {most} at most, as many as there are colours")
    found: list[Robustness] = [evidence.hardiness(name) for name in asked.rows]
    return [
        {"panel": kind, "place": place, "row": row.detector, "x": severity, "value": value}
        for row in found
        for place, (kind, curve) in enumerate(row.curves.items())
        for severity, value in enumerate((row.clean, *curve))
        if math.isfinite(value)
    ]


def _mean(curve: tuple[float, ...]) -> float:
    """Of the severities that leave a point to ask about; NaN where none does."""
    known = [value for value in curve if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _px(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else NONE
