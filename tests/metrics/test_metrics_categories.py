"""Categories: COCO's AP counts each on its own, whatever the ids; pixel errors of one-instance data do not ask for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scoring_oracles
from scoring_cases import crowded, single_instance

from benchmark.metrics import score
from benchmark.structures import Annotations, Category, Predictions, UserError

OKS = ("ap", "ap50", "ap75", "ar")


def with_categories(
    case: tuple[Annotations, Predictions], ids: tuple[int, ...], seed: int, wrong: float = 0.0
) -> tuple[Annotations, Predictions]:
    """The case with instances of random categories; a share ``wrong`` of the predictions names another at random."""
    annotations, predictions = case
    rng = np.random.default_rng(seed)
    own = rng.choice(ids, len(annotations.index))
    annotations = replace(
        annotations, category_ids=own, categories=tuple(Category(i, f"kind {i}") for i in sorted(ids))
    )
    nearest = np.empty(len(predictions), dtype=np.int64)
    for p in range(len(predictions)):
        rows = np.flatnonzero(annotations.image_ids[annotations.index] == predictions.image_ids[p])
        gaps = np.abs(annotations.keypoints[rows] - predictions.keypoints[p]).sum(axis=(1, 2))
        nearest[p] = own[rows[gaps.argmin()]]
    drawn = np.where(rng.random(len(predictions)) < wrong, rng.choice(ids, len(predictions)), nearest)
    return annotations, replace(predictions, category_ids=drawn)


@pytest.mark.parametrize("wrong", [0.0, 0.4])
@pytest.mark.parametrize("ids", [(0,), (7,), (1, 2), (0, 7)])
@pytest.mark.parametrize("make", [lambda: single_instance(40, 2, 3, 1.0), lambda: crowded(12, 4, 3, 3, 1.0)])
def test_ap_and_ar_are_pycocotools_whatever_the_ids(make, ids: tuple[int, ...], wrong: float) -> None:
    annotations, predictions = with_categories(make(), ids, 5, wrong)
    scores = score(annotations, predictions)
    theirs, *_ = scoring_oracles.every(annotations, predictions)
    assert [scores[name] for name in OKS] == pytest.approx(list(theirs), rel=0, abs=1e-12)
    assert 0 < scores["ap"] < 1


def test_a_category_without_instances_counts_for_nothing() -> None:
    annotations, predictions = with_categories(single_instance(20), (1,), 0)
    wider = replace(annotations, categories=(Category(1, "a"), Category(2, "b")))
    assert wider.known_category_ids.tolist() == [1, 2]
    stray = replace(predictions, category_ids=np.where(np.arange(20) < 3, 2, 1))
    theirs, *_ = scoring_oracles.every(wider, stray)
    assert [score(wider, stray)[name] for name in OKS] == pytest.approx(list(theirs), rel=0, abs=1e-12)
    with pytest.raises(UserError, match="category_id 2 is not a category"):
        score(replace(annotations, categories=()), stray)


def test_the_best_scored_prediction_answers_an_image_whatever_its_category() -> None:
    annotations, predictions = with_categories(single_instance(30, noise=0.0), (1, 2), 0)
    swapped = replace(predictions, category_ids=3 - predictions.category_ids)
    scores = score(annotations, swapped)
    assert (scores["mean"], scores["exact"], scores["misses"], scores["ap"]) == (0, 1, 0, 0)
    assert scores.counts["spare"] == 0
    twice = Predictions(
        np.repeat(annotations.image_ids, 2),
        np.repeat(annotations.keypoints, 2, axis=0) + np.tile([[[0.0, 0.0]], [[5.0, 0.0]]], (30, 1, 1)),
        np.tile([0.9, 0.1], 30),
        np.stack([3 - annotations.category_ids, annotations.category_ids], axis=1).ravel(),
    )
    assert score(annotations, twice)["mean"] == 0


def test_with_several_instances_a_prediction_of_another_category_matches_nothing() -> None:
    annotations, predictions = with_categories(crowded(5, 3, 2, 0, 0.1), (0, 7), 1)
    scores = score(annotations, predictions)
    assert (scores["precision"], scores["recall"]) == (1, 1)
    swapped = score(annotations, replace(predictions, category_ids=7 - predictions.category_ids))
    assert swapped["recall"] < 1
