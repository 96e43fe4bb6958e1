"""How two rows differ on the same images and seeds.

A comparison has two parts: the two-way t test (``benchmark.statistics.components``), which knows of images and seeds, and
the heavy-tail test (``benchmark.statistics.tail``), which knows that failures may not have been seen. Its p value is the
larger of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from benchmark.statistics.components import TIE, checked_errors, components
from benchmark.statistics.intervals import few_images
from benchmark.statistics.notes import Note
from benchmark.statistics.tail import signed_root
from benchmark.structures import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Paired:
    """How two rows differ on the same images and seeds; negative means that the first has the smaller error.

    Attributes:
        difference: px, of the means.
        low: px, lower end of the interval.
        high: px, upper end.
        p: two-sided, for "no difference"; below 1 - level exactly where the interval excludes 0.
        images_that_decide: (n,) int64 positions of images, the largest contribution first: the fewest images that, taken
            away, take the whole difference away. Empty where there is no difference.
        method: ``student_t``, or ``student_t_tail`` where the worst error of the board was given.
        notes: what the reader must know.
    """

    difference: float
    low: float
    high: float
    p: float
    images_that_decide: IntArray
    method: Note
    notes: tuple[Note, ...] = ()


def paired(a: FloatArray, b: FloatArray, level: float = 0.95, worst: float | None = None) -> Paired:
    """The difference ``a - b`` of two rows; differences within ``TIE`` are none.

    Args:
        a: (S, N) float64 px, the mean error of each image with each seed.
        b: (S, N) float64 px, on the same images and seeds.
        level: of the interval.
        worst: px, the largest error of any row of the board: the interval and p then allow for failures that were not
            seen, as rank intervals do. None: Student's t alone.

    Returns:
        The difference, its interval and p value. One seed: for these two fitted models.

    Raises:
        ValueError: where the shapes differ, or an error is larger than ``worst``.
    """
    differences = paired_differences(a, b)
    parts = components(differences)
    mean, half = float(parts.mean), float(parts.half_width(1 - level))
    notes = [] if parts.seeds > 1 else [Note("fitted_models", {"models": 2})]
    if parts.images < 2:
        notes.append(Note("one_image"))
    elif not differences.any():
        notes.append(Note("same_errors", {"images": parts.images}))
    elif worst is None:
        notes += few_images(differences)
    low, high = mean - half, mean + half
    size = {"seeds": float(parts.seeds), "images": float(parts.images)}
    method = Note("student_t", size)
    if worst is not None:
        method = Note("student_t_tail", {**size, "worst": worst})
        if parts.images > 1 and differences.any():
            of_image = differences.mean(axis=0)
            low = min(low, -_tail_limit(-of_image, worst, level))
            high = max(high, _tail_limit(of_image, worst, level))
    return Paired(mean, low, high, p_value(a, b, worst), _deciding(differences), method, tuple(notes))


def p_value(a: FloatArray, b: FloatArray, worst: float | None = None) -> float:
    """The two-sided p value of ``paired(a, b, worst=worst)``, without the rest.

    Args:
        a: (S, N) float64 px.
        b: (S, N) float64 px.
        worst: px, the largest error of any row of the board, or None for Student's t alone.

    Returns:
        The p value of "no difference".

    Raises:
        ValueError: where the shapes differ, or an error is larger than ``worst``.
    """
    differences = paired_differences(a, b)
    if worst is not None:
        check_worst(max(float(np.max(a)), float(np.max(b))), worst)
    parts = components(differences)
    if worst is None or parts.mean == 0:
        return float(parts.p_value())
    towards = differences if parts.mean < 0 else -differences
    return min(1.0, 2 * float(p_below(towards[None], worst)[0]))


def p_below(differences: FloatArray, worst: float, margin: float = 0.0, needed: float = 1.0) -> FloatArray:
    """One-sided p values of "the mean difference is ``margin`` or more": small ones show that it is below.

    Args:
        differences: (B, S, N) float64 px, B comparisons.
        worst: px, the largest error of any row of the board.
        margin: px.
        needed: where Student's p is no smaller than this, the heavy-tail test is left out to save time and the value is
            Student's, which the larger of both can only exceed.

    Returns:
        (B,) float64: the larger of Student's p and the heavy-tail test's.
    """
    parts = components(differences)
    half = parts.p_value(margin) / 2
    p = np.where(parts.mean < margin, half, 1 - half)
    asked = np.flatnonzero(p < needed)
    if len(asked):
        gains = margin - differences[asked].mean(axis=1)
        p[asked] = np.maximum(p[asked], ndtr(-signed_root(gains, worst)))
    return np.asarray(p, dtype=np.float64)


def paired_differences(a: FloatArray, b: FloatArray) -> FloatArray:
    """The differences ``a - b``, (S, N) float64 px, 0 within ``TIE``.

    Raises:
        ValueError: where the shapes differ or the values are not errors.
    """
    first, second = checked_errors(a), checked_errors(b)
    if first.shape != second.shape:
        raise ValueError(f"rows on other seeds or images are not tested: shapes {first.shape} and {second.shape}")
    differences = first - second
    differences[np.abs(differences) <= TIE] = 0.0
    return differences


def check_worst(largest: float, worst: float) -> None:
    """Refuse a worst error of the board that is smaller than the largest error of a row on it.

    Raises:
        ValueError: where ``worst`` is not finite, or less than ``largest``.
    """
    if not (math.isfinite(worst) and worst >= largest - TIE):
        raise ValueError(f"worst is the largest error of any row of the board, at least {largest} px here; got {worst}")


def _tail_limit(of_image: FloatArray, worst: float, level: float) -> float:
    """The largest mean, px, that the heavy-tail test does not exclude from above, from (N,) differences."""
    accepted = float(of_image.mean())
    span = max(worst, float(np.abs(of_image).max()))
    excluded = accepted + span
    if worst <= 0:
        return math.inf

    def excludes(mean: float) -> bool:
        return 2 * float(ndtr(-signed_root((mean - of_image)[None], worst)[0])) < 1 - level

    while not excludes(excluded):
        excluded += span
        if excluded > 1e6 * span:
            return math.inf
    while excluded - accepted > 1e-9 * span:
        middle = (accepted + excluded) / 2
        accepted, excluded = (accepted, middle) if excludes(middle) else (middle, excluded)
    return excluded


def _deciding(differences: FloatArray) -> IntArray:
    """Positions of the fewest images whose contributions add up to the whole difference, the largest first."""
    of_image = differences.mean(axis=0)
    total = float(of_image.sum())
    if total == 0:
        return np.zeros(0, dtype=np.int64)
    along = of_image * math.copysign(1.0, total)
    order = np.argsort(-along, kind="stable")
    reached = np.cumsum(along[order]) >= abs(total) * (1 - 1e-12)
    return order[: int(np.argmax(reached)) + 1].astype(np.int64)
