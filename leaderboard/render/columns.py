"""The one list of a board's columns, and of a table of keypoints: what every layout shows, made of the metric registry.

A metric has a column where its entry in `benchmark.metrics.registry` has one; its heading, format, place and priority
stand there. The others (what rows cost, how often a keypoint is labelled) are listed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from benchmark.metrics.registry import Metric, board_metrics, metrics, percent
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.keypoints import KeypointRow
from leaderboard.render.words import MARKS
from leaderboard.rows import TIED, BoardRow

NAME_WIDTH = 40
NONE = "–"
AnyRow = TypeVar("AnyRow")


@dataclass(frozen=True)
class Column(Generic[AnyRow]):
    """A column of a board, or of a table of keypoints.

    Attributes:
        heading: What stands above it.
        text: The cell of a row; "" for none.
        priority: 0 is always shown; where a table is too wide, the column with the largest number leaves first.
        name: Whether it holds names, aligned to the left and broken where they are long.
        key: What the CSV and the JSON call it, and a user who asks for it.
        metric: The metric it shows; None: it shows none.
    """

    heading: str
    text: Callable[[AnyRow], str]
    priority: int
    name: bool = False
    key: str = ""
    metric: Metric | None = None


def columns(board: Board) -> list[Column[BoardRow]]:
    """The columns of a board, from left to right; those that would be empty in every row are left out."""
    every = _every(_middle_only([entry for entry in board_metrics() if _applies(entry, board)], board.finished))
    return [column for column in every if not column.priority or any(column.text(row) for row in board.finished)]


def chosen_columns(names: Sequence[str]) -> list[Column[BoardRow]]:
    """The columns of these names, in this order, for any board; any metric has one, whatever a board shows by itself.

    Args:
        names: Each a column's key, a metric's name, or a heading.

    Raises:
        UserError: For a name of none, with the nearest.
    """
    known = {column.key: column for column in _every(list(metrics().values()))}
    headings = {column.heading: column for column in _every(board_metrics())}
    for name in names:
        if name not in known and name not in headings:
            raise unknown("column", name, known)
    return [known.get(name) or headings[name] for name in names]


def key_of(name: str) -> str:
    """The key of the column of that heading; the name itself where there is none."""
    return next((column.key for column in _every(board_metrics()) if column.heading == name), name)


def _every(shown: Sequence[Metric]) -> list[Column[BoardRow]]:
    """Every column there is, with these metrics."""
    return [
        Column("rank", rank, 0, key="rank"),
        Column("detector", name, 0, name=True, key="detector"),
        *(_metric_column(entry) for entry in shown),
        Column("fit s", lambda row: short(row.fit_seconds), 3, key="fit_seconds"),
        Column("cpu s", lambda row: short(row.cost("fit_processor_seconds")), 12, key="fit_processor_seconds"),
        Column("ms/image", lambda row: short(row.predict_ms), 10, key="predict_ms"),
        Column("ms alone", lambda row: short(row.cost("single_ms")), 16, key="single_ms"),
        Column("fit / ref", lambda row: short(row.fit_ratio), 15, key="fit_ratio"),
        Column("GiB", _gibibytes, 17, key="peak_memory"),
        Column("parameters", lambda row: count(row.n_parameters), 13, key="n_parameters"),
        Column("seeds", seeds, 4, key="seeds"),
        Column("untrained exact %", _untrained, 14, key="untrained_exact"),
    ]


def keypoint_columns(rows: Sequence[KeypointRow]) -> list[Column[KeypointRow]]:
    """The columns of a table of keypoints, from left to right: those of a board that a keypoint has, and the median.

    Args:
        rows: The whole table; columns that would be empty in every row are left out.
    """
    having = _sizes(any("nme" in row.metrics for row in rows))
    of_pixels = [entry for entry in board_metrics() if entry.per_keypoint and "baseline" not in entry.needs]
    shown = [entry for entry in of_pixels if entry.name == "median" or _for(entry, having)]
    every = [
        Column[KeypointRow]("keypoint", lambda row: row.keypoint, 0, name=True),
        Column[KeypointRow]("detector", lambda row: row.row, 0, name=True),
        Column[KeypointRow]("labelled", lambda row: f"{row.labelled:,}", 1),
        *([Column[KeypointRow]("scored", lambda row: f"{row.scored:,.0f}", 4)] if _some_missed(rows) else []),
        *(_keypoint_metric(entry) for entry in _middle_only(shown, rows)),
    ]
    empty = ("", NONE)
    return [one for one in every if one.heading == "keypoint" or any(one.text(row) not in empty for row in rows)]


def photographs(board: Board) -> bool:
    """Whether the board is of images on which pixels alone mean little; see `benchmark.metrics.scale`."""
    return any("nme" in row.metrics for row in board.finished)


def fitting(board: Board, width: int, gap: int = 2) -> list[Column[BoardRow]]:
    """The columns of a board that fit; see `fit`."""
    return fit(columns(board), board.finished, width, gap)


def fit(chosen: Sequence[Column[AnyRow]], rows: Sequence[AnyRow], width: int, gap: int = 2) -> list[Column[AnyRow]]:
    """The columns that fit; those of the largest priority leave first, the most telling never.

    Args:
        chosen: All columns.
        rows: The rows of the table.
        width: Characters there are.
        gap: Characters between two columns.
    """
    kept = list(zip(chosen, widths(rows, chosen), strict=True))
    while sum(taken + gap for _, taken in kept) > width and any(column.priority > 1 for column, _ in kept):
        kept.remove(max(kept, key=lambda pair: pair[0].priority))
    return [column for column, _ in kept]


def widths(rows: Sequence[AnyRow], shown: Sequence[Column[AnyRow]]) -> list[int]:
    """Characters that each column takes; a long name is broken."""
    return [max([len(column.heading), *(min(len(column.text(row)), NAME_WIDTH) for row in rows)]) for column in shown]


def unshown_marks(shown: Sequence[Column[BoardRow]]) -> tuple[str, ...]:
    """The marks that speak of a column which is not shown."""
    return () if any(column.heading == "AP" for column in shown) else (TIED,)


def rank(row: BoardRow, dash: str = "–") -> str:
    """``1``, or ``3–5`` where the tests leave several ranks open; ``–`` where it has none."""
    if row.rank_low is None:
        return NONE
    return str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}{dash}{row.rank_high}"


def name(row: BoardRow) -> str:
    """The row's label, and the letters of its marks."""
    letters = "".join(MARKS[mark].letter for mark in row.marks if mark != TIED)
    return row.label + (f" [{letters}]" if letters else "")


def mean(row: BoardRow, form: str = ".3f") -> str:
    """The mean error with half its interval, or the wider side of that."""
    value, span = row.metrics.get("mean"), row.interval
    if value is None:
        return NONE
    half = math.inf if span is None else span.high - span.mean
    return f"{value:{form}}" + (f" ±{half:{form}}" if math.isfinite(half) else "")


def seeds(row: BoardRow) -> str:
    """``0-2``, or one by one where they are few or have gaps."""
    known = row.seeds
    if len(known) > 2 and known == tuple(range(known[0], known[-1] + 1)):
        return f"{known[0]}-{known[-1]}"
    return ",".join(map(str, known))


def short(value: float | None) -> str:
    """A number of seconds or milliseconds, with about three digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def count(value: int | None) -> str:
    """A large number with a unit."""
    if value is None:
        return ""
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= unit:
            return f"{value / unit:.3g} {letter}"
    return str(value)


def _metric_column(entry: Metric) -> Column[BoardRow]:
    def text(row: BoardRow) -> str:
        value = row.metrics.get(entry.name)
        tied = " " + MARKS[TIED].letter if "confidence" in entry.needs and TIED in row.marks else ""
        return "" if value is None else entry.text(value) + tied

    heading, priority = (entry.column.heading, entry.column.priority) if entry.column else (entry.name, 0)
    return Column(heading, mean if entry.name == "mean" else text, priority, key=entry.name, metric=entry)


def _keypoint_metric(entry: Metric) -> Column[KeypointRow]:
    def text(row: KeypointRow) -> str:
        value = row.metrics.get(entry.name)
        return NONE if value is None else entry.text(value)

    assert entry.column is not None, "board_metrics has those with a column"
    return Column(entry.column.heading, text, entry.column.priority, key=entry.name, metric=entry)


def _applies(entry: Metric, board: Board) -> bool:
    """Whether a metric's column is for boards of such data."""
    having = {
        "several_instances": board.multi_instance,
        "several_keypoints": len(board.keypoints) > 1,
        **_sizes(photographs(board)),
    }
    return _for(entry, having)


def _sizes(photographs: bool) -> dict[str, bool]:
    return {"photographs": photographs, "small_images": not photographs}


def _for(entry: Metric, having: Mapping[str, bool]) -> bool:
    """Whether a metric's column is for data that has these properties."""
    return entry.column is not None and all(having.get(need, True) for need in entry.column.only_for)


def _middle_only(entries: Sequence[Metric], rows: Sequence[BoardRow] | Sequence[KeypointRow]) -> list[Metric]:
    """The metrics without all thresholds in pixels but the one in the middle: files have the others as well."""
    has = [e.name for e in entries if e.name.startswith("pck@") and any(e.name in row.metrics for row in rows)]
    beside = {*has[: len(has) // 2], *has[len(has) // 2 + 1 :]}
    return [entry for entry in entries if entry.name not in beside]


def _some_missed(rows: Sequence[KeypointRow]) -> bool:
    return any(row.scored != row.labelled for row in rows)


def _gibibytes(row: BoardRow) -> str:
    size = row.cost("peak_memory")
    return "" if size is None else f"{size / 2**30:.2f}"


def _untrained(row: BoardRow) -> str:
    value = row.untrained.get("exact")
    return "" if value is None else percent(value)
