"""First and last ink as a layer that gradients flow through, and a head that chooses among them.

A logit a pixel gives the probability p that it is ink, each pixel on its own. With running products of (1 - p), the
transmittance of alpha compositing (Porter and Duff 1984; volume rendering, Max 1995), the probability that a row is the
first inked one is the product over all rows before it of "bare", times "not bare": a differentiable argmin over
positions. Twelve such laws, six an axis, are the extrema of the ink: the first and last inked line, and the first and
last inked cell within the first and last inked line of the other axis. Everything is summed in logarithms.

A keypoint's coordinate is half the sum of two extrema, or one of them; a softmax over the 21 pairs an axis (and over
ink channels) says which, moved by a small convolutional gate that sees the image. The result is a law over half pixels,
so learning is maximum likelihood, and the answer its median.

What is owed: the products to alpha compositing; a coordinate as the expectation of a law to soft-argmax and DSNT
(Nibali et al. 2018), which weigh every pixel alone, where here the first hit hides all others. What is added: laws of
first and last hits, conditional on each other, as candidates that a keypoint learns to select and to average. The
structure holds the rules of `topleft` and its like as candidates; what is ink, and which candidate, is learned.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PER_AXIS = 6  # extrema that give a coordinate of one axis


def extrema_laws(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S, H, W) ink logits to laws (B, S, 6, W) of x and (B, S, 6, H) of y."""
    bare, inked = F.logsigmoid(-logits), torch.sigmoid(logits)
    return _along(bare.transpose(-1, -2), inked.transpose(-1, -2)), _along(bare, inked)


def _along(bare: Tensor, inked: Tensor) -> Tensor:
    """(B, S, 6, L) from log P(bare) and P(ink), both (B, S, L, M): over the L lines, the laws of the first and the last
    inked line, then of the first and last inked cell of the first inked column, and of the last one."""
    lines, cells = bare.shape[-2:]
    earlier_line = bare.new_ones(lines, lines).tril(-1)
    earlier_cell = bare.new_ones(cells, cells).tril(-1)
    line = bare.sum(-1)
    hit = -torch.expm1(line)
    first = torch.exp(line @ earlier_line.T) * hit
    last = torch.exp(line @ earlier_line) * hit
    column = bare.sum(-2)
    before = torch.exp(column @ earlier_cell.T)  # P(all columns before are bare)
    after = torch.exp(column @ earlier_cell)
    above = torch.exp(earlier_line @ bare) * inked  # (L, M): P(first in its column)
    below = torch.exp(earlier_line.T @ bare) * inked
    ends = torch.stack([before, after], -1)  # (B,S,M,2)
    inner = torch.cat([above @ ends, below @ ends], -1)  # first in first, first in last, last in first, last in last
    return torch.cat([first.unsqueeze(-2), last.unsqueeze(-2), inner.transpose(-1, -2)], -2)


def half_pixel_law(laws: Tensor, pairs: Tensor) -> Tensor:
    """(B, K, 2L - 1): the law of half the sum of two independent extrema, in half pixels from 0.

    laws: (B, S, 6, L). pairs: (B, K, S, 6, 6), how much each pair counts; the diagonal is the extremum itself.
    """
    b, s, e, n = laws.shape
    k = pairs.shape[1]
    flat = laws.reshape(b, s * e, n)
    own = torch.diagonal(pairs, dim1=-2, dim2=-1).reshape(b, k, s * e)
    cross = pairs - torch.diag_embed(torch.diagonal(pairs, dim1=-2, dim2=-1))
    second = torch.einsum("bksij,bsjn->bksin", cross, laws).reshape(b, k, s * e, n)
    joint = torch.einsum("bim,bkin->bkmn", flat, second)
    joint = F.pad(joint, (0, n)).reshape(b, k, 2 * n * n)[..., : n * (2 * n - 1)].reshape(b, k, n, 2 * n - 1)
    law = joint.sum(-2)
    whole = own @ flat
    return law + torch.stack([whole, torch.zeros_like(whole)], -1).reshape(b, k, 2 * n)[..., :-1]


class ExtremaHead(nn.Module):
    """From (B, C, H, W) features of stride 1 to the laws of K keypoints: x (B, K, 2W - 1) and y (B, K, 2H - 1).

    inks: how many kinds of ink it may tell apart. gate: width of the convolutions that see the image; 0: none.
    """

    upper: Tensor

    def __init__(self, channels: int, keypoints: int, inks: int = 4, gate: int = 16, sharpness: float = 20.0):
        super().__init__()
        self.keypoints, self.inks = keypoints, inks
        self.ink = nn.Conv2d(channels, inks, 1)
        self.gain = nn.Parameter(torch.tensor(math.log(sharpness)))
        upper = torch.triu(torch.ones(PER_AXIS, PER_AXIS, dtype=torch.bool)).flatten().nonzero().squeeze(1)
        self.register_buffer("upper", upper, persistent=False)
        self.which_ink = nn.Parameter(torch.zeros(keypoints, 1, inks))
        self.which_pair = nn.Parameter(torch.randn(keypoints, 2, len(upper)))
        out = nn.Linear(2 * gate, self.which_pair.numel()) if gate else None
        if out is not None:  # the gate starts silent
            nn.init.zeros_(out.weight)
            nn.init.zeros_(out.bias)
        self.gate = (
            nn.Sequential(
                nn.Conv2d(channels, gate, 5, stride=2, padding=2),
                nn.ReLU(),
                nn.Conv2d(gate, 2 * gate, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(2 * gate, 2 * gate, 3, stride=1, padding=1),
                nn.ReLU(),
                nn.AdaptiveMaxPool2d(1),
                nn.Flatten(),
                out,
            )
            if out is not None
            else None
        )

    def logits(self, features: Tensor) -> Tensor:
        """(B, S, H, W): how surely each pixel is ink of each kind."""
        found: Tensor = self.gain.exp() * self.ink(features)
        return found

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The laws of x and of y, over half pixels from 0; each sums to at most 1 (the rest: no ink at all)."""
        b = len(features)
        chosen = self.which_pair.expand(b, -1, -1, -1)
        if self.gate is not None:
            chosen = chosen + self.gate(features).view(b, *self.which_pair.shape)
        w = torch.softmax(chosen, -1)[..., None, :] * torch.softmax(self.which_ink, -1)[..., None]  # B,K,2,S,21
        pairs = w.new_zeros(*w.shape[:-1], PER_AXIS * PER_AXIS).index_copy(-1, self.upper, w)
        pairs = pairs.view(*w.shape[:-1], PER_AXIS, PER_AXIS)
        x, y = extrema_laws(self.logits(features))
        return half_pixel_law(x, pairs[:, :, 0]), half_pixel_law(y, pairs[:, :, 1])
