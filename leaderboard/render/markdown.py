"""``LEADERBOARD.md``, and single tables to paste, as markdown that reads well on GitHub and as plain text.

An overview comes first, with a link to each board; how to read a board, and what its letters mean, stands once. A
board shows the columns that fit into `WIDTH` characters; the CSV and JSON beside it have all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from benchmark.metrics.registry import percent
from leaderboard.board import Board
from leaderboard.keypoints import keypoint_rows
from leaderboard.render import reported as report
from leaderboard.render import words
from leaderboard.render.columns import NONE, Column, fit, fitting, keypoint_columns, photographs, unshown_marks
from leaderboard.render.pasted import WIDTH, Pasted
from leaderboard.reported import reported
from leaderboard.rows import BoardRow

TOP = "overview"
NOT_SHOWN, ONLY_ONE = "none shown", "none: one row was tested"
FEW_KEYPOINTS = 4


def markdown(boards: Sequence[Board]) -> str:
    """The document: overview, how to read it, every board."""
    lines = ["# Leaderboard", ""]
    if not boards:
        return "\n".join([*lines, "No runs are stored here.", ""])
    anchors = _anchors([board.title for board in boards])
    shown = [fitting(board, WIDTH, gap=3) for board in boards]
    lines += ["## Overview", "", *_overview(boards, anchors), ""]
    lines += ["## How to read it", "", *(f"- {rule}" for rule in words.RULES)]
    unseen = set.intersection(*(set(unshown_marks(some)) for some in shown))
    legend = words.legend(boards, without=tuple(unseen))
    lines += [f"- **{letter}** {escaped(meaning)}" for letter, meaning in legend]
    lines += ["- All columns of every row: `LEADERBOARD.csv`, and with each keypoint `LEADERBOARD.json`."]
    for board, some in zip(boards, shown):
        lines += ["", f"## {escaped(board.title)}", "", *_board(board, some), "", f"[overview](#{TOP})"]
    return "\n".join(lines) + "\n"


def pasted(table_of: Pasted) -> str:
    """One table to paste: a title, the table, its notes."""
    rows = [row for body in table_of.bodies for row in body]
    lines = [f"**{escaped(table_of.title)}**: {escaped(table_of.size)}", ""]
    if rows:
        lines += [*table(table_of.headings, rows, table_of.names), ""]
    lines += [f"- {escaped(note)}" for note in table_of.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], names: Sequence[int] = (0,)) -> list[str]:
    """The lines of a table whose columns are also aligned as plain text.

    Args:
        headings: One a column.
        rows: Of cells, without markup of tables in them.
        names: The columns that are aligned to the left.
    """
    cells = [[escaped(cell) for cell in row] for row in (headings, *rows)]
    wide = [max(3, *(len(row[i]) for row in cells)) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        padded = (c.ljust(w) if i in names else c.rjust(w) for i, (c, w) in enumerate(zip(row, wide)))
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (w - 1) if i in names else "-" * (w - 1) + ":" for i, w in enumerate(wide)]
    return [line(cells[0]), line(rule), *map(line, cells[1:])]


class Marked(str):
    """Text that is markdown already."""


def escaped(text: str) -> str:
    """Text as a cell, or part of a sentence, shows it: no link, no emphasis, no HTML, whatever a name holds."""
    if isinstance(text, Marked):
        return text
    for mark in "\\|`*":
        text = text.replace(mark, f"\\{mark}")
    line = " ".join(text.replace("](", "]\\(").replace("<", "&lt;").splitlines())
    return "".join(c for c in line if unicodedata.category(c) != "Cc")


def _overview(boards: Sequence[Board], anchors: Sequence[str]) -> list[str]:
    """A line a board: its leader and the row to use."""
    rows = []
    for board, anchor in zip(boards, anchors):
        leader = next(iter(board.rows), None)
        link = Marked(f"[{escaped(board.title)}](#{anchor})")
        rows.append([link, *_figures(leader), _use(board)])
    return table(["board", "leader", "mean px", "exact %", "use"], rows, names=(0, 1, 4))


def _use(board: Board) -> str:
    """The advised row, for the overview."""
    name = board.advice.advised
    if board.advice.code == "one_row":
        return ONLY_ONE
    if name is None:
        return NOT_SHOWN
    return "the leader" if name == board.rows[0].label else name


def _figures(row: BoardRow | None) -> tuple[str, str, str]:
    if row is None:
        return NONE, NONE, NONE
    mean, exact = row.metrics.get("mean"), row.metrics.get("exact")
    return row.label, NONE if mean is None else f"{mean:.3f}", NONE if exact is None else percent(exact)


def _board(board: Board, shown: Sequence[Column[BoardRow]]) -> list[str]:
    lines = [f"{escaped(words.size(board))}."]
    lines += [
        f"**{escaped(sentence)}**" if not i else escaped(sentence) for i, sentence in enumerate(words.advice(board))
    ]
    lines = [line for pair in zip(lines, [""] * len(lines)) for line in pair]
    if board.finished:
        rows = []
        for row in board.finished:
            cells = [column.text(row) for column in shown]
            if not row.record.ranked:
                cells = [Marked(f"*{escaped(cell)}*") if column.name else cell for column, cell in zip(shown, cells)]
            rows.append(cells)
        names = [i for i, column in enumerate(shown) if column.name]
        lines += [*table([column.heading for column in shown], rows, names), ""]
    if len(board.keypoints) > 1:
        lines += [*_by_keypoint(board), ""]
    notes = [*(_failure(row) for row in board.failed), words.separation(board.separation), *words.notes_of(board)]
    lines += [f"- {escaped(note)}" for note in notes if note]
    if known := reported(board):
        lines += ["", f"### {report.TITLE}", "", *table(report.HEADINGS, report.cells(known), report.NAMES), ""]
        lines += [f"- {escaped(note)}" for note in report.notes(known)]
    return lines[:-1] if lines[-1] == "" else lines


def _failure(row: BoardRow) -> str:
    return f"failed: {row.label}: {row.error}"


def _by_keypoint(board: Board) -> list[str]:
    """Mean error and exact share of each keypoint: of every row where there are few, else of the best rows."""
    if photographs(board):
        return _keypoint_table(board)
    if len(board.keypoints) <= FEW_KEYPOINTS:
        headings = ["detector", *(f"{keypoint}: px, exact %" for keypoint in board.keypoints)]
        return table(headings, [[row.label, *(_cell(row, key) for key in board.keypoints)] for row in board.finished])
    best = board.finished[:3]
    headings = ["keypoint", *(f"{row.label}: px, exact %" for row in best)]
    return table(headings, [[key, *(_cell(row, key) for row in best)] for key in board.keypoints])


def _keypoint_table(board: Board) -> list[str]:
    """A row a keypoint and detector: of every detector where there are few keypoints, else of the best."""
    few = board.finished if len(board.keypoints) <= FEW_KEYPOINTS else board.finished[:3]
    rows = [one for one in keypoint_rows(board) if one.row in {row.label for row in few}]
    shown = fit(keypoint_columns(rows), rows, WIDTH, gap=3)
    names = [i for i, column in enumerate(shown) if column.name]
    return table([column.heading for column in shown], [[c.text(row) for c in shown] for row in rows], names)


def _cell(row: BoardRow, keypoint: str) -> str:
    figures = row.keypoint(keypoint)
    mean, exact = figures["mean"], figures["exact"]
    return (NONE if mean is None else f"{mean:.3f}") + ("" if exact is None else f", {percent(exact)}")


def _anchors(titles: Sequence[str]) -> list[str]:
    """The anchors that GitHub gives to headings of these titles."""
    seen: dict[str, int] = {"leaderboard": 1, TOP: 1, "how-to-read-it": 1}
    anchors = []
    for title in titles:
        plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        again = seen.get(plain, 0)
        seen[plain] = again + 1
        anchors.append(f"{plain}-{again}" if again else plain)
    return anchors
