"""First and last ink as a layer that gradients flow through, and a head that chooses among them.

A logit a pixel gives the probability p that it is ink, each pixel on its own. With running products of (1 - p), the
transmittance of alpha compositing (Porter and Duff 1984; volume rendering, Max 1995), the probability that a row is the
first inked one is the product over all rows before it of "bare", times "not bare": a differentiable argmin over
positions. Twelve such distributions, six an axis, are the extrema of the ink: the first and last inked line, and the
first and last inked cell within the first and last inked line of the other axis. Everything is summed in logarithms.

A keypoint's coordinate is half the sum of two extrema, or one of them; a softmax over the 21 pairs an axis (and over
ink channels) says which, moved by a small convolutional gate that sees the image. Learning is maximum likelihood: what
is the probability of the true coordinate? An answer is read from the likeliest ink (p > 1/2) and is the median over the
choices, as a heatmap answers with its argmax; so it is exact or not, and moves with the image to any canvas.

Taken from others: the products from alpha compositing; a coordinate as the expectation of a distribution from
soft-argmax and DSNT (Nibali et al. 2018), which weigh every pixel alone, where here the first hit hides all others.
Added here: distributions of first and last hits, conditional on each other, as candidates that a keypoint learns to
select and to average. The structure holds the rules of `topleft` and its like as candidates; what is ink, and which
candidate, is learned. A point that is no half-sum of extrema, like the centroid of the ink, is out of its reach.

Shapes: B images, S kinds of ink, K keypoints, (H, W) px, and L = W along x or H along y.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detectors.layers.labelled import select

PER_AXIS = 6  # extrema that give a coordinate of one axis
PAIRS = tuple((i, j) for i in range(PER_AXIS) for j in range(i, PER_AXIS))  # (i, i) is the extremum itself
BETAS = (0.9, 0.95)  # of Adam: the last image that is wrong must not be weighed by the gradients of the first epochs
FLOOR = 1e-6  # of a probability, so that a distribution that excludes the target still has a finite loss


def extrema_distributions(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The distribution of each extremum, where pixels are ink independently of each other.

    Along x: the first and the last inked column, then the first inked column of the first inked row and of the last
    one, then the last inked column of these two. Along y: the same, rows and columns exchanged.

    Args:
        logits: (B, S, H, W), of the probability that a pixel is ink.

    Returns:
        (B, S, 6, W) of x and (B, S, 6, H) of y; each distribution sums to P(any ink).
    """
    bare, inked = F.logsigmoid(-logits), torch.sigmoid(logits)
    return _along(bare.transpose(-1, -2), inked.transpose(-1, -2)), _along(bare, inked)


def _along(bare: Tensor, inked: Tensor) -> Tensor:
    """(B, S, 6, L) from log P(bare) and P(ink), both (B, S, L, M), over the L lines."""
    lines, cells = bare.shape[-2:]
    earlier_line = bare.new_ones(lines, lines).tril(-1)
    earlier_cell = bare.new_ones(cells, cells).tril(-1)
    line = bare.sum(-1)
    hit = -torch.expm1(line)
    first = torch.exp(line @ earlier_line.T) * hit
    last = torch.exp(line @ earlier_line) * hit
    across = bare.sum(-2)
    before = torch.exp(across @ earlier_cell.T)  # P(everything before is bare)
    after = torch.exp(across @ earlier_cell)
    above = torch.exp(earlier_line @ bare) * inked  # (L, M): P(first of its cross line)
    below = torch.exp(earlier_line.T @ bare) * inked
    ends = torch.stack([before, after], -1)  # (B, S, M, 2)
    inner = torch.cat([above @ ends, below @ ends], -1)  # first in first, first in last, last in first, last in last
    return torch.cat([first.unsqueeze(-2), last.unsqueeze(-2), inner.transpose(-1, -2)], -2)


def mask_extrema(ink: Tensor) -> tuple[Tensor, Tensor]:
    """The extrema of a mask, in the order of `extrema_distributions`.

    Args:
        ink: (B, S, H, W) bool.

    Returns:
        (B, S, 6) int64 each for x and y, px. Where there is no ink, first is 0 and last is the far edge.
    """
    return _ends(ink.transpose(-1, -2)), _ends(ink)


def _ends(ink: Tensor) -> Tensor:
    """(B, S, 6) from a mask (B, S, L, M), over the L lines."""
    cross = _first_last(ink.any(-2))  # two (B, S): the first and last inked cross line
    places = [c[..., None, None].expand(*ink.shape[:-1], 1) for c in cross]
    ends = [_first_last(ink.gather(-1, place).squeeze(-1)) for place in places]
    (first_in_first, last_in_first), (first_in_last, last_in_last) = ends
    both = (*_first_last(ink.any(-1)), first_in_first, first_in_last, last_in_first, last_in_last)
    return torch.stack(both, -1)


def _first_last(line: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (...) of the first and the last true value of (..., L) bool."""
    values = line.to(torch.uint8)
    return values.argmax(-1), line.shape[-1] - 1 - values.flip(-1).argmax(-1)


def pair_likelihood(distributions: Tensor, place: Tensor) -> Tensor:
    """For every pair of extrema, P(half the sum of two independent ones is ``place`` half pixels).

    Args:
        distributions: (B, S, 6, L), of the extrema along one axis.
        place: (B, K) int64 in [0, 2 L - 2], half pixels.

    Returns:
        (B, K, S, 21), in the order of `PAIRS`. A pair (i, i) is the extremum itself.
    """
    b, s, e, n = distributions.shape
    k = place.shape[1]
    other = place[..., None] - torch.arange(n, device=place.device)  # with m here, the rest must be there
    inside = ((other >= 0) & (other < n)).to(distributions.dtype)
    spread = distributions[:, None].expand(b, k, s, e, n)
    reach = other.clamp(0, n - 1)[:, :, None, None].expand(b, k, s, e, n)
    mirrored = spread.gather(-1, reach) * inside[:, :, None, None]
    joint = torch.einsum("bsim,bksjm->bksij", distributions, mirrored)
    half = (place // 2)[:, :, None, None, None].expand(b, k, s, e, 1)
    own = spread.gather(-1, half).squeeze(-1) * (place % 2 == 0)[:, :, None, None]
    parts = [own[..., i] if i == j else joint[..., i, j] for i, j in PAIRS]
    return torch.stack(parts, -1)


def negative_log_likelihood(distributions: Tensor, choice: Tensor, target: Tensor) -> Tensor:
    """How unlikely the true coordinates along one axis are; one between two half pixels is shared by them.

    Args:
        distributions: (B, S, 6, L), of the extrema.
        choice: (B, K, S, 21), the probability of each pair.
        target: (B, K) px.

    Returns:
        (B, K) nats.
    """
    cells = 2 * distributions.shape[-1] - 1
    place = (2 * target).clamp(0, cells - 1)
    low = place.floor().clamp(max=max(cells - 2, 0))
    share = place - low
    near = torch.cat([low, low + 1], 1).long()
    likelihood = (pair_likelihood(distributions, near) * torch.cat([choice, choice], 1)).sum((-1, -2))
    logs = torch.log(likelihood * (1 - FLOOR) + FLOOR / cells)
    below, above = logs.chunk(2, 1)
    return -((1 - share) * below + share * above)


class ExtremaHead(nn.Module):
    """From features of stride 1 (B, C, H, W) to K points, through what it holds for ink.

    A pixel's logit is sharpness * (w . features / threshold - 1): -sharpness where the features are 0, and 0 where they
    reach the threshold. The two are learned apart, in logarithms, so that a threshold may come down to the faintest ink
    without making ink of the black beside it, of which there is so much more.

    Args:
        channels: Channels C of the features.
        keypoints: Number of keypoints K.
        inks: How many kinds of ink S it may tell apart.
        gate: Width of the convolutions that see the features and move the choice; 0 for none.
        sharpness: Where the sharpness starts.
        threshold: Where the thresholds start, in the unit of the features.
    """

    first: Tensor
    second: Tensor

    def __init__(
        self,
        channels: int,
        keypoints: int,
        inks: int = 2,
        gate: int = 16,
        sharpness: float = 10.0,
        threshold: float = 1.0,
    ) -> None:
        super().__init__()
        self.keypoints, self.inks = keypoints, inks
        self.ink = nn.Conv2d(channels, inks, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(math.log(sharpness)))
        self.threshold = nn.Parameter(torch.full((inks, 1, 1), math.log(threshold)))
        self.which_ink = nn.Parameter(torch.zeros(keypoints, inks))
        self.which_pair = nn.Parameter(torch.randn(keypoints, 2, len(PAIRS)))
        self.register_buffer("first", torch.tensor([i for i, _ in PAIRS]), persistent=False)
        self.register_buffer("second", torch.tensor([j for _, j in PAIRS]), persistent=False)
        self.gate = _gate(channels, gate, self.which_pair.numel()) if gate else None

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """The optimiser's parameter groups: sharpness and choice fast, ink slower, and the gate slowest.

        The gate's steps shrink with its gradient (by Adam's epsilon), so that it stays silent where nothing is left to
        explain.

        Args:
            lr: The peak learning rate, of which each group has a share.

        Returns:
            Four groups, with their own ``lr``, ``betas`` and ``eps``.
        """
        gate = [] if self.gate is None else list(self.gate.parameters())
        return [
            {"params": [self.which_pair, self.which_ink], "lr": lr, "betas": BETAS},
            {"params": [self.sharpness], "lr": 2 * lr, "betas": BETAS},
            {"params": [self.ink.weight, self.threshold], "lr": 0.4 * lr, "betas": BETAS},
            {"params": gate, "lr": lr / 15, "eps": 1e-4},
        ]

    def logits(self, features: Tensor) -> Tensor:
        """(B, S, H, W): the logit of the probability that each pixel is ink of each kind."""
        logits: Tensor = self.sharpness.exp() * (self.ink(features) * torch.exp(-self.threshold) - 1)
        return logits

    def choice(self, features: Tensor) -> Tensor:
        """(B, K, 2, S, 21): the probability of each pair of extrema and kind of ink, for x and for y."""
        scores = self.which_pair.expand(features.shape[0], -1, -1, -1)
        if self.gate is not None:
            scores = scores + self.gate(features).view_as(scores)
        return torch.softmax(scores, -1)[..., None, :] * torch.softmax(self.which_ink, -1)[:, None, :, None]

    def loss(self, features: Tensor, points: Tensor, labelled: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood (nats) of points (B, K, 2) px, over those labelled (B, K)."""
        distributions, choice = extrema_distributions(self.logits(features)), self.choice(features)
        parts = [negative_log_likelihood(distributions[a], choice[:, :, a], points[..., a]) for a in (0, 1)]
        return select(parts[0] + parts[1], labelled).mean()

    def decode(self, features: Tensor) -> Tensor:
        """(B, K, 2) px, a half pixel at the finest: the median over the choices, each read from the likeliest ink."""
        extrema, choice = mask_extrema(self.logits(features) > 0), self.choice(features).flatten(3)
        medians = []
        for a in (0, 1):
            place = (extrema[a][..., self.first] + extrema[a][..., self.second]).flatten(1)  # (B, S * 21) half pixels
            place, order = place.sort(-1)
            mass = choice[:, :, a].gather(-1, order[:, None].expand_as(choice[:, :, a])).cumsum(-1)
            at = (mass < mass[..., -1:] / 2).sum(-1)
            medians.append(place.gather(-1, at) / 2)
        return torch.stack(medians, -1)


def _gate(channels: int, width: int, outputs: int) -> nn.Sequential:
    """(B, C, H, W) to (B, outputs): three convolutions and their largest answer anywhere; silent before it learns."""
    out = nn.Linear(2 * width, outputs)
    nn.init.zeros_(out.weight)
    nn.init.zeros_(out.bias)
    return nn.Sequential(
        nn.Conv2d(channels, width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        out,
    )
