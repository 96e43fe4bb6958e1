"""SimCC (Li 2022): a keypoint is two classifications, one over columns and one over rows, finer than the pixel.

The backbone's maps of each keypoint are flattened and two linear layers score W * split_ratio columns and H *
split_ratio rows. Targets are Gaussians over the bins (the SA variant), loss cross-entropy, answer the best bin; see
`SimCCCodec`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import Annotations
from detectors.layers.backbones import MapBackbone
from detectors.layers.cells import FINE, stride_of
from detectors.layers.codecs import SimCCCodec
from detectors.layers.intensity import Intensity, show
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.on_maps import OnMaps
from detectors.training import Batch, TrainConfig


class TwoAxes(nn.Module):
    """Images (B, C, H, W) to scores (B, K, W * split_ratio) of columns and (B, K, H * split_ratio) of rows.

    Args:
        backbone: Images to maps (B, K * maps_per_keypoint, h, w), a cell for so many pixels as its stride.
        geometry: Of the network's images.
        maps_per_keypoint: Maps of the backbone that are a keypoint's own.
        split_ratio: Bins a pixel.
    """

    def __init__(self, backbone: nn.Module, geometry: Geometry, maps_per_keypoint: int, split_ratio: int) -> None:
        super().__init__()
        self.backbone, self.keypoints = backbone, geometry.keypoints
        stride = stride_of(backbone)
        features = maps_per_keypoint * -(-geometry.height // stride) * -(-geometry.width // stride)
        self.columns = nn.Linear(features, geometry.width * split_ratio)
        self.rows = nn.Linear(features, geometry.height * split_ratio)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of columns and of rows."""
        features = self.backbone(images).unflatten(1, (self.keypoints, -1)).flatten(2)
        return self.columns(features), self.rows(features)


class SimCC(OnMaps):
    """SimCC: two one-dimensional classifications, finer than the pixel.

    Images of other sizes are resized to the commonest of the train split; where they are asked for larger than 96 px
    (``size=256``), they are read in cells.

    Args:
        split_ratio: Bins a pixel.
        sigma: Cells (px at stride 1), of the targets.
        maps_per_keypoint: Feature maps a keypoint; the paper's is 1.
        backbone: ``unet``, ``conv`` or ``strided``; see `OnMaps`.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    train_config: TrainConfig = replace(OnMaps.train_config, lr=3e-3)
    fixed_size: ClassVar[bool] = True
    longest_side: ClassVar[int] = FINE  # px; weights grow with the cube of the side
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
        super().__init__(backbone, width, intensity, augment)
        if split_ratio < 1 or sigma <= 0 or maps_per_keypoint < 1:
            raise ValueError("split_ratio and maps_per_keypoint are whole numbers from 1, and sigma is above 0")
        self.split_ratio, self.sigma, self.maps_per_keypoint = split_ratio, sigma, maps_per_keypoint

    def codec(self, stride: int = 1) -> SimCCCodec:
        """From points to bins and back, where a cell of the backbone's maps is so many pixels wide."""
        return SimCCCodec(self.split_ratio, self.sigma * stride)

    def wanted_side(self, annotations: Annotations) -> int:
        """No larger than usual, whatever is annotated."""
        return 0

    def build(self, geometry: Geometry) -> nn.Module:
        """The backbone and two linear layers."""
        backbone = self.map_backbone(geometry, geometry.keypoints * self.maps_per_keypoint)
        return TwoAxes(backbone, geometry, self.maps_per_keypoint, self.split_ratio)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy over the bins, summed over the two axes, its mean over images and keypoints."""
        codec = self.codec(stride_of(cast(TwoAxes, model).backbone))
        total = torch.zeros((), device=batch.images.device)
        for axis, scores in enumerate(model(show(batch.images, self.intensity))):
            scores = select(scores, batch.labelled)
            target = codec.encode(select(batch.targets[..., axis], batch.labelled), scores)
            total = total - (target * F.log_softmax(scores.float(), dim=-1)).sum(-1).mean()
        return total

    def decode(self, model: nn.Module, images: Tensor) -> Tensor:
        """(B, K, 2) px: the centres of the best bins."""
        return self.codec().decode(*model(show(images, self.intensity)))
