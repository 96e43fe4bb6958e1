"""What a row answered, in as few bytes as a page can carry: in full, or on a lattice of offsets.

Answers are kept in full where that fits. Where it does not, each coordinate is kept as a whole number of steps that it is
off the annotation; the step is a power of two (2^-12 px and coarser), the finest that fits. A keypoint whose exactness, or
whose place above or below a threshold of the board, the lattice would change is kept in full beside it, and so is one that
is too far off. So shares (``exact``, PCK at the board's thresholds) are those of the full answers, and a mean differs by
less than the page shows.

The answer on a lattice is ``annotation + code * step`` in float64, computed alike here and in the browser, so both sides
score the very same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics.oks import BoolArray
from benchmark.metrics.pixels import distance
from benchmark.structures import FloatArray
from leaderboard.render.page.packing import CODES, pack, unpack

FINEST, COARSEST = 12, -6  # steps of 2^-12 to 2^6 px
STEPS_TO_THRESHOLD = 8  # a step is at most this part of the smallest threshold, or nothing is carried
NO_ANSWER = 2**24 - 1  # the code of a keypoint without an answer, or kept in full


@dataclass(frozen=True, eq=False)
class Lattice:
    """What the answers of all rows have in common.

    Attributes:
        truth: (M, K, 2) float64 px, annotated keypoints of the instances that count.
        spacing: (K,) float64 px, NaN for a keypoint on no lattice.
        thresholds: px, of PCK on this board, ascending.
    """

    truth: FloatArray
    spacing: FloatArray
    thresholds: tuple[float, ...]

    def judged(self, points: FloatArray) -> BoolArray:
        """(..., M, K, 1 + T) bool: whether each keypoint is exact, and within each threshold."""
        offsets = points - self.truth
        with np.errstate(invalid="ignore", over="ignore"):
            exact = np.asarray((np.abs(offsets) < self.spacing[:, None] / 2).all(axis=-1))
            within = distance(offsets)[..., None] <= np.asarray(self.thresholds)
        return np.concatenate([exact[..., None], within], axis=-1)


def pack_in_full(answers: FloatArray) -> dict[str, Any]:
    """The answers of one row as they are.

    Args:
        answers: (S, M, K, 2) float64 px, NaN for no answer.
    """
    by_axis = np.moveaxis(answers, -1, 1)
    single = bool(np.array_equal(by_axis.astype(np.float32), by_axis, equal_nan=True))
    return {"points": pack(by_axis, "<f4" if single else "<f8")}


def pack_on_lattice(answers: FloatArray, lattice: Lattice, power: int) -> dict[str, Any]:
    """The answers of one row in steps of ``2**-power`` px.

    Args:
        answers: (S, M, K, 2) float64 px, NaN for no answer.
        lattice: What they are answers to.
        power: Of the step.
    """
    with np.errstate(over="ignore"):
        steps = np.rint((answers - lattice.truth) * 2.0**power)
        codes = np.where(
            steps < 0, -2 * steps - 1, 2 * steps
        )  # 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...: small ones near 0
    answered = np.asarray(~np.isnan(answers).any(axis=-1))
    far = (np.where(answered[..., None], codes, 0) >= NO_ANSWER).any(axis=-1)
    rounded = lattice.truth + steps * 2.0**-power
    changed = (lattice.judged(rounded) != lattice.judged(answers)).any(axis=-1)
    kept = np.flatnonzero(answered & (far | changed))
    lost = ~answered | far | changed
    whole = np.where(lost[..., None], NO_ANSWER, codes).astype(np.int64)
    return {
        "codes": pack(np.moveaxis(whole, -1, 1), CODES),
        "kept_at": pack(kept, "<u4"),
        "kept": pack(answers.reshape(-1, 2)[kept], "<f8"),
    }


def unpack_answers(packed: dict[str, Any], truth: FloatArray, power: int | None) -> FloatArray:
    """(S, M, K, 2) float64 px: what `pack_in_full` (``power`` None) or `pack_on_lattice` packed."""
    if power is None:
        return np.ascontiguousarray(np.moveaxis(unpack(packed["points"]), 1, -1), dtype=np.float64)
    codes = np.moveaxis(unpack(packed["codes"]), 1, -1).astype(np.int64)
    steps = np.where(codes % 2 == 1, -(codes + 1) // 2, codes // 2)
    points = np.where(codes == NO_ANSWER, np.nan, truth + steps * 2.0**-power)
    flat: FloatArray = np.ascontiguousarray(points)
    flat.reshape(-1, 2)[unpack(packed["kept_at"])] = unpack(packed["kept"])
    return flat


def size(packed: Any) -> int:
    """Characters of base64 in something packed."""
    if isinstance(packed, str):
        return len(packed)
    return sum(map(size, packed.values())) if isinstance(packed, dict) else 0


def pack_rows(
    rows: Sequence[FloatArray], lattice: Lattice, budget: int
) -> tuple[list[dict[str, Any]] | None, int | None]:
    """The answers of all rows, as finely as fits.

    Args:
        rows: Of each row, (S, M, K, 2) float64 px, NaN for no answer.
        lattice: What they are answers to.
        budget: Characters that they may take together.

    Returns:
        What `unpack_answers` takes, a row each, or None where even the coarsest step does not fit; and the step's power,
        None where they are in full.
    """
    full = _within(budget, (pack_in_full(row) for row in rows))
    if full is not None:
        return full, None
    coarsest = next(
        (p for p in range(COARSEST, FINEST + 1) if 2.0**-p * STEPS_TO_THRESHOLD <= min(lattice.thresholds)), FINEST
    )
    best: tuple[list[dict[str, Any]] | None, int | None] = (None, None)
    low, high = coarsest, FINEST
    while low <= high:  # sizes fall as steps grow
        power = (low + high + 1) // 2
        packed = _within(budget, (pack_on_lattice(row, lattice, power) for row in rows))
        if packed is None:
            high = power - 1
        else:
            best, low = (packed, power), power + 1
    return best


def _within(budget: int, packed: Iterable[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """All of it, or None as soon as it takes more than the budget."""
    found, taken = [], 0
    for one in packed:
        taken += size(one)
        if taken > budget:
            return None
        found.append(one)
    return found
