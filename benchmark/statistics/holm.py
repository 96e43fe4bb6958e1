"""Holm's correction for several comparisons (Scandinavian Journal of Statistics 6, 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.structures import FloatArray


def holm(p: Sequence[float] | FloatArray, most_true: int | None = None) -> FloatArray:
    """Corrected p values: rejecting those below a level is wrong anywhere with at most that probability.

    Args:
        p: (..., n) p values, a family in the last axis.
        most_true: at most so many of the n hypotheses can be true at once, where that is known: no p value is multiplied
            by more (Shaffer, Journal of the American Statistical Association 81, 1986).

    Returns:
        (..., n) float64, in the order given.
    """
    raw = np.asarray(p, dtype=np.float64)
    count = raw.shape[-1]
    order = np.argsort(raw, axis=-1, kind="stable")
    factors = np.minimum(np.arange(count, 0, -1), count if most_true is None else max(most_true, 1))
    steps = np.maximum.accumulate(np.take_along_axis(raw, order, axis=-1) * factors, axis=-1)
    corrected = np.empty_like(raw)
    np.put_along_axis(corrected, order, np.minimum(steps, 1.0), axis=-1)
    return corrected
