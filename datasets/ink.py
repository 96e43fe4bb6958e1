"""Ink: which pixels are brighter than a threshold, where it begins and ends, and the points that are defined by it.

The extrema are those of the notes this project began with. ``mm`` (4 numbers) are the first and last inked column and
row: the bounding box. ``mm2`` (8 numbers) look inside its edges: first and last inked row within the leftmost and the
rightmost inked column, first and last inked column within the top and the bottom inked row.

Tasks define their points here, the ``rule`` detector recognises them here, and hand-made features are made of them:
there is one definition. All functions take images (N, H, W) uint8, or (N, H, W, 3) RGB which is turned to grey first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray, Image
from datasets.images import grey

Images = Sequence[Image] | Image

MM = ("x_left", "x_right", "y_top", "y_bottom")
MM2 = (
    "x_first_in_top_row",
    "x_last_in_top_row",
    "x_first_in_bottom_row",
    "x_last_in_bottom_row",
    "y_first_in_left_column",
    "y_last_in_left_column",
    "y_first_in_right_column",
    "y_last_in_right_column",
)
EXTREMA = MM + MM2
BOLD = 127  # ink of ``topleft-bold``: brighter than this

# Each point is the mean of these extrema in x, and of these in y.
POINTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "topleft": (("x_first_in_top_row",), ("y_top",)),
    "topright": (("x_last_in_top_row",), ("y_top",)),
    "bottomleft": (("x_first_in_bottom_row",), ("y_bottom",)),
    "bottomright": (("x_last_in_bottom_row",), ("y_bottom",)),
    "corner": (("x_left",), ("y_top",)),
    "center": (("x_left", "x_right"), ("y_top", "y_bottom")),
    "lefttop": (("x_left",), ("y_first_in_left_column",)),
    "leftbottom": (("x_left",), ("y_last_in_left_column",)),
    "righttop": (("x_right",), ("y_first_in_right_column",)),
    "rightbottom": (("x_right",), ("y_last_in_right_column",)),
}
CENTROID = "centroid"
NAMES = (*POINTS, CENTROID)


def ink(images: Images, threshold: int = 0) -> NDArray[np.bool_]:
    """Where there is ink.

    Args:
        images: (N, H, W) uint8, or RGB.
        threshold: Ink is brighter than this.

    Returns:
        (N, H, W) bool.
    """
    return np.asarray(grey(images) > threshold)


def extrema(images: Images, threshold: int = 0) -> FloatArray:
    """Where ink begins and ends.

    Args:
        images: (N, H, W) uint8, or RGB.
        threshold: Ink is brighter than this.

    Returns:
        (N, 12) float64, pixels, columns as `EXTREMA`: the 4 numbers of mm, then the 8 of mm2. A blank image has no
        extrema; all twelve then take its centre, ((W - 1) / 2, (H - 1) / 2), and stay finite.
    """
    mask = ink(images, threshold)
    n, height, width = mask.shape
    if n == 0:
        return np.zeros((0, len(EXTREMA)))
    at = np.arange(n)
    x_left, x_right = _first_last(np.logical_or.reduce(mask, axis=1))
    y_top, y_bottom = _first_last(np.logical_or.reduce(mask, axis=2))
    pairs = (
        (x_left, x_right),
        (y_top, y_bottom),
        _first_last(mask[at, y_top]),
        _first_last(mask[at, y_bottom]),
        _first_last(mask[at, :, x_left]),
        _first_last(mask[at, :, x_right]),
    )
    values = np.stack([v for pair in pairs for v in pair], axis=1).astype(np.float64)
    middle = [(width - 1) / 2 if name.startswith("x") else (height - 1) / 2 for name in EXTREMA]
    inked = np.logical_or.reduce(mask, axis=(1, 2))
    return np.where(inked[:, None], values, np.array(middle))


def point(name: str, images: Images, threshold: int = 0) -> FloatArray:
    """A named point of every image.

    Args:
        name: One of `NAMES`; ``centroid`` is the mean position of ink pixels.
        images: (N, H, W) uint8, or RGB.
        threshold: Ink is brighter than this.

    Returns:
        (N, 2) float64, pixels (x, y), integer = pixel centre. The image's centre where there is no ink (see `has_ink`).
    """
    if name == CENTROID:
        return _centroid(images, threshold)
    values = extrema(images, threshold)
    return np.stack([values[:, [EXTREMA.index(part) for part in axis]].mean(axis=1) for axis in POINTS[name]], axis=1)


def has_ink(images: Images, threshold: int = 0) -> NDArray[np.bool_]:
    """Which images hold any ink.

    Args:
        images: (N, H, W) uint8, or RGB.
        threshold: Ink is brighter than this.

    Returns:
        (N,) bool.
    """
    mask = ink(images, threshold)
    return np.asarray(mask.reshape(len(mask), -1).any(axis=1)) if len(mask) else np.zeros(0, dtype=np.bool_)


def _centroid(images: Images, threshold: int) -> FloatArray:
    mask = ink(images, threshold).astype(np.float64)
    _, height, width = mask.shape
    count = mask.sum(axis=(1, 2))
    sums = np.stack([mask.sum(axis=1) @ np.arange(width), mask.sum(axis=2) @ np.arange(height)], axis=1)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.where(count[:, None] > 0, sums / np.maximum(count, 1.0)[:, None], middle)


def _first_last(line: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last true position along the last axis; meaningless where none is true."""
    return line.argmax(-1), line.shape[-1] - 1 - line[..., ::-1].argmax(-1)
