"""Holm's correction against the procedure as he words it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.statistics.holm import holm


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


def test_no_more_hypotheses_are_counted_than_can_be_true() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], most_true=3) == pytest.approx([0.03, 0.06, 0.06, 0.015])
    assert holm([0.2], most_true=0) == pytest.approx([0.2])


def test_every_row_of_a_table_is_a_family() -> None:
    table = np.random.default_rng(0).random((4, 6)) ** 3
    assert np.array_equal(holm(table), np.stack([holm(row) for row in table]))
