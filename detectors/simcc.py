"""SimCC (Li 2022): a keypoint is two classifications, one over columns and one over rows, finer than the pixel.

The trunk's features of each keypoint are flattened and two linear layers score W * split columns and H * split rows.
Targets are Gaussians over the bins (the SA variant), loss cross-entropy, answer the best bin. Bin b of split s is
centred at (b + .5) / s - .5 px: cell-centred, so that split 1 answers pixels, and an odd split has the pixel centres
among its bins.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry
from detectors.training import Batch, TorchDetector, TrainConfig
from detectors.unet import Trunk, make_trunk


def bin_of(pixels: Tensor, split: int) -> Tensor:
    """Position among the bins, a real number; a bin's centre is an integer."""
    return (pixels + 0.5) * split - 0.5


def pixel_of(bins: Tensor, split: int) -> Tensor:
    """The inverse of ``bin_of``."""
    return (bins + 0.5) / split - 0.5


class TwoAxes(nn.Module):
    """(B, C, H, W) to scores (B, K, W * split) and (B, K, H * split)."""

    def __init__(self, trunk: nn.Module, geometry: Geometry, each: int, split: int) -> None:
        super().__init__()
        self.trunk, self.keypoints = trunk, geometry.keypoints
        features = each * geometry.height * geometry.width
        self.columns = nn.Linear(features, geometry.width * split)
        self.rows = nn.Linear(features, geometry.height * split)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(images).unflatten(1, (self.keypoints, -1)).flatten(2)
        return self.columns(features), self.rows(features)


class SimCC(TorchDetector):
    """SimCC: two one-dimensional classifications, finer than the pixel.

    split: bins a pixel. sigma: px, of the targets. each: feature maps a keypoint. trunk, width, intensity: see
    `detectors.heatmap.MapDetector`. Images of other sizes are resized to the commonest of the train split.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=20, batch=32, lr=3e-3, optimizer="adamw", weight_decay=1e-2, schedule="onecycle"
    )
    history_images: ClassVar[int] = 128
    fixed_size: ClassVar[bool] = True
    card: ClassVar[Card] = Card(reference="Li 2022, SimCC, section 3", ablation={"split": 1})

    def __init__(
        self,
        split: int = 3,
        sigma: float = 0.5,
        each: int = 4,
        trunk: Trunk = "unet",
        width: int = 16,
        intensity: Intensity = "both",
        augment: str = "",
    ) -> None:
        if split < 1 or sigma <= 0 or each < 1 or width < 1:
            raise ValueError("split, each and width are whole numbers from 1, and sigma is above 0")
        self.split, self.sigma, self.each = split, sigma, each
        self.trunk, self.width, self.intensity, self.augment = trunk, width, intensity, augment

    def build(self, geometry: Geometry) -> nn.Module:
        inputs = channels(geometry.channels, self.intensity)
        trunk = make_trunk(self.trunk, inputs, geometry.keypoints * self.each, self.width)
        return TwoAxes(trunk, geometry, self.each, self.split)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        total = torch.zeros((), device=batch.images.device)
        for axis, scores in enumerate(model(show(batch.images, self.intensity))):
            away = bin_of(batch.targets[..., axis, None], self.split) - torch.arange(scores.shape[2]).to(scores)
            goal = F.softmax(-(away**2) / (2 * (self.sigma * self.split) ** 2), dim=-1)
            total = total - (goal * F.log_softmax(scores.float(), dim=-1)).sum(-1).mean()
        return total

    def decode(self, model: nn.Module, images: Tensor) -> Tensor:
        axes = model(show(images, self.intensity))
        best = torch.stack([scores.float().argmax(-1) for scores in axes], dim=-1)
        return pixel_of(best.double(), self.split)
