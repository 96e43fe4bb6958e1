"""The local executor: one job after the other, in this process.

A limit on time or memory can only be kept by ending a process, so where there is one the jobs are made in a process of
their own, one after the other all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmark.detector import Progress
from benchmark.executors.attempt import Worker, attempts_at
from benchmark.executors.executor import Callback, begin
from benchmark.runs.config import GridConfig, Job
from benchmark.runs.execute import execute
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Store
from benchmark.structures import UserError


def run(grid: Sequence[Planned], callback: Callback, config: GridConfig) -> list[FolderRun | None]:
    """Make the runs of a grid here, in the grid's order. See `benchmark.executors.executor.Executor`."""
    if config.workers not in (None, 1):
        raise UserError(f"workers {config.workers}: executor local makes one run at a time; add --executor process")
    done = begin(grid, callback)
    stores: dict[str, Store] = {}
    with ExitStack() as stack:
        worker = stack.enter_context(Worker()) if config.limits.need_a_process else None
        for i, one in enumerate(grid):
            if done[i] is not None:
                continue
            callback.started(one.job)
            progress = partial(callback.progress, one.job)
            store = stores.setdefault(one.job.results, Store(one.job.results))
            stored = worker.make(one.job, progress, store) if worker else _make(one.job, progress, store)
            callback.finished(one, stored, reused=False)
            done[i] = stored
            if stored.record.status == "failed" and config.on_error == "stop":
                break
    return done


def _make(job: Job, progress: Progress, store: Store) -> FolderRun:
    return attempts_at(job, lambda failures: execute(job, progress, store, attempts=failures), store)
