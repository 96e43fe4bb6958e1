"""What the detectors that wrap other libraries' estimators share: one image size, and weights without pickles.

A fitted scikit-learn estimator has no portable form but a pickle, and a pickle runs code when it is opened. So a fitted
detector is stored as what it was fitted on (images, points, seed, budget), and restoring fits it again. The estimators
are deterministic, so the restored one gives the identical answers: on the same machine and package versions to the bit,
elsewhere as far as the packages agree. Restoring costs what fitting costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.detector import Budget, Detector, HistoryRow
from benchmark.metrics.pixels import distance
from benchmark.structures import FloatArray, Image, LabeledImages, Prediction, UserError, stack_images

REPORTED = 1000  # images of a split that the pixel errors of a history row are taken over, at most


def one_size(images: Sequence[Image], shape: tuple[int, ...], name: str) -> Image:
    """The images as one array, where they have the shape of the training images.

    Args:
        images: N arrays, uint8.
        shape: Of the training images: (H, W) or (H, W, 3).
        name: Of the detector, for the error.

    Returns:
        (N, *shape) uint8.

    Raises:
        UserError: Where the images are of another shape.
    """
    stacked = stack_images(images)
    if len(stacked) == 0:
        return np.zeros((0, *shape), dtype=np.uint8)
    if stacked.shape[1:] != shape:
        raise UserError(
            f"{name} learned from images of shape {shape} and can answer no others; these are {stacked.shape[1:]}"
        )
    return stacked


class RefitOnLoad(Detector):
    """Base of detectors that learn in one deterministic step from images of one size.

    A subclass gives `learn` and `answer`, and may give `history_columns`.

    Attributes:
        epochs: Passes over the training split that the budget asks for; None where it names none. A detector that
            learns without passes declares no ``budgets``.
    """

    budgets: ClassVar[tuple[str, ...]] = ()
    partial_labels: ClassVar[bool] = True
    epochs: int | None = None

    _images: Image
    _points: FloatArray
    _seed: int

    def learn(self, images: Image, points: FloatArray, seed: int) -> None:
        """Learn from images of one size.

        Args:
            images: (N, H, W) or (N, H, W, 3) uint8.
            points: (N, K, 2) float64, pixels (x, y); NaN where a keypoint is not labelled.
            seed: Fixes everything that is drawn at random.
        """
        raise NotImplementedError

    def answer(self, images: Image) -> tuple[FloatArray, FloatArray]:
        """Answer images of the size learned from.

        Args:
            images: (N, H, W) or (N, H, W, 3) uint8; N is at least 1.

        Returns:
            (N, K, 2) float64, pixels (x, y), and (N,) float64 scores.
        """
        raise NotImplementedError

    def memory(self, data: LabeledImages) -> int:
        """The images twice: as they are, and on their way into an array."""
        return 2 * super().memory(data)

    def history_columns(self, train: LabeledImages, val: LabeledImages) -> HistoryRow:
        """Further columns for the history, measured once it has learned."""
        return {}

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> list[HistoryRow]:
        """Learn from ``train``. One history row, its errors over at most `REPORTED` images a split."""
        started = time.perf_counter()
        self._fit(train.stack(), train.points, seed, None if budget.epochs is None else max(1, budget.epochs))
        row: HistoryRow = {"epoch": 1.0, "seconds": time.perf_counter() - started}
        for name, data in (("train_px", train), ("val_px", val)):
            if len(data):
                some = data.take(range(min(len(data), REPORTED)))
                errors = distance(self._answered(some.images)[0] - some.points)
                if not np.isnan(errors).all():
                    row[name] = float(np.nanmean(errors) if np.isnan(errors).any() else errors.mean())
        return [row | self.history_columns(train, val)]

    def _fit(self, images: Image, points: FloatArray, seed: int, epochs: int | None) -> None:
        self._images, self._points, self._seed, self.epochs = images, points, seed, epochs
        self.learn(images, points, seed)

    def _answered(self, images: Sequence[Image]) -> tuple[FloatArray, FloatArray]:
        stacked = one_size(images, self._images.shape[1:], type(self).__name__)
        if len(stacked) == 0:
            return np.zeros((0, *self._points.shape[1:])), np.zeros(0)
        return self.answer(stacked)

    def predict(self, images: Sequence[Image]) -> FloatArray | Sequence[Prediction]:
        """(N, K, 2) px; or a `Prediction` an image, where the card promises scores that carry confidence."""
        points, scores = self._answered(images)
        if not self.card.has_confidence:
            return points
        return [Prediction(point[None], score[None]) for point, score in zip(points, scores)]

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What it was fitted on, contiguous: safetensors writes the memory of an array and ignores its strides."""
        images, points = np.ascontiguousarray(self._images), np.ascontiguousarray(self._points)
        numbers = np.array([self._seed, self.epochs or 0], dtype=np.int64)
        return {"images": images, "points": points, "seed_epochs": numbers}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Fit again on what it was fitted on."""
        seed, epochs = state["seed_epochs"].tolist()
        self._fit(np.asarray(state["images"]), np.asarray(state["points"]), seed, epochs or None)
