"""Errors by group: against scipy on group means, the jackknife by hand, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics.advice import advise
from benchmark.statistics.groups import Groups
from benchmark.statistics.intervals import exact_share, interval
from benchmark.statistics.paired import p_value, paired
from benchmark.statistics.power import power
from benchmark.statistics.ranks import Row, rank_intervals
from benchmark.structures import FloatArray


def groups_of(sizes: list[int]) -> Groups:
    names = [f"video {g}" for g, size in enumerate(sizes) for _ in range(size)]
    found = Groups.of(names)
    assert found is not None
    return found


def drawn(rng: np.random.Generator, sizes: list[int], seeds: int = 1, alike: float = 0.8, rows: int = 1) -> FloatArray:
    """(rows, S, N) errors about 20 px; ``alike`` of the variance is the group's."""
    of_group = np.repeat(rng.standard_normal((rows, 1, len(sizes))), sizes, axis=2)
    own = rng.standard_normal((rows, 1, sum(sizes))) + 0.3 * rng.standard_normal((rows, seeds, sum(sizes)))
    return np.asarray(20 + np.sqrt(alike) * of_group + np.sqrt(1 - alike) * own)


def test_images_that_stand_alone_are_no_groups() -> None:
    assert Groups.of(None) is None
    assert Groups.of(["a", "b", "c"]) is None
    assert groups_of([2, 3]).take(np.array([0, 4])) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=9).filter(lambda s: max(s) > 1), st.integers(0, 999))
def test_values_keep_the_mean_are_linear_and_give_the_jackknife(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = groups_of(sizes)
    a, b = rng.random((2, 3, sum(sizes)))
    values = groups.values(a)
    assert values.shape == (3, len(sizes))
    assert values.mean(axis=1) == pytest.approx(a.mean(axis=1))
    assert groups.values(a - 2 * b) == pytest.approx(values - 2 * groups.values(b))
    without = np.array([a[0, groups.members != g].mean() for g in range(len(sizes))])
    g = len(sizes)
    jackknife = (g - 1) / g * ((without - without.mean()) ** 2).sum()
    assert values[0].var(ddof=1) / g == pytest.approx(jackknife)
    assert 1 <= groups.effective <= g + 1e-9


def test_groups_of_one_size_are_their_means_and_the_interval_is_students_over_them() -> None:
    rng = np.random.default_rng(0)
    sizes = [7] * 9
    groups = groups_of(sizes)
    a, b = drawn(rng, sizes, rows=2)
    means = [row[0].reshape(9, 7).mean(axis=1) for row in (a, b)]
    assert groups.values(a)[0] == pytest.approx(means[0])
    known = stats.ttest_1samp(means[0], 0).confidence_interval()
    found = interval(a, groups=groups)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    both = stats.ttest_rel(*means)
    differ = paired(a, b, groups=groups)
    assert p_value(a, b, groups=groups) == differ.p == pytest.approx(both.pvalue)
    assert (differ.low, differ.high) == pytest.approx(tuple(both.confidence_interval()))
    assert found.method.code == "student_t_groups"


@pytest.mark.parametrize("sizes", [[6] * 10, [2, 3, 4, 5, 6, 8, 9, 12, 15, 20, 3, 3], [40, *[5] * 12]])
@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_over_groups_cover_where_those_over_images_do_not(sizes: list[int], seeds: int) -> None:
    rng = np.random.default_rng(len(sizes) + seeds)
    groups = groups_of(sizes)
    held = np.zeros(2)
    repeats = 300
    for _ in range(repeats):
        errors = drawn(rng, sizes, seeds)[0]
        for i, each in enumerate((groups, None)):
            found = interval(errors, groups=each)
            held[i] += found.low <= 20 <= found.high
    assert held[0] / repeats > 0.91
    assert held[1] / repeats < 0.75


def test_equal_rows_are_seldom_told_apart_although_their_images_are_many() -> None:
    rng = np.random.default_rng(5)
    sizes = [30] * 8
    groups = groups_of(sizes)
    told = {True: 0, False: 0}
    for _ in range(60):
        table = drawn(rng, sizes, rows=3)
        for grouped in told:
            rows = [Row(f"{i}", e, (0,), "images", groups=groups if grouped else None) for i, e in enumerate(table)]
            told[grouped] += any(ranks.better for ranks in rank_intervals(rows, 3.0))
    assert told[True] <= 9
    assert told[False] >= 30


def test_one_group_says_nothing_and_a_clear_difference_is_still_shown() -> None:
    rng = np.random.default_rng(1)
    lone = Groups.of(["a"] * 12)
    errors = rng.random((1, 12))
    found = interval(errors, groups=lone)
    assert found.high == np.inf
    assert "one_group" in [note.code for note in found.notes]
    assert p_value(errors, errors + 1, 5.0, lone) == 1.0
    assert power(errors, errors + 1, groups=lone).code == "one_image"
    assert exact_share(np.ones((1, 12)), groups=lone).low < 0.1

    sizes = [5] * 40
    groups = groups_of(sizes)
    a = drawn(rng, sizes)[0]
    rows = [Row("a", a, (0,), "x", groups=groups), Row("b", a + 15, (0,), "x", groups=groups)]
    low, high = rank_intervals(rows, 30.0)
    assert (low.low, low.high, high.low, high.high) == (1, 1, 2, 2)
    assert advise(rows, {"a": (2.0, 1.0), "b": (1.0, 1.0)}, 30.0).name == "a"
    planned = power(a, a + rng.normal(0.3, 2.0, a.shape).clip(-10), failure=0.1, groups=groups)
    assert planned.grouped
    assert planned.images_seen == 40


def test_the_share_exact_of_groups_is_worth_fewer_images() -> None:
    rng = np.random.default_rng(2)
    sizes = [25] * 12
    groups = groups_of(sizes)
    right = np.repeat(rng.random(12) < 0.5, 25).astype(float)[None]
    wide, narrow = exact_share(right, groups=groups), exact_share(right)
    assert wide.mean == narrow.mean == right.mean()
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    every = exact_share(np.ones((1, 300)), groups=groups)
    assert every.low == pytest.approx(exact_share(np.ones((1, 12))).low)
