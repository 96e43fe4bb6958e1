"""Batches and several-instance images for the tests of torchvision's detectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from benchmark.conformance import rectangles
from benchmark.structures import LabeledImages
from detectors.training import Batch


def batch_of(data: LabeledImages) -> Batch:
    images = torch.from_numpy(np.asarray(data.images))[:, None].float() / 255
    return Batch(images, None, np.arange(len(data)), data.annotations)


def two_in_one(count: int, seed: int) -> LabeledImages:
    """Images of two rectangles side by side."""
    left, right = rectangles(count, seed=seed), rectangles(count, seed=seed + 100)
    annotations, other = left.annotations, right.annotations
    shift = np.array([28.0, 0.0])
    mixed = {
        "keypoints": np.stack([annotations.keypoints, other.keypoints + shift], 1).reshape(-1, 1, 2),
        "boxes": np.stack([annotations.boxes, other.boxes + np.array([28, 0, 0, 0])], 1).reshape(-1, 4),
    }
    doubled = {
        n: np.repeat(getattr(annotations, n), 2, axis=0) for n in ("visible", "areas", "crowd", "categories", "index")
    }
    images = np.concatenate([left.images, right.images], axis=2)
    return LabeledImages(images, replace(annotations, sizes=annotations.sizes * [2, 1], **mixed, **doubled))
