"""Hand-made features of images: pixels, extrema of the ink, HOG, and dummy columns.

The extrema are those of the notes this project began with. Let *ink* be the pixels above a threshold (value > 0 unless
said). ``mm`` (4 numbers) are the first and last inked column and row: the bounding box. ``mm2`` (8 numbers) look inside
its edges: first and last inked row within the leftmost and the rightmost inked column, first and last inked column
within the top and the bottom inked row. From these, points (x, y):

    pts11  mm x mm                4 points: the corners of the box
    pts12  mm x mm2, both ways   16 points: one coordinate of the box, the other from inside an edge
    pts22  mm2 x mm2             16 points
    pts    all of them           36 points, 72 numbers, but only 12 distinct values

The top-left ink pixel is (first column *within* the top row, top row): x from mm2 and y from mm, so of the three only
pts12 holds it whole. All functions take (N, H, W) uint8, or (N, H, W, 3) RGB which is turned to grey first.
A blank image has no extrema; all twelve then take the image's centre, ((W - 1) / 2, (H - 1) / 2), and stay finite.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray, Image, UserError, stack_images
from benchmark.suggestions import unknown

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
DUMMY_COLUMNS = 72  # as many as ``pts`` has, unless the name says another number: random300


def grey(images: Images) -> Image:
    """(N, H, W) uint8. RGB becomes luma (ITU-R BT.601, rounded up so that what is not black stays ink)."""
    stacked = images if isinstance(images, np.ndarray) else stack_images(images)
    if stacked.ndim == 3:
        return stacked
    luma: FloatArray = stacked[..., :3] @ np.array([0.299, 0.587, 0.114])
    return np.ceil(luma - 1e-9).astype(np.uint8)


def ink(images: Images, threshold: int = 0) -> NDArray[np.bool_]:
    """(N, H, W) bool: where a pixel is brighter than ``threshold``."""
    return np.asarray(grey(images) > threshold)


def _first_last(line: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last true position along the last axis; meaningless where none is true."""
    return line.argmax(-1), line.shape[-1] - 1 - line[..., ::-1].argmax(-1)


def extrema(images: Images, threshold: int = 0) -> FloatArray:
    """(N, 12) float64, pixels, columns as ``EXTREMA``: the 4 numbers of mm, then the 8 of mm2."""
    mask = ink(images, threshold)
    n, height, width = mask.shape
    if n == 0:
        return np.zeros((0, len(EXTREMA)))
    at = np.arange(n)
    x_left, x_right = _first_last(np.logical_or.reduce(mask, axis=1))
    y_top, y_bottom = _first_last(np.logical_or.reduce(mask, axis=2))
    found = (
        (x_left, x_right),
        (y_top, y_bottom),
        _first_last(mask[at, y_top]),
        _first_last(mask[at, y_bottom]),
        _first_last(mask[at, :, x_left]),
        _first_last(mask[at, :, x_right]),
    )
    values = np.stack([v for pair in found for v in pair], axis=1).astype(np.float64)
    middle = [(width - 1) / 2 if name.startswith("x") else (height - 1) / 2 for name in EXTREMA]
    inked = np.logical_or.reduce(mask, axis=(1, 2))
    return np.where(inked[:, None], values, np.array(middle))


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
    """(N, H + W): ``find`` (argmax or argmin) of every row, then of every column; the first position on ties."""
    return np.concatenate([find(images, axis=2), find(images, axis=1)], axis=1).astype(np.float64)


def hog(images: Images) -> FloatArray:
    """(N, F) histograms of oriented gradients (Dalal and Triggs 2005, scikit-image): 9 orientations, blocks of 2 x 2
    cells, four cells along the short side (28 x 28: cells of 7 px, 324 numbers). UserError below 8 px."""
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
    """(N, count) uniform on [0, 1): noise drawn from the seed and the image's pixels, so that an image gets the same
    numbers whichever images stand beside it."""
    rows = []
    for image in images:
        stream = hashlib.shake_256(f"{seed}".encode() + np.ascontiguousarray(image).tobytes())
        rows.append(np.frombuffer(stream.digest(8 * count), dtype="<u8") >> np.uint64(11))
    return np.array(rows, dtype=np.float64).reshape(len(rows), count) * 2.0**-53


PLAIN = ("pix", "max", "min", "mm", "mm2", *POINTS, "hog")
NAMES = (*PLAIN, "const", "random")


def parse(spec: str) -> list[tuple[str, int]]:
    """The sets a sum such as ``pix+pts11+random300`` names, each with its number of dummy columns (0 for the others).

    UserError for an unknown name, with the nearest.
    """
    found: list[tuple[str, int]] = []
    for part in spec.split("+"):
        name = part.strip()
        dummy = re.fullmatch(r"(const|random)([1-9]\d{0,4})?", name)
        if dummy:
            found.append((dummy.group(1), int(dummy.group(2) or DUMMY_COLUMNS)))
        elif name in PLAIN:
            found.append((name, 0))
        else:
            raise unknown("feature set", name, NAMES)
    return found


def features(images: Images, spec: str, *, seed: int = 0) -> FloatArray:
    """(N, F) float64: the feature sets that ``spec`` names, side by side. Extrema in px, pixels / 255.

    seed: of the ``random`` columns. UserError for an unknown set, or images of several sizes.
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


def feature_names(spec: str, height: int = 28, width: int = 28) -> list[str]:
    """What each column of ``features`` is, for a reader, at this image size."""
    names: list[str] = []
    for name, count in parse(spec):
        if name == "pix":
            names += [f"pixel({x}, {y})" for y in range(height) for x in range(width)]
        elif name in ("max", "min"):
            names += [f"arg{name} of row {y}" for y in range(height)] + [
                f"arg{name} of column {x}" for x in range(width)
            ]
        elif name == "hog":
            blank = np.zeros((1, height, width), dtype=np.uint8)
            names += [f"hog {i}" for i in range(hog(blank).shape[1])]
        elif count:
            names += [f"{name} {i}" for i in range(count)]
        elif name in POINTS:
            names += [f"{axis} of ({x}, {y})" for x, y in POINTS[name] for axis in "xy"]
        else:
            names += [EXTREMA[i] for i in _columns(name)]
    return names
