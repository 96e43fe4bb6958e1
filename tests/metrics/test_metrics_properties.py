"""The twelve properties the scorer must have, over random data."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import scoring_cases
import scoring_oracles
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scoring_cases import made_annotations

from benchmark.metrics import average_precision, score
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco_results import predictions_from_json, predictions_to_json

quick = settings(deadline=None, derandomize=True, max_examples=60)
seeds = st.integers(0, 2**32 - 1)
R2 = ("r2", "sqdist_r2", "dist_r2")
OKS = ("ap", "ap50", "ap75", "ar", "ap_constant")


def dyadic(low: int, high: int) -> st.SearchStrategy[float]:
    """Multiples of 1/1024, which shifts by whole pixels and scales by powers of 2 leave exact."""
    return st.integers(low * 1024, high * 1024).map(lambda v: v / 1024)


@st.composite
def cases(draw: st.DrawFn, least: int = 1, ties: bool = True) -> tuple[Annotations, Predictions]:
    """One-instance data: whole-pixel annotations, a baseline, errors up to 20 px, scores that may tie."""
    n, k = draw(st.integers(least, 8)), draw(st.integers(1, 3))
    points = draw(arrays(np.float64, (n, k, 2), elements=st.integers(0, 27).map(float)))
    errors = draw(
        arrays(np.float64, (n, k, 2), elements=st.sampled_from([0, 0.25, -0.5, 1, -1, 2.5, -3]) | dyadic(-20, 20))
    )
    mean = draw(arrays(np.float64, (1, k, 2), elements=dyadic(0, 27)))
    scores = draw(st.lists(st.integers(1, 50 if ties else 1000), min_size=n, max_size=n, unique=not ties))
    annotations = made_annotations(points, baseline=np.repeat(mean, n, axis=0))
    return annotations, Predictions.of_category(
        annotations.image_ids.copy(), points + errors, np.array(scores) / 1000, 1
    )


def values(annotations: Annotations, predictions: Predictions, *leave: str) -> dict[str, float | None]:
    return {name: value for name, value in score(annotations, predictions).items() if name not in leave}


def close(a: dict[str, float | None], b: dict[str, float | None], tolerance: float = 1e-9) -> None:
    """The same metrics are None, and the others equal to ``tolerance``, relative or absolute."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        other = b[name]
        if value is None or other is None:
            assert value is other, name
        else:
            assert value == pytest.approx(other, rel=tolerance, abs=tolerance), name


@quick
@given(cases())
def test_1_a_perfect_prediction_has_no_error(case: tuple[Annotations, Predictions]) -> None:
    annotations, predictions = case
    scores = score(annotations, replace(predictions, keypoints=annotations.keypoints.copy()))
    for name in ("mean", "median", "p95", "max", "rmse", "mae_x", "mae_y", "mse", "mae", "dist_avg", "sqdist_avg"):
        assert scores[name] == 0, name
    for name in ("exact", "exact_all", "pck@0.5", "pck@1", "pck@2", "pck@3", "auc"):
        assert scores[name] == 1, name
    for name in OKS:
        assert scores[name] == pytest.approx(1, abs=1e-12), name
    assert all(scores[name] in (1, None) for name in R2)
    assert scores.taxonomy["exact"] == annotations.visible.size


@quick
@given(cases())
def test_2_squares_agree(case: tuple[Annotations, Predictions]) -> None:
    scores = score(*case)
    assert scores["mse"] == pytest.approx(scores["sqdist_avg"] / 2, rel=1e-12)
    d = np.hypot(*np.moveaxis(case[1].keypoints - case[0].keypoints, 2, 0))
    assert scores["rmse"] ** 2 == pytest.approx(np.mean(d**2), rel=1e-12, abs=1e-300)
    assert scores["dist_avg"] <= math.sqrt(scores["sqdist_avg"]) * (1 + 1e-12)


@quick
@given(cases(least=2), st.floats(0, 2 * math.pi))
def test_3_pooled_r2_weighs_axes_by_variance_and_survives_rotation(
    case: tuple[Annotations, Predictions], angle: float
) -> None:
    annotations, predictions = case
    spread = ((annotations.keypoints - annotations.baseline) ** 2).sum(axis=0)
    assume(spread.min() > 1e-3)
    per_axis = 1 - ((predictions.keypoints - annotations.keypoints) ** 2).sum(axis=0) / spread
    pooled = score(annotations, predictions)["sqdist_r2"]
    assert pooled == pytest.approx(np.average(per_axis, weights=spread), rel=1e-9, abs=1e-9)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = replace(annotations, keypoints=annotations.keypoints @ turn.T, baseline=annotations.baseline @ turn.T)
    rotated = score(turned, replace(predictions, keypoints=predictions.keypoints @ turn.T))
    assert rotated["sqdist_r2"] == pytest.approx(pooled, rel=1e-9, abs=1e-9)
    baseline = score(annotations, replace(predictions, keypoints=annotations.baseline.copy()))
    assert [baseline[name] for name in R2] == [0, 0, 0]


@quick
@given(cases(), st.integers(-50, 50), st.integers(-50, 50), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_4_shift_changes_nothing_and_scale_scales(
    case: tuple[Annotations, Predictions], dx: int, dy: int, s: float
) -> None:
    annotations, predictions = case
    move = np.array([dx, dy], dtype=float)
    moved = replace(
        annotations,
        keypoints=annotations.keypoints + move,
        baseline=annotations.baseline + move,
        boxes=annotations.boxes + 0.0,
    )
    close(values(moved, replace(predictions, keypoints=predictions.keypoints + move)), values(annotations, predictions))
    grown = replace(
        annotations,
        keypoints=annotations.keypoints * s,
        areas=annotations.areas * s**2,
        spacing=annotations.spacing * s,
    )
    large, plain = (
        score(grown, replace(predictions, keypoints=predictions.keypoints * s)),
        score(annotations, predictions),
    )
    for name in ("mean", "median", "p95", "max", "rmse", "mae_x", "mae_y"):
        assert large[name] == pytest.approx(plain[name] * s, rel=1e-12), name
    for name in (*OKS, "exact"):
        assert large[name] == pytest.approx(plain[name], abs=1e-12), name


@quick
@given(cases(), seeds)
def test_5_order_of_images_matters_only_to_tied_scores(case: tuple[Annotations, Predictions], seed: int) -> None:
    annotations, predictions = case
    order = np.random.default_rng(seed).permutation(len(annotations))
    shuffled = replace(
        annotations.take(order), image_ids=annotations.image_ids
    )  # ids by the new order, so ties fall another way
    answers = Predictions.of_category(annotations.image_ids, predictions.keypoints[order], predictions.scores[order], 1)
    before, after = score(annotations, predictions), score(shuffled, answers)
    tied = before.flags["tied_scores"]
    assert tied == after.flags["tied_scores"] == (len(set(predictions.scores.tolist())) < len(predictions))
    loose = ("ap", "ap50", "ap75", "ap_constant") if tied else ("ap_constant",)
    close(values(shuffled, answers, *loose), values(annotations, predictions, *loose))
    assert after["ar"] == pytest.approx(before["ar"], abs=1e-12)
    assert after.taxonomy == before.taxonomy
    # the same images in another order of rows, ids kept: nothing at all may change
    rows = replace(
        predictions,
        image_ids=predictions.image_ids[order],
        keypoints=predictions.keypoints[order],
        scores=predictions.scores[order],
    )
    close(values(annotations.take(order), rows), values(annotations, predictions), tolerance=1e-12)


@quick
@given(cases())
def test_6_an_increasing_map_of_scores_leaves_ap_alone(case: tuple[Annotations, Predictions]) -> None:
    annotations, predictions = case
    assert values(annotations, replace(predictions, scores=np.exp(5 * predictions.scores) - 7)) == values(
        annotations, predictions
    )


@quick
@given(cases(), st.floats(1, 10))
def test_7_larger_errors_never_score_better(case: tuple[Annotations, Predictions], s: float) -> None:
    annotations, predictions = case
    worse = replace(predictions, keypoints=annotations.keypoints + s * (predictions.keypoints - annotations.keypoints))
    before, after = score(annotations, predictions), score(annotations, worse)
    for name in ("exact", "exact_all", "pck@0.5", "pck@1", "pck@2", "pck@3", "auc", "ar"):
        assert after[name] <= before[name] + 1e-12, name
    for name in ("mean", "median", "p95", "max", "rmse"):
        assert after[name] >= before[name] - 1e-9, name
    assert before["median"] <= before["p95"] <= before["max"]
    assert before["mean"] <= before["rmse"] * (1 + 1e-12)


@quick
@given(cases(), st.sampled_from([math.nan, math.inf, -math.inf]), seeds)
def test_8_a_number_that_is_not_finite_is_an_error(
    case: tuple[Annotations, Predictions], bad: float, seed: int
) -> None:
    annotations, predictions = case

    def spoilt(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed.flat[seed % array.size] = bad
        return changed

    for field in ("keypoints", "scores"):
        with pytest.raises(UserError):
            score(annotations, replace(predictions, **{field: spoilt(getattr(predictions, field))}))
    for field in ("keypoints", "boxes", "areas", "sigmas", "baseline"):
        with pytest.raises(UserError):
            score(replace(annotations, **{field: spoilt(getattr(annotations, field))}), predictions)


@quick
@given(cases(ties=False), seeds)
def test_9_spare_detections_never_raise_ap(case: tuple[Annotations, Predictions], seed: int) -> None:
    annotations, predictions = case
    rng = np.random.default_rng(seed)
    i = int(rng.integers(len(predictions)))
    extra = Predictions.of_category(
        np.append(predictions.image_ids, predictions.image_ids[i]),
        np.concatenate([predictions.keypoints, predictions.keypoints[i : i + 1]]),
        np.append(predictions.scores, predictions.scores[i] - rng.uniform(1e-6, 1)),
        1,
    )
    before, after = score(annotations, predictions), score(annotations, extra)
    assert all(after[name] <= before[name] + 1e-12 for name in ("ap", "ap50", "ap75"))
    assert after["mean"] == before["mean"]
    n = len(annotations)
    wider = replace(
        annotations,
        image_ids=np.append(annotations.image_ids, n + 1),
        file_names=(*annotations.file_names, "empty.png"),
        sizes=np.vstack([annotations.sizes, annotations.sizes[:1]]),
        baseline=None,
    )
    ghost = replace(
        extra, image_ids=np.append(predictions.image_ids, n + 1), scores=np.append(predictions.scores, rng.random())
    )
    without, with_ghost = score(wider, predictions), score(wider, ghost)
    assert without["ap"] == before["ap"]
    assert all(with_ghost[name] <= without[name] + 1e-12 for name in ("ap", "ap50", "ap75"))
    assert with_ghost["precision"] < 1


@quick
@given(cases(), arrays(np.float64, 3, elements=st.floats(-1e8, 1e8)))
def test_10_a_json_round_trip_is_bit_exact_and_inputs_stay_as_they_are(
    case: tuple[Annotations, Predictions], odd: np.ndarray
) -> None:
    annotations, predictions = case
    predictions.keypoints.flat[:1], predictions.scores[0] = odd[0], odd[1]
    kept = copy.deepcopy((annotations, predictions))
    again = predictions_from_json(json.loads(json.dumps(predictions_to_json(predictions))), annotations, "memory")
    score(annotations, predictions)
    for f in fields(predictions):
        assert getattr(again, f.name).tobytes() == getattr(predictions, f.name).tobytes(), f.name
        assert getattr(kept[1], f.name).tobytes() == getattr(predictions, f.name).tobytes(), f.name
    assert kept[0].digest == annotations.digest


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seeds)
def test_11_ap_and_ar_are_those_of_both_libraries(seed: int) -> None:
    annotations, predictions = scoring_cases.awkward(seed)
    scores = score_oks(annotations, predictions)
    for theirs in scoring_oracles.every(annotations, predictions):
        assert scores == pytest.approx(list(theirs), rel=0, abs=1e-12)


def score_oks(annotations: Annotations, predictions: Predictions) -> list[float]:
    mine = average_precision(annotations, predictions)
    return [-1.0 if v is None else v for v in (mine.ap, mine.ap50, mine.ap75, mine.ar)]


@quick
@given(cases())
def test_12_swapping_axes_changes_no_distance(case: tuple[Annotations, Predictions]) -> None:
    annotations, predictions = case
    swapped = replace(
        annotations,
        keypoints=annotations.keypoints[:, :, ::-1].copy(),
        baseline=annotations.baseline[:, :, ::-1].copy(),
    )
    scores = score(swapped, replace(predictions, keypoints=predictions.keypoints[:, :, ::-1].copy()))
    plain = score(annotations, predictions)
    assert (scores.distances == plain.distances).all()
    assert (scores["mae_x"], scores["mae_y"]) == (plain["mae_y"], plain["mae_x"])
    shifted = score(annotations, replace(predictions, keypoints=annotations.keypoints + 0.5))
    assert shifted.distances == pytest.approx(math.sqrt(0.5), rel=1e-15)
