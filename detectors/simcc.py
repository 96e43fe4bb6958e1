"""SimCC (Li 2022): a keypoint is two classifications, one over columns and one over rows, finer than the pixel.

The backbone's maps of each keypoint are flattened and two linear layers score W * split_ratio columns and H *
split_ratio rows. Targets are Gaussians over the bins (the SA variant), loss cross-entropy, answer the best bin; see
`SimCCCodec`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from detectors.layers.backbones import MapBackbone, make_map_backbone
from detectors.layers.codecs import SimCCCodec
from detectors.layers.intensity import Intensity, channels, show
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, Batch, TorchDetector, TrainConfig


class TwoAxes(nn.Module):
    """Images (B, C, H, W) to scores (B, K, W * split_ratio) of columns and (B, K, H * split_ratio) of rows.

    Args:
        backbone: Images to maps (B, K * maps_per_keypoint, H, W).
        geometry: Of the network's images.
        maps_per_keypoint: Maps of the backbone that are a keypoint's own.
        split_ratio: Bins a pixel.
    """

    def __init__(self, backbone: nn.Module, geometry: Geometry, maps_per_keypoint: int, split_ratio: int) -> None:
        super().__init__()
        self.backbone, self.keypoints = backbone, geometry.keypoints
        features = maps_per_keypoint * geometry.height * geometry.width
        self.columns = nn.Linear(features, geometry.width * split_ratio)
        self.rows = nn.Linear(features, geometry.height * split_ratio)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of columns and of rows."""
        features = self.backbone(images).unflatten(1, (self.keypoints, -1)).flatten(2)
        return self.columns(features), self.rows(features)


class SimCC(TorchDetector):
    """SimCC: two one-dimensional classifications, finer than the pixel.

    Images of other sizes are resized to the commonest of the train split.

    Args:
        split_ratio: Bins a pixel.
        sigma: px, of the targets.
        maps_per_keypoint: Feature maps a keypoint.
        backbone: ``unet`` or ``conv``.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=20,
        least_steps=LEAST_STEPS,
        batch=32,
        lr=3e-3,
        optimizer="adamw",
        weight_decay=1e-2,
        schedule="onecycle",
    )
    history_images: ClassVar[int] = 128
    fixed_size: ClassVar[bool] = True
    partial_labels: ClassVar[bool] = True
    longest_side: ClassVar[int] = 96  # every feature is joined to every bin, so weights grow with the cube of the side
    card: ClassVar[Card] = Card(reference="Li 2022, SimCC, section 3", ablation={"split_ratio": 1})

    def __init__(
        self,
        split_ratio: int = 3,
        sigma: float = 0.5,
        maps_per_keypoint: int = 4,
        backbone: MapBackbone = "unet",
        width: int = 16,
        intensity: Intensity = "both",
        augment: str = "",
    ) -> None:
        if split_ratio < 1 or sigma <= 0 or maps_per_keypoint < 1 or width < 1:
            raise ValueError("split_ratio, maps_per_keypoint and width are whole numbers from 1, and sigma is above 0")
        self.codec, self.maps_per_keypoint = SimCCCodec(split_ratio, sigma), maps_per_keypoint
        self.backbone, self.width, self.intensity, self.augment = backbone, width, intensity, augment

    def build(self, geometry: Geometry) -> nn.Module:
        """The backbone and two linear layers."""
        inputs = channels(geometry.channels, self.intensity)
        backbone = make_map_backbone(self.backbone, inputs, geometry.keypoints * self.maps_per_keypoint, self.width)
        return TwoAxes(backbone, geometry, self.maps_per_keypoint, self.codec.split_ratio)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy over the bins, summed over the two axes, its mean over images and keypoints."""
        total = torch.zeros((), device=batch.images.device)
        for axis, scores in enumerate(model(show(batch.images, self.intensity))):
            scores = select(scores, batch.labelled)
            target = self.codec.encode(select(batch.targets[..., axis], batch.labelled), scores)
            total = total - (target * F.log_softmax(scores.float(), dim=-1)).sum(-1).mean()
        return total

    def decode(self, model: nn.Module, images: Tensor) -> Tensor:
        """(B, K, 2) px: the centres of the best bins."""
        return self.codec.decode(*model(show(images, self.intensity)))
