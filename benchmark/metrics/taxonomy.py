"""What kind of error each keypoint is.

After Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation" (ICCV 2017,
arXiv:1707.05388). Every labelled keypoint of an instance that counts is exactly one of:

- **exact**: predicted within half the answer spacing on both axes; where the answers lie on no lattice, within half a
  pixel on both axes (the same pixel).
- otherwise the labelled keypoint of the image that the prediction is most similar to decides, if that similarity
  ``exp(-d^2 / (2 * area * (2 * sigma)^2))`` (with the sigma and area of the keypoint compared with) is at least .5:
  **jitter** if it is the right one, **inversion** if it is another keypoint of the same instance, **swap** if it is any
  keypoint of another instance (crowds left out). Of equals the first named decides.
- **miss**: similar to none, or no prediction at all.
"""

from __future__ import annotations

import numpy as np

from benchmark.metrics.oks import BLOCK, BoolArray, extents, squared_gap, squared_reach
from benchmark.structures import Annotations, FloatArray, IntArray

KINDS = ("exact", "jitter", "inversion", "swap", "miss")
SIMILAR = 0.5


def kinds(annotations: Annotations, rows: IntArray, points: FloatArray, exact: BoolArray) -> IntArray:
    """The kind of error of every keypoint of R matched instances.

    Args:
        annotations: What is known of the images.
        rows: (R,) int64, rows of the matched instances.
        points: (R, K, 2) float64, their predictions, pixels (x, y).
        exact: (R, K) bool, whether each keypoint is exact.

    Returns:
        (R, K) int64, positions in `KINDS`; -1 for a keypoint that is not labelled.
    """
    n, k = len(annotations), points.shape[1]
    count = np.bincount(annotations.index, minlength=n)
    first = np.cumsum(count) - count
    image = annotations.index[rows]
    kind = np.empty((len(rows), k), dtype=np.int64)
    load = np.cumsum(count[image] * k * k)
    begin = 0
    while begin < len(rows):
        done = load[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(load, done + BLOCK, side="right")))
        part = slice(begin, end)
        kind[part] = _nearest(annotations, rows[part], points[part], first[image[part]], count[image[part]])
        begin = end
    kind[exact] = KINDS.index("exact")
    kind[annotations.visible[rows] == 0] = -1
    return kind


def _nearest(
    annotations: Annotations, rows: IntArray, points: FloatArray, first: IntArray, count: IntArray
) -> IntArray:
    """`kinds` without the exact ones: every prediction against every keypoint of the instances that are near enough."""
    k = points.shape[1]
    pair = np.repeat(np.arange(len(rows)), count)
    other = first[pair] + np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    begin, end = int(first.min()), int((first + count).max())  # instances stand in the order of their images
    instances = np.arange(begin, end)
    of = extents(annotations.keypoints, instances, annotations.visible)
    reach = squared_reach(annotations, instances, SIMILAR)
    gap = squared_gap(extents(points, np.arange(len(points))), of, pair, other - begin)
    near = (gap <= reach[other - begin]) | (other == rows[pair])
    pair, other = pair[near], other[near]
    offsets = points[pair, :, None, :] - annotations.keypoints[other, None, :, :]
    area = (annotations.areas[other] + np.spacing(1))[:, None, None]
    similar = np.exp(-(offsets**2).sum(axis=3) / (2 * area * (2 * annotations.sigmas) ** 2))
    counted = (annotations.visible[other] > 0) & ~annotations.crowd[other, None]
    similar = np.where(counted[:, None, :], similar, -1.0)
    same_instance = other == rows[pair]
    own = similar[same_instance]
    own_keypoint = np.diagonal(own, axis1=1, axis2=2)
    other_keypoint = np.where(np.eye(k, dtype=bool), -1.0, own).max(axis=2)
    other_instance = np.full(own_keypoint.shape, -1.0)
    np.maximum.at(other_instance, pair[~same_instance], similar[~same_instance].max(axis=2))
    choice = np.stack([own_keypoint, other_keypoint, other_instance])
    return np.where(choice.max(axis=0) >= SIMILAR, 1 + choice.argmax(axis=0), KINDS.index("miss"))
