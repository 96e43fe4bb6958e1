"""Photographs: errors relative to boxes by hand, holes that count nowhere, images with one instance or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.metrics import score
from benchmark.structures import Annotations, Predictions


def annotated(visible: list[list[int]], index: list[int], images: int = 3, side: int = 480) -> Annotations:
    """Instances whose two keypoints lie at (100, 100) and (200, 100), in boxes of 100 x 50 px."""
    m = len(index)
    return Annotations(
        image_ids=np.arange(1, images + 1),
        file_names=tuple(f"{i}.jpg" for i in range(images)),
        sizes=np.tile([[640 * side // 480, side]], (images, 1)),
        index=np.array(index, dtype=np.int64),
        keypoints=np.tile(np.array([[100.0, 100.0], [200.0, 100.0]]), (m, 1, 1)),
        visible=np.array(visible, dtype=np.int64),
        boxes=np.tile(np.array([100.0, 80.0, 100.0, 50.0]), (m, 1)),
        areas=np.full(m, 5000.0),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.ones(m, dtype=np.int64),
        keypoint_names=("a", "b"),
        sigmas=np.full(2, 0.05),
    )


def predicted(annotations: Annotations, offsets: list[list[float]]) -> Predictions:
    """One prediction an instance, off by (dx of a, dx of b)."""
    points = annotations.keypoints.copy()
    points[:, :, 0] += np.array(offsets)
    ids = annotations.image_ids[annotations.index]
    return Predictions.of_category(ids, points, np.ones(len(ids)), 1)


def test_errors_relative_to_the_box_by_hand() -> None:
    """Errors of 4, 6, 11 and 30 px: 5 % of the longer side is 5 px, 10 % is 10, 20 % is 20."""
    known = annotated([[2, 2], [2, 2]], [0, 1], images=2)
    table = score(known, predicted(known, [[4, 6], [11, 30]]))
    assert (table["pck_box@0.05"], table["pck_box@0.1"], table["pck_box@0.2"]) == (0.25, 0.5, 0.75)
    assert table["nme"] == pytest.approx(100 * np.mean([4, 6, 11, 30]) / np.sqrt(5000))
    assert table.keypoints["a"]["pck_box@0.1"] == 0.5


@pytest.mark.parametrize(("side", "spacing"), [(28, None), (480, [1.0, 1.0])])
def test_digits_and_lattices_have_no_relative_errors(side: int, spacing: list[float] | None) -> None:
    known = annotated([[2, 2]] * 3, [0, 1, 2], side=side)
    known = replace(known, spacing=None if spacing is None else np.array(spacing))
    table = score(known, predicted(known, [[1, 1]] * 3))
    assert "nme" not in table.as_dict()


def test_a_box_of_no_size_does_not_count() -> None:
    known = annotated([[2, 2]] * 3, [0, 1, 2])
    boxes = known.boxes.copy()
    boxes[0, 2:] = 0
    one = score(replace(known, boxes=boxes), predicted(known, [[90, 90], [4, 4], [4, 4]]))
    assert one["pck_box@0.05"] == 1.0
    none = score(replace(known, boxes=boxes * 0), predicted(known, [[4, 4]] * 3))
    assert none["nme"] is None
    assert none.reasons["nme"] == "no instance with a labelled keypoint has a box"


def test_holes_count_nowhere() -> None:
    """Whatever is predicted for an unlabelled keypoint, every metric is that of the labelled ones."""
    known = annotated([[2, 0], [2, 2], [0, 2]], [0, 1, 2])
    tables: list[dict[str, Any]] = [
        score(known, predicted(known, [[3, far], [5, 7], [far, 9]])).as_dict() for far in (0.0, 500.0)
    ]
    assert tables[0] == tables[1]
    assert tables[0]["mean"] == pytest.approx(np.mean([3, 5, 7, 9]))
    assert tables[0]["max"] == 9


def test_images_with_one_instance_or_none_are_answered_by_the_best_scored() -> None:
    """A large error stays in the mean, where matching by OKS would drop it; what an empty image is given is spare."""
    known = annotated([[2, 2], [2, 2]], [0, 2])
    answers = predicted(known, [[300, 300], [1, 1]])
    extra = Predictions.of_category(np.array([2]), answers.keypoints[:1], np.ones(1), 1)
    both = Predictions(*(np.concatenate(pair) for pair in zip(vars(answers).values(), vars(extra).values())))
    table = score(known, both)
    assert table["mean"] == pytest.approx(150.5)
    assert (table["misses"], table["precision"], table["recall"]) == (0, pytest.approx(2 / 3), 1)
    assert np.isnan(table.distances[1])
