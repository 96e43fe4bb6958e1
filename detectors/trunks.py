"""Trunks: from an image to a grid of features. Raw pixels, small convolutions that never leave the grid, timm's backbones.

    raw      the pixels themselves (D = C): what a readout can do alone
    conv     3 x 3 convolutions, stride 1, batch norm, ReLU; ``zeros`` padding tells where the border is, ``circular``
             padding doesn't, so that a network with it and a global pooling can't know where anything is
    other    a model of timm (Wightman 2019) without its classifier, at the image's own size: ``resnet18``,
             ``mobilenetv3_small_100``; vision transformers (``vit_*``, ``deit_*``) take ``PATCH`` px patches and keep
             ``DEPTH`` of their blocks, so that 28 px give 7 x 7 tokens

Images come as [0, 1], no mean taken away; `detectors.intensity` may show their logarithm instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.structures import UserError

Padding = Literal["zeros", "circular"]
PATCH, DEPTH = 4, 4


class ConvTrunk(nn.Sequential):
    """(B, C, H, W) -> (B, width, H, W)."""

    def __init__(self, channels: int, width: int, depth: int, padding: Padding) -> None:
        layers: list[nn.Module] = []
        for i in range(depth):
            before = channels if i == 0 else width
            layers.append(nn.Conv2d(before, width, 3, padding=1, padding_mode=padding, bias=False))
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class TimmTrunk(nn.Module):
    """(B, C, H, W) -> (B, D, h, w): a timm model's last feature map, or its patch tokens as a grid."""

    def __init__(self, name: str, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.patched = name.startswith(("vit_", "deit_"))
        self.net = _create(name, channels, size)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        net = cast(Any, self.net)
        if not self.patched:
            return cast(Tensor, net.forward_features(images))
        images = F.pad(images, (0, -width % PATCH, 0, -height % PATCH))
        tokens: Tensor = net.forward_features(images)[:, net.num_prefix_tokens :]
        rows, columns = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        return tokens.transpose(1, 2).reshape(len(images), -1, rows, columns)

    def load_imagenet(self, name: str, channels: int, size: tuple[int, int], file: str) -> None:
        """Take ImageNet weights, from timm's hub or a .safetensors ``file``; timm adapts them to channels and size."""
        source = {"pretrained_cfg_overlay": {"file": str(_weights_file(name, file))}} if file else {}
        if not file:
            _reachable(name)
        self.net = _create(name, channels, size, pretrained=True, **source)


def make_trunk(
    name: str, channels: int, size: tuple[int, int], *, width: int = 24, depth: int = 5, padding: Padding = "zeros"
) -> nn.Module:
    """The trunk called ``name`` for images (B, channels, *size), with random weights. UserError for an unknown name.

    width, depth, padding: of ``conv``.
    """
    if name == "raw":
        return nn.Identity()
    if name == "conv":
        return ConvTrunk(channels, width, depth, padding)
    return TimmTrunk(name, channels, size)


def feature_shape(trunk: nn.Module, channels: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """(D, h, w) of a trunk's answer to images (B, channels, *size)."""
    was = trunk.training
    trunk.eval()
    with torch.no_grad():
        _, d, h, w = trunk(torch.zeros(1, channels, *size)).shape
    trunk.train(was)
    return d, h, w


def check_trunk(name: str) -> None:
    """UserError where no trunk has this name."""
    import timm

    if name not in ("raw", "conv") and not timm.is_model(name):
        close = timm.list_models(f"*{name}*")[:3]
        raise UserError(f"trunk={name}: use raw, conv or a timm model" + (f" like {', '.join(close)}" if close else ""))


def _create(name: str, channels: int, size: tuple[int, int], **more: Any) -> nn.Module:
    import timm

    options: dict[str, Any] = {"in_chans": channels, "num_classes": 0, "global_pool": ""}
    if name.startswith(("vit_", "deit_")):
        whole = tuple(-(-side // PATCH) * PATCH for side in size)
        options |= {"img_size": whole, "patch_size": PATCH, "depth": DEPTH}
    return timm.create_model(name, **options, **more)


def _weights_file(name: str, file: str) -> Path:
    path = Path(file).expanduser()
    if not path.is_file() or path.suffix != ".safetensors":
        raise UserError(
            f"pretrained={file}: no such .safetensors file (true: download {name}'s; digits: train on digits)"
        )
    return path


def _reachable(name: str) -> None:
    """UserError, before long retries begin, where timm's weights are neither cached nor to be downloaded."""
    import urllib.request

    import timm
    from huggingface_hub import try_to_load_from_cache

    card = timm.get_pretrained_cfg(name)
    hub = card.hf_hub_id if card is not None else None
    if not hub:
        raise UserError(f"pretrained=true: timm offers no ImageNet weights of {name}")
    if isinstance(try_to_load_from_cache(hub, "model.safetensors"), str):
        return
    url = f"https://huggingface.co/{hub}/resolve/main/model.safetensors"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10).close()
    except OSError as error:
        raise UserError(
            f"ImageNet weights of {name} are not on this machine and cannot be downloaded ({error}): "
            f"download {url} elsewhere and give its path, {name}:pretrained=FILE.safetensors"
        ) from error
