"""The power laws that a learning curve may follow, each weighed by how well it agrees with what was measured.

The error is taken to follow an inverse power law that may have begun late and may end on a floor,

    error(n) = a + b (n + d)^-c,      a, b, d >= 0

(Cortes et al., Learning curves: asymptotic values and rate of convergence, NIPS 1993; the four parameters are POW4 of Mohr
et al., LCDB 1.0, ECML PKDD 2022). For shares it is the odds of a failure that do, for a share cannot exceed 1. A few sizes
hardly ever tell a slow fall without a floor from a fast one onto a floor, so nothing is estimated: every law on a grid
counts by its likelihood, all equally likely before. Its level is integrated out. That no curve is quite a power law is in
the covariance: `MISFIT` at each size, and as much again for each doubling beyond the last. The chance that n images reach a
target is then a weighted sum of normal probabilities, and nothing is drawn at random.

Measured on stored curves (``scripts/backtest_learning_curves.py``): without the late beginning four of ten curves leave
their 95 % interval, for many detectors learn nothing to speak of from their first images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtr

from benchmark.structures import FloatArray, IntArray

MISFIT = 0.03
"""Relative error by which a curve departs from any power law, at each size and for each doubling beyond the largest."""

FARTHEST = 8.0
"""Nothing is foretold for more than so many times the largest size."""

NEGLIGIBLE = 1e-7
"""A law with a smaller weight is left out, all of them together less than a thousandth."""

EXPONENTS = np.geomspace(0.05, 6.0, 36)
FLOORS = np.linspace(0.0, 1.0, 21)  # of the error at the largest size
DELAYS = np.array([0.0, 0.1, 0.3, 1.0, 3.0, 10.0])  # of the largest size


@dataclass(frozen=True, eq=False)
class Laws:
    """The laws a curve may follow, and how likely each is.

    Attributes:
        largest: The size that they are set against.
        exponents: (L,) float64, c.
        floors: (L,) float64, a, as a share of the error (the odds) at the largest size.
        delays: (L,) float64, d over the largest size.
        levels: (L,) float64, the logarithm of each law at the largest size.
        weights: (L,) float64, sum 1.
        variance: Of a level.
        p_value: Of the law that fits best.
    """

    largest: int
    exponents: FloatArray
    floors: FloatArray
    delays: FloatArray
    levels: FloatArray
    weights: FloatArray
    variance: float
    p_value: float

    def chance(self, target: float, sizes: FloatArray | IntArray) -> FloatArray:
        """The probability that so many images reach a target.

        Args:
            target: Logarithm of an error, or of odds.
            sizes: (m,) float64, training images; infinite for ever more.

        Returns:
            (m,) float64.
        """
        ratios = np.asarray(sizes, dtype=np.float64) / self.largest
        shape = _shape(ratios[:, None], self.exponents, self.floors, self.delays)
        doublings = np.log2(np.clip(ratios, 1.0, FARTHEST))
        spread = np.sqrt(self.variance + (MISFIT * doublings) ** 2)
        return np.asarray((self.weights * ndtr((target - self.levels - shape) / spread[:, None])).sum(axis=1))


def weigh(sizes: IntArray, logs: FloatArray, of_seeds: FloatArray, of_images: FloatArray) -> Laws:
    """Weigh the laws: the level of each is integrated out, and what is left of the sizes is its likelihood.

    Variances of a few seeds are mostly chance, so each is drawn halfway to the mean of all: none is small by luck.

    Args:
        sizes: (k,) int64, training images, rising.
        logs: (k,) float64, logarithms of the errors, or of odds.
        of_seeds: (k,) float64, the seeds' part of the variance of these.
        of_images: (k, k) float64, the images' part of their covariance.
    """
    grid = np.meshgrid(EXPONENTS, FLOORS, DELAYS, indexing="ij")
    exponents, floors, delays = (axis.ravel() for axis in grid)
    steadied = (of_seeds + of_seeds.mean()) / 2
    precision = np.linalg.inv(np.diag(steadied + MISFIT**2) + of_images)
    total = float(precision.sum())
    left = logs[:, None] - _shape((sizes / sizes[-1])[:, None], exponents, floors, delays)
    levels = precision.sum(axis=0) @ left / total
    left = left - levels
    squares = np.einsum("il,ij,jl->l", left, precision, left)
    weights = np.exp(-(squares - squares.min()) / 2)
    counted = weights > NEGLIGIBLE * weights.sum()
    return Laws(
        largest=int(sizes[-1]),
        exponents=exponents[counted],
        floors=floors[counted],
        delays=delays[counted],
        levels=levels[counted],
        weights=weights[counted] / weights[counted].sum(),
        variance=1 / total,
        p_value=float(chdtrc(max(len(sizes) - 3, 1), squares.min())),
    )


def _shape(ratios: FloatArray, exponents: FloatArray, floors: FloatArray, delays: FloatArray) -> FloatArray:
    """The logarithm of each law over its value at the largest size; ratios are sizes over the largest."""
    with np.errstate(divide="ignore"):
        falls = ((ratios + delays) / (1 + delays)) ** -exponents
        return np.asarray(np.log((1 - floors) * falls + floors))
