"""Classical keypoint detectors as proposals, and a learned ranking of what they propose.

SIFT (Lowe 2004), ORB (Rublee et al. 2011), FAST (Rosten and Drummond 2006) and minimum-eigenvalue corners (Shi and
Tomasi 1994), as OpenCV has them, say where an image is interesting, not which point is asked for. So each proposes
candidates, and boosted trees learn from the training images how far a candidate lies from the keypoint, given the patch
around it, where it is, and how strongly it was found; the answer is the candidate said to be nearest.

No ranking can do better than the nearest candidate. That ceiling, *candidate recall*, stands in the training history:
the share of keypoints with a candidate within .5 px and within 1 px, on train and val.

At 28 x 28 px these detectors find little or nothing (ORB by default looks no closer than 31 px to the border), so
images are padded and enlarged first. Enlarging s times maps the pixel centre x to s (x + pad + .5) - .5: the half
pixel lives in `_to_pixels` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.refit import RefitOnLoad
from benchmark.detector import Card, HistoryRow
from benchmark.structures import FloatArray, Image, LabeledImages
from datasets.features import grey

PAD = 4  # px of continued border, so that points at the edge have surroundings
REACH = 3.0  # px: farther than this, all candidates are equally wrong
ROUNDS = 100  # of boosting, unless a budget says otherwise

Rows = NDArray[np.float32]


def _to_pixels(enlarged: FloatArray, scale: int) -> FloatArray:
    """From (M, 2) positions in the padded, enlarged image to pixels of the image itself."""
    return (enlarged + 0.5) / scale - 0.5 - PAD


@dataclass(eq=False)
class Candidates(RefitOnLoad):
    """Base: candidates of one OpenCV detector, ranked.

    scale: how many times images are enlarged. most: candidates an image, the strongest. patch: side of the square
    around a candidate that the ranking sees, px, odd. ranked: false takes the strongest candidate instead.
    """

    budgets = ("epochs",)  # rounds of boosting

    scale: int = 4
    most: int = 150
    patch: int = 11
    ranked: bool = True

    def __post_init__(self) -> None:
        if self.scale < 1 or self.most < 1:
            raise ValueError("scale and most must be at least 1")
        if self.patch < 1 or self.patch % 2 == 0:
            raise ValueError(f"patch must be odd, not {self.patch}")

    def find(self, enlarged: Image) -> FloatArray:
        """(M, 4) u, v, strength and size, in pixels of the enlarged image."""
        raise NotImplementedError

    def candidates(self, image: Image) -> FloatArray:
        """(M, 4) x, y, strength and size in px of one (H, W) image: the strongest first, no position twice, inside it."""
        import cv2

        height, width = image.shape
        padded = cv2.copyMakeBorder(image, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
        enlarged = cv2.resize(padded, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_CUBIC)
        found = self.find(np.asarray(enlarged, dtype=np.uint8))
        found = np.column_stack([_to_pixels(found[:, :2], self.scale), found[:, 2], found[:, 3] / self.scale])
        inside = (found[:, :2] >= -0.5).all(axis=1) & (found[:, 0] <= width - 0.5) & (found[:, 1] <= height - 0.5)
        found = found[inside]
        found = found[np.lexsort((found[:, 0], found[:, 1], -found[:, 2]))]
        _, first = np.unique(found[:, :2].round(2), axis=0, return_index=True)
        strongest: FloatArray = found[np.sort(first)][: self.most]
        return strongest

    def learn(self, images: Image, points: FloatArray, seed: int) -> None:
        """One ranking a keypoint: the distance to it, REACH px at most, from what is seen at a candidate."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        self._mean = points.mean(axis=0)
        self._rankings: list[Any] = []
        found = [self.candidates(image) for image in grey(images)]
        if not self.ranked or not any(map(len, found)):
            return
        seen = np.concatenate([self._seen(image, at) for image, at in zip(grey(images), found)])
        for k in range(points.shape[1]):
            far = np.concatenate([np.hypot(*(at[:, :2] - point).T) for at, point in zip(found, points[:, k])])
            ranking = HistGradientBoostingRegressor(
                max_iter=self.epochs or ROUNDS, early_stopping=False, random_state=seed
            )
            self._rankings.append(ranking.fit(seen, np.minimum(far, REACH)))

    def answer(self, images: Image) -> tuple[FloatArray, FloatArray]:
        """(N, K, 2) px; (N,) scores, exp of minus the mean distance predicted for the chosen candidates.

        Where nothing was found the answer is the training mean, with score 0.
        """
        pixels = grey(images)
        found = [self.candidates(image) for image in pixels]
        ends = np.cumsum([0, *map(len, found)])
        points = np.repeat(self._mean[None], len(images), axis=0)
        scores = np.zeros(len(images))
        if ends[-1] == 0:
            return points, scores
        if not self._rankings:
            for i, at in enumerate(found):
                if len(at):
                    points[i] = at[0, :2]
            return points, scores
        seen = np.concatenate([self._seen(image, at) for image, at in zip(pixels, found)])
        said = np.stack([ranking.predict(seen) for ranking in self._rankings], axis=1)
        for i, at in enumerate(found):
            if len(at):
                own = said[ends[i] : ends[i + 1]]
                points[i] = at[own.argmin(axis=0), :2]
                scores[i] = np.exp(-own.min(axis=0).mean())
        return points, scores

    def notes(self, train: LabeledImages, val: LabeledImages) -> HistoryRow:
        """Candidate recall, and the mean number of candidates an image, on at most 1,000 images a split."""
        row: HistoryRow = {}
        for name, data in (("train", train), ("val", val)):
            some = data.take(range(min(len(data), 1000)))
            if len(some):
                found = [self.candidates(image) for image in grey(some.images)]
                row |= {f"{name}_{key}": value for key, value in recall(found, some.points).items()}
        return row

    def _seen(self, image: Image, found: FloatArray) -> Rows:
        """(M, patch^2 + 4) what the ranking is told: the patch, interpolated, then x, y, strength and size."""
        from scipy.ndimage import map_coordinates

        half = self.patch // 2
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, 1, -1)
        at = np.stack([found[:, 1, None] + dy, found[:, 0, None] + dx])
        patches = map_coordinates(image.astype(np.float32), at, order=1, mode="nearest")
        return np.concatenate([patches, found], axis=1).astype(np.float32)


def recall(found: list[FloatArray], points: FloatArray) -> dict[str, float]:
    """Share of the (N, K, 2) points with a candidate within .5 and 1 px, and the mean number of candidates.

    found: N arrays (M, 2 or more), x and y first.
    """
    nearest = np.array(
        [
            [np.hypot(*(at[:, :2] - point).T).min(initial=np.inf) for point in wanted]
            for at, wanted in zip(found, points)
        ]
    )
    return {
        "candidate_recall@.5": float((nearest <= 0.5).mean()),
        "candidate_recall@1": float((nearest <= 1.0).mean()),
        "candidates": float(np.mean([len(at) for at in found])),
    }


def _rows(found: Any) -> FloatArray:
    """OpenCV's KeyPoint objects as (M, 4) u, v, response, size."""
    return np.array([(*k.pt, k.response, k.size) for k in found], dtype=np.float64).reshape(-1, 4)


@dataclass(eq=False)
class Sift(Candidates):
    """SIFT's scale-space extrema as candidates, ranked by boosted trees."""

    card = Card(
        reference="Lowe 2004; OpenCV SIFT",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """Extrema of the difference of Gaussians."""
        from cv2 import SIFT

        sift = SIFT.create(enable_precise_upscale=True)  # without it, points lie half an enlarged pixel off
        return _rows(sift.detect(enlarged, None))


@dataclass(eq=False)
class Orb(Candidates):
    """ORB's oriented FAST corners as candidates, ranked by boosted trees.

    threshold: least difference of intensity on FAST's circle.
    """

    most: int = 250
    threshold: int = 5

    card = Card(
        reference="Rublee et al. 2011; OpenCV ORB",
        has_confidence=True,
        ablation={"ranked": False},
    )

    def find(self, enlarged: Image) -> FloatArray:
        """FAST corners on an image pyramid, strongest by Harris' measure."""
        from cv2 import ORB

        orb = ORB.create(nfeatures=500, edgeThreshold=15, patchSize=15, fastThreshold=self.threshold)
        return _rows(orb.detect(enlarged, None))


@dataclass(eq=False)
class Fast(Candidates):
    """FAST corners as candidates, ranked by boosted trees.

    threshold: least difference of intensity on its circle.
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

    quality: least strength, as a share of the strongest in the image.
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
        found, strength = cv2.goodFeaturesToTrackWithQuality(enlarged, 2 * self.most, self.quality, apart, everywhere)
        if found is None:
            return np.zeros((0, 4))
        at = np.asarray(found, dtype=np.float64).reshape(-1, 2)
        return np.column_stack([at, np.asarray(strength).reshape(-1), np.full(len(at), 3.0)])
