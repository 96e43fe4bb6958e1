"""What an executor is, and who is told how a grid goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmark.runs.config import GridConfig, Job
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun


class Callback:
    """Is told how a grid goes, always in the thread that runs it.

    This one says nothing; the command line has one that draws bars.
    """

    def planned(self, grid: Sequence[Planned]) -> None:
        """The whole grid, before it starts."""

    def note(self, text: str) -> None:
        """Something that concerns no single job."""

    def started(self, job: Job) -> None:
        """A job starts to run."""

    def progress(self, job: Job, fraction: float, text: str) -> None:
        """A running job is this far (0 to 1)."""

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        """A job is stored, now (``reused`` False) or earlier."""


class Executor(Protocol):
    """Makes the runs of a grid: a function in a file of its own, registered in `benchmark.executors`."""

    def __call__(self, grid: Sequence[Planned], callback: Callback, config: GridConfig) -> list[FolderRun | None]:
        """Make what is to be made; an interruption leaves every finished run intact.

        Args:
            grid: What `benchmark.runs.plan.plan` said. Nothing is to be done for a job with a stored run.
            callback: Is told how it goes.
            config: What was asked for; an executor looks at ``workers`` and ``on_error``, each job holds its limits.

        Returns:
            The stored run of every job in the grid's order, failed ones included; None for one that was not made, after
            an error that stops or where another is to make it later.

        Raises:
            UserError: Where it cannot run here at all.
        """
        ...


def begin(grid: Sequence[Planned], callback: Callback) -> list[FolderRun | None]:
    """Tell of the grid and of what is stored already: the answer of an executor before it has made anything."""
    callback.planned(grid)
    for one in grid:
        if one.stored is not None:
            callback.finished(one, one.stored, reused=True)
    return [one.stored for one in grid]
