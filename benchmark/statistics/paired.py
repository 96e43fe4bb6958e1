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

from benchmark.statistics.components import TIE, Components, checked_errors, components
from benchmark.statistics.groups import Groups, effective_of, values_of
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
        method: ``student_t``, or ``student_t_tail`` where the size of a failure was given.
        notes: what the reader must know.
    """

    difference: float
    low: float
    high: float
    p: float
    images_that_decide: IntArray
    method: Note
    notes: tuple[Note, ...] = ()


def paired(
    a: FloatArray, b: FloatArray, level: float = 0.95, failure: float | None = None, groups: Groups | None = None
) -> Paired:
    """The difference ``a - b`` of two rows; differences within ``TIE`` are none.

    Args:
        a: (S, N) float64 px, the mean error of each image with each seed.
        b: (S, N) float64 px, on the same images and seeds.
        level: of the interval.
        failure: px, how bad a failure is that was not seen (see ``added_failure``): the interval and p then allow for
            one, as rank intervals do. None: Student's t alone.
        groups: which images belong together; None where each stands alone.

    Returns:
        The difference, its interval and p value. One seed: for these two fitted models.

    Raises:
        ValueError: where the shapes differ.
    """
    differences = paired_differences(a, b)
    by_group = values_of(groups, differences)
    parts = components(by_group, effective_of(groups))
    mean, half = float(parts.mean), float(parts.half_width(1 - level))
    notes = [] if parts.seeds > 1 else [Note("fitted_models", {"models": 2})]
    if parts.images < 2:
        notes.append(Note("one_image" if groups is None else "one_group"))
    elif not differences.any():
        notes.append(Note("same_errors", {"images": differences.shape[1]}))
    elif failure is None and groups is None:
        notes += few_images(differences)
    low, high = mean - half, mean + half
    code, size = "student_t", {"seeds": float(parts.seeds), "images": float(parts.images)}
    if groups is not None:
        code, size = "student_t_groups", {"seeds": parts.seeds, "groups": len(groups), "effective": parts.images}
    if failure is not None:
        code, size = (
            f"{code.removesuffix('_groups')}_tail{code.removeprefix('student_t')}",
            {**size, "failure": failure},
        )
        if parts.images >= 2 and differences.any():
            of_image = by_group.mean(axis=0)
            low = min(low, -_tail_limit(-of_image, float(added_failure(values_of(groups, b), failure)), level))
            high = max(high, _tail_limit(of_image, float(added_failure(values_of(groups, a), failure)), level))
    p = p_value(a, b, failure, groups)
    return Paired(mean, low, high, p, _deciding(differences), Note(code, size), tuple(notes))


def p_value(a: FloatArray, b: FloatArray, failure: float | None = None, groups: Groups | None = None) -> float:
    """The two-sided p value of ``paired(a, b, failure=failure)``, without the rest.

    Args:
        a: (S, N) float64 px.
        b: (S, N) float64 px.
        failure: px, how bad a failure is that was not seen, or None for Student's t alone.
        groups: which images belong together; None where each stands alone.

    Returns:
        The p value of "no difference".

    Raises:
        ValueError: where the shapes differ.
    """
    differences = values_of(groups, paired_differences(a, b))
    effective = effective_of(groups)
    parts = components(differences, effective)
    if failure is None or parts.mean == 0 or parts.images < 2:
        return float(parts.p_value())
    towards, better = (differences, a) if parts.mean < 0 else (-differences, b)
    worst = added_failure(values_of(groups, better), failure)
    return min(1.0, 2 * float(p_below(towards[None], worst, effective=effective)[0]))


def p_below(
    differences: FloatArray,
    failure: FloatArray | float,
    margin: float = 0.0,
    needed: float = 1.0,
    effective: float | None = None,
) -> FloatArray:
    """One-sided p values of "the mean difference is ``margin`` or more": small ones show that it is below.

    Args:
        differences: (B, S, N) float64 px, B comparisons, of images or of groups (``benchmark.statistics.groups``).
        failure: px, a number or (B,): how bad a failure of the first row is that was not seen (``added_failure``).
        margin: px.
        needed: where Student's p is no smaller than this, the heavy-tail test is left out to save time and the value is
            Student's, which the larger of both can only exceed.
        effective: the effective number of groups; None for images.

    Returns:
        (B,) float64: the larger of Student's p and the heavy-tail test's.
    """
    return p_of(components(differences, effective), differences.mean(axis=1), failure, margin, needed)


def p_of(
    parts: Components, of_image: FloatArray, failure: FloatArray | float, margin: float = 0.0, needed: float = 1.0
) -> FloatArray:
    """`p_below` of differences that are summed up already: many comparisons then fit into one batch.

    Args:
        parts: (B,) the components of the differences.
        of_image: (B, N) float64 px, the differences of each image, or group, averaged over seeds.
        failure: as for `p_below`, like the rest.
        margin: px.
        needed: from which p on the value may be Student's alone.

    Returns:
        (B,) float64.
    """
    half = parts.p_value(margin) / 2
    p = np.where(parts.mean < margin, half, 1 - half)
    asked = np.flatnonzero(p < needed)
    if len(asked):
        failures = np.broadcast_to(np.asarray(failure, dtype=np.float64), p.shape)
        p[asked] = np.maximum(p[asked], ndtr(-signed_root(margin - of_image[asked], failures[asked])))
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


def added_failure(errors: FloatArray, failure: float) -> FloatArray:
    """How badly a row may fail on an image that was not seen: as badly as on one that was, or as failures go here.

    Args:
        errors: (..., S, N) float64 px, of one row or of several.
        failure: px, how bad a failure is on these images whoever fails: what answering with the training mean costs on
            its worst image. Of an exact row nothing else could be known.

    Returns:
        (...) float64 px.

    Raises:
        ValueError: where ``failure`` is negative or not finite.
    """
    if not 0 <= failure < math.inf:
        raise ValueError(f"the size of a failure is a finite number of px, 0 where it is unknown; got {failure}")
    return np.asarray(np.maximum(np.max(errors, axis=(-2, -1)), failure), dtype=np.float64)


def _tail_limit(of_image: FloatArray, failure: float, level: float) -> float:
    """The largest mean, px, that the heavy-tail test does not exclude from above, from (N,) differences."""
    accepted = float(of_image.mean())
    span = max(failure, float(np.abs(of_image).max()))
    excluded = accepted + span
    if failure <= 0:
        return math.inf

    def excludes(mean: float) -> bool:
        return 2 * float(ndtr(-signed_root((mean - of_image)[None], failure)[0])) < 1 - level

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
