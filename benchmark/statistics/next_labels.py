"""Which unlabelled images to label next, and whether that promises more than choosing at random.

**Choice.** What is not known of an image is the variance of a Gaussian process over all images, given the labelled ones: two
images that are alike tell of each other. Images are taken one by one, each the one that leaves the least variance summed
over *all* images (Cohn, Ghahramani and Jordan 1996, doi:10.1613/jair.295; for linear models Yu, Bi and Tresp 2006). An image
that is like many others tells of many, one that is like a labelled or chosen one tells nothing new: so neither odd ones
nor fifty frames of one moment are taken. Images are alike that look alike, and about which each of several detectors says
the same: where detectors disagree, their answers lie far from those about other images.

Taking the images on which detectors disagree most is what suggests itself, and is worse than chance in most trials of
``scripts/backtest_suggest.py``: those are odd images, and many of one kind. So `spread` is said, and does not decide.

**Promise.** The same choice is made among images whose labels are known, again and again, and held against random ones. A gain
is expected for a detector only where its own mean over these trials is one, and a one-sided t test over the means of all detectors
shows it: a detector's own trials are few, and what is chosen is the same for all. They share images, so the test is about these
images, not about all that might have been labelled; how often the promise is kept is measured by the same script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmark.structures import FloatArray, IntArray

NOISE = 0.3  # variance that remains of an image beside one that looks the same, where all is 1
NEAR = 0.2  # of all pairs lie closer than the distance at which two images tell little of each other
LEVEL = 0.9  # of the one-sided test of a gain
ALIKE = 1e-12  # of the largest mean squared distance: below, a view tells no two images apart


@dataclass(frozen=True, eq=False)
class Chosen:
    """What to label next.

    Attributes:
        order: (C,) int64 positions of images, the most telling first.
        told: (C,) float64, the share of all that was unknown that each takes away, given those before it.
    """

    order: IntArray
    told: FloatArray


@dataclass(frozen=True)
class Gain:
    """What the trials on labelled images say of a detector.

    Attributes:
        share: How much smaller its error is with chosen images than with random ones, as a share of the latter; mean over trials, each from
            -1 to 1.
        wins: The share of trials in which the chosen ones were better; a tie is half of one.
        trials: How many.
        expected: Whether a gain may be promised.
    """

    share: float
    wins: float
    trials: int
    expected: bool


def likeness(views: Sequence[FloatArray]) -> FloatArray:
    """How much each image tells of each other one.

    Args:
        views: (N, F) features each: coordinates in which like images lie close. Each view counts alike, whatever its units.

    Returns:
        (N, N) float64: exp(-d / s), d the sum over views of squared distances, each relative to its view's mean, and s the
        `NEAR` quantile of d; 1 on the diagonal.
    """
    total = np.zeros((len(views[0]),) * 2)
    for values in views:
        apart = _squared_distances(values)
        mean = float(apart.mean())
        if mean > ALIKE * float((values**2).sum(axis=1).max(initial=0.0)):
            total += apart / mean
    above = total[np.triu_indices(len(total), 1)]
    if not above.any():
        return np.ones_like(total)
    scale = float(np.quantile(above, NEAR)) or float(above.mean())
    likened: FloatArray = np.exp(-total / scale)
    return likened


def _squared_distances(values: FloatArray) -> FloatArray:
    """(N, N), exactly 0 on the diagonal and symmetric."""
    centred = np.asarray(values, dtype=np.float64) - np.mean(values, axis=0)
    squares = (centred**2).sum(axis=1)
    apart: FloatArray = np.maximum(squares[:, None] + squares[None] - 2 * centred @ centred.T, 0.0)
    np.fill_diagonal(apart, 0.0)
    return apart


def most_telling(
    alike: FloatArray, labelled: Sequence[int] | IntArray, candidates: Sequence[int] | IntArray, count: int
) -> Chosen:
    """The images that leave the least unknown, taken one by one.

    Args:
        alike: (N, N) float64 symmetric, positive semidefinite, the prior covariance of images (`likeness`).
        labelled: Positions of images whose labels are known.
        candidates: Positions of those that may be labelled.
        count: How many to take; all candidates where there are fewer.

    Returns:
        Them. On ties the one that stands first in ``candidates``.
    """
    left = np.array(alike, dtype=np.float64)
    known, free = np.asarray(labelled, dtype=np.int64), np.asarray(candidates, dtype=np.int64)
    if len(known):
        of_known = left[np.ix_(known, known)] + NOISE * np.eye(len(known))
        left -= left[:, known] @ np.linalg.solve(of_known, left[known])
    whole = max(float(np.trace(left)), np.finfo(float).tiny)
    order: list[int] = []
    told: list[float] = []
    open_ = np.ones(len(free), dtype=bool)
    for _ in range(min(count, len(free))):
        taken_away = np.einsum("ij,ij->j", left, left) / (np.diag(left) + NOISE)
        at = int(np.argmax(np.where(open_, taken_away[free], -np.inf)))
        best = int(free[at])
        open_[at] = False
        order.append(best)
        told.append(float(taken_away[best]) / whole)
        column = left[:, best].copy()
        left -= np.outer(column, column / (column[best] + NOISE))
    return Chosen(np.array(order, dtype=np.int64), np.array(told, dtype=np.float64))


def spread(answers: FloatArray) -> FloatArray:
    """How far detectors lie apart on each image.

    Args:
        answers: (D, N, K, 2) float64 px; NaN where a detector has no answer.

    Returns:
        (N,) float64 px: the root of the mean squared distance of an answer from the mean of all, over keypoints. NaN where fewer
        than two detectors answer.
    """
    known = ~np.isnan(answers).any(axis=-1, keepdims=True)
    counts = known.sum(axis=0)
    filled = np.where(known, answers, 0.0)
    mean = filled.sum(axis=0) / np.maximum(counts, 1)
    squares = (np.where(known, filled - mean, 0.0) ** 2).sum(axis=-1).sum(axis=0) / np.maximum(counts[..., 0], 1)
    told: NDArray[np.bool_] = counts[..., 0] >= 2
    sums = np.where(told, squares, 0.0).sum(axis=1)
    of: FloatArray = np.full(len(told), np.nan)
    some = told.any(axis=1)
    of[some] = np.sqrt(sums[some] / told[some].sum(axis=1))
    return of


def gains_of(chosen: FloatArray, random: FloatArray, names: Sequence[str], level: float = LEVEL) -> dict[str, Gain]:
    """What trials on labelled images say of the next choice.

    Args:
        chosen: (D, R) float64, the mean error of each detector in each trial with images that were chosen; infinite where it
            answered nothing.
        random: (D, R) float64, with as many random ones, on the same held-out images.
        names: Of the D detectors.
        level: Of the one-sided test of all detectors together.

    Returns:
        Name -> gain.
    """
    trials = random.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 and inf / inf are a tie
        relative = np.clip(1 - np.where(chosen == random, 1.0, chosen / random), -1.0, 1.0)
    wins = (chosen < random) + 0.5 * (chosen == random)
    shown = False
    if trials > 1:
        together = relative.mean(axis=0)
        error = float(together.std(ddof=1)) / trials**0.5
        shown = float(together.mean()) > float(stdtrit(trials - 1, level)) * error
    return {
        name: Gain(float(own.mean()), float(won.mean()), trials, shown and float(own.mean()) > 0)
        for name, own, won in zip(names, relative, wins)
    }
