"""After a run: writers that are told of every run that is made, one file each; and the one loader that finds them by name.

A writer is a function ``open_writer(folder) -> Callable[[StoredRun], None]``. What it opens is called once for every run
that is made, finished or failed, and never for one that was stored before. None is called unless asked for: ``run
--after-run NAME`` or ``NAME:FOLDER``. Like executors they stand in a literal catalog that imports nothing, and a plugin
offers its own in the group ``keypoint_benchmark.after_run``.

A writer that fails costs a message, never a run: the run is stored before any writer hears of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from benchmark.executors.executor import Callback
from benchmark.runs.config import Job
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, StoredRun
from benchmark.structures import UserError
from benchmark.suggestions import unknown

GROUP = "keypoint_benchmark.after_run"
CATALOG = {
    "jsonl": "benchmark.after_run.jsonl:open_writer",
    "tensorboard": "benchmark.after_run.tensorboard:open_writer",
    "wandb": "benchmark.after_run.wandb:open_writer",
    "mlflow": "benchmark.after_run.mlflow:open_writer",
}

Writer = Callable[[StoredRun], None]


def find(asked: str, results: str) -> Writer:
    """A writer, opened.

    Args:
        asked: ``NAME`` or ``NAME:FOLDER``.
        results: The folder of results, in whose ``_after_run/NAME`` it writes where no folder is named.

    Raises:
        UserError: For a name nobody or more than one offers, or one that cannot be loaded: its package is not installed.
    """
    name, _, folder = asked.partition(":")
    offered = {one: [target] for one, target in CATALOG.items()}
    for point in entry_points(group=GROUP):
        offered.setdefault(point.name, []).append(point.value)
    if name not in offered:
        raise unknown("after-run", name, offered)
    if len(offered[name]) > 1:
        raise UserError(f"after-run {name!r} is offered twice: " + " and ".join(offered[name]))
    module, _, attribute = offered[name][0].partition(":")
    try:
        opener: Callable[[Path], Writer] = getattr(importlib.import_module(module), attribute)
        return opener(Path(folder) if folder else Path(results) / "_after_run" / name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        raise UserError(
            f"after-run {name}: needs the package {package}, which is not installed: pip install {package}"
        ) from error
    except Exception as error:  # whatever another library raises where it cannot begin
        words = " ".join(str(error).split())
        raise UserError(f"after-run {name!r} ({offered[name][0]}) cannot be opened: {words}") from error


class AfterRun(Callback):
    """Tells another callback everything, and the writers that a job names of every run that is made.

    Args:
        told: The other.
    """

    def __init__(self, told: Callback) -> None:
        self._told = told
        self._writers: dict[tuple[str, str], Writer] = {}
        self._said: set[str] = set()

    def planned(self, grid: Sequence[Planned]) -> None:
        """The whole grid, before it starts."""
        self._told.planned(grid)

    def note(self, text: str) -> None:
        """Something that concerns no single job."""
        self._told.note(text)

    def started(self, job: Job) -> None:
        """A job starts to run."""
        self._told.started(job)

    def progress(self, job: Job, fraction: float, text: str) -> None:
        """A running job is this far (0 to 1)."""
        self._told.progress(job, fraction, text)

    def open(self, asked: Sequence[str], results: str) -> None:
        """Open writers before the first run is made, where a missing package costs nothing yet. UserError: see `find`."""
        for one in asked:
            if (one, results) not in self._writers:
                self._writers[one, results] = find(one, results)

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        """A job is stored, now (``reused`` False) or earlier."""
        self._told.finished(planned, stored, reused=reused)
        if not reused:
            for one in planned.job.after_run:
                self._write(one, planned.job, stored)

    def _write(self, asked: str, job: Job, stored: FolderRun) -> None:
        try:
            self.open([asked], job.results)
            self._writers[asked, job.results](stored)
        except (Exception, SystemExit) as error:  # whatever another library thinks of the run: it is stored
            text = " ".join(f"{type(error).__name__}: {error}".split())
            words = f"after-run {asked}: {text if not isinstance(error, UserError) else error} (the run is kept)"
            if words not in self._said:
                self._said.add(words)
                self._told.note(words)
