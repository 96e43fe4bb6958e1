"""What the differences between two annotators say of the noise in one annotator's labels.

Both label the same place t: a = t + habit_a + e_a, and b likewise, with independent noise of one distribution (of two that are
not equally careful, the figures are those of the two together). Of the differences d = a - b of n points:

    offset      mean d: how the habits differ. Whoever learns from one annotator learns the habit too, so it is no noise
    sigma       sqrt(sum |d - offset|^2 / (4 (n - 1))) px: the standard deviation of one annotator's noise along one axis, since
                the variance of d is twice that along each of two axes
    COCO sigma  sqrt(mean(|d|^2 / s^2) / 2), s^2 the instance's area. COCO has sigma^2 = E[e^2 / s^2] with e the distance
                of *one* annotator's label from the place, over both axes and habits, and OKS falls by exp(-e^2 / (2 s^2 k^2))
                with k = 2 sigma (https://cocodataset.org/#keypoints-eval). The 2 that is divided by here is another: two
                annotators differ by twice the square that one is off by
    floor       mean |d - offset| / sqrt 2 px: the mean error that a perfect detector would be measured to have against one
                annotator's labels. Exact for normal noise of any covariance, which may differ from image to image; noise of
                heavy tails that strike one annotator alone is overstated by up to sqrt 2

**Slips** (swaps, wrong clicks), points that lie apart by more than `FAR` robust standard deviations in pixels and in shares of the
instance's size, are counted and left out of all of these, as COCO ignores "occasional outliers": a few of them would be the whole
figure. Labels that hold slips have a higher floor than is said here, by about half the mean distance of slips times their
share, since one of two annotators made each (`slips_add`).

Intervals are t intervals of the linearised means, on a logarithmic scale but for the offset, over clusters (images, or
groups of images), with the number of clusters that carry the variance (Kish's effective number) for degrees of freedom.
``scripts/simulate_coverage.py --only labels``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmark.structures import FloatArray, IntArray

FAR = 10.0
"""Robust standard deviations of a difference along one axis."""
COARSEST = 0.5  # px: labels on whole pixels mostly agree exactly, which does not make a pixel a slip
RAYLEIGH_MEDIAN = math.sqrt(2 * math.log(2))  # of the length of a normal vector of two axes, in standard deviations


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelNoise:
    """What is known of the noise of one keypoint's labels.

    Attributes:
        points: How many points both annotators labelled.
        slips: Of these, how many lie so far apart that one of the two labels is a slip.
        sigma: px along one axis; None where fewer than two clusters have points, as the others.
        coco_sigma: A share of the square root of the area; None also where no instance has an area.
        floor: px.
        offset: px, first annotator minus second, along x and y.
    """

    points: int
    slips: int
    sigma: Estimate | None
    coco_sigma: Estimate | None
    floor: Estimate | None
    offset: tuple[Estimate, Estimate] | None


def label_noise(differences: FloatArray, sizes: FloatArray, clusters: IntArray, level: float = 0.95) -> LabelNoise:
    """The noise of the labels of one keypoint.

    Args:
        differences: (P, 2) float64 px, first annotator minus second.
        sizes: (P,) float64 px, the square root of each instance's area; 0 where it has none.
        clusters: (P,) int64, what is independent: points of one image, or one group of images, have the same number.
        level: Of the intervals.
    """
    points = len(differences)
    near = ~slips(differences, sizes)
    counts = {"points": points, "slips": points - int(near.sum())}
    if len(np.unique(clusters[near])) < 2:
        return LabelNoise(**counts, sigma=None, coco_sigma=None, floor=None, offset=None)
    kept, own = differences[near], clusters[near]
    n = len(kept)
    squares = ((kept - kept.mean(axis=0)) ** 2).sum(axis=1) / 4 * n / (n - 1)
    sized = near & (sizes > 0)
    coco = None
    if len(np.unique(clusters[sized])) > 1:
        shares = (differences[sized] ** 2).sum(axis=1) / sizes[sized] ** 2 / 2
        coco = _root(_mean(shares, clusters[sized], level))
    x, y = (_linear(kept[:, axis], own, level) for axis in (0, 1))
    return LabelNoise(
        **counts,
        sigma=_root(_mean(squares, own, level)),
        coco_sigma=coco,
        floor=_mean(_errors(kept), own, level),
        offset=(x, y),
    )


def pooled_floor(
    differences: Sequence[FloatArray],
    sizes: Sequence[FloatArray],
    clusters: Sequence[IntArray],
    weights: FloatArray,
    level: float = 0.95,
) -> Estimate | None:
    """The floor of the mean error over several keypoints.

    Args:
        differences: K arrays as of `label_noise`; clusters are the same over keypoints.
        sizes: K arrays.
        clusters: K arrays.
        weights: (K,) float64, how often each keypoint counts in the mean error.
        level: Of the interval.

    Returns:
        px; None where a keypoint that counts has no floor, or none counts.
    """
    counted = [j for j in range(len(differences)) if weights[j] > 0]
    nears = {j: ~slips(differences[j], sizes[j]) for j in counted}
    if not counted or any(len(np.unique(clusters[j][nears[j]])) < 2 for j in counted):
        return None
    values, centres, shares, own = [], [], [], []
    for j in counted:
        errors = _errors(differences[j][nears[j]])
        values.append(errors)
        centres.append(np.full(len(errors), errors.mean()))
        shares.append(np.full(len(errors), weights[j] / weights.sum() / len(errors)))
        own.append(clusters[j][nears[j]])
    return _positive(
        np.concatenate(values), np.concatenate(centres), np.concatenate(shares), np.concatenate(own), level
    )


def slips_add(differences: FloatArray, sizes: FloatArray) -> float:
    """What slips add to the floor of a keypoint, px: half the distance of each, over all points. See `label_noise`."""
    lengths = _lengths(differences)[slips(differences, sizes)]
    return float(lengths.sum()) / 2 / max(1, len(differences))


def slips(differences: FloatArray, sizes: FloatArray) -> NDArray[np.bool_]:
    """Which points lie so far apart that one of the two labels is a slip; see the module.

    Args:
        differences: (P, 2) float64 px.
        sizes: (P,) float64 px, 0 where unknown: pixels alone then decide.

    Returns:
        (P,) bool.
    """
    if not len(differences):
        return np.zeros(0, dtype=np.bool_)
    found = _beyond(differences, COARSEST)
    sized = sizes > 0
    if sized.any():
        found[sized] &= _beyond(differences[sized] / sizes[sized, None], 0.0)
    return found


def _beyond(differences: FloatArray, least: float) -> NDArray[np.bool_]:
    lengths = _lengths(differences - np.median(differences, axis=0))
    spread = max(float(np.median(lengths)) / RAYLEIGH_MEDIAN, least)
    return np.asarray(lengths > FAR * spread)


def _errors(differences: FloatArray) -> FloatArray:
    """(P,) px, whose mean is that of a perfect detector's errors."""
    n = len(differences)
    return _lengths(differences - differences.mean(axis=0)) * math.sqrt(n / (n - 1) / 2)


def _lengths(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def _mean(values: FloatArray, clusters: IntArray, level: float) -> Estimate:
    """The mean of values that are not negative."""
    n = len(values)
    return _positive(values, np.full(n, values.mean()), np.full(n, 1 / n), clusters, level)


def _positive(
    values: FloatArray, centres: FloatArray, weights: FloatArray, clusters: IntArray, level: float
) -> Estimate:
    """A weighted mean of values that are not negative; ``centres`` are the means that the values vary about."""
    value = float((weights * values).sum())
    if value == 0:
        return Estimate(0.0, 0.0, 0.0)
    factor = math.exp(_half(weights * (values - centres), clusters, level) / value)
    return Estimate(value, value / factor, value * factor)


def _linear(values: FloatArray, clusters: IntArray, level: float) -> Estimate:
    value = float(values.mean())
    half = _half((values - value) / len(values), clusters, level)
    return Estimate(value, value - half, value + half)


def _half(influences: FloatArray, clusters: IntArray, level: float) -> float:
    """Half the width of the t interval of a sum, from what each point adds to it beyond the expected."""
    cluster = np.unique(clusters, return_inverse=True)[1]
    squares = np.bincount(cluster, influences) ** 2
    total, number = float(squares.sum()), len(squares)
    if total == 0:
        return 0.0
    degrees = min(max(total**2 / float((squares**2).sum()), 1.0), number - 1.0)
    return -float(stdtrit(degrees, (1 - level) / 2)) * math.sqrt(total * number / (number - 1))


def _root(estimate: Estimate) -> Estimate:
    return Estimate(*(math.sqrt(end) for end in estimate))
