"""What detectors share that read the maps of a backbone: at which size images are shown, and which backbone reads it.

Maps are at the image's own resolution where that is small, as a digit's is, and in cells of 4 x 4 px where it is larger
(`detectors.layers.cells`).
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from benchmark.structures import Annotations
from benchmark.windows import Size
from detectors.layers.backbones import MapBackbone, make_map_backbone
from detectors.layers.cells import FINE, LARGE, STRIDE, reading, shown_size, wanted_side
from detectors.layers.intensity import Intensity, channels
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, TorchDetector, TrainConfig


class OnMaps(TorchDetector):
    """Template: a detector on the maps of a backbone.

    Args:
        backbone: ``unet`` (at stride 1 up to 96 px, else ``strided``), ``conv`` or ``strided`` (at stride 4).
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        augment: See `TorchDetector`.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=20,
        least_steps=LEAST_STEPS,
        batch=32,
        lr=5e-3,
        optimizer="adamw",
        weight_decay=1e-2,
        schedule="onecycle",
    )
    history_images: ClassVar[int] = 128
    partial_labels: ClassVar[bool] = True
    longest_side: ClassVar[int] = LARGE

    def __init__(
        self, backbone: MapBackbone = "unet", width: int = 16, intensity: Intensity = "both", augment: str = ""
    ) -> None:
        if width < 1:
            raise ValueError(f"width={width}: a backbone needs at least one channel")
        self.backbone, self.width, self.intensity, self.augment = backbone, width, intensity, augment

    def map_backbone(self, geometry: Geometry, maps: int) -> nn.Module:
        """Images (B, C, H, W) of a geometry to so many maps (B, maps, h, w)."""
        inputs = channels(geometry.channels, self.intensity)
        return make_map_backbone(self.reading(geometry), inputs, maps, self.width)

    def reading(self, geometry: Geometry) -> MapBackbone:
        """The backbone that reads images of a geometry."""
        return reading(self.backbone, geometry.height, geometry.width)

    def wanted_side(self, annotations: Annotations) -> int:
        """Larger than usual where instances are small on their images; see `detectors.layers.cells.wanted_side`."""
        return 0 if self.backbone == "conv" else wanted_side(annotations, self.longest_side)

    def shown_size(self, commonest: Size, asked: int) -> Size:
        """As `Detector.shown_size`, in whole cells; a backbone at stride 1 is shown no more than it can afford."""
        longest = FINE if self.backbone == "conv" else self.longest_side
        return shown_size(commonest, asked or min(longest, max(commonest)))

    def batch_pixels(self, geometry: Geometry) -> int:
        """As `TorchDetector.batch_pixels`; more where they are read in cells, which cost less."""
        return super().batch_pixels(geometry) * (STRIDE if self.reading(geometry) == "strided" else 1)
