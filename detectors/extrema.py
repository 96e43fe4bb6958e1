"""The extrema detector (claim 2): from raw pixels it learns what ink is and which extrema of it a keypoint asks for.

The head and what it owes to others stand in `detectors.extrema_layer`. Its input is the pixel and its log intensity
(`detectors.intensity`), a fixed monotone map without a threshold. It starts ignorant: thresholds are drawn between .3
and .8 of the log scale (7 to 84 of 255), and the choice among extrema is random.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.detector import Card
from detectors import intensity
from detectors.extrema_layer import ExtremaHead
from detectors.pixels import Geometry
from detectors.training import Batch, Recipe, TorchDetector

FLOOR = 1e-6  # of the law, so that a law that excludes the truth still has a finite loss


def negative_log_likelihood(law: Tensor, target: Tensor) -> Tensor:
    """-log of the law (..., L over half pixels) at ``target`` (...) px, shared between its two neighbours on the lattice."""
    n = law.shape[-1]
    place = (2 * target).clamp(0, n - 1)
    low = place.floor().clamp(max=n - 2)
    share = place - low
    near = law.gather(-1, torch.stack([low, low + 1], -1).long())
    logs = torch.log(near * (1 - FLOOR) + FLOOR / n)
    return -((1 - share) * logs[..., 0] + share * logs[..., 1])


class Extrema(TorchDetector):
    """First and last ink as differentiable laws; a keypoint learns what ink is and which extrema it asks for."""

    recipe = Recipe(epochs=30, batch=32, lr=0.02, schedule="onecycle")
    card = Card(
        source="alpha compositing (Porter and Duff 1984) as a first-hit law; DSNT (Nibali et al. 2018)",
        rule_structured=True,
        untrained=True,
        ablation={"epochs": 0},
    )

    def __init__(self, inks: int = 4, gate: int = 16, sharpness: float = 20.0, epochs: int = 30) -> None:
        if inks < 1 or gate < 0 or sharpness <= 0 or epochs < 0:
            raise ValueError("inks must be at least 1, gate and epochs at least 0, and sharpness positive")
        self.inks, self.gate, self.sharpness, self.epochs = inks, gate, sharpness, epochs

    def training_recipe(self) -> Recipe:
        """The recipe with this detector's number of epochs."""
        return replace(self.recipe, epochs=self.epochs)

    def build(self, geometry: Geometry) -> nn.Module:
        """A head on the pixels themselves, its thresholds drawn where they know nothing of the answer."""
        channels = geometry.channels
        head = ExtremaHead(2 * channels, geometry.keypoints, self.inks, self.gate, self.sharpness)
        with torch.no_grad():
            head.ink.weight.zero_()
            head.ink.weight[:, channels:] = 1.0 / channels
            head.ink.bias = nn.Parameter(-torch.empty(self.inks).uniform_(0.3, 0.8))
        return head

    def groups(self, model: nn.Module) -> Iterable[dict[str, Any]]:
        """The gate learns slower than the thresholds and the choice: it must not learn images by heart."""
        named = list(model.named_parameters())
        return [
            {"params": [p for name, p in named if not name.startswith("gate.")]},
            {"params": [p for name, p in named if name.startswith("gate.")], "lr": 0.003},
        ]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean negative log likelihood of the true coordinates."""
        x, y = model(intensity.show(batch.images, "both"))
        points = batch.targets
        return (negative_log_likelihood(x, points[..., 0]) + negative_log_likelihood(y, points[..., 1])).mean()

    def decode(self, model: nn.Module, images: Tensor) -> Tensor:
        """(B, K, 2) pixels: the median of each law, a half pixel at the finest; 0 where there is no ink."""
        laws = model(intensity.show(images, "both"))
        medians = [law.cumsum(-1).ge(0.5 * law.sum(-1, keepdim=True)).float().argmax(-1) / 2 for law in laws]
        return torch.stack(medians, -1)
