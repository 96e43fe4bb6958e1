"""A table as an HTML fragment: a ``table`` with a caption and headers that screen readers understand, and its notes.

It brings no style and no script; whatever a name holds is text.
"""

from __future__ import annotations

import html as standard
import unicodedata

from leaderboard.render.pasted import Pasted


def escaped(text: str) -> str:
    """Text as a page shows it, without control characters and halves of surrogate pairs."""
    line = " ".join(text.split())
    return standard.escape("".join(sign for sign in line if unicodedata.category(sign) not in ("Cc", "Cs")))


def html(table: Pasted) -> str:
    """A ``section`` with the table, a ``tbody`` a group of rows, and a list of notes.

    Args:
        table: What stands in it.
    """
    lines = ['<section class="leaderboard">', "<table>"]
    lines += [f"<caption>{escaped(table.title)}: {escaped(table.size)}</caption>"]
    heads = "".join(f'<th scope="col">{escaped(heading)}</th>' for heading in table.headings)
    lines += ["<thead>", f"<tr>{heads}</tr>", "</thead>"]
    for body in table.bodies:
        lines += ["<tbody>", *(_row(row, table.header) for row in body), "</tbody>"]
    lines += ["</table>"]
    if table.notes:
        lines += ["<ul>", *(f"<li>{escaped(note)}</li>" for note in table.notes), "</ul>"]
    return "\n".join([*lines, "</section>"]) + "\n"


def _row(cells: tuple[str, ...], header: int) -> str:
    written = [
        f'<th scope="row">{escaped(cell)}</th>' if i == header else f"<td>{escaped(cell)}</td>"
        for i, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(written)}</tr>"
