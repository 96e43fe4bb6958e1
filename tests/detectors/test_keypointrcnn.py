"""Keypoint R-CNN: half a pixel, padded boxes, many instances, and learning that repeats and comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from benchmark.structures import LabeledImages, UserError
from detectors.coordinates import Frame
from detectors.detection import OnlyBatch, make_backbone
from detectors.keypointrcnn import KeypointRCNNDetector
from detectors.pixels import Geometry
from tests.detectors.detection_data import batch_of, two_in_one

PIXELS = st.floats(0, 60)


@given(st.tuples(PIXELS, PIXELS), st.sampled_from([0.5, 1.0, 4.0, 112 / 28]), st.integers(0, 5))
def test_convention_frame_there_and_back(point, scale, margin):
    frame = Frame(scale, margin)
    there = frame.points(torch.tensor(point, dtype=torch.float64))
    np.testing.assert_allclose(frame.back(there), point, atol=1e-9)
    np.testing.assert_allclose(there, (np.array(point) + 0.5 + margin) * scale)


def test_convention_the_enlarged_pixel_lies_where_its_point_does():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 5, 9] = 1
    for frame in (Frame(4.0), Frame(4.0, margin=4), Frame(3.0, margin=1)):
        large = frame.images(image)[0, 0]
        corner_based = torch.arange(len(large)) + 0.5  # where torchvision puts the centres of input pixels
        centre = torch.stack([large.sum(0) @ corner_based, large.sum(1) @ corner_based]) / large.sum()
        assert centre.tolist() == pytest.approx(frame.points(torch.tensor([9.0, 5.0])).tolist(), abs=1e-3)
        assert frame.back(centre).tolist() == pytest.approx([9, 5], abs=1e-3)


def test_convention_a_perfect_torchvision_heatmap_decodes_within_its_cell():
    frame = Frame(4.0)
    annotations = torch.tensor([[9.0, 5.0], [12.0, 17.0], [3.0, 4.0]])
    boxes = torch.tensor([[0.0, 0.0, 112.0, 112.0]]).repeat(3, 1)
    cells, valid = keypoints_to_heatmap(torch.cat([frame.points(annotations), torch.ones(3, 1)], 1)[:, None], boxes, 56)
    assert valid.all()
    maps = torch.full((3, 1, 56 * 56), -10.0).scatter(2, cells[:, :, None], 10.0).view(3, 1, 56, 56)
    found = frame.back(heatmaps_to_keypoints(maps, boxes)[0][:, 0, :2])
    assert (found - annotations).abs().max() <= 0.25 + 1e-5  # half a heatmap cell; half a pixel would be twice that


def test_convention_target_boxes_are_padded_and_stay_on_the_image():
    data = rectangles(6, seed=5)
    detector = KeypointRCNNDetector(pad=3.0)
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
    found = KeypointRCNNDetector(pad=0.0).targets(batch_of(LabeledImages(data.images, annotations)), Frame())
    x1, y1, x2, y2 = found[0]["boxes"][0].tolist()
    assert x1 <= annotations.keypoints[0, 1, 0] <= x2
    assert y1 <= annotations.keypoints[0, 1, 1] <= y2
    assert found[1]["boxes"][0, 2] < annotations.keypoints[1, 1, 0]  # its second point is not labelled
    assert found[1]["keypoints"][0, :, 2].tolist() == [1, 0]
    assert found[2]["boxes"].shape == (0, 4)


def test_torchvision_is_left_with_nothing_to_do_but_to_make_a_batch():
    images = [torch.rand(2, 10, 13)]
    batch, _ = OnlyBatch(8)(images)
    assert batch.tensors.shape == (1, 2, 16, 16)
    assert torch.equal(batch.tensors[0, :, :10, :13], images[0])


@pytest.fixture(scope="module")
def data():
    return rectangles(24, seed=1), rectangles(6, seed=2)


def test_learns_repeats_and_comes_back(data):
    train, val = data
    specification = "keypointrcnn:size=56"
    detector, again, copy = (resolve(specification).build() for _ in range(3))
    rows = detector.fit(train, val, seed=3, budget=Budget(steps=12))
    again.fit(train, val, seed=3, budget=Budget(steps=12))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert min(row["val_px"] for row in rows) < rows[0]["val_px"]
    said = detector.predict(val.images)
    assert [len(p.scores) for p in said] == [1] * 6  # each train image holds one: so does each answer
    copy.restore(detector.state())
    for other in (again, copy):
        for mine, theirs in zip(said, other.predict(val.images)):
            np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
            np.testing.assert_array_equal(mine.scores, theirs.scores)


def test_measuring_the_loss_leaves_normalisation_alone(data):
    detector = KeypointRCNNDetector(size=56)
    train, _ = data
    detector.geometry = Geometry.of(train)
    torch.manual_seed(0)
    model = detector.build(detector.geometry).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        first = detector.loss(model, batch_of(train.take([0, 1])))
    assert torch.isfinite(first)
    assert not model.training
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_finds_several_instances():
    train, val = two_in_one(24, 1), two_in_one(4, 9)
    detector = KeypointRCNNDetector(size=56, threshold=0.05)
    detector.fit(train, val, seed=0, budget=Budget(steps=14))
    assert not detector.model.single_instance
    said = detector.predict(val.images)
    assert sum(len(p.scores) > 1 for p in said) >= 2
    assert all((np.diff(p.scores) <= 0).all() for p in said)
    halves = {bool(x >= 28) for p in said for x in p.keypoints[:, 0, 0]}
    assert halves == {False, True}


def test_a_feature_pyramid_takes_two_channels_and_pools_from_four_levels():
    detector = KeypointRCNNDetector(backbone="resnet18", size=64)
    detector.geometry = Geometry(1, 28, 28, 1)
    model = detector.build(detector.geometry).eval()
    with torch.no_grad():
        said = detector.decode(model, torch.rand(1, 1, 28, 28))
    assert said[0].keypoints.shape[1:] == (1, 2)
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
        make_backbone("small", 1, pretrained=True, width=8, dilations=(1,))


@pytest.mark.parametrize("spec", ["keypointrcnn:size=4", "keypointrcnn:backbone=resnet18,pretrained=true"])
def test_impossible_parameters_are_refused(spec):
    with pytest.raises(UserError, match="refuses its parameters"):
        resolve(spec).build()
