"""Peeking costs nothing: equal rows are seldom told apart at any of many looks, different rows soon are."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.statistics.ranks import Row, rank_intervals
from benchmark.statistics.sequential import look_level, ranked_at, told_apart
from benchmark.structures import FloatArray


def rows_of(errors: FloatArray, seeds: int) -> list[Row]:
    return [Row(f"{i}", e[:seeds], tuple(range(seeds)), "images") for i, e in enumerate(errors)]


def test_the_error_spent_on_all_looks_is_that_of_the_grid() -> None:
    spent = sum(1 - look_level(look, 0.9) for look in range(1, 5000))
    assert spent == pytest.approx(0.1, rel=1e-3)
    assert spent < 0.1
    assert look_level(1) == 0.975
    with pytest.raises(ValueError, match="counted from 1"):
        look_level(0)


def test_equal_rows_are_told_apart_in_few_grids_however_often_one_looks() -> None:
    rng = np.random.default_rng(0)
    wrong = naive = 0
    for _ in range(60):
        fitted = 1 + 0.3 * rng.uniform(-1, 1, (3, 8, 1))
        errors = fitted * rng.uniform(0.5, 1.5, 200) * rng.uniform(0.9, 1.1, (3, 8, 200))
        looks = [rows_of(errors, seeds) for seeds in range(2, 9)]
        wrong += any(r.better for look, rows in enumerate(looks, 1) for r in ranked_at(rows, 1.0, look))
        naive += any(r.better for rows in looks for r in rank_intervals(rows, 1.0))
    assert wrong <= 8  # 5 % are 3; more than 8 would be a chance of 1 in 200
    assert naive > wrong


def test_rows_that_differ_are_told_apart_when_every_pair_is() -> None:
    rng = np.random.default_rng(1)
    means = np.array([1.0, 2.0, 2.01])[:, None, None]
    errors = means + 0.05 * rng.standard_normal((3, 3, 200))
    rows = rows_of(errors, 3)
    found = ranked_at(rows, 3.0, 1)
    assert told_apart(rows, found, ["0", "1"])
    assert not told_apart(rows, found, ["1", "2"])
    assert not told_apart(rows, found, ["0", "1", "2"])
    assert not told_apart(rows, found, ["0", "missing"])
