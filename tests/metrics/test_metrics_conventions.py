"""The conventions of the scorer, one test each: what a number on the board means."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scoring_oracles
from scoring_cases import crowded, made_annotations, single_instance

from benchmark.metrics import METRICS, average_precision, score
from benchmark.structures import Predictions, UserError
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import read_predictions, write_predictions


def answer(annotations, points, scores=None):
    n = len(points)
    return Predictions.of_category(
        annotations.image_ids[:n].copy(), np.asarray(points, float), np.ones(n) if scores is None else scores, 1
    )


def test_convention_points_are_x_y_in_pixels_and_integers_are_pixel_centres():
    annotations = made_annotations(np.array([[[3.0, 20.0]], [[9.0, 9.0]]]))
    document = annotations_to_json(annotations)
    assert document["annotations"][0]["keypoints"] == [3.0, 20.0, 2]
    scores = score(annotations, answer(annotations, annotations.keypoints + np.array([2.0, 0.0])))
    assert (scores["mae_x"], scores["mae_y"]) == (2.0, 0.0)


def test_convention_half_a_pixel_off_on_both_axes_is_sqrt_half():
    annotations = single_instance(20)[0]
    scores = score(annotations, answer(annotations, annotations.keypoints + 0.5))
    assert (scores.distances == math.sqrt(0.5)).all()
    assert scores["exact"] == 0


def test_convention_flip_is_width_minus_one_minus_x():
    annotations, predictions = single_instance(30, 2)
    flip = np.array([27.0, 0.0]), np.array([-1.0, 1.0])
    mirrored = replace(
        annotations,
        keypoints=flip[0] + flip[1] * annotations.keypoints,
        baseline=flip[0] + flip[1] * annotations.baseline,
    )
    turned = Predictions.of_category(
        predictions.image_ids, flip[0] + flip[1] * predictions.keypoints, predictions.scores, 1
    )
    assert score(mirrored, turned).metrics == pytest.approx(score(annotations, predictions).metrics, abs=1e-12)


def test_convention_ids_start_at_one():
    annotations = crowded(3, 2, 1, 0)[0]
    assert [a["id"] for a in annotations_to_json(annotations)["annotations"]] == [1, 2, 3, 4, 5, 6]


def test_convention_coordinates_are_never_rounded(tmp_path: Path):
    annotations = made_annotations(np.array([[[1 / 3, math.pi]]]))
    predictions = answer(annotations, [[[0.1 + 0.2, 1e-17]]])
    write_predictions(tmp_path / "p.json", predictions, annotations)
    again = read_predictions(tmp_path / "p.json", annotations)
    assert again.keypoints.tobytes() == predictions.keypoints.tobytes()


def test_convention_a_missing_prediction_counts_as_the_image_size_and_is_never_dropped():
    annotations = replace(
        made_annotations(np.array([[[5.0, 5.0]], [[6.0, 6.0]]])), sizes=np.array([[28, 28], [30, 40]])
    )
    scores = score(annotations, answer(annotations, [[[5.0, 5.0]]]))
    assert scores.distances.tolist() == [0.0, 50.0]
    assert (scores["mean"], scores["mae_x"], scores["mae_y"], scores["max"]) == (25.0, 15.0, 20.0, 50.0)
    assert (scores["exact"], scores["pck@3"], scores["misses"], scores["mse"]) == (0.5, 0.5, 1.0, 2.0)
    assert scores.taxonomy == {"exact": 1, "jitter": 0, "inversion": 0, "swap": 0, "miss": 1}


def test_convention_no_prediction_at_all_is_scored_too():
    annotations = single_instance(4)[0]
    scores = score(annotations, answer(annotations, np.zeros((0, 1, 2))))
    assert scores["mean"] == math.hypot(28, 28)
    assert (scores["ap"], scores["ar"], scores["exact"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_convention_a_value_that_is_not_finite_is_refused(bad: float):
    annotations, predictions = single_instance(5)
    keypoints, scores = predictions.keypoints.copy(), predictions.scores.copy()
    keypoints[3, 0, 1] = scores[3] = bad
    with pytest.raises(UserError, match="prediction 3"):
        score(annotations, replace(predictions, keypoints=keypoints))
    with pytest.raises(UserError, match="prediction 3"):
        score(annotations, replace(predictions, scores=scores))


def test_convention_nan_would_be_perfect_to_pycocotools():
    annotations, predictions = single_instance(5)
    document, results = scoring_oracles.documents(
        annotations, replace(predictions, keypoints=np.full_like(predictions.keypoints, np.nan))
    )
    with np.errstate(invalid="ignore"):
        judge = scoring_oracles.pycocotools_judge(document, results, annotations.sigmas)
        assert scoring_oracles.pycocotools(judge)[0] == pytest.approx(1)


def test_convention_exact_is_strictly_within_half_the_spacing_of_each_keypoint():
    annotations = made_annotations(np.full((4, 2, 2), 10.0))
    annotations = replace(annotations, spacing=np.array([1.0, 0.5]))
    off = np.array([0.0, 0.24, 0.26, 0.5])[:, None, None] * np.ones((4, 2, 2))
    scores = score(annotations, answer(annotations, annotations.keypoints + off))
    assert [scores.keypoints[name]["exact"] for name in annotations.keypoint_names] == [0.75, 0.5]
    assert (scores["exact"], scores["exact_all"]) == (0.625, 0.5)
    assert scores.exact.tolist() == [1.0, 1.0, 0.5, 0.0]


def test_convention_exact_is_null_where_answers_lie_on_no_lattice():
    annotations, predictions = single_instance(5, 2)
    scores = score(replace(annotations, spacing=None), predictions)
    assert scores["exact"] is None
    assert scores["exact_all"] is None
    assert "lattice" in scores.reasons["exact"]
    assert np.isnan(scores.exact).all()
    half = score(replace(annotations, spacing=np.array([np.nan, 1.0])), predictions)
    assert half["exact"] == half.keypoints["p1"]["exact"] == score(annotations, predictions).keypoints["p1"]["exact"]


def test_convention_pck_includes_its_threshold():
    annotations = made_annotations(np.full((1, 1, 2), 10.0))
    for t in (0.5, 1, 2, 3):
        assert score(annotations, answer(annotations, [[[10.0 + t, 10.0]]]))[f"pck@{t:g}"] == 1
        assert score(annotations, answer(annotations, [[[10.001 + t, 10.0]]]))[f"pck@{t:g}"] == 0


def test_convention_percentiles_interpolate_linearly():
    annotations = made_annotations(np.full((3, 1, 2), 10.0))
    scores = score(annotations, answer(annotations, [[[10.0, 10]], [[11, 10]], [[13, 10]]]))
    assert scores["median"] == 1
    assert scores["p95"] == pytest.approx(1 + 0.9 * 2)


def test_convention_the_notes_scale_is_two_over_each_images_own_size():
    annotations = replace(made_annotations(np.full((2, 1, 2), 10.0)), sizes=np.array([[20, 40], [40, 20]]))
    scores = score(annotations, answer(annotations, annotations.keypoints + np.array([1.0, 2.0])))
    assert scores["mse"] == pytest.approx((0.1**2 + 0.1**2 + 0.05**2 + 0.2**2) / 4)
    assert scores["mae"] == pytest.approx((0.1 + 0.1 + 0.05 + 0.2) / 4)


@pytest.mark.parametrize(("sigma", "ap"), [(0.0455, 0.9), (0.025, 0.6), (0.0124, 0.0)])
def test_convention_oks_of_one_pixel_at_area_784(sigma: float, ap: float):
    annotations = made_annotations(np.full((10, 1, 2), 10.0), sigma=sigma)
    assert score(annotations, answer(annotations, annotations.keypoints + np.array([1.0, 0.0])))["ap"] == pytest.approx(
        ap
    )


def test_convention_oks_thresholds_span_three_to_point_eight_pixels():
    annotations = made_annotations(np.full((1, 1, 2), 10.0))

    def ap50(d: float) -> float | None:
        return average_precision(annotations, answer(annotations, [[[10.0 + d, 10.0]]])).ap50

    def ap(d: float) -> float | None:
        return average_precision(annotations, answer(annotations, [[[10.0 + d, 10.0]]])).ap

    assert (ap50(2.99), ap50(3.01)) == (pytest.approx(1), 0)
    assert ap(0.81) == pytest.approx(1)
    assert ap(0.83) == pytest.approx(0.9)


def test_convention_only_the_area_range_all_is_offered():
    assert not [name for name in METRICS if "medium" in name or "large" in name or "_m" in name[2:4]]


def test_convention_area_zero_gives_every_error_an_oks_of_zero():
    annotations = made_annotations(np.full((3, 1, 2), 10.0), area=0.0)
    assert score(annotations, answer(annotations, annotations.keypoints + 1e-3))["ap"] == 0
    assert score(annotations, answer(annotations, annotations.keypoints))["ap"] == pytest.approx(1)


def test_convention_results_carry_a_box_of_some_area():
    annotations, predictions = single_instance(3)
    assert all(
        entry["bbox"][2] * entry["bbox"][3] > 0 for entry in scoring_oracles.documents(annotations, predictions)[1]
    )


def test_convention_the_box_of_a_result_is_the_pixels_it_covers():
    annotations = made_annotations(np.array([[[3.0, 20.0], [5.0, 21.0]]]))
    assert scoring_oracles.documents(annotations, answer(annotations, annotations.keypoints))[1][0]["bbox"] == [
        2.5,
        19.5,
        3.0,
        2.0,
    ]


def test_convention_sigmas_are_one_a_keypoint():
    annotations, predictions = single_instance(40, 3)
    loose = replace(annotations, sigmas=np.array([0.0455, 0.0455, 1.0]))
    assert score(loose, predictions)["ap"] > score(annotations, predictions)["ap"]


def test_convention_unlabelled_keypoints_count_nowhere():
    annotations, predictions = single_instance(30, 2)
    visible = annotations.visible.copy()
    visible[::2, 1] = 0
    wild = predictions.keypoints.copy()
    wild[::2, 1] = 1e6
    part = replace(annotations, visible=visible)
    for name, value in score(part, replace(predictions, keypoints=wild)).items():
        assert value == score(part, predictions)[name], name
    assert score(part, predictions).keypoints["p0"] == score(annotations, predictions).keypoints["p0"]


def test_convention_hidden_keypoints_count_like_visible_ones():
    annotations, predictions = single_instance(10)
    assert (
        score(replace(annotations, visible=np.ones_like(annotations.visible)), predictions).metrics
        == score(annotations, predictions).metrics
    )


def test_convention_the_best_scored_answer_of_an_image_counts_for_pixels():
    annotations = made_annotations(np.full((1, 1, 2), 10.0))
    twice = Predictions.of_category(
        np.array([1, 1]), np.array([[[20.0, 10.0]], [[10.0, 10.0]]]), np.array([0.2, 0.9]), 1
    )
    scores = score(annotations, twice)
    assert scores["mean"] == 0
    assert scores.counts["spare"] == 1
    level = score(annotations, replace(twice, scores=np.ones(2)))
    assert level["mean"] == 10
    assert level.flags["tied_scores"]


def test_convention_r2_is_against_the_training_mean_stored_with_the_annotations():
    annotations, predictions = single_instance(30)
    scores = score(annotations, answer(annotations, annotations.baseline))
    assert [scores[name] for name in ("r2", "sqdist_r2", "dist_r2")] == [0, 0, 0]
    unknown = score(replace(annotations, baseline=None), predictions)
    assert [unknown[name] for name in ("r2", "sqdist_r2", "dist_r2")] == [None] * 3
    assert "unknown" in unknown.reasons["dist_r2"]


def test_convention_r2_is_null_where_the_annotations_do_not_vary():
    points = np.random.default_rng(0).uniform(0, 27, (6, 1, 2))
    points[:, :, 1] = 0.1
    annotations = made_annotations(
        points, baseline=np.broadcast_to([[13.0, np.mean(np.full(6, 0.1))]], (6, 1, 2)).copy()
    )
    scores = score(annotations, answer(annotations, points + 1))
    assert scores["r2"] is None
    assert scores.reasons["r2"].endswith("in y")
    assert scores["sqdist_r2"] is not None
    still = score(replace(annotations, baseline=points), answer(annotations, points))
    assert [still[name] for name in ("r2", "sqdist_r2", "dist_r2")] == [None] * 3


def test_convention_ap_is_flagged_where_scores_tie_or_mean_nothing():
    annotations, predictions = single_instance(10)
    assert not score(annotations, predictions).flags["tied_scores"]
    assert score(annotations, predictions, has_scores=False).flags["tied_scores"]
    assert score(annotations, replace(predictions, scores=np.ones(10))).flags["tied_scores"]


def test_convention_ap_constant_sets_every_score_to_one():
    annotations, predictions = single_instance(200, noise=2)
    scores = score(annotations, predictions)
    assert scores["ap_constant"] == score(annotations, replace(predictions, scores=np.ones(200)))["ap"]
    assert scores["ap_constant"] != scores["ap"]


def test_convention_scores_are_json_without_nan():
    annotations, predictions = crowded(3, 2, 2, 0)
    document = score(replace(annotations, spacing=None), predictions).as_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document) >= {"mean", "ap", "reasons", "flags", "keypoints", "taxonomy", "counts"}


def test_convention_every_metric_is_named_once_and_in_order():
    first = [
        *("mean", "median", "p95", "max", "rmse", "exact", "pck@0.5", "pck@1", "pck@2", "pck@3", "auc"),
        *("mae_x", "mae_y", "mse", "mae", "dist_avg", "sqdist_avg", "r2", "sqdist_r2"),
    ]
    assert [name for name in METRICS if name in first] == first
    small = {"pck@0.5", "pck@1", "pck@2", "pck@3"}
    other = {name for name in METRICS if name.startswith(("pck", "nme"))} - small  # of photographs, or of a pair
    assert set(score(*crowded(2, 2, 1, 0))) == set(METRICS) - other
    assert set(score(*single_instance(3))) == set(METRICS) - {"precision", "recall"} - other
