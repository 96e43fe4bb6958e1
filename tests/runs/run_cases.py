"""Small data sets for tests of runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.conformance import rectangles
from datasets.dataset import Dataset, DatasetCard, with_baseline


def made_dataset(shift: int = 0) -> Dataset:
    """20 train, 6 val and 9 test images of one rectangle each."""
    train, val, test = (rectangles(n, seed=seed + shift) for n, seed in ((20, 1), (6, 2), (9, 3)))
    card = DatasetCard(task="made", data="rectangles")
    return Dataset(train, val, with_baseline(test, train), card, "")


def two_instances(dataset: Dataset) -> Dataset:
    """The same, the first test image holding the second's instance too, and the second none."""
    annotations = replace(dataset.test.annotations, index=np.array([0, *range(8)]), baseline=None)
    return replace(dataset, test=replace(dataset.test, annotations=annotations))
