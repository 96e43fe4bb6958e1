"""Heatmap from relative positions: a pixel is scored by where around it ink lies, over the whole image.

A shape context (Belongie, Malik and Puzicha 2002) describes a point by how many others lie in each bin of relative
position, fine near by and coarse far away. Here every pixel has one, of ink that is learned too, and a hidden layer of
sigmoids on it gives its score; the point is read off the softmax of the scores, as off any heatmap. So

    ink      s = r^n / (r^n + t^n), where r = w . intensity: a pixel by itself (Naka and Rushton 1966)
    context  m(bin) = 1 - exp(-2 sum of s over the pixels in that bin, seen from here)
    score    v . sigmoid(A m + b) + u . s + c

The context saturates, so that one pixel alone weighs about as much as many: with plain sums the pixels that usually
come in numbers share the weight, and one that comes alone, which may be what decides, weighs too little. In the words
of networks the sum is a convolution as large as the image whose kernel is constant over bins; such bins are those of
T5's attention (Raffel et al. 2020), an axis each: 0 and, in either direction, 1, 2 to 3, 4 to 7, and so on by octaves,
the last without an end. Weights, and the threshold t, start at random: nothing says which bins count, with which sign,
or that one axis goes before the other. The score knows no coordinates, so the answer moves with the ink to any canvas.

What is built in: black is never ink, so that a threshold may come down to the faintest grey; what is asked of a bin is
whether it holds ink, far more than how much; and bins lie along rows and columns, which helps where the rule is made of
these. ``octaves=0`` gives each offset a bin of its own, and no such help. It is for points that ink near and far rules
in or out. ``center`` is out of its reach: with two octaves it knows that ink lies farther off, not how far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from detectors.heatmap import Heatmap
from detectors.layers.intensity import Intensity, channels
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, TrainConfig

LOWEST, HIGHEST = 0.3, 0.8  # first thresholds, as `detectors.extrema` draws them: 18 to 170 of 255
BETAS = (0.9, 0.99)


def bins_of(size: int, edges: Tensor) -> Tensor:
    """Which bin of relative position each cell of a line lies in, seen from each other.

    Args:
        size: Cells of the line.
        edges: (E,) int64, where bins begin, rising from 1; the last has no end.

    Returns:
        (2 E + 1, size, size) float32, 1 at [bin, there, here]; bin E is the cell itself, those before it lie before it.
    """
    at = torch.arange(size, device=edges.device)
    offset = at[:, None] - at
    signed = torch.bucketize(offset.abs(), edges, right=True) * offset.sign()
    return F.one_hot(signed + len(edges), 2 * len(edges) + 1).movedim(-1, 0).float()


class Context(nn.Module):
    """What lies where, seen from each pixel: (B, C, H, W) of amounts from 0 to (B, C n^2, H, W) in [0, 1], n bins an axis.

    Args:
        edges: Where bins begin, along either axis and in either direction; see `bins_of`.
    """

    edges: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        self.register_buffer("edges", edges, persistent=False)
        self.bins = (2 * len(edges) + 1) ** 2

    def forward(self, amounts: Tensor) -> Tensor:
        """1 - exp(-2 m) of the amount m in each bin, in the order (channel, bin of y, bin of x)."""
        height, width = amounts.shape[2:]
        rows = bins_of(height, self.edges).transpose(1, 2).flatten(0, 1)  # (n H, H)
        columns = bins_of(width, self.edges).movedim(1, 0).flatten(1)  # (W, n W)
        # (B, C, n, H, n, W)
        sums = (rows @ amounts @ columns).unflatten(2, (-1, height)).unflatten(4, (-1, width))  # type: ignore[no-untyped-call]
        return -torch.expm1(-2 * sums.transpose(3, 4).flatten(1, 3))


class ShapeContextMaps(nn.Module):
    """Ink, its shape context at every pixel, a hidden layer, and a map a keypoint.

    Args:
        inputs: Channels of the image as it is shown.
        keypoints: Maps in the answer.
        hidden: Units of the hidden layer; with 0 a map is a weighted sum of the context.
        inks: How many kinds of ink it may tell apart.
        edges: Where bins begin.
    """

    def __init__(self, inputs: int, keypoints: int, hidden: int, inks: int, edges: Tensor) -> None:
        super().__init__()
        self.ink = nn.Conv2d(inputs, inks, 1, bias=False)
        nn.init.constant_(self.ink.weight, 1 / inputs)
        drawn = LOWEST + (HIGHEST - LOWEST) * (torch.arange(inks) + torch.rand(inks)) / inks
        self.threshold = nn.Parameter(drawn.log()[:, None, None])
        self.exponent = nn.Parameter(torch.tensor(math.log(2.0)))
        self.context = Context(edges)
        self.hidden = nn.Conv2d(inks * self.context.bins, hidden or keypoints, 1)
        nn.init.normal_(self.hidden.weight, std=0.05)
        self.out = nn.Conv2d(hidden + inks, keypoints, 1) if hidden else None

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, keypoints, H, W) of images (B, inputs, H, W)."""
        response = self.ink(images).clamp(min=1e-6).log()
        ink = torch.sigmoid(self.exponent.exp() * (response - self.threshold))
        maps: Tensor = self.hidden(self.context(ink))
        return maps if self.out is None else self.out(torch.cat([torch.sigmoid(maps), ink], 1))


class ShapeContext(Heatmap):
    """A heatmap whose pixels are scored by the ink around them, in bins of relative position over the whole image.

    Args:
        hidden: Units of the hidden layer; 0 for none.
        octaves: Bins along an axis in either direction, each twice as long as the one before it, the last without an
            end; with 0, each offset up to the side of the training images is a bin.
        inks: How many kinds of ink it may tell apart.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        epochs: Passes over the training split, unless a budget says otherwise.
        augment: See `TorchDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="Belongie, Malik and Puzicha 2002 (shape contexts); Raffel et al. 2020 (bins of relative position)",
        has_confidence=True,
        ablation={"hidden": 0},
    )
    train_config: TrainConfig = TrainConfig(
        epochs=24, least_steps=LEAST_STEPS, batch=32, lr=0.03, optimizer="adamw", schedule="onecycle"
    )
    amp: ClassVar[bool] = False  # bfloat16 can't tell grey 127 from 128
    history_images: ClassVar[int] = 256

    def __init__(
        self,
        hidden: int = 8,
        octaves: int = 2,
        inks: int = 1,
        intensity: Intensity = "both",
        epochs: int = 24,
        augment: str = "",
    ) -> None:
        if hidden < 0 or octaves < 0 or inks < 1:
            raise ValueError("hidden and octaves are whole numbers from 0, and inks from 1")
        super().__init__(intensity=intensity, augment=augment)
        self.hidden, self.octaves, self.inks = hidden, octaves, inks
        self.train_config = type(self).train_config.with_epochs(epochs)

    def build(self, geometry: Geometry) -> nn.Module:
        """The network; with bins of one offset each, as many as the training images have."""
        side = max(geometry.height, geometry.width, 2)
        edges = 2 ** torch.arange(self.octaves) if self.octaves else torch.arange(1, side)
        inputs = channels(geometry.channels, self.intensity)
        return ShapeContextMaps(inputs, geometry.keypoints, self.hidden, self.inks, edges)

    def groups(self, model: nn.Module) -> Iterable[dict[str, Any]]:
        """What is ink learns faster than the rest: few images tell, and only until the rest has learned to do without."""
        net, lr = cast(ShapeContextMaps, model), self.train_config.lr
        scores = [*net.hidden.parameters(), *(net.out.parameters() if net.out is not None else ())]
        return [
            {"params": scores, "lr": lr, "betas": BETAS},
            {"params": [*net.ink.parameters(), net.threshold], "lr": 20 / 3 * lr, "betas": BETAS},
            {"params": [net.exponent], "lr": 2 / 3 * lr, "betas": BETAS},
        ]
