"""Backbones: from an image to a grid of features, or to one map a keypoint at the image's own resolution.

Feature backbones, (B, C, H, W) to (B, D, h, w), by name (`make_backbone`):

    raw      the pixels themselves (D = C): what a head can do alone
    conv     3 x 3 convolutions at stride 1; with ``zeros`` padding they can tell where the border is, with ``circular``
             padding they can't, so that under a global pooling such a network can't know where anything is
    other    a model of timm (Wightman 2019) without its classifier, at the image's own size: ``resnet18``,
             ``mobilenetv3_small_100``; vision transformers (``vit_*``, ``deit_*``) take patches of `PATCH` px and keep
             `DEPTH` of their blocks, so that 28 px give 7 x 7 tokens

Map backbones, (B, C, H, W) to (B, outputs, H, W), by name (`make_map_backbone`):

    unet     Ronneberger 2015 with two poolings, batch normalisation, nearest-neighbour upsampling and one convolution
             where two resolutions meet; it sees the whole of a 28 px image
    conv     5 x 5 convolutions at stride 1; six of them see 25 px
    strided  a U-Net at stride 4: two convolutions with stride 2, then three poolings, so that 32 px meet in a cell; its
             maps have a cell for 4 x 4 px, (B, outputs, H / 4, W / 4). For photographs, whose points are known to a few
             pixels at best: in cells a map is easier to learn, and costs a sixteenth (see `detectors.layers.cells`)

Images come as [0, 1] without normalisation; `detectors.layers.intensity` may show their logarithm instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from detectors.layers.blocks import PaddingMode, conv_bn_relu

MapBackbone = Literal["unet", "conv", "strided"]
PATCH, DEPTH = 4, 4  # px a side of a vision transformer's patches, and how many of its blocks are kept
VISION_TRANSFORMERS = ("vit_", "deit_")


class ConvBackbone(nn.Sequential):
    """Convolutions of 3 x 3 at stride 1: (B, channels, H, W) to (B, width, H, W).

    Args:
        channels: Channels of the image.
        width: Channels of every layer.
        depth: Number of layers.
        padding: What lies beyond the border.
    """

    def __init__(self, channels: int, width: int, depth: int, padding: PaddingMode) -> None:
        super().__init__(
            *(conv_bn_relu(channels if i == 0 else width, width, padding_mode=padding) for i in range(depth))
        )


class TimmBackbone(nn.Module):
    """A timm model's last feature map, or its patch tokens as a grid: (B, channels, H, W) to (B, D, h, w).

    Args:
        name: Name of a timm model.
        channels: Channels of the image.
        size: (height, width) of the image in px.
    """

    def __init__(self, name: str, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.patched = name.startswith(VISION_TRANSFORMERS)
        self.net = _create(name, channels, size)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, D, h, w) of images (B, channels, H, W)."""
        height, width = images.shape[-2:]
        net = cast(Any, self.net)
        if not self.patched:
            return cast(Tensor, net.forward_features(images))
        images = F.pad(images, (0, -width % PATCH, 0, -height % PATCH))
        tokens: Tensor = net.forward_features(images)[:, net.num_prefix_tokens :]
        rows, columns = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        return tokens.transpose(1, 2).reshape(images.shape[0], -1, rows, columns)

    def load_imagenet(self, name: str, channels: int, size: tuple[int, int], file: str) -> None:
        """Replace the network by one with ImageNet weights, which timm adapts to the channels and the size.

        Args:
            name: Name of a timm model.
            channels: Channels of the image.
            size: (height, width) of the image in px.
            file: Path of a .safetensors file of its weights; "" takes them from timm's hub.

        Raises:
            UserError: Where the weights can't be had, or the file's are another network's.
        """
        if not file:
            _require_downloadable(name)
            self.net = _create(name, channels, size, pretrained=True)
            return
        path = _weights_file(name, file)
        _require_whole(path, name, self.net)
        try:
            self.net = _create(name, channels, size, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
        except RuntimeError as error:  # PyTorch lists every shape that differs
            raise UserError(f"pretrained={path}: has weights of other shapes than {name}'s") from error


class UNet(nn.Module):
    """U-Net with two poolings: (B, inputs, H, W) to (B, outputs, H, W).

    Any height and width will do: black is added up to a multiple of 4 and cut off again.

    Args:
        inputs: Channels of the image.
        outputs: Maps in the answer.
        width: Channels at full resolution; twice and four times as many at half and quarter resolution.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.encode_full = nn.Sequential(conv_bn_relu(inputs, width), conv_bn_relu(width, width))
        self.encode_half = nn.Sequential(conv_bn_relu(width, 2 * width), conv_bn_relu(2 * width, 2 * width))
        self.encode_quarter = nn.Sequential(conv_bn_relu(2 * width, 4 * width), conv_bn_relu(4 * width, 4 * width))
        self.decode_half = conv_bn_relu(6 * width, 2 * width)
        self.decode_full = nn.Sequential(conv_bn_relu(3 * width, width), conv_bn_relu(width, width))
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, outputs, H, W) of images (B, inputs, H, W)."""
        height, width = images.shape[-2:]
        full = self.encode_full(F.pad(images, (0, -width % 4, 0, -height % 4)))
        half = self.encode_half(F.max_pool2d(full, 2))
        quarter = self.encode_quarter(F.max_pool2d(half, 2))
        half = self.decode_half(torch.cat([F.interpolate(quarter, scale_factor=2.0), half], dim=1))
        full = self.decode_full(torch.cat([F.interpolate(half, scale_factor=2.0), full], dim=1))
        maps: Tensor = self.out(full)[..., :height, :width]
        return maps


class StridedUNet(nn.Module):
    """U-Net at stride 4 with three poolings: (B, inputs, H, W) to (B, outputs, ceil(H / 4), ceil(W / 4)).

    Any height and width will do: black is added up to a multiple of 32, and cells that lie in it are cut off again.

    Args:
        inputs: Channels of the image.
        outputs: Maps in the answer.
        width: Channels at stride 2 are three quarters of it; at stride 4 twice as many, at 8 and deeper twice and four
            times those.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        stem = max(1, 3 * width // 4)
        first, *deeper = (2 * stem * factor for factor in (1, 2, 4, 4))
        self.stem = nn.Sequential(conv_bn_relu(inputs, stem, stride=2), conv_bn_relu(stem, first, stride=2))
        pairs = list(zip((first, first, *deeper), (first, *deeper)))
        self.encode = nn.ModuleList(nn.Sequential(conv_bn_relu(a, b), conv_bn_relu(b, b)) for a, b in pairs)
        self.decode = nn.ModuleList(conv_bn_relu(a + b, a) for a, b in pairs[1:])
        self.out = nn.Conv2d(first, outputs, 1)
        self.to(memory_format=torch.channels_last)  # a quarter less time on a processor

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, outputs, h, w) of images (B, inputs, H, W)."""
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % 32, 0, -height % 32))
        x = self.stem(padded.contiguous(memory_format=torch.channels_last))
        levels = []
        for i, encode in enumerate(self.encode):
            x = encode(F.max_pool2d(x, 2) if i else x)
            levels.append(x)
        for decode, finer in zip(reversed(self.decode), levels[-2::-1]):
            x = decode(torch.cat([F.interpolate(x, scale_factor=2.0), finer], dim=1))
        maps: Tensor = self.out(x)[..., : -(-height // 4), : -(-width // 4)]
        return maps


class ConvMaps(nn.Sequential):
    """Convolutions of 5 x 5 at stride 1: (B, inputs, H, W) to (B, outputs, H, W).

    Args:
        inputs: Channels of the image.
        outputs: Maps in the answer.
        width: Channels of every layer.
        depth: Number of layers before the last, which is 1 x 1.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 16, depth: int = 6) -> None:
        layers = [conv_bn_relu(inputs if i == 0 else width, width, 5) for i in range(depth)]
        super().__init__(*layers, nn.Conv2d(width, outputs, 1))


def make_backbone(
    name: str, channels: int, size: tuple[int, int], *, width: int = 24, depth: int = 5, padding: PaddingMode = "zeros"
) -> nn.Module:
    """The feature backbone called ``name``, with random weights.

    Args:
        name: ``raw``, ``conv`` or the name of a timm model.
        channels: Channels of the image.
        size: (height, width) of the image in px.
        width: Channels of ``conv``.
        depth: Layers of ``conv``.
        padding: What lies beyond the border of ``conv``.

    Returns:
        A module from (B, channels, *size) to (B, D, h, w).
    """
    if name == "raw":
        return nn.Identity()
    if name == "conv":
        return ConvBackbone(channels, width, depth, padding)
    return TimmBackbone(name, channels, size)


def make_map_backbone(name: MapBackbone, inputs: int, outputs: int, width: int) -> nn.Module:
    """The map backbone called ``name``, with random weights.

    Args:
        name: ``unet`` or ``conv``.
        inputs: Channels of the image.
        outputs: Maps in the answer.
        width: Channels at full resolution.

    Returns:
        A module from (B, inputs, H, W) to (B, outputs, H, W).
    """
    if name == "strided":
        return StridedUNet(inputs, outputs, width)
    return (UNet if name == "unet" else ConvMaps)(inputs, outputs, width)


def feature_shape(backbone: nn.Module, channels: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """(D, h, w) of a backbone's features of images (B, channels, *size)."""
    was_training = backbone.training
    backbone.eval()
    with torch.no_grad():
        _, d, h, w = backbone(torch.zeros(1, channels, *size)).shape
    backbone.train(was_training)
    return d, h, w


def require_backbone(name: str) -> None:
    """Refuse a name that no feature backbone has.

    Raises:
        UserError: With the nearest names, where there are any: timm has too many to list.
    """
    import timm

    if name not in ("raw", "conv") and not timm.is_model(name):
        nearest = suggestion(name, ("raw", "conv", *timm.list_models()))
        raise UserError(
            f"backbone={name}: use raw, conv or a timm model" + (nearest if nearest.startswith(":") else "")
        )


def _create(name: str, channels: int, size: tuple[int, int], **more: Any) -> nn.Module:
    import timm

    options: dict[str, Any] = {"in_chans": channels, "num_classes": 0, "global_pool": ""}
    if name.startswith(VISION_TRANSFORMERS):
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


def _require_whole(path: Path, name: str, net: nn.Module) -> None:
    """UserError where a file lacks weights of the network, which timm would leave random without a word."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as held:
            known = set(held.keys())
    except (OSError, SafetensorError) as error:
        raise UserError(f"pretrained={path}: is not a safetensors file: {error}") from error
    missing = [key for key, _ in net.named_parameters() if key not in known]
    if missing:
        raise UserError(f"pretrained={path}: lacks {len(missing)} of {name}'s weights, as {missing[0]}")


def _require_downloadable(name: str) -> None:
    """UserError, before long retries begin, where timm's weights are neither cached nor to be downloaded."""
    import urllib.request

    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    hub = config.hf_hub_id if config is not None else None
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
