"""Pooling: from a grid of features (B, D, h, w) to the vector that a linear layer turns into points.

By name (`make_pooling`):

    avg              mean over the grid (Lin 2014): D numbers
    max              largest value of each channel: D
    avgmax           both: 2 D, the notes' ResNet18 head
    avgminmax        and the smallest: 3 D
    minmax           2 x 2 pooling by maximum and by minimum side by side, then a 1 x 1 convolution back to D, again and
                     again until one cell is left (the notes' "successive reduction"): 2 D
    flatten          everything: D h w
    gridpool         means over `GRID` x `GRID` cells (He 2014, one level of a spatial pyramid): 16 D
    spatialsoftmax   each channel's mean position under a softmax over the grid (Levine 2016): 2 D
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.layers.coordinates import cell_centres

Pooling = Literal["avg", "max", "avgmax", "avgminmax", "minmax", "flatten", "gridpool", "spatialsoftmax"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
GRID = 4  # cells a side of gridpool


class GlobalPool(nn.Module):
    """Mean, minimum and maximum of each channel, whichever of ``avg``, ``min``, ``max`` its name contains."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.parts = [part for part in ("avg", "min", "max") if part in kind]

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) to (B, D x number of parts)."""
        pools = {"avg": lambda: x.mean((2, 3)), "min": lambda: x.amin((2, 3)), "max": lambda: x.amax((2, 3))}
        return torch.cat([pools[part]() for part in self.parts], dim=1)


class MinMaxPool(nn.Module):
    """Extreme values of ever larger cells; cells at an odd edge are pooled alone.

    Args:
        depth: Channels D.
        size: (h, w) of the features.
    """

    def __init__(self, depth: int, size: tuple[int, int]) -> None:
        super().__init__()
        steps = (max(size) - 1).bit_length()
        self.mix = nn.ModuleList(nn.Conv2d(2 * depth, depth, 1) for _ in range(steps - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) to (B, 2 D): minima, then maxima."""
        mixes = iter(self.mix)
        while max(x.shape[-2:]) > 1:
            kernel = tuple(min(2, side) for side in x.shape[-2:])
            x = torch.cat([-F.max_pool2d(-x, kernel, ceil_mode=True), F.max_pool2d(x, kernel, ceil_mode=True)], dim=1)
            if max(x.shape[-2:]) > 1:
                x = F.relu(next(mixes)(x))
        return x.flatten(1)


class GridPool(nn.Module):
    """Means over a coarse grid of `GRID` x `GRID` cells."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) to (B, 16 D), by matrix products: torch's adaptive pooling has no deterministic GPU gradient."""
        rows, columns = (_cell_means(side, x) for side in x.shape[-2:])
        return (rows @ x @ columns.T).flatten(1)


def _cell_means(side: int, like: Tensor) -> Tensor:
    """(GRID, side): row i takes the mean from floor(i side / GRID) to ceil((i + 1) side / GRID)."""
    at = torch.arange(side, device=like.device)
    first = torch.arange(GRID, device=like.device)[:, None] * side // GRID
    last = -(-(torch.arange(GRID, device=like.device)[:, None] + 1) * side // GRID)
    inside = ((at >= first) & (at < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class SpatialSoftmax(nn.Module):
    """Each channel's mean position under its own softmax, whose sharpness is learned."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(depth, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w) to (B, 2 D): mean x, then mean y of each channel, in [-1, 1], cell-centred."""
        h, w = x.shape[-2:]
        probabilities = (x.flatten(2) * self.sharpness).softmax(2).view_as(x)
        return torch.cat([probabilities.sum(2) @ cell_centres(w, x), probabilities.sum(3) @ cell_centres(h, x)], dim=1)


def make_pooling(name: Pooling, depth: int, size: tuple[int, int]) -> nn.Module:
    """The pooling called ``name``.

    Args:
        name: One of `POOLINGS`.
        depth: Channels D of the features.
        size: (h, w) of the features.

    Returns:
        A module from (B, D, h, w) to a vector for each image.
    """
    if name == "minmax":
        # A grid of one cell has no extreme values but itself.
        return MinMaxPool(depth, size) if max(size) > 1 else nn.Flatten()
    if name == "flatten":
        return nn.Flatten()
    if name == "gridpool":
        return GridPool()
    return SpatialSoftmax(depth) if name == "spatialsoftmax" else GlobalPool(name)
