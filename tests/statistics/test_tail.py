"""The heavy-tail test: its likelihood ratio against a direct maximisation and closed forms, then its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.statistics.roots import decreasing_roots
from benchmark.statistics.tail import signed_root
from benchmark.structures import FloatArray, IntArray

gains = arrays(np.float64, st.integers(2, 9), elements=st.floats(-1, 1, allow_subnormal=False))


def direct(values: FloatArray, worst: float) -> float:
    """-2 log R by maximising the likelihood over the weights themselves, the failure added."""
    from scipy import optimize

    observations = np.append(values, -worst)
    n = len(observations)
    optimum = optimize.minimize(
        lambda w: -np.log(n * w).sum(),
        np.full(n, 1 / n),
        jac=lambda w: -1 / w,
        bounds=[(1e-9, 1)] * n,
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
            {"type": "eq", "fun": lambda w: w @ observations, "jac": lambda w: observations},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    return 2 * float(optimum.fun)


@pytest.mark.parametrize("seed", range(8))
def test_the_ratio_is_the_maximum_over_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.5, 0.4, 8).clip(-1, 1)
    worst = 1.0 + rng.random()
    if values.sum() > worst:
        assert signed_root(values[None], worst)[0] ** 2 == pytest.approx(direct(values, worst), rel=1e-4)


@pytest.mark.parametrize("failures", [0, 1, 2, 5])
def test_failures_of_one_size_are_a_poisson_tail_with_one_more(failures: int) -> None:
    """Many images with a small steady gain, ``failures`` of them failures: the formula of the module."""
    images, worst = 1_000_000, 1.0
    for expected in (3.0, 9.0, 20.0):
        values = np.full((1, images), expected / images)
        values[0, :failures] -= worst
        seen = failures + 1
        want = 0.0 if expected <= seen else 2 * (expected - seen - seen * math.log(expected / seen))
        assert signed_root(values, worst)[0] ** 2 == pytest.approx(want, rel=1e-3, abs=1e-3)


def test_no_failure_seen_passes_from_4_4_on() -> None:
    root = [signed_root(np.full((1, 1000), x / 1000), 1.0)[0] for x in (4.3, 4.5)]
    assert root[0] < 1.96 < root[1]


@pytest.mark.parametrize("level", [0.05, 0.05 / 29])
def test_a_row_that_fails_by_one_size_is_taken_for_better_no_oftener_than_promised(level: float) -> None:
    """Exactly: x failures expected, a Poisson number seen, against a steady row of the same mean."""
    from scipy import special, stats

    images = 5_000
    limit = special.ndtri(1 - level / 2)
    worst_rate = 0.0
    for expected in np.linspace(1, 40, 79):
        counts = np.arange(int(expected) + 1)
        values = np.full((1, images), expected / images)
        passing = 0
        for failures in counts:  # the fewer the failures seen, the better the row looks
            values[0, :failures] = expected / images - 1
            if signed_root(values, 1.0)[0] <= limit:
                break
            passing = failures + 1
        worst_rate = max(worst_rate, float(stats.poisson.cdf(passing - 1, expected)))
    assert 0.5 * level / 2 < worst_rate <= level / 2


@settings(max_examples=60, deadline=None)
@given(gains, st.floats(1, 100), st.floats(0.01, 100))
def test_properties_of_the_root(values: FloatArray, worst: float, factor: float) -> None:
    root = signed_root(values[None], worst)[0]
    assert root >= 0
    assert (root > 0) == (values.sum() > worst) or abs(values.sum() - worst) < 1e-6
    assert signed_root(values[None, ::-1], worst)[0] == pytest.approx(root, rel=1e-6, abs=1e-6)
    assert signed_root(values[None] * factor, worst * factor)[0] == pytest.approx(root, rel=1e-6, abs=1e-6)
    assert signed_root(values[None] + 0.1, worst)[0] >= root - 1e-9
    assert signed_root(values[None], worst * 2)[0] <= root + 1e-9
    twice = signed_root(values[None], worst, copies=2)[0]
    assert twice == pytest.approx(signed_root(np.concatenate([values, values])[None], worst)[0], rel=1e-6, abs=1e-6)
    assert twice >= root - 1e-9


def test_a_batch_is_each_of_them_and_nothing_is_mutated() -> None:
    values = np.random.default_rng(0).normal(0.2, 0.5, (50, 40))
    before = values.copy()
    together = signed_root(values, 2.0)
    assert together == pytest.approx([signed_root(one[None], 2.0)[0] for one in values])
    assert np.array_equal(values, before)


def test_a_gain_below_minus_the_worst_error_is_allowed() -> None:
    """A margin may shift gains below it."""
    values = np.full((1, 100), 0.5)
    values[0, 0] = -3.0
    assert signed_root(values, 1.0)[0] > 0


def test_without_a_failure_on_the_board_nothing_is_shown() -> None:
    assert signed_root(np.ones((2, 5)), 0.0).tolist() == [0.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, 5, elements=st.floats(0.01, 50)))
def test_roots_are_found(targets: FloatArray) -> None:
    def equation(x: FloatArray, at: IntArray) -> tuple[FloatArray, FloatArray]:
        return targets[at] - x**3, -3 * x**2

    roots = decreasing_roots(equation, np.zeros(5), np.full(5, 10.0), np.full(5, 9.0))
    assert roots == pytest.approx(np.cbrt(targets), rel=1e-9)


def test_a_function_that_rises_has_no_root_here() -> None:
    ends = np.zeros(1), np.ones(1)
    with pytest.raises(RuntimeError, match="no root found"):
        decreasing_roots(lambda x, at: (np.full_like(x, np.nan), np.ones_like(x)), *ends, np.full(1, 0.5), tolerance=-1)
