"""Made boards whose images show where their points are: a bright pixel each, on dark ground."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.conformance import rectangles
from benchmark.runs.config import RunConfig
from benchmark.runs.facts import Facts
from benchmark.runs.heatmaps import Heatmaps
from benchmark.runs.store import Record, Store
from benchmark.structures import FloatArray, LabeledImages, Predictions
from datasets.dataset import Dataset, DatasetCard, with_baseline
from datasets.formats import coco_folder

GROUND, DOT = 40, 255


def dots(count: int, seed: int, size: tuple[int, int] = (28, 28)) -> LabeledImages:
    """``count`` images (height, width) with one dot, on a whole pixel that no edge is near."""
    made = rectangles(count, seed=seed, height=size[0], width=size[1])
    images = np.full((count, *size), GROUND, dtype=np.uint8)
    for image, (x, y) in zip(images, made.points[:, 0].astype(int)):
        image[y, x] = DOT
    return LabeledImages(images, made.annotations)


def data_set(root: Path, test: LabeledImages | None = None) -> Dataset:
    """A folder with 20 test images, or these."""
    train, val = dots(20, 1), dots(6, 2)
    whole = Dataset(
        train, val, with_baseline(dots(20, 3) if test is None else test, train), DatasetCard(task="dots"), ""
    )
    return coco_folder.write(root, whole)


def put(
    store: Store,
    data: Dataset,
    name: str,
    offsets: FloatArray | float,
    seed: int = 0,
    *,
    facts: Mapping[str, Any] | None = None,
    heatmaps: Heatmaps | None = None,
    missing: tuple[int, ...] = (),
    external: bool = False,
) -> None:
    """Store a run that is off by (M, 1, 2) px, and has no answer to the instances at some positions."""
    annotations = data.test.annotations
    kept = np.setdiff1d(np.arange(len(annotations.index)), missing)
    points = annotations.keypoints + np.broadcast_to(offsets, annotations.keypoints.shape)
    config = RunConfig(
        task=data.card.task,
        version=data.card.version,
        data=data.name,
        data_digest=data.digest,
        n_train=9,
        detector=name,
        name=name,
    )
    record = Record(
        status="finished",
        key=config.key(seed),
        config=config,
        seed=seed,
        annotations=store.put_annotations(annotations),
        fit_seconds=1.0,
        predict_ms=0.5,
        external=external,
        facts=Facts(**({"data": "../data"} if facts is None else facts)),
    )
    answers = Predictions.of_category(
        annotations.image_ids[annotations.index[kept]], points[kept], np.ones(len(kept)), 1
    )
    store.write(record, predictions=answers, heatmaps=heatmaps)


def off(data: Dataset, *by: tuple[float, float], also: Mapping[int, tuple[float, float]] | None = None) -> FloatArray:
    """(N, 1, 2) px: the same offset for all images, but for some positions."""
    offsets = np.tile(np.array(by[0], dtype=np.float64), (len(data.test), 1, 1))
    for position, other in (also or {}).items():
        offsets[position, 0] = other
    return offsets
