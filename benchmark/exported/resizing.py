"""How Pillow resizes 8-bit images bilinearly, as two matrices: what a graph must do to see the very same pixels.

After `libImaging/Resample.c` (``precompute_coeffs``, ``normalize_coeffs_8bpc``): output pixel i of a pass has its centre
at low + (i + .5) s of the input, counted from the edge, s being input pixels an output pixel; its weights are a tent of
half-width max(1, s), normalised, and rounded to multiples of 2^-22. A pass ends with rounding to whole grey levels before
the other begins. Weights and sums are exact in float64, so the bytes are Pillow's. Which pass comes first has changed with
Pillow's versions (its pull request 9549), so Pillow is asked.
"""

from __future__ import annotations

import math

import numpy as np

from benchmark.structures import FloatArray, Image, UserError
from benchmark.windows import Window

UNIT = float(1 << 22)  # Pillow's weights are whole multiples of 1 / UNIT
PROBES = 4  # images of noise that Pillow is asked about, and as many on which the orders differ
NOISE = 1 << 18  # pixels of noise that are searched for such


def axis_weights(start: float, scale: float, out: int, size: int) -> FloatArray:
    """One axis of `Window.render`: what beyond the image is black, so nothing of it counts.

    Args:
        start: Where the window begins, px from the image's edge.
        scale: Pixels of the canvas a pixel of the image.
        out: px of the canvas.
        size: px of the image.

    Returns:
        (out, size) float64, whole multiples of 2^-22.
    """
    end = start + out / scale
    first, last = math.floor(start), math.ceil(end)
    # Of the window, in the region it is cut from; Pillow keeps a box as float32, and goes on in float64.
    low, high = np.float32(start - first), np.float32(min(end - first, float(last - first)))
    step = float(high - low) / out
    support = max(1.0, step)
    weights = np.zeros((out, last - first))
    for i in range(out):
        centre = float(low) + (i + 0.5) * step
        begin, stop = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), last - first)
        taps = np.maximum(0.0, 1.0 - np.abs((np.arange(begin, stop) - centre + 0.5) * (1.0 / support)))
        total = float(np.add.accumulate(taps)[-1])  # one after the other, as Pillow sums
        weights[i, begin:stop] = np.floor(taps / total * UNIT + 0.5) / UNIT
    inside = np.zeros((out, size))
    lowest, highest = max(first, 0), min(last, size)
    inside[:, lowest:highest] = weights[:, lowest - first : highest - first]
    return inside


def window_weights(window: Window, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """The two passes of `Window.render` on an image of a size.

    Args:
        window: What is shown.
        height: px of the image.
        width: px of the image.

    Returns:
        Rows (h, height) and columns (w, width), for a canvas of (h, w).
    """
    rows = axis_weights(window.y0, window.scale, window.canvas[0], height)
    return rows, axis_weights(window.x0, window.scale, window.canvas[1], width)


def rows_first(window: Window, height: int, width: int) -> bool:
    """Whether Pillow, as it is installed, resizes rows before columns here; False where that makes no difference.

    Raises:
        UserError: Where it does neither as described in the module: what is exported would see other pixels.
    """
    rows, columns = window_weights(window, height, width)
    count = max(PROBES, NOISE // (height * width))
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)
    orders = _rounded(rows @ _rounded(noise @ columns.T)), _rounded(_rounded(rows @ noise) @ columns.T)
    telling = np.flatnonzero((orders[0] != orders[1]).any(axis=(1, 2)))  # few, where images are small or mostly black
    asked = [*range(PROBES), *telling[:PROBES]]
    shown = np.stack([window.render(image) for image in noise[asked]])
    for later, order in enumerate(orders):
        if np.array_equal(order[asked], shown):
            return bool(later)
    raise UserError("cannot be exported: the installed Pillow resizes otherwise than is known; try an earlier version")


def _rounded(values: FloatArray) -> Image:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
