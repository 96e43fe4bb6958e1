"""The baseline of every R2: every image is answered with the mean of the training points.

Its error is the spread of the points, and every kind of R2 is measured against it (it scores 0 there by definition).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.detector import Budget, Card, Detector
from benchmark.structures import FloatArray, Image, LabeledImages, mean_points


class Mean(Detector):
    """The mean of the training points, whatever the image shows."""

    budgets = ()
    partial_labels = True
    longest_side = 1 << 20  # it does not look at images: its mean is that of the points as they are
    card = Card(
        reference="the constant that minimises the squared error",
        ranked=False,
    )

    _point: FloatArray

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        """Take the mean of each keypoint over the images of ``train`` that have it."""
        points = train.points
        self._point = mean_points(points) if np.isnan(points).any() else points.mean(axis=0)
        self.n_parameters = self._point.size

    def memory(self, data: LabeledImages) -> int:
        """None to speak of: it looks at no image."""
        return 0

    def predict(self, images: Sequence[Image]) -> FloatArray:
        """(N, K, 2) px, every row the same."""
        return np.repeat(self._point[None], len(images), axis=0)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The mean."""
        return {"point": self._point}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take the mean that ``state`` holds."""
        self._point = np.asarray(state["point"])
