"""The table against other people's answers, and several instances an image by hand."""

from __future__ import annotations

import math
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scoring_cases import crowded, made_annotations, single_instance
from sklearn import metrics as other

from benchmark.metrics import score
from benchmark.metrics.taxonomy import KINDS, kinds
from benchmark.structures import Predictions, UserError
from datasets.formats.coco_results import read_predictions, write_predictions


def test_pixel_metrics_are_scikit_learns() -> None:
    annotations, predictions = single_instance(80, 1, 5, 2.0)
    own_mean = replace(
        annotations, baseline=np.broadcast_to(annotations.keypoints.mean(axis=0), annotations.keypoints.shape).copy()
    )
    scores = score(own_mean, predictions)
    y, p = annotations.keypoints[:, 0], predictions.keypoints[:, 0]
    assert scores["r2"] == pytest.approx(other.r2_score(y, p), rel=1e-12)
    assert scores["sqdist_r2"] == pytest.approx(other.r2_score(y, p, multioutput="variance_weighted"), rel=1e-12)
    assert scores["mse"] == pytest.approx(other.mean_squared_error(y / 14 - 1, p / 14 - 1), rel=1e-12)
    assert scores["mae"] == pytest.approx(other.mean_absolute_error(y / 14 - 1, p / 14 - 1), rel=1e-12)
    assert scores["mae_x"] == pytest.approx(other.mean_absolute_error(y[:, 0], p[:, 0]), rel=1e-12)
    d = np.hypot(*(p - y).T)
    assert scores["mean"] == pytest.approx(d.mean(), rel=1e-12)
    assert scores["dist_avg"] == pytest.approx(d.mean() / 14, rel=1e-12)
    assert scores["p95"] == pytest.approx(np.quantile(d, 0.95), rel=1e-12)
    b = np.hypot(*(y - y.mean(axis=0)).T)
    assert scores["dist_r2"] == pytest.approx(1 - d.sum() / b.sum(), rel=1e-12)


def test_auc_is_the_area_under_the_pck_curve() -> None:
    annotations, predictions = single_instance(60)
    d = np.hypot(*np.moveaxis(predictions.keypoints - annotations.keypoints, 2, 0))
    t = np.linspace(0, 3, 20_001)
    assert score(annotations, predictions)["auc"] == pytest.approx(
        np.trapezoid((d.ravel() <= t[:, None]).mean(axis=1), t) / 3, abs=1e-3
    )


def test_several_keypoints_are_the_mean_over_keypoints_and_each_on_its_own() -> None:
    annotations, predictions = single_instance(30, 3)
    scores = score(annotations, predictions)
    for name in ("mean", "exact", "pck@1", "auc", "mae_x", "mse", "r2"):
        assert scores[name] == pytest.approx(np.mean([row[name] for row in scores.keypoints.values()])), name
    one = replace(
        annotations,
        keypoints=annotations.keypoints[:, 1:2],
        visible=annotations.visible[:, 1:2],
        keypoint_names=("p1",),
        sigmas=annotations.sigmas[:1],
        spacing=annotations.spacing[:1],
        baseline=annotations.baseline[:, 1:2],
    )
    alone = score(one, replace(predictions, keypoints=predictions.keypoints[:, 1:2]))
    assert scores.keypoints["p1"] == {name: alone[name] for name in scores.keypoints["p1"]}
    near = (np.abs(predictions.keypoints - annotations.keypoints) < 0.5).all(axis=2)
    assert scores["exact_all"] == near.all(axis=1).mean()
    assert scores.exact.tolist() == near.mean(axis=1).tolist()


def two_in_one_image() -> tuple:
    """Instances at (10, 10) and (40, 10) of the only image, K = 1."""
    annotations = made_annotations(
        np.array([[[10.0, 10.0]], [[40.0, 10.0]]]), index=np.array([0, 0]), images=1, side=64
    )
    return annotations, lambda points, scores: Predictions.of_category(
        np.ones(len(points), dtype=int), np.array(points, float), scores, 1
    )


def test_instances_are_matched_before_pixels_are_measured() -> None:
    annotations, predicted = two_in_one_image()
    scores = score(annotations, predicted([[[41.0, 10.0]], [[10.0, 12.0]], [[25.0, 50.0]]], np.array([0.9, 0.8, 0.7])))
    assert (scores["mean"], scores["max"]) == (1.5, 2.0)
    assert (scores["precision"], scores["recall"], scores["misses"]) == (pytest.approx(2 / 3), 1.0, 0.0)
    assert scores.distances.tolist() == [1.5]
    assert scores.counts == {"images": 1, "instances": 2, "predictions": 3, "spare": 1}
    missed = score(annotations, predicted([[[10.0, 12.0]]], np.array([0.8])))
    assert (missed["mean"], missed["precision"], missed["recall"], missed["misses"]) == (2.0, 1.0, 0.5, 1.0)
    assert missed.taxonomy["miss"] == 1


def test_too_far_is_no_match_and_the_threshold_is_an_oks_of_a_tenth() -> None:
    annotations, predicted = two_in_one_image()
    reach = math.sqrt(-2 * 784 * 0.091**2 * math.log(0.1))
    for step, matched in ((-1e-6, 1), (1e-6, 0)):
        scores = score(annotations, predicted([[[10.0, 10.0 + reach + step]]], np.ones(1)))
        assert scores["recall"] == matched / 2
    assert scores["mean"] is None
    assert "no labelled keypoint" in scores.reasons["mean"]
    assert np.isnan(scores.distances).all()


def test_crowds_and_unlabelled_instances_neither_gain_nor_cost() -> None:
    annotations, predicted = two_in_one_image()
    predictions = predicted([[[41.0, 10.0]], [[10.0, 12.0]], [[11.0, 12.0]]], np.array([0.9, 0.8, 0.7]))
    for part in (
        replace(annotations, crowd=np.array([True, False])),
        replace(annotations, visible=np.array([[0], [2]])),
    ):
        scores = score(part, predictions)
        assert (scores["mean"], scores["recall"], scores["misses"]) == (1.0, 1.0, 0.0)
        assert scores.counts["instances"] == 1
    crowd = score(replace(annotations, crowd=np.array([True, False])), predictions)
    assert crowd["precision"] == 1
    nothing = score(replace(annotations, crowd=np.array([True, True])), predictions)
    assert [nothing[name] for name in ("precision", "recall", "ap")] == [None] * 3
    assert nothing.reasons["precision"] == "no prediction counts"


def test_a_category_the_annotations_do_not_have_is_refused() -> None:
    annotations, predictions = single_instance(4)
    with pytest.raises(UserError, match="category_id 5"):
        score(annotations, replace(predictions, category_ids=np.full(4, 5)))


def test_images_without_instances_are_scored() -> None:
    annotations = made_annotations(np.full((1, 1, 2), 10.0), images=3)
    good = Predictions.of_category(np.array([1]), np.full((1, 1, 2), 10.0), np.ones(1), 1)
    assert (score(annotations, good)["recall"], score(annotations, good)["precision"]) == (1, 1)
    ghost = Predictions.of_category(np.array([1, 2]), np.full((2, 1, 2), 10.0), np.ones(2), 1)
    assert score(annotations, ghost)["precision"] == 0.5


def test_the_taxonomy_by_hand() -> None:
    points = np.array([[[10.0, 10.0], [30.0, 10.0]], [[10.0, 40.0], [30.0, 40.0]]])
    annotations = made_annotations(points, index=np.array([0, 0]), images=1, side=64)
    answers = {
        "exact": points[0, 0] + 0.4,
        "jitter": points[0, 0] + [2.0, 0.0],
        "inversion": points[0, 1] + [1.0, 0.0],
        "swap": points[1, 1] + [1.0, 0.0],
        "miss": points[0, 0] + [5.0, 5.0],
    }
    for name, at in answers.items():
        predicted = np.array([[at, points[0, 1]]])
        exact = (np.abs(predicted - points[:1]) < 0.5).all(axis=2)
        assert [KINDS[i] for i in kinds(annotations, np.array([0]), predicted, exact)[0]] == [name, "exact"]
    hidden = replace(annotations, visible=np.array([[0, 2], [2, 0]]))
    kind = kinds(hidden, np.array([0]), np.array([[points[0, 0], points[1, 1]]]), np.zeros((1, 2), dtype=bool))
    assert kind.tolist() == [[-1, KINDS.index("miss")]]


def test_the_taxonomy_counts_every_labelled_keypoint_once_in_whatever_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    annotations, predictions = crowded(20, 6, 4, 2, 4.0)
    annotations = replace(
        annotations, visible=np.random.default_rng(0).choice([0, 2], annotations.visible.shape, p=[0.2, 0.8])
    )
    whole = score(annotations, predictions).taxonomy
    assert sum(whole.values()) == (annotations.visible[(annotations.visible > 0).any(axis=1)] > 0).sum()
    assert all(whole[name] for name in KINDS)
    monkeypatch.setattr("benchmark.metrics.taxonomy.BLOCK", 200)
    monkeypatch.setattr("benchmark.metrics.oks.BLOCK", 200)
    assert score(annotations, predictions).taxonomy == whole


def test_jitter_reaches_to_a_similarity_of_a_half_and_crowds_are_no_swap() -> None:
    annotations, predicted = two_in_one_image()
    reach = math.sqrt(2 * 784 * 0.091**2 * math.log(2))
    for step, name in ((-1e-6, "jitter"), (1e-6, "miss")):
        assert score(annotations, predicted([[[10.0, 10.0 + reach + step]]], np.ones(1))).taxonomy[name] == 1 + (
            name == "miss"
        )
    at = np.array([[[40.0, 10.0]]])
    for crowd, kind in ((False, "swap"), (True, "miss")):
        beside = replace(annotations, crowd=np.array([False, crowd]))
        assert KINDS[kinds(beside, np.array([0]), at, np.zeros((1, 1), dtype=bool))[0, 0]] == kind


def test_a_missing_prediction_is_not_exact_on_the_coarsest_lattice() -> None:
    annotations, predictions = single_instance(3)
    coarse = replace(annotations, spacing=np.full(1, 100.0))
    assert score(coarse, predictions)["exact"] == 1
    none = Predictions.of_category(predictions.image_ids[:1], predictions.keypoints[:1], predictions.scores[:1], 1)
    assert score(coarse, none)["exact"] == pytest.approx(1 / 3)


def test_without_a_lattice_exact_in_the_taxonomy_is_the_same_pixel() -> None:
    annotations = made_annotations(np.full((2, 1, 2), 10.3), spacing=None)
    predictions = Predictions.of_category(
        np.array([1, 2]), annotations.keypoints + np.array([[[0.4, 0]], [[0.6, 0]]]), np.array([0.1, 0.2]), 1
    )
    assert score(annotations, predictions).taxonomy == {"exact": 1, "jitter": 1, "inversion": 0, "swap": 0, "miss": 0}
    whole = made_annotations(np.full((1, 1, 2), 10.0), spacing=None)
    edge = Predictions.of_category(np.array([1]), whole.keypoints + np.array([[[0.5, 0]]]), np.ones(1), 1)
    assert score(whole, edge).taxonomy["jitter"] == 1


def test_annotations_that_cannot_be_scored_are_refused() -> None:
    annotations, predictions = single_instance(3)
    for change in ({"sigmas": np.zeros(1)}, {"areas": np.full(3, -1.0)}, {"sizes": np.full((3, 2), -1)}):
        with pytest.raises(UserError, match="annotations"):
            score(replace(annotations, **change), predictions)
    with pytest.raises(UserError, match="no images"):
        score(annotations.take([]), predictions)
    with pytest.raises(UserError, match="arrays of"):
        score(annotations, replace(predictions, keypoints=np.zeros((3, 2, 2))))
    with pytest.raises(UserError, match="image_id 9"):
        score(annotations, replace(predictions, image_ids=np.array([1, 2, 9])))


def test_reading_and_scoring_ten_thousand_takes_less_than_a_second(tmp_path: Path) -> None:
    annotations, predictions = single_instance(10_000)
    write_predictions(tmp_path / "p.json", predictions, annotations)
    spent = []
    for _ in range(3):
        start = time.process_time()
        score(annotations, read_predictions(tmp_path / "p.json", annotations))
        spent.append(time.process_time() - start)
    assert min(spent) < 1


def test_memory_is_linear_in_the_number_of_predictions(tmp_path: Path) -> None:
    peaks = []
    for n in (4_000, 16_000):
        annotations, predictions = single_instance(n)
        write_predictions(tmp_path / "p.json", predictions, annotations)
        tracemalloc.start()
        score(annotations, read_predictions(tmp_path / "p.json", annotations))
        peaks.append(tracemalloc.get_traced_memory()[1] / n)
        tracemalloc.stop()
    assert peaks[1] < 1.15 * peaks[0]
    assert peaks[1] < 1500  # bytes a prediction, the JSON included
