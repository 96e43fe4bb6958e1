"""A radius that points are promised to lie within: split conformal prediction on errors that a detector did not learn from.

The test images calibrate it. Nobody fitted to them, so with the error of one new image theirs are exchangeable, and the
error of rank ceil((n + 1) share) among n is exceeded with a probability of 1 - share at most, whatever the detector and
however its errors are distributed (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Lei et al.,
Journal of the American Statistical Association 113, 2018).

Points that belong together (keypoints of several fits of one image, images of one video) are not exchangeable one by one,
but what they belong to is. Of U such units each weighs 1 / (U + 1), shared alike among its points, and the last
1 / (U + 1) is the new one, of which nothing is known: it lies at infinity. The radius is the smallest r that a share of
the weight lies within, and the promise is about a random point of a new unit (hierarchical conformal prediction: Dunn,
Wasserman & Ramdas, Journal of the American Statistical Association 118, 2023; Lee, Barber & Willett, 2023). With one point
a unit it is the rank above.

Where errors come in steps (whole pixels), a radius holds a whole step, and more than the share lies within it.
"""

from __future__ import annotations

import math

import numpy as np

from benchmark.structures import FloatArray, IntArray

LEAST_SHARE, MOST_SHARE = 0.5, 0.999


def promised_radius(errors: FloatArray, units: IntArray, share: float) -> float:
    """The radius within which a point of a new unit lies with a probability of ``share`` or more.

    Args:
        errors: (P,) float64 px, not negative; infinite where a point was not found at all.
        units: (P,) int64, which unit (image, or group of images) each point belongs to.
        share: What is promised, between 0 and 1.

    Returns:
        Pixels; infinite where the units are too few, or the points not found too many, to promise anything.

    Raises:
        ValueError: where ``share`` is not between 0 and 1, or an error is negative or NaN.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share lies between 0 and 1, got {share}")
    if not (errors >= 0).all():
        raise ValueError("errors are distances: not negative, and none is NaN")
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    if len(sizes) == 0:
        return math.inf
    order = np.argsort(errors, kind="stable")
    weights = 1 / sizes[unit][order]
    # counted in units, so that with one point a unit the sums are whole and no rounding decides
    needed = share * (len(sizes) + 1)
    reached = np.flatnonzero(np.cumsum(weights) >= needed * (1 - 1e-12))
    return float(errors[order][reached[0]]) if len(reached) else math.inf


def fewest_units(share: float) -> int:
    """How many units there have to be before anything is promised: 9 for 90 %."""
    return math.ceil(share / (1 - share) - 1e-9)
