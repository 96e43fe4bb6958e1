"""The part of an image that a detector is shown, at the size it is shown it: whole and letterboxed, or a box's crop.

A window is a rectangle of the image, of the canvas's shape, with one scale s on both axes. With its corner at (x0, y0),
counted from the image's edge, the pixel centre x of the image lies at

    u = (x + .5 - x0) * s - .5

in the canvas, and `Window.to_image` alone undoes it. What of a window lies beyond the image is black. Images are resized
by Pillow, bilinearly, antialiased where they become smaller; its fixed-point arithmetic gives the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from benchmark.structures import FloatArray, Image

PADDING = 1.25  # a crop's sides over its box's, as in SimpleBaseline (Xiao 2018) and mmpose
NARROWEST = 4.0  # a canvas for crops is at most so many times as long as it is wide
LEAST_SIDE = 16  # px, of a canvas for crops

Size = tuple[int, int]
"""(height, width) in px."""


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, and the canvas it is shown on.

    Attributes:
        x0: px from the image's left edge to the window's; below 0 where it begins outside.
        y0: px from the top edge.
        scale: Pixels of the canvas a pixel of the image.
        canvas: (height, width) px.
    """

    x0: float
    y0: float
    scale: float
    canvas: Size

    @classmethod
    def whole(cls, size: Size, canvas: Size) -> Window:
        """All of an image (height, width), as large as the canvas holds it, in its middle."""
        if size == canvas:
            return cls(0.0, 0.0, 1.0, canvas)
        scale = min(canvas[0] / size[0], canvas[1] / size[1])
        return cls((size[1] - canvas[1] / scale) / 2, (size[0] - canvas[0] / scale) / 2, scale, canvas)

    @classmethod
    def around(cls, box: Sequence[float] | FloatArray, canvas: Size) -> Window:
        """A box (x, y, width, height) px and a margin about it, in the canvas's middle."""
        x, y, width, height = (float(v) for v in box)
        scale = min(canvas[1] / (PADDING * max(width, 1.0)), canvas[0] / (PADDING * max(height, 1.0)))
        return cls(x + width / 2 - canvas[1] / scale / 2, y + height / 2 - canvas[0] / scale / 2, scale, canvas)

    def to_canvas(self, points: FloatArray) -> FloatArray:
        """(..., 2) px of the image as px of the canvas."""
        return points * self.scale + self._shift

    def to_image(self, points: FloatArray) -> FloatArray:
        """(..., 2) px of the canvas as px of the image."""
        return (points - self._shift) / self.scale

    @property
    def _shift(self) -> FloatArray:
        """(2,) px of the canvas: where the image's first pixel centre lies; exactly 0 where the window is the image."""
        return (0.5 - np.array([self.x0, self.y0])) * self.scale - 0.5

    def boxes_to_canvas(self, boxes: FloatArray) -> FloatArray:
        """(..., 4) boxes x, y, width, height of the image, whose x is where the first pixel begins, in the canvas."""
        return np.concatenate([boxes[..., :2] - (self.x0, self.y0), boxes[..., 2:]], axis=-1) * self.scale

    def render(self, image: Image) -> Image:
        """What of the image lies in the window.

        Args:
            image: (H, W) or (H, W, 3) uint8.

        Returns:
            (h, w) or (h, w, 3) uint8, of the canvas's size; the image itself where the window is all of it.
        """
        height, width = image.shape[:2]
        if (self.x0, self.y0, self.scale, self.canvas) == (0.0, 0.0, 1.0, (height, width)):
            return image
        x1, y1 = self.x0 + self.canvas[1] / self.scale, self.y0 + self.canvas[0] / self.scale
        left, top, right, bottom = math.floor(self.x0), math.floor(self.y0), math.ceil(x1), math.ceil(y1)
        region = np.zeros((bottom - top, right - left, *image.shape[2:]), dtype=np.uint8)
        columns, rows = slice(max(left, 0), min(right, width)), slice(max(top, 0), min(bottom, height))
        if columns.start < columns.stop and rows.start < rows.stop:
            inside = image[rows, columns]
            at_y, at_x = rows.start - top, columns.start - left
            region[at_y : at_y + inside.shape[0], at_x : at_x + inside.shape[1]] = inside
        box = (self.x0 - left, self.y0 - top, min(x1 - left, right - left), min(y1 - top, bottom - top))
        picture = Pillow.fromarray(region)
        return np.asarray(picture.resize(self.canvas[::-1], Pillow.Resampling.BILINEAR, box=box))

    def of_image(self, maps: FloatArray, size: tuple[int, ...]) -> FloatArray:
        """The part of maps over the canvas that lies over the image, as large as the maps are.

        Args:
            maps: (K, h, w), each over all of the canvas, at any resolution.
            size: The image's (height, width, ...).
        """
        height, width = maps.shape[1:]
        across, down = width / self.canvas[1], height / self.canvas[0]
        left, top = max(0.0, -self.x0 * self.scale * across), max(0.0, -self.y0 * self.scale * down)
        right = min(float(width), (size[1] - self.x0) * self.scale * across)
        bottom = min(float(height), (size[0] - self.y0) * self.scale * down)
        parts = [
            Pillow.fromarray(np.asarray(one, dtype=np.float32)).resize(
                (width, height), Pillow.Resampling.BILINEAR, box=(left, top, right, bottom)
            )
            for one in maps
        ]
        return np.stack([np.asarray(part, dtype=np.float64) for part in parts]).clip(min=0)


def scaled(size: Size, scale: float) -> Size:
    """A size (height, width), at least 1 x 1, in about the same shape."""
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def canvas_for_boxes(boxes: FloatArray, longest: int, *, exactly: bool = False) -> Size:
    """The canvas for crops of boxes: of their typical shape, and no larger than half of them are with their margin.

    Args:
        boxes: (M, 4) x, y, width, height in px, at least one.
        longest: px, the longer side at most.
        exactly: Whether the longer side is ``longest``, however small the boxes are.

    Returns:
        (height, width) px.
    """
    sides = np.maximum(boxes[:, 2:], 1.0)
    aspect = float(np.exp(np.median(np.log(sides[:, 1] / sides[:, 0]))))  # height over width
    aspect = min(max(aspect, 1 / NARROWEST), NARROWEST)
    typical = max(LEAST_SIDE, math.ceil(PADDING * float(np.median(sides.max(axis=1)))))
    long = longest if exactly else min(longest, typical)
    return (long, max(1, round(long / aspect))) if aspect >= 1 else (max(1, round(long * aspect)), long)
