"""Out-of-fold runs gathered, matched to instances, weighed, and drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.structures import Annotations, Predictions
from leaderboard.sheet import TILE
from leaderboard.suspect_sheet import suspect_sheet
from leaderboard.suspects import EXCHANGED, MOVED, answers_for, find_suspects, out_of_fold_runs, starts_of

DIGEST = "d" * 64


def two_in_an_image(maker: Any) -> Annotations:
    """Two images: the first with instances at 0 and 20 px, the second with one; boxes 10 px wide; 3 keypoints."""
    made = maker.annotations(3, 3)
    points = np.array([[0, 0], [20, 0], [5, 5]])[:, None] + np.array([[0, 0], [4, 0], [0, 4.0]])
    boxes = np.tile([0, 0, 6.0, 8.0], (3, 1))  # a diagonal of 10 px
    return replace(
        made.take([0, 1]),
        index=np.array([0, 0, 1]),
        keypoints=points,
        boxes=boxes,
        baseline=None,
        visible=np.full((3, 3), 2),
        areas=np.ones(3),
        crowd=np.zeros(3, bool),
        category_ids=np.ones(3, int),
    )


def test_predictions_choose_the_nearest_instance_by_falling_score(maker: Any) -> None:
    annotations = two_in_an_image(maker)
    first, second, third = annotations.keypoints
    odd = first.copy()
    odd[2] += 500  # one keypoint of three is far off: the median does not see it
    points = np.stack([second + 1, first + 3, odd, third + 100])
    predictions = Predictions(np.array([1, 1, 1, 2]), points, np.array([0.5, 0.4, 0.9, 1.0]), np.ones(4, int))
    matched = answers_for(annotations, predictions)
    np.testing.assert_array_equal(matched[0], odd)
    np.testing.assert_array_equal(matched[1], second + 1)
    assert np.isnan(matched[2]).all()  # farther than the box is long


def test_the_only_instance_of_each_image_has_the_best_scored_answer_however_far(maker: Any) -> None:
    annotations = maker.annotations(3, 2)
    points = np.stack([annotations.keypoints[0] + 90, annotations.keypoints[0], annotations.keypoints[2]])
    predictions = Predictions(np.array([1, 1, 3]), points, np.array([0.9, 0.8, 0.1]), np.ones(3, int))
    matched = answers_for(annotations, predictions)
    np.testing.assert_array_equal(matched[[0, 2]], points[[0, 2]])
    assert np.isnan(matched[1]).all()


def stored(maker: Any, annotations: Annotations, right: Annotations) -> None:
    """Three seeds of two detectors that answer what is right to half a pixel; runs that must not be asked beside them."""
    rng = np.random.default_rng(0)
    for name in ("ridge", "heatmap"):
        for seed in range(3):
            noise = rng.normal(0, 0.5, right.keypoints.shape)
            maker.put(name, annotations, maker.answers(right, noise), seed, config={"folds": 5})
    far = maker.answers(right, 20.0)
    maker.put("mean", annotations, far, config={"folds": 5}, ranked=False)
    maker.put("knn", annotations, far)  # no folds: its training images it has seen
    maker.put("svr", annotations, far, config={"folds": 5, "data_digest": "e" * 64})
    maker.put("lasso", annotations, None, config={"folds": 5}, error="broken")
    maker.put("ridge", annotations, far, config={"folds": 5, "n_train": 10})  # a curve's lower end


def test_planted_errors_are_named_and_drawn(maker: Any, tmp_path: Path) -> None:
    right = replace(maker.annotations(40, 3), baseline=None)
    right = replace(right, file_names=tuple(f"{int(i >= 30)}-{i}.png" for i in range(40)))
    points = right.keypoints.copy()
    points[35, [0, 2]] = points[35, [2, 0]]
    points[3, 1] += [9.0, 0.0]
    wrong = replace(right, keypoints=points)
    stored(maker, wrong, right)
    runs = out_of_fold_runs(maker.store, DIGEST)
    assert {name: len(seeds) for name, seeds in runs.items()} == {"heatmap n100": 3, "ridge n100": 3}
    found, errors = find_suspects(runs, wrong, starts_of({"train": 30, "val": 4, "test": 6}))
    assert errors.flagged.sum() == 3
    by_kind = {one.kind: one for one in found.found}
    assert set(by_kind) == {EXCHANGED, MOVED}
    pair, moved = by_kind[EXCHANGED], by_kind[MOVED]
    assert (pair.split, pair.image, pair.instance, pair.keypoints) == ("test", "35.png", 1, ("p0", "p2"))
    between = np.hypot(*(points[35, 0] - points[35, 2]))
    assert pair.distance == pytest.approx(between, abs=1)
    assert pair.distance_after == pytest.approx(0, abs=1)
    assert (moved.split, moved.image, moved.instance, moved.keypoints) == ("train", "3.png", 3, ("p1",))
    assert moved.distance == pytest.approx(9, abs=1)
    np.testing.assert_allclose(moved.proposed[0], right.keypoints[3, 1], atol=1)
    assert set(moved.against) == set(runs)
    assert found.judged == found.labelled == 120
    assert found.families == ("classic", "heatmap")
    json.dumps(found.as_dict(), allow_nan=False)
    images = np.zeros((40, 28, 28), dtype=np.uint8)
    images[3] = 255
    suspect_sheet(images, [moved, pair], tmp_path / "new" / "sheet.png")  # type: ignore[arg-type]
    with Image.open(tmp_path / "new" / "sheet.png") as drawn:
        sheet = np.asarray(drawn.convert("RGB")).astype(int)
    first, second = (sheet[8 : 8 + TILE, left : left + TILE] for left in (8, 16 + TILE))
    assert (first == 255).all(axis=2).mean() > 0.3
    assert (second == 0).all(axis=2).mean() > 0.5
    assert (first == (86, 180, 233)).all(axis=2).any()
    assert (first == (230, 159, 0)).all(axis=2).any()


def test_right_labels_are_left_alone(maker: Any) -> None:
    right = replace(maker.annotations(40, 3), baseline=None)
    stored(maker, right, right)
    found, _ = find_suspects(out_of_fold_runs(maker.store, DIGEST), right, {"train": 0})
    assert found.found == []
    assert all(one.seen_from is not None and 1 < one.seen_from < 9 for one in found.power)
