"""Regression: trunk x readout x loss, put together from `detectors.trunks`, `detectors.readouts` and `detectors.heads`.

Image -> trunk -> (B, D, h, w) -> [1 x 1 convolution to ``project`` channels] -> head -> pixels. A head is a readout with
its linear layer, a heatmap, or first and last ink, so that the notes' question can be asked: is it the backbone or
the head? The plain names of the catalog are compositions; each class below is one, with its card, and any of their
parameters can be changed: ``gap:readout=max``, ``regression:trunk=raw,readout=flatten,loss=rle``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import Image, IntArray, LabeledImages, UserError
from detectors.heads import ExtremesHead, Loss, MapHead, PointHead
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry, Pixels
from detectors.pretraining import calibrate, learn_digits
from detectors.readouts import READOUTS, Readout, add_coordinates
from detectors.scales import Scale
from detectors.training import Batch, TorchDetector, TrainConfig
from detectors.trunks import Padding, TimmTrunk, check_trunk, feature_shape, make_trunk

AnyReadout = Readout | Literal["heatmap", "extrema"]
HEAD_LR = {"heatmap": 0.03, "extrema": 0.03}  # heads that learn too little at a trunk's rate
KEPT = 1 << 30  # bytes of a frozen trunk's features that are kept in memory; more are computed anew at each step


class Composed(nn.Module):
    """Trunk, projection and head. Images are (B, C, H, W) in [0, 1], features (B, D, h, w)."""

    def __init__(self, geometry: Geometry, how: Regression) -> None:
        super().__init__()
        self.intensity, self.coordinates, self.frozen = how.intensity, how.coordinates, how.frozen
        self.size = (geometry.height, geometry.width)
        self.channels = channels(geometry.channels, how.intensity) + (2 if how.coordinates else 0)
        self.trunk = make_trunk(
            how.trunk, self.channels, self.size, width=how.width, depth=how.depth, padding=how.padding
        )
        depth, *grid = feature_shape(self.trunk, self.channels, self.size)
        self.project = nn.Conv2d(depth, how.project, 1) if how.project else nn.Identity()
        self.head = how.make_head(how.project or depth, (grid[0], grid[1]), geometry)
        if how.frozen:
            self.trunk.requires_grad_(False)

    def train(self, mode: bool = True) -> Composed:
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self

    def seen(self, images: Tensor) -> Tensor:
        """What the trunk is shown."""
        shown = show(images, self.intensity)
        return add_coordinates(shown) if self.coordinates else shown

    def forward(self, images: Tensor) -> Tensor:
        """The features that the head reads. images: of a frozen trunk, its answers to them (`FrozenFeatures`)."""
        features: Tensor = self.project(images if self.frozen else self.trunk(self.seen(images)))
        return features


class FrozenFeatures(Pixels):
    """Images that a frozen trunk has seen: a batch of them is a batch of its features, computed once if they fit."""

    def __init__(self, images: Pixels, model: Composed) -> None:
        self.__dict__.update(images.__dict__)
        self._model, self._kept = model, None
        if len(self) and len(self) * self.floats(np.arange(1)).nbytes <= KEPT:
            parts = [self.floats(positions) for positions in self.batches(np.arange(len(self)), 256)]
            self._kept = torch.cat(parts)

    @torch.no_grad()
    def floats(self, positions: IntArray) -> Tensor:
        """(B, D, h, w) float32."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(positions).to(self._kept.device)]
        found: Tensor = self._model.trunk(self._model.seen(super().floats(positions)))
        return found


class Regression(TorchDetector):
    """Trunk x readout x loss, from parts.

    trunk: raw, conv or any timm model. readout: see `detectors.readouts`; heatmap and extrema, which need trunk=raw or
    conv, see `detectors.heads`. project: channels of a 1 x 1 convolution before the readout, 0 for none: it sets how
    many numbers a readout gives. loss: mse, smoothl1 or rle.
    scale: squash, unit or standard. hidden: units of a layer between readout and output (batch norm, ReLU), 0 for none.
    coordinates: each pixel's x and y as further channels. intensity: raw, log or both. width, depth, padding: of conv.
    pretrained: false; true (ImageNet, timm backbones); digits (trained here to name the digits that the train split does
    not hold); or a .safetensors file of ImageNet weights. frozen: the trunk does not learn; a random one only learns the
    training images' means and variances, for its batch norms. lr, head_lr: peak rates of the trunk, and of
    the projection and head; 0 is the head's own, which for readouts of points is lr.
    """

    card = Card(reference="composed from parts: see detectors/regression.py", ablation={"frozen": True})
    fixed_size = True

    def __init__(
        self,
        trunk: str = "conv",
        readout: AnyReadout = "avgmax",
        loss: Loss = "mse",
        scale: Scale = "squash",
        hidden: int = 0,
        coordinates: bool = False,
        intensity: Intensity = "both",
        width: int = 24,
        depth: int = 5,
        padding: Padding = "zeros",
        project: int = 0,
        pretrained: str = "false",
        frozen: bool = False,
        epochs: int = 20,
        lr: float = 3e-3,
        head_lr: float = 0.0,
        augment: str = "",
    ) -> None:
        check_trunk(trunk)
        for name, value, allowed in (
            ("readout", readout, (*READOUTS, "heatmap", "extrema")),
            ("loss", loss, get_args(Loss)),
            ("padding", padding, get_args(Padding)),
        ):
            if value not in allowed:
                raise UserError(f"{name}={value}: use one of {', '.join(allowed)}")
        if min(width, depth) < 1 or min(hidden, project, head_lr) < 0:
            raise UserError("width and depth from 1, hidden, project and head_lr from 0")
        if readout in ("heatmap", "extrema"):
            if trunk not in ("raw", "conv"):
                raise UserError(f"readout={readout} answers in the image's own pixels: use trunk=raw or trunk=conv")
            if (loss, scale, hidden) != ("mse", "squash", 0):
                raise UserError(
                    f"readout={readout} has a loss and a scale of its own: leave out loss, scale and hidden"
                )
        if readout == "extrema":
            self.card = replace(self.card, rule_structured=True)  # type: ignore[misc]  # this object's only
        self.trunk, self.readout, self.loss_kind, self.scale = trunk, readout, loss, scale
        self.hidden, self.coordinates, self.intensity, self.project = hidden, coordinates, intensity, project
        self.width, self.depth, self.padding = width, depth, padding
        self.pretrained, self.frozen, self.augment = str(pretrained), frozen, augment
        self.head_lr = head_lr or HEAD_LR.get(readout, lr)
        self.train_config = TrainConfig(
            epochs=epochs, batch=32, lr=lr, optimizer="adamw", weight_decay=1e-2, schedule="onecycle"
        )
        if self.pretrained.lower() in ("true", "false", "", "0", "1"):
            self.pretrained = "imagenet" if self.pretrained.lower() in ("true", "1") else ""
        if self.pretrained and trunk == "raw":
            raise UserError("trunk=raw has no weights to pretrain")
        if self.pretrained not in ("", "digits") and trunk == "conv":
            raise UserError(
                "pretrained weights of ImageNet exist for timm backbones: use pretrained=digits with trunk=conv"
            )

    def make_head(self, depth: int, size: tuple[int, int], geometry: Geometry) -> nn.Module:
        """The head of features (B, depth, *size)."""
        if self.readout == "heatmap":
            return MapHead(depth, geometry)
        if self.readout == "extrema":
            return ExtremesHead(depth, geometry)
        return PointHead(
            depth, size, geometry, readout=self.readout, loss=self.loss_kind, scale=self.scale, hidden=self.hidden
        )

    def build(self, geometry: Geometry) -> nn.Module:
        return Composed(geometry, self)

    def prepare(self, model: Any, train: LabeledImages, seed: int) -> None:
        if isinstance(model.head, PointHead):
            model.head.scale.learn(train, self.geometry)
        if self.pretrained == "digits":
            self.pretraining_images = learn_digits(model, train, super()._pixels, seed, self.device)
        elif self.pretrained:
            file = "" if self.pretrained == "imagenet" else self.pretrained
            cast(TimmTrunk, model.trunk).load_imagenet(self.trunk, model.channels, model.size, file)
            model.trunk.requires_grad_(not self.frozen)
        elif self.frozen:
            calibrate(model, super()._pixels(train.images), np.arange(len(train)), self.device)

    def groups(self, model: Any) -> Iterable[dict[str, Any]]:
        """The trunk, where it learns; and what is new: the projection and the head, at the head's rate."""
        trunk = [p for p in model.trunk.parameters() if p.requires_grad]
        project = {"params": list(model.project.parameters()), "lr": self.head_lr}
        return [{"params": trunk}, project, *model.head.groups(self.head_lr)]

    def _pixels(self, images: Sequence[Image]) -> Pixels:
        """Once the trunk is built and won't learn, its features stand for the images."""
        pixels = super()._pixels(images)
        return FrozenFeatures(pixels, cast(Composed, self.model).eval()) if self.frozen else pixels

    def loss(self, model: Any, batch: Batch) -> Tensor:
        loss: Tensor = model.head.loss(model(batch.images), batch.targets)
        return loss

    def decode(self, model: Any, images: Tensor) -> Tensor:
        points: Tensor = model.head.decode(model(images))
        return points


class Probe(Regression):
    """Backbone or head? Any trunk, frozen or not, under any readout, with readouts of about one size."""

    card = Card(reference="the notes' question of 2020-09-18", ablation={"readout": "avg"})


class ResNet18(Regression):
    """ResNet18 (He 2016), average and maximum side by side, 512, points: the notes' head."""

    card = Card(reference="He 2016 through timm; head after the notes and fastai", ablation={"frozen": True})


class PooledConv(Regression):
    """Convolutions at stride 1, each channel's mean over the image, linear: position by its traces only."""

    card = Card(reference="global average pooling, Lin 2014", ablation={"padding": "circular"})


class FlattenedConv(Regression):
    """Convolutions at stride 1, everything flattened, linear."""

    card = Card(reference="the classic regression head", ablation={"readout": "avg"})


class GridPooledConv(Regression):
    """Convolutions at stride 1, means over a 4 x 4 grid, linear."""

    card = Card(reference="spatial pyramid pooling at one level, He 2014", ablation={"readout": "avg"})


class SpatialSoftmaxConv(Regression):
    """Convolutions at stride 1, each channel's mean position under its softmax, linear."""

    card = Card(reference="Levine 2016; Finn 2016", ablation={"readout": "avg"})


class CoordConv(Regression):
    """Convolutions that see each pixel's x and y, average and maximum, linear."""

    card = Card(
        reference="Liu 2018, An intriguing failing of convolutional neural networks", ablation={"coordinates": False}
    )


class ExtremePooledConv(Regression):
    """Convolutions at stride 1, pooled by minimum and maximum."""

    card = Card(reference="the notes' wish: pooling that keeps extremes", ablation={"readout": "avg"})


class ResidualLikelihood(Regression):
    """Convolutions and a flattened grid, trained by residual log-likelihood."""

    card = Card(reference="Li 2021, RLE", ablation={"loss": "mse"})


class VisionTransformer(Regression):
    """A small vision transformer on 4 px patches, mean token, points."""

    card = Card(reference="Dosovitskiy 2021 through timm", ablation={"frozen": True})


class MobileNet(Regression):
    """MobileNetV3 (small), average and maximum, points."""

    card = Card(reference="Howard 2019 through timm", ablation={"frozen": True})
