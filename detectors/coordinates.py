"""From this project's pixels to a corner-based network's, and back: half a pixel is added and taken away here.

Points here are (x, y) with an integer at the **centre** of a pixel. torchvision's detection code counts from the
image's corner: its RoIAlign, anchors and `keypoints_to_heatmap` put the first pixel's centre at .5 (Heckbert 1990,
c = d + .5), and resizing with ``align_corners=False`` multiplies such coordinates by the scale. So with a margin of m
black pixels around the image and a scale s

    input = (x + .5 + m) * s          x = input / s - .5 - m

A box (x, y, width, height) is given by its edges, COCO's way: ``x`` is where its first pixel begins, so it takes no
half pixel. Inside soft-argmax networks [-1, 1] is used, cell-centred: (2 x + 1) / n - 1, the first of n pixels at
1/n - 1 (Nibali 2018, eq. 1); its corner-aligned rival 2 x / (n - 1) - 1 differs by half a pixel at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """How a network sees an image: ``margin`` px of black around it, all of that enlarged by ``scale``."""

    scale: float = 1.0
    margin: int = 0

    def images(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, s (H + 2 m), s (W + 2 m)), bilinear, antialiased if smaller.

        A side that is no whole number is cut off, not squeezed in: pixels stay where `points` says they are.
        """
        padded = F.pad(images, (self.margin,) * 4)
        if self.scale == 1:
            return padded
        return F.interpolate(
            padded,
            scale_factor=self.scale,
            mode="bilinear",
            align_corners=False,
            antialias=self.scale < 1,
            recompute_scale_factor=False,
        )

    def points(self, points: Tensor) -> Tensor:
        """(..., 2) pixels to the network's corner-based coordinates."""
        return (points + 0.5 + self.margin) * self.scale

    def back(self, points: Tensor) -> Tensor:
        """(..., 2) corner-based coordinates of the network to pixels."""
        return points / self.scale - 0.5 - self.margin

    def boxes(self, boxes: Tensor) -> Tensor:
        """(..., 4) (x, y, width, height) px to (x1, y1, x2, y2) in the network's coordinates."""
        first = boxes[..., :2] + self.margin
        return torch.cat([first, first + boxes[..., 2:]], dim=-1) * self.scale


def to_unit(pixels: Tensor, size: Tensor) -> Tensor:
    """(..., 2) pixels to [-1, 1], cell-centred. size: (2,) (width, height)."""
    return (2 * pixels + 1) / size - 1


def from_unit(unit: Tensor, size: Tensor) -> Tensor:
    """(..., 2) of [-1, 1], cell-centred, to pixels. size: (2,) (width, height)."""
    return ((unit + 1) * size - 1) / 2
