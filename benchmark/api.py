"""The suite from Python: what ``python -m benchmark run`` does, as one call that returns a frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark import detector_files, executors
from benchmark.after_run import AfterRun
from benchmark.executors.executor import Callback, Executor
from benchmark.registry import suite
from benchmark.runs.config import OPTIONS, SETTINGS, GridConfig
from benchmark.runs.grid_file import FileGrid, read_grids
from benchmark.runs.plan import Planned, plan, whole
from benchmark.runs.store import FolderRun, Store
from benchmark.statistics.sequential import FIRST_SEEDS
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from datasets.formats.reading import ReadOptions

if TYPE_CHECKING:
    import pandas as pd

MOST_SEEDS = 10_000
DEFAULT = "default"  # the suite that is run where nothing is named


def run(detectors: str | Sequence[str] | None = None, **settings: Any) -> pd.DataFrame:
    """Run detectors on a task and return the board: a row a detector, unranked rows included, best first.

    Args:
        detectors: One specification or several (``"forest:features=pts12"``); default the suite ``default``.
        **settings: The fields of `benchmark.runs.config.GridConfig`: ``task``, ``data`` (a preset, or a folder or file),
            ``labels`` (the same images labelled again, a folder or file), ``seeds`` (how many, or which),
            ``until_ranked``, ``n`` (numbers of training images), ``split``, ``folds``, ``budget`` (``20`` epochs,
            ``"60s"``, ``"500steps"``), ``device``, ``threads``, ``results``, ``overwrite``, ``reuse``,
            ``save_weights``, ``executor``, ``workers``, ``timeout`` (``600`` seconds, ``"10min"``), ``max_memory``
            (``"4GiB"``), ``retry``, ``on_error``, ``after_run``; and those of `datasets.formats.reading.ReadOptions`: ``category``,
            ``sigmas``, ``val``, ``test``, ``group_by``.

    Returns:
        One row a row of the board; columns are those of ``LEADERBOARD.csv``.

    Raises:
        UserError: For what cannot be run. A detector that fails does not raise: its row says why.
    """
    from leaderboard.board import boards
    from leaderboard.render.tables import frame

    done = run_grid(grid_config(detectors, **settings))
    if not done:
        return frame([])
    config = done[0].record.config
    every = boards(Store(done[0].store.root, indexed=True), config.task, config.data)
    return frame([board for board in every if board.digest == config.data_digest])


def leaderboard(
    results: str | os.PathLike[str] = "results",
    task: str | None = None,
    data: str | None = None,
    pair: tuple[str, str] | None = None,
) -> pd.DataFrame:
    """The boards of what is stored, as one frame: a row a row of a board, best first within its board.

    Args:
        results: A folder of results, a bundle, or a folder of bundles; nothing is written there.
        task: Only boards of this task.
        data: Only boards of this data, by its name on the board, the first digits of its digest, or its path.
        pair: Two keypoints; boards that have both hold the metrics relative to the distance between their labels as well.

    Returns:
        Columns are those of ``LEADERBOARD.csv``; the index is (task, data, detector, n), n the number of training images,
        0 where that is unknown. It is in the order of the boards; ``sort_index()`` makes slices of it fast.

    Raises:
        UserError: Where there are no results, no board of the kind, or a record is broken.
    """
    from benchmark.runs.bundle import open_results
    from leaderboard.render.tables import indexed
    from leaderboard.which import boards_on

    found = boards_on(open_results(Path(results)), task, data, pair)
    if not found:
        raise UserError(f"results {os.fspath(results)}: hold no run of {task or 'any task'} on {data or 'any data'}")
    return indexed(found)


def grid_config(detectors: str | Sequence[str] | None = None, **settings: Any) -> GridConfig:
    """A grid from loosely given settings: one value or several, a path or its text; see `run`.

    Raises:
        UserError: Naming the setting that is not one, or that there is none of that name.
    """
    for name in settings:
        if name not in SETTINGS and name != "options":
            raise UserError(f"run has no setting {name!r}{suggestion(name, SETTINGS)}")
    named = suite(DEFAULT) if detectors is None else _several("detectors", detectors, str)
    given = dict(settings)
    seeds = given.get("seeds", 1)
    single = isinstance(seeds, Integral)
    given["seeds"] = range(whole("seeds", seeds, 1, MOST_SEEDS)) if single else _several("seeds", seeds)
    given["n"] = () if given.get("n") is None else _several("n", given["n"], Integral)
    for name in ("task", "data", "labels", "sigmas", "results"):
        if name in given and not (name == "task" and given[name] is None):
            given[name] = _name(name, given[name])
    for name in ("split", "folds"):
        given[name] = whole(name, given.get(name, 0), 0)
    given["after_run"] = tuple(_several("after_run", given.get("after_run") or (), str))
    if given.get("budget") is not None:
        given["budget"] = str(given["budget"])
    said = {name: given.pop(name) for name in OPTIONS if name in given}
    try:
        if said:
            given["options"] = ReadOptions(**{**dict(given.get("options", {})), **said})
        return GridConfig(detectors=tuple(named), **{**given, "seeds": tuple(given["seeds"]), "n": tuple(given["n"])})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:1]))
        raise UserError(f"{where} {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def grids_of(
    file: Path, instead: Mapping[str, Any] | None = None, otherwise: Mapping[str, Any] | None = None
) -> list[FileGrid]:
    """The grids of a grid file; see `benchmark.runs.grid_file`.

    Args:
        file: The file.
        instead: Settings that take the place of what it says.
        otherwise: Settings that stand where it says nothing.

    Raises:
        UserError: With file and line, for what is not one.
    """
    return read_grids(file, grid_config, instead or {}, otherwise or {})


def plan_grids(grids: Sequence[GridConfig | FileGrid], *, write: bool = True) -> list[list[Planned]]:
    """The runs of every grid, all checked before any is made; one that several grids ask for is the first's.

    Args:
        grids: What is asked for.
        write: False: nothing is written, neither a folder of results nor a data set.

    Raises:
        UserError: For what cannot be run; with the line, where a file asks for it.
    """
    places: dict[tuple[str, str], tuple[int, int]] = {}
    plans: list[list[Planned]] = []
    for grid in grids:
        try:
            planned = plan(grid.config if isinstance(grid, FileGrid) else grid, write=write)
        except UserError as error:
            raise (grid.located(error) if isinstance(grid, FileGrid) else error) from error
        plans.append([])
        for one in planned:
            i, j = places.setdefault(_place(one), (len(plans) - 1, len(plans[-1])))
            if i < len(plans) - 1:
                plans[i][j] = _both(plans[i][j], one)
            else:
                plans[-1].append(one)
    return plans


def _place(planned: Planned) -> tuple[str, str]:
    """What identifies a run: its folder of results and its key."""
    return planned.job.results, planned.job.key


def _both(first: Planned, later: Planned) -> Planned:
    """A run that two grids ask for: made again, and its weights saved, where either of them says so."""
    saves = first.job.save_weights or later.job.save_weights
    chosen = later if first.stored is not None and later.stored is None else first
    stored = None if saves and not chosen.job.save_weights and later.stored is None else chosen.stored
    job = chosen.job.model_copy(update={"save_weights": saves, "replaces": chosen.job.replaces or later.job.replaces})
    return replace(chosen, job=job, stored=stored, asked=first.asked or later.asked)


def run_grids(grids: Sequence[GridConfig | FileGrid], callback: Callback | None = None) -> list[FolderRun]:
    """The stored runs of some grids that were asked for, those made earlier included.

    Fewer than were asked for where the grid stops at an error, or its executor leaves it to others to make them.

    Raises:
        UserError: For what cannot be run.
    """
    watch = AfterRun(callback or Callback())
    asked = [grid.config if isinstance(grid, FileGrid) else grid for grid in grids]
    engines = [executors.find(grid.executor) for grid in asked]
    for grid in asked:
        watch.open(grid.after_run, grid.results)
    done: list[FolderRun] = []
    here: dict[tuple[str, str], FolderRun] = {}  # what this call has made or found
    try:
        plans = plan_grids(grids)
        for results in dict.fromkeys(grid.results for grid in asked):
            if swept := Store(results).sweep():
                watch.note(f"{results}: removed {swept} half-written files and folders of runs that were killed")
        for planned, grid, executor in zip(plans, asked, engines, strict=True):
            if grid.until_ranked:  # it has to see the rows that it shares with an earlier grid, whose runs are made now
                planned = [replace(one, stored=here.get(_place(one), one.stored)) for one in plan(grid)]
                made = _until_ranked(planned, watch, grid, executor)
            else:
                made = executor(planned, watch, grid)
            here |= {_place(one): run for one, run in zip(planned, made, strict=False) if run is not None}
            done += [run for one, run in zip(planned, made, strict=False) if one.asked and run is not None]
            if grid.on_error == "stop" and any(run is not None and run.record.status == "failed" for run in made):
                break
    finally:
        detector_files.leave()  # what the caller imports next is the caller's own
    return done


def _until_ranked(
    planned: list[Planned], watch: Callback, grid: GridConfig, executor: Executor
) -> list[FolderRun | None]:
    """The runs of a grid, seed by seed, until its rows are told apart: of a prefix of what was planned, sorted by seed."""
    from leaderboard.until_ranked import answer_known, rounds_of

    rounds = rounds_of(planned, grid.seeds)
    planned[:] = [one for some in rounds for one in some]
    made: list[FolderRun | None] = []
    for look, some in enumerate(rounds, 1):
        made += executor(some, watch, grid)
        stopped = grid.on_error == "stop" and any(run is None or run.record.status == "failed" for run in made)
        known = answer_known([run for run in made if run is not None], look)
        if known or stopped or None in made:
            left = len(planned) - len(made)
            if known:
                watch.note(
                    f"after {look + FIRST_SEEDS - 1} seeds the rows are told apart: {left} further runs are not needed"
                )
            return made
    watch.note(f"after {len(grid.seeds)} seeds, the most asked for, not every two rows are told apart")
    return made


def run_grid(grid: GridConfig, callback: Callback | None = None) -> list[FolderRun]:
    """`run_grids` of one grid."""
    return run_grids([grid], callback)


def _several(name: str, value: Any, kind: type = int) -> list[Any]:
    """One value of ``kind``, or several, as a list. UserError where it is neither."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)):
        values = list(value)
        if kind is not str or all(isinstance(one, str) for one in values):
            return [int(one) if isinstance(one, Integral) and not isinstance(one, bool) else one for one in values]
    what = "specifications in text, as 'forest' or 'net3:lr=0.01'" if kind is str else "whole numbers"
    raise UserError(f"{name} {value!r}: give one, or a list of {what}")


def _name(name: str, value: Any) -> str:
    """A name or a path, as text. UserError where it is neither."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    raise UserError(f"{name} {value!r}: give a name or a path")
