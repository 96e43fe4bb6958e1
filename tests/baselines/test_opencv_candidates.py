"""OpenCV's candidates: where they lie to a fraction of a pixel, what their ceiling is, what ranking adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from baselines.opencv import Candidates, Corners, Fast, Orb, Sift, recall
from benchmark.detector import Budget
from benchmark.structures import LabeledImages

Digits = Callable[..., Any]
ALL = [Sift, Orb, Fast, Corners]


def points_of(detector: Candidates, images: Any) -> np.ndarray[Any, Any]:
    return np.stack([np.asarray(p.keypoints)[0] for p in detector.predict(images)])


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("at", [(12.0, 15.0), (9.3, 17.6), (7.0, 20.5)])
def test_convention_a_blob_is_found_where_it_is_at_every_enlargement(at: tuple[float, float], scale: int) -> None:
    y, x = np.mgrid[:28, :28]
    blob = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 2.0**2))
    candidates = Sift(scale=scale).candidates(blob.round().astype(np.uint8))
    assert np.hypot(*(candidates[:, :2] - at).T).min() < 0.06


@pytest.mark.parametrize("detector", [Fast(), Corners()], ids=["fast", "corners"])
def test_convention_flipped_images_have_flipped_candidates(detector: Candidates, digits: Digits) -> None:
    detector.max_candidates = 1000
    offsets = []
    for image in digits(n=8)[0].images:
        plain = detector.candidates(image)[:, :2]
        flipped = detector.candidates(np.ascontiguousarray(image[:, ::-1]))[:, :2]
        mirrored = np.column_stack([27 - flipped[:, 0], flipped[:, 1]])
        apart = np.hypot(*(plain[:, None] - mirrored[None]).transpose(2, 0, 1))
        near = apart.argmin(axis=1)
        offsets.append((plain - mirrored[near])[apart.min(axis=1) < 0.3])
    # Half a pixel of the image gone astray would shift all of them by up to 1 px, one of the enlarged by 1/8.
    assert np.abs(np.concatenate(offsets).mean(axis=0)).max() < 0.03
    assert sum(map(len, offsets)) > 100


@pytest.mark.parametrize("kind", ALL)
def test_candidates_are_inside_distinct_few_and_strongest_first(kind: type[Candidates], digits: Digits) -> None:
    detector = kind(max_candidates=12)
    for image in digits(n=10)[0].images:
        found = detector.candidates(image)
        assert 0 < len(found) <= 12
        assert (np.diff(found[:, 2]) <= 0).all()
        assert len(np.unique(found[:, :2].round(2), axis=0)) == len(found)
        assert (found[:, :2] >= -0.5).all()
        assert (found[:, :2] <= 27.5).all()
        assert np.array_equal(found, kind(max_candidates=1000).candidates(image)[: len(found)])


def test_recall_by_hand() -> None:
    found = [np.array([[1.0, 1.0], [5.0, 5.0]]), np.zeros((0, 2)), np.array([[0.0, 0.9]])]
    points = np.array([[[1.0, 1.5], [5.0, 6.1]], [[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]])
    # Nearest: .5 and 1.1; none; .9 and .1.
    assert recall(found, points) == {
        "candidate_recall@.5": pytest.approx(2 / 6),
        "candidate_recall@1": pytest.approx(3 / 6),
        "candidates": 1.0,
    }


@pytest.mark.parametrize("kind", ALL)
def test_the_answer_is_a_candidate_and_the_ceiling_is_in_the_history(kind: type[Candidates], digits: Digits) -> None:
    train, val, test = digits("both", 24)
    detector = kind()
    (row,) = detector.fit(train, val, seed=0, budget=Budget(epochs=3))
    nearest = {
        name: [[np.hypot(*(detector.candidates(i)[:, :2] - q).T).min() for q in p] for i, p in zip(d.images, d.points)]
        for name, d in (("train", train), ("val", val))
    }
    for name, distances in nearest.items():
        assert row[f"{name}_candidate_recall@.5"] == (np.array(distances) <= 0.5).mean()
        assert row[f"{name}_candidate_recall@1"] == (np.array(distances) <= 1).mean()
    for image, points in zip(test.images, points_of(detector, test.images)):
        offered = detector.candidates(image)[:, :2].tolist()
        assert all(point.tolist() in offered for point in points)


def test_learning_beats_the_strongest_candidate_and_the_mean(digits: Digits) -> None:
    train, val, test = digits("topleft", 150)

    def error(detector: Candidates) -> float:
        detector.fit(train, val, seed=0, budget=Budget(epochs=30))
        return float(np.hypot(*(points_of(detector, test.images) - test.points)[:, 0].T).mean())

    mean = float(np.hypot(*(train.points.mean(axis=0) - test.points)[:, 0].T).mean())
    ranked = error(Corners(max_candidates=60))
    assert ranked < 0.7 * mean
    assert ranked < 0.5 * error(Corners(max_candidates=60, ranked=False))


def test_nothing_found_is_answered_with_the_mean_at_score_0(digits: Digits) -> None:
    train, val, _ = digits("both", 12)
    detector = Fast()
    detector.fit(train, val, seed=0, budget=Budget(epochs=1))
    blank = np.zeros((28, 28), dtype=np.uint8)
    first, second = detector.predict([blank, train.images[0]])
    assert np.array_equal(np.asarray(first.keypoints)[0], train.points.mean(axis=0))
    assert np.asarray(first.scores).tolist() == [0.0]
    assert 0 < float(np.asarray(second.scores)[0]) <= 1.5
    nothing = LabeledImages(np.stack([blank] * 3), train.take([0, 1, 2]).annotations)
    detector.fit(nothing, nothing, seed=0, budget=Budget(epochs=1))
    assert np.array_equal(points_of(detector, [blank])[0], nothing.points.mean(axis=0))


def test_restored_it_answers_the_same(digits: Digits) -> None:
    train, val, test = digits("topleft", 20)
    detector, copy = Orb(), Orb()
    detector.fit(train, val, seed=1, budget=Budget(epochs=2))
    copy.restore(load(save(dict(detector.state()))))
    for mine, theirs in zip(detector.predict(test.images), copy.predict(test.images), strict=True):
        assert np.array_equal(mine.keypoints, theirs.keypoints)
        assert np.array_equal(mine.scores, theirs.scores)


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        Sift(patch=4)
    with pytest.raises(ValueError, match="at least 1"):
        Sift(scale=0)
