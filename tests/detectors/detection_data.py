"""Batches and several-instance images for the tests of torchvision's detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmark.conformance import rectangles
from benchmark.structures import Category, LabeledImages
from detectors.training import Batch


def batch_of(data: LabeledImages) -> Batch:
    """All images of a data set as one batch."""
    images = torch.from_numpy(np.asarray(data.images))[:, None].float() / 255
    return Batch(images, None, np.arange(len(data)), data.annotations)


def two_in_one(count: int, seed: int, categories: Sequence[int] = (1, 1)) -> LabeledImages:
    """Images of two rectangles side by side; their category ids, left and right."""
    left, right = rectangles(count, seed=seed), rectangles(count, seed=seed + 100)
    annotations, other = left.annotations, right.annotations
    shift = np.array([28.0, 0.0])
    mixed = {
        "keypoints": np.stack([annotations.keypoints, other.keypoints + shift], 1).reshape(-1, 1, 2),
        "boxes": np.stack([annotations.boxes, other.boxes + np.array([28, 0, 0, 0])], 1).reshape(-1, 4),
        "category_ids": np.tile(np.array(categories, dtype=np.int64), count),
    }
    doubled = {n: np.repeat(getattr(annotations, n), 2, axis=0) for n in ("visible", "areas", "crowd", "index")}
    images = np.concatenate([left.images, right.images], axis=2)
    return LabeledImages(images, replace(annotations, sizes=annotations.sizes * [2, 1], **mixed, **doubled))


def with_categories(data: LabeledImages, ids: Sequence[int], known: Sequence[int] = ()) -> LabeledImages:
    """One-instance data whose instances take turns in these category ids; ``known`` are named in the file, too."""
    category_ids = np.resize(np.array(ids, dtype=np.int64), len(data.annotations.index))
    categories = tuple(Category(i, str(i)) for i in sorted({*ids, *known})) if known else ()
    return LabeledImages(data.images, replace(data.annotations, category_ids=category_ids, categories=categories))
