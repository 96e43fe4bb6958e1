"""The convolution block that every backbone here is made of: convolution, batch normalisation (Ioffe 2015), ReLU."""

from __future__ import annotations

from typing import Literal

from torch import nn

PaddingMode = Literal["zeros", "circular"]


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> nn.Sequential:
    """A convolution without bias, batch normalisation, and ReLU; at stride 1 height and width are kept.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel in cells, odd.
        stride: Step of the kernel in cells.
        dilation: Distance between the kernel's taps in cells.
        padding_mode: What lies beyond the border: ``zeros``, or ``circular``, the opposite side of the image.

    Returns:
        A module from (B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False, padding_mode=padding_mode
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
