"""Between what a network says and pixels: point = centre + reach * v, one map an axis and keypoint.

    squash    v = 2 sigmoid(raw) - 1, in (-1, 1), the notes' y range; -1 and 1 are the image's outer edges
    unit      v = raw, the same scale without the squashing
    standard  v = raw, scaled by the mean and standard deviation of the training points

The [-1, 1] scale is **cell-centred**: pixel i of W sits at (2 i + 1) / W - 1, so that -1 and 1 are the outer edges of the
image and every pixel centre can be reached through a sigmoid. (Corner-aligned maps put the centres of the first and
last pixel at -1 and 1: half a pixel away there.) The notes' map was 2 i / W - 1, half a pixel beside this one everywhere.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.structures import LabeledImages, UserError
from detectors.pixels import Geometry

Scale = Literal["squash", "unit", "standard"]


class OutputScale(nn.Module):
    """The map and its inverse. Buffers ``centre`` and ``reach``: (K, 2) float32, pixels."""

    centre: Tensor
    reach: Tensor

    def __init__(self, geometry: Geometry, kind: Scale) -> None:
        super().__init__()
        if kind not in ("squash", "unit", "standard"):
            raise UserError(f"scale={kind}: use squash, unit or standard")
        self.kind = kind
        size = torch.tensor([geometry.width, geometry.height], dtype=torch.float32).repeat(geometry.keypoints, 1)
        self.register_buffer("centre", size / 2 - 0.5)
        self.register_buffer("reach", size / 2)

    def learn(self, train: LabeledImages, geometry: Geometry) -> None:
        """Take mean and deviation of the training points, in pixels of the network's size (``standard`` only)."""
        if self.kind != "standard":
            return
        ratio = torch.tensor([geometry.width, geometry.height]) / torch.from_numpy(train.annotations.sizes)[:, None]
        points = (torch.from_numpy(train.points) + 0.5) * ratio - 0.5
        self.centre.copy_(points.mean(0))
        spread = points.std(0, correction=0)
        self.reach.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def values(self, raw: Tensor) -> Tensor:
        """(B, K, 2) network outputs -> v, where losses are taken."""
        return torch.tanh(raw / 2) if self.kind == "squash" else raw  # 2 sigmoid(raw) - 1 is tanh(raw / 2)

    def encode(self, points: Tensor) -> Tensor:
        """(B, K, 2) pixels -> v."""
        return (points - self.centre) / self.reach

    def decode(self, values: Tensor) -> Tensor:
        """(B, K, 2) v -> pixels."""
        return self.centre + self.reach * values
