"""Box detectors as point finders: boxes centred on points, instances made of classes, learning that repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from detectors.box_detectors import FasterRCNNPoints, FCOSPoints, group
from detectors.cascade import CascadeRCNNPoints
from detectors.coordinates import Frame
from detectors.pixels import Geometry
from detectors.training import Batch
from tests.detectors.detection_data import batch_of, two_in_one

NAMES = ("fasterrcnn", "retinanet", "ssd", "fcos", "cascadercnn")


@pytest.mark.parametrize("name", NAMES)
def test_convention_the_centre_of_a_perfect_box_is_the_point(name):
    data = rectangles(5, k=2, seed=4)
    detector = resolve(name).build()
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    for target, annotations in zip(detector.targets(batch_of(data), detector.frame()), data.points):
        perfect = {**target, "scores": torch.tensor([0.9, 0.8])}
        said = detector.instances(model, perfect, detector.frame())
        np.testing.assert_allclose(said.keypoints, annotations[None], atol=1e-5)
        assert said.scores.tolist() == pytest.approx([0.85])


def test_convention_boxes_of_points_on_the_edge_fit_into_the_margin():
    detector = FasterRCNNPoints(side=7.0)
    detector.geometry = Geometry(1, 28, 28, 1)
    frame = detector.frame()
    side = frame.images(torch.zeros(1, 1, 28, 28)).shape[-1]
    for point in (0.0, 27.0):
        centre = float(frame.points(torch.tensor([point, point]))[0])
        assert centre - 3.5 * frame.scale >= 0
        assert centre + 3.5 * frame.scale <= side


def test_group_single_takes_the_best_of_each_kind():
    points = np.array([[1.0, 1], [2, 2], [9, 9], [8, 8]])
    said = group(points, np.array([0.5, 0.7, 0.2, 0.4]), np.array([0, 0, 1, 1]), np.zeros((2, 2)), single=True)
    assert said.keypoints.tolist() == [[[2, 2], [8, 8]]]
    assert said.scores.tolist() == pytest.approx([0.55])


def test_group_many_takes_the_nearest_to_where_it_is_expected_once():
    offsets = np.array([[0.0, 0], [10, 0]])
    points = np.array([[0.0, 0], [30, 0], [41, 0], [9, 1]])
    said = group(points, np.array([0.9, 0.8, 0.9, 0.3]), np.array([0, 0, 1, 1]), offsets, single=False)
    assert sorted(said.keypoints.tolist()) == [[[0, 0], [9, 1]], [[30, 0], [41, 0]]]
    assert said.scores.tolist() == pytest.approx([0.85, 0.6])


def test_group_puts_what_was_not_found_where_it_is_expected():
    offsets = np.array([[0.0, 0], [10, 5]])
    first = group(np.array([[3.0, 4]]), np.array([0.6]), np.array([0]), offsets, single=True)
    assert first.keypoints.tolist() == [[[3, 4], [13, 9]]]
    second = group(np.array([[13.0, 9]]), np.array([0.6]), np.array([1]), offsets, single=True)
    assert second.keypoints.tolist() == [[[3, 4], [13, 9]]]
    assert first.scores.tolist() == second.scores.tolist() == [0.3]
    assert group(np.zeros((0, 2)), np.zeros(0), np.zeros(0, int), offsets, single=True).keypoints.shape == (0, 2, 2)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30), st.floats(0, 1)), max_size=9), st.booleans())
def test_group_answers_finite_instances_best_first(found, single):
    kinds = np.array([k for k, _, _ in found], dtype=np.int64)
    points = np.array([[x, x] for _, x, _ in found]).reshape(-1, 2)
    scores = np.array([s for _, _, s in found])
    said = group(points, scores, kinds, np.arange(6.0).reshape(3, 2), single)
    assert np.isfinite(said.keypoints).all()
    assert (np.diff(said.scores) <= 0).all()
    assert len(said.scores) == (0 if not len(kinds) else 1 if single else (kinds == kinds.min()).sum())


@pytest.mark.parametrize("name", NAMES)
def test_repeats_and_comes_back(name):
    train, val = rectangles(24, height=20, width=20, seed=1), rectangles(4, height=20, width=20, seed=2)
    detector, again, copy = (resolve(f"{name}:size=40").build() for _ in range(3))
    detector.fit(train, val, seed=3, budget=Budget(steps=3))
    again.fit(train, val, seed=3, budget=Budget(steps=3))
    said = detector.predict(val.images)
    assert [p.keypoints.shape for p in said] == [(1, 1, 2)] * 4
    copy.restore(detector.state())
    for other in (again, copy):
        for mine, theirs in zip(said, other.predict(val.images)):
            np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
            np.testing.assert_array_equal(mine.scores, theirs.scores)


@pytest.mark.parametrize("name", NAMES)
def test_learns_and_a_gradient_reaches_the_whole_backbone(name):
    data = rectangles(8, height=20, width=20, seed=1)
    detector = resolve(f"{name}:size=40").build()
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    sums = []
    for _ in range(30):
        parts = model(detector.seen(batch_of(data).images), detector.targets(batch_of(data), detector.frame()))
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        if not sums:
            assert all(p.grad.abs().sum() > 0 for p in model.backbone.parameters())
        optimizer.step()
        # later stages of a cascade get boxes to refine only when the first has learned: their part may rise
        sums.append(float(sum(v.detach() for k, v in parts.items() if k not in ("boxes1", "boxes2"))))
    assert np.mean(sums[-3:]) < 0.8 * np.mean(sums[:3])


def test_several_instances_and_images_without_any():
    data = two_in_one(4, 1)
    detector = FCOSPoints(size=56)
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    assert not model.single_instance
    targets = detector.targets(batch_of(data), detector.frame())
    assert [len(t["labels"]) for t in targets] == [2] * 4
    found = {**targets[0], "scores": torch.tensor([0.4, 0.9])}
    said = detector.instances(model, found, detector.frame())
    np.testing.assert_allclose(said.keypoints[:, 0], data.annotations.keypoints[[1, 0], 0], atol=1e-4)
    empty = Batch(torch.zeros(1, 1, 28, 56), None, np.array([3]), data.annotations.take([0, 1, 2]))
    assert detector.targets(empty, Frame())[0]["boxes"].shape == (0, 4)


def test_cascade_stages_refine_in_turn_and_average_their_scores():
    data = rectangles(3, seed=1)
    detector = CascadeRCNNPoints(stages=3, size=56)
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry).eval()
    heads = model.roi_heads
    assert [s.proposal_matcher.high_threshold for s in heads.stages] == [0.5, 0.6, 0.7]
    pools = []
    for stage in heads.stages:
        stage.box_roi_pool.register_forward_hook(lambda module, inputs, output: pools.append(inputs[1][0].clone()))
    with torch.no_grad():
        found = model(detector.seen(batch_of(data).images[:1]))[0]
    assert len(pools) == 3
    assert not torch.equal(pools[0], pools[1])
    assert pools[0].shape == pools[2].shape
    assert (found["scores"] <= 1).all()


def test_cascade_has_one_to_three_stages():
    from benchmark.structures import UserError

    with pytest.raises(UserError, match="1 to 3"):
        resolve("cascadercnn:stages=4").build()
