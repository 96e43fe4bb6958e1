"""Heads that learn the point itself through a differentiable argmax over a heatmap.

integral   soft-argmax: the mean position under softmax(map), loss |x - x*| (Sun 2018, Integral Human Pose Regression)
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
from detectors import heatmap_decoding as maps
from detectors.coordinates import to_unit
from detectors.heatmap import MapDetector
from detectors.intensity import Intensity
from detectors.unet import Trunk


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """(N, K) from two distributions (N, K, H, W), in nats: 0 where they are equal, log 2 where they do not overlap."""
    middle = 0.5 * (a + b)

    def divergence(p: Tensor) -> Tensor:
        return (p * ((p + 1e-24).log() - (middle + 1e-24).log())).sum((2, 3))

    return 0.5 * divergence(a) + 0.5 * divergence(b)


def size_of(out: Tensor) -> Tensor:
    """(2,) (width, height) of maps (B, K, H, W)."""
    return out.new_tensor([out.shape[3], out.shape[2]])


class Integral(MapDetector):
    """Soft-argmax: the mean of a heatmap, learned from its distance to the point.

    trunk, width, intensity: see `MapDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Sun 2018, Integral Human Pose Regression, eq. 2-4",
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def __init__(
        self, trunk: Trunk = "unet", width: int = 16, intensity: Intensity = "both", augment: str = ""
    ) -> None:
        super().__init__(trunk, width, intensity, augment)

    def map_loss(self, out: Tensor, points: Tensor, training: bool) -> Tensor:
        size = size_of(out)
        return F.l1_loss(to_unit(maps.mean_point(maps.softmax(out)), size), to_unit(points, size))

    def read(self, out: Tensor) -> tuple[Tensor, Tensor]:
        shares = maps.softmax(out)
        return maps.decode(shares, "integral"), shares.amax((2, 3))


class DSNT(MapDetector):
    """DSNT: soft-argmax with the heatmap kept in shape.

    regularisation: weight of the Jensen-Shannon divergence, 0 for none. sigma: px, of the Gaussian it pulls towards.
    trunk, width, intensity: see `MapDetector`.
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
        trunk: Trunk = "unet",
        width: int = 16,
        intensity: Intensity = "both",
        augment: str = "",
    ) -> None:
        super().__init__(trunk, width, intensity, augment)
        if sigma <= 0 or regularisation < 0:
            raise ValueError(f"sigma={sigma} must be above 0 and regularisation={regularisation} not below it")
        self.regularisation, self.sigma = regularisation, sigma

    def map_loss(self, out: Tensor, points: Tensor, training: bool) -> Tensor:
        size, shares = size_of(out), maps.softmax(out)
        distance = (to_unit(maps.mean_point(shares), size) - to_unit(points, size)).norm(dim=-1)
        goal = maps.distribution(maps.gaussian(points, out.shape[2], out.shape[3], self.sigma) + 1e-24)
        total: Tensor = distance + self.regularisation * jensen_shannon(shares, goal)
        return total.mean()

    def read(self, out: Tensor) -> tuple[Tensor, Tensor]:
        shares = maps.softmax(out)
        return maps.decode(shares, "integral"), shares.amax((2, 3))


class Gumbel(MapDetector):
    """Gumbel-softmax: draws one pixel forward, a soft one backward.

    tau: temperature of the backward softmax. trunk, width, intensity: see `MapDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Jang 2017, Categorical Reparameterization with Gumbel-Softmax",
        has_confidence=True,
        ablation={"tau": 30.0},
    )

    def __init__(
        self, tau: float = 1.0, trunk: Trunk = "unet", width: int = 16, intensity: Intensity = "both", augment: str = ""
    ) -> None:
        super().__init__(trunk, width, intensity, augment)
        if tau <= 0:
            raise ValueError(f"tau={tau}: a temperature is above 0")
        self.tau = tau

    def map_loss(self, out: Tensor, points: Tensor, training: bool) -> Tensor:
        size = size_of(out)
        if training:
            drawn = F.gumbel_softmax(out.flatten(2), tau=self.tau, hard=True).view_as(out)
        else:
            drawn = maps.onehot(maps.decode(out, "argmax").to(out), *out.shape[2:])
        return F.l1_loss(to_unit(maps.mean_point(drawn), size), to_unit(points, size))

    def read(self, out: Tensor) -> tuple[Tensor, Tensor]:
        return maps.decode(out, "argmax"), maps.softmax(out).amax((2, 3))
