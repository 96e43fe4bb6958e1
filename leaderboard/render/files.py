"""The three files beside the results: ``LEADERBOARD.md``, ``.csv`` and ``.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.files import write_text
from leaderboard.board import Board
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_rows, flat

NAMES = ("LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json")


def write(boards: Sequence[Board], folder: Path) -> list[Path]:
    """Write the files, each aside and renamed last.

    Args:
        boards: All boards of the results.
        folder: The folder of results.

    Returns:
        Their paths.

    Raises:
        UserError: Where one cannot be written.
    """
    rows = [row for board in boards for row in as_rows(board)]
    texts = (
        markdown(boards),
        flat(boards).to_csv(index=False, lineterminator="\n"),
        json.dumps(rows, indent=1, allow_nan=False),
    )
    paths = [folder / name for name in NAMES]
    for path, text in zip(paths, texts):
        write_text(path, text)
    return paths
