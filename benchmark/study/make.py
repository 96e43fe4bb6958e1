"""From a study's file to its runs, its bundles and its report.

A study is a folder: ``study.yaml``, its grid files, ``runs/`` (a bundle a board, which is what is published), ``REPORT.md``
and its figures. What the bundles hold is not run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from benchmark.api import grids_of, plan_grids, run_grids
from benchmark.executors.executor import Callback
from benchmark.files import write_text
from benchmark.runs.bundle import Bundle, open_results, unpack, write_bundles
from benchmark.runs.grid_file import FileGrid
from benchmark.runs.label_floor import LabelFloor
from benchmark.runs.store import Results, Store, StoredRun
from benchmark.structures import UserError
from benchmark.study.report import Draw, beside, report, write_nothing
from benchmark.study.study_file import Study, read_study
from leaderboard.board import boards

RUNS, REPORT = "runs", "REPORT.md"


def study_path(path: Path) -> Path:
    """The file of a study, which may be named by its folder.

    Raises:
        UserError: Where there is none.
    """
    file = path / "study.yaml" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; name a study.yaml, or the folder that holds one")
    return file


def study_grids(path: Path, results: Path, reuse: str = "stale") -> list[FileGrid]:
    """The grids of a study, with one folder of results.

    Args:
        path: The study's file.
        results: Where its runs are made.
        reuse: ``stale``: a stored run stands although the code has changed since; ``current``: it is made again.
    """
    study = read_study(path)
    instead = {"results": str(results), "reuse": reuse}
    return [grid for name in study.grids for grid in grids_of(path.parent / name, instead)]


def unpacked(path: Path, results: Path) -> Store:
    """The folder of results with what the study's bundles hold, of which nothing has to be run again."""
    store = Store(results)
    for bundle in sorted((path.parent / RUNS).glob("*.bundle.zip")):
        unpack(Bundle(bundle), store)
    return store


def make(path: Path, results: Path, reuse: str = "stale", callback: Callback | None = None) -> list[Path]:
    """Make what is missing of a study: runs, then bundles, then the report.

    Args:
        path: The study's file.
        results: Where its runs are made.
        reuse: See `study_grids`.
        callback: Is told how far it is.

    Returns:
        What was written.

    Raises:
        UserError: For a study that is none, or asks for what cannot be run.
    """
    study = read_study(path)
    grids = study_grids(path, results, reuse)
    store = unpacked(path, results)
    keys = {planned.job.key for plan in plan_grids(grids) for planned in plan} | _published(path)
    run_grids(grids, callback)
    bundles = write_bundles(_Own(store, keys), path.parent / RUNS)
    return [*bundles, write_report(path, study)]


def _published(path: Path) -> set[str]:
    """The keys of the runs that the study's bundles hold."""
    bundles = sorted((path.parent / RUNS).glob("*.bundle.zip"))
    return {run.record.key for bundle in bundles for run in Bundle(bundle).runs()}


class _Own(Results):
    """A study's own runs: its folder of results may be another study's too, or hold whatever else was run."""

    def __init__(self, store: Store, keys: Set[str]) -> None:
        self.root, self._store, self._keys = store.root, store, keys

    def runs(self) -> Iterator[StoredRun]:
        return (run for run in self._store.runs() if run.record.key in self._keys)

    def label_floor(self, digest: str) -> LabelFloor | None:
        return self._store.label_floor(digest)


def write_report(path: Path, study: Study | None = None) -> Path:
    """Write a study's report, and its figures, from its bundles."""
    file = path.parent / REPORT
    write_text(file, report_of(path, study, beside(path.parent)))
    return file


def report_of(path: Path, study: Study | None = None, draw: Draw = write_nothing) -> str:
    """The text of a study's report, from its bundles.

    Raises:
        UserError: Where it asks for what is not stored.
    """
    known = study or read_study(path)
    try:
        return report(known, boards(_stored(path)), draw)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _stored(path: Path) -> Results:
    folder = path.parent / RUNS
    if not any(folder.glob("*.bundle.zip")):
        raise UserError(f"{folder}: holds no bundle; make the runs with: study {path}")
    return open_results(folder)


def differs(path: Path) -> Sequence[str]:
    """The lines in which the report that is written differs from what its bundles say; none where it is current."""
    import difflib

    file = path.parent / REPORT
    written = file.read_text(encoding="utf-8") if file.is_file() else ""
    return list(
        difflib.unified_diff(
            written.splitlines(), report_of(path).splitlines(), str(file), "from the bundles", lineterm="", n=0
        )
    )
