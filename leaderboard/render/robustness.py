"""The table of robustness in a terminal, as wide as that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.metrics.registry import percent
from leaderboard.render.printed import add, new_table, say
from leaderboard.robustness import Robustness

if TYPE_CHECKING:
    from rich.console import Console

COLUMN = 9


def print_robustness(title: str, rows: Sequence[Robustness], console: Console) -> None:
    """Print a row a detector: clean, corrupted, and each corruption where there is room.

    Args:
        title: What was asked about.
        rows: Least error first.
        console: Where to.
    """
    kinds = list(rows[0].curves)
    names = max(len(row.detector) for row in rows)
    room = max(0, (console.width - names - 40) // COLUMN)
    shown = kinds if room >= len(kinds) else kinds[:room]
    say(console, f"{title}: mean error px on corrupted images", "bold", wrap=True)
    table = new_table(["detector", "clean", "corrupted", "of mean", "exact %", *shown])
    for row in rows:
        half = "" if row.span is None else f" ±{row.span.high - row.span.mean:.2f}"
        cells = [
            f"{row.clean:.3f}",
            f"{row.corrupted:.2f}{half}",
            "" if row.relative is None else f"{row.relative:.2f}",
        ]
        cells += ["" if row.exact is None else percent(row.exact)]
        add(table, [row.detector, *cells, *(f"{sum(row.curves[k]) / len(row.curves[k]):.2f}" for k in shown)])
    console.print(table, highlight=False)
    notes = [
        "corrupted: mean over corruptions and five severities, fitted on clean images; ±: 95 % interval",
        "of mean: the share of the training mean's error on the same images",
    ]
    if len(shown) < len(kinds):
        notes.append(f"{len(kinds) - len(shown)} corruptions not shown here; --json has every curve")
    for note in notes:
        say(console, note, "dim", wrap=True)
