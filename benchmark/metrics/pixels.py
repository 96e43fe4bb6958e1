"""Pixel errors of matched (annotated instance, prediction) pairs, and what several metrics need of them.

All metrics of pixel error are taken over the labelled keypoints of all pairs, each weighing the same, so for fully
labelled data a mean is the mean over keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmark.metrics.oks import BoolArray
from benchmark.metrics.registry import Undefined
from benchmark.structures import FloatArray

AROUND_ONE = 6.0  # px, the sides of the box that is made around a single keypoint where a file gives none
SHORTEST = 1.0  # px: a shorter length of an instance is none that errors can be set against


@dataclass(frozen=True, eq=False)
class Errors:
    """The pixel errors of R pairs of K keypoints. Arrays derived from them are computed once, when first asked for.

    Attributes:
        offsets: (R, K, 2) float64 px, prediction minus annotation; (W, H) of the image where there is no prediction.
        labelled: (R, K) bool, the keypoints that count.
        answered: (R,) bool, False where there is no prediction.
        sizes: (R, 2) float64 px, width and height of each pair's image.
        spacing: (K,) float64 px, the pitch of the lattice of each keypoint; NaN for a keypoint on none.
        from_baseline: (R, K, 2) float64 px, annotation minus the training mean; None where that is unknown.
        boxes: (R, 2) float64 px, width and height of each annotated instance's box.
        pair_lengths: (R,) float64 px, how far apart a pair of keypoints is labelled, NaN where it is not; None where no
            pair was asked for.
    """

    offsets: FloatArray
    labelled: BoolArray
    answered: BoolArray
    sizes: FloatArray
    spacing: FloatArray
    from_baseline: FloatArray | None
    boxes: FloatArray
    pair_lengths: FloatArray | None = None

    @cached_property
    def distances(self) -> FloatArray:
        """(R, K) float64 px: the Euclidean length of each offset, labelled or not."""
        return distance(self.offsets)

    @cached_property
    def exact(self) -> BoolArray:
        """(R, K) bool: whether prediction and annotation are less than half the spacing apart on both axes."""
        with np.errstate(invalid="ignore"):
            near = (np.abs(self.offsets) < self.spacing[:, None] / 2).all(axis=2)
        return near & self.answered[:, None]

    @cached_property
    def on_lattice(self) -> BoolArray:
        """(R, K) bool: the labelled keypoints for which being exact has a meaning."""
        return self.labelled & ~np.isnan(self.spacing)

    @cached_property
    def box_lengths(self) -> FloatArray:
        """(R, 2) px: the longer side of each box, and the square root of its area; NaN where that tells nothing.

        A box of at most `AROUND_ONE` px is what is made around a single keypoint, where a file gives none.
        """
        longer, root = self.boxes.max(axis=1), np.sqrt(self.boxes.prod(axis=1))
        return np.where((longer > AROUND_ONE)[:, None], np.column_stack([longer, root]), np.nan)

    @cached_property
    def any_labelled(self) -> bool:
        """Whether any keypoint counts."""
        return bool(self.labelled.any())

    @cached_property
    def any_on_lattice(self) -> bool:
        """Whether being exact has a meaning for any keypoint."""
        return bool(self.on_lattice.any())

    @cached_property
    def labelled_distances(self) -> FloatArray:
        """(L,) float64 px: the error of every labelled keypoint, pair by pair."""
        return distance(self._labelled_offsets)

    @cached_property
    def labelled_absolute(self) -> FloatArray:
        """(L, 2) float64 px: abs(dx) and abs(dy) of every labelled keypoint."""
        return np.abs(self._labelled_offsets)

    @cached_property
    def labelled_scaled(self) -> FloatArray:
        """(L, 2) float64: `labelled_absolute` times 2 / W and 2 / H, errors on the scale where an image spans -1 to 1."""
        sizes = np.broadcast_to(self.sizes[:, None, :], self.offsets.shape)[self.labelled]
        if (sizes < 1).any():
            raise Undefined("no_sizes")
        return self.labelled_absolute * 2 / sizes

    @cached_property
    def labelled_scaled_distances(self) -> FloatArray:
        """(L,) float64: the Euclidean length of `labelled_scaled`."""
        return distance(self.labelled_scaled)

    @cached_property
    def used(self) -> BoolArray:
        """(K,) bool: the keypoints that are labelled in any pair."""
        return np.asarray(self.labelled.any(axis=0))

    @cached_property
    def residual(self) -> FloatArray:
        """(U, 2) float64 px^2: the sum of squared errors of each `used` keypoint, per axis."""
        return _sum_of_squares(self.offsets, self.labelled)[self.used]

    @cached_property
    def spread(self) -> FloatArray:
        """(U, 2) float64 px^2: the same of the training mean. Needs `from_baseline`."""
        return _sum_of_squares(self._baseline, self.labelled)[self.used]

    @cached_property
    def labelled_baseline_distances(self) -> FloatArray:
        """(L,) float64 px: how far the training mean is from every labelled keypoint. Needs `from_baseline`."""
        return distance(self._baseline[self.labelled])

    @cached_property
    def _labelled_offsets(self) -> FloatArray:
        return self.offsets[self.labelled]

    @property
    def _baseline(self) -> FloatArray:
        if self.from_baseline is None:
            raise ValueError("the mean of the training split is unknown")
        return self.from_baseline

    def keypoint(self, j: int) -> Errors:
        """The errors of keypoint ``j`` (0-based) alone."""
        one = slice(j, j + 1)
        base = None if self.from_baseline is None else self.from_baseline[:, one]
        return replace(
            self,
            offsets=self.offsets[:, one],
            labelled=self.labelled[:, one],
            spacing=self.spacing[one],
            from_baseline=base,
        )

    def relative(self, lengths: FloatArray, lacking: str) -> FloatArray:
        """(L,) the error of every labelled keypoint over a length of its instance.

        Args:
            lengths: (R,) px; keypoints of instances whose length is NaN or below a pixel do not count.
            lacking: The reason to give where no keypoint counts, a key of `benchmark.metrics.registry.REASONS`.

        Raises:
            Undefined: Where no labelled keypoint counts.
        """
        long = lengths >= SHORTEST
        counted = self.labelled & long[:, None]
        if not counted.any():
            raise Undefined(lacking)
        shares: FloatArray = (self.distances / np.where(long, lengths, SHORTEST)[:, None])[counted]
        return shares


def distance(offsets: FloatArray) -> FloatArray:
    """The Euclidean length over the last axis.

    Args:
        offsets: (..., 2) float64.

    Returns:
        (...) float64.
    """
    return np.sqrt(offsets[..., 0] ** 2 + offsets[..., 1] ** 2)  # type: ignore[no-any-return]


def _sum_of_squares(offsets: FloatArray, labelled: BoolArray) -> FloatArray:
    """(K, 2) px^2, over the pairs in which a keypoint is labelled."""
    return np.where(labelled[:, :, None], offsets**2, 0.0).sum(axis=0)  # type: ignore[no-any-return]
