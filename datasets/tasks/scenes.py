"""Scenes: digits laid on a larger canvas, several at once, with noise specks. All of it decided by content.

A canvas of side S is cut into g x g cells (g = 1 for one digit, 2 for up to four); each digit lies somewhere in a cell
of its own, so digits never overlap. How many there are, which, in which cells and where is drawn from the SHAKE-256 of
the first digit's hash and the split's number: the same digits make the same scenes on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.structures import Image, IntArray
from datasets.splits import draw


@dataclass(frozen=True)
class Canvas:
    """What digits are laid on.

    Attributes:
        side: Of the square canvas, px.
        most: A scene holds 1 to this many digits.
        specks: The number of single bright pixels beside the ink.
    """

    side: int
    most: int = 1
    specks: int = 0


@dataclass(frozen=True)
class Scenes:
    """N scenes with M digits in all.

    Attributes:
        images: (N, side, side) uint8.
        index: (M,) int64 ascending, the scene of each digit.
        source: (M,) int64, which digit it is.
        offsets: (M, 2) int64, the canvas position (x, y) of its top-left pixel.
    """

    images: Image
    index: IntArray
    source: IntArray
    offsets: IntArray


def compose(images: Image, image_digests: Sequence[str], canvas: Canvas, number: int = 0) -> Scenes:
    """A scene for every image, holding it and perhaps others of ``images``.

    Args:
        images: (N, H, W) uint8.
        image_digests: Their N digests, see `benchmark.structures.image_digest`.
        canvas: What they are laid on.
        number: Which division the images are of.

    Returns:
        Scene i holds image i first.

    Raises:
        ValueError: Where a cell is smaller than a digit, or there are too few cells.
    """
    n, height, width = images.shape
    per_side = 1 if canvas.most == 1 else 2
    cell = canvas.side // per_side
    if cell < max(height, width) or not 1 <= canvas.most <= per_side**2:
        raise ValueError(f"{canvas} cannot hold digits of {width} x {height} px")
    scenes = np.zeros((n, canvas.side, canvas.side), dtype=np.uint8)
    index, source, offsets = [], [], []
    for i, digest in enumerate(image_digests):
        count = 1 + int(draw(digest, f"count {number}", 1, canvas.most)[0])
        others = draw(digest, f"others {number}", count - 1, n).tolist()
        cells = np.argsort(draw(digest, f"cells {number}", per_side**2, 2**62), kind="stable")[:count]
        free = np.array([cell - width + 1, cell - height + 1])
        jitter = draw(digest, f"places {number}", 2 * count, 2**62).reshape(count, 2) % free
        corners = np.stack([cells % per_side, cells // per_side], axis=1) * cell + jitter
        for which, (x, y) in zip([i, *others], corners):
            scenes[i, y : y + height, x : x + width] = images[which]
        index += [i] * count
        source += [i, *others]
        offsets.append(corners)
        _speckle(scenes[i], digest, canvas.specks, number)
    corners_of_all = np.concatenate([np.zeros((0, 2), dtype=np.int64), *offsets])
    return Scenes(scenes, np.array(index, dtype=np.int64), np.array(source, dtype=np.int64), corners_of_all)


def _speckle(scene: Image, digest: str, count: int, number: int) -> None:
    """Light ``count`` dark pixels of a scene, each with a value from 1 to 255."""
    if not count:
        return
    dark = np.flatnonzero(scene.ravel() == 0)
    chosen = dark[np.argsort(draw(digest, f"specks {number}", len(dark), 2**62), kind="stable")[:count]]
    scene.reshape(-1)[chosen] = 1 + draw(digest, f"values {number}", len(chosen), 255)
