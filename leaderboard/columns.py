"""The columns of a board and how their figures are written; one list serves terminal and files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from leaderboard.board import Board
from leaderboard.rows import LEGEND, TIED, BoardRow


@dataclass(frozen=True)
class Column:
    """head: what stands above it. cell: the text of a row. need: 0 always shown, the largest leaves first."""

    head: str
    cell: Callable[[BoardRow], str]
    need: int
    left: bool = False


def columns(board: Board) -> list[Column]:
    """The columns of a board, in order; those that would be empty in every row are left out."""
    many, several = board.many, len(board.keypoints) > 1
    every = [
        Column("#", lambda row: "–" if row.rank is None else str(row.rank), 0),
        Column("tier", lambda row: "–" if row.tier is None else str(row.tier), 2),
        Column("detector", _name, 0, left=True),
        Column("mean px", _mean, 0),
        Column("exact %", _percent("exact"), 1),
        Column("all exact %", _percent("exact_all") if several else _nothing, 7),
        Column("PCK@1 %", _percent("pck@1"), 5),
        Column("p95 px", _figure("p95", ".2f"), 6),
        Column("r2", _figure("r2", ".3f"), 11),
        Column("sqdist_r2", _figure("sqdist_r2", ".3f"), 9),
        Column("dist_r2", _figure("dist_r2", ".3f"), 12),
        Column("AP", _ap, 8),
        Column("precision", _figure("precision", ".3f"), 7),
        Column("recall", _figure("recall", ".3f"), 4),
        Column("misses", _figure("misses", ".4g") if many else _nothing, 13),
        Column("fit s", lambda row: _short(row.fit_seconds), 3),
        Column("ms/image", lambda row: _short(row.predict_ms), 10),
        Column("parameters", lambda row: _count(row.n_parameters), 13),
        Column("seeds", _seeds, 4),
        Column("untrained exact %", _untrained, 14),
    ]
    shown = (*board.rows, *board.references)
    return [column for column in every if not column.need or any(column.cell(row) for row in shown)]


def _name(row: BoardRow) -> str:
    letters = "".join(LEGEND[mark][0] for mark in row.marks if mark != TIED)
    return row.label + (f" [{letters}]" if letters else "")


def _mean(row: BoardRow) -> str:
    value, found = row.metrics["mean"], row.interval
    if value is None:
        return "–"
    half = math.inf if found is None else found.high - found.mean
    return f"{value:.3f}" + (f" ±{half:.3f}" if math.isfinite(half) else "")


def _ap(row: BoardRow) -> str:
    value = row.metrics["ap"]
    return "" if value is None else f"{value:.3f}" + (f" {LEGEND[TIED][0]}" if TIED in row.marks else "")


def _seeds(row: BoardRow) -> str:
    found = row.seeds
    if len(found) > 2 and found == tuple(range(found[0], found[-1] + 1)):
        return f"{found[0]}-{found[-1]}"
    return ",".join(map(str, found))


def _untrained(row: BoardRow) -> str:
    value = row.untrained.get("exact")
    return "" if value is None else share(value)


def _percent(name: str) -> Callable[[BoardRow], str]:
    def cell(row: BoardRow) -> str:
        value = row.metrics.get(name)
        return "" if value is None else share(value)

    return cell


def _figure(name: str, form: str) -> Callable[[BoardRow], str]:
    def cell(row: BoardRow) -> str:
        value = row.metrics.get(name)
        return "" if value is None else f"{value + 0.0:{form}}".replace("-0.000", "0.000")

    return cell


def _nothing(row: BoardRow) -> str:
    return ""


def share(value: float) -> str:
    """Per cent with one decimal; 100.0 and 0.0 only where they are meant."""
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}"
    return f"{min(max(100 * value, 0.05), 99.9):.1f}" if value >= 0.0005 else f"{100 * value:.2g}"


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _count(value: int | None) -> str:
    if value is None:
        return ""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return str(value)
