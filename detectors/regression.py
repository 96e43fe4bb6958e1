"""Regression: backbone x pooling x loss, put together from `backbones`, `pooling` and `heads` of `detectors.layers`.

Image -> backbone -> (B, D, h, w) -> [1 x 1 convolution to ``project`` channels] -> head -> pixels. A head is a pooling
with its linear layer, a heatmap, or first and last ink, so that the notes' question can be asked: is it the backbone or
the head? The plain names of the catalog are compositions; each class below is one, with its card, and any of their
parameters can be changed: ``gap:pooling=max``, ``regression:backbone=raw,pooling=flatten,loss=rle``.
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
from detectors.layers.backbones import TimmBackbone, feature_shape, make_backbone, require_backbone
from detectors.layers.blocks import PaddingMode
from detectors.layers.codecs import Scale
from detectors.layers.coordinates import add_coordinates
from detectors.layers.heads import HeatmapHead, InkHead, Loss, PointHead
from detectors.layers.intensity import Intensity, channels, show
from detectors.layers.pixels import Geometry, Pixels
from detectors.layers.pooling import POOLINGS, Pooling
from detectors.layers.pretraining import calibrate, learn_digits
from detectors.training import LEAST_STEPS, Batch, TorchDetector, TrainConfig

PoolingOrHead = Pooling | Literal["heatmap", "extrema"]
GRID_HEADS = ("heatmap", "extrema")  # heads that answer in the grid's own cells
HEAD_LR = {"heatmap": 0.03, "extrema": 0.03}  # heads that learn too little at a backbone's rate
EPOCHS = 20
KEPT = 1 << 30  # bytes of a frozen backbone's features that are kept in memory; more are computed anew at each step


class Composed(nn.Module):
    """Backbone, projection and head.

    Args:
        geometry: Of the network's images.
        how: The detector that says what it is composed of.

    Attributes:
        channels: Channels that the backbone takes.
        size: (height, width) of the images in px.
    """

    def __init__(self, geometry: Geometry, how: Regression) -> None:
        super().__init__()
        self.intensity, self.coordinates, self.frozen = how.intensity, how.coordinates, how.frozen
        self.size = (geometry.height, geometry.width)
        self.channels = channels(geometry.channels, how.intensity) + (2 if how.coordinates else 0)
        self.backbone = make_backbone(
            how.backbone, self.channels, self.size, width=how.width, depth=how.depth, padding=how.padding
        )
        depth, *grid = feature_shape(self.backbone, self.channels, self.size)
        self.project = nn.Conv2d(depth, how.project, 1) if how.project else nn.Identity()
        self.head = how.make_head(how.project or depth, (grid[0], grid[1]), geometry)
        if how.frozen:
            self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> Composed:
        """Train mode for all but a frozen backbone."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def network_input(self, images: Tensor) -> Tensor:
        """What the backbone is shown of images (B, C, H, W) in [0, 1]."""
        shown = show(images, self.intensity)
        return add_coordinates(shown) if self.coordinates else shown

    def forward(self, images: Tensor) -> Tensor:
        """The features (B, D, h, w) that the head takes; ``images`` are features where the backbone is frozen."""
        features: Tensor = self.project(images if self.frozen else self.backbone(self.network_input(images)))
        return features


class FrozenFeatures(Pixels):
    """The features that a frozen backbone makes of images, in the images' place, computed once if they fit in memory.

    Args:
        images: The images of a split.
        model: The network, in eval mode.
    """

    def __init__(self, images: Pixels, model: Composed) -> None:
        self.__dict__.update(images.__dict__)
        self._model, self._kept = model, None
        if len(self) and len(self) * self.floats(np.arange(1)).nbytes <= KEPT:
            parts = [self.floats(positions) for positions in self.batches(np.arange(len(self)), 256)]
            self._kept = torch.cat(parts)

    @torch.no_grad()
    def floats(self, positions: IntArray) -> Tensor:
        """(B, D, h, w) float32: the features of the images at ``positions``."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(positions).to(self._kept.device)]
        features: Tensor = self._model.backbone(self._model.network_input(super().floats(positions)))
        return features


class Regression(TorchDetector):
    """Backbone x pooling x loss, from parts.

    Args:
        backbone: ``raw``, ``conv`` or any timm model.
        pooling: See `detectors.layers.pooling`; or one of the heads that need no pooling, ``heatmap`` and ``extrema``
            (see `detectors.layers.heads`), which need ``backbone=raw`` or ``conv``.
        loss: ``mse``, ``smoothl1`` or ``rle``.
        scale: The output scale: ``squash``, ``unit`` or ``standard`` (see `RegressionCodec`).
        hidden: Units of a layer between pooling and output (with batch normalisation and ReLU); 0 for none.
        coordinates: Whether each pixel's x and y are further channels.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        width: Channels of ``backbone=conv``.
        depth: Layers of ``backbone=conv``.
        padding: ``zeros`` or ``circular``, of ``backbone=conv``.
        project: Channels of a 1 x 1 convolution before the pooling, 0 for none: it sets how many numbers a pooling
            gives.
        pretrained: ``false``; ``true`` (ImageNet, timm backbones); ``digits`` (trained here to name the digits that the
            train split does not hold); or a .safetensors file of ImageNet weights.
        frozen: Whether the backbone does not learn; a random one only takes the training images' means and variances,
            for its batch norms.
        epochs: Passes over the training split, unless a budget says otherwise.
        lr: Peak learning rate of the backbone.
        head_lr: Peak learning rate of projection and head; 0 is the head's own, which for poolings is ``lr``.
        augment: See `TorchDetector`.
    """

    card = Card(reference="composed from parts: see detectors/regression.py", ablation={"frozen": True})
    fixed_size = True
    partial_labels = True

    def __init__(
        self,
        backbone: str = "conv",
        pooling: PoolingOrHead = "avgmax",
        loss: Loss = "mse",
        scale: Scale = "squash",
        hidden: int = 0,
        coordinates: bool = False,
        intensity: Intensity = "both",
        width: int = 24,
        depth: int = 5,
        padding: PaddingMode = "zeros",
        project: int = 0,
        pretrained: str = "false",
        frozen: bool = False,
        epochs: int = EPOCHS,
        lr: float = 3e-3,
        head_lr: float = 0.0,
        augment: str = "",
    ) -> None:
        require_backbone(backbone)
        for name, value, allowed in (
            ("pooling", pooling, (*POOLINGS, *GRID_HEADS)),
            ("loss", loss, get_args(Loss)),
            ("padding", padding, get_args(PaddingMode)),
        ):
            if value not in allowed:
                raise UserError(f"{name}={value}: use one of {', '.join(allowed)}")
        if min(width, depth) < 1 or min(hidden, project, head_lr) < 0:
            raise UserError("width and depth from 1, hidden, project and head_lr from 0")
        if pooling in GRID_HEADS:
            if backbone not in ("raw", "conv"):
                raise UserError(
                    f"pooling={pooling} answers in the image's own pixels: use backbone=raw or backbone=conv"
                )
            if (loss, scale, hidden) != ("mse", "squash", 0):
                raise UserError(
                    f"pooling={pooling} has a loss and a scale of its own: leave out loss, scale and hidden"
                )
        if pooling == "extrema":
            self.card = replace(self.card, rule_structured=True)  # type: ignore[misc]  # this object's only
        self.backbone, self.pooling, self.loss_name, self.scale = backbone, pooling, loss, scale
        self.hidden, self.coordinates, self.intensity, self.project = hidden, coordinates, intensity, project
        self.width, self.depth, self.padding = width, depth, padding
        self.frozen, self.augment = frozen, augment
        self.head_lr = head_lr or HEAD_LR.get(pooling, lr)
        self.train_config = TrainConfig(
            epochs=EPOCHS,
            least_steps=LEAST_STEPS,
            batch=32,
            lr=lr,
            optimizer="adamw",
            weight_decay=1e-2,
            schedule="onecycle",
        ).with_epochs(epochs)
        self.pretrained = str(pretrained)  # "", "imagenet", "digits" or a file
        if self.pretrained.lower() in ("true", "false", "", "0", "1"):
            self.pretrained = "imagenet" if self.pretrained.lower() in ("true", "1") else ""
        if self.pretrained and backbone == "raw":
            raise UserError("backbone=raw has no weights to pretrain")
        if self.pretrained not in ("", "digits") and backbone == "conv":
            raise UserError(
                "pretrained weights of ImageNet exist for timm backbones: use pretrained=digits with backbone=conv"
            )

    def make_head(self, depth: int, size: tuple[int, int], geometry: Geometry) -> nn.Module:
        """The head of features (B, depth, *size)."""
        if self.pooling == "heatmap":
            return HeatmapHead(depth, geometry)
        if self.pooling == "extrema":
            return InkHead(depth, geometry)
        return PointHead(
            depth, size, geometry, pooling=self.pooling, loss=self.loss_name, scale=self.scale, hidden=self.hidden
        )

    def build(self, geometry: Geometry) -> nn.Module:
        """Backbone, projection and head, with random weights."""
        return Composed(geometry, self)

    def prepare(self, model: Any, train: LabeledImages, seed: int) -> None:
        """Fit the output scale, and load, train or calibrate the backbone, as ``pretrained`` and ``frozen`` ask."""
        if isinstance(model.head, PointHead):
            model.head.codec.fit(train, self.geometry)
        if self.pretrained == "digits":
            self.pretraining_images = learn_digits(model, train, super()._pixels, seed, self.device)
        elif self.pretrained:
            file = "" if self.pretrained == "imagenet" else self.pretrained
            cast(TimmBackbone, model.backbone).load_imagenet(self.backbone, model.channels, model.size, file)
            model.backbone.requires_grad_(not self.frozen)
        elif self.frozen:
            calibrate(model, super()._pixels(train.images), np.arange(len(train)), self.device)

    def groups(self, model: Any) -> Iterable[dict[str, Any]]:
        """The backbone, where it learns; and what is new: the projection and the head, at the head's rate."""
        backbone = [p for p in model.backbone.parameters() if p.requires_grad]
        project = {"params": list(model.project.parameters()), "lr": self.head_lr}
        return [{"params": backbone}, project, *model.head.groups(self.head_lr)]

    def _pixels(self, images: Sequence[Image]) -> Pixels:
        """Once the backbone is built and won't learn, its features stand for the images."""
        pixels = super()._pixels(images)
        return FrozenFeatures(pixels, cast(Composed, self.model).eval()) if self.frozen else pixels

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """The head's loss."""
        loss: Tensor = model.head.loss(model(batch.images), batch.targets, batch.labelled)
        return loss

    def decode(self, model: Any, images: Tensor) -> Tensor:
        """(B, K, 2) px: the head's points."""
        points: Tensor = model.head.decode(model(images))
        return points

    def points_and_scores(self, model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        """From images, though a frozen backbone's features stand for them elsewhere; see `TorchDetector`."""
        shown = model.backbone(model.network_input(images)) if self.frozen else images
        return super().points_and_scores(model, shown)


class Probe(Regression):
    """Backbone or head? Any backbone, frozen or not, under any head, with poolings of about one size."""

    card = Card(reference="the notes' question of 2020-09-18", ablation={"pooling": "avg"})


class ResNet18(Regression):
    """ResNet18 (He 2016), average and maximum side by side, 512, points: the notes' head."""

    card = Card(reference="He 2016 through timm; head after the notes and fastai", ablation={"frozen": True})


class PooledConv(Regression):
    """Convolutions at stride 1, each channel's mean over the image, linear: position by its traces only."""

    card = Card(reference="global average pooling, Lin 2014", ablation={"padding": "circular"})


class FlattenedConv(Regression):
    """Convolutions at stride 1, everything flattened, linear."""

    card = Card(reference="the classic regression head", ablation={"pooling": "avg"})


class GridPooledConv(Regression):
    """Convolutions at stride 1, means over a 4 x 4 grid, linear."""

    card = Card(reference="spatial pyramid pooling at one level, He 2014", ablation={"pooling": "avg"})


class SpatialSoftmaxConv(Regression):
    """Convolutions at stride 1, each channel's mean position under its softmax, linear."""

    card = Card(reference="Levine 2016; Finn 2016", ablation={"pooling": "avg"})


class CoordConv(Regression):
    """Convolutions that see each pixel's x and y, average and maximum, linear."""

    card = Card(
        reference="Liu 2018, An intriguing failing of convolutional neural networks", ablation={"coordinates": False}
    )


class ExtremePooledConv(Regression):
    """Convolutions at stride 1, pooled by minimum and maximum."""

    card = Card(reference="the notes' wish: pooling that keeps extremes", ablation={"pooling": "avg"})


class ResidualLikelihood(Regression):
    """Convolutions and a flattened grid, trained by residual log-likelihood."""

    card = Card(reference="Li 2021, RLE", ablation={"loss": "mse"})


class VisionTransformer(Regression):
    """A small vision transformer on 4 px patches, mean token, points."""

    card = Card(reference="Dosovitskiy 2021 through timm", ablation={"frozen": True})


class MobileNet(Regression):
    """MobileNetV3 (small), average and maximum, points."""

    card = Card(reference="Howard 2019 through timm", ablation={"frozen": True})
