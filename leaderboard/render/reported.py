"""What the notes reported, as a table of its own below a board: cells for every layout, and the faults by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.render.columns import NONE
from leaderboard.render.printed import add, new_table, say
from leaderboard.reported import Reported, source

if TYPE_CHECKING:
    from rich.console import Console

TITLE = "Reported by the notes, not measured here"
HEADINGS = (
    "system",
    "images",
    "as reported",
    "mean px",
    "rmse px",
    "our nearest",
    "its mean px",
    "its rmse px",
    "faults",
)
NAMES = (0, 2, 5)
WIDE = 150  # characters that all of these take
WIDE_ONLY = ("images", "as reported", "its mean px")
SHOWN = ("mse", "dist_avg", "r2")  # as reported; the JSON has all


def cells(rows: Sequence[Reported]) -> list[list[str]]:
    """A list of cells a system, as `HEADINGS`."""
    numbers = {sentence: i + 1 for i, sentence in enumerate(_sentences(rows))}
    return [
        [
            row.system,
            str(row.images),
            ", ".join(f"{name} {row.figures[name]:.3g}" for name in SHOWN if name in row.figures),
            *(_px(value) for value in (row.mean, row.rmse)),
            NONE if row.ours is None else row.ours.label,
            *(_px(None if row.ours is None else row.ours.metrics.get(name)) for name in ("mean", "rmse")),
            ", ".join(str(numbers[sentence]) for sentence in row.faults),
        ]
        for row in rows
    ]


def notes(rows: Sequence[Reported]) -> list[str]:
    """What must be known of these figures: where they are from, and every fault by its number."""
    return [
        f"From {source()}: one fit each, the validation split, in scaled units (1 is 14 px); other images than ours. "
        "Neither ranked nor tested: leads, no results.",
        *(f"Fault {i + 1}: {sentence}." for i, sentence in enumerate(_sentences(rows))),
    ]


def print_reported(rows: Sequence[Reported], console: Console) -> None:
    """Print the table below its board; nothing where there is nothing."""
    if not rows:
        return
    console.print()
    say(console, TITLE, "bold", wrap=True)
    shown = [i for i, heading in enumerate(HEADINGS) if console.width >= WIDE or heading not in WIDE_ONLY]
    table = new_table([HEADINGS[i] for i in shown], [shown.index(i) for i in NAMES if i in shown])
    for row in cells(rows):
        add(table, [row[i] for i in shown], style="dim")
    console.print(table, highlight=False)
    for note in notes(rows):
        say(console, note, "dim", wrap=True)


def _sentences(rows: Sequence[Reported]) -> list[str]:
    return list(dict.fromkeys(sentence for row in rows for sentence in row.faults))


def _px(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"
