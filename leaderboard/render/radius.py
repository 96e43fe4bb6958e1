"""Promised radii in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.statistics.radius import fewest_units
from leaderboard.radius import ALL, Radius
from leaderboard.render.printed import add, new_table, say

if TYPE_CHECKING:
    from rich.console import Console

NONE = "–"
TOGETHER = "(all)"


def print_radii(
    title: str, found: Sequence[Radius], grouped: bool, console: Console, notes: Sequence[str] = ()
) -> None:
    """Print a row a detector and keypoint, and what the promise is about.

    Args:
        title: What was asked about.
        found: At least one.
        grouped: Whether images come in groups.
        console: Where to.
        notes: On the predictions and annotations of another tool.
    """
    share = found[0].share
    percent = f"{100 * share:.4g} %"
    say(console, f"{title}: {percent} of points lie within", "bold", wrap=True)
    named = any(one.row for one in found)
    unit = "groups" if grouped else "images"
    missing = any(one.missed for one in found)
    headings = [*(["detector"] if named else []), "keypoint", "px", unit, *(["not found %"] if missing else [])]
    table = new_table(headings, names=range(2) if named else (0,))
    for i, one in enumerate(found):
        cells = [one.keypoint if one.keypoint != ALL else TOGETHER, pixels(one.pixels), f"{one.units:,}"]
        cells += [f"{100 * one.missed / one.points:.1f}"] if missing else []
        last = named and i + 1 < len(found) and found[i + 1].row != one.row
        add(table, [one.row, *cells] if named else cells, last=last and any(o.keypoint == ALL for o in found))
    console.print(table, highlight=False)
    about = "of a group not met before" if grouped else "not met before"
    say(
        console,
        f"The promise is about an image {about}, of the kind that the test images are: whatever the errors look like, "
        f"a point lies within its radius {percent} of the time or more.",
        "dim",
        wrap=True,
    )
    if any(math.isinf(one.pixels) for one in found):
        say(
            console,
            f"{NONE}: nothing can be promised: that takes {fewest_units(share)} {unit} or more, and points that are found.",
            "dim",
            wrap=True,
        )
    if len({one.row for one in found}) > 1:
        say(
            console,
            "Each promise is about its own row; the smallest of many was chosen by these images.",
            "dim",
            wrap=True,
        )
    for note in notes:
        say(console, note, "dim", wrap=True)


def pixels(radius: float) -> str:
    """A radius with two decimals, rounded up, for it has to hold; a dash where nothing is promised."""
    return NONE if math.isinf(radius) else f"{math.ceil(radius * 100 - 1e-9) / 100:.2f}"
