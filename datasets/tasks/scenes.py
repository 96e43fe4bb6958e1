"""Scenes: digits laid on a larger canvas, several at once, with noise specks. All of it decided by content.

A canvas of side S is cut into g x g cells (g = 1 for one digit, 2 for up to four); each digit lies somewhere in a cell
of its own, so digits never overlap. Or it is open: digits of several sizes lie anywhere, one after the other, each at the
first of some places drawn for it where its ink covers nobody's; ink may touch. How many there are, which, in which cells
and where is drawn from the SHAKE-256 of the first digit's hash and the split's number: the same digits make the same
scenes on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from benchmark.structures import FloatArray, Image, IntArray
from datasets.splits import draw

TRIES = 20
"""Places that are drawn for a digit of an open canvas before it is left out."""

Placed = tuple[int, int, int, float]
"""Which digit lies where: its position among the images, x and y of its top-left pixel, its scale."""


@dataclass(frozen=True)
class Canvas:
    """What digits are laid on.

    Attributes:
        side: Of the square canvas, px.
        most: A scene holds 1 to this many digits.
        specks: The number of single bright pixels beside the ink.
        cells: The cells of four that digits may lie in, 0 top left, 1 top right, 2 and 3 below; empty for all.
        scales: What a digit's sides are multiplied by; drawn for each digit.
        open: Whether digits lie anywhere, and not in cells.
    """

    side: int
    most: int = 1
    specks: int = 0
    cells: tuple[int, ...] = ()
    scales: tuple[float, ...] = (1.0,)
    open: bool = False


@dataclass(frozen=True)
class Scenes:
    """N scenes with M digits in all.

    Attributes:
        images: (N, side, side) uint8.
        index: (M,) int64 ascending, the scene of each digit.
        source: (M,) int64, which digit it is.
        offsets: (M, 2) int64, the canvas position (x, y) of its top-left pixel.
        scales: (M,) float64, what its sides were multiplied by.
    """

    images: Image
    index: IntArray
    source: IntArray
    offsets: IntArray
    scales: FloatArray


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
    _check(canvas, height, width)
    lay = _lay_anywhere if canvas.open else _lay_in_cells
    scenes = np.zeros((n, canvas.side, canvas.side), dtype=np.uint8)
    index, source, offsets, scales = [], [], [], []
    for i, digest in enumerate(image_digests):
        count = 1 + int(draw(digest, f"count {number}", 1, canvas.most)[0])
        chosen = [i, *draw(digest, f"others {number}", count - 1, n).tolist()]
        for which, x, y, scale in lay(scenes[i], images, chosen, digest, canvas, number):
            index.append(i)
            source.append(which)
            offsets.append((x, y))
            scales.append(scale)
        _speckle(scenes[i], digest, canvas.specks, number)
    return Scenes(
        images=scenes,
        index=np.array(index, dtype=np.int64),
        source=np.array(source, dtype=np.int64),
        offsets=np.array(offsets, dtype=np.int64).reshape(-1, 2),
        scales=np.array(scales, dtype=np.float64),
    )


def scaled(images: Image, scale: float) -> Image:
    """Images with their sides multiplied, (N, H, W) uint8; Pillow's bilinear filter, the same bytes on every machine."""
    if scale == 1:
        return images
    _, height, width = images.shape
    size = (round(width * scale), round(height * scale))
    resized = [np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR)) for image in images]
    return np.stack(resized) if resized else np.zeros((0, size[1], size[0]), dtype=np.uint8)


def _check(canvas: Canvas, height: int, width: int) -> None:
    """Raise where digits of that size can't lie on the canvas."""
    largest = max(height, width) * max(canvas.scales)
    if canvas.open:
        fits = largest <= canvas.side and not canvas.cells
    else:
        cells = canvas.cells or range(_per_side(canvas) ** 2)
        fits = canvas.side // _per_side(canvas) >= largest and canvas.most <= len(cells) and canvas.scales == (1.0,)
    if not fits or canvas.most < 1:
        raise ValueError(f"{canvas} cannot hold digits of {width} x {height} px")


def _per_side(canvas: Canvas) -> int:
    return 1 if canvas.most == 1 and not canvas.cells else 2


def _lay_in_cells(
    scene: Image, images: Image, chosen: Sequence[int], digest: str, canvas: Canvas, number: int
) -> list[Placed]:
    """Lay the chosen digits in cells of their own; changes ``scene``."""
    _, height, width = images.shape
    per_side, count = _per_side(canvas), len(chosen)
    cell = canvas.side // per_side
    order = np.argsort(draw(digest, f"cells {number}", per_side**2, 2**62), kind="stable")
    cells = order[np.isin(order, canvas.cells)] if canvas.cells else order
    free = np.array([cell - width + 1, cell - height + 1])
    jitter = draw(digest, f"places {number}", 2 * count, 2**62).reshape(count, 2) % free
    corners = np.stack([cells[:count] % per_side, cells[:count] // per_side], axis=1) * cell + jitter
    for which, (x, y) in zip(chosen, corners):
        scene[y : y + height, x : x + width] = images[which]
    return [(which, int(x), int(y), 1.0) for which, (x, y) in zip(chosen, corners)]


def _lay_anywhere(
    scene: Image, images: Image, chosen: Sequence[int], digest: str, canvas: Canvas, number: int
) -> list[Placed]:
    """Lay the chosen digits one after the other where there is room; one that finds none is left out."""
    sizes = draw(digest, f"scales {number}", len(chosen), len(canvas.scales))
    places = draw(digest, f"places {number}", 2 * TRIES * len(chosen), 2**62).reshape(len(chosen), TRIES, 2)
    placed: list[Placed] = []
    for which, size, tries in zip(chosen, sizes.tolist(), places):
        scale = canvas.scales[size]
        digit = scaled(images[which : which + 1], scale)[0]
        height, width = digit.shape
        for x, y in (tries % [canvas.side - width + 1, canvas.side - height + 1]).tolist():
            under = scene[y : y + height, x : x + width]
            if not ((under > 0) & (digit > 0)).any():
                np.maximum(under, digit, out=under)
                placed.append((which, x, y, scale))
                break
    return placed


def _speckle(scene: Image, digest: str, count: int, number: int) -> None:
    """Light ``count`` dark pixels of a scene, each with a value from 1 to 255."""
    if not count:
        return
    dark = np.flatnonzero(scene.ravel() == 0)
    chosen = dark[np.argsort(draw(digest, f"specks {number}", len(dark), 2**62), kind="stable")[:count]]
    scene.reshape(-1)[chosen] = 1 + draw(digest, f"values {number}", len(chosen), 255)
