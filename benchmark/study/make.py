"""From a study's file to its runs, its bundles and its report.

A study is a folder: ``study.yaml``, its grid files, ``runs/`` (a bundle a board, which is what is published), ``REPORT.md``
and its figures. What the bundles hold is not run again. Besides its report a study may write parts of other texts
(`Block`) and the figures that detectors are expected to have (`leaderboard.expected`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from benchmark.api import grids_of, plan_grids, run_grids
from benchmark.executors.executor import Callback
from benchmark.files import write_text
from benchmark.runs.bundle import Bundle, open_results, unpack, write_bundles
from benchmark.runs.grid_file import FileGrid
from benchmark.runs.label_floor import LabelFloor
from benchmark.runs.store import Results, Store, StoredRun
from benchmark.structures import UserError
from benchmark.study.ask_again import ask_again, stored_answers
from benchmark.study.blocks import with_block
from benchmark.study.evidence import Evidence
from benchmark.study.report import Draw, beside, report, write_nothing
from benchmark.study.study_file import Study, read_study
from leaderboard.board import Board, boards
from leaderboard.expected import expected_text

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


@dataclass(frozen=True)
class Part:
    """A part of a study, the whole of it where it has none.

    Attributes:
        name: "" for the whole.
        bundles: The folder of its bundles.
        results: Where its runs are made.
        settings: Environment variables under which they are.
    """

    name: str
    bundles: Path
    results: Path
    settings: Mapping[str, str]

    @property
    def published(self) -> list[Path]:
        """Its bundles."""
        return sorted(self.bundles.glob("*.bundle.zip"))


def parts_of(path: Path, study: Study, results: Path = Path()) -> list[Part]:
    """The parts of a study.

    Args:
        path: The study's file.
        study: What it says.
        results: Where its runs are made.
    """
    runs = path.parent / RUNS
    if not study.parts:
        return [Part("", runs, results, {})]
    return [Part(name, runs / name, results / name, settings) for name, settings in study.parts.items()]


def study_grids(path: Path, results: Path, reuse: str = "stale") -> list[FileGrid]:
    """The grids of a study, of every part of it, with the folder of results that their runs go to.

    Args:
        path: The study's file.
        results: Where its runs are made.
        reuse: ``stale``: a stored run stands although the code has changed since; ``current``: it is made again.
    """
    study = read_study(path)
    return [grid for part in parts_of(path, study, results) for grid in _grids(path, study, part, reuse)]


def _grids(path: Path, study: Study, part: Part, reuse: str) -> list[FileGrid]:
    instead = {"results": str(part.results), "reuse": reuse}
    return [grid for name in study.grids for grid in grids_of(path.parent / name, instead)]


def unpacked(path: Path, results: Path) -> None:
    """Fill the folder of results with what the study's bundles hold, of which nothing has to be run again."""
    for part in parts_of(path, read_study(path), results):
        for bundle in part.published:
            unpack(Bundle(bundle), Store(part.results))


def make(
    path: Path, results: Path, reuse: str = "stale", callback: Callback | None = None, as_made: bool = False
) -> list[Path]:
    """Make what is missing of a study: runs, then bundles, then the report.

    Args:
        path: The study's file.
        results: Where its runs are made.
        reuse: See `study_grids`.
        callback: Is told how far it is.
        as_made: Publish the runs made so far, run nothing.

    Returns:
        What was written.

    Raises:
        UserError: For a study that is none, or asks for what cannot be run.
    """
    study = read_study(path)
    unpacked(path, results)
    written: list[Path] = []
    for part in parts_of(path, study, results):
        grids = _grids(path, study, part, reuse)
        homes = _homes(part)
        keys = {planned.job.key for plan in plan_grids(grids) for planned in plan} | set(homes)
        if study.corruptions and not as_made:
            written.append(ask_again(path, study.corruptions, grids, callback))
        if not as_made:
            _run(path, study, part, grids, reuse, callback)
        written += write_bundles(_Own(Store(part.results), keys), part.bundles, homes)
    return [*written, *write_report(path, study)]


def _run(
    path: Path, study: Study, part: Part, grids: Sequence[FileGrid], reuse: str, callback: Callback | None
) -> None:
    """Make the runs of a part; under settings in a process of its own, since libraries read these once, when loaded."""
    if not part.settings:
        run_grids(grids, callback)
        return
    for grid in (path.parent / name for name in study.grids):
        command = ["run", "--grid", str(grid), "--results", str(part.results), "--reuse", reuse]
        done = subprocess.run([sys.executable, "-m", "benchmark", *command], env={**os.environ, **part.settings})
        if done.returncode:
            raise UserError(f"{grid}: part {part.name}: run ended with exit code {done.returncode}; see above")


def _homes(part: Part) -> dict[str, Path]:
    """The bundles of a part by the keys of their runs: what was put into one of its own stays there."""
    return {run.record.key: bundle for bundle in part.published for run in Bundle(bundle).runs()}


class _Own(Results):
    """A study's own runs: its folder of results may be another study's too, or hold whatever else was run."""

    def __init__(self, store: Store, keys: Set[str]) -> None:
        self.root, self._store, self._keys = store.root, store, keys

    def runs(self) -> Iterator[StoredRun]:
        return (run for run in self._store.runs() if run.record.key in self._keys)

    def label_floor(self, digest: str) -> LabelFloor | None:
        return self._store.label_floor(digest)


def write_report(path: Path, study: Study | None = None) -> list[Path]:
    """Write a study's report and its figures, and whatever else it writes, from its bundles."""
    texts = texts_of(path, study, beside(path.parent))
    for file, text in texts.items():
        write_text(file, text)
    return list(texts)


def report_of(path: Path, study: Study | None = None, draw: Draw = write_nothing) -> str:
    """The text of a study's report, from its bundles; see `benchmark.study.report.report`.

    Raises:
        UserError: Where it asks for what is not stored.
    """
    return texts_of(path, study, draw)[path.parent / REPORT]


def texts_of(path: Path, study: Study | None = None, draw: Draw = write_nothing) -> dict[Path, str]:
    """Every text that a study writes, from its bundles: the report, and files that hold parts of it.

    Raises:
        UserError: Where it asks for what is not stored, or a text has no place for it.
    """
    known = study or read_study(path)
    made = _boards(path, known)
    try:
        answers = stored_answers(path) if known.corruptions else None
        texts = {path.parent / REPORT: report(known, made, draw, answers)}
        evidence = Evidence(made, known.board, answers)
        for block in known.blocks:
            file = _beside(path, block.file)
            texts[file] = with_block(texts.get(file) or _read(file), block, known, evidence, file)
        if known.expected:
            texts[_beside(path, known.expected)] = expected_text(evidence.board())
        return texts
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _boards(path: Path, study: Study) -> dict[str, list[Board]]:
    made = {}
    for part in parts_of(path, study):
        if not part.published:
            raise UserError(f"{part.bundles}: holds no bundle; make the runs with: study {path}")
        made[part.name] = boards(open_results(part.bundles))
    return made


def _beside(path: Path, name: str) -> Path:
    """A file that is named relative to the study's, as one would write it."""
    return Path(os.path.normpath(path.parent / name))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def differs(path: Path) -> Sequence[str]:
    """The lines in which what a study wrote differs from what its bundles say; none where it is current."""
    import difflib

    return [
        line
        for file, text in texts_of(path).items()
        for line in difflib.unified_diff(
            _read(file).splitlines(), text.splitlines(), str(file), "from the bundles", lineterm="", n=0
        )
    ]
