"""Fitted detectors asked about corrupted test images: no detector is fitted again, and none has seen a corruption.

A run that keeps its weights is restored, and asked about its test images in every way of `datasets.corruptions`. What it
answers is stored as any run is, in a folder of results of its own, ``_robustness`` beside the runs, as data called
``tiny~rotation-3``: so boards, comparisons and the page read it, and it is scored by the one harness.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmark import detector_files
from benchmark.detector import Detector
from benchmark.executors.executor import Callback
from benchmark.metrics import score
from benchmark.predict import restored
from benchmark.registry import resolve
from benchmark.runs.config import DataReference, GridConfig, RunConfig
from benchmark.runs.data import open_data
from benchmark.runs.execute import answer, commonest_category, frozen, one_line
from benchmark.runs.store import Damaged, FolderRun, Store
from benchmark.runs.threads import limited_threads
from benchmark.structures import Annotations, LabeledImages, UserError
from datasets import corruptions
from datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from datasets.dataset import Dataset
from datasets.tasks.catalog import tasks
from datasets.tasks.targets import target_points

FOLDER = "_robustness"
BASELINE = "mean"  # what figures are set against
BETWEEN = "~"
"""Stands between what data is called and how it was corrupted."""
MOST_KEPT = 1 << 30  # bytes of corrupted images that are kept for the next detector


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
    loaded_as: Mapping[str, str] = MappingProxyType({}),
) -> list[FolderRun]:
    """Ask fitted detectors about corrupted test images; what this very fit has answered already is not asked again.

    Args:
        runs: Finished runs with weights, of one data set.
        dataset: That data set.
        into: The folder of results that the answers are stored in.
        names: Of `datasets.corruptions.CORRUPTIONS`.
        callback: Is told how far it is.
        device: auto, cpu or cuda.
        loaded_as: Detector of a run -> what to load for it, where that is the user's own file.

    Returns:
        One run a run, corruption and severity; failed ones where a detector could not answer.

    Raises:
        UserError: Where weights are missing, or a detector cannot be restored.
    """
    store, asked = Store(into), []
    test = _Corrupted(dataset)
    for run in runs:
        fitted: Detector | None = None
        for name in dict.fromkeys(names):
            for severity in SEVERITIES:
                config = run.record.config.model_copy(
                    update={
                        "data": f"{run.record.config.data}{BETWEEN}{name}-{severity}",
                        "data_digest": _digest(dataset.digest, name, severity),
                    }
                )
                if (known := _known(store, config, run)) is not None:
                    asked.append(known)
                    continue
                if fitted is None:
                    file = loaded_as.get(run.record.config.detector) if run.record.facts.file else None
                    fitted, _, _ = restored(run.folder, device, file)
                learned = dataset.with_train(config.n_train, run.record.seed).train
                asked.append(_answered(store, run, config, fitted, test(name, severity), learned.annotations))
                if asked[-1].record.error:
                    callback(f"failed {run.record.config.detector} on {config.data}: {asked[-1].record.error}")
            callback(f"{run.record.config.detector} seed {run.record.seed}: {name}")
    return asked


class _Corrupted:
    """The corrupted test images of a data set, made when they are asked for; kept while they take little memory."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._kept: dict[tuple[str, int], LabeledImages] = {}
        self._bytes = 0

    def __call__(self, name: str, severity: int) -> LabeledImages:
        if (name, severity) in self._kept:
            return self._kept[name, severity]
        made = corrupted_test(self._dataset, name, severity)
        size = sum(image.nbytes for image in made.images)
        if self._bytes + size <= MOST_KEPT:
            self._kept[name, severity] = made
            self._bytes += size
        return made


def _known(store: Store, config: RunConfig, run: FolderRun) -> FolderRun | None:
    """What this very fit has answered already; None where nobody has, or an earlier fit of the same key, or it is damaged."""
    try:
        stored = store.find(config, run.record.seed)
    except Damaged:
        return None
    if stored is None or stored.record.status != "finished" or stored.problem():
        return None
    same = _fit(run) in stored.record.notes and stored.record.facts.code == run.record.facts.code
    return stored if same else None


def _fit(run: FolderRun) -> str:
    """Which fit answered: any fit of the same config has its key, so its weights are named."""
    return f"answered by the fit of {run.record.key}, weights {run.record.digests.get(run.weights.name, '')[:16]}"


def _answered(
    store: Store,
    run: FolderRun,
    config: RunConfig,
    fitted: Detector,
    test: LabeledImages,
    learned: Annotations,
) -> FolderRun:
    """What a fitted detector says of corrupted images, stored; a failed run where it cannot answer."""
    update: dict[str, object] = {
        "key": config.key(run.record.seed),
        "config": config,
        "annotations": store.put_annotations(test.annotations),
        "digests": {},
        "untrained": {},
        "notes": [*run.record.notes, _fit(run)],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    log, predictions = f"the fit of {run.record.key}, asked about {config.data}\n", None
    try:
        with limited_threads(config.threads):
            category = commonest_category(learned, test.annotations)
            predictions, _ = answer(fitted, test.annotations, frozen(test).images, category)
        update["scores"] = score(test.annotations, predictions, has_scores=run.record.has_confidence).as_dict()
    except Exception as error:  # costs this answer, not the others
        words = f"{type(error).__name__}: {one_line(error)}"
        update |= {"status": "failed", "failure": "raised", "error": words, "scores": {}}
        log, predictions = log + traceback.format_exc(), None
    return store.write(run.record.model_copy(update=update), predictions=predictions, log=log)


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
        The runs on clean images, and those of the finished ones on corrupted images.

    Raises:
        UserError: For what cannot be run, or asked.
    """
    from benchmark.api import run_grid

    if grid.folds:
        raise UserError("folds: corrupted images are asked about one fit at a time; leave --folds out")
    detectors = grid.detectors if BASELINE in grid.detectors else (BASELINE, *grid.detectors)
    reference = DataReference(
        task=grid.task, data=grid.data, options=grid.options, split=grid.split, root=str(Path(grid.results) / "_data")
    )
    (dataset,) = open_data(reference)
    asked = grid.model_copy(update={"detectors": detectors, "save_weights": True})
    if grid.threads is None:
        asked = asked.model_copy(update={"threads": _stored_threads(asked, dataset.digest)})
    runs = run_grid(asked, callback)
    finished = [run for run in runs if run.record.status == "finished"]
    loaded_as = {resolve(text).name: text for text in detectors}
    watch = callback or Callback()
    into = Path(grid.results) / FOLDER
    try:
        return runs, ask(finished, dataset, into, names, watch.note, device=grid.device, loaded_as=loaded_as)
    finally:
        detector_files.leave()


def _stored_threads(grid: GridConfig, digest: str) -> int | None:
    """The threads of the newest stored run of a grid's detectors on this data; None where there is none.

    A board shows the setting of a row's newest run. Fits with other threads, made here for their weights, would take the
    place of rows of many seeds.
    """
    names = {resolve(text).name for text in grid.detectors}
    stored = [
        run.record
        for run in Store(grid.results).runs()
        if run.record.config.data_digest == digest
        and run.record.config.detector in names
        and run.record.status == "finished"
    ]
    return max(stored, key=lambda record: record.created).config.threads if stored else None
