"""The two sources of chance in a mean over seeds and images, and the two-sided t interval made of them.

A mean over S seeds and N images that the seeds share has two sources of chance, and they cross:
``e[s, i] = mean + image[i] + seed[s] + rest[s, i]``. The mean squares of the two-way layout (Searle, Casella & McCulloch,
Variance Components, 1992, chapter 4) estimate

    seed part   B = s^2 / S,  s^2 the variance of the S seed means            (S - 1 degrees of freedom)
    image part  A = variance of the seed-averaged images / N, less the rest   (N - 1 degrees of freedom)

and the variance of the mean is A + B. The rest is taken out of A because s^2 / S holds it already: counted twice, two
rows that differ by noise alone would get a variance twice too large. The half width is

    h = sqrt(t(N-1)^2 A + t(S-1)^2 B),

each part with its own Student t (Banerjee, Sankhya 22, 1960), which is never narrower than promised for normal errors
whatever the ratio of A to B. One t with S - 1 degrees of freedom for both parts covers 99 % and more as soon as images
matter (exact where seeds alone do, and there the two agree); Satterthwaite's combined degrees of freedom cover too
little at few seeds, and far too little in the tails where a correction for many comparisons looks. With one seed B is
unknown: the interval holds images alone. Where images come in groups, read groups for images (``benchmark.statistics.groups``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.statistics.roots import decreasing_roots
from benchmark.structures import FloatArray, IntArray

TIE = 1e-9
"""px: two errors closer than this are the same error, so that rounding never decides a comparison."""

_LINEAR = 1e-4
"""Below this t the density of Student's t is flat to a part in 10^8, and p is linear in t to 10^-12."""


@dataclass(frozen=True, eq=False)
class Components:
    """Variance components of one mean, or of a batch of means that have their seeds and images in common.

    Attributes:
        mean: (...) float64, px.
        seeds: S.
        images: N, or the effective number of groups of images: the images' part has one degree of freedom less.
        image_part: (...) float64 px^2, A: the images' part of the variance of the mean; infinite with one image.
        seed_part: (...) float64 px^2, B: the seeds' part; 0 with one seed, where it is unknown.
        image_variance: (...) float64 px^2, variance between images.
        seed_variance: (...) float64 px^2, variance between seeds over infinitely many images.
        rest_variance: (...) float64 px^2, variance of one image with one seed beyond both.
    """

    mean: FloatArray
    seeds: int
    images: float
    image_part: FloatArray
    seed_part: FloatArray
    image_variance: FloatArray
    seed_variance: FloatArray
    rest_variance: FloatArray

    def planned(self, seeds: int, images: float) -> Components:
        """The components expected of the same mean with another number of seeds and images."""
        image = self.image_variance / images
        seed = (
            (self.seed_variance + self.rest_variance / images) / seeds if self.seeds > 1 else np.zeros_like(self.mean)
        )
        return Components(
            self.mean,
            seeds,
            max(int(images), 1),
            image,
            seed,
            self.image_variance,
            self.seed_variance,
            self.rest_variance,
        )

    def half_width(self, alpha: float) -> FloatArray:
        """Half the width of the interval that misses with probability ``alpha`` at most.

        Args:
            alpha: two-sided.

        Returns:
            (...) float64 px; infinite with one image.
        """
        if self.images < 2:
            return np.full_like(self.mean, math.inf)
        square = stdtrit(self.images - 1, alpha / 2) ** 2 * self.image_part
        if self.seeds > 1:
            square = square + stdtrit(self.seeds - 1, alpha / 2) ** 2 * self.seed_part
        return np.asarray(np.sqrt(square), dtype=np.float64)

    def p_value(self, value: float = 0.0) -> FloatArray:
        """The two-sided p value of "the mean is ``value``": the alpha at which the interval just reaches it.

        Returns:
            (...) float64 in [0, 1]; 1 with one image or where the mean is ``value``, 0 where nothing varies.
        """
        size = np.atleast_1d(np.abs(self.mean - value))
        if self.images < 2:
            return np.ones_like(self.mean)
        image, seed = np.atleast_1d(self.image_part), np.atleast_1d(self.seed_part)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(size > 0, size / np.sqrt(image + seed), 0.0)
        p = 2 * stdtr(self.images - 1, -t)
        if self.seeds > 1:
            of_seeds = 2 * stdtr(self.seeds - 1, -t)
            both = (seed > 0) & (image > 0) & (of_seeds > 0)
            p = np.where(seed > 0, of_seeds, p)
            near = both & (t < _LINEAR)
            p[near] = self._near_one(size[near], image[near], seed[near])
            mixed = both & (t >= _LINEAR)
            if mixed.any():
                p[mixed] = self._mixed(size[mixed], image[mixed], seed[mixed], t[mixed])
        return np.asarray(p.reshape(np.shape(self.mean)), dtype=np.float64)

    def _near_one(self, size: FloatArray, image: FloatArray, seed: FloatArray) -> FloatArray:
        """``_mixed`` where t is so small that log p is lost in rounding: quantiles are (1 - p) / 2 over the density at 0."""
        at_zero = [_density(np.zeros(1), df)[0] for df in (self.images - 1, self.seeds - 1)]
        spread = image / at_zero[0] ** 2 + seed / at_zero[1] ** 2
        return np.asarray(1 - 2 * size / np.sqrt(spread), dtype=np.float64)

    def _mixed(self, size: FloatArray, image: FloatArray, seed: FloatArray, t: FloatArray) -> FloatArray:
        """The two-sided p values, (n,), where both parts are there: log h(p)^2 = log size^2, solved for log p."""
        degrees = (self.images - 1, self.seeds - 1)
        ends = [np.log(np.maximum(2 * stdtr(df, -t), 1e-300)) for df in degrees]
        low, high = np.minimum(*ends), np.maximum(*ends)

        def equation(logarithm: FloatArray, at: IntArray) -> tuple[FloatArray, FloatArray]:
            p = np.exp(logarithm)
            square, slope = np.zeros_like(p), np.zeros_like(p)
            for df, part in zip(degrees, (image[at], seed[at]), strict=True):
                quantile = -stdtrit(df, p / 2)
                square = square + part * quantile**2
                slope = slope - part * quantile * p / _density(quantile, df)
            return np.log(square) - 2 * np.log(size[at]), slope / square

        low, high = low - 1e-12 * (1 + np.abs(low)), high + 1e-12 * (1 + np.abs(high))
        return np.minimum(np.exp(decreasing_roots(equation, low, high, (low + high) / 2)), 1.0)


def components(values: FloatArray, effective: float | None = None) -> Components:
    """The variance components of means by the mean squares of the two-way layout; negative estimates are 0.

    Args:
        values: (..., S, N) float64 px, of images or of groups; the leading axes are a batch.
        effective: the effective number of groups, where these are of different sizes; None: N.

    Returns:
        The components, each of the shape of the leading axes.
    """
    seeds, images = values.shape[-2:]
    of_image = values.mean(axis=-2)
    mean = np.asarray(of_image.mean(axis=-1))
    zero = np.zeros_like(mean)
    if images < 2:
        unknown = np.full_like(mean, math.inf)
        return Components(mean, seeds, 1, unknown, zero, unknown, zero, zero)
    degrees = float(images if effective is None else effective)
    image = np.asarray(of_image.var(axis=-1, ddof=1)) / images
    if seeds == 1:
        return Components(mean, seeds, degrees, image, zero, image * images, zero, zero)
    of_seed = values.mean(axis=-1)
    seed = np.asarray(of_seed.var(axis=-1, ddof=1)) / seeds
    left = values - of_image[..., None, :] - (of_seed - mean[..., None])[..., None]
    rest_variance = np.einsum("...sn,...sn->...", left, left) / ((seeds - 1) * (images - 1))
    rest = rest_variance / (seeds * images)
    image = np.maximum(image - rest, 0.0)
    return Components(
        mean, seeds, degrees, image, seed, image * images, np.maximum(seed - rest, 0.0) * seeds, rest_variance
    )


_BATCHED = ("mean", "image_part", "seed_part", "image_variance", "seed_variance", "rest_variance")


def joined(parts: Sequence[Components]) -> Components:
    """Batches of the same seeds and images as one: the leading axis of each is put behind that of the one before."""
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _BATCHED}
    return Components(seeds=parts[0].seeds, images=parts[0].images, **whole)


def checked_errors(values: FloatArray) -> FloatArray:
    """The errors as (S, N) float64.

    Raises:
        ValueError: where the shape is another, or a value is negative or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"expected (seeds, images), at least one of each, got shape {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError("errors must be finite and not negative")
    return array


def _density(quantile: FloatArray, df: float) -> FloatArray:
    """The density of Student's t."""
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return np.asarray(np.exp(log_scale - (df + 1) / 2 * np.log1p(quantile**2 / df)), dtype=np.float64)
