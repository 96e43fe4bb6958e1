"""Residual log-likelihood (Li 2021, "Human pose regression with residual log-likelihood estimation").

The network gives a point mu and a width sigma. The error, in units of sigma, is held to follow the product of a Laplace
density Q and a correction G that a normalising flow (RealNVP, Dinh 2017) learns with it (eq. 7-9, their normalising
constant s taken as 1, as in the paper's code):

    e = (mu - target) / sigma        loss = sum over x, y of (log sigma + |e| + log 2) - log G(e)

log sigma, from changing variables, is counted once; the paper's code adds it in both terms. The flow is of use in
training only: mu is the answer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LAYERS, HIDDEN = 6, 64


class RealNVP(nn.Module):
    """A density on the plane: `LAYERS` affine couplings, x and y taking turns, from a standard normal."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(LAYERS // 2, 1))

        def net() -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(2, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, 2)
            )

        self.shift, self.stretch = (nn.ModuleList(net() for _ in range(LAYERS)) for _ in range(2))

    def log_prob(self, x: Tensor) -> Tensor:
        """(N, 2) points of the plane to (N,) log densities, in nats."""
        log_det = x.new_zeros(len(x))
        for i in reversed(range(LAYERS)):
            kept, moved = self.mask[i], 1 - self.mask[i]
            s = torch.tanh(self.stretch[i](x * kept)) * moved
            x = x * kept + moved * (x - self.shift[i](x * kept)) * torch.exp(-s)
            log_det = log_det - s.sum(1)
        return log_det - 0.5 * x.square().sum(1) - math.log(2 * math.pi)


def rle_loss(mu: Tensor, sigma: Tensor, target: Tensor, flow: RealNVP) -> Tensor:
    """The negative log-likelihood of the targets, less a constant.

    Args:
        mu: (B, K, 2), the network's points.
        sigma: (B, K, 2), the network's widths, above 0, in the unit of ``mu``.
        target: (B, K, 2), in the unit of ``mu``.
        flow: The learned correction to the Laplace density.

    Returns:
        A scalar, the mean over images and keypoints, in nats.
    """
    error = (mu - target) / sigma
    learned = flow.log_prob(error.reshape(-1, 2)).mean()
    return (torch.log(sigma) + error.abs() + math.log(2)).sum(2).mean() - learned
