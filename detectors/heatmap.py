"""Heatmap detectors: a map an image and keypoint, and the point read off it.

A map is at the image's own resolution where that is small, as a digit's is, and in cells of 4 x 4 px where it is larger
(`detectors.layers.cells`).

The family is four choices: backbone (`make_map_backbone`), target and decoding (`HeatmapCodec`), and loss:

    ce    cross-entropy between the target, as a distribution, and the softmax over all pixels
    mse   squared error between the target and the map itself, as in Tompson 2014 and Newell 2016

``onehot`` + ``ce`` + ``argmax`` is a classification among the pixels, and answers whole pixels only. For points between
pixels take ``bilinear`` + ``ce`` + ``local``, or ``gaussian`` + ``mse`` + ``dark``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import FloatArray, Image, Prediction
from detectors.layers.backbones import MapBackbone
from detectors.layers.cells import stride_of, to_cells, to_pixels
from detectors.layers.codecs import Decoding, HeatmapCodec, HeatmapTarget, cross_entropy, normalized, softmax2d
from detectors.layers.intensity import Intensity, show
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.on_maps import OnMaps
from detectors.training import Batch


class MapDetector(OnMaps):
    """Template: a map a keypoint; a subclass gives `map_loss` and `read`. Arguments are those of `OnMaps`."""

    def build(self, geometry: Geometry) -> nn.Module:
        """The backbone; a map a keypoint."""
        return self.map_backbone(geometry, geometry.keypoints)

    def maps(self, model: nn.Module, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, K, h, w) float32, a cell for so many pixels as its stride."""
        maps: Tensor = model(show(images, self.intensity))
        return maps.float()

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The `map_loss` of a batch."""
        maps, points = self.maps(model, batch.images), to_cells(batch.targets, stride_of(model))
        return self.map_loss(select(maps, batch.labelled), select(points, batch.labelled), model.training)

    def decode(self, model: nn.Module, images: Tensor) -> list[Prediction]:
        """One instance an image; its score is the mean of its keypoints'."""
        keypoints, confidence = (part.cpu().numpy() for part in self.points_and_scores(model, images))
        return [Prediction(keypoints[i : i + 1], confidence[i : i + 1]) for i in range(len(keypoints))]

    def points_and_scores(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Points, and the mean of their confidences, both float64; see `TorchDetector.points_and_scores`."""
        maps = self.maps(model, images).double()  # in float32 the scores of confident maps would all be 1
        points, scores = self.read(maps)
        return to_pixels(points, stride_of(model)).double(), scores.double().mean(dim=1)

    @torch.no_grad()
    def heatmaps(self, images: Sequence[Image]) -> FloatArray | None:
        """What the points are read off, (N, K, H, W); None where images have several sizes. See `Detector.heatmaps`."""
        self.model.eval()
        pixels = self._pixels(images)
        if pixels.sizes != 1:
            return None
        batches = pixels.batches(np.arange(len(pixels)), self._eval_batch)
        maps = [self.likelihood(self.maps(self.model, pixels.floats(batch))).cpu().numpy() for batch in batches]
        return np.concatenate(maps).astype(np.float64)

    def likelihood(self, maps: Tensor) -> Tensor:
        """How likely the point is in each pixel, (B, K, H, W): the softmax of each map, unless a subclass knows better."""
        return softmax2d(maps)

    def map_loss(self, maps: Tensor, points: Tensor, training: bool) -> Tensor:
        """The scalar to minimise.

        Args:
            maps: (B, K, H, W), the network's, or those of labelled keypoints alone, (L, 1, H, W).
            points: (B, K, 2) cells of these maps.
            training: Whether the network learns from it; else it is measured for the history.
        """
        raise NotImplementedError

    def read(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Read the points off maps.

        Args:
            maps: (B, K, H, W) float64.

        Returns:
            Points (B, K, 2) among the cells, and the confidence in each (B, K), in [0, 1].
        """
        raise NotImplementedError


class Heatmap(MapDetector):
    """Heatmap: which pixel, or which cell, is it?

    Args:
        backbone: ``unet``, ``conv`` or ``strided``; see `OnMaps`.
        target: ``onehot``, ``bilinear`` or ``gaussian``.
        loss: ``ce`` or ``mse``.
        decode: ``argmax``, ``local``, ``quarter``, ``dark`` or ``integral``.
        sigma: Cells (px at stride 1), of gaussian targets.
        width: Channels at full resolution.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        epochs: Passes over the training split, unless a budget says otherwise.
        augment: See `TorchDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Ronneberger 2015 (U-Net); Tompson 2014, Newell 2016 (heatmaps); Zhang 2020 (DARK)",
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def __init__(
        self,
        backbone: MapBackbone = "unet",
        target: HeatmapTarget = "bilinear",
        loss: Literal["ce", "mse"] = "ce",
        decode: Decoding = "local",
        sigma: float = 1.0,
        width: int = 16,
        intensity: Intensity = "both",
        epochs: int = 20,
        augment: str = "",
    ) -> None:
        super().__init__(backbone, width, intensity, augment)
        if sigma <= 0:
            raise ValueError(f"sigma={sigma}: a width in px is above 0")
        self.codec, self.loss_name = HeatmapCodec(target, decode, sigma), loss
        self.train_config = self.train_config.with_epochs(epochs)

    def map_loss(self, maps: Tensor, points: Tensor, training: bool) -> Tensor:
        """Cross-entropy, or squared error summed over each map, to the target maps; see `MapDetector.map_loss`."""
        target = self.codec.encode(points, *maps.shape[2:])
        if self.loss_name == "mse":
            return ((maps - target) ** 2).sum((2, 3)).mean()
        return cross_entropy(maps, target)

    def likelihood(self, maps: Tensor) -> Tensor:
        """The softmax, or what of a map is above 0 where it is fitted to a target itself; see `MapDetector.likelihood`."""
        return softmax2d(maps) if self.loss_name == "ce" else maps.clamp(min=0) + 1e-9

    def read(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Points by the chosen decoding; the confidence is the largest value of a map. See `MapDetector.read`."""
        values = self.likelihood(maps)
        if self.loss_name == "mse" and self.codec.decoding in ("local", "integral"):
            points = self.codec.decode(normalized(values))
        else:
            points = self.codec.decode(values)
        return points, values.amax((2, 3)).clamp(max=1)
