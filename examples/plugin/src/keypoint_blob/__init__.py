"""The centroid of the pixels brighter than a threshold, plus the mean offset from it to each keypoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark import Budget, Card, Detector, LabeledImages


class Blob(Detector):
    """Centroid of the bright pixels, plus the mean offset from it to each keypoint of the training images.

    Args:
        threshold: Grey level, 0 to 254, above which a pixel is bright.
        learn: False leaves the offset out.
    """

    card = Card(reference="first image moments, as in any textbook of image processing", ablation={"learn": False})

    def __init__(self, threshold: int = 0, learn: bool = True) -> None:
        if not 0 <= threshold <= 254:
            raise ValueError(f"threshold {threshold} is not between 0 and 254")
        self.threshold, self.learn = threshold, learn

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        """Learn the mean offset (K, 2) from the centroid to each keypoint."""
        offset = train.points - self.centroids(train.images)[:, None]
        self.offset = offset.mean(axis=0) if self.learn else np.zeros(offset.shape[1:])
        self.n_parameters = self.offset.size

    def predict(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """(N, K, 2) float64, pixels (x, y), integer = pixel centre."""
        return self.centroids(images)[:, None] + self.offset

    def state(self) -> dict[str, np.ndarray]:
        """The learned offset."""
        return {"offset": self.offset}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take the learned offset back."""
        self.offset = np.asarray(state["offset"], dtype=np.float64)

    def centroids(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """(N, 2) float64, pixels: the mean position of the bright pixels; the image centre where there are none."""
        centroids = []
        for image in images:
            gray = image if image.ndim == 2 else image.mean(axis=2)
            y, x = np.nonzero(gray > self.threshold)
            middle = ((gray.shape[1] - 1) / 2, (gray.shape[0] - 1) / 2)
            centroids.append((x.mean(), y.mean()) if len(x) else middle)
        return np.array(centroids, dtype=np.float64).reshape(-1, 2)
