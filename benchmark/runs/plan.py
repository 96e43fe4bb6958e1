"""From a grid to the jobs that make it, checked in full before the first second of computing is spent.

A job whose run is stored already is not made again, unless the code it was made with has changed since.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import files
from benchmark.code_digest import changed_files
from benchmark.detector import Budget, Detector
from benchmark.registry import Spec, resolve, suite
from benchmark.runs import facts
from benchmark.runs.config import DataReference, GridConfig, Job, RunConfig
from benchmark.runs.data import open_data, open_whole
from benchmark.runs.label_floor import label_floor
from benchmark.runs.store import Damaged, FolderRun, Record, Store, results_folder
from benchmark.statistics.sequential import FIRST_SEEDS
from benchmark.structures import UserError
from datasets.dataset import tests_of

MAX_SEED = 2**32 - 1  # the largest that every library takes
MAX_THREADS = 1024
BASELINE = "baseline"  # the suite that stands on every board
# Specification and the code a run was made with -> what of it has changed: looked up once, for thousands of seeds.
_Stale = dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, ...]]


@dataclass(frozen=True)
class Planned:
    """A job, and what is stored of it.

    Attributes:
        job: The run to make.
        stored: The run that stands for it; None: it is to be made.
        stale: The files whose code has changed since an earlier run of this key was made; empty where there is none, or
            nothing has changed. With ``stored`` the earlier run stands all the same.
        damaged: What is wrong with an earlier run of this key that does not count, in words; "" where nothing is.
        asked: False for a run of the suite ``baseline`` that nobody asked for.
        failed: Why the run of this key that is there failed; "" where it did not, or there is none.
    """

    job: Job
    stored: FolderRun | None = None
    stale: tuple[str, ...] = ()
    asked: bool = True
    damaged: str = ""
    failed: str = ""


def plan(grid: GridConfig, *, write: bool = True) -> list[Planned]:
    """Resolve every name, check every setting, and look up what is stored.

    The suite ``baseline`` is planned before whatever is asked for, where it can be, with one seed: a board without it
    says little.

    Args:
        grid: What is asked for.
        write: False: look, and write nothing. The folder of results may then be missing or read-only.

    Raises:
        UserError: For anything that cannot be run as asked.
    """
    store = _writable(grid.results) if write else Store(results_folder(grid.results))
    spent = Budget.parse(grid.budget)
    device = facts.device(grid.device)
    threads = _threads(grid)
    _refuse_contradictions(grid)
    reference = DataReference(
        task=grid.task,
        data=grid.data,
        options=grid.options,
        split=grid.split,
        folds=grid.folds,
        root=str(store.root / "_data"),
    )
    parts = open_data(reference, fresh=True, write=write)
    most = min(len(part.train) for part in parts)
    name = parts[0].name + (f"-folds{grid.folds}" if grid.folds else "")
    for n in grid.n:
        if not 1 <= whole("n", n, 1) <= most:
            raise UserError(f"n {n}: {name} has {most} training images, so give 1 to {most}")
    specs = {text.strip(): _checked(resolve(text), device) for text in grid.detectors}
    _refuse_namesakes(specs.values())
    if grid.save_weights:
        _refuse_unsaveable(specs.values())
    if grid.executor != "local" or grid.limits.need_a_process:
        _refuse_unreachable(specs.values())
    # A damaged copy would make every stored run unreadable, so it is looked at now.
    annotations = store.put_annotations(tests_of(parts).annotations, write=write)
    if grid.labels:
        floor = label_floor(open_whole(reference), grid.labels, grid.options)
        if write:
            store.put_label_floor(floor)
    planned: dict[str, Planned] = {}
    known: _Stale = {}

    def add(text: str, spec: Spec, asked: bool) -> None:
        budget = spent if asked and spent.kind in spec.cls.budgets else Budget()
        for n in grid.n or (most,):
            config = RunConfig(
                task=parts[0].card.task,
                version=parts[0].card.version,
                data=name,
                data_digest=parts[0].digest,
                split=parts[0].card.split,
                folds=grid.folds,
                n_train=n,
                detector=spec.name,
                name=spec.entry.name,
                detector_version=spec.version,
                parameters=dict(spec.values),
                budget=str(budget),
                device=device,
                threads=threads,
            )
            for seed in grid.seeds if asked else grid.seeds[:1]:
                job = Job(
                    specification=text,
                    data=reference,
                    config=config,
                    seed=seed,
                    results=str(store.root),
                    save_weights=grid.save_weights and asked,
                    annotations=annotations,
                    limits=grid.limits,
                    after_run=grid.after_run,
                )
                planned.setdefault(job.key, _planned(job, spec, store, grid, asked, known))

    for text, spec in specs.items():
        add(text, spec, True)
    if all(part.train.annotations.single_instance for part in parts):
        for text in suite(BASELINE):
            add(text, resolve(text), False)
    return sorted(planned.values(), key=lambda one: one.asked)  # the baseline first, the others in their order


def _refuse_contradictions(grid: GridConfig) -> None:
    """UserError for settings that cannot be had, or not together, whatever the data is."""
    if not grid.seeds:
        raise UserError("seeds: there is none; give at least one")
    if not grid.detectors:
        raise UserError("detectors: there is none; name at least one")
    if grid.until_ranked and len(grid.seeds) < FIRST_SEEDS:
        raise UserError(
            f"until-ranked: is about adding seeds; give at least {FIRST_SEEDS} with --seeds, the most there may be"
        )
    if grid.save_weights and grid.folds:
        raise UserError("save-weights: a run over folds has as many fits as folds; leave one of the two out")
    for seed in grid.seeds:
        whole("seed", seed, 0, MAX_SEED)


def _refuse_unsaveable(specs: Iterable[Spec]) -> None:
    """UserError where weights are asked for that a detector cannot give: its fit would be lost, and an earlier run with it."""
    for spec in specs:
        if spec.cls.state is Detector.state:
            raise UserError(
                f"detector {spec.name!r}: cannot be saved, for it defines no state(), and its weights are asked for; "
                "define state() and restore(), or leave it out"
            )


def _refuse_namesakes(specs: Iterable[Spec]) -> None:
    """UserError where two detectors have one name: their runs would take each other's place."""
    by_name: dict[str, Spec] = {}
    for spec in specs:
        other = by_name.setdefault(spec.entry.name, spec)
        if other.entry.target != spec.entry.target:
            raise UserError(
                f"detectors of {other.entry.origin} and of {spec.entry.origin} are both called {spec.entry.name!r}: give "
                "one another name with @register(name)"
            )


def _planned(job: Job, spec: Spec, store: Store, grid: GridConfig, asked: bool, known: _Stale) -> Planned:
    try:
        earlier = store.find(job.config, job.seed)
    except Damaged as error:
        return Planned(job, asked=asked, damaged=str(error))
    if earlier is None:
        return Planned(job, asked=asked)
    if earlier.record.status != "finished":
        return Planned(job, asked=asked, failed=earlier.record.error or "failed")
    if grid.overwrite and asked:
        return Planned(_in_place_of(earlier, job))
    if problem := earlier.problem(with_weights=job.save_weights):
        weights_alone = job.save_weights and not earlier.weights.is_file()
        damaged = "" if weights_alone else f"{earlier.place}: {problem}"
        return Planned(_in_place_of(earlier, job), asked=asked, damaged=damaged)
    made_with = (job.specification, tuple(earlier.record.facts.code.items()))
    if (stale := known.get(made_with)) is None:
        file = spec.entry.file
        code = spec.code(() if file else earlier.record.facts.code)
        stale = tuple(changed_since(earlier.record, code, file.absolute().parent if file else None))
        known[made_with] = stale
    if stale and grid.reuse != "stale":
        return Planned(_in_place_of(earlier, job), None, stale, asked)
    return Planned(job, earlier, stale, asked)


def _refuse_unreachable(specs: Iterable[Spec]) -> None:
    """UserError where a detector is known to this process alone, and another is to make its runs."""
    for spec in specs:
        if spec.entry.file is None and spec.entry.origin.startswith("@register"):
            raise UserError(
                f"detector {spec.name!r} ({spec.entry.origin}) is known to this process alone, and another makes its runs: "
                "name its file, or package.module:Class"
            )


def _in_place_of(earlier: FolderRun, job: Job) -> Job:
    return job.model_copy(update={"replaces": earlier.identity})


def made_meanwhile(job: Job, store: Store) -> FolderRun | None:
    """The finished run of this key that somebody has stored since the job was planned; None where there is none.

    Another grid may have made it, or this one, before the machine went down that worked through it.
    """
    try:
        there = store.find(job.config, job.seed)
    except UserError:
        return None
    if there is None or there.record.status != "finished" or there.problem(with_weights=job.save_weights):
        return None
    return there if there.identity != job.replaces else None


def changed_since(record: Record, code: Mapping[str, str], folder: Path | None) -> list[str]:
    """The files whose code has changed since a run was made.

    Args:
        record: The run's.
        code: What the detector reaches now; see `benchmark.code_digest.reached_code`.
        folder: Where the detector's own file lies now; None for one that is offered by name.

    Returns:
        Labels of files; empty where none has changed.
    """
    return changed_files(record.facts.code, code, folder)


def _writable(results: str) -> Store:
    """The store, whose folder is made now and not after the first fit."""
    store = Store(results_folder(results))
    with files.writing(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
    if not os.access(store.root, os.W_OK):
        raise UserError(f"{store.root}: cannot be written (it is read-only); give another --results folder")
    return store


def _checked(spec: Spec, device: str) -> Spec:
    """A detector that can be made, on this device."""
    spec.build()  # a refused parameter shows now, not after an hour
    if "gpu" in spec.cls.card.needed and device == "cpu":
        raise UserError(f"detector {spec.name!r} needs a GPU, and runs would be made on {device}: leave it out")
    return spec


def _threads(grid: GridConfig) -> int:
    """Of each run: as asked for, or the cores divided among the workers. They are part of the key, so decided here."""
    if grid.threads is not None:
        return whole("threads", grid.threads, 1, MAX_THREADS)
    return max(1, facts.cores() // (grid.workers or 1))


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` if it is a whole number from ``low`` to ``high``.

    Raises:
        UserError: Naming it otherwise.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and low <= value <= (high or value):
        return int(value)
    raise UserError(f"{name} {value!r}: give a whole number " + (f"from {low} to {high}" if high else f"from {low}"))
