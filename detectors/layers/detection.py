"""What torchvision's detectors are built from here: a transform that only makes batches, a small backbone, and ResNets.

torchvision's models (torchvision/models/detection/) take lists of images and dictionaries of targets in corner-based
coordinates, return losses in train mode and detections in eval mode, and resize for themselves. Here resizing and
coordinates are done once, by `detectors.layers.coordinates.Frame`, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from benchmark.structures import UserError
from detectors.layers.blocks import conv_bn_relu

DetectionBackbone = Literal["small", "resnet18", "resnet50"]
Target = dict[str, Tensor]  # torchvision's: boxes (M, 4), labels (M,), keypoints (M, K, 3); of detections scores, too


class BatchOnlyTransform(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision is untyped
    """The transform of torchvision's detectors with nothing left to do but to pad a batch to a multiple of the stride.

    Args:
        stride: px that height and width of a batch are multiples of.
    """

    def __init__(self, stride: int) -> None:
        super().__init__(min_size=0, max_size=0, image_mean=[], image_std=[], size_divisible=stride)

    def normalize(self, image: Tensor) -> Tensor:
        """The image as it is."""
        return image

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        """The image and its target as they are."""
        return image, target


class SmallBackbone(nn.Sequential):
    """Two strided convolutions, then one at that stride for each dilation.

    Args:
        inputs: Channels of the image.
        width: Half the channels of the features.
        dilations: Of the convolutions at stride 4.

    Attributes:
        out_channels: Channels of the features, as torchvision asks.
    """

    def __init__(self, inputs: int, width: int, dilations: Sequence[int]) -> None:
        self.out_channels = 2 * width
        # The order in which layers draw their random weights is part of what a seed means: dilated ones first.
        dilated = [
            conv_bn_relu(width if i == 0 else 2 * width, 2 * width, dilation=dilation)
            for i, dilation in enumerate(dilations)
        ]
        strided = [conv_bn_relu(inputs, width // 2, 5, stride=2), conv_bn_relu(width // 2, width, 3, stride=2)]
        super().__init__(*strided, *dilated)


def pooled_levels(backbone: DetectionBackbone) -> list[str]:
    """The names of a backbone's feature maps that regions of interest are pooled from."""
    return ["0"] if backbone == "small" else ["0", "1", "2", "3"]


def make_detection_backbone(
    name: DetectionBackbone, inputs: int, *, pretrained: bool, width: int, dilations: Sequence[int]
) -> nn.Module:
    """A backbone for torchvision's detectors, with random weights.

    Args:
        name: ``small`` (stride 4), or ``resnet18`` or ``resnet50`` with a feature pyramid (Lin 2017; strides 4 to 64),
            every layer trainable.
        inputs: Channels of the image; a ResNet that will get ImageNet weights takes three.
        pretrained: Whether it will get ImageNet weights (see `load_imagenet`).
        width: Of the small backbone.
        dilations: Of the small backbone.

    Returns:
        The backbone; its ``out_channels`` says the width.

    Raises:
        UserError: Where there are no pretrained weights.
    """
    if name == "small":
        if pretrained:
            raise UserError("the small backbone has no pretrained weights: choose backbone=resnet18 or resnet50")
        return SmallBackbone(inputs, width, dilations)
    backbone: nn.Module = resnet_fpn_backbone(
        backbone_name=name, weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d
    )
    if not pretrained:
        backbone.body.conv1 = nn.Conv2d(inputs, 64, 7, 2, 3, bias=False)  # type: ignore[union-attr]
    return backbone


def load_imagenet(backbone: nn.Module, name: str) -> None:
    """Load torchvision's ImageNet weights into the body of a ResNet.

    Args:
        backbone: Of `make_detection_backbone`.
        name: ``resnet18`` or ``resnet50``.

    Raises:
        UserError: Where they can't be had.
    """
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


@contextmanager
def giving_losses(model: nn.Module) -> Iterator[None]:
    """Within, a torchvision detector gives losses (its train mode), with batch normalisation in the mode it was in."""
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


@contextmanager
def computed_once(module: nn.Module) -> Iterator[None]:
    """Within, a module answers every call as it did the first: for calls that would all get the same input."""
    forward = module.forward
    known: list[Any] = []

    def first(*inputs: Any) -> Any:
        if not known:
            known.append(forward(*inputs))
        return known[0]

    module.forward = first
    try:
        yield
    finally:
        del module.forward  # the class's stands again
