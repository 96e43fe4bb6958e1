"""The template of detectors built on torchvision's detection models, which may find several instances an image.

A subclass gives the network, its targets, and how instances are read from its detections; `detectors.layers.detection`
has the parts. Categories: each COCO category of the training annotations is a class of the network, and what it finds
carries the category's id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.structures import IntArray, LabeledImages, Prediction
from benchmark.windows import Size, scaled
from detectors.layers.coordinates import Frame
from detectors.layers.detection import (
    BatchOnlyTransform,
    DetectionBackbone,
    Target,
    computed_once,
    giving_losses,
    load_imagenet,
    make_detection_backbone,
)
from detectors.layers.intensity import Intensity, channels, show
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, Batch, Decoded, TorchDetector, TrainConfig

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DetectionDetector(TorchDetector):
    """Template of a detector on one of torchvision's: a subclass gives `network`, `targets` and `instances`.

    Args:
        backbone: See `make_detection_backbone`.
        size: px that the shorter side of the train split's commonest image is enlarged to, where it is smaller; others by
            the same scale. Larger images are resized before (`shown_size`): asked for to ``size``, else as they fit.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        pretrained: ImageNet weights for a ResNet.
        margin: px of black put around each image first, so that boxes may reach over its edge.
        threshold: The least score of a box, where train images hold other than one instance; where each holds one, the
            best is the answer.

    Attributes:
        width: Of the small backbone.
        dilations: Of the small backbone.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=12,
        least_steps=LEAST_STEPS,
        batch=16,
        lr=3e-3,
        optimizer="adamw",
        weight_decay=1e-4,
        schedule="onecycle",
        clip=5.0,
    )
    partial_labels: ClassVar[bool] = True
    longest_side: ClassVar[int] = 192
    history_images: ClassVar[int] = 96
    eval_batch: ClassVar[int] = 100
    amp: ClassVar[bool] = False
    width: ClassVar[int] = 24
    dilations: ClassVar[tuple[int, ...]] = (1, 1, 1, 1)

    def __init__(
        self,
        backbone: DetectionBackbone,
        size: int,
        intensity: Intensity,
        pretrained: bool,
        margin: int,
        threshold: float,
    ) -> None:
        if size < 8:
            raise ValueError(f"size={size}: the network needs an input of at least 8 px")
        if pretrained and intensity == "both":
            raise ValueError("pretrained=true takes three channels: choose intensity=raw or log")
        self.backbone, self.size, self.intensity, self.pretrained = backbone, size, intensity, pretrained
        self.margin, self.threshold = margin, threshold

    # -- what a subclass gives

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """A torchvision detector.

        Args:
            backbone: Its backbone.
            frame: How it is shown images.
            geometry: Keypoints and categories.
        """
        raise NotImplementedError

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        """What torchvision asks for, an image each, in the network's coordinates."""
        raise NotImplementedError

    def instances(self, model: nn.Module, detections: Target, frame: Frame) -> Prediction:
        """The instances in one image's detections (which come best first), best first."""
        raise NotImplementedError

    # -- what it gets

    def frame(self) -> Frame:
        """One scale for every image: an object is as large to the network in any of them."""
        return Frame(max(1.0, self.size / min(self.geometry.height, self.geometry.width)), self.margin)

    def dilated(self, geometry: Geometry) -> tuple[int, ...]:
        """The small backbone's dilations for images of that geometry."""
        return self.dilations

    def shown_size(self, commonest: Size, asked: int) -> Size:
        """As `Detector.shown_size`; ``asked`` is the shorter side, and smaller images are left for `frame` to enlarge."""
        scale = asked / min(commonest) if asked else self.longest_side / max(commonest)
        return commonest if scale >= 1 else scaled(commonest, scale)

    def build(self, geometry: Geometry) -> nn.Module:
        """The network with its backbone; whether to answer one instance an image is kept as a buffer."""
        inputs = 3 if self.pretrained else channels(geometry.channels, self.intensity)
        backbone = make_detection_backbone(
            self.backbone, inputs, pretrained=self.pretrained, width=self.width, dilations=self.dilated(geometry)
        )
        model = self.network(backbone, self.frame(), geometry)
        model.transform = BatchOnlyTransform(8 if self.backbone == "small" else 32)
        model.register_buffer("single_instance", torch.tensor(True))
        return model

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        """Note whether each training image holds one instance, and load ImageNet weights where these are asked for."""
        counts = np.bincount(train.annotations.index[~train.annotations.crowd], minlength=len(train))
        model.single_instance.fill_(bool((counts == 1).all()))  # type: ignore[operator,union-attr]
        if self.pretrained:
            load_imagenet(model.backbone, self.backbone)  # type: ignore[arg-type]

    def network_input(self, images: Tensor) -> list[Tensor]:
        """Images (B, C, H, W) in [0, 1] as the network is shown them."""
        shown = show(images, self.intensity)
        if self.pretrained:
            mean, std = (images.new_tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
            shown = (shown.expand(-1, 3, -1, -1) - mean) / std
        return list(self.frame().images(shown))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The sum of the losses that torchvision's detector names."""
        with giving_losses(model):
            parts: dict[str, Tensor] = model(self.network_input(batch.images), self.targets(batch, self.frame()))
        return torch.stack(list(parts.values())).sum()

    def loss_and_answers(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Decoded]:
        """As `TorchDetector.loss_and_answers`; both look at the same features."""
        with computed_once(model.backbone):  # type: ignore[arg-type]
            return super().loss_and_answers(model, batch)

    def detect(self, model: nn.Module, images: Tensor) -> list[Target]:
        """The detections of the network, an image each, in the network's coordinates."""
        detections: list[Target] = model(self.network_input(images))
        return detections

    def decode(self, model: nn.Module, images: Tensor) -> list[Prediction]:
        """The instances of each image (B, C, H, W), best first; the best alone where every train image holds one."""
        frame, answers = self.frame(), []
        for detections in self.detect(model, images):
            answer = self.instances(model, detections, frame)
            kept = slice(1 if model.single_instance else None)
            categories = None if answer.category_ids is None else answer.category_ids[kept]
            answers.append(Prediction(answer.keypoints[kept], answer.scores[kept], categories))
        return answers

    def instance_rows(self, batch: Batch) -> Iterator[dict[str, Any]]:
        """The instances of each image of a batch, without crowds and without those of a category unknown to training.

        Yields:
            ``keypoints`` (M, K, 2) float32 px, ``visible`` (M, K) bool, ``boxes`` (M, 4) float32 px, and ``category``
            (M,) int64, the position of the category in ``geometry.category_ids``.
        """
        annotations, device = batch.annotations, batch.images.device
        known: IntArray = np.array(self.geometry.category_ids, dtype=np.int64)
        for rows in batch.rows():
            kept = rows[~annotations.crowd[rows] & np.isin(annotations.category_ids[rows], known)]
            category = np.searchsorted(known, annotations.category_ids[kept])
            yield {
                "keypoints": torch.as_tensor(annotations.keypoints[kept], dtype=torch.float32, device=device),
                "visible": torch.as_tensor(annotations.visible[kept] > 0, device=device),
                "boxes": torch.as_tensor(annotations.boxes[kept], dtype=torch.float32, device=device),
                "category": torch.as_tensor(category, device=device),
            }

    def category_ids(self, classes: IntArray) -> IntArray:
        """(M,) int64 COCO category ids of positions (M,) in ``geometry.category_ids``."""
        return np.array(self.geometry.category_ids, dtype=np.int64)[classes]
