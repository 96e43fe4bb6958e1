"""The fits of a study, asked again about corrupted test images; their answers are published in one small file.

Fits whose answers are published already are not made again, for no bundle holds weights: these are asked as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.api import plan_grids
from benchmark.executors.executor import Callback
from benchmark.registry import resolve
from benchmark.robustness import robustness
from benchmark.runs.answers import SUFFIX, Answers, write_answers
from benchmark.runs.grid_file import FileGrid
from benchmark.runs.store import Record, StoredRun
from benchmark.structures import UserError
from benchmark.suggestions import unknown
from datasets.corruptions import CORRUPTIONS, SEVERITIES
from leaderboard.robustness import BETWEEN

FILE = f"corrupted{SUFFIX}"


def stored_answers(path: Path) -> Answers:
    """The answers that a study has published.

    Raises:
        UserError: Where it has none.
    """
    file = path.parent / "runs" / FILE
    if not file.is_file():
        raise UserError(f"{file}: is missing, and the study names corruptions; make it with: study {path}")
    return Answers(file)


def ask_again(path: Path, names: Sequence[str], grids: Sequence[FileGrid], callback: Callback | None = None) -> Path:
    """Fit what is missing of a study's grids, ask every new fit about corrupted images, and publish all answers.

    Args:
        path: The study's file.
        names: Of `datasets.corruptions.CORRUPTIONS`.
        grids: Of one task and data, of which each detector is in one grid.
        callback: Is told how far it is.

    Returns:
        The file of answers.

    Raises:
        UserError: For an unknown corruption, or what cannot be run or asked.
    """
    for name in names:
        if name not in CORRUPTIONS:
            raise unknown("corruption", name, CORRUPTIONS)
    file = path.parent / "runs" / FILE
    versions = [f"{name}-{severity}" for name in names for severity in SEVERITIES]
    known: dict[str, tuple[Record, list[StoredRun]]] = {}
    if file.is_file():
        stored = Answers(file)
        known |= _whole(stored.fits, stored.runs(), versions)
    for grid, plan in zip(grids, plan_grids(grids)):
        new = {planned.job.config.detector for planned in plan if planned.job.key not in known}
        if new:
            chosen = tuple(text for text in grid.config.detectors if resolve(text).name in new)
            clean, asked = robustness(grid.config.model_copy(update={"detectors": chosen}), names, callback)
            known |= _whole([run.record for run in clean], asked, versions)
    write_answers(file, list(known.values()))
    return file


def _whole(
    fits: Iterable[Record], answers: Iterable[StoredRun], versions: Sequence[str]
) -> dict[str, tuple[Record, list[StoredRun]]]:
    """Key of a fit -> its record and its answers to every version, in this order; of fits that have answered all of them."""
    given: dict[tuple[object, ...], dict[str, StoredRun]] = {}
    for run in answers:
        if run.record.status == "finished":
            version = run.record.config.data.rpartition(BETWEEN)[2]
            given.setdefault(_identity(run.record), {})[version] = run
    of_fits = ((fit, given.get(_identity(fit), {})) for fit in fits)
    return {fit.key: (fit, [of[v] for v in versions]) for fit, of in of_fits if of.keys() >= set(versions)}


def _identity(record: Record) -> tuple[object, ...]:
    """What a fit and its answers have in common."""
    return record.config.detector, record.config.n_train, record.config.budget, record.config.threads, record.seed
