"""Regression: trunk x readout x loss, put together from `detectors.trunks` and `detectors.readouts`.

Image -> trunk -> (B, D, h, w) -> readout -> (B, F) -> [hidden layer] -> 2 K numbers -> pixels (`detectors.scales`).
The plain names of the catalog are compositions; each class below is one, with its card, and any of their parameters can
be changed: ``gap:readout=max``, ``regression:trunk=raw,readout=flatten,loss=rle``.

Losses are taken in the output scale, where -1 to 1 is the image (squash, unit) or one deviation (standard): ``mse``;
``smoothl1`` with its bend at ``BEND``; ``rle`` (`detectors.rle`).
"""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import KeypointDataset, UserError
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry
from detectors.pretraining import calibrate, learn_digits
from detectors.readouts import READOUTS, Readout, add_coordinates, make_readout
from detectors.rle import RealNVP, rle_loss
from detectors.scales import OutputScale, Scale
from detectors.training import Batch, Recipe, TorchDetector
from detectors.trunks import Padding, TimmTrunk, check_trunk, feature_shape, make_trunk

Loss = Literal["mse", "smoothl1", "rle"]
BEND = 0.1


class Composed(nn.Module):
    """Trunk, readout and linear layer. (B, C, H, W) in [0, 1] -> mu, sigma, both (B, K, 2) in the output scale."""

    def __init__(self, geometry: Geometry, how: Regression) -> None:
        super().__init__()
        self.intensity, self.coordinates, self.frozen = how.intensity, how.coordinates, how.frozen
        self.size = (geometry.height, geometry.width)
        self.channels = channels(geometry.channels, how.intensity) + (2 if how.coordinates else 0)
        self.trunk = make_trunk(
            how.trunk, self.channels, self.size, width=how.width, depth=how.depth, padding=how.padding
        )
        depth, *grid = feature_shape(self.trunk, self.channels, self.size)
        self.readout = make_readout(how.readout, depth, (grid[0], grid[1]))
        with torch.no_grad():
            numbers = self.readout(torch.zeros(1, depth, *grid)).shape[1]
        layers: list[nn.Module] = []
        if how.hidden:
            layers = [nn.Linear(numbers, how.hidden), nn.BatchNorm1d(how.hidden), nn.ReLU()]
        self.keypoints = geometry.keypoints
        outputs = 2 if how.loss_kind != "rle" else 4
        self.head = nn.Sequential(*layers, nn.Linear(how.hidden or numbers, self.keypoints * outputs))
        self.flow = RealNVP() if how.loss_kind == "rle" else None
        self.scale = OutputScale(geometry, how.scale)
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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        raw: Tensor = self.head(self.readout(self.trunk(self.seen(images))))
        raw = raw.view(len(images), self.keypoints, -1).float()
        mu = self.scale.values(raw[..., :2])
        return mu, raw[..., 2:].sigmoid() + 1e-3


class Regression(TorchDetector):
    """Trunk x readout x loss, from parts.

    trunk: raw, conv or any timm model. readout: see `detectors.readouts`. loss: mse, smoothl1 or rle.
    scale: squash, unit or standard. hidden: units of a layer between readout and output (batch norm, ReLU), 0 for none.
    coordinates: each pixel's x and y as further channels. intensity: raw, log or both. width, depth, padding: of conv.
    pretrained: false; true (ImageNet, timm backbones); digits (trained here to name the digits that the task does not
    use); or a .safetensors file of ImageNet weights. frozen: the trunk does not learn; a random one only learns the
    training images' means and variances, for its batch norms.
    """

    card = Card(source="composed from parts: see detectors/regression.py", ablation={"frozen": True})
    fixed_size = True

    def __init__(
        self,
        trunk: str = "conv",
        readout: Readout = "avgmax",
        loss: Loss = "mse",
        scale: Scale = "squash",
        hidden: int = 0,
        coordinates: bool = False,
        intensity: Intensity = "raw",
        width: int = 24,
        depth: int = 5,
        padding: Padding = "zeros",
        pretrained: str = "false",
        frozen: bool = False,
        epochs: int = 20,
        lr: float = 3e-3,
        augment: str = "",
    ) -> None:
        check_trunk(trunk)
        for name, value, allowed in (
            ("readout", readout, READOUTS),
            ("loss", loss, get_args(Loss)),
            ("padding", padding, get_args(Padding)),
        ):
            if value not in allowed:
                raise UserError(f"{name}={value}: use one of {', '.join(allowed)}")
        if min(width, depth) < 1 or min(hidden, epochs) < 0 or lr <= 0:
            raise UserError("width and depth from 1, hidden and epochs from 0, lr above 0")
        self.trunk, self.readout, self.loss_kind, self.scale = trunk, readout, loss, scale
        self.hidden, self.coordinates, self.intensity = hidden, coordinates, intensity
        self.width, self.depth, self.padding = width, depth, padding
        self.pretrained, self.frozen, self.augment = str(pretrained), frozen, augment
        self.learning = Recipe(
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

    def training_recipe(self) -> Recipe:
        return self.learning

    def build(self, geometry: Geometry) -> nn.Module:
        return Composed(geometry, self)

    def prepare(self, model: Any, train: KeypointDataset, seed: int) -> None:
        model.scale.learn(train, self.geometry)
        if self.pretrained == "digits":
            learn_digits(model, train, self._pixels, seed, self.device)
        elif self.pretrained:
            file = "" if self.pretrained == "imagenet" else self.pretrained
            cast(TimmTrunk, model.trunk).load_imagenet(self.trunk, model.channels, model.size, file)
            model.trunk.requires_grad_(not self.frozen)
        elif self.frozen:
            calibrate(model, self._pixels(train.images), np.arange(len(train)), self.device)

    def loss(self, model: Any, batch: Batch) -> Tensor:
        mu, sigma = model(batch.images)
        truth = model.scale.encode(batch.targets)
        if self.loss_kind == "rle":
            return rle_loss(mu, sigma, truth, model.flow)
        if self.loss_kind == "smoothl1":
            return F.smooth_l1_loss(mu, truth, beta=BEND)
        return F.mse_loss(mu, truth)

    def decode(self, model: Any, images: Tensor) -> Tensor:
        points: Tensor = model.scale.decode(model(images)[0])
        return points


class ResNet18(Regression):
    """ResNet18 (He 2016), average and maximum side by side, 512, points: the notes' head."""

    card = Card(source="He 2016 through timm; head after the notes and fastai", ablation={"frozen": True})


class PooledConv(Regression):
    """Convolutions at stride 1, each channel's mean over the image, linear: position by its traces only."""

    card = Card(source="global average pooling, Lin 2014", ablation={"padding": "circular"})


class FlattenedConv(Regression):
    """Convolutions at stride 1, everything flattened, linear."""

    card = Card(source="the classic regression head", ablation={"readout": "avg"})


class GridPooledConv(Regression):
    """Convolutions at stride 1, means over a 4 x 4 grid, linear."""

    card = Card(source="spatial pyramid pooling at one level, He 2014", ablation={"readout": "avg"})


class SpatialSoftmaxConv(Regression):
    """Convolutions at stride 1, each channel's mean position under its softmax, linear."""

    card = Card(source="Levine 2016; Finn 2016", ablation={"readout": "avg"})


class CoordConv(Regression):
    """Convolutions that see each pixel's x and y, average and maximum, linear."""

    card = Card(
        source="Liu 2018, An intriguing failing of convolutional neural networks", ablation={"coordinates": False}
    )


class ExtremePooledConv(Regression):
    """Convolutions at stride 1, pooled by minimum and maximum."""

    card = Card(source="the notes' wish: pooling that keeps extremes", ablation={"readout": "avg"})


class ResidualLikelihood(Regression):
    """Convolutions and a flattened grid, trained by residual log-likelihood."""

    card = Card(source="Li 2021, RLE", ablation={"loss": "mse"})


class VisionTransformer(Regression):
    """A small vision transformer on 4 px patches, mean token, points."""

    card = Card(source="Dosovitskiy 2021 through timm", ablation={"frozen": True})


class MobileNet(Regression):
    """MobileNetV3 (small), average and maximum, points."""

    card = Card(source="Howard 2019 through timm", ablation={"frozen": True})
