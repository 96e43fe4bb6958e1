"""Trunks whose output has the image's own resolution: every pixel in, every pixel out.

unet: Ronneberger 2015 with two poolings, batch normalisation, nearest-neighbour upsampling and one convolution where
two scales meet; it sees the whole of a 28 px image. conv: 5 x 5 convolutions at stride 1 (25 px are seen through six).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Trunk = Literal["unet", "conv"]


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """(B, inputs, H, W) to (B, outputs, H, W); any H and W (black is added up to a multiple of 4, and cut off again)."""

    def __init__(self, inputs: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(inputs, width), conv(width, width))
        self.middle = nn.Sequential(conv(width, 2 * width), conv(2 * width, 2 * width))
        self.coarse = nn.Sequential(conv(2 * width, 4 * width), conv(4 * width, 4 * width))
        self.up_half = conv(6 * width, 2 * width)
        self.up_fine = nn.Sequential(conv(3 * width, width), conv(width, width))
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        fine = self.fine(F.pad(images, (0, -width % 4, 0, -height % 4)))
        half = self.middle(F.max_pool2d(fine, 2))
        quarter = self.coarse(F.max_pool2d(half, 2))
        half = self.up_half(torch.cat([F.interpolate(quarter, scale_factor=2.0), half], dim=1))
        fine = self.up_fine(torch.cat([F.interpolate(half, scale_factor=2.0), fine], dim=1))
        out: Tensor = self.out(fine)[..., :height, :width]
        return out


class ConvTrunk(nn.Sequential):
    """(B, inputs, H, W) to (B, outputs, H, W) without ever leaving the grid."""

    def __init__(self, inputs: int, outputs: int, width: int = 16, depth: int = 6) -> None:
        layers = [conv(inputs if i == 0 else width, width, 5) for i in range(depth)]
        super().__init__(*layers, nn.Conv2d(width, outputs, 1))


def make_trunk(name: Trunk, inputs: int, outputs: int, width: int) -> nn.Module:
    """The trunk called ``name``; ``width`` channels at full resolution."""
    return (UNet if name == "unet" else ConvTrunk)(inputs, outputs, width)
