"""From points to heatmaps and back: pure functions on (N, K, H, W) float tensors, points (N, K, 2) pixels (x, y).

Cell (row j, column i) of a map stands for the pixel centre (i, j): no half pixels here. Targets:

    onehot     1 at the nearest pixel
    bilinear   a point's mass shared by its four nearest pixels, so that the map's mean is the point exactly
    gaussian   exp(-d^2 / (2 sigma^2)) about the point itself, not about the nearest pixel (as DARK asks)

Decodings: ``argmax`` (the pixel), ``local`` (mean of the 3 x 3 around the maximum), ``quarter`` (a quarter pixel towards
the larger neighbour, Newell 2016), ``dark`` (a Newton step on the log of the smoothed map, Zhang 2020), ``integral`` (mean
of the whole map, Sun 2018). ``local`` and ``integral`` take maps that are distributions; the others any.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Decoding = Literal["argmax", "local", "quarter", "dark", "integral"]


def onehot(points: Tensor, height: int, width: int) -> Tensor:
    """1 at the pixel nearest to each point; points off the image count as on its edge."""
    nearest = torch.stack([points[..., 0].round().clamp(0, width - 1), points[..., 1].round().clamp(0, height - 1)], -1)
    return bilinear(nearest, height, width)


def bilinear(points: Tensor, height: int, width: int) -> Tensor:
    """Tents of half-width 1 about each point: sum 1, mean the point; points off the image count as on its edge."""
    x = points[..., :1].clamp(0, width - 1) - torch.arange(width).to(points)
    y = points[..., 1:].clamp(0, height - 1) - torch.arange(height).to(points)
    return (1 - y.abs()).clamp(min=0)[..., :, None] * (1 - x.abs()).clamp(min=0)[..., None, :]


def gaussian(points: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """Peak value 1 at the point, which need not be on a pixel. sigma: px."""
    x = points[..., :1] - torch.arange(width).to(points)
    y = points[..., 1:] - torch.arange(height).to(points)
    return torch.exp(-(y[..., :, None] ** 2 + x[..., None, :] ** 2) / (2 * sigma**2))


def distribution(maps: Tensor) -> Tensor:
    """Each map divided by its sum."""
    return maps / maps.sum((2, 3), keepdim=True)


def softmax(logits: Tensor) -> Tensor:
    """Over all the pixels of each map."""
    return logits.flatten(2).softmax(-1).view_as(logits)


def log_softmax(logits: Tensor) -> Tensor:
    """Over all the pixels of each map."""
    return logits.flatten(2).log_softmax(-1).view_as(logits)


def cross_entropy(logits: Tensor, goal: Tensor) -> Tensor:
    """Mean over images and keypoints of the cross-entropy from a goal, as a distribution, to softmax(logits)."""
    return -(distribution(goal) * log_softmax(logits)).sum((2, 3)).mean()


def mean_point(weights: Tensor) -> Tensor:
    """The mean position under maps that sum to 1: soft-argmax, where they are a softmax."""
    columns = torch.arange(weights.shape[3]).to(weights)
    rows = torch.arange(weights.shape[2]).to(weights)
    return torch.stack([weights.sum(2) @ columns, weights.sum(3) @ rows], dim=-1)


def peak(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row, each (N, K) int64, of the largest value; the first in reading order on ties."""
    at = maps.flatten(2).argmax(-1)
    return at % maps.shape[3], at // maps.shape[3]


def decode(maps: Tensor, decoding: Decoding, *, sigma: float = 1.0) -> Tensor:
    """(N, K, 2) float64 pixels. sigma: px, that of the targets; ``dark`` smooths by it."""
    maps = maps.double()
    if decoding == "integral":
        return mean_point(maps)
    x, y = peak(maps)
    points = torch.stack([x, y], dim=-1).double()
    if decoding == "argmax":
        return points
    if decoding == "local":
        near = _window(maps, x, y, radius=1)
        weights = near / near.sum((2, 3), keepdim=True)
        return points + mean_point(weights) - 1
    if decoding == "quarter":
        near = _window(maps, x, y, radius=1)
        slope = torch.stack([near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]], dim=-1)
        inside = _inside(maps, x, y, 1)
        return points + 0.25 * slope.sign() * inside[..., None]
    return points + _newton(maps, x, y, sigma)


def _window(maps: Tensor, x: Tensor, y: Tensor, radius: int) -> Tensor:
    """(N, K, 2 r + 1, 2 r + 1): what surrounds (x, y), 0 beyond the edge."""
    padded = F.pad(maps, (radius,) * 4)
    span = torch.arange(2 * radius + 1, device=maps.device)
    n = torch.arange(maps.shape[0], device=maps.device)[:, None, None, None]
    k = torch.arange(maps.shape[1], device=maps.device)[None, :, None, None]
    return padded[n, k, (y[..., None] + span)[..., :, None], (x[..., None] + span)[..., None, :]]


def _inside(maps: Tensor, x: Tensor, y: Tensor, margin: int) -> Tensor:
    """(N, K) bool: whether (x, y) is at least ``margin`` px from the edge."""
    height, width = maps.shape[2:]
    return (x >= margin) & (x < width - margin) & (y >= margin) & (y < height - margin)


def _newton(maps: Tensor, x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """DARK: the step to the maximum of log(map) by its gradient and Hessian at the peak; exact for a Gaussian.

    Zhang 2020, eq. 7-9: the map is smoothed with the targets' Gaussian first, so that it has one maximum. No step is
    taken within 2 px of the edge or where the Hessian isn't negative definite, and none beyond 1 px.
    """
    radius = math.ceil(3 * sigma)
    taps = torch.exp(-(torch.arange(-radius, radius + 1).to(maps) ** 2) / (2 * sigma**2))
    taps = taps / taps.sum()
    flat = F.pad(maps.flatten(0, 1)[:, None], (radius,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(flat, taps[None, None, None]), taps[None, None, :, None])[:, 0].view_as(maps)
    logs = _window(smooth.clamp(min=1e-10).log(), x, y, radius=2)
    at = logs[..., 2, 2]
    dx, dy = (logs[..., 2, 3] - logs[..., 2, 1]) / 2, (logs[..., 3, 2] - logs[..., 1, 2]) / 2
    dxx, dyy = (logs[..., 2, 4] - 2 * at + logs[..., 2, 0]) / 4, (logs[..., 4, 2] - 2 * at + logs[..., 0, 2]) / 4
    dxy = (logs[..., 3, 3] - logs[..., 1, 3] - logs[..., 3, 1] + logs[..., 1, 1]) / 4
    determinant = dxx * dyy - dxy**2
    sound = _inside(maps, x, y, 2) & (determinant > 1e-12) & (dxx < 0)
    safe = torch.where(sound, determinant, torch.ones_like(determinant))
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], dim=-1) / safe[..., None]
    return torch.where(sound[..., None], step.clamp(-1, 1), torch.zeros_like(step))
