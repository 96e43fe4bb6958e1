"""The one registry of metrics: adding a metric in one place is enough, and what each entry says of itself is true."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from scoring_cases import crowded, made_annotations, single_instance

import benchmark.metrics
from benchmark.metrics import (
    Column,
    Errors,
    Evaluation,
    Metric,
    Undefined,
    board_metrics,
    get_metric,
    metric,
    metrics,
    score,
)
from benchmark.metrics.registry import REASONS, percent, register, unregister
from benchmark.metrics.scale import STEPS
from benchmark.structures import Predictions, UserError


@pytest.fixture
def toy() -> Iterator[str]:
    """A metric as a contributor would write it: one decorated function."""

    @metric("p99", unit="px", better="lower", format=".2f", column=Column("p99 px", priority=6, order=55))
    def p99(errors: Errors) -> float:
        """99th percentile of the pixel error."""
        return float(np.percentile(errors.labelled_distances, 99))

    yield "p99"
    unregister("p99")


def test_one_decorated_function_adds_a_metric_everywhere(toy: str) -> None:
    annotations, predictions = single_instance(40, 2)
    scores = score(annotations, predictions)
    d = np.hypot(*np.moveaxis(predictions.keypoints - annotations.keypoints, 2, 0))
    assert scores[toy] == pytest.approx(np.percentile(d, 99), rel=1e-12)
    assert scores.keypoints["p1"][toy] == pytest.approx(np.percentile(d[:, 1], 99), rel=1e-12)
    assert json.loads(json.dumps(scores.as_dict()))[toy] == scores[toy]
    assert benchmark.metrics.METRICS[-1] == toy
    shown = [entry.name for entry in board_metrics()]
    assert shown.index(toy) == shown.index("p95") + 1
    assert get_metric(toy).summary == "99th percentile of the pixel error."
    assert "test_metrics_registry.py" in get_metric(toy).origin


def test_a_share_is_written_as_0_or_100_only_where_it_is() -> None:
    shares = (0.0, 8.2e-11, 0.0001, 0.0003, 0.0005, 0.07649, 0.99951, 1.0)
    assert [percent(share) for share in shares] == ["0", "<0.01", "0.01", "0.03", "0.1", "7.6", "99.9", "100"]


def test_a_removed_metric_is_gone() -> None:
    assert "p99" not in metrics()
    assert "p99" not in score(*single_instance(3))
    assert "p99" not in benchmark.metrics.METRICS


def test_a_metric_of_the_whole_evaluation_may_be_undefined() -> None:
    @metric("predictions_an_instance", needs=("several_instances",), per_keypoint=False)
    def predictions_an_instance(evaluation: Evaluation) -> float:
        """Number of predictions for each instance."""
        if not evaluation.n_instances:
            raise Undefined("no_instances")
        return len(evaluation.predictions) / evaluation.n_instances

    try:
        assert score(*crowded(3, 2, 1, 0))["predictions_an_instance"] == 1
        assert "predictions_an_instance" not in score(*single_instance(3))
        annotations = made_annotations(np.zeros((0, 1, 2)), index=np.zeros(0), images=2)
        scores = score(annotations, Predictions.of_category(np.array([1]), np.zeros((1, 1, 2)), np.ones(1), 1))
        assert scores["predictions_an_instance"] is None
        assert scores.reason_codes["predictions_an_instance"] == "no_instances"
        assert scores.reasons["predictions_an_instance"] == REASONS["no_instances"]
        assert all("predictions_an_instance" not in row for row in scores.keypoints.values())
    finally:
        unregister("predictions_an_instance")


def test_a_metric_for_several_keypoints_is_left_out_where_there_is_one() -> None:
    @metric("worst_keypoint", unit="px", better="lower", needs=("several_keypoints",), per_keypoint=False)
    def worst_keypoint(evaluation: Evaluation) -> float:
        """Mean pixel error of the worst keypoint."""
        return float(evaluation.errors.distances.mean(axis=0).max())

    try:
        scores = score(*single_instance(9, 3))
        assert scores["worst_keypoint"] == max(row["mean"] for row in scores.keypoints.values())
        assert "worst_keypoint" not in score(*single_instance(9, 1))
    finally:
        unregister("worst_keypoint")


def test_names_are_given_once_and_not_those_of_other_parts_of_a_table() -> None:
    with pytest.raises(ValueError, match=r"'mean' is defined twice: in .*definitions\.py:\d+ and in here"):
        register(Metric("mean", lambda errors: 0.0, "again", origin="here"))
    for name in ("flags", "reasons", ""):
        with pytest.raises(ValueError, match="cannot be called"):
            register(Metric(name, lambda errors: 0.0, "taken"))
    with pytest.raises(ValueError, match="is no reason"):
        Undefined("because")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown metric 'medain': did you mean 'median'"):
        get_metric("medain")


def test_every_entry_describes_itself() -> None:
    for entry in metrics().values():
        assert entry.summary.endswith("."), entry.name
        assert entry.better in ("lower", "higher"), entry.name
        assert entry.text(0.5), entry.name
    assert [entry.name for entry in metrics().values() if not entry.per_keypoint] == [
        *("exact_all", "ap", "ap50", "ap75", "ar", "ap_constant", "misses", "precision", "recall"),
    ]
    shown_for = {
        entry.name: entry.column.only_for for entry in board_metrics() if entry.column and entry.column.only_for
    }
    assert shown_for == {
        "exact_all": ("several_keypoints",),
        "misses": ("several_instances",),
        **dict.fromkeys(("median", "pck_box@0.05", "pck_box@0.1", "nme"), ("photographs",)),
        **dict.fromkeys((f"pck@{step:g}" for step in STEPS if step != 1), ("photographs",)),
    }
    assert all("definitions.py:" in entry.origin for entry in metrics().values())
    assert [entry.name for entry in metrics().values() if entry.over_seeds == "max"] == ["max"]


def test_better_says_which_way_is_better() -> None:
    annotations, predictions = crowded(6, 3, 2, 0, noise=0.6)
    perfect = Predictions.of_category(
        annotations.image_ids[annotations.index],
        annotations.keypoints.copy(),
        np.arange(len(annotations.index)) + 1.0,
        1,
    )
    best, some = score(annotations, perfect), score(annotations, predictions)
    for entry in metrics().values():
        a, b = best.metrics.get(entry.name), some.metrics.get(entry.name)
        if a is not None and b is not None:
            assert (a >= b) if entry.better == "higher" else (a <= b), entry.name


def test_the_columns_of_a_board_in_order() -> None:
    ours = [
        ("mean", "mean px", 0),
        ("exact", "exact %", 1),
        ("exact_all", "all exact %", 7),
        ("pck@1", "PCK@1 %", 5),
        ("p95", "p95 px", 6),
        ("r2", "r2", 11),
        ("sqdist_r2", "sqdist_r2", 9),
        ("dist_r2", "dist_r2", 12),
        ("ap", "AP", 8),
        ("precision", "precision", 7),
        ("recall", "recall", 4),
        ("misses", "misses", 13),
    ]
    columns = [(entry.name, entry.column.heading, entry.column.priority) for entry in board_metrics() if entry.column]
    assert [column for column in columns if column in ours] == ours  # another metric may stand between them


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("mean", 1.23456, "1.235"),
        ("p95", 2.0, "2.00"),
        ("r2", -0.0001, "0.000"),
        ("r2", -0.25, "-0.250"),
        ("exact", 1.0, "100"),
        ("exact", 0.9999, "99.9"),
        ("exact", 0.0, "0"),
        ("exact", 0.0001, "0.01"),
        ("misses", 12.0, "12"),
    ],
)
def test_figures_are_written_as_the_entry_says(name: str, value: float, text: str) -> None:
    assert get_metric(name).text(value) == text


def test_reasons_are_codes_with_a_sentence() -> None:
    annotations = made_annotations(np.array([[[3.0, 4.0]], [[5.0, 4.0]]]), spacing=None)
    predictions = Predictions.of_category(annotations.image_ids, annotations.keypoints.copy(), np.ones(2), 1)
    scores = score(annotations, predictions)
    assert scores.reason_codes == {
        "exact": "no_lattice",
        "r2": "no_baseline",
        "sqdist_r2": "no_baseline",
        "dist_r2": "no_baseline",
        "exact_all": "no_lattice",
    }
    assert scores.as_dict()["reasons"]["exact"] == "the answers lie on no lattice"
