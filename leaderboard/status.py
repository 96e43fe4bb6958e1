"""How far a grid is, or a folder of results: what is done, stale, failed and missing, and how long the rest may take.

The time left is that of past runs in the same folder: of the same detector with the same parameters, on the same data,
with the same budget and device. Where there is none with as many training images, that of the nearest number is taken in proportion, and said
to be *rough*; where there is none at all the time is unknown. Nothing is guessed from another detector or other data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.runs import facts
from benchmark.runs.config import GridConfig, RunConfig
from benchmark.runs.plan import Planned
from benchmark.runs.store import Record, Results, Store
from leaderboard.staleness import CodeNow
from leaderboard.until_ranked import unneeded

State = Literal["done", "again", "stale", "failed", "missing", "unneeded"]
STATES: tuple[State, ...] = ("done", "again", "stale", "failed", "missing", "unneeded")
"""done: a finished run stands; again: there is one, and another is asked for in its place; stale: there is one, and its code
has changed since; failed: there is one, and it cannot stand; missing: there is none; unneeded: of a grid that ends when its
rows are told apart (``until_ranked``), and those of the rounds before are."""


@dataclass(frozen=True)
class JobStatus:
    """One run of a grid.

    Attributes:
        planned: What was planned.
        state: What is stored of it.
        to_make: Whether ``run`` would make it.
        seconds: How long that may take; None where it is unknown or nothing is to be made.
        rough: Whether that is in proportion to a run with another number of training images.
        workers: How many runs of its grid are made at once.
    """

    planned: Planned
    state: State
    to_make: bool
    seconds: float | None = None
    rough: bool = False
    workers: int = 1

    @property
    def left(self) -> float | None:
        """What it adds to the time left, seconds: its own divided by the runs made at once; None where that is unknown."""
        return None if self.seconds is None else self.seconds / self.workers

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        job = self.planned.job
        return {
            "task": job.config.task,
            "data": job.config.data,
            "detector": job.config.detector,
            "n_train": job.config.n_train,
            "budget": job.config.budget,
            "seed": job.seed,
            "key": job.key,
            "asked": self.planned.asked,
            "state": self.state,
            "to_make": self.to_make,
            "changed_files": list(self.planned.stale),
            "error": self.planned.failed or self.planned.damaged,
            "seconds": self.seconds,
            "rough": self.rough,
        }


@dataclass(frozen=True)
class GridStatus:
    """How far a grid is.

    Attributes:
        results: The folder of results.
        jobs: Every run of it, in its order.
    """

    results: str
    jobs: tuple[JobStatus, ...]

    @property
    def counts(self) -> dict[str, int]:
        """State -> number of runs."""
        return counted(job.state for job in self.jobs)

    @property
    def to_make(self) -> tuple[JobStatus, ...]:
        """The runs that ``run`` would make."""
        return tuple(job for job in self.jobs if job.to_make)

    @property
    def seconds(self) -> float:
        """How long those of them that are known may take, as many at once as are made at once."""
        return sum(job.left for job in self.to_make if job.left is not None)

    @property
    def workers(self) -> int:
        """The most runs that are made at once."""
        return max((job.workers for job in self.to_make), default=1)

    @property
    def unknown(self) -> tuple[JobStatus, ...]:
        """The runs to be made of which no past run tells how long they take."""
        return tuple(job for job in self.to_make if job.seconds is None)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "results": self.results,
            "runs": len(self.jobs),
            **self.counts,
            "to_make": len(self.to_make),
            "seconds_left": self.seconds,
            "unknown_seconds": len(self.unknown),
            "workers": self.workers,
            "rough": any(job.rough for job in self.to_make),
            "jobs": [job.as_dict() for job in self.jobs],
        }


def counted(states: Iterable[State]) -> dict[str, int]:
    """State -> how often, in the order of `STATES`."""
    known = list(states)
    return {state: known.count(state) for state in STATES}


def grid_status(plans: Sequence[Sequence[Planned]], grids: Sequence[GridConfig]) -> GridStatus:
    """How far planned grids are.

    Args:
        plans: What `benchmark.runs.plan.plan` said of each.
        grids: What was asked for.
    """
    every = [one for planned in plans for one in planned]
    past = PastRuns(Store(every[0].job.results))
    for one in every:
        if one.stored is not None:
            past.add(one.stored.record)
    jobs: list[JobStatus] = []
    for planned, grid in zip(plans, grids, strict=True):
        spare = {one.job.key for one in (unneeded(planned, grid.seeds) if grid.until_ranked else ())}
        workers = _at_once(grid, planned)
        jobs += [replace(_status(one, past, spare), workers=workers) for one in planned]
    return GridStatus(every[0].job.results, tuple(jobs))


def _at_once(grid: GridConfig, planned: Sequence[Planned]) -> int:
    """How many runs of a grid are made at once: as asked for, or as the process executor decides; 1 where nobody knows."""
    waiting = [one for one in planned if one.stored is None]
    if not waiting or grid.executor == "local":
        return 1
    known = grid.workers or (facts.cores() // waiting[0].job.config.threads if grid.executor == "process" else 1)
    return max(1, min(known, len(waiting)))


def _status(one: Planned, past: PastRuns, spare: Collection[str]) -> JobStatus:
    state: State = "missing"
    if one.stale:
        state = "stale"
    elif one.stored is not None:
        state = "done"
    elif one.failed or one.damaged:
        state = "failed"
    elif one.job.replaces:
        state = "again"
    if spare and state != "done" and one.job.key in spare:
        return JobStatus(one, "unneeded", False)
    if one.stored is not None:
        return JobStatus(one, state, False)
    seconds, rough = past.seconds(one.job.config)
    return JobStatus(one, state, True, seconds, rough)


class PastRuns:
    """How long runs took, by what decides it. Records of a folder are read when a detector is asked about."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seconds: dict[tuple[Any, ...], dict[int, list[float]]] = {}
        self._looked: set[Path] = set()

    def add(self, record: Record) -> None:
        """Count a finished run."""
        if record.status == "finished" and record.fit_seconds is not None:
            counts = record.scores.get("counts")
            said = counts.get("images") if isinstance(counts, dict) else None
            images = said if type(said) is int else 0
            taken = record.fit_seconds + (record.predict_ms or 0.0) * images / 1000
            self._seconds.setdefault(_kind(record.config), {}).setdefault(record.config.n_train, []).append(taken)

    def seconds(self, config: RunConfig) -> tuple[float | None, bool]:
        """How long a run may take, and whether that is rough; None where no past run tells."""
        known = self._seconds.get(_kind(config), {})
        if config.n_train not in known:
            self._look(config)
            known = self._seconds.get(_kind(config), {})
        if not known:
            return None, False
        nearest = min(known, key=lambda n: (abs(np.log(n / config.n_train)), n))
        return float(np.mean(known[nearest])) * config.n_train / nearest, nearest != config.n_train

    def _look(self, config: RunConfig) -> None:
        """Read the records of a detector on this data that lie in the folder, once."""
        folder = self._store.folder(config, 0).parents[2]
        if folder not in self._looked:
            self._looked.add(folder)
            for run in self._store.runs_of(folder):
                self.add(run.record)


def _kind(config: RunConfig) -> tuple[Any, ...]:
    """What a run's time depends on, besides the number of training images."""
    values = tuple(sorted((name, str(value)) for name, value in config.parameters.items()))
    return config.name, values, config.data_digest, config.folds, config.budget, config.device, config.threads


@dataclass(frozen=True)
class BoardStatus:
    """What a folder of results holds of one board.

    Attributes:
        task: The task, with its version.
        data: What the newest run calls the data.
        rows: Number of configurations.
        counts: State -> number of runs; none is missing, since nothing says what there should be.
        unknown: How many runs there are of which nobody can tell whether their code has changed.
        seconds: What all fits took together.
        newest: When the newest run was made.
        changed: The files whose code has changed.
    """

    task: str
    data: str
    rows: int
    counts: dict[str, int]
    unknown: int
    seconds: float
    newest: str
    changed: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "task": self.task,
            "data": self.data,
            "rows": self.rows,
            "runs": sum(self.counts.values()),
            **{state: count for state, count in self.counts.items() if state not in ("missing", "unneeded")},
            "code_unknown": self.unknown,
            "fit_seconds": self.seconds,
            "newest": self.newest,
            "changed_files": list(self.changed),
        }


def folder_status(results: Results, broken: Callable[[str], None] = lambda problem: None) -> list[BoardStatus]:
    """What a folder of results, or a bundle, holds of each board, by task and data.

    Args:
        results: Where the runs are.
        broken: Is told of each record of a folder that cannot be read; it is left out.

    Raises:
        UserError: Where a bundle is broken.
    """
    boards: dict[tuple[str, int, str, int], list[Record]] = {}
    for run in results.readable(broken) if isinstance(results, Store) else results.runs():
        config = run.record.config
        boards.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run.record)
    code = CodeNow(results)
    made = [_board_status(records, code, results.root) for records in boards.values()]
    return sorted(made, key=lambda board: (board.task, board.data))


def _board_status(records: Sequence[Record], code: CodeNow, root: Path) -> BoardStatus:
    states: list[State] = []
    changed: set[str] = set()
    unknown = 0
    for record in records:
        now = code.state(record, root)
        if record.status == "failed":
            states.append("failed")
        elif now is not None and now.status == "changed":
            states.append("stale")
            changed.update(now.files)
        else:
            states.append("done")
            unknown += now is not None and now.status == "unknown"
    last = max(records, key=lambda record: record.created)
    return BoardStatus(
        task=f"{last.config.task}@{last.config.version}",
        data=last.config.data,
        rows=len({record.config.digest for record in records}),
        counts=counted(states),
        unknown=unknown,
        seconds=sum(record.fit_seconds or 0.0 for record in records),
        newest=last.created,
        changed=tuple(sorted(changed)),
    )
