"""Targets: from images to the points that are asked for, by noise-free rules on the ink.

Almost all are extrema of the ink mask (`datasets.ink`): ``topleft`` is the first inked column of the top inked row,
not the corner of the box; ``corner`` is that. ``centroid``, the mean position of ink pixels, is no extremum and on no
lattice: a negative control for detectors built on extrema. In ``digit-dependent`` and ``all-digits`` every digit asks for
a point of its own, so that what and where must both be known.

A target maps (N, H, W) uint8 and, where it depends on them, (N,) labels to (N, K, 2) float64, pixels (x, y),
integer = pixel centre. Where an image holds no ink nothing is defined, and its points are NaN; `require` refuses those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmark.structures import FloatArray, Image, IntArray, UserError
from benchmark.suggestions import unknown
from datasets.ink import BOLD, CENTROID, POINTS, has_ink, point

Find = Callable[[Image, IntArray | None], FloatArray]

DIGIT_DEPENDENT = {3: "topleft", 7: "center"}
ALL_DIGITS = {
    0: "topright",
    1: "bottomleft",
    2: "bottomright",
    3: "topleft",
    4: "lefttop",
    5: "leftbottom",
    6: "righttop",
    7: "center",
    8: "rightbottom",
    9: "corner",
}


def _defined(name: str, images: Image, threshold: int = 0) -> FloatArray:
    """(N, 2) float64: the named point of every image, NaN where there is no ink."""
    return np.where(has_ink(images, threshold)[:, None], point(name, images, threshold), np.nan)


def _points(images: Image, labels: IntArray | None, *, names: tuple[str, ...], threshold: int = 0) -> FloatArray:
    return np.stack([_defined(name, images, threshold) for name in names], axis=1)


def _by_digit(images: Image, labels: IntArray | None, *, wanted: Mapping[int, str]) -> FloatArray:
    if labels is None:
        raise UserError("this target depends on the digit: give images with labels")
    if others := sorted(set(labels.tolist()) - set(wanted)):
        raise UserError(f"this target is not defined for label {others[0]}: give digits {', '.join(map(str, wanted))}")
    points = np.full((len(images), 1, 2), np.nan)
    for digit, name in wanted.items():
        rows = np.flatnonzero(labels == digit)
        points[rows, 0] = _defined(name, images[rows])
    return points


@dataclass(frozen=True)
class Target:
    """A rule that gives K named points.

    Attributes:
        keypoints: Their names.
        spacing: The pitch in px of the lattice each lies on, None where it lies on none.
        find: Images (N, H, W) uint8 and labels (N,) or None -> points (N, K, 2) float64, pixels; NaN where undefined.
    """

    keypoints: tuple[str, ...]
    spacing: tuple[float | None, ...]
    find: Find


def _plain(*names: str, threshold: int = 0) -> Target:
    spacing = tuple(0.5 if name == "center" else 1.0 for name in names)
    return Target(names, spacing, partial(_points, names=names, threshold=threshold))


TARGETS: dict[str, Target] = {
    **{name: _plain(name) for name in POINTS},
    "topleft-bold": _plain("topleft", threshold=BOLD),
    "both": _plain("topleft", "center"),
    "extremes": _plain("topleft", "righttop", "bottomright", "leftbottom"),
    "centroid": Target((CENTROID,), (None,), partial(_points, names=(CENTROID,))),
    # One keypoint, whole or half pixels as the digit asks: the finer lattice holds both.
    "digit-dependent": Target(("point",), (0.5,), partial(_by_digit, wanted=DIGIT_DEPENDENT)),
    "all-digits": Target(("point",), (0.5,), partial(_by_digit, wanted=ALL_DIGITS)),
}


def target_points(name: str, images: Image, labels: IntArray | None = None) -> FloatArray:
    """The points of a target.

    Args:
        name: One of `TARGETS`.
        images: (N, H, W) uint8.
        labels: (N,) int64, for targets that depend on the digit.

    Returns:
        (N, K, 2) float64, pixels (x, y), integer = pixel centre; NaN for images without ink.

    Raises:
        UserError: For an unknown target, or where a target that depends on the digit gets no labels or others.
    """
    if name not in TARGETS:
        raise unknown("target", name, TARGETS)
    return TARGETS[name].find(images, labels)


def require(points: FloatArray, target: str, names: list[str] | None = None) -> FloatArray:
    """Points, checked to be all defined.

    Args:
        points: (N, K, 2) float64.
        target: The name of the target, for the error.
        names: N names of images, for the error; None: positions.

    Returns:
        ``points`` themselves.

    Raises:
        UserError: Naming the first image with an undefined point.
    """
    undefined = np.flatnonzero(np.isnan(points).any(axis=(1, 2)))
    if len(undefined):
        first = names[undefined[0]] if names else f"at position {undefined[0]}"
        raise UserError(
            f"target {target!r} is undefined for {len(undefined)} of {len(points)} images, the first is image {first}: "
            "it holds no ink; leave it out"
        )
    return points
