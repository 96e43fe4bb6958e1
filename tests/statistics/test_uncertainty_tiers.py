"""Holm, tiers and the row to use: against brute force and small boards worked by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.statistics.tiers import Row, board_order, holm, place, recommend, tiers
from benchmark.structures import FloatArray

SEEDS = (0, 1, 2)


def board(means: list[float], noise: float = 0.1, images: int = 300, seed: int = 0) -> list[Row]:
    """Rows whose errors share hard images and differ by ``means``, with independent noise."""
    rng = np.random.default_rng(seed)
    hard = rng.gamma(2.0, 1.0, images) + 5
    return [
        Row(f"r{i}", hard + mean + noise * rng.standard_normal((3, images)), SEEDS, "t") for i, mean in enumerate(means)
    ]


def holm_by_hand(p: list[float], level: float) -> list[bool]:
    """The procedure as Holm words it: the smallest p against level / n, then level / (n - 1), until one fails."""
    rejected = [False] * len(p)
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] * (len(p) - step) >= level:
            break
        rejected[i] = True
    return rejected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.025, 0.05, 1.0]), max_size=9), st.floats(0.001, 0.5))
def test_holm_is_the_stepwise_procedure(p: list[float], level: float) -> None:
    found = holm(p)
    assert (found < level).tolist() == holm_by_hand(p, level)
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert (found >= np.asarray(p)).all()
    assert (found <= 1).all()


def test_holm_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_tiers_by_hand() -> None:
    assert tiers(board([2.0, 0.0, 1.0, 0.0, 1.0])) == [3, 1, 2, 1, 2]


def test_places_name_their_leader() -> None:
    found = place(board([2.0, 0.0, 2.0]))
    assert [f.leader for f in found] == [found[0].leader, 1, found[0].leader]
    assert found[0].leader in (0, 2)
    assert found[1].p == 1.0
    assert all(f.p is not None and f.p >= 0.05 for f in found)


def test_not_worse_than_the_leader_is_the_rule_though_neighbours_may_differ() -> None:
    """A wide row joins the leader that a narrower, better row was split from."""
    rng = np.random.default_rng(1)
    base = np.full((3, 400), 5.0)
    noisy = base + 0.3 + rng.normal(0, 1, (3, 1)) * np.ones((1, 400))
    rows = [
        Row("best", base + 0.01 * rng.standard_normal((3, 400)), SEEDS, "t"),
        Row("near", base + 0.2 + 0.01 * rng.standard_normal((3, 400)), SEEDS, "t"),
        Row("wild", noisy - noisy.mean() + 5.4, SEEDS, "t"),
    ]
    assert [rows[i].name for i in board_order(rows)] == ["best", "near", "wild"]
    assert tiers(rows) == [1, 2, 1]


def test_equal_rows_share_a_tier_and_rounding_decides_nothing() -> None:
    """A rule without error and a linear model with 1e-13 px of it are both exactly right."""
    zero = np.zeros((3, 50))
    rows = [Row("linear", zero + 1e-13, SEEDS, "t", 1.0), Row("rule", zero, SEEDS, "t", 1.0)]
    assert tiers(rows) == [1, 1]
    assert [rows[i].name for i in board_order(rows)] == ["linear", "rule"]


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
    found = place(rows)
    assert [f.tier for f in found] == [1, 2, 1, None, None, None, None]
    assert ["reference" in f.why for f in found[3:]] == [False, False, False, True]
    assert all("other seeds or images" in f.why for f in found[3:6])
    assert tiers([]) == []
    assert tiers(rows[-1:]) == [None]
    assert tiers(rows[3:4]) == [1]


def test_of_equal_sets_the_one_with_the_best_row_is_tested() -> None:
    rows = board([1.0, 0.0])
    rows[0] = Row("other", rows[0].errors, SEEDS, "u")
    assert tiers(rows) == [None, 1]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 100))
def test_order_of_rows_changes_nothing(order: list[int], seed: int) -> None:
    rows = board([0.0, 0.02, 0.05, 0.3, 0.31], noise=0.5, images=60, seed=seed)
    assert [tiers([rows[i] for i in order])[order.index(i)] for i in range(5)] == tiers(rows)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=6), st.integers(0, 100))
def test_tiers_are_numbered_without_gaps(means: list[float], seed: int) -> None:
    rows = board(means, noise=0.5, images=60, seed=seed)
    found = [tier for tier in tiers(rows) if tier is not None]
    assert len(found) == len(means)
    assert set(found) == set(range(1, max(found) + 1))
    assert found[board_order(rows)[0]] == 1


def test_recommend_is_the_cheapest_of_the_top_tier() -> None:
    rows = board([0.0, 0.0, 1.0, 0.0, 0.0])
    rows.append(Row("floor", rows[0].errors - 3, SEEDS, "t", reference=True))
    costs = {"r0": (9.0, 1.0), "r1": (2.0, 3.0), "r2": (0.1, 0.1), "r3": (2.0, 2.0), "floor": (0.0, 0.0)}
    standing = tiers(rows)
    assert standing == [1, 1, 2, 1, 1, None]
    assert recommend(rows, standing, costs) == "r3"
    assert recommend(rows, standing, {}) == rows[board_order(rows)[1]].name
    assert recommend(rows[-1:], standing[-1:], costs) is None
    assert recommend(rows[2:3], standing[2:3], costs) == "r2"


def test_a_choice_among_some_rows_stands_by_the_tiers_of_the_whole_board() -> None:
    """Told apart on the board through a third row, two rows alone could not be: the better tier goes before the price."""
    rows = board([0.3, 0.31])
    assert tiers(rows) == [1, 1]
    assert recommend(rows, [1, 2], {"r0": (9.0, 1.0), "r1": (1.0, 1.0)}) == "r0"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_error_that_is_not_finite_has_no_place_in_an_order(bad: float) -> None:
    rows = board([0.0, 1.0])
    broken = rows[1].errors.copy()
    broken[0, 3] = bad
    with pytest.raises(ValueError, match="r9: a row is ranked by finite errors"):
        board_order([rows[0], Row("r9", broken, SEEDS, "t")])


def test_thirty_rows_of_a_thousand_images_and_three_seeds_in_time() -> None:
    rng = np.random.default_rng(2)
    hard: FloatArray = rng.gamma(1.0, 1.0, 1000)
    rows = [Row(f"{i}", hard * (1 + i) * rng.uniform(0.5, 1.5, (3, 1000)), SEEDS, "t") for i in range(30)]
    started = time.perf_counter()
    found = tiers(rows)
    assert time.perf_counter() - started < 2
    assert max(tier for tier in found if tier is not None) > 5
