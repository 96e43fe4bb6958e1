"""Conversions between this project's pixels and the coordinates of networks; the half pixel is added and taken here.

Points of this project are (x, y) with an integer at the **centre** of a pixel. torchvision's detection code counts from
the image's corner: its RoIAlign, anchors and `keypoints_to_heatmap` put the first pixel's centre at .5 (Heckbert 1990,
c = d + .5), and resizing with ``align_corners=False`` multiplies such coordinates by the scale. So with a margin of m
black pixels around the image and a scale s

    input = (x + .5 + m) * s          x = input / s - .5 - m

A box (x, y, width, height) is given by its edges, as COCO's are: ``x`` is where its first pixel begins, so it takes no
half pixel. Inside soft-argmax networks [-1, 1] is used, cell-centred: (2 x + 1) / n - 1, the first of n pixels at
1/n - 1 (Nibali 2018, eq. 1); the corner-aligned form 2 x / (n - 1) - 1 differs by half a pixel at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """How a network is shown an image.

    Attributes:
        scale: How many times the image with its margin is enlarged.
        margin: Width in px of the black border that is put around the image first.
    """

    scale: float = 1.0
    margin: int = 0

    def images(self, images: Tensor) -> Tensor:
        """The images as the network is shown them: bilinear, antialiased if smaller.

        A side that is no whole number is cut off, not squeezed in: pixels stay where `points` says they are.

        Args:
            images: (B, C, H, W) float32.

        Returns:
            (B, C, scale (H + 2 margin), scale (W + 2 margin)) float32.
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

    def to_pixels(self, points: Tensor) -> Tensor:
        """(..., 2) corner-based coordinates of the network to pixels: the inverse of `points`."""
        return points / self.scale - 0.5 - self.margin

    def boxes(self, boxes: Tensor) -> Tensor:
        """(..., 4) (x, y, width, height) px to (x1, y1, x2, y2) in the network's coordinates."""
        first = boxes[..., :2] + self.margin
        return torch.cat([first, first + boxes[..., 2:]], dim=-1) * self.scale


def to_unit(pixels: Tensor, size: Tensor) -> Tensor:
    """(..., 2) pixels to [-1, 1], cell-centred. size: (2,) (width, height)."""
    return (2 * pixels + 1) / size - 1


def from_unit(unit: Tensor, size: Tensor) -> Tensor:
    """(..., 2) of [-1, 1], cell-centred, to pixels: the inverse of `to_unit`. size: (2,) (width, height)."""
    return ((unit + 1) * size - 1) / 2


def cell_centres(count: int, like: Tensor) -> Tensor:
    """(count,) float32: where in [-1, 1] the centres of ``count`` cells lie, on the device of ``like``."""
    return (2 * torch.arange(count, device=like.device) + 1) / count - 1


def add_coordinates(images: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C + 2, H, W): each pixel's x and y in [-1, 1], cell-centred (CoordConv, Liu 2018)."""
    b, _, h, w = images.shape
    ys = cell_centres(h, images).view(1, 1, h, 1).expand(b, 1, h, w)
    xs = cell_centres(w, images).view(1, 1, 1, w).expand(b, 1, h, w)
    return torch.cat([images, xs, ys], dim=1)
