"""The files beside the results: ``LEADERBOARD.md``, ``.csv`` and ``.json``, and where it is asked for ``KEYPOINTS.csv``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.files import write_text
from leaderboard.board import Board
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_csv, as_rows, flat_keypoints

NAMES = ("LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json")
KEYPOINTS = "KEYPOINTS.csv"


def write(boards: Sequence[Board], folder: Path, *, per_keypoint: bool = False) -> list[Path]:
    """Write the files, each aside and renamed last.

    Args:
        boards: All boards of the results.
        folder: The folder of results.
        per_keypoint: Whether to write the table of keypoints too; one that is there is always written again.

    Returns:
        Their paths.

    Raises:
        UserError: Where one cannot be written.
    """
    rows = [row for board in boards for row in as_rows(board)]
    texts = (
        markdown(boards),
        as_csv(rows),
        "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]\n",  # a line a row
    )
    named = dict(zip(NAMES, texts))
    if per_keypoint or (folder / KEYPOINTS).exists():
        named[KEYPOINTS] = flat_keypoints(boards).to_csv(index=False, lineterminator="\n")
    for name, text in named.items():
        write_text(folder / name, text)
    return [folder / name for name in named]
