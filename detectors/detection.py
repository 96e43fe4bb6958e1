"""What torchvision's detectors need to learn and answer as ours: a template, a small backbone, and instances from boxes.

torchvision's models (torchvision/models/detection/) take lists of images and dictionaries of targets in corner-based
coordinates, return losses in train mode and detections in eval mode, and resize for themselves. Here resizing and
coordinates are done once, by `coordinates.Frame`, before and after; their own transform only makes a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from benchmark.structures import LabeledImages, Prediction, UserError
from detectors.coordinates import Frame
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry
from detectors.training import Batch, TorchDetector, TrainConfig

Backbone = Literal["small", "resnet18", "resnet50"]
Target = dict[str, Tensor]


class OnlyBatch(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's transform with nothing left to do but to pad a batch to a multiple of the stride."""

    def __init__(self, stride: int) -> None:
        super().__init__(min_size=0, max_size=0, image_mean=[], image_std=[], size_divisible=stride)

    def normalize(self, image: Tensor) -> Tensor:
        return image

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        return image, target


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; at stride 1 the size is kept."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class SmallBackbone(nn.Sequential):
    """(B, C, H, W) to (B, 2 width, H/4, W/4): two strided convolutions, then one at that stride for each dilation."""

    def __init__(self, inputs: int, width: int, dilations: Sequence[int]) -> None:
        self.out_channels = 2 * width
        trunk = [conv(width if i == 0 else 2 * width, 2 * width, dilation=d) for i, d in enumerate(dilations)]
        super().__init__(conv(inputs, width // 2, 5, 2), conv(width // 2, width, 3, 2), *trunk)


def levels(backbone: Backbone) -> list[str]:
    """The names of a backbone's feature maps that RoIs are pooled from."""
    return ["0"] if backbone == "small" else ["0", "1", "2", "3"]


def make_backbone(name: Backbone, inputs: int, *, pretrained: bool, width: int, dilations: Sequence[int]) -> nn.Module:
    """A backbone for torchvision's detectors; its ``out_channels`` says the width.

    resnet18 and resnet50 carry a feature pyramid (Lin 2017; strides 4 to 64), every layer trainable. Without ImageNet
    weights they use batch normalisation and take any number of input channels; with them, three.
    """
    if name == "small":
        if pretrained:
            raise UserError("the small backbone has no pretrained weights: choose backbone=resnet18 or resnet50")
        return SmallBackbone(inputs, width, dilations)
    made: nn.Module = resnet_fpn_backbone(
        backbone_name=name, weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d
    )
    if not pretrained:
        made.body.conv1 = nn.Conv2d(inputs, 64, 7, 2, 3, bias=False)  # type: ignore[union-attr]
    return made


def load_imagenet(backbone: nn.Module, name: str) -> None:
    """torchvision's ImageNet weights into a ResNet's body; UserError where they cannot be had."""
    from torchvision.models import get_model_weights

    try:
        weights: dict[str, Tensor] = get_model_weights(name).DEFAULT.get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        raise UserError(
            f"ImageNet weights of {name} cannot be had ({error}): put torchvision's file into "
            f"{torch.hub.get_dir()}/checkpoints, or leave pretrained=false"
        ) from error
    kept = {k: v for k, v in weights.items() if not k.startswith("fc.")}
    backbone.body.load_state_dict(kept)  # type: ignore[union-attr]


class DetectionDetector(TorchDetector):
    """Template: a subclass gives `network` (a torchvision detector), `targets` and `instances`.

    size: the shorter side that the train split's commonest image is enlarged to; others by the same scale.
    margin: px of black put around each image first, so that boxes may reach over its edge. threshold: the least score
    of a box, where train images hold other than one instance; where each holds one, the best is the answer.
    width, dilations: of the small backbone.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=12, batch=16, lr=3e-3, optimizer="adamw", weight_decay=1e-4, schedule="onecycle", clip=5.0
    )
    history_images: ClassVar[int] = 96
    eval_batch: ClassVar[int] = 100
    amp: ClassVar[bool] = False
    width: ClassVar[int] = 24
    dilations: ClassVar[tuple[int, ...]] = (1, 1, 1, 1)

    def __init__(
        self, backbone: Backbone, size: int, intensity: Intensity, pretrained: bool, margin: int, threshold: float
    ) -> None:
        if size < 8:
            raise ValueError(f"size={size}: the network needs an input of at least 8 px")
        if pretrained and intensity == "both":
            raise ValueError("pretrained=true takes three channels: choose intensity=raw or log")
        self.backbone, self.size, self.intensity, self.pretrained = backbone, size, intensity, pretrained
        self.margin, self.threshold = margin, threshold

    # -- what a subclass gives

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        """A torchvision detector on ``backbone``."""
        raise NotImplementedError

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        """What torchvision asks for, an image each, in the network's coordinates."""
        raise NotImplementedError

    def instances(self, model: nn.Module, found: Target, frame: Frame) -> Prediction:
        """The instances, best first, in one image's detections (best first too)."""
        raise NotImplementedError

    # -- what it gets

    def frame(self) -> Frame:
        """The same scale for every image: an object is as large to the network wherever it stands."""
        return Frame(self.size / min(self.geometry.height, self.geometry.width), self.margin)

    def build(self, geometry: Geometry) -> nn.Module:
        inputs = 3 if self.pretrained else channels(geometry.channels, self.intensity)
        trunk = make_backbone(
            self.backbone, inputs, pretrained=self.pretrained, width=self.width, dilations=self.dilations
        )
        model = self.network(trunk, self.frame(), geometry.keypoints)
        model.transform = OnlyBatch(8 if self.backbone == "small" else 32)
        model.register_buffer("single_instance", torch.tensor(True))
        return model

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        counts = np.bincount(train.annotations.index[~train.annotations.crowd], minlength=len(train))
        model.single_instance.fill_(bool((counts == 1).all()))  # type: ignore[operator,union-attr]
        if self.pretrained:
            load_imagenet(model.backbone, self.backbone)  # type: ignore[arg-type]

    def seen(self, images: Tensor) -> list[Tensor]:
        """(B, C, H, W) in [0, 1] as the network is shown them."""
        shown = show(images, self.intensity)
        if self.pretrained:
            mean, std = (images.new_tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
            shown = (shown.expand(-1, 3, -1, -1) - mean) / std
        return list(self.frame().images(shown))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        with _giving_losses(model):
            parts: dict[str, Tensor] = model(self.seen(batch.images), self.targets(batch, self.frame()))
        return torch.stack(list(parts.values())).sum()

    def detect(self, model: nn.Module, images: Tensor) -> list[Target]:
        """torchvision's detections, an image each, in the network's coordinates."""
        found: list[Target] = model(self.seen(images))
        return found

    def decode(self, model: nn.Module, images: Tensor) -> list[Prediction]:
        frame, answers = self.frame(), []
        for found in self.detect(model, images):
            said = self.instances(model, found, frame)
            kept = 1 if model.single_instance else len(said.scores)
            answers.append(Prediction(said.keypoints[:kept], said.scores[:kept]))
        return answers


def rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """For each image, its instances (crowds left out) as float32 tensors: keypoints, visible (bool), boxes."""
    annotations, device = batch.annotations, batch.images.device
    for found in batch.rows():
        kept = found[~annotations.crowd[found]]
        yield {
            "keypoints": torch.as_tensor(annotations.keypoints[kept], dtype=torch.float32, device=device),
            "visible": torch.as_tensor(annotations.visible[kept] > 0, device=device),
            "boxes": torch.as_tensor(annotations.boxes[kept], dtype=torch.float32, device=device),
        }


@contextmanager
def _giving_losses(model: nn.Module) -> Iterator[None]:
    """torchvision's detectors give losses in train mode only: be in it, with batch normalisation as it was."""
    if model.training:
        yield
        return
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    try:
        yield
    finally:
        model.eval()
