"""Heads: from the features of a backbone (B, D, h, w) to keypoints.

Each has three methods, and no more is asked of it:

    loss(features, points, labelled)    the scalar to minimise; points: (B, K, 2) px; labelled: (B, K) or None for all
    decode(features)                    (B, K, 2) px
    groups(lr)                          the optimiser's parameter groups, at a peak rate

    PointHead     pooling (`detectors.layers.pooling`), [a hidden layer], 2 K numbers, pixels (`RegressionCodec`)
    HeatmapHead   1 x 1 convolution to K maps, cross-entropy over the grid, mean of the 3 x 3 about the maximum
    InkHead       first and last ink (`detectors.layers.extrema`), ink being a 1 x 1 convolution of the features

The last two answer in the grid's own cells, so they need a backbone that keeps the image's size.

Losses of points are taken in the output scale, where -1 to 1 is the image (squash, unit) or one deviation (standard):
``mse``; ``smoothl1`` with its bend at `SMOOTH_L1_BETA`; ``rle`` (`detectors.layers.rle`).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.layers.codecs import (
    HeatmapCodec,
    RegressionCodec,
    Scale,
    cross_entropy,
    softmax2d,
)
from detectors.layers.extrema import ExtremaHead
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.layers.pooling import Pooling, make_pooling
from detectors.layers.rle import RealNVP, rle_loss

Loss = Literal["mse", "smoothl1", "rle"]
SMOOTH_L1_BETA = 0.1
FAN_IN = 256  # inputs up to which a linear layer learns at the full rate


class Head(nn.Module):
    """Base of heads: all parameters at one rate, unless a head says otherwise."""

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """The optimiser's parameter groups.

        Args:
            lr: The peak learning rate.

        Returns:
            Groups as torch's optimisers take them, each with its own ``lr``.
        """
        return [{"params": list(self.parameters()), "lr": lr}]


class PointHead(Head):
    """Pooling, linear layers, output scale.

    Args:
        depth: Channels D of the features.
        size: (h, w) of the features.
        geometry: Of the network's images.
        pooling: From the features to a vector.
        loss: ``mse``, ``smoothl1`` or ``rle``.
        scale: The output scale of `RegressionCodec`.
        hidden: Units of a layer between pooling and output (with batch normalisation and ReLU); 0 for none.
    """

    def __init__(
        self,
        depth: int,
        size: tuple[int, int],
        geometry: Geometry,
        *,
        pooling: Pooling,
        loss: Loss,
        scale: Scale,
        hidden: int,
    ) -> None:
        super().__init__()
        self.pooling = make_pooling(pooling, depth, size)
        with torch.no_grad():
            self.inputs = self.pooling(torch.zeros(1, depth, *size)).shape[1]
        layers: list[nn.Module] = []
        if hidden:
            layers = [nn.Linear(self.inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
        self.keypoints, self.loss_name = geometry.keypoints, loss
        outputs = 2 if loss != "rle" else 4
        self.out = nn.Sequential(*layers, nn.Linear(hidden or self.inputs, self.keypoints * outputs))
        self.flow = RealNVP() if loss == "rle" else None
        self.codec = RegressionCodec(geometry, scale)

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """The layer that takes the pooled features learns the slower the more of them there are.

        A step of Adam moves its answer by the rate times their sum (Yang 2021, Tensor Programs V: rates of 1 / fan-in).
        At one rate for all, 18,816 flattened features saturate the squash within an epoch, and no gradient is left.

        Args:
            lr: The peak learning rate of the other parameters.

        Returns:
            Two groups: the other parameters, and that layer's.
        """
        first = list(self.out[0].parameters())
        rest = [p for p in self.parameters() if all(p is not q for q in first)]
        return [{"params": rest, "lr": lr}, {"params": first, "lr": lr * min(1.0, FAN_IN / self.inputs)}]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The points and (for ``rle``) their widths, both (B, K, 2) in the output scale."""
        raw: Tensor = self.out(self.pooling(features))
        raw = raw.view(features.shape[0], self.keypoints, -1).float()  # len() would fix it in a graph
        return self.codec.activate(raw[..., :2]), raw[..., 2:].sigmoid() + 1e-3

    def loss(self, features: Tensor, points: Tensor, labelled: Tensor | None = None) -> Tensor:
        """The chosen loss of points (B, K, 2) px, taken in the output scale, over those labelled (B, K)."""
        mu, sigma = (select(values, labelled) for values in self(features))
        target = select(self.codec.encode(points), labelled)
        if self.flow is not None:
            return rle_loss(mu, sigma, target, self.flow)
        if self.loss_name == "smoothl1":
            return F.smooth_l1_loss(mu, target, beta=SMOOTH_L1_BETA)
        return F.mse_loss(mu, target)

    def decode(self, features: Tensor) -> Tensor:
        """(B, K, 2) px."""
        return self.codec.decode(self(features)[0])


class HeatmapHead(Head):
    """One map a keypoint, trained as a classification of its cells."""

    codec = HeatmapCodec("bilinear", "local")

    def __init__(self, depth: int, geometry: Geometry) -> None:
        super().__init__()
        self.maps = nn.Conv2d(depth, geometry.keypoints, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, K, h, w) logits."""
        logits: Tensor = self.maps(features)
        return logits

    def loss(self, features: Tensor, points: Tensor, labelled: Tensor | None = None) -> Tensor:
        """Cross-entropy to the bilinear targets of points (B, K, 2) px, over those labelled (B, K)."""
        logits = select(self(features).float(), labelled)
        return cross_entropy(logits, self.codec.encode(select(points, labelled), *logits.shape[2:]))

    def decode(self, features: Tensor) -> Tensor:
        """(B, K, 2) px: the mean of the 3 x 3 cells about the maximum."""
        return self.codec.decode(softmax2d(self(features).double())).float()


class InkHead(Head, ExtremaHead):
    """The extrema head without its gate, whose convolutions would be a second backbone, and at one rate throughout.

    On the features of a backbone it starts with a soft threshold, and with ink a rarity (p = .05 where they are 0; Lin
    2017, section 4.1): if every pixel might be ink, the first row always is the first inked one, and no gradient says
    otherwise.
    """

    def __init__(self, depth: int, geometry: Geometry) -> None:
        super().__init__(depth, geometry.keypoints, inks=4, gate=0, sharpness=3.0, threshold=3.0)
