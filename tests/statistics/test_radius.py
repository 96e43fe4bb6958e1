"""Promised radii: the rank that theory names, and coverage counted by leaving every unit out in turn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.statistics.radius import fewest_units, promised_radius


def test_with_one_point_an_image_it_is_the_rank_of_split_conformal_prediction() -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))  # 1 to 99
    assert promised_radius(errors, np.arange(99), 0.9) == 90  # ceil(100 * .9)
    assert promised_radius(errors[:-1], np.arange(98), 0.9) == sorted(errors[:-1])[89]  # ceil(99 * .9) = 90


@pytest.mark.parametrize(("share", "fewest"), [(0.9, 9), (0.95, 19), (0.5, 1), (0.99, 99)])
def test_too_few_images_promise_nothing(share: float, fewest: int) -> None:
    assert fewest_units(share) == fewest
    assert math.isinf(promised_radius(np.ones(fewest - 1), np.arange(fewest - 1), share))
    assert promised_radius(np.ones(fewest), np.arange(fewest), share) == 1


def test_points_that_were_not_found_lie_at_infinity() -> None:
    errors = np.concatenate([np.zeros(80), np.full(20, np.inf)])
    assert math.isinf(promised_radius(errors, np.arange(100), 0.9))
    assert promised_radius(errors, np.arange(100), 0.79) == 0


def test_frames_of_one_video_count_as_one() -> None:
    """A thousand good frames of one video promise nothing of the next video."""
    errors = np.concatenate([np.zeros(1000), np.full(9, 5.0)])
    units = np.concatenate([np.zeros(1000, dtype=np.int64), np.arange(1, 10)])
    assert promised_radius(errors, units, 0.9) == 5
    assert promised_radius(errors, np.arange(1009), 0.9) == 0


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=2, max_size=24),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_at_least_the_share_of_a_left_out_unit_lies_within(units: list[list[int]], share: float) -> None:
    """The theorem itself, by brute force: over which unit is the new one, nothing else is random."""
    covered = []
    for new in range(len(units)):
        others = [(error, u) for u, unit in enumerate(units) if u != new for error in unit]
        errors, members = (np.array(column) for column in zip(*others, strict=True))
        covered.append(np.mean(np.array(units[new]) <= promised_radius(errors.astype(float), members, share)))
    assert np.mean(covered) >= share - 1e-12


@given(st.integers(10, 60), st.sampled_from([0.5, 0.8, 0.9]))
def test_without_ties_no_more_than_one_part_too_many(n: int, share: float) -> None:
    errors = np.arange(float(n))
    within = [errors[i] <= promised_radius(np.delete(errors, i), np.arange(n - 1), share) for i in range(n)]
    assert share - 1e-12 <= np.mean(within) < share + 1 / n + 1e-12


@pytest.mark.parametrize("errors", [[-1.0], [np.nan]])
def test_what_is_no_distance_is_refused(errors: list[float]) -> None:
    with pytest.raises(ValueError, match="distances"):
        promised_radius(np.array(errors), np.zeros(1, dtype=np.int64), 0.9)
