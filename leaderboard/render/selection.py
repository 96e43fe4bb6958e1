"""Which rows and columns of boards are shown: what a user asks for by name. Ranks and advice stay those of whole boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from leaderboard.board import Board
from leaderboard.render.columns import Column, chosen_columns, columns, fit
from leaderboard.rows import BoardRow


@dataclass(frozen=True)
class Selection:
    """The rows and columns that are asked for; by default all rows, and the columns that fit.

    Attributes:
        columns: Names, as `leaderboard.render.columns.chosen_columns` takes them; empty: those that fit.
        detectors: Labels of rows, or names of detectors; empty: all.
        top: Only the first so many ranked rows, beside the reference rows; None: all.
    """

    columns: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    top: int | None = None

    def rows_of(self, board: Board) -> Board:
        """The board with the chosen rows alone; each keeps its rank among all."""

        def kept(rows: Sequence[BoardRow]) -> tuple[BoardRow, ...]:
            return tuple(row for row in rows if not self.detectors or _is(row, self.detectors))

        return replace(
            board, rows=kept(board.rows)[: self.top], references=kept(board.references), failed=kept(board.failed)
        )

    def columns_of(self, board: Board, width: int, gap: int = 2) -> list[Column[BoardRow]]:
        """The chosen columns, or those of the board that fit into so many characters beside the chosen rows' texts.

        Raises:
            UserError: For a name of no column.
        """
        if self.columns:
            return chosen_columns(self.columns)
        return fit(columns(board), self.rows_of(board).finished, width, gap)

    def check(self, boards: Sequence[Board]) -> None:
        """See that every detector is one.

        Raises:
            UserError: For a detector on none of the boards.
        """
        every = [row for board in boards for row in board.every]
        for name in self.detectors:
            if not any(_is(row, (name,)) for row in every):
                raise UserError(f"{name!r} is no row of these boards{suggestion(name, [row.label for row in every])}")


def _is(row: BoardRow, names: Sequence[str]) -> bool:
    return row.label in names or row.config.detector in names


ALL = Selection()
