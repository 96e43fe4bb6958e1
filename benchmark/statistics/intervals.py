"""Where one row's mean error, or its share exactly right, may lie.

The interval of a mean is the two-way t interval of ``benchmark.statistics.components``; the interval of a share is
Clopper and Pearson's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit

from benchmark.statistics.components import checked_errors, components
from benchmark.statistics.groups import Groups, effective_of, values_of
from benchmark.statistics.notes import Note
from benchmark.structures import FloatArray

FEW = 30.0
"""Fewer images than this (or than half of them) carrying a mean, by Kish's effective number, get a note: Student's t
then covers 92 % and less, by the heavy-tailed worlds of ``scripts/simulate_coverage.py``."""


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes:
        mean: px, or a share.
        low: lower end.
        high: upper end; infinite where one image says nothing.
        method: the formula, ``student_t`` or ``clopper_pearson``.
        notes: what the reader must know.
    """

    mean: float
    low: float
    high: float
    method: Note
    notes: tuple[Note, ...] = ()


def interval(errors: FloatArray, level: float = 0.95, groups: Groups | None = None) -> Interval:
    """Where the mean of ``errors`` may lie: with one seed for this fitted model, with several for others too.

    Args:
        errors: (S, N) float64, the mean error of each image with each seed, px, finite and not negative.
        level: the probability of holding the true mean.
        groups: which images belong together; None where each stands alone.

    Returns:
        The two-way t interval (``benchmark.statistics.components``), cut at 0.

    Raises:
        ValueError: where ``errors`` are not errors.
    """
    values = checked_errors(errors)
    by_group = values_of(groups, values)
    parts = components(by_group, effective_of(groups))
    mean, half = float(parts.mean), float(parts.half_width(1 - level))
    notes = [] if parts.seeds > 1 else [Note("fitted_models", {"models": 1})]
    if parts.images < 2:
        notes.append(Note("one_image" if groups is None else "one_group"))
    elif not values.any():
        notes.append(Note("no_error", {"images": values.shape[1]}))
    elif groups is None:
        notes += few_images(values)
    method = Note("student_t", {"seeds": parts.seeds, "images": parts.images})
    if groups is not None:
        method = Note("student_t_groups", {"seeds": parts.seeds, "groups": len(groups), "effective": parts.images})
    return Interval(mean, max(mean - half, 0.0), mean + half, method, tuple(notes))


def exact_interval(successes: float, n: float, level: float = 0.95) -> Interval:
    """Clopper and Pearson's interval (Biometrika 26, 1934) for the share of images that are exactly right.

    Args:
        successes: how many are; may be a fraction.
        n: of how many images; may be a fraction (an effective number).
        level: the probability of holding the true share.

    Returns:
        The interval; at either end a note has the one-sided limit.

    Raises:
        ValueError: unless 0 <= successes <= n and n > 0.
    """
    if not (0 <= successes <= n and n > 0):
        raise ValueError(f"{successes} of {n} is not a share")
    alpha = 1 - level
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, alpha / 2))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - alpha / 2))
    notes: tuple[Note, ...] = ()
    if successes in (0, n):
        limit = {"images": n, "limit": 1 - alpha ** (1 / n), "level": level}
        notes = (Note("none_wrong" if successes == n else "none_right", limit),)
    return Interval(successes / n, low, high, Note("clopper_pearson", {"images": n}), notes)


def exact_share(exact: FloatArray, level: float = 0.95, groups: Groups | None = None) -> Interval:
    """The share exactly right with its interval.

    One seed: Clopper and Pearson's interval over the N images. Several seeds share their images, so S * N is not a number
    of independent trials. As in surveys (Korn and Graubard, Survey Methodology 24, 1998) the interval is Clopper and
    Pearson's at an effective number of images: N divided by how much wider, squared, the two-way t interval is than that
    of N independent images; S * N at most. Where every answer was right, or none, nothing was seen to vary, seeds count
    for nothing and the number is N. Images in groups are treated alike, with the interval over groups; where nothing was seen
    to vary the number is that of the groups, effectively.

    Args:
        exact: (S, N) float64 in [0, 1], for each image and seed the share of keypoints exactly right.
        level: the probability of holding the true share.
        groups: which images belong together; None where each stands alone.

    Returns:
        The interval of the share.

    Raises:
        ValueError: where a value lies outside [0, 1] or is not finite.
    """
    values = checked_errors(exact)
    if values.max() > 1:
        raise ValueError("shares lie in [0, 1]")
    seeds, images = values.shape
    share = float(values.mean())
    effective = float(images) if groups is None else groups.effective
    note = Note("fitted_models", {"models": 1})
    if seeds > 1 or groups is not None:
        if 0 < share < 1 and images > 1:
            simple = abs(float(stdtrit(images - 1, (1 - level) / 2))) * math.sqrt(share * (1 - share) / (images - 1))
            parts = components(values_of(groups, values), effective_of(groups))
            half = float(parts.half_width(1 - level))
            # a half width of 0 is the end of ever smaller ones, so that rounding does not decide between two numbers
            effective = max(1.0, images * min((simple / half) ** 2 if half > 0 else math.inf, float(seeds)))
        note = Note("effective_images", {"images": effective})
    estimate = exact_interval(share * effective, effective, level)
    return Interval(share, estimate.low, estimate.high, estimate.method, (note, *estimate.notes))


def few_images(values: FloatArray) -> list[Note]:
    """The note ``few_images``, where few of them carry a mean and Student's t is too narrow.

    Args:
        values: (S, N) float64 px, errors or differences.

    Returns:
        The note with Kish's effective number of images (Survey Sampling, 1965), or nothing.
    """
    size = np.abs(values.mean(axis=0))
    square = float(size @ size)
    carrying = float(size.sum()) ** 2 / square if square > 0 else 0.0
    if carrying >= min(FEW, len(size) / 2):
        return []
    return [Note("few_images", {"carrying": max(carrying, 1.0), "images": len(size)})]
