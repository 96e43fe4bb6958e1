"""The catalog of plots: their names and what each shows. Imports nothing, so that help costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from benchmark.suggestions import unknown

if TYPE_CHECKING:
    from leaderboard.render.plots.kind import Kind

KINDS: dict[str, str] = {
    "cost": "error against seconds to fit, or milliseconds an image, and the rows that no other beats in both",
    "pck": "share of keypoints within any distance: the cumulative distribution of each row's error",
    "actual": "predicted against annotated coordinates, by axis, with R2",
    "history": "error and loss by epoch, while fitting",
    "learning": "error against the number of training images",
    "r2": "dist_r2 against dist_avg, the two figures of the notes",
    "pairs": "difference of every row from one row, with its interval",
    "ranks": "rank interval of every row, and its mean error with every seed",
}
"""Name -> what it shows, in the order of the page."""


def load(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UserError: Where it is no key of `KINDS`.
    """
    if name not in KINDS:
        raise unknown("plot", name, KINDS)
    kind: Kind = import_module(f"leaderboard.render.plots.{name}").KIND
    return kind
