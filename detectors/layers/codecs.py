"""Codecs: keypoints to training targets (``encode``), and network outputs to keypoints (``decode``), as in mmpose.

    RegressionCodec   numbers in an output scale: point = centre + reach * value, one map an axis and keypoint
    HeatmapCodec      one map a keypoint; cell (row j, column i) stands for the pixel centre (i, j): no half pixels here
    SimCCCodec        two classifications a keypoint, over bins finer than the pixel (Li 2022)

Keypoints are (..., 2) pixels (x, y), an integer being the centre of a pixel. Below the classes stand the pure functions
that they are made of, on maps (N, K, H, W).

Heatmap targets (`HeatmapTarget`):

    onehot     1 at the nearest pixel
    bilinear   a point's mass shared by its four nearest pixels, so that the map's mean is the point exactly
    gaussian   exp(-d^2 / (2 sigma^2)) about the point itself, not about the nearest pixel (as DARK asks)

Heatmap decodings (`Decoding`): ``argmax`` (the pixel), ``local`` (mean of the 3 x 3 around the maximum), ``quarter`` (a
quarter pixel towards the larger neighbour, Newell 2016), ``dark`` (a Newton step on the log of the smoothed map, Zhang
2020), ``integral`` (mean of the whole map, Sun 2018). ``local`` and ``integral`` take maps that sum to 1; the others
any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.structures import LabeledImages, UserError
from detectors.layers.pixels import Geometry

Scale = Literal["squash", "unit", "standard"]
HeatmapTarget = Literal["onehot", "bilinear", "gaussian"]
Decoding = Literal["argmax", "local", "quarter", "dark", "integral"]


class RegressionCodec(nn.Module):
    """Keypoints as numbers in an output scale: point = centre + reach * value, for each axis and keypoint.

    The scale is one of

        squash    value = 2 sigmoid(raw) - 1, in (-1, 1), the notes' y range; -1 and 1 are the image's outer edges
        unit      value = raw, the same scale without the squashing
        standard  value = raw, scaled by the mean and standard deviation of the training points

    [-1, 1] is **cell-centred**: pixel i of W sits at (2 i + 1) / W - 1, so that -1 and 1 are the outer edges of the
    image and every pixel centre can be reached through a sigmoid. (Corner-aligned maps put the centres of the first and
    last pixel at -1 and 1: half a pixel away there.) The notes' map was 2 i / W - 1, half a pixel beside this one
    everywhere.

    Args:
        geometry: Of the network's images.
        scale: The name of the scale.

    Attributes:
        centre: (K, 2) float32 buffer, pixels.
        reach: (K, 2) float32 buffer, pixels.

    Raises:
        UserError: Where no scale has that name.
    """

    centre: Tensor
    reach: Tensor

    def __init__(self, geometry: Geometry, scale: Scale) -> None:
        super().__init__()
        if scale not in ("squash", "unit", "standard"):
            raise UserError(f"scale={scale}: use squash, unit or standard")
        self.scale = scale
        size = torch.tensor([geometry.width, geometry.height], dtype=torch.float32).repeat(geometry.keypoints, 1)
        self.register_buffer("centre", size / 2 - 0.5)
        self.register_buffer("reach", size / 2)

    def fit(self, train: LabeledImages, geometry: Geometry) -> None:
        """Take the mean and deviation of the training points, in pixels of the network's size (``standard`` only)."""
        if self.scale != "standard":
            return
        ratio = torch.tensor([geometry.width, geometry.height]) / torch.from_numpy(train.annotations.sizes)[:, None]
        points = (torch.from_numpy(train.points) + 0.5) * ratio - 0.5
        if bool(
            torch.isnan(points).any()
        ):  # of each keypoint the images that have it; where none has, the image's centre
            mean = torch.nanmean(points, 0)
            mean = torch.where(torch.isnan(mean), self.centre.to(mean), mean)
            spread = torch.nanmean((points - mean) ** 2, 0).sqrt().nan_to_num()
        else:
            mean, spread = points.mean(0), points.std(0, correction=0)
        self.centre.copy_(mean)
        self.reach.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def activate(self, raw: Tensor) -> Tensor:
        """(B, K, 2) outputs of the last layer to values, in which losses are taken."""
        return torch.tanh(raw / 2) if self.scale == "squash" else raw  # 2 sigmoid(raw) - 1 is tanh(raw / 2)

    def encode(self, points: Tensor) -> Tensor:
        """(B, K, 2) pixels to values."""
        return (points - self.centre) / self.reach

    def decode(self, values: Tensor) -> Tensor:
        """(B, K, 2) values to pixels."""
        return self.centre + self.reach * values


@dataclass(frozen=True)
class HeatmapCodec:
    """Keypoints as maps at the image's own resolution.

    Attributes:
        target: What a map should look like.
        decoding: How the point is read from a map.
        sigma: px, of Gaussian targets; ``dark`` smooths by it.
    """

    target: HeatmapTarget = "bilinear"
    decoding: Decoding = "local"
    sigma: float = 1.0

    def encode(self, points: Tensor, height: int, width: int) -> Tensor:
        """(N, K, 2) pixels to the target maps (N, K, height, width)."""
        if self.target == "gaussian":
            return gaussian(points, height, width, self.sigma)
        return (onehot if self.target == "onehot" else bilinear)(points, height, width)

    def decode(self, maps: Tensor) -> Tensor:
        """Maps (N, K, H, W) to (N, K, 2) float64 pixels."""
        return decode_heatmap(maps, self.decoding, sigma=self.sigma)


@dataclass(frozen=True)
class SimCCCodec:
    """Each coordinate as a classification over bins finer than the pixel (Li 2022, SimCC, section 3).

    Bin b of ratio s is centred at (b + .5) / s - .5 px: cell-centred, so that a ratio of 1 answers whole pixels, and an
    odd ratio has the pixel centres among its bins.

    Attributes:
        split_ratio: Bins a pixel.
        sigma: px, of the Gaussian targets (the paper's SA variant).
    """

    split_ratio: int = 3
    sigma: float = 0.5

    def bins(self, pixels: Tensor) -> Tensor:
        """Pixels to positions among the bins, real numbers; a bin's centre is an integer."""
        return (pixels + 0.5) * self.split_ratio - 0.5

    def pixels(self, bins: Tensor) -> Tensor:
        """Positions among the bins to pixels: the inverse of `bins`."""
        return (bins + 0.5) / self.split_ratio - 0.5

    def encode(self, coordinates: Tensor, scores: Tensor) -> Tensor:
        """The target distributions over the bins of one axis.

        Args:
            coordinates: (B, K) pixels along the axis.
            scores: (B, K, bins), the network's, whose shape, dtype and device the targets take.

        Returns:
            (B, K, bins), each summing to 1.
        """
        away = self.bins(coordinates[..., None]) - torch.arange(scores.shape[2]).to(scores)
        return F.softmax(-(away**2) / (2 * (self.sigma * self.split_ratio) ** 2), dim=-1)

    def decode(self, columns: Tensor, rows: Tensor) -> Tensor:
        """Scores (B, K, bins) of columns and of rows to (B, K, 2) float64 pixels: the centres of the best bins."""
        best = torch.stack([scores.float().argmax(-1) for scores in (columns, rows)], dim=-1)
        return self.pixels(best.double())


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
    """Gaussians of ``sigma`` px with peak value 1 at the point, which need not be on a pixel."""
    x = points[..., :1] - torch.arange(width).to(points)
    y = points[..., 1:] - torch.arange(height).to(points)
    return torch.exp(-(y[..., :, None] ** 2 + x[..., None, :] ** 2) / (2 * sigma**2))


def normalized(maps: Tensor) -> Tensor:
    """Each map divided by its sum."""
    return maps / maps.sum((2, 3), keepdim=True)


def softmax2d(logits: Tensor) -> Tensor:
    """Softmax over all the pixels of each map."""
    return logits.flatten(2).softmax(-1).view_as(logits)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over all maps of the cross-entropy from a target, as a distribution, to the softmax of its logits."""
    log_probabilities = logits.flatten(2).log_softmax(-1).view_as(logits)
    return -(normalized(target) * log_probabilities).sum((2, 3)).mean()


def soft_argmax(probabilities: Tensor) -> Tensor:
    """(N, K, 2) px: the mean position under maps that sum to 1 (Sun 2018, Integral Human Pose Regression, eq. 2)."""
    columns = torch.arange(probabilities.shape[3]).to(probabilities)
    rows = torch.arange(probabilities.shape[2]).to(probabilities)
    return torch.stack([probabilities.sum(2) @ columns, probabilities.sum(3) @ rows], dim=-1)


def argmax2d(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row, each (N, K) int64, of the largest value of each map; the first in reading order on ties."""
    at = maps.flatten(2).argmax(-1)
    return at % maps.shape[3], at // maps.shape[3]


def decode_heatmap(maps: Tensor, decoding: Decoding, *, sigma: float = 1.0) -> Tensor:
    """Keypoints from maps.

    Args:
        maps: (N, K, H, W); they sum to 1 for ``local`` and ``integral``.
        decoding: How the point is read from a map; see the module.
        sigma: px, of the targets; ``dark`` smooths by it.

    Returns:
        (N, K, 2) float64, pixels (x, y).
    """
    maps = maps.double()
    if decoding == "integral":
        return soft_argmax(maps)
    x, y = argmax2d(maps)
    points = torch.stack([x, y], dim=-1).double()
    if decoding == "argmax":
        return points
    if decoding == "local":
        return points + soft_argmax(normalized(_window(maps, x, y, radius=1))) - 1
    if decoding == "quarter":
        near = _window(maps, x, y, radius=1)
        slope = torch.stack([near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]], dim=-1)
        return points + 0.25 * slope.sign() * _inside(maps, x, y, 1)[..., None]
    if decoding == "dark":
        return points + _newton_step(maps, x, y, sigma)
    raise ValueError(f"decoding {decoding!r}: there is no such way to read a point from a map")


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


def _smoothed(maps: Tensor, taps: Tensor, radius: int) -> Tensor:
    """Maps (N, K, H, W) convolved with ``taps`` (2 r + 1,) on both axes; what lies beyond the edge is as the edge is."""
    flat = F.pad(maps.flatten(0, 1)[:, None], (radius,) * 4, mode="replicate")
    if torch.compiler.is_exporting():  # ONNX runtimes have no convolution of float64
        height, width = maps.shape[2:]
        across = torch.stack([tap * flat[..., i : i + width] for i, tap in enumerate(taps)]).sum(0)
        down = torch.stack([tap * across[..., i : i + height, :] for i, tap in enumerate(taps)]).sum(0)
        return down[:, 0].view_as(maps)
    return F.conv2d(F.conv2d(flat, taps[None, None, None]), taps[None, None, :, None])[:, 0].view_as(maps)


def _newton_step(maps: Tensor, x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """DARK: the step to the maximum of log(map) by its gradient and Hessian at the peak; exact for a Gaussian.

    Zhang 2020, eq. 7-9: the map is smoothed with the targets' Gaussian first, so that it has one maximum. No step is
    taken within 2 px of the edge or where the Hessian isn't negative definite, and none beyond 1 px.
    """
    radius = math.ceil(3 * sigma)
    taps = torch.exp(-(torch.arange(-radius, radius + 1).to(maps) ** 2) / (2 * sigma**2))
    taps = taps / taps.sum()
    smooth = _smoothed(maps, taps, radius)
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
