"""What engines share that make runs on other machines: the task they run there, what a job asks for, and a lost task's row.

A task makes one job by our wrapper, so limits and attempts are those of every executor. What a wrapper cannot see, since it
goes down with its machine, is seen from here: such a job is tried again if it may be, else its row says so.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from benchmark.executors.attempt import Failure, Worker, failed
from benchmark.executors.executor import Callback, begin
from benchmark.registry import resolve
from benchmark.runs.config import GridConfig, Job
from benchmark.runs.limits import size
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Record, Store
from benchmark.structures import UserError


@cache
def _worker() -> Worker:
    """This process's own worker: an engine that reuses its processes reuses what they have imported."""
    return Worker()


def make(job: str, failures: list[str], folder: str) -> str:
    """The task: make a job in a child of this process, and return its record.

    Args:
        job: A `Job` as JSON.
        failures: How earlier attempts at it failed.
        folder: The working directory of whoever asks, which relative paths are meant from.

    Returns:
        The stored record as JSON.
    """
    os.chdir(folder)
    return _worker().make(Job.model_validate_json(job), failures=failures).record.model_dump_json()


@dataclass(frozen=True)
class Needs:
    """What a job asks an engine for.

    Attributes:
        cpus: Its threads.
        gpus: Of one GPU this share, or so many.
        memory: Bytes; None where nobody has said.
    """

    cpus: int
    gpus: float
    memory: int | None


def needs_of(job: Job) -> Needs:
    """What a job asks for: its threads, its limit on memory, and what its detector's card says of GPU and memory.

    Raises:
        UserError: Where the card says what cannot be read.
    """
    needed = resolve(job.specification).cls.card.needed
    try:
        gpus = float(needed.get("gpu") or 1) if job.config.device == "cuda" else 0.0
        memory = job.limits.max_memory or (size(needed["memory"]) if "memory" in needed else None)
    except ValueError as error:
        raise UserError(f"detector {job.config.detector!r}: its card needs {needed}: {error}") from error
    return Needs(job.config.threads, gpus, memory)


class Rows:
    """The rows of a grid as their tasks come back.

    Attributes:
        done: The stored run of every job so far.
        waiting: Places in the grid of jobs that are to be handed out.
    """

    def __init__(self, grid: Sequence[Planned], callback: Callback, config: GridConfig) -> None:
        self._grid, self._callback, self._config = grid, callback, config
        self.done = begin(grid, callback)
        self.waiting = deque(i for i, stored in enumerate(self.done) if stored is None)
        self._failures: dict[int, list[str]] = {}

    def arguments(self, i: int) -> tuple[str, list[str], str]:
        """The arguments of `make` for a job that is handed out now."""
        if not self._failures.get(i):
            self._callback.started(self._grid[i].job)
        return self._grid[i].job.model_dump_json(), self._failures.get(i, []), os.getcwd()  # noqa: PTH109  # text

    def arrived(self, i: int, record: str) -> None:
        """A task has come back with a record."""
        job = self._grid[i].job
        store = Store(job.results)
        self._store(i, FolderRun(store.folder(job.config, job.seed), Record.model_validate_json(record), store))

    def lost(self, i: int, failure: Failure, words: str) -> None:
        """A task did not come back: it waits for another attempt, or its row has failed."""
        job = self._grid[i].job
        failures = self._failures.setdefault(i, [])
        if len(failures) < job.limits.retry:
            failures.append(words)
            self.waiting.append(i)
        else:
            self._store(i, failed(job, Store(job.results), failure, words, attempts=failures))

    def _store(self, i: int, stored: FolderRun) -> None:
        self.done[i] = stored
        self._callback.finished(self._grid[i], stored, reused=False)
        if stored.record.status == "failed" and self._config.on_error == "stop":
            self.waiting.clear()
