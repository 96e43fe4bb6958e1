"""Fitted detectors asked about corrupted test images: no detector is fitted again, and none has seen a corruption.

A run that keeps its weights is restored, and asked about its test images in every way of `datasets.corruptions`. What it
answers is stored as any run is, in a folder of results of its own, ``_robustness`` beside the runs, as data called
``tiny~rotation-3``: so boards, comparisons and the page read it, and it is scored by the one harness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmark.executors.executor import Callback
from benchmark.metrics import score
from benchmark.predict import restored
from benchmark.runs.config import DataReference, GridConfig
from benchmark.runs.data import open_data
from benchmark.runs.execute import answer, commonest_category
from benchmark.runs.store import FolderRun, Store
from benchmark.runs.threads import limited_threads
from benchmark.structures import LabeledImages, UserError
from datasets import corruptions
from datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from datasets.dataset import Dataset
from datasets.tasks.catalog import tasks
from datasets.tasks.targets import target_points

FOLDER = "_robustness"
BASELINE = "mean"  # what figures are set against
BETWEEN = "~"
"""Stands between what data is called and how it was corrupted."""


def corrupted_test(dataset: Dataset, name: str, severity: int) -> LabeledImages:
    """The corrupted test images of a data set, with their points.

    Where a rule on the image gives the points, it is asked again once pixels have moved: the first inked pixel of a turned
    digit is another pixel than the turned first pixel. Elsewhere points are moved as pixels are.
    """
    test = dataset.test
    changed = corrupt(test, name, severity)
    card = tasks().get(dataset.card.task)
    if card is None or not card.rule or not CORRUPTIONS[name].moves_pixels or not dataset.card.rule:
        return changed
    points = target_points(card.target, np.stack([np.asarray(image) for image in changed.images]))
    return LabeledImages(changed.images, replace(test.annotations, keypoints=points))


def ask(
    runs: Sequence[FolderRun],
    dataset: Dataset,
    into: Path,
    names: Sequence[str],
    callback: Callable[[str], None] = lambda text: None,
    *,
    device: str = "auto",
) -> list[FolderRun]:
    """Ask fitted detectors about corrupted test images; what is stored already is not asked again.

    Args:
        runs: Finished runs with weights, of one data set.
        dataset: That data set.
        into: The folder of results that the answers are stored in.
        names: Of `datasets.corruptions.CORRUPTIONS`.
        callback: Is told how far it is.
        device: auto, cpu or cuda.

    Returns:
        One run a run, corruption and severity.

    Raises:
        UserError: Where weights are missing, or a detector cannot be restored.
    """
    store, asked = Store(into), []
    steps = [(name, severity) for name in names for severity in SEVERITIES]
    configs = [
        run.record.config.model_copy(
            update={
                "data": f"{run.record.config.data}{BETWEEN}{name}-{severity}",
                "data_digest": _digest(dataset.digest, name, severity),
            }
        )
        for run in runs
        for name, severity in steps
    ]
    known = [store.find(config, run.record.seed) for config, run in zip(configs, [r for r in runs for _ in steps])]
    missing = {step for i, step in enumerate(steps) if any(known[k * len(steps) + i] is None for k in range(len(runs)))}
    seen = {step: corrupted_test(dataset, *step) for step in steps if step in missing}
    for k, run in enumerate(runs):
        mine = slice(k * len(steps), (k + 1) * len(steps))
        lacking = [(step, config) for step, config, had in zip(steps, configs[mine], known[mine]) if had is None]
        if lacking:
            fitted, _, _ = restored(run.folder, device)
        for (name, severity), config in lacking:
            test = seen[name, severity]
            with limited_threads(config.threads):
                predictions, _ = answer(fitted, test.annotations, test.images, commonest_category(test.annotations))
            record = run.record.model_copy(
                update={
                    "key": config.key(run.record.seed),
                    "config": config,
                    "annotations": store.put_annotations(test.annotations),
                    "scores": score(test.annotations, predictions, has_scores=run.record.has_confidence).as_dict(),
                    "digests": {},
                    "untrained": {},
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )
            store.write(
                record, predictions=predictions, log=f"the fit of {run.record.key}, asked about {config.data}\n"
            )
            callback(f"{run.record.config.detector} seed {run.record.seed}: {name} {severity}")
        asked += [stored for config in configs[mine] if (stored := store.find(config, run.record.seed)) is not None]
    return asked


def _digest(data: str, name: str, severity: int) -> str:
    """Of corrupted data, which follows from the clean data and the corruption."""
    text = f"{data} {name} {severity} corruptions@{corruptions.VERSION}"
    return hashlib.sha256(text.encode()).hexdigest()


def robustness(
    grid: GridConfig, names: Sequence[str], callback: Callback | None = None
) -> tuple[list[FolderRun], list[FolderRun]]:
    """Fit what a grid asks for, where it is not stored with its weights, and ask every fit about corrupted images.

    Args:
        grid: One task and data; its detectors are joined by the training mean, which figures are set against.
        names: Of `datasets.corruptions.CORRUPTIONS`.
        callback: Is told how far it is.

    Returns:
        The finished runs on clean images, and those on corrupted ones.

    Raises:
        UserError: For what cannot be run, or asked.
    """
    from benchmark.api import run_grid

    if grid.folds:
        raise UserError("folds: corrupted images are asked about one fit at a time; leave --folds out")
    detectors = grid.detectors if BASELINE in grid.detectors else (BASELINE, *grid.detectors)
    asked = grid.model_copy(update={"detectors": detectors, "save_weights": True})
    runs = [run for run in run_grid(asked, callback) if run.record.status == "finished"]
    reference = DataReference(
        task=grid.task, data=grid.data, options=grid.options, split=grid.split, root=str(Path(grid.results) / "_data")
    )
    (dataset,) = open_data(reference)
    watch = callback or Callback()
    return runs, ask(runs, dataset, Path(grid.results) / FOLDER, names, watch.note, device=grid.device)
