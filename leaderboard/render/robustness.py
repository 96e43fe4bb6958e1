"""The table of robustness in a terminal, as wide as that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.metrics.registry import percent
from leaderboard.render.columns import NONE
from leaderboard.render.printed import add, new_table, say
from leaderboard.robustness import Robustness

if TYPE_CHECKING:
    from rich.console import Console

COLUMN = 9


def print_robustness(title: str, rows: Sequence[Robustness], console: Console, failed: Sequence[str] = ()) -> None:
    """Print a row a detector: clean, corrupted, and each corruption where there is room.

    Args:
        title: What was asked about.
        rows: Least error first.
        console: Where to.
        failed: Detectors that have failed, which have no row.
    """
    kinds = list(rows[0].curves)
    names = max(len(row.detector) for row in rows)
    room = max(0, (console.width - names - 40) // COLUMN)
    shown = kinds if room >= len(kinds) else kinds[:room]
    say(console, f"{title}: mean error px on corrupted images", "bold", wrap=True)
    table = new_table(["detector", "clean", "corrupted", "of mean", "exact %", *shown])
    for row in rows:
        half = row.span.high - row.span.mean if row.span is not None else math.inf
        cells = [
            _pixels(row.clean, 3),
            _pixels(row.corrupted, 2) + (f" ±{half:.2f}" if math.isfinite(half) else ""),
            "" if row.relative is None else f"{row.relative:.2f}",
        ]
        cells += ["" if row.exact is None else percent(row.exact)]
        add(table, [row.detector, *cells, *(_pixels(_over(row.curves[k]), 2) for k in shown)])
    console.print(table, highlight=False)
    notes = [
        "corrupted: mean over corruptions and five severities, fitted on clean images; ±: 95 % interval",
        "of mean: the share of the training mean's error on the same images",
    ]
    if any(row.exact is not None for row in rows):
        notes.append("exact %: over the corruptions that keep points on their lattice")
    if len(shown) < len(kinds):
        notes.append(f"{len(kinds) - len(shown)} corruptions not shown here; --json has every curve")
    if failed:
        notes.append(f"failed, so without a row: {', '.join(failed)}")
    for note in notes:
        say(console, note, "dim", wrap=True)


def _over(curve: Sequence[float]) -> float:
    """The mean of the severities that leave a point to ask about; NaN where none does."""
    known = [value for value in curve if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _pixels(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE
