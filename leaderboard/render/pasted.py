"""Tables as they are pasted into other documents: plain cells, and what a reader of them must know.

`leaderboard.render.markdown`, ``latex`` and ``html`` write these; what is special to each, such as escaping, is theirs
alone, so a cell says the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.board import Board
from leaderboard.keypoints import keypoint_rows
from leaderboard.render import words
from leaderboard.render.columns import Column, fit, keypoint_columns, unshown_marks
from leaderboard.render.selection import ALL, Selection
from leaderboard.rows import BoardRow

WIDTH = 118  # characters; what `LEADERBOARD.md` has
BOLD = "Bold: the best figure of a column among the ranked rows, shown to be better or not."


@dataclass(frozen=True)
class Pasted:
    """A table; all texts are plain, whatever names hold.

    Attributes:
        title: Which board.
        size: What it is about.
        headings: One a column.
        names: The columns that hold names; the others hold figures.
        header: The column that names a row.
        bodies: Groups of rows of cells, with a line between two groups.
        best: (body, row, column) of the cells that hold the best figure of their column.
        notes: Sentences.
    """

    title: str
    size: str
    headings: tuple[str, ...]
    names: tuple[int, ...]
    header: int
    bodies: tuple[tuple[tuple[str, ...], ...], ...]
    best: frozenset[tuple[int, int, int]]
    notes: tuple[str, ...]


def board_table(board: Board, selection: Selection = ALL) -> Pasted:
    """A board: ranked rows, then reference rows.

    Args:
        board: Which.
        selection: Which rows and columns of it.
    """
    some = selection.rows_of(board)
    shown = selection.columns_of(board, WIDTH, gap=3)
    bodies = [rows for rows in (some.rows, some.references) if rows]
    best = _best(some.rows, shown)
    rules = [*words.SHORT_RULES, *([words.REFERENCES] if some.references else [])]
    notes = [
        *(f"failed: {row.label}: {row.error}" for row in some.failed),
        *filter(None, [words.left_out(board, some)]),
        *words.notes_of(some),
        *(f"{letter}: {meaning}." for letter, meaning in words.legend([some], without=unshown_marks(shown))),
        *(f"{rule[0].upper()}{rule[1:]}." for rule in rules),
    ]
    return Pasted(
        title=board.title,
        size=words.size(board),
        headings=tuple(column.heading for column in shown),
        names=tuple(i for i, column in enumerate(shown) if column.name),
        header=next((i for i, column in enumerate(shown) if column.name), 0),
        bodies=tuple(tuple(tuple(column.text(row) for column in shown) for row in rows) for rows in bodies),
        best=best,
        notes=tuple(notes),
    )


def keypoint_table(board: Board, selection: Selection = ALL) -> Pasted:
    """How well each keypoint of a board is found: a body a keypoint.

    Args:
        board: Which.
        selection: Which rows of it.
    """
    rows = keypoint_rows(selection.rows_of(board))
    shown = fit(keypoint_columns(rows), rows, WIDTH, gap=3)
    names = tuple(i for i, column in enumerate(shown) if column.name)
    bodies = [
        [row for row in rows if row.keypoint == keypoint] for keypoint in dict.fromkeys(row.keypoint for row in rows)
    ]
    return Pasted(
        title=board.title,
        size=words.size(board),
        headings=tuple(column.heading for column in shown),
        names=names,
        header=names[-1] if names else 0,
        bodies=tuple(tuple(tuple(column.text(row) for column in shown) for row in some) for some in bodies),
        best=frozenset(),
        notes=tuple(words.keypoint_notes(rows)),
    )


def _best(rows: Sequence[BoardRow], shown: Sequence[Column[BoardRow]]) -> frozenset[tuple[int, int, int]]:
    """Where the best figure of each metric stands, among ranked rows; more than once where several are written alike."""
    found = set()
    for j, column in enumerate(shown):
        entry = column.metric
        known = {i: value for i, row in enumerate(rows) if entry and (value := row.metrics.get(entry.name)) is not None}
        if entry is None or not entry.better or not known:
            continue
        best = (min if entry.better == "lower" else max)(known.values())
        found |= {(0, i, j) for i, value in known.items() if entry.text(value) == entry.text(best)}
    return frozenset(found)
