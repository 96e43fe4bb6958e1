"""The commands that make the seeds for which rows of a board have no rank, where these rows lack nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from datasets.tasks.build import PRESETS
from leaderboard.board import Board
from leaderboard.rows import BoardRow

MOST_SEEDS = 100  # beyond it a seed was picked, and nobody means to run all below it


def commands(board: Board) -> list[str]:
    """What makes the seeds that rows lack to be ranked; empty where they lack none, or no command can.

    Rows without a rank are given the seeds that the tested rows share, where these begin at 0, and else all rows are given
    all seeds that some have. One command a setting: rows may have been run with several budgets, training sizes, devices or threads. Names are
    quoted, so that a shell takes them as they are. Data of the user's own is ``PATH``: where it is, no board knows.
    """
    rows = [row for row in board.rows if not row.record.external]
    untested = [row for row in rows if row.untested == "other_seeds_or_images"]
    tested = [set(row.seeds) for row in board.rows if row.rank_low is not None]
    shared = set.intersection(*tested) if tested else set()
    if not untested:
        return []
    if shared and shared == set(range(len(shared))):
        count, asked = len(shared), untested
    else:
        count, asked = 1 + max((seed for row in board.rows for seed in row.seeds), default=-1), rows
    if count > MOST_SEEDS:
        return []
    lacking = [row for row in asked if not set(range(count)) <= set(row.seeds)]
    settings: dict[tuple[str, ...], list[str]] = {}
    sizes = {row.config.n_train for row in rows}
    for row in lacking:
        settings.setdefault(_setting(row, several_sizes=len(sizes) > 1), []).append(row.config.detector)
    return [
        shlex.join(
            ["python", "-m", "benchmark", "run", *setting, "--seeds", str(count)]
            + [word for name in names for word in ("-d", name)]
        )
        for setting, names in settings.items()
    ]


def _setting(row: BoardRow, *, several_sizes: bool) -> tuple[str, ...]:
    """The flags that a row was run with, but detector and seeds."""
    config = row.config
    name = config.data.removesuffix(f"-folds{config.folds}" if config.folds else "")
    name = name.removesuffix(f"-split{config.split}" if config.split else "")
    flags: Mapping[str, object] = {
        "--task": config.task if name in PRESETS else "",
        "--data": name if name in PRESETS else "PATH",
        "--split": config.split or "",
        "--folds": config.folds or "",
        "--n": config.n_train if several_sizes else "",
        "--budget": "" if config.budget == "recipe" else config.budget,
        "--device": config.device,
        "--threads": config.threads,
    }
    return tuple(word for flag, value in flags.items() if value != "" for word in (flag, str(value)))
