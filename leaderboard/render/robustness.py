"""The table of robustness in a terminal, as wide as that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.metrics.registry import percent
from leaderboard.render.columns import NONE
from leaderboard.render.printed import NARROWEST_NAME, add, new_table, say
from leaderboard.robustness import Robustness

if TYPE_CHECKING:
    from rich.console import Console


def print_robustness(title: str, rows: Sequence[Robustness], console: Console, failed: Sequence[str] = ()) -> None:
    """Print a row a detector: clean, corrupted, and each corruption where there is room.

    Args:
        title: What was asked about.
        rows: Least error first.
        console: Where to.
        failed: Detectors that have failed, which have no row.
    """
    kinds = list(rows[0].curves)
    columns = {
        "clean": [_pixels(row.clean, 3) for row in rows],
        "corrupted": [_pixels(row.corrupted, 2) + _half(row) for row in rows],
        "of mean": ["" if row.relative is None else f"{row.relative:.2f}" for row in rows],
        "exact %": ["" if row.exact is None else percent(row.exact) for row in rows],
        **{kind: [_pixels(_over(row.curves[kind]), 2) for row in rows] for kind in kinds},
    }
    names = max(len("detector"), *(len(row.detector) for row in rows))
    shown = _fitting(columns, console.width - names) or _fitting(columns, console.width - NARROWEST_NAME)
    say(console, f"{title}: mean error px on corrupted images", "bold", wrap=True)
    table = new_table(["detector", *shown])
    for i, row in enumerate(rows):
        add(table, [row.detector, *(columns[heading][i] for heading in shown)])
    console.print(table, highlight=False)
    notes = ["corrupted: mean over corruptions and five severities, fitted on clean images; ±: 95 % interval"]
    if "of mean" in shown:
        notes.append("of mean: the share of the training mean's error on the same images")
    if "exact %" in shown and any(row.exact is not None for row in rows):
        notes.append("exact %: over the corruptions that keep points on their lattice")
    if len(shown) < len(columns):
        hidden = sum(kind not in shown for kind in kinds)
        notes.append(f"{hidden} corruptions not shown here; --json has every curve")
    if failed:
        notes.append(f"failed, so without a row: {', '.join(failed)}")
    for note in notes:
        say(console, note, "dim", wrap=True)


def _fitting(columns: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """The first columns that fit into so many characters; none where not even the error on corrupted images does."""
    shown: list[str] = []
    for heading, cells in columns.items():
        width -= 2 + max(len(heading), *map(len, cells))
        if width < 0:
            break
        shown.append(heading)
    return shown if "corrupted" in shown else []


def _half(row: Robustness) -> str:
    half = row.span.high - row.span.mean if row.span is not None else math.inf
    return f" ±{half:.2f}" if math.isfinite(half) else ""


def _over(curve: Sequence[float]) -> float:
    """The mean of the severities that leave a point to ask about; NaN where none does."""
    known = [value for value in curve if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _pixels(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE
