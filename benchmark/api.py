"""The suite from Python: what ``python -m benchmark run`` does, as one call that returns a frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.registry import suite
from benchmark.runs.execute import Callback, execute, plan, results_folder, whole
from benchmark.runs.store import Store, Stored, writing
from benchmark.structures import UserError

if TYPE_CHECKING:
    import pandas as pd

    from datasets.material import Material

MOST_SEEDS = 10_000


def run(
    detectors: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    data: str | Path = "tiny",
    seeds: int | Sequence[int] = 1,
    n: int | Sequence[int] | None = None,
    split: int = 0,
    folds: int = 0,
    budget: str | int | None = None,
    device: str = "auto",
    threads: int | None = None,
    results: str | Path = "results",
    overwrite: bool = False,
    save_weights: bool = False,
) -> pd.DataFrame:
    """Run detectors on a task and return the board: a row a detector, reference rows included, best first.

    detectors: one specification or several (``"forest:features=pts12"``); default the suite ``default``. task: a card's name (default ``topleft``).
    data: a preset (``python -m benchmark list data``), or the path of a COCO keypoint folder. seeds: how many, or which.
    n: numbers of training images (default all). folds: above 1, out-of-fold predictions over all the images.
    budget: ``20`` epochs, ``60s``, ``500steps``. Raises UserError for what cannot be run; a detector that fails
    does not raise: its row says why.
    """
    from leaderboard.board import boards
    from leaderboard.tables import frame

    done = run_plan(
        suite("default") if detectors is None else _several("detectors", detectors, str),
        task=None if task is None else _name("task", task),
        data=_name("data", data),
        seeds=range(whole("seeds", seeds, 1, MOST_SEEDS)) if isinstance(seeds, Integral) else _several("seeds", seeds),
        n=() if n is None else _several("n", n, Integral),
        split=whole("split", split, 0),
        folds=whole("folds", folds, 0),
        budget=None if budget is None else str(budget),
        device=device,
        threads=threads,
        results=_name("results", results),
        overwrite=overwrite,
        save_weights=save_weights,
    )
    recipe = done[0].record.recipe
    every = boards(done[0].store, recipe.task, recipe.data)
    return frame([board for board in every if board.digest == recipe.data_digest])


def run_plan(
    detectors: Sequence[str],
    *,
    task: str | None,
    data: str,
    seeds: Sequence[int],
    n: Sequence[int],
    split: int,
    folds: int,
    budget: str | None,
    device: str,
    threads: int | None,
    results: str | Path,
    overwrite: bool,
    save_weights: bool,
    callback: Callback | None = None,
) -> list[Stored]:
    """The stored runs of a plan, those made earlier included; see `run` for the arguments.

    The suite ``floor`` is run beside whatever is asked for, where it can be, with one seed: a board without it says little.
    """
    store = Store(results_folder(results))
    with writing(store.root):  # now, not after the first fit
        store.root.mkdir(parents=True, exist_ok=True)
    if not os.access(store.root, os.W_OK):
        raise UserError(f"{store.root}: cannot be written (it is read-only); give another --results folder")
    material = open_data(task, data, split=split, folds=folds, results=store.root)
    how: dict[str, Any] = {"seeds": seeds, "sizes": n, "device": device, "threads": threads}
    todo = plan(material, detectors, budget=budget, overwrite=overwrite, save_weights=save_weights, **how)
    if not material.plural and (floor := [name for name in suite("floor") if name not in detectors]):
        execute(plan(material, floor, **{**how, "seeds": seeds[:1]}), store)
    return execute(todo, store, callback)


def open_data(task: str | None, data: str, *, split: int, folds: int, results: Path) -> Material:
    """The data set of a run, exported once as a COCO folder under ``results/_data`` and read from there."""
    from datasets.load import load
    from datasets.material import Material

    return Material(load(task, data, split=split, root=results / "_data"), folds)


def _several(name: str, value: Any, kind: type = int) -> list[Any]:
    """One value of ``kind``, or several, as a list. UserError where it is neither."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict)):
        found = list(value)
        if kind is not str or all(isinstance(one, str) for one in found):
            return found
    what = "specifications in text, as 'forest' or 'net3:lr=0.01'" if kind is str else "whole numbers"
    raise UserError(f"{name} {value!r}: give one, or a list of {what}")


def _name(name: str, value: Any) -> str:
    """A name or a path, as text. UserError where it is neither."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    raise UserError(f"{name} {value!r}: give a name or a path")
