"""Box detectors as point finders: boxes centred on points, instances made of classes, learning that repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detection_data import batch_of, two_in_one, with_categories
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from benchmark.structures import UserError
from detectors.box_detectors import FasterRCNNPoints, FCOSPoints, group_points
from detectors.cascadercnn import CascadeRCNNPoints
from detectors.layers.coordinates import Frame
from detectors.layers.pixels import Geometry
from detectors.training import Batch

NAMES = ("fasterrcnn", "retinanet", "ssd", "fcos", "cascadercnn")


@pytest.mark.parametrize("name", NAMES)
def test_convention_the_centre_of_a_perfect_box_is_the_point(name):
    data = rectangles(5, k=2, seed=4)
    detector = resolve(name).build()
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    for target, points in zip(detector.targets(batch_of(data), detector.frame()), data.points):
        perfect = {**target, "scores": torch.tensor([0.9, 0.8])}
        answer = detector.instances(model, perfect, detector.frame())
        np.testing.assert_allclose(answer.keypoints, points[None], atol=1e-4)
        assert answer.scores.tolist() == pytest.approx([0.85])


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
    scores, kinds = np.array([0.5, 0.7, 0.2, 0.4]), np.array([0, 0, 1, 1])
    answer = group_points(points, scores, kinds, np.zeros((2, 2)), single=True)
    assert answer.keypoints.tolist() == [[[2, 2], [8, 8]]]
    assert answer.scores.tolist() == pytest.approx([0.55])


def test_group_many_takes_the_nearest_to_where_it_is_expected_once():
    offsets = np.array([[0.0, 0], [10, 0]])
    points = np.array([[0.0, 0], [30, 0], [41, 0], [9, 1]])
    answer = group_points(points, np.array([0.9, 0.8, 0.9, 0.3]), np.array([0, 0, 1, 1]), offsets, single=False)
    assert sorted(answer.keypoints.tolist()) == [[[0, 0], [9, 1]], [[30, 0], [41, 0]]]
    assert answer.scores.tolist() == pytest.approx([0.85, 0.6])


def test_group_puts_what_was_not_found_where_it_is_expected():
    offsets = np.array([[0.0, 0], [10, 5]])
    first = group_points(np.array([[3.0, 4]]), np.array([0.6]), np.array([0]), offsets, single=True)
    assert first.keypoints.tolist() == [[[3, 4], [13, 9]]]
    second = group_points(np.array([[13.0, 9]]), np.array([0.6]), np.array([1]), offsets, single=True)
    assert second.keypoints.tolist() == [[[3, 4], [13, 9]]]
    assert first.scores.tolist() == second.scores.tolist() == [0.3]
    nothing = group_points(np.zeros((0, 2)), np.zeros(0), np.zeros(0, int), offsets, single=True)
    assert nothing.keypoints.shape == (0, 2, 2)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30), st.floats(0, 1)), max_size=9), st.booleans())
def test_group_answers_finite_instances_best_first(detections, single):
    kinds = np.array([k for k, _, _ in detections], dtype=np.int64)
    points = np.array([[x, x] for _, x, _ in detections]).reshape(-1, 2)
    scores = np.array([s for _, _, s in detections])
    answer = group_points(points, scores, kinds, np.arange(6.0).reshape(3, 2), single)
    assert np.isfinite(answer.keypoints).all()
    assert (np.diff(answer.scores) <= 0).all()
    assert len(answer.scores) == (0 if not len(kinds) else 1 if single else (kinds == kinds.min()).sum())


@pytest.mark.fits
@pytest.mark.parametrize("name", NAMES)
def test_repeats_and_comes_back(name):
    train, val = rectangles(24, height=20, width=20, seed=1), rectangles(4, height=20, width=20, seed=2)
    detector, again, copy = (resolve(f"{name}:size=40").build() for _ in range(3))
    detector.fit(train, val, seed=3, budget=Budget(steps=3))
    again.fit(train, val, seed=3, budget=Budget(steps=3))
    answers = detector.predict(val.images)
    assert len(answers) == 4
    assert all(p.keypoints.shape in ((1, 1, 2), (0, 1, 2)) for p in answers)  # each train image holds one instance
    copy.restore(load(save(dict(detector.state()))))
    for other in (again, copy):
        for mine, theirs in zip(answers, other.predict(val.images), strict=True):
            np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
            np.testing.assert_array_equal(mine.scores, theirs.scores)
            np.testing.assert_array_equal(mine.category_ids, theirs.category_ids)


@pytest.mark.fits
@pytest.mark.parametrize("name", [*NAMES, "keypointrcnn"])
def test_loss_and_answers_are_those_of_each_alone_and_the_backbone_runs_once(name):
    data = rectangles(4, height=20, width=20, seed=1)
    detector = resolve(f"{name}:size=40").build()
    detector.geometry, batch = Geometry.of(data), batch_of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    model.eval()
    ran = []
    model.backbone[0].register_forward_hook(lambda *_: ran.append(1))
    with torch.no_grad():
        torch.manual_seed(1)
        apart = detector.loss(model, batch), detector.decode(model, batch.images)
        torch.manual_seed(1)
        together = detector.loss_and_answers(model, batch)
    assert len(ran) == 3
    assert torch.equal(together[0], apart[0])
    for mine, theirs in zip(together[1], apart[1], strict=True):
        np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
        np.testing.assert_array_equal(mine.scores, theirs.scores)
    brighter = Batch(1 - batch.images, None, batch.positions, batch.annotations)
    with torch.no_grad():  # what was computed once is forgotten afterwards
        torch.manual_seed(1)
        assert not torch.equal(detector.loss(model, brighter), apart[0])


def first_stage(parts):
    """The losses whose targets do not move as the network learns: of a one-stage detector all of them.

    Which boxes the later stages are trained on depends on the proposals: as these come to overlap the targets, more of
    the sampled boxes are positive, and the later losses rise for a while before they fall.
    """
    moving = ("loss_classifier", "loss_box_reg", "classes", "boxes")
    return sum(float(v.detach()) for k, v in parts.items() if not k.startswith(moving))


@pytest.mark.fits
@pytest.mark.parametrize("name", NAMES)
def test_learns_and_a_gradient_reaches_the_whole_backbone(name):
    """The first stage's loss falls to less than a half, and at some seed the training images' points are found."""
    data = rectangles(8, height=20, width=20, seed=1)
    detector = resolve(f"{name}:size=40").build()
    detector.geometry = Geometry.of(data)
    batch, frame = batch_of(data), detector.frame()
    mean_error = np.linalg.norm(data.points - data.points.mean(axis=0), axis=-1).mean()
    errors = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = detector.build(detector.geometry).train()
        detector.prepare(model, data, seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        losses = []
        for step in range(48):
            parts = model(detector.network_input(batch.images), detector.targets(batch, frame))
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()
            if step == 0:
                assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.backbone.parameters())
            optimizer.step()
            losses.append(first_stage(parts))
        assert min(losses[-10:]) < 0.5 * losses[0]
        with torch.no_grad():
            answers = detector.decode(model.eval(), batch.images)
        away = [
            np.linalg.norm(p.keypoints[0] - q).mean() if len(p.scores) else 28 for p, q in zip(answers, data.points)
        ]
        errors.append(float(np.median(away)))
        if errors[-1] < 0.75 * mean_error:
            return
    raise AssertionError(f"no seed found the points: median errors {errors}, and the mean is {mean_error} px off")


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
    detections = {**targets[0], "scores": torch.tensor([0.4, 0.9])}
    answer = detector.instances(model, detections, detector.frame())
    np.testing.assert_allclose(answer.keypoints[:, 0], data.annotations.keypoints[[1, 0], 0], atol=1e-4)
    empty = Batch(torch.zeros(1, 1, 28, 56), None, np.array([3]), data.annotations.take([0, 1, 2]))
    assert detector.targets(empty, Frame())[0]["boxes"].shape == (0, 4)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_boxes_of_every_category_come_back_with_its_id(name):
    """Two keypoints and three categories are six classes; one category has no instance at all."""
    data = with_categories(rectangles(6, k=2, seed=4), [7, 2**40, 0], known=[5])
    detector = resolve(name).build()
    detector.geometry = Geometry.of(data)
    assert detector.geometry.category_ids == (0, 5, 7, 2**40)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    targets = detector.targets(batch_of(data), detector.frame())
    assert sorted({int(i) - detector.first_label for t in targets for i in t["labels"]}) == [0, 1, 4, 5, 6, 7]
    for i, target in enumerate(targets):
        answer = detector.instances(model, {**target, "scores": torch.tensor([0.9, 0.8])}, detector.frame())
        assert answer.category_ids.tolist() == [data.annotations.category_ids[i]]
        np.testing.assert_allclose(answer.keypoints, data.points[i][None], atol=1e-4)


def test_points_of_one_category_never_join_those_of_another():
    data = with_categories(rectangles(6, k=2, seed=4), [3, 8])
    detector = FasterRCNNPoints()
    detector.geometry = Geometry.of(data)
    torch.manual_seed(0)
    model = detector.build(detector.geometry)
    detector.prepare(model, data, 0)
    model.single_instance.fill_(False)
    centres = detector.frame().points(torch.tensor([[5.0, 5.0], [20.0, 20.0], [6.0, 6.0]]))
    detections = {
        "boxes": torch.cat([centres - 4, centres + 4], dim=1),
        "labels": torch.tensor([1, 2, 3]),  # keypoints 0 and 1 of category 3, keypoint 0 of category 8
        "scores": torch.tensor([0.5, 0.7, 0.9]),
    }
    answer = detector.instances(model, detections, detector.frame())
    assert answer.category_ids.tolist() == [3, 8]
    assert answer.scores.tolist() == pytest.approx([0.6, 0.45])
    np.testing.assert_allclose(answer.keypoints[0], [[5, 5], [20, 20]], atol=1e-4)
    expected = model.offsets[1, 1].numpy() + 6  # its second keypoint was not found
    np.testing.assert_allclose(answer.keypoints[1], [[6, 6], expected], atol=1e-4)


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
        detections = model(detector.network_input(batch_of(data).images[:1]))[0]
    assert len(pools) == 3
    assert not torch.equal(pools[0], pools[1])
    assert pools[0].shape == pools[2].shape
    assert (detections["scores"] <= 1).all()


def test_cascade_has_one_to_three_stages():
    with pytest.raises(UserError, match="1 to 3"):
        resolve("cascadercnn:stages=4").build()
