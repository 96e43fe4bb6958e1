"""How many more seeds or images would separate two rows.

The plan takes the difference and the variance components seen for the true ones and asks the noncentral t distribution
(Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988) when a paired comparison would pass. Where the size of
a failure is given, the comparison has to pass the heavy-tail test (``benchmark.statistics.tail``) too, by a margin
for chance on the scale of its signed root, which is about normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import nctdtr, ndtr, ndtri

from benchmark.statistics.components import Components, components
from benchmark.statistics.groups import Groups, effective_of, values_of
from benchmark.statistics.paired import added_failure, p_value, paired_differences
from benchmark.statistics.tail import signed_root
from benchmark.structures import FloatArray

CODES = ("separated", "seeds", "images", "both", "none", "no_difference", "one_image")
"""What a ``Power`` can say, as explained there."""

_MOST_SEEDS = 10_000
_MOST_IMAGES = 1_000_000_000


@dataclass(frozen=True)
class Power:
    """About how many seeds (images as they are) or images (seeds as they are) would separate two rows.

    Attributes:
        code: "separated": they are already; "seeds", "images", "both": what would separate them, each number on its own
            ("both": either); "none": neither more seeds nor more images alone; "no_difference": none was seen;
            "one_image": one image cannot say.
        seeds: how many in all; None where no number would do, or with one seed, where it is unknown.
        images: how many in all; None where no number would do.
        seeds_seen: S, the number that the estimate comes from; with 1 it is about two fitted models.
        images_seen: N, or the effective number of groups.
        grouped: whether ``images`` and ``images_seen`` count groups of images.
    """

    code: str
    seeds: int | None
    images: int | None
    seeds_seen: int
    images_seen: int
    grouped: bool = False


def power(
    a: FloatArray,
    b: FloatArray,
    level: float = 0.95,
    wanted: float = 0.8,
    failure: float | None = None,
    groups: Groups | None = None,
) -> Power:
    """About how many seeds, or images, would separate two rows, if the difference seen is the true one.

    Args:
        a: (S, N) float64 px.
        b: (S, N) float64 px, on the same seeds and images.
        level: a single paired comparison is to pass at ``1 - level``; a comparison among many rows needs more.
        wanted: the probability with which it is to pass.
        failure: px, how bad a failure is that was not seen (``benchmark.statistics.paired.added_failure``), or None to
            plan Student's t test alone.
        groups: which images belong together; the numbers are then of groups. None where each stands alone.

    Returns:
        The numbers.

    Raises:
        ValueError: where the shapes differ.
    """
    differences = values_of(groups, paired_differences(a, b))
    parts = components(differences, effective_of(groups))
    p = p_value(a, b, failure, groups)
    seen = max(1, round(parts.images))
    if parts.images < 2:
        return Power("one_image", None, None, parts.seeds, seen, groups is not None)
    if parts.mean == 0:
        return Power("no_difference", None, None, parts.seeds, seen, groups is not None)
    gains = differences.mean(axis=0) * math.copysign(1.0, float(parts.mean))
    better = a if parts.mean < 0 else b

    def passes_tail(images: float) -> float:
        if failure is None:
            return 1.0
        root = float(
            signed_root(gains[None], added_failure(values_of(groups, better), failure), images / parts.images)[0]
        )
        return float(ndtr(root + ndtri((1 - level) / 2)))

    def of_seeds(seeds: int) -> float:
        return min(_passes_t(parts, seeds, seen, level), of_tail)

    def of_images(images: int) -> float:
        return min(_passes_t(parts, parts.seeds, images, level), passes_tail(images))

    of_tail = passes_tail(seen)
    seeds = _first(of_seeds, wanted, _MOST_SEEDS) if parts.seeds > 1 else None
    images = _first(of_images, wanted, _MOST_IMAGES)
    ways = {(True, True): "both", (True, False): "seeds", (False, True): "images", (False, False): "none"}
    code = "separated" if p < 1 - level else ways[seeds is not None, images is not None]
    return Power(code, seeds, images, parts.seeds, seen, groups is not None)


def _passes_t(parts: Components, seeds: int, images: int, level: float) -> float:
    """The probability that the difference seen would pass with ``seeds`` and ``images``, by the noncentral t."""
    plan = parts.planned(seeds, images)
    image, seed = float(plan.image_part), float(plan.seed_part)
    total = image + seed
    if total == 0:
        return 1.0
    spread = math.sqrt(total)
    limit, shift = float(plan.half_width(1 - level)) / spread, abs(float(parts.mean)) / spread
    if shift > 30:  # far beyond any limit that matters, and where the noncentral t loses its digits
        return float(shift > limit)
    freedom = total**2 / (image**2 / (images - 1) + (seed**2 / (seeds - 1) if seeds > 1 else 0.0))
    return float(1 - nctdtr(freedom, shift, limit))


def _first(chance: Callable[[int], float], wanted: float, most: int) -> int | None:
    """The least number from 2 to ``most`` whose ``chance`` is at least ``wanted``; ``chance`` rises."""
    high = 2
    while chance(high) < wanted:
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high
