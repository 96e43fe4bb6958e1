"""What every table and line on a terminal has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROWEST_NAME = 8


def new_table(headings: Sequence[str], names: Sequence[int] = (0,)) -> Table:
    """An empty table; the columns at the positions ``names`` hold names, aligned left and broken where they are long."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for i, heading in enumerate(headings):
        left = i in names
        table.add_column(
            escape(heading),
            justify="left" if left else "right",
            no_wrap=not left,
            overflow="fold",
            min_width=NARROWEST_NAME if left else None,
        )
    return table


def add(table: Table, cells: Sequence[str], *, style: str | None = None, last: bool = False) -> None:
    """Add a row; what is in it is printed as it is.

    Args:
        table: The table.
        cells: One a column.
        style: Of the whole row.
        last: Whether a line is drawn below it.
    """
    from rich.markup import escape

    table.add_row(*map(escape, cells), style=style, end_section=last)


def say(console: Console, text: str, style: str | None = None, *, wrap: bool = False) -> None:
    """Print a line as it is; ``wrap`` breaks it between words where the terminal ends."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=not wrap)
