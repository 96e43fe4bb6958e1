"""Readouts: from a grid of features (B, D, h, w) to the numbers that a linear layer turns into points.

avg              mean over the grid (Lin 2014): D numbers
max              largest value of each channel: D
avgmax           both: 2 D, the notes' ResNet18 head
avgminmax        and the smallest: 3 D
minmax           2 x 2 pooling by maximum and by minimum side by side, then 1 x 1 convolution back to D, again and
                 again until one cell is left (the notes' "successive reduction"): 2 D
flatten          everything: D h w
gridpool         means over ``GRID`` x ``GRID`` cells: 16 D
spatialsoftmax   each channel's mean position under a softmax over the grid (Levine 2016): 2 D
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Readout = Literal["avg", "max", "avgmax", "avgminmax", "minmax", "flatten", "gridpool", "spatialsoftmax"]
READOUTS = get_args(Readout)
GRID = 4


class Pooling(nn.Module):
    """avg, max, avgmax and avgminmax."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.parts = [part for part in ("avg", "min", "max") if part in kind]

    def forward(self, x: Tensor) -> Tensor:
        found = {"avg": lambda: x.mean((2, 3)), "min": lambda: x.amin((2, 3)), "max": lambda: x.amax((2, 3))}
        return torch.cat([found[part]() for part in self.parts], dim=1)


class MinMax(nn.Module):
    """Extremes of ever larger cells. Cells at an odd edge are pooled alone."""

    def __init__(self, depth: int, size: tuple[int, int]) -> None:
        super().__init__()
        steps = (max(size) - 1).bit_length()
        self.mix = nn.ModuleList(nn.Conv2d(2 * depth, depth, 1) for _ in range(steps - 1))

    def forward(self, x: Tensor) -> Tensor:
        mixes = iter(self.mix)
        while max(x.shape[-2:]) > 1:
            kernel = tuple(min(2, side) for side in x.shape[-2:])
            x = torch.cat([-F.max_pool2d(-x, kernel, ceil_mode=True), F.max_pool2d(x, kernel, ceil_mode=True)], dim=1)
            if max(x.shape[-2:]) > 1:
                x = F.relu(next(mixes)(x))
        return x.flatten(1)


class GridPool(nn.Module):
    """Means over a coarse grid."""

    def forward(self, x: Tensor) -> Tensor:
        """Explicit cells, because torch's adaptive pooling has no deterministic gradient on a GPU."""
        rows, columns = (_cells(side, x) for side in x.shape[-2:])
        return (rows @ x @ columns.T).flatten(1)


def _cells(side: int, like: Tensor) -> Tensor:
    """(GRID, side): row i takes the mean from floor(i side / GRID) to ceil((i + 1) side / GRID)."""
    at = torch.arange(side, device=like.device)
    first = torch.arange(GRID, device=like.device)[:, None] * side // GRID
    last = -(-(torch.arange(GRID, device=like.device)[:, None] + 1) * side // GRID)
    inside = ((at >= first) & (at < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class SpatialSoftmax(nn.Module):
    """(B, D, h, w) -> (B, 2 D): mean x, then mean y of each channel, in [-1, 1] cell-centred."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(depth, 1))

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        share = (x.flatten(2) * self.sharpness).softmax(2).view_as(x)
        ys = (2 * torch.arange(h, device=x.device) + 1) / h - 1
        xs = (2 * torch.arange(w, device=x.device) + 1) / w - 1
        return torch.cat([share.sum(2) @ xs, share.sum(3) @ ys], dim=1)


def make_readout(name: Readout, depth: int, size: tuple[int, int]) -> nn.Module:
    """The readout called ``name`` of features (B, depth, *size)."""
    if name == "minmax":
        # A grid of one cell has no extremes but itself.
        return MinMax(depth, size) if max(size) > 1 else nn.Flatten()
    if name == "flatten":
        return nn.Flatten()
    if name == "gridpool":
        return GridPool()
    return SpatialSoftmax(depth) if name == "spatialsoftmax" else Pooling(name)


def add_coordinates(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C + 2, H, W): every pixel's x and y in [-1, 1], cell-centred (CoordConv, Liu 2018)."""
    b, _, h, w = x.shape
    ys = ((2 * torch.arange(h, device=x.device) + 1) / h - 1).view(1, 1, h, 1).expand(b, 1, h, w)
    xs = ((2 * torch.arange(w, device=x.device) + 1) / w - 1).view(1, 1, 1, w).expand(b, 1, h, w)
    return torch.cat([x, xs, ys], dim=1)
