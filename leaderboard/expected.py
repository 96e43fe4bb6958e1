"""What a detector is expected to score: the figures of its row on the board of ``studies/topleft``.

The study writes them into ``expected.json`` beside this file, from its bundles, and the test of its report holds them
against these. They are a file of their own since what is installed without a checkout has no studies.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaderboard.board import Board

FILE = Path(__file__).parent / "expected.json"


@cache
def expectation() -> dict[str, Any]:
    """The file: ``task``, ``data``, ``images`` (how many were asked about), and ``rows`` as `expected` has them."""
    made: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return made


def expected() -> dict[str, dict[str, Any]]:
    """Row -> its ``mean`` (px) and ``exact`` (share) over its seeds, the number of ``seeds``, and its ``marks``."""
    rows: dict[str, dict[str, Any]] = expectation()["rows"]
    return rows


def expected_text(board: Board) -> str:
    """The file, of a board: every finished row by its label, marks without those that time puts on it."""
    from leaderboard.rows import STALE

    rows = {
        row.label: {
            "mean": round(mean, 4),
            "exact": round(exact, 5),
            "seeds": len(row.seeds),
            "marks": [mark for mark in row.marks if mark != STALE],
        }
        for row in sorted(board.finished, key=lambda row: row.label)
        if (mean := row.metrics["mean"]) is not None and (exact := row.metrics["exact"]) is not None
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    head = f'"task": {json.dumps(board.task)}, "data": {json.dumps(board.data)}, "images": {board.images}'
    return f'{{{head}, "rows": {{\n{lines}\n}}}}\n'
