"""Heads: from a trunk's features (B, D, h, w) to points. Each has three methods and nothing else is asked of it:

    loss(features, points)    the scalar to minimise; points: (B, K, 2) px
    decode(features)          (B, K, 2) px
    groups(lr)                the optimiser's parameter groups, at a peak rate

    PointHead      a readout (`detectors.readouts`), [a hidden layer], 2 K numbers, pixels (`detectors.scales`)
    MapHead        1 x 1 convolution to K maps, cross-entropy over the grid, mean of the 3 x 3 about the maximum
    ExtremesHead   first and last ink (`detectors.extrema_layer`), ink being a 1 x 1 convolution of the features

The last two answer in the grid's own cells, so they need a trunk that keeps the image's size.

Losses of points are taken in the output scale, where -1 to 1 is the image (squash, unit) or one deviation (standard):
``mse``; ``smoothl1`` with its bend at ``BEND``; ``rle`` (`detectors.rle`).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors import heatmap_decoding as maps
from detectors.extrema_layer import ExtremaHead
from detectors.pixels import Geometry
from detectors.readouts import Readout, make_readout
from detectors.rle import RealNVP, rle_loss
from detectors.scales import OutputScale, Scale

Loss = Literal["mse", "smoothl1", "rle"]
BEND = 0.1
FAN_IN = 256  # inputs up to which a linear layer learns at the full rate


class Head(nn.Module):
    """Everything at one rate, unless a head says otherwise."""

    def groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": lr}]


class PointHead(Head):
    """Readout, linear layers, output scale.

    size: (h, w) of the features. hidden: units of a layer between readout and output (batch norm, ReLU), 0 for none.
    """

    def __init__(
        self,
        depth: int,
        size: tuple[int, int],
        geometry: Geometry,
        *,
        readout: Readout,
        loss: Loss,
        scale: Scale,
        hidden: int,
    ) -> None:
        super().__init__()
        self.readout = make_readout(readout, depth, size)
        with torch.no_grad():
            numbers = self.readout(torch.zeros(1, depth, *size)).shape[1]
        layers: list[nn.Module] = []
        if hidden:
            layers = [nn.Linear(numbers, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
        self.keypoints, self.kind = geometry.keypoints, loss
        self.numbers = numbers
        outputs = 2 if loss != "rle" else 4
        self.out = nn.Sequential(*layers, nn.Linear(hidden or numbers, self.keypoints * outputs))
        self.flow = RealNVP() if loss == "rle" else None
        self.scale = OutputScale(geometry, scale)

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """The layer that reads the features learns the slower the more of them there are: a step of Adam moves its answer
        by the rate times their sum (Yang 2021, Tensor Programs V: rates of 1 / fan-in). At one rate for all, 18,816
        flattened features saturate the squash within an epoch, and nothing is learned any more."""
        reading = list(self.out[0].parameters())
        rest = [p for p in self.parameters() if all(p is not q for q in reading)]
        return [{"params": rest, "lr": lr}, {"params": reading, "lr": lr * min(1.0, FAN_IN / self.numbers)}]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The point and (rle) its width, both (B, K, 2) in the output scale."""
        raw: Tensor = self.out(self.readout(features))
        raw = raw.view(len(features), self.keypoints, -1).float()
        return self.scale.values(raw[..., :2]), raw[..., 2:].sigmoid() + 1e-3

    def loss(self, features: Tensor, points: Tensor) -> Tensor:
        mu, sigma = self(features)
        annotations = self.scale.encode(points)
        if self.flow is not None:
            return rle_loss(mu, sigma, annotations, self.flow)
        if self.kind == "smoothl1":
            return F.smooth_l1_loss(mu, annotations, beta=BEND)
        return F.mse_loss(mu, annotations)

    def decode(self, features: Tensor) -> Tensor:
        return self.scale.decode(self(features)[0])


class MapHead(Head):
    """One map a keypoint, and which of its cells is it?"""

    def __init__(self, depth: int, geometry: Geometry) -> None:
        super().__init__()
        self.maps = nn.Conv2d(depth, geometry.keypoints, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, K, h, w) logits."""
        out: Tensor = self.maps(features)
        return out

    def loss(self, features: Tensor, points: Tensor) -> Tensor:
        out = self(features).float()
        return maps.cross_entropy(out, maps.bilinear(points, *out.shape[2:]))

    def decode(self, features: Tensor) -> Tensor:
        return maps.decode(maps.softmax(self(features).double()), "local").float()


class ExtremesHead(Head, ExtremaHead):
    """The extrema head without its gate, whose convolutions would be a second trunk, and at one rate throughout.

    Of unknown features it starts unsharp, and with ink a rarity (p = .05 where they are 0; Lin 2017, section 4.1): if
    every pixel might be ink, the first row always is the first inked one, and no gradient tells otherwise.
    """

    def __init__(self, depth: int, geometry: Geometry) -> None:
        super().__init__(depth, geometry.keypoints, inks=4, gate=0, sharpness=3.0, threshold=3.0)
