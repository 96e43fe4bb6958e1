"""Rank intervals: against brute force on small boards, boards worked by hand, and properties."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.statistics.paired import p_value
from benchmark.statistics.ranks import (
    RankInterval,
    Row,
    board_order,
    comparable_rows,
    on_shared_seeds,
    pairwise_p,
    rank_intervals,
)
from benchmark.structures import FloatArray

SEEDS = (0, 1, 2)
WORST = 40.0


def board(means: list[float], noise: float = 0.1, images: int = 300, seed: int = 0) -> list[Row]:
    """Rows whose errors share hard images and differ by ``means``, with independent noise."""
    rng = np.random.default_rng(seed)
    hard = rng.gamma(2.0, 1.0, images) + 5
    return [
        Row(f"r{i}", hard + mean + noise * rng.standard_normal((3, images)), SEEDS, "t") for i, mean in enumerate(means)
    ]


def brute_force(rows: list[Row], failure: float, level: float = 0.95) -> list[tuple[int, int]]:
    """Every row against every other with ``p_value``, Holm's procedure step by step."""
    intervals = []
    for row in rows:
        others = [other for other in rows if other is not row]
        p = [p_value(row.errors, other.errors, failure) for other in others]
        better = worse = 0
        for step, k in enumerate(sorted(range(len(others)), key=p.__getitem__)):
            if p[k] * (len(others) - step) >= 1 - level:
                break
            better += bool(others[k].errors.mean() < row.errors.mean())
            worse += bool(others[k].errors.mean() > row.errors.mean())
        intervals.append((1 + better, len(rows) - worse))
    return intervals


def ends(intervals: list[RankInterval]) -> list[tuple[int | None, int | None]]:
    return [(interval.low, interval.high) for interval in intervals]


def test_ranks_by_hand() -> None:
    """Two best, two in the middle, one last."""
    intervals = rank_intervals(board([2.0, 0.0, 1.0, 0.0, 1.0]), WORST)
    assert ends(intervals) == [(5, 5), (1, 2), (3, 4), (1, 2), (3, 4)]
    assert intervals[2].better == (1, 3)
    assert intervals[2].worse == (0,)
    assert all(interval.untested is None for interval in intervals)


def test_for_all_rows_at_once_no_pair_is_shown_that_holm_over_all_pairs_does_not_show() -> None:
    """Step by step, with ``p_value``; between equal rows it shows less than row by row."""
    rows = board([0.0, 0.012, 0.03, 0.5], seed=4)
    pairs = [(i, j) for j in range(4) for i in range(j)]
    p = [p_value(rows[i].errors, rows[j].errors, WORST) for i, j in pairs]
    shown = set()
    for step, k in enumerate(sorted(range(len(pairs)), key=p.__getitem__)):
        if p[k] * (len(pairs) - step) >= 0.05:
            break
        shown.add(pairs[k])
    together, alone = rank_intervals(rows, WORST, together=True), rank_intervals(rows, WORST)
    assert {(i, j) for j, found in enumerate(together) for i in found.better} == shown
    assert all(set(strict.better) <= set(loose.better) for strict, loose in zip(together, alone))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, 3.0]), min_size=1, max_size=6),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.sampled_from([1, 3]),
    st.integers(0, 1000),
)
def test_ranks_are_brute_force(means: list[float], noise: float, seeds: int, seed: int) -> None:
    rows = [replace(row, errors=row.errors[:seeds], seeds=SEEDS[:seeds]) for row in board(means, noise, 200, seed)]
    rows = [replace(row, errors=np.abs(row.errors)) for row in rows]
    intervals = rank_intervals(rows, WORST)
    assert ends(intervals) == brute_force(rows, WORST)
    for rank, i in enumerate(board_order(rows), 1):
        low, high = intervals[i].low, intervals[i].high
        assert low is not None
        assert high is not None
        assert 1 <= low <= rank <= high <= len(rows)
    for i, interval in enumerate(intervals):
        assert not set(interval.better) & set(interval.worse)
        assert i not in interval.better + interval.worse


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 100))
def test_order_of_rows_changes_nothing(order: list[int], seed: int) -> None:
    rows = board([0.0, 0.05, 0.3, 0.6, 0.61], noise=0.5, images=100, seed=seed)
    there = rank_intervals(rows, WORST)
    back = rank_intervals([rows[i] for i in order], WORST)
    assert [ends(back)[order.index(i)] for i in range(5)] == ends(there)
    for i in range(5):
        assert {order[k] for k in back[order.index(i)].better} == set(there[i].better)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 2))
def test_the_best_row_made_better_by_a_steady_amount_loses_nothing(seed: int, gain: float) -> None:
    """Its p values all fall, so Holm rejects no fewer. (In the middle of a board, Holm's steps are shared between the rows
    before and behind, and no such rule holds; nor does it where a change alters the spread.)"""
    rows = board([0.0, 0.1, 0.2, 0.4, 0.8], noise=0.7, images=150, seed=seed)
    best = board_order(rows)[0]
    better = list(rows)
    better[best] = replace(rows[best], errors=rows[best].errors - gain)
    before, after = rank_intervals(rows, WORST)[best], rank_intervals(better, WORST)[best]
    assert before.low == after.low == 1
    assert set(before.worse) <= set(after.worse)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 2))
@example(seed=177, gain=1.0)
def test_p_falls_as_a_better_row_gains_and_rises_as_a_worse_one_does(seed: int, gain: float) -> None:
    rows = board([0.0, 0.3], noise=1.5, images=100, seed=seed)
    first, second = (rows[i].errors + 5 for i in board_order(rows))
    assert p_value(first - gain, second, WORST) <= p_value(first, second, WORST) * (1 + 1e-9)
    step = min(gain, float(second.mean() - first.mean()))
    assert p_value(first, second - step, WORST) >= p_value(first, second, WORST) * (1 - 1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(40, 400), st.floats(1, 10))
def test_a_worse_failure_widens(seed: int, failure: float, factor: float) -> None:
    rows = board([0.0, 0.2, 0.4, 1.0], noise=0.5, seed=seed)
    narrow, _ = pairwise_p([row.errors for row in rows], failure)
    wide, _ = pairwise_p([row.errors for row in rows], failure * factor)
    assert (wide >= narrow * (1 - 1e-9)).all()


def test_two_rows_of_a_tier_that_differ_are_told_apart() -> None:
    """What tiers hid: a wide row that cannot be told from the best one, and a near one that can and is better than it."""
    rng = np.random.default_rng(1)
    base = np.full((3, 400), 5.0)
    wide = base + 0.4 + rng.normal(0, 1, (3, 1)) * np.ones((1, 400))
    rows = [
        Row("best", base + 0.01 * rng.standard_normal((3, 400)), SEEDS, "t"),
        Row("near", base + 0.2 + 0.01 * rng.standard_normal((3, 400)), SEEDS, "t"),
        Row("wide", wide - wide.mean() + 5.4, SEEDS, "t"),
    ]
    assert ends(rank_intervals(rows, 7.0)) == [(1, 2), (2, 3), (1, 3)]


def test_a_row_that_failed_on_few_images_is_not_shown_worse_than_exact_rows() -> None:
    """4 of 291 wrong can still be told apart by no honest test; 12 can."""
    exact = Row("exact", np.zeros((1, 291)), (0,), "t", 1.0)
    failing = {}
    for failures in (4, 12):
        errors = np.zeros((1, 291))
        errors[0, :failures] = 10.0
        failing[failures] = rank_intervals([exact, Row("failing", errors, (0,), "t")], 10.0)
    assert ends(failing[4]) == [(1, 2), (1, 2)]
    assert ends(failing[12]) == [(1, 1), (2, 2)]


def test_equal_rows_share_their_ranks_and_rounding_decides_nothing() -> None:
    """A rule without error and a linear model with 1e-13 px of it are both exactly right."""
    zero = np.zeros((3, 50))
    rows = [Row("linear", zero + 1e-13, SEEDS, "t", 1.0), Row("rule", zero, SEEDS, "t", 1.0)]
    assert ends(rank_intervals(rows, 1e-13)) == [(1, 2), (1, 2)]
    assert [rows[i].name for i in board_order(rows)] == ["linear", "rule"]


def test_one_image_tells_nothing_apart() -> None:
    rows = [Row(name, np.array([[error]]), (0,), "t") for name, error in (("a", 0.0), ("b", 9.0))]
    assert ends(rank_intervals(rows, 9.0)) == [(1, 2), (1, 2)]


def test_board_order_breaks_ties_by_exact_then_name() -> None:
    errors = np.ones((1, 4))
    rows = [
        Row("b", errors, (0,), "t", 0.5),
        Row("none", errors, (0,), "t"),
        Row("a", errors + 1e-10, (0,), "t", 0.5),
        Row("c", errors, (0,), "t", 0.9),
        Row("first", errors - 1e-6, (0,), "t", 0.0),
    ]
    assert [rows[i].name for i in board_order(rows)] == ["first", "c", "a", "b", "none"]


def test_rows_on_other_seeds_or_images_are_not_tested() -> None:
    rows = board([0.0, 1.0, 0.0])
    rows += [
        Row("one seed", rows[0].errors[:1], (0,), "t"),
        Row("other split", rows[0].errors, SEEDS, "u"),
        Row("other seeds", rows[0].errors, (0, 1, 3), "t"),
        Row("mean", rows[0].errors - 3, SEEDS, "t", reference=True),
    ]
    intervals = rank_intervals(rows, WORST)
    assert ends(intervals) == [(1, 2), (3, 3), (1, 2)] + [(None, None)] * 4
    assert [interval.untested for interval in intervals[2:]] == [None, *["other_seeds_or_images"] * 3, "unranked"]
    assert set(comparable_rows(rows)) == {0, 1, 2}
    assert rank_intervals([], WORST) == []
    assert rank_intervals(rows[-1:], WORST) == [RankInterval(None, None, untested="unranked")]
    assert ends(rank_intervals(rows[3:4], WORST)) == [(1, 1)]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=6))
def test_no_other_choice_of_seeds_has_more_rows_times_seeds(sets: list[set[int]]) -> None:
    rows = with_seeds([tuple(sorted(some)) for some in sets])
    every = [set(some) for k in range(1, 7) for some in combinations(range(6), k)]
    best = max(sum(some <= own for own in sets) * min(len(some), 3) for some in every)
    tested = comparable_rows(rows)
    assert len(tested) * min(len(on_shared_seeds(rows)[tested[0]].seeds), 3) == best


def with_seeds(seeds: list[tuple[int, ...]]) -> list[Row]:
    """Rows that are worse and worse, each with some of six seeds."""
    rng = np.random.default_rng(5)
    every = [5 + i + 0.1 * rng.standard_normal((6, 200)) for i in range(len(seeds))]
    return [Row(f"r{i}", errors[list(some)], some, "t") for i, (errors, some) in enumerate(zip(every, seeds))]


@pytest.mark.parametrize(
    ("seeds", "tested", "shared"),
    [
        ([(0, 1, 2, 3, 4)] * 4 + [(0, 1, 2)] * 2, range(6), (0, 1, 2)),  # 6 x 3 beat 4 x 3
        ([(0,)] * 5 + [(0, 1, 2)], range(6), (0,)),  # more seeds put nobody out
        ([(0, 1, 2)] * 5 + [(0,)], range(5), (0, 1, 2)),  # nor does one seed take the others'
        ([(0, 1, 2, 3)] * 3 + [(1, 2, 3, 4)] * 3, range(6), (1, 2, 3)),
        ([(0, 1, 2)] * 2 + [(3, 4, 5)] * 3, range(2, 5), (3, 4, 5)),
        ([(0, 1, 2, 3), (0, 1, 2, 4), (0, 1, 2, 5)], range(3), (0, 1, 2)),  # which three rows share, and no two alone
        ([(0, 1)] * 2 + [(2, 3)] * 2, range(2), (0, 1)),  # of equal choices the one with the best row
    ],
)
def test_rows_are_tested_on_the_seeds_they_share(
    seeds: list[tuple[int, ...]], tested: range, shared: tuple[int, ...]
) -> None:
    rows = with_seeds(seeds)
    assert comparable_rows(rows) == list(tested)
    cut = on_shared_seeds(rows)
    assert [cut[i].seeds for i in tested] == [shared] * len(tested)
    by_hand = [Row(rows[i].name, rows[i].errors[[seeds[i].index(s) for s in shared]], shared, "t") for i in tested]
    assert ends([rank_intervals(rows, WORST)[i] for i in tested]) == brute_force(by_hand, WORST)
    assert [interval.untested for interval in rank_intervals(rows, WORST)].count(None) == len(tested)
    assert comparable_rows(cut) == list(tested)  # cutting twice changes nothing


def test_of_equal_sets_the_one_with_the_best_row_is_tested() -> None:
    rows = board([1.0, 0.0])
    rows[0] = Row("other", rows[0].errors, SEEDS, "u")
    assert ends(rank_intervals(rows, WORST)) == [(None, None), (1, 1)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_error_that_is_not_finite_has_no_place_in_an_order(bad: float) -> None:
    rows = board([0.0, 1.0])
    broken = rows[1].errors.copy()
    broken[0, 3] = bad
    with pytest.raises(ValueError, match="r9: a row is ranked by finite errors"):
        board_order([rows[0], Row("r9", broken, SEEDS, "t")])


@pytest.mark.parametrize("failure", [-1.0, np.nan, np.inf])
def test_what_is_no_size_of_a_failure_is_refused(failure: float) -> None:
    with pytest.raises(ValueError, match="the size of a failure is a finite number of px"):
        rank_intervals(board([0.0, 1.0]), failure)


def test_one_broken_row_hides_no_difference_between_the_others() -> None:
    """A least-squares fit on raw pixels was wrong by 1,200 px on one image; the others still stand apart."""
    rows = board([0.0, 1.0, 2.0])
    broken = Row("broken", 1000 * rows[2].errors, SEEDS, "t")
    alone, beside = rank_intervals(rows, WORST), rank_intervals([*rows, broken], WORST)
    assert ends(alone) == ends(beside)[:3]
    assert ends(beside)[3] == (4, 4)


def test_sixty_rows_take_less_than_the_pairs_one_by_one() -> None:
    rng = np.random.default_rng(2)
    hard: FloatArray = rng.gamma(1.0, 1.0, 1000)
    rows = [
        Row(f"{i}", hard * 0.1 * 1.07**i * rng.uniform(0.5, 1.5, (3, 1000)), SEEDS, "t", float(i)) for i in range(60)
    ]
    failure = max(float(row.errors.max()) for row in rows)
    started = time.perf_counter()
    intervals = rank_intervals(rows, failure)
    board_time = time.perf_counter() - started
    started = time.perf_counter()
    for row in rows:
        p_value(rows[30].errors, row.errors, failure)
    pair_time = (time.perf_counter() - started) / 60
    assert board_time < 1770 * pair_time
    assert intervals[-1].low is not None
    assert intervals[-1].low > 50
