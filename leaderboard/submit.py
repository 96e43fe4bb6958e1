"""Rows to submit: chosen from stored runs, or another tool's predictions, in one bundle with who submits them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.runs.bundle import SUFFIX, write_bundle
from benchmark.runs.store import Results, Store, StoredRun, slug
from benchmark.runs.submission import Submission
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from leaderboard.external import Scored, store_external
from leaderboard.rows import labels_of, newest


def chosen_runs(
    results: Results, rows: Sequence[str] = (), task: str | None = None, data: str | None = None
) -> list[StoredRun]:
    """The finished runs of some rows of one board.

    Args:
        results: Where the runs are.
        rows: Labels of rows, or detectors as boards name them; empty: all but those shown for comparison.
        task: Of the board; None where there is one board alone.
        data: Likewise, as boards call it.

    Raises:
        UserError: Naming what there is, where there is no such row or not one board.
    """
    boards: dict[tuple[str, int, str, int], list[StoredRun]] = {}
    for run in results.runs():
        config = run.record.config
        if task in (None, config.task) and data in (None, config.data):
            boards.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run)
    if len(boards) != 1:
        listed = ", ".join(f"{key[0]} on {runs[0].record.config.data}" for key, runs in boards.items())
        raise UserError(
            f"{results.root}: a submission is of one board, and here are {len(boards)}"
            + (f" ({listed}): choose with --task and --data" if boards else "; make a run first")
        )
    (runs,) = boards.values()
    shown, _ = newest(runs)
    labels = labels_of(shown)
    for name in rows:
        if not any(name in (identity[0], labels[identity]) for identity in shown):
            raise UserError(f"row {name!r}: is not on the board{suggestion(name, sorted(labels.values()))}")
    picked = [
        run
        for identity, seeds in shown.items()
        for run in seeds
        if run.record.status == "finished"
        and (any(name in (identity[0], labels[identity]) for name in rows) if rows else run.record.ranked)
    ]
    if not picked:
        raise UserError(f"{results.root}: no run of {', '.join(rows) or 'any ranked row'} has finished")
    return picked


def submit(runs: Sequence[StoredRun], about: Submission, folder: Path) -> Path:
    """Write the bundle of a submission.

    Args:
        runs: Of one board.
        about: Who submits them, and what is said of them.
        folder: Where to write; the file is named after the board and after who submits.

    Raises:
        UserError: Where a file of that name is there, or cannot be written.
    """
    config = runs[0].record.config
    who = re.sub(r"\W+", "-", about.name).strip("-") or "somebody"
    name = slug(f"{slug(config.task)}@{config.version}-{slug(config.data)}-{who}")
    path = folder / f"{name}{SUFFIX}"
    if path.exists():
        raise UserError(f"{path}: is there already; remove it, or name another --out folder")
    write_bundle(path, runs, about)
    return path


def submit_predictions(scored: Scored, row: str, about: Submission, folder: Path) -> Path:
    """The same for another tool's predictions, as a row of that name; see `leaderboard.external.store_external`.

    Raises:
        UserError: As `submit`, and where the row cannot be called so.
    """
    with TemporaryDirectory() as scratch:
        store_external(scored, row, Path(scratch))
        return submit(list(Store(scratch).runs()), about, folder)
