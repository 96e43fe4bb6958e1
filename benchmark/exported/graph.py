"""A fitted detector as one graph, from the bytes of an image to pixels of it: nobody outside resizes or adds half a pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.exported.resizing import rows_first, window_weights
from benchmark.windows import Window


class WholeGraph(nn.Module):
    """Images as they are to points in their pixels: the window of `Framed`, the network, its decoding, and the way back.

    Args:
        network: What `Detector.graph` gave.
        window: How an image of this size is shown.
        size: (height, width) px of the images.
        colour: Whether images are RGB.
    """

    rows: Tensor
    columns: Tensor
    corner: Tensor

    def __init__(self, network: Any, window: Window, size: tuple[int, int], colour: bool) -> None:
        super().__init__()
        self.network, self.colour, self.scale = network, colour, float(window.scale)
        self.resizes = window != Window.whole(size, size)
        self.rows_first = self.resizes and rows_first(window, *size)
        rows, columns = window_weights(window, *size)
        self.register_buffer("rows", torch.from_numpy(rows))
        self.register_buffer("columns", torch.from_numpy(columns.T.copy()))
        self.register_buffer("corner", torch.from_numpy(window.to_canvas(0 * rows[0, :2])))

    def shown(self, images: Tensor) -> Tensor:
        """What the network is shown: the bytes of `Window.render`, as (N, C, h, w) float32 in [0, 1]."""
        pixels = images.permute(0, 3, 1, 2) if self.colour else images.unsqueeze(1)
        if self.resizes:
            exact = pixels.double()
            if self.rows_first:
                pixels = _rounded(_rounded(self.rows @ exact) @ self.columns)
            else:
                pixels = _rounded(self.rows @ _rounded(exact @ self.columns))
        return pixels.float() / 255

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Points of images.

        Args:
            images: (N, H, W) uint8, or (N, H, W, 3) uint8 RGB.

        Returns:
            (N, K, 2) float64 px (x, y) of these images, an integer being a pixel's centre; and (N,) float64 confidences.
        """
        points, scores = self.network(self.shown(images))
        return (points.double() - self.corner) / self.scale, scores.double()


def _rounded(values: Tensor) -> Tensor:
    """Whole grey levels, halves upwards, as Pillow rounds."""
    return torch.floor(values + 0.5).clamp(0, 255)
