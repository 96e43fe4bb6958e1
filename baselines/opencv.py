"""Classical keypoint detectors as proposals, and a learned ranking of what they propose.

SIFT (Lowe 2004), ORB (Rublee et al. 2011), FAST (Rosten and Drummond 2006) and minimum-eigenvalue corners (Shi and
Tomasi 1994), as OpenCV has them, find where an image is interesting, not which point is asked for. So each proposes
candidates, and boosted trees learn from the training images how far a candidate lies from the keypoint, given the patch
around it, where it is, and how strongly it was found; the answer is the candidate with the smallest predicted distance.

No ranking can do better than the nearest candidate. That ceiling, *candidate recall*, stands in the training history:
the share of keypoints with a candidate within .5 px and within 1 px, on train and val.

At 28 x 28 px these detectors find little or nothing (ORB by default looks no closer than 31 px to the border), so
images are padded and enlarged first. Enlarging s times maps the pixel centre x to s (x + pad + .5) - .5; `_to_pixels`
alone undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.refit_on_load import REPORTED, RefitOnLoad
from benchmark.detector import Card, HistoryRow
from benchmark.structures import FloatArray, Image, LabeledImages, mean_points
from datasets.images import grey

PAD = 4  # px of continued border, so that points at the edge have surroundings
REACH = 3.0  # px: farther than this, all candidates are equally wrong
ROUNDS = 100  # of boosting, unless a budget says otherwise

Rows = NDArray[np.float32]


def _to_pixels(enlarged: FloatArray, scale: int) -> FloatArray:
    """From (M, 2) positions in the padded, enlarged image to pixels of the image itself."""
    return (enlarged + 0.5) / scale - 0.5 - PAD


@dataclass(eq=False)
class Candidates(RefitOnLoad):
    """Base: candidates of one OpenCV detector, ranked. A subclass gives `find`.

    Args:
        scale: How many times images are enlarged.
        max_candidates: Candidates an image at most, the strongest.
        patch: Side in px of the square around a candidate that the ranking sees, odd.
        ranked: False takes the strongest candidate instead.
    """

    budgets = ("epochs",)  # rounds of boosting

    scale: int = 4
    max_candidates: int = 150
    patch: int = 11
    ranked: bool = True

    def __post_init__(self) -> None:
        if self.scale < 1 or self.max_candidates < 1:
            raise ValueError("scale and max_candidates must be at least 1")
        if self.patch < 1 or self.patch % 2 == 0:
            raise ValueError(f"patch must be odd, not {self.patch}")

    def find(self, enlarged: Image) -> FloatArray:
        """Detect candidates in an enlarged image.

        Args:
            enlarged: (H, W) uint8.

        Returns:
            (M, 4) float64: u, v, strength and size, in pixels of the enlarged image.
        """
        raise NotImplementedError

    def candidates(self, image: Image) -> FloatArray:
        """The candidates inside an image, the strongest first, no position twice.

        Args:
            image: (H, W) uint8.

        Returns:
            (M, 4) float64: x, y, strength and size, in px of the image.
        """
        import cv2

        height, width = image.shape
        padded = cv2.copyMakeBorder(image, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
        enlarged = cv2.resize(padded, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_CUBIC)
        raw = self.find(np.asarray(enlarged, dtype=np.uint8))
        rows = np.column_stack([_to_pixels(raw[:, :2], self.scale), raw[:, 2], raw[:, 3] / self.scale])
        inside = (rows[:, :2] >= -0.5).all(axis=1) & (rows[:, 0] <= width - 0.5) & (rows[:, 1] <= height - 0.5)
        rows = rows[inside]
        rows = rows[np.lexsort((rows[:, 0], rows[:, 1], -rows[:, 2]))]
        _, first = np.unique(rows[:, :2].round(2), axis=0, return_index=True)
        strongest: FloatArray = rows[np.sort(first)][: self.max_candidates]
        return strongest

    def learn(self, images: Image, points: FloatArray, seed: int) -> None:
        """Learn one ranking a keypoint: the distance to it, `REACH` px at most, from the patch at a candidate."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        known = ~np.isnan(points[:, :, 0])
        self._mean = points.mean(axis=0) if known.all() else mean_points(points)
        self._rankings: list[Any] = []
        pixels = grey(images)
        candidates = [self.candidates(image) for image in pixels]
        if not self.ranked or not any(map(len, candidates)):
            return
        inputs = self._inputs(pixels, candidates)
        for k in range(points.shape[1]):
            distances = np.concatenate(
                [np.hypot(*(at[:, :2] - point).T) for at, point in zip(candidates, points[:, k])]
            )
            of_known = ~np.isnan(distances)
            if not of_known.any():
                self._rankings.append(None)  # no image with candidates has this keypoint: the mean is the answer
                continue
            ranking = HistGradientBoostingRegressor(
                max_iter=self.epochs or ROUNDS, early_stopping=False, random_state=seed
            )
            self._rankings.append(ranking.fit(inputs[of_known], np.minimum(distances[of_known], REACH)))

    def answer(self, images: Image) -> tuple[FloatArray, FloatArray]:
        """The best-ranked candidate of each keypoint; see `RefitOnLoad.answer`.

        A score is exp of minus the mean distance (px) predicted for the chosen candidates. Where there is no candidate,
        the answer is the training mean, with score 0.
        """
        pixels = grey(images)
        candidates = [self.candidates(image) for image in pixels]
        ends = np.cumsum([0, *map(len, candidates)])
        points = np.repeat(self._mean[None], len(images), axis=0)
        scores = np.zeros(len(images))
        if ends[-1] == 0:
            return points, scores
        if not self._rankings:
            for i, at in enumerate(candidates):
                if len(at):
                    points[i] = at[0, :2]
            return points, scores
        inputs = self._inputs(pixels, candidates)
        learned = [k for k, ranking in enumerate(self._rankings) if ranking is not None]
        if not learned:
            return points, scores
        distances = np.stack([self._rankings[k].predict(inputs) for k in learned], axis=1)
        for i, at in enumerate(candidates):
            if len(at):
                own = distances[ends[i] : ends[i + 1]]
                points[i, learned] = at[own.argmin(axis=0), :2]
                scores[i] = np.exp(-own.min(axis=0).mean())
        return points, scores

    def history_columns(self, train: LabeledImages, val: LabeledImages) -> HistoryRow:
        """Candidate recall, and the mean number of candidates an image, on at most `REPORTED` images a split."""
        row: HistoryRow = {}
        for name, data in (("train", train), ("val", val)):
            some = data.take(range(min(len(data), REPORTED)))
            if len(some):
                candidates = [self.candidates(image) for image in grey(some.images)]
                row |= {f"{name}_{key}": value for key, value in recall(candidates, some.points).items()}
        return row

    def _inputs(self, images: Image, candidates: Sequence[FloatArray]) -> Rows:
        """(M of all images, patch^2 + 4): what the ranking learns from, a row a candidate."""
        return np.concatenate([self._patches(image, at) for image, at in zip(images, candidates)])

    def _patches(self, image: Image, candidates: FloatArray) -> Rows:
        """(M, patch^2 + 4): the patch about each candidate, interpolated, then its x, y, strength and size."""
        from scipy.ndimage import map_coordinates

        half = self.patch // 2
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, 1, -1)
        at = np.stack([candidates[:, 1, None] + dy, candidates[:, 0, None] + dx])
        patches = map_coordinates(image.astype(np.float32), at, order=1, mode="nearest")
        return np.concatenate([patches, candidates], axis=1).astype(np.float32)


def recall(candidates: Sequence[FloatArray], points: FloatArray) -> dict[str, float]:
    """How often a candidate lies near a keypoint.

    Args:
        candidates: N arrays (M, 2 or more), x and y (px) first.
        points: (N, K, 2) px, NaN where a keypoint is not labelled.

    Returns:
        ``candidate_recall@.5`` and ``candidate_recall@1``, the share of the keypoints with a candidate within .5 and 1
        px, and ``candidates``, their mean number an image.
    """
    nearest = np.array(
        [
            np.hypot(*(at[:, :2] - point).T).min(initial=np.inf)
            for at, own in zip(candidates, points)
            for point in own
            if not np.isnan(point[0])
        ]
    )
    if not len(nearest):
        nearest = np.full(1, np.inf)
    return {
        "candidate_recall@.5": float((nearest <= 0.5).mean()),
        "candidate_recall@1": float((nearest <= 1.0).mean()),
        "candidates": float(np.mean([len(at) for at in candidates])),
    }


def _rows(keypoints: Any) -> FloatArray:
    """OpenCV's KeyPoint objects as (M, 4) u, v, response, size."""
    return np.array([(*k.pt, k.response, k.size) for k in keypoints], dtype=np.float64).reshape(-1, 4)


@dataclass(eq=False)
class Sift(Candidates):
    """SIFT's scale-space extrema as candidates, ranked by boosted trees."""

    card = Card(
        reference="Lowe 2004; OpenCV SIFT",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """Scale-space extrema of the difference of Gaussians; see `Candidates.find`."""
        from cv2 import SIFT

        sift = SIFT.create(enable_precise_upscale=True)  # without it, points lie half an enlarged pixel off
        return _rows(sift.detect(enlarged, None))


@dataclass(eq=False)
class Orb(Candidates):
    """ORB's oriented FAST corners as candidates, ranked by boosted trees.

    Args:
        scale: How many times images are enlarged.
        max_candidates: Candidates an image at most, the strongest.
        patch: Side in px of the square around a candidate that the ranking sees, odd.
        ranked: False takes the strongest candidate instead.
        threshold: Least difference of intensity on FAST's circle.
    """

    max_candidates: int = 250
    threshold: int = 5

    card = Card(
        reference="Rublee et al. 2011; OpenCV ORB",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """FAST corners on an image pyramid, strongest by Harris' measure; see `Candidates.find`."""
        from cv2 import ORB

        orb = ORB.create(nfeatures=500, edgeThreshold=15, patchSize=15, fastThreshold=self.threshold)
        return _rows(orb.detect(enlarged, None))


@dataclass(eq=False)
class Fast(Candidates):
    """FAST corners as candidates, ranked by boosted trees.

    Args:
        scale: How many times images are enlarged.
        max_candidates: Candidates an image at most, the strongest.
        patch: Side in px of the square around a candidate that the ranking sees, odd.
        ranked: False takes the strongest candidate instead.
        threshold: Least difference of intensity on its circle.
    """

    scale: int = 8
    threshold: int = 5

    card = Card(
        reference="Rosten and Drummond 2006; OpenCV FAST",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """Corners where 9 pixels in a row on a circle of 16 are brighter or darker, thinned out."""
        from cv2 import FastFeatureDetector

        return _rows(FastFeatureDetector.create(threshold=self.threshold).detect(enlarged, None))


@dataclass(eq=False)
class Corners(Candidates):
    """Minimum-eigenvalue corners as candidates, ranked by boosted trees.

    Args:
        scale: How many times images are enlarged.
        max_candidates: Candidates an image at most, the strongest.
        patch: Side in px of the square around a candidate that the ranking sees, odd.
        ranked: False takes the strongest candidate instead.
        quality: Least strength, as a share of the strongest in the image.
    """

    scale: int = 8
    quality: float = 0.001

    card = Card(
        reference="Shi and Tomasi 1994; OpenCV goodFeaturesToTrack",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """Corners at least half a pixel of the image apart; their strength is the eigenvalue."""
        import cv2

        apart = self.scale / 2
        everywhere = np.full_like(enlarged, 255)
        corners, strength = cv2.goodFeaturesToTrackWithQuality(
            enlarged, 2 * self.max_candidates, self.quality, apart, everywhere
        )
        if corners is None:
            return np.zeros((0, 4))
        at = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
        return np.column_stack([at, np.asarray(strength).reshape(-1), np.full(len(at), 3.0)])
