"""Keypoint R-CNN: half a pixel, padded boxes, many instances, and learning that repeats and comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from detection_data import batch_of, two_in_one, with_categories
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from benchmark.structures import LabeledImages, UserError
from detectors.keypointrcnn import KeypointRCNNDetector
from detectors.layers.coordinates import Frame
from detectors.layers.detection import BatchOnlyTransform, make_detection_backbone
from detectors.layers.pixels import Geometry

PIXELS = st.floats(0, 60)


@given(st.tuples(PIXELS, PIXELS), st.sampled_from([0.5, 1.0, 4.0, 112 / 28]), st.integers(0, 5))
def test_convention_frame_there_and_back(point, scale, margin):
    frame = Frame(scale, margin)
    there = frame.points(torch.tensor(point, dtype=torch.float64))
    np.testing.assert_allclose(frame.to_pixels(there), point, atol=1e-9)
    np.testing.assert_allclose(there, (np.array(point) + 0.5 + margin) * scale)


def test_convention_the_enlarged_pixel_lies_where_its_point_does():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 5, 9] = 1
    for frame in (Frame(4.0), Frame(4.0, margin=4), Frame(3.0, margin=1)):
        large = frame.images(image)[0, 0]
        corner_based = torch.arange(len(large)) + 0.5  # where torchvision puts the centres of input pixels
        centre = torch.stack([large.sum(0) @ corner_based, large.sum(1) @ corner_based]) / large.sum()
        assert centre.tolist() == pytest.approx(frame.points(torch.tensor([9.0, 5.0])).tolist(), abs=1e-3)
        assert frame.to_pixels(centre).tolist() == pytest.approx([9, 5], abs=1e-3)


def test_convention_a_perfect_torchvision_heatmap_decodes_within_its_cell():
    frame = Frame(4.0)
    points = torch.tensor([[9.0, 5.0], [12.0, 17.0], [3.0, 4.0]])
    boxes = torch.tensor([[0.0, 0.0, 112.0, 112.0]]).repeat(3, 1)
    cells, valid = keypoints_to_heatmap(torch.cat([frame.points(points), torch.ones(3, 1)], 1)[:, None], boxes, 56)
    assert valid.all()
    maps = torch.full((3, 1, 56 * 56), -10.0).scatter(2, cells[:, :, None], 10.0).view(3, 1, 56, 56)
    decoded = frame.to_pixels(heatmaps_to_keypoints(maps, boxes)[0][:, 0, :2])
    assert (decoded - points).abs().max() <= 0.25 + 1e-5  # half a heatmap cell; half a pixel would be twice that


def test_convention_target_boxes_are_padded_and_stay_on_the_image():
    data = rectangles(6, seed=5)
    detector = KeypointRCNNDetector(pad=3.0)
    detector.geometry = Geometry.of(data)
    for target, box, point in zip(
        detector.targets(batch_of(data), Frame(4.0)), data.annotations.boxes, data.points[:, 0]
    ):
        edges = np.clip(np.concatenate([box[:2] - 3, box[:2] + box[2:] + 3]), 0, 28) * 4
        np.testing.assert_allclose(target["boxes"][0], edges, atol=1e-5)
        np.testing.assert_allclose(target["keypoints"][0, 0], [*(point + 0.5) * 4, 1], atol=1e-5)


def test_target_boxes_hold_their_visible_points_and_crowds_are_left_out():
    data = rectangles(3, k=2, seed=5)
    annotations = replace(
        data.annotations,
        boxes=data.annotations.boxes * np.array([1, 1, 0.1, 0.1]),
        visible=np.array([[2, 2], [2, 0], [2, 2]]),
        crowd=np.array([False, False, True]),
    )
    detector = KeypointRCNNDetector(pad=0.0)
    detector.geometry = Geometry.of(data)
    targets = detector.targets(batch_of(LabeledImages(data.images, annotations)), Frame())
    x1, y1, x2, y2 = targets[0]["boxes"][0].tolist()
    assert x1 <= annotations.keypoints[0, 1, 0] <= x2
    assert y1 <= annotations.keypoints[0, 1, 1] <= y2
    assert targets[1]["boxes"][0, 2] < annotations.keypoints[1, 1, 0]  # its second point is not labelled
    assert targets[1]["keypoints"][0, :, 2].tolist() == [1, 0]
    assert targets[2]["boxes"].shape == (0, 4)


def test_torchvision_is_left_with_nothing_to_do_but_to_make_a_batch():
    images = [torch.rand(2, 10, 13)]
    batch, _ = BatchOnlyTransform(8)(images)
    assert batch.tensors.shape == (1, 2, 16, 16)
    assert torch.equal(batch.tensors[0, :, :10, :13], images[0])


@pytest.fixture(scope="module")
def data():
    return rectangles(24, seed=1), rectangles(6, seed=2)


def same_answers(detector, other, images):
    for mine, theirs in zip(detector.predict(images), other.predict(images), strict=True):
        np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
        np.testing.assert_array_equal(mine.scores, theirs.scores)
        np.testing.assert_array_equal(mine.category_ids, theirs.category_ids)


@pytest.mark.fits
def test_repeats_and_comes_back(data):
    train, val = data
    detector, again, copy = (resolve("keypointrcnn:size=56").build() for _ in range(3))
    detector.fit(train, val, seed=3, budget=Budget(steps=4))
    again.fit(train, val, seed=3, budget=Budget(steps=4))
    answers = detector.predict(val.images)
    assert all(len(p.scores) <= 1 for p in answers)  # each train image holds one instance
    assert [set(p.category_ids.tolist()) <= {1} for p in answers] == [True] * 6
    same_answers(detector, again, val.images)
    copy.restore(load(save(dict(detector.state()))))
    same_answers(detector, copy, val.images)


@pytest.mark.fits
def test_learns():
    """At some seed the loss and the error on images it did not learn from fall below those of the untrained network."""
    train, val = rectangles(32, height=20, width=20, seed=1), rectangles(6, height=20, width=20, seed=2)
    results = []
    for seed in range(3):
        rows = resolve("keypointrcnn:size=40").build().fit(train, val, seed=seed, budget=Budget(steps=24))
        losses, errors = [r["loss"] for r in rows], [r["val_px"] for r in rows]
        assert np.isfinite(losses).all()
        results.append((min(losses[1:]) / losses[0], min(errors[1:]) / errors[0]))
        if max(results[-1]) < 0.9:
            return
    raise AssertionError(f"no seed learned; shares of the untrained loss and error: {results}")


def on_true_boxes(detector, model, data):
    """The batch, its targets, and the network with the true boxes in the place of proposals: every head sees them."""
    batch = batch_of(data)
    targets = detector.targets(batch, detector.frame())
    propose = model.rpn.forward

    def true_boxes(*args):
        return [t["boxes"] for t in targets], propose(*args)[1]

    model.rpn.forward = true_boxes
    return batch, targets


@pytest.mark.fits
def test_a_gradient_reaches_every_weight_of_backbone_and_heads(data):
    train = data[0].take(range(4))
    detector = KeypointRCNNDetector(size=56)
    detector.geometry = Geometry.of(train)
    torch.manual_seed(0)
    model = detector.build(detector.geometry).train()
    batch, targets = on_true_boxes(detector, model, train)
    torch.stack(list(model(detector.network_input(batch.images), targets).values())).sum().backward()
    # Regressing a box that is right already has no gradient; a softmax over the map does not see a constant.
    exempt = ("bbox_pred", "kps_score_lowres.bias")
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert [n for n in without if not any(part in n for part in exempt)] == []


@pytest.fixture
def without_denormals():
    """Steps this large leave gradients below 1e-38, with which an old processor computes ten times slower."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


@pytest.mark.fits
@pytest.mark.usefixtures("without_denormals")
def test_learns_to_tell_categories_apart():
    """Bright rectangles are of category 7, dark ones of 2**40: at some seed, nearly all true boxes are told apart."""
    data = with_categories(rectangles(8, height=20, width=20, seed=1), [7, 2**40])
    images = np.asarray(data.images).copy()
    images[1::2] //= 8
    data = LabeledImages(images, data.annotations)
    detector = KeypointRCNNDetector(size=40)
    detector.geometry = Geometry.of(data)
    shares = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = detector.build(detector.geometry).train()
        batch, targets = on_true_boxes(detector, model, data)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(30):
            losses = model(detector.network_input(batch.images), targets)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
        with torch.no_grad():
            answers = detector.decode(model.eval(), batch.images)
        right = [p.category_ids.tolist() == [i] for p, i in zip(answers, data.annotations.category_ids.tolist())]
        shares.append(np.mean(right))
        if shares[-1] >= 0.75:
            return
    raise AssertionError(f"no seed told the categories apart: {shares} of the images answered rightly")


@pytest.mark.fits
def test_finds_several_instances():
    """With a threshold of 0 every proposal that survives the suppression of overlapping boxes is answered."""
    train, val = two_in_one(24, 1), two_in_one(4, 9)
    detector = KeypointRCNNDetector(size=56, threshold=0.0)
    detector.fit(train, val, seed=0, budget=Budget(steps=8))
    assert not detector.model.single_instance
    answers = detector.predict(val.images)
    assert any(len(p.scores) > 1 for p in answers)
    assert all((np.diff(p.scores) <= 0).all() for p in answers)
    assert all(np.isfinite(p.keypoints).all() for p in answers)
    detector.threshold = 2.0  # more than any score
    assert [len(p.scores) for p in detector.predict(val.images)] == [0] * 4


def test_one_category_is_one_class_with_label_1():
    data = with_categories(rectangles(3, seed=5), [7])
    detector = KeypointRCNNDetector(size=56)
    detector.geometry = Geometry.of(data)
    assert detector.build(detector.geometry).roi_heads.box_predictor.cls_score.out_features == 2
    assert [t["labels"].tolist() for t in detector.targets(batch_of(data), Frame())] == [[1]] * 3


def test_categories_are_classes_and_those_unknown_to_training_are_left_out():
    data = with_categories(rectangles(4, seed=5), [2**40, 0], known=[7])
    detector = KeypointRCNNDetector(size=56)
    detector.geometry = Geometry.of(data)
    assert detector.geometry.category_ids == (0, 7, 2**40)
    assert detector.build(detector.geometry).roi_heads.box_predictor.cls_score.out_features == 4
    assert [t["labels"].tolist() for t in detector.targets(batch_of(data), Frame())] == [[3], [1]] * 2
    other = with_categories(data, [0, 9])
    assert [t["labels"].tolist() for t in detector.targets(batch_of(other), Frame())] == [[1], []] * 2


@pytest.mark.fits
def test_a_single_category_changes_no_answer_whatever_its_id(data):
    """Same targets, same random numbers, same network: the id is a name, kept aside."""
    train, val = data
    plain, named = (resolve("keypointrcnn:size=40").build() for _ in range(2))
    plain.fit(train, val, seed=1, budget=Budget(steps=2))
    named.fit(with_categories(train, [2**40]), with_categories(val, [2**40]), seed=1, budget=Budget(steps=2))
    for mine, theirs in zip(plain.predict(val.images), named.predict(val.images), strict=True):
        np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
        np.testing.assert_array_equal(mine.scores, theirs.scores)
        assert theirs.category_ids.tolist() == [2**40] * len(theirs.scores)


@pytest.mark.fits
def test_category_ids_survive_storage(data):
    ids = [7, 0, 2**40]
    train, val = (with_categories(part, ids) for part in data)
    detector, copy = (resolve("keypointrcnn:size=40").build() for _ in range(2))
    detector.fit(train, val, seed=1, budget=Budget(steps=2))
    copy.restore(load(save(dict(detector.state()))))
    same_answers(detector, copy, val.images)
    assert {i for p in detector.predict(val.images) for i in p.category_ids.tolist()} <= set(ids)


def test_a_feature_pyramid_takes_two_channels_and_pools_from_four_levels():
    detector = KeypointRCNNDetector(backbone="resnet18", size=64)
    detector.geometry = Geometry(1, 28, 28, 1)
    model = detector.build(detector.geometry).eval()
    with torch.no_grad():
        answers = detector.decode(model, torch.rand(1, 1, 28, 28))
    assert answers[0].keypoints.shape[1:] == (1, 2)
    assert model.roi_heads.keypoint_roi_pool.featmap_names == ["0", "1", "2", "3"]


def test_pretrained_weights_that_cannot_be_had_are_one_clear_line(data, monkeypatch):
    from torchvision.models import ResNet18_Weights

    def offline(self, *args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", offline)
    detector = KeypointRCNNDetector(backbone="resnet18", pretrained=True, intensity="raw")
    with pytest.raises(UserError, match="ImageNet weights of resnet18 cannot be had"):
        detector.fit(*data, seed=0, budget=Budget(steps=1))
    with pytest.raises(UserError, match="no pretrained weights"):
        make_detection_backbone("small", 1, pretrained=True, width=8, dilations=(1,))


@pytest.mark.parametrize("spec", ["keypointrcnn:size=4", "keypointrcnn:backbone=resnet18,pretrained=true"])
def test_impossible_parameters_are_refused(spec):
    with pytest.raises(UserError, match="refuses its parameters"):
        resolve(spec).build()


def test_small_images_are_learned_from_in_fewer_steps_and_photographs_are_not():
    detector = resolve("keypointrcnn").build()
    assert isinstance(detector, KeypointRCNNDetector)
    digits, photographs = Geometry(1, 28, 28, 1), Geometry(1, 144, 192, 3)
    assert detector.recipe(digits).epochs < detector.recipe(photographs).epochs
    assert detector.dilated(photographs) == detector.dilations != detector.dilated(digits)
    pyramid = resolve("keypointrcnn-fpn").build()
    assert isinstance(pyramid, KeypointRCNNDetector)
    assert pyramid.recipe(digits) == pyramid.recipe(photographs)
