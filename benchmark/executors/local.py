"""The local executor: one job after the other, in this process."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.runs.config import Job
from benchmark.runs.execute import execute
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Store


class Callback:
    """Is told how a grid goes. This one says nothing; the command line has one that draws bars."""

    def planned(self, grid: Sequence[Planned]) -> None:
        """The whole grid, before it starts."""

    def started(self, job: Job) -> None:
        """A job starts to run."""

    def progress(self, fraction: float, text: str) -> None:
        """The running job is this far (0 to 1)."""

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        """A job is stored, now (``reused`` False) or earlier."""


def run(grid: Sequence[Planned], callback: Callback | None = None) -> list[FolderRun]:
    """Make what is to be made, in the grid's order; an interruption leaves every finished run intact.

    Args:
        grid: What `benchmark.runs.plan.plan` said.
        callback: Is told how it goes.

    Returns:
        The stored run of every job, failed ones included.
    """
    watch = callback or Callback()
    watch.planned(grid)
    stores: dict[str, Store] = {}
    done = []
    for one in grid:
        if one.stored is not None:
            watch.finished(one, one.stored, reused=True)
            done.append(one.stored)
            continue
        watch.started(one.job)
        store = stores.setdefault(one.job.results, Store(one.job.results))
        stored = execute(one.job, watch.progress, store)
        watch.finished(one, stored, reused=False)
        done.append(stored)
    return done
