"""Our OKS evaluator against three independent ones, and on cases small enough to work out by hand."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import scoring_oracles
from scoring_cases import awkward, crowded, made_annotations, single_instance

from benchmark.metrics import average_precision
from benchmark.metrics.oks import group, match, similarity
from benchmark.structures import Annotations, Predictions


def four(annotations: Annotations, predictions: Predictions) -> list[float]:
    mine = average_precision(annotations, predictions)
    return [-1.0 if v is None else v for v in (mine.ap, mine.ap50, mine.ap75, mine.ar)]


def test_three_hundred_awkward_cases_agree_with_all_three_libraries() -> None:
    telling = 0
    for seed in range(10_000, 10_300):
        annotations, predictions = awkward(seed)
        mine = four(annotations, predictions)
        for theirs in scoring_oracles.every(annotations, predictions):
            assert mine == pytest.approx(list(theirs), rel=0, abs=1e-12), seed
        telling += 0 < mine[0] < 1
    assert telling > 200


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("make", [lambda s: single_instance(60, 2, 3, s), lambda s: crowded(12, 7, 3, 3, s)])
def test_plain_data_agrees_with_all_three_libraries(make, noise: float) -> None:
    annotations, predictions = make(noise)
    for theirs in scoring_oracles.every(annotations, predictions):
        assert four(annotations, predictions) == pytest.approx(list(theirs), rel=0, abs=1e-12)


def test_no_detections_at_all_is_zero() -> None:
    annotations, predictions = single_instance(4)
    none = Predictions.of_category(predictions.image_ids[:0], predictions.keypoints[:0], predictions.scores[:0], 1)
    assert four(annotations, none) == [0, 0, 0, 0]


def test_nothing_that_counts_is_none() -> None:
    annotations, predictions = single_instance(4)
    assert four(replace(annotations, crowd=np.ones(4, dtype=bool)), predictions) == [-1, -1, -1, -1]


def test_only_the_twenty_best_of_an_image_count() -> None:
    annotations = made_annotations(np.full((1, 1, 2), 10.0))
    points = np.full((21, 1, 2), 25.0)
    points[20] = 10.0
    ranked = Predictions.of_category(np.ones(21, dtype=int), points, np.linspace(1, 0.1, 21), 1)
    assert four(annotations, ranked) == [0, 0, 0, 0]
    assert four(annotations, replace(ranked, scores=np.linspace(0.1, 1, 21)))[3] == 1


def test_similarity_by_hand() -> None:
    annotations = made_annotations(np.array([[[10.0, 10.0], [20.0, 20.0]]]), area=100.0, sigma=0.1)
    points = np.array([[[10.0, 12.0], [20.0, 20.0]]])
    assert similarity(points, annotations, np.array([0])) == pytest.approx((np.exp(-4 / (2 * 100 * 0.04)) + 1) / 2)
    half = replace(annotations, visible=np.array([[2, 0]]))
    assert similarity(points, half, np.array([0])) == pytest.approx(np.exp(-4 / (2 * 100 * 0.04)))


def test_matching_prefers_instances_that_count_and_lets_crowds_be_taken_again() -> None:
    annotations = made_annotations(np.full((2, 1, 2), 10.0), index=np.array([0, 0]), images=1)
    annotations = replace(annotations, crowd=np.array([True, False]))
    predictions = Predictions.of_category(np.ones(3, dtype=int), np.full((3, 1, 2), 10.0), np.array([0.1, 0.9, 0.5]), 1)
    sorted_by_score = group(annotations, predictions, predictions.scores, 1, None)
    assert sorted_by_score.detections.tolist() == [1, 2, 0]
    assert match(annotations, predictions, sorted_by_score, np.array([0.5])).tolist() == [[1, 0, 0]]


def test_ten_thousand_images_take_milliseconds() -> None:
    annotations, predictions = single_instance(10_000)
    average_precision(annotations, predictions)
    spent = []
    for _ in range(5):
        start = time.process_time()
        average_precision(annotations, predictions)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05
