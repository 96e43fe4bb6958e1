"""Many monotone equations in one unknown each, solved at once: Newton's method inside a bracket.

A step that leaves the bracket, or is more than half of the one before it, is replaced by bisection, so that convergence is
certain (Press et al., Numerical Recipes, 3rd ed., section 9.4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.structures import FloatArray, IntArray

Equation = Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]]
"""(unknowns (m,), positions (m,) of their equations) -> values (m,) and slopes (m,)."""

_MOST_STEPS = 200


def decreasing_roots(
    equation: Equation, low: FloatArray, high: FloatArray, start: FloatArray, tolerance: float = 1e-10
) -> FloatArray:
    """The roots of decreasing functions, one in each bracket.

    Args:
        equation: values and slopes of the functions at given points; positive at ``low``, negative at ``high``.
        low: (n,) float64, lower ends of the brackets.
        high: (n,) float64, upper ends of the brackets.
        start: (n,) float64, first guesses, inside the brackets.
        tolerance: a step smaller than this times the root ends the search.

    Returns:
        (n,) float64, the roots.

    Raises:
        RuntimeError: where a root is not found, as of a function that does not fall.
    """
    low, high, roots = low.copy(), high.copy(), start.copy()
    before = high - low
    active = np.arange(len(roots))
    for _ in range(_MOST_STEPS):
        if not len(active):
            return roots
        here = roots[active]
        values, slopes = equation(here, active)
        low[active] = np.where(values > 0, here, low[active])
        high[active] = np.where(values > 0, high[active], here)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            there = here - values / slopes
        newton = (there > low[active]) & (there < high[active]) & (np.abs(there - here) <= before[active] / 2)
        there = np.where(newton, there, (low[active] + high[active]) / 2)
        there = np.where(values == 0, here, there)
        before[active] = np.abs(there - here)
        roots[active] = there
        active = active[before[active] > tolerance * np.abs(there)]
    raise RuntimeError(
        f"no root found in {_MOST_STEPS} steps: the function does not fall, or has no root in its bracket"
    )
