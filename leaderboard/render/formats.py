"""Boards in every format that people paste or programs read; one place for all, so that a command needs no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from benchmark.structures import UserError
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.keypoints import keypoint_records
from leaderboard.render.document import document
from leaderboard.render.html import html
from leaderboard.render.latex import latex
from leaderboard.render.markdown import pasted
from leaderboard.render.pasted import Pasted, board_table, keypoint_table
from leaderboard.render.selection import ALL, Selection
from leaderboard.render.tables import as_csv, as_rows, flat_keypoints

PASTED: dict[str, Callable[[Pasted], str]] = {"md": pasted, "latex": latex, "html": html}
FORMATS = ("md", "csv", "json", "latex", "html")


def formatted(boards: Sequence[Board], form: str, selection: Selection = ALL, *, per_keypoint: bool = False) -> str:
    """The text of some boards: the same for the same stored runs, wherever and in whatever order these lie.

    Args:
        boards: In the order they stand in it.
        form: One of `FORMATS`. ``json`` is `leaderboard.render.document`; per keypoint, a list of records.
        selection: Which rows and columns.
        per_keypoint: How well each keypoint is found, instead of the boards.

    Raises:
        UserError: For a format, a column or a row that there is none of.
    """
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if selection.columns and (per_keypoint or form == "json"):
        what = "a table of keypoints" if per_keypoint else "JSON"
        raise UserError(f"columns: {what} has all of them; leave --columns out")
    if form == "json":
        some = [selection.rows_of(board) for board in boards]
        entries = keypoint_records(some) if per_keypoint else document(boards, selection)
        return json.dumps(entries, indent=1, allow_nan=False) + "\n"
    if form == "csv":
        if per_keypoint:
            return flat_keypoints(boards, selection).to_csv(index=False, lineterminator="\n")
        return as_csv([row for board in boards for row in as_rows(board, selection)], selection.columns)
    made = [(keypoint_table if per_keypoint else board_table)(board, selection) for board in boards]
    return "\n".join(map(PASTED[form], made))
