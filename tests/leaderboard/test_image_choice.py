"""Which images are chosen: against loops, and the properties that the sheets and the page rely on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.structures import Predictions
from leaderboard.image_choice import at_random, dispute, disputed, places_of, worst


def test_dispute_is_the_mean_distance_from_the_median() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(10, 3, (5, 6, 4))
    places[1, 2] = np.nan
    places[:, 3] = np.nan
    places[1:, 4] = np.nan
    expected = []
    for image in range(6):
        distances = []
        for k in range(2):
            said = [row[image, 2 * k : 2 * k + 2] for row in places if not np.isnan(row[image, 2 * k])]
            if said:
                middle = np.median(said, axis=0)
                distances += [float(np.hypot(*(point - middle))) for point in said]
        expected.append(np.mean(distances) if distances else 0.0)
    assert dispute(places) == pytest.approx(expected)
    assert expected[3] == expected[4] == 0.0
    assert disputed(places, 2).tolist() == np.argsort(expected)[::-1][:2].tolist()
    assert (dispute(places[:1]) == 0).all()


def test_two_camps_are_disputed_more_than_one_row_that_is_far_off() -> None:
    camps = np.array([[0.0, 0], [0, 0], [8, 0], [8, 0], [0, 0]])
    alone = np.array([[0.0, 0], [0, 0], [0, 0], [0, 0], [15, 0]])
    assert disputed(np.stack([alone, camps], axis=1), 1).tolist() == [1]


def test_errors_are_compared_where_there_are_no_places() -> None:
    errors = np.array([[[1.0], [5.0]], [[1.5], [1.0]], [[np.nan], [1.0]]])
    assert dispute(errors) == pytest.approx([0.25, 4 / 3])


@given(st.integers(1, 60), st.integers(0, 20), st.integers(0, 10))
def test_images_at_random_are_the_same_and_never_those_left_out(images: int, count: int, without: int) -> None:
    left_out = np.arange(min(without, images))
    drawn = at_random(images, count, left_out)
    assert drawn.tolist() == sorted(set(drawn.tolist()) - set(left_out.tolist()))
    assert len(drawn) == min(count, images - len(left_out))
    assert set(at_random(images, count).tolist()) - set(left_out.tolist()) <= set(drawn.tolist())


def test_places_are_those_of_the_best_scored_answer(maker: Any) -> None:
    annotations = maker.annotations(3, 2)
    points = np.arange(16, dtype=float).reshape(4, 2, 2)
    answers = Predictions.of_category(np.array([1, 1, 3, 3]), points, np.array([0.2, 0.9, 0.5, 0.5]), 1)
    places = places_of(annotations, answers)
    assert places[0].tolist() == points[1].ravel().tolist()
    assert np.isnan(places[1]).all()
    assert places[2].tolist() == points[2].ravel().tolist()
    assert worst(annotations, np.array([1.0, np.nan, 2.0]), 2).tolist() == [1, 2]
