"""A table as LaTeX, for a document that has ``booktabs``: what is in a name is printed, never run."""

from __future__ import annotations

import unicodedata

from leaderboard.render.pasted import BOLD, Pasted

# Braces around what LaTeX would read as more than itself: [ and * behind a line's end, " of babel, ligatures of a font.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"{\char34}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "–": "--",
}
_LIGATURES = ({"-", "–"}, {","}, {"'"})  # side by side they are another sign


def escaped(text: str) -> str:
    """Text as LaTeX prints it, on one line, without control characters; letters beyond ASCII stay as they are."""
    line = " ".join(text.split())
    written: list[str] = []
    before = ""
    for sign in line:
        if unicodedata.category(sign) in ("Cc", "Cs"):
            continue
        if any({before, sign} <= signs for signs in _LIGATURES):
            written.append("{}")
        written.append(_SPECIAL.get(sign, sign))
        before = sign
    return "".join(written)


def latex(table: Pasted) -> str:
    r"""A ``table`` with a ``booktabs`` tabular: best figures in bold, intervals as on the board, notes below.

    Args:
        table: What stands in it.

    Returns:
        LaTeX that needs ``\usepackage{booktabs}``, and UTF-8 for names beyond ASCII.
    """
    kinds = "".join("l" if i in table.names else "r" for i in range(len(table.headings)))
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.title)}: {escaped(table.size)}}}",
    ]
    if table.bodies:
        lines += [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", _row([escaped(text) for text in table.headings])]
        for b, body in enumerate(table.bodies):
            lines.append(r"\midrule")
            for r, row in enumerate(body):
                lines.append(_row([_cell(text, (b, r, c) in table.best) for c, text in enumerate(row)]))
        lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [*table.notes, *([BOLD] if table.best else [])]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize"]
        lines += [rf"{escaped(note)}\par" for note in notes]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _cell(text: str, best: bool) -> str:
    """A cell; of a figure with an interval the figure alone is bold."""
    if not best:
        return _minus(escaped(text))
    figure, plus_minus, half = text.partition(" ±")
    return rf"\textbf{{{_minus(escaped(figure))}}}" + (" " + escaped(f"±{half}") if plus_minus else "")


def _minus(cell: str) -> str:
    """A negative figure with a minus sign for its hyphen."""
    return f"$-${cell[1:]}" if cell[:1] == "-" and cell[1:2].isdigit() else cell


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
