"""Detectors on data with holes, several instances, other sizes: a probe sees what it should, and answers come back right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from benchmark import UserError
from benchmark.conformance import rectangles
from benchmark.detector import Budget, Card, Detector
from benchmark.framed import Framed, annotated_boxes
from benchmark.registry import resolve
from benchmark.structures import Annotations, FloatArray, Image, LabeledImages, Prediction

ONCE = Budget(epochs=1)


class Brightest(Detector):
    """Answers the brightest pixel of what it is shown, for each of K keypoints; remembers what it learned from."""

    partial_labels: ClassVar[bool] = True
    longest_side: ClassVar[int] = 32

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        self.train, self.val = train, val

    def predict(self, images: Sequence[Image]) -> FloatArray:
        self.asked = [np.asarray(image).shape for image in images]
        k = self.train.points.shape[1]
        flat = [np.asarray(image).reshape(*np.asarray(image).shape[:2], -1).sum(axis=2) for image in images]
        places = [np.unravel_index(int(one.argmax()), one.shape)[::-1] for one in flat]
        return np.repeat(np.array(places, dtype=np.float64).reshape(-1, 1, 2), k, axis=1)


class Whole(Brightest):
    """The same, but it cannot learn from an instance with an unlabelled keypoint."""

    partial_labels = False


def scene(count: int, size: tuple[int, int] = (96, 64), figures: int = 1, seed: int = 0) -> LabeledImages:
    """RGB images (width, height) of ``figures`` grey squares of 12 px with one bright pixel each, which is the point."""
    random = np.random.default_rng(seed)
    width, height = size
    images, points, boxes, index = [], [], [], []
    for i in range(count):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for f in range(figures):
            room = width // figures
            x, y = f * room + int(random.integers(0, room - 12)), int(random.integers(0, height - 12))
            image[y : y + 12, x : x + 12] = 60
            px, py = x + int(random.integers(2, 10)), y + int(random.integers(2, 10))
            image[py, px] = 255
            points.append([[px, py]])
            boxes.append([x, y, 12, 12])
            index.append(i)
        images.append(image)
    m = len(points)
    annotations = Annotations(
        image_ids=np.arange(1, count + 1),
        file_names=tuple(f"{i}.png" for i in range(count)),
        sizes=np.tile(np.array([size]), (count, 1)),
        index=np.array(index, dtype=np.int64),
        keypoints=np.array(points, dtype=np.float64).reshape(m, 1, 2),
        visible=np.full((m, 1), 2),
        boxes=np.array(boxes, dtype=np.float64).reshape(m, 4),
        areas=np.full(m, 144.0),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.ones(m, dtype=np.int64),
        keypoint_names=("spot",),
        sigmas=np.array([0.05]),
    )
    return LabeledImages(images, annotations)


def without(data: LabeledImages, rows: list[int]) -> LabeledImages:
    """The same, with the first keypoint of some instances unlabelled, at (0, 0)."""
    visible, keypoints = data.annotations.visible.copy(), data.annotations.keypoints.copy()
    visible[rows, 0], keypoints[rows, 0] = 0, 0.0
    return LabeledImages(data.images, replace(data.annotations, visible=visible, keypoints=keypoints))


def test_where_nothing_is_to_be_done_data_passes_through_untouched() -> None:
    train, test = rectangles(6), rectangles(3, seed=1)
    probe = Brightest()
    framed = Framed(probe)
    framed.fit(train, test, seed=0, budget=ONCE)
    assert probe.train is train
    assert probe.val is test
    assert framed.notes == []
    assert np.array_equal(np.asarray(framed.predict(test.images)), probe.predict(test.images))


def test_photographs_are_shown_smaller_and_answers_come_back() -> None:
    probe = Brightest()
    framed = Framed(probe)
    data = scene(5)
    framed.fit(data, scene(2, seed=1), seed=0, budget=ONCE)
    assert np.asarray(probe.train.images).shape == (5, 21, 32, 3)
    assert framed.notes == ["images are shown at 32 x 21 px"]
    answers = np.asarray(framed.predict(scene(4, seed=2).images))
    wanted = scene(4, seed=2).annotations.keypoints
    assert np.abs(answers - wanted).max() <= 3.1  # a pixel of what is shown is 3 px of the photograph
    scaled = (data.annotations.keypoints + 0.5) / 3 - 0.5
    assert np.abs(probe.train.annotations.keypoints - scaled).max() < 0.3  # 64 px become 21, not 21.3


@pytest.mark.parametrize("asked", [16, 96, 192])
def test_the_size_asked_for_is_the_longer_side(asked: int) -> None:
    probe = Brightest()
    framed = Framed(probe, size=asked)
    framed.fit(scene(3), scene(1), seed=0, budget=ONCE)
    assert np.asarray(probe.train.images[0]).shape[1] == asked
    answers = np.asarray(framed.predict(scene(3).images))
    assert np.abs(answers - scene(3).annotations.keypoints).max() <= max(1.0, 96 / asked)


def test_a_budget_in_seconds_is_what_is_left_once_images_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 104.0])
    monkeypatch.setattr("benchmark.framed.time.perf_counter", lambda: next(now))
    given: list[Budget] = []

    class Noting(Brightest):
        notes = ("a word of the detector's own",)

        def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
            given.append(budget)

    framed = Framed(Noting())
    framed.fit(scene(3), scene(1), seed=0, budget=Budget(seconds=10))
    assert given == [Budget(seconds=6.0)]
    assert framed.notes == ["images are shown at 32 x 21 px", "a word of the detector's own"]


def test_images_of_other_sizes_and_colours_are_answered_in_their_own_pixels() -> None:
    probe = Brightest()
    framed = Framed(probe, size=96)
    framed.fit(scene(3), scene(1), seed=0, budget=ONCE)
    tall, grey = scene(2, size=(40, 120), seed=3), scene(2, seed=4)
    mixed = [tall.images[0], np.asarray(grey.images[0])[..., 0], tall.images[1]]
    wanted = [tall.annotations.keypoints[0], grey.annotations.keypoints[0], tall.annotations.keypoints[1]]
    answers = np.asarray(framed.predict(mixed))
    assert set(probe.asked) == {(64, 96, 3)}
    assert np.abs(answers - np.array(wanted)).max() < 2


def test_a_hole_reaches_the_detector_as_nan_or_not_at_all() -> None:
    two = rectangles(6, k=2)
    holed = without(two, [1, 4])
    probe, strict = Brightest(), Whole()
    Framed(probe).fit(holed, rectangles(2, k=2), seed=0, budget=ONCE)
    assert np.isnan(probe.train.points[:, 0, 0]).nonzero()[0].tolist() == [1, 4]
    assert not np.isnan(probe.train.points[:, 1]).any()
    framed = Framed(strict)
    framed.fit(holed, rectangles(2, k=2), seed=0, budget=ONCE)
    assert strict.train.points.tolist() == two.points[[0, 2, 3, 5]].tolist()
    assert framed.notes == ["2 of 6 training images without a fully labelled instance were set aside"]


def test_images_without_an_instance_are_set_aside_and_counted() -> None:
    data = rectangles(6)
    rows = np.array([0, 2, 3, 5])
    names = ("index", "keypoints", "visible", "boxes", "areas", "crowd", "category_ids")
    kept: dict[str, Any] = {name: getattr(data.annotations, name)[rows] for name in names}
    some = LabeledImages(data.images, replace(data.annotations, **kept))
    probe = Brightest()
    framed = Framed(probe)
    framed.fit(some, rectangles(2), seed=0, budget=ONCE)
    assert np.array_equal(np.asarray(probe.train.images), np.asarray(data.images)[rows])
    assert probe.train.points.tolist() == data.points[rows].tolist()
    assert framed.notes == ["2 of 6 training images without a labelled keypoint were set aside"]
    nothing = some.take([1, 4])
    with pytest.raises(UserError, match="no training image has what it learns from"):
        Framed(Brightest()).fit(nothing, nothing, seed=0, budget=ONCE)


def test_given_boxes_are_looked_into_and_answers_mapped_back() -> None:
    probe = Brightest()
    framed = Framed(probe, boxes="truth")
    framed.fit(scene(4, figures=2), scene(2, figures=2, seed=1), seed=0, budget=ONCE)
    assert len(probe.train) == 8
    assert framed.needs_boxes
    test = scene(5, figures=2, seed=2)
    answers = framed.predict_boxes(test.images, annotated_boxes(test.annotations))
    found = np.concatenate([one.keypoints for one in answers])
    assert found.shape == (10, 1, 2)
    assert np.abs(found - test.annotations.keypoints).max() <= 0.5  # 15 px of the photograph are 16 px of the canvas
    assert [one.category_ids.tolist() for one in answers if one.category_ids is not None] == [[1, 1]] * 5
    with pytest.raises(UserError, match="boxes=truth, so it needs to be given boxes"):
        framed.predict(test.images)


def test_an_image_without_boxes_has_no_answer() -> None:
    framed = Framed(Brightest(), boxes="truth")
    data = scene(3, figures=2)
    framed.fit(data, data, seed=0, budget=ONCE)
    boxes = annotated_boxes(data.annotations)
    none = replace(boxes[0], boxes=np.zeros((0, 4)), scores=np.zeros(0), category_ids=np.zeros(0, dtype=np.int64))
    answers = framed.predict_boxes(data.images, [boxes[0], none, boxes[2]])
    assert [len(one.keypoints) for one in answers] == [2, 0, 2]


def test_several_instances_are_looked_for_with_boxes_that_are_found() -> None:
    """The whole road with a box detector of one step, whatever it finds: answers are predictions with categories."""
    framed = Framed(Brightest())
    data = scene(4, figures=2)
    framed.fit(data, data, seed=0, budget=Budget(steps=1))
    assert "4 training images hold several instances: boxes=detected is used" in framed.notes[0]
    answers = cast(Sequence[Prediction], framed.predict(data.images))
    assert len(answers) == 4
    assert all(one.category_ids is not None and len(one.category_ids) == len(one.keypoints) for one in answers)


def test_one_instance_an_image_is_asked_for_where_there_are_several() -> None:
    data = scene(3, figures=2)
    with pytest.raises(UserError, match="boxes=image needs one instance an image, and 3 training images hold several"):
        Framed(Brightest(), boxes="image").fit(data, data, seed=0, budget=ONCE)


def test_a_detector_of_several_instances_keeps_them_all() -> None:
    class Several(Brightest):
        card: ClassVar[Card] = Card(multi_instance=True)

    probe = Several()
    data = scene(3, figures=2)
    Framed(probe).fit(data, data, seed=0, budget=ONCE)
    assert probe.train.annotations.index.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.abs(probe.train.annotations.boxes[:, 2:] - 4).max() < 0.1


def test_size_and_boxes_are_parameters_of_every_detector_that_can_use_them() -> None:
    assert resolve("forest:boxes=truth,size=64").name == "forest:size=64,boxes=truth"
    assert resolve("heatmap:size=64").given == {"size": 64}
    assert "size" not in resolve("heatmap").values
    with pytest.raises(UserError, match="parameter boxes=nowhere: input should be 'image', 'truth' or 'detected'"):
        resolve("heatmap:boxes=nowhere")
    with pytest.raises(UserError, match="has no parameter 'boxes'"):
        resolve("keypointrcnn:boxes=truth")
    with pytest.raises(UserError, match="parameter size=4"):
        resolve("heatmap:size=4")


@pytest.mark.parametrize("spec", ["ridge", "mean", "heatmap:width=4", "keypointrcnn:size=40"])
def test_state_restores_what_was_fitted_with_its_windows(spec: str) -> None:
    train, test = scene(6), scene(3, seed=5)
    fitted, restored = resolve(spec).framed(), resolve(spec).framed()
    fitted.fit(train, test, seed=0, budget=ONCE)
    restored.restore(fitted.state())
    for a, b in zip(fitted.predict(test.images), restored.predict(test.images), strict=True):
        if isinstance(a, Prediction) and isinstance(b, Prediction):
            assert np.array_equal(a.keypoints, b.keypoints)
        else:
            assert np.array_equal(np.asarray(a), np.asarray(b))
