"""The scale of data: what lengths errors are set against, decided by the annotations alone, never by any answer.

On digits of 28 px a pixel speaks for itself. On photographs it does not, so there errors are also given relative to a
length of the instance (its box, its image, a pair of its keypoints), and thresholds in pixels are steps of the 1-2-5
series near a twentieth of the instances' size. All of it is a pure function of the test annotations, so every detector
on them meets the same thresholds, whatever it answers.
"""

from __future__ import annotations

import numpy as np

from benchmark.metrics.oks import BoolArray
from benchmark.structures import Annotations, FloatArray, UserError
from benchmark.suggestions import suggestion

Pair = tuple[str, str]
"""The names of two keypoints, whose distance in the annotations is a length of each instance."""

DIGITS = 64  # px, the longer side of an image up to which errors in pixels speak for themselves
SMALL_THRESHOLDS = (0.5, 1.0, 2.0, 3.0)  # px, on digits and wherever answers lie on a lattice
STEPS = tuple(float(f"{digit}e{power}") for power in range(-1, 4) for digit in (1, 2, 5))  # px: .1, .2, .5, ..., 5,000
MIDDLE = 0.05  # the threshold in the middle, of an instance's size
LEAST = 0.1  # an instance's size is at least this share of the image's: a box around one keypoint says nothing


def photographs(annotations: Annotations) -> bool:
    """Whether answers lie on no lattice and most images are larger than `DIGITS` px: pixels alone mean little then."""
    spacing = annotations.spacing
    on_lattice = spacing is not None and not np.isnan(spacing).all()
    return not on_lattice and float(np.median(_longer_sides(annotations))) > DIGITS


def pixel_thresholds(annotations: Annotations, counted: BoolArray) -> tuple[float, ...]:
    """The pixel errors up to which a keypoint is counted as found (PCK in pixels), in ascending order.

    .5, 1, 2 and 3 px on digits and lattices. On photographs the step of the 1-2-5 series that is nearest, as a ratio, to a
    twentieth of the median longer side of the instances' boxes, the step below and the step above. Boxes are taken to be at
    least a tenth of the images' longer side.

    Args:
        annotations: Of the test images.
        counted: (M,) bool, the instances that count.
    """
    if not photographs(annotations):
        return SMALL_THRESHOLDS
    sides = annotations.boxes[counted, 2:].max(axis=1)
    size = float(np.median(sides)) if len(sides) else 0.0
    target = MIDDLE * max(size, LEAST * float(np.median(_longer_sides(annotations))))
    at = 1
    while at < len(STEPS) - 2 and target**2 >= STEPS[at] * STEPS[at + 1]:
        at += 1
    return STEPS[at - 1 : at + 2]


def pair_positions(pair: Pair, keypoint_names: tuple[str, ...]) -> tuple[int, int]:
    """The positions (0-based) of a pair's keypoints.

    Raises:
        UserError: Naming the keypoint that there is not, or that is named twice.
    """
    for name in pair:
        if name not in keypoint_names:
            near = suggestion(name, keypoint_names)
            raise UserError(f"pair {','.join(pair)}: {name!r} is no keypoint of these annotations{near}")
    if pair[0] == pair[1]:
        raise UserError(f"pair {','.join(pair)}: name two different keypoints")
    return keypoint_names.index(pair[0]), keypoint_names.index(pair[1])


def pair_lengths(annotations: Annotations, pair: Pair) -> FloatArray:
    """(M,) float64 px: the distance between the labels of a pair in each instance; NaN where one is not labelled.

    Raises:
        UserError: Where the annotations have no such keypoints.
    """
    a, b = pair_positions(pair, annotations.keypoint_names)
    labelled = (annotations.visible[:, [a, b]] > 0).all(axis=1)
    apart = annotations.keypoints[:, a] - annotations.keypoints[:, b]
    return np.where(labelled, np.hypot(apart[:, 0], apart[:, 1]), np.nan)


def _longer_sides(annotations: Annotations) -> FloatArray:
    """(N,) px: the longer side of each image; where its size is not given, how far its boxes reach."""
    sides = annotations.sizes.max(axis=1).astype(np.float64)
    reach = np.zeros(len(annotations))
    np.maximum.at(reach, annotations.index, (annotations.boxes[:, :2] + annotations.boxes[:, 2:]).max(axis=1))
    return np.where(sides < 1, reach, sides)
