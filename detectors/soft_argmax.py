"""Detectors that learn the point itself through a differentiable argmax over a heatmap.

By name in the catalog:

    integral   soft-argmax: the mean position under softmax(map), loss |x - x*| (Sun 2018, Integral Human Pose
               Regression)
    dsnt       the same mean, loss the distance in [-1, 1] plus the Jensen-Shannon divergence between the map and a
               Gaussian about the point, without which the map may be any with the right mean (Nibali 2018, eq. 1, 5-7)
    gumbel     a pixel drawn from softmax(map) by Gumbel noise; forward it is one pixel, backward it is the softmax
               of map plus noise at temperature tau (Jang 2017, straight-through). Answers with the argmax.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from benchmark.detector import Card
from detectors.heatmap import MapDetector
from detectors.layers.backbones import MapBackbone
from detectors.layers.codecs import decode_heatmap, gaussian, normalized, onehot, soft_argmax, softmax2d
from detectors.layers.coordinates import to_unit
from detectors.layers.intensity import Intensity


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """The Jensen-Shannon divergence of maps: 0 where they are equal, log 2 where they do not overlap.

    Args:
        a: (N, K, H, W), each map summing to 1.
        b: (N, K, H, W), each map summing to 1.

    Returns:
        (N, K) nats.
    """
    middle = 0.5 * (a + b)

    def divergence(p: Tensor) -> Tensor:
        return (p * ((p + 1e-24).log() - (middle + 1e-24).log())).sum((2, 3))

    return 0.5 * divergence(a) + 0.5 * divergence(b)


def map_size(maps: Tensor) -> Tensor:
    """(2,) (width, height) of maps (B, K, H, W)."""
    return maps.new_tensor([maps.shape[3], maps.shape[2]])


class SoftArgmaxDetector(MapDetector):
    """Template: answers with the mean position under the softmax of each map. A subclass gives `map_loss`."""

    def read(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The mean position; the confidence is the largest probability. See `MapDetector.read`."""
        probabilities = softmax2d(maps)
        return decode_heatmap(probabilities, "integral"), probabilities.amax((2, 3))


class Integral(SoftArgmaxDetector):
    """Soft-argmax: the mean of a heatmap, learned from its distance to the point.

    Args:
        backbone: ``unet``, ``conv`` or ``strided``; see `OnMaps`.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Sun 2018, Integral Human Pose Regression, eq. 2-4",
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def map_loss(self, maps: Tensor, points: Tensor, training: bool) -> Tensor:
        """Mean absolute error of the mean position, in [-1, 1]; see `MapDetector.map_loss`."""
        size = map_size(maps)
        return F.l1_loss(to_unit(soft_argmax(softmax2d(maps)), size), to_unit(points, size))


class DSNT(SoftArgmaxDetector):
    """DSNT: soft-argmax with the heatmap kept in shape.

    Args:
        regularisation: Weight of the Jensen-Shannon divergence, 0 for none.
        sigma: Cells (px at stride 1), of the Gaussian it pulls towards.
        backbone: ``unet``, ``conv`` or ``strided``; see `OnMaps`.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Nibali 2018, Numerical Coordinate Regression with CNNs; github.com/anibali/dsntnn",
        has_confidence=True,
        ablation={"regularisation": 0.0},
    )

    def __init__(
        self,
        regularisation: float = 1.0,
        sigma: float = 1.0,
        backbone: MapBackbone = "unet",
        width: int = 16,
        intensity: Intensity = "both",
        augment: str = "",
    ) -> None:
        super().__init__(backbone, width, intensity, augment)
        if sigma <= 0 or regularisation < 0:
            raise ValueError(f"sigma={sigma} must be above 0 and regularisation={regularisation} not below it")
        self.regularisation, self.sigma = regularisation, sigma

    def map_loss(self, maps: Tensor, points: Tensor, training: bool) -> Tensor:
        """Mean distance in [-1, 1] plus the weighted divergence from a Gaussian; see `MapDetector.map_loss`."""
        size, probabilities = map_size(maps), softmax2d(maps)
        distance = (to_unit(soft_argmax(probabilities), size) - to_unit(points, size)).norm(dim=-1)
        target = normalized(gaussian(points, maps.shape[2], maps.shape[3], self.sigma) + 1e-24)
        total: Tensor = distance + self.regularisation * jensen_shannon(probabilities, target)
        return total.mean()


class Gumbel(MapDetector):
    """Gumbel-softmax: draws one pixel forward, a soft one backward.

    Args:
        tau: Temperature of the backward softmax.
        backbone: ``unet``, ``conv`` or ``strided``; see `OnMaps`.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Jang 2017, Categorical Reparameterization with Gumbel-Softmax",
        has_confidence=True,
        ablation={"tau": 30.0},
    )

    def __init__(
        self,
        tau: float = 1.0,
        backbone: MapBackbone = "unet",
        width: int = 16,
        intensity: Intensity = "both",
        augment: str = "",
    ) -> None:
        super().__init__(backbone, width, intensity, augment)
        if tau <= 0:
            raise ValueError(f"tau={tau}: a temperature is above 0")
        self.tau = tau

    def map_loss(self, maps: Tensor, points: Tensor, training: bool) -> Tensor:
        """Mean absolute error of the drawn pixel (of the argmax, where not training); see `MapDetector.map_loss`."""
        size = map_size(maps)
        if training:
            drawn = F.gumbel_softmax(maps.flatten(2), tau=self.tau, hard=True).view_as(maps)
        else:
            drawn = onehot(decode_heatmap(maps, "argmax").to(maps), *maps.shape[2:])
        return F.l1_loss(to_unit(soft_argmax(drawn), size), to_unit(points, size))

    def read(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The largest value's pixel; the confidence is its probability. See `MapDetector.read`."""
        return decode_heatmap(maps, "argmax"), softmax2d(maps).amax((2, 3))
