"""Specifications of plots, as dictionaries: with a theme, and for a file with size, title and data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.structures import UserError
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.render.plots.kind import ROWS, SETTING, Kind, Record
from leaderboard.render.plots.records import choose, find, printable
from leaderboard.render.plots.theme import config
from leaderboard.rows import BoardRow


def spec(kind: Kind, variant: str = "", theme: str | None = None) -> dict[str, Any]:
    """The Vega-Lite specification of a kind, which reads the dataset ``rows`` and knows no data.

    Args:
        kind: What is drawn.
        variant: One of its variants; "" for the first.
        theme: One of `leaderboard.render.plots.theme.THEMES`; None for none, where the caller sets ``config``.
    """
    names = list(kind.variants)
    if variant and variant not in names:
        raise unknown(f"variant of {kind.name}", variant, names)
    document: dict[str, Any] = kind.chart(variant or names[0]).to_dict(context={"pre_transform": False})
    document.pop("config", None)
    document["description"] = f"{kind.title}. {kind.reading}"
    if theme is not None:
        document["config"] = config(theme)
    return document


def document(
    board: Board,
    kind: Kind,
    *,
    variant: str = "",
    rows: Sequence[str] = (),
    against: str | None = None,
    theme: str = "light",
) -> dict[str, Any]:
    """The whole specification of a board's plot: with theme, size, title and data.

    Args:
        board: Whose.
        kind: What is drawn.
        variant: One of the kind's.
        rows: Labels or detectors to draw; none: those the kind draws by itself.
        against: The row that others are compared with; None: the leader.
        theme: One of `leaderboard.render.plots.theme.THEMES`.

    Raises:
        UserError: Where a row is on no such board, or there is nothing to draw.
    """
    chosen = choose(board, kind, rows)
    other = next(iter(board.rows), None) if against is None else find(board, against)[0]
    records = kind.data(board, chosen, other)
    if not records:
        raise UserError(f"{board.title}: nothing to plot as {kind.name}: {kind.none}")
    made = spec(kind, variant, theme)
    made["title"] = {"text": kind.title, "subtitle": subtitle(board, kind, other)}
    made["datasets"] = {ROWS: records, SETTING: []}
    return sized(made, kind, records)


def subtitle(board: Board, kind: Kind, against: BoardRow | None) -> list[str]:
    """What a plot is of: the board, its images, the row that others are compared with; and what its signs mean."""
    images = f"{printable(board.title)}, {board.images:,} test images"
    if kind.name == "pairs" and against:
        images += f"; against {printable(against.label)}"
    return [images, kind.key] if kind.key else [images]


def sized(made: dict[str, Any], kind: Kind, records: Sequence[Record]) -> dict[str, Any]:
    """The specification with the size of the kind; a plot with a line a row is as high as it has rows."""
    width, height = kind.size
    size = {"width": width, "height": height or {"step": 15}}
    for panel in panels(made):
        panel.update(size)
    return made


def panels(made: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a specification that have a size of their own: itself, or what it repeats or puts side by side."""
    if "facet" in made:
        return panels(made["spec"])
    beside = made.get("concat") or made.get("hconcat") or made.get("vconcat")
    return [panel for part in beside for panel in panels(part)] if beside else [made]
