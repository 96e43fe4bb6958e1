"""Hand-made features of images: pixels, extrema of the ink, HOG, and dummy columns.

From the extrema of `datasets.ink` (``mm``, the bounding box, and ``mm2``, from inside its edges), points (x, y):

    pts11  mm x mm                4 points: the corners of the box
    pts12  mm x mm2, both ways   16 points: one coordinate of the box, the other from inside an edge
    pts22  mm2 x mm2             16 points
    pts    all of them           36 points, 72 numbers, but only 12 distinct values

The top-left ink pixel is (first column *within* the top row, top row): x from mm2 and y from mm, so of the three only
pts12 holds it whole. All functions take (N, H, W) uint8, or (N, H, W, 3) RGB which is turned to grey first.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray, Image, UserError
from benchmark.suggestions import unknown
from datasets.images import grey
from datasets.ink import EXTREMA, MM, MM2, Images, extrema

DUMMY_COLUMNS = 72  # as many as ``pts`` has, unless the name says another number: random300


def _pairs(x_from: Sequence[str], y_from: Sequence[str]) -> list[tuple[str, str]]:
    xs = [name for name in x_from if name.startswith("x")]
    ys = [name for name in y_from if name.startswith("y")]
    return list(itertools.product(xs, ys))


POINTS: dict[str, list[tuple[str, str]]] = {
    "pts11": _pairs(MM, MM),
    "pts12": _pairs(MM, MM2) + _pairs(MM2, MM),
    "pts22": _pairs(MM2, MM2),
}
POINTS["pts"] = POINTS["pts11"] + POINTS["pts12"] + POINTS["pts22"]


def _columns(name: str) -> list[int]:
    """The columns of ``extrema`` a set is made of, with repeats: x, y of each of its points, or single numbers."""
    if name in ("mm", "mm2"):
        return [EXTREMA.index(part) for part in (MM if name == "mm" else MM2)]
    return [EXTREMA.index(part) for point in POINTS[name] for part in point]


def _lines(images: Image, find: Callable[..., NDArray[np.int64]]) -> FloatArray:
    """(N, H + W) float64 px: ``find`` (argmax or argmin) of every row, then of every column; the first position on ties."""
    return np.concatenate([find(images, axis=2), find(images, axis=1)], axis=1).astype(np.float64)


def hog(images: Images) -> FloatArray:
    """Histograms of oriented gradients (Dalal and Triggs, CVPR 2005), by scikit-image.

    9 orientations, blocks of 2 x 2 cells, four cells along the short side (28 x 28: cells of 7 px, 324 numbers).

    Args:
        images: (N, H, W) uint8, or RGB.

    Returns:
        (N, F) float64.

    Raises:
        UserError: Where a side is below 8 px.
    """
    from skimage.feature import hog as descriptor

    stacked = grey(images)
    side = min(stacked.shape[1:])
    if side < 8:
        raise UserError(
            f"feature set 'hog' needs images of at least 8 x 8 px, and these are {stacked.shape[2]} x {side}"
        )
    cell = (side // 4, side // 4)
    rows = [descriptor(image, 9, pixels_per_cell=cell, cells_per_block=(2, 2)) for image in stacked]
    return np.array(rows, dtype=np.float64)


def random_columns(images: Images, count: int, seed: int = 0) -> FloatArray:
    """Noise drawn from the seed and an image's pixels: the same whichever images stand beside it.

    Args:
        images: (N, H, W) uint8.
        count: Columns.
        seed: Another seed gives other numbers.

    Returns:
        (N, count) float64, uniform on [0, 1).
    """
    rows = []
    for image in images:
        stream = hashlib.shake_256(f"{seed}".encode() + np.ascontiguousarray(image).tobytes())
        rows.append(np.frombuffer(stream.digest(8 * count), dtype="<u8") >> np.uint64(11))
    return np.array(rows, dtype=np.float64).reshape(len(rows), count) * 2.0**-53


PLAIN = ("pix", "max", "min", "mm", "mm2", *POINTS, "hog")
NAMES = (*PLAIN, "const", "random")


def parse(spec: str) -> list[tuple[str, int]]:
    """The feature sets that a sum names.

    Args:
        spec: Names joined by plus signs, such as ``pix+pts11+random300``.

    Returns:
        Each name with its number of dummy columns, 0 for sets that have none.

    Raises:
        UserError: For an unknown name, with the nearest.
    """
    sets: list[tuple[str, int]] = []
    for part in spec.split("+"):
        name = part.strip()
        dummy = re.fullmatch(r"(const|random)([1-9]\d{0,4})?", name)
        if dummy:
            sets.append((dummy.group(1), int(dummy.group(2) or DUMMY_COLUMNS)))
        elif name in PLAIN:
            sets.append((name, 0))
        else:
            raise unknown("feature set", name, NAMES)
    return sets


def features(images: Images, spec: str, *, seed: int = 0) -> FloatArray:
    """The feature sets that ``spec`` names, side by side.

    Args:
        images: (N, H, W) uint8, or RGB.
        spec: See `parse`.
        seed: Of the ``random`` columns.

    Returns:
        (N, F) float64: extrema in px, pixels divided by 255.

    Raises:
        UserError: For an unknown set, or images of several sizes.
    """
    stacked = grey(images)
    parts: list[FloatArray] = []
    for name, count in parse(spec):
        if name == "pix":
            parts.append(stacked.reshape(len(stacked), -1) / 255.0)
        elif name in ("max", "min"):
            parts.append(_lines(stacked, np.argmax if name == "max" else np.argmin))
        elif name == "hog":
            parts.append(hog(stacked))
        elif name == "const":
            parts.append(np.ones((len(stacked), count)))
        elif name == "random":
            parts.append(random_columns(stacked, count, seed))
        else:
            parts.append(extrema(stacked)[:, _columns(name)])
    return np.concatenate(parts, axis=1)
