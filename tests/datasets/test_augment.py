"""Augmentation: points go where their pixels go."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.structures import UserError
from datasets.augment import KINDS, augment, usual
from datasets.sources import mnist_embedded
from datasets.tasks.targets import target_points

# albumentations warns of what it finds in its surroundings, not of what we do
pytestmark = pytest.mark.filterwarnings("default::UserWarning")


def digits(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    images, _ = mnist_embedded()
    images = images[:: 5000 // count]
    return images, target_points("both", images)


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_shifted_digits_still_obey_the_rule(strength: float) -> None:
    images, points = digits()
    shifted, moved = augment(images, points, seed=3, strength=strength)
    assert np.array_equal(target_points("both", np.stack(shifted)), moved)
    steps = (moved - points)[:, 0]
    assert np.array_equal(steps, np.round(steps))
    assert 0 < np.abs(steps).max() <= 4 * strength
    assert len(np.unique(steps, axis=0)) > 5


def test_convention_flipping_is_width_minus_one_minus_x() -> None:
    images, points = digits()
    flipped, moved = augment(images, points, seed=0, kind="flip")
    turned = np.array([not np.array_equal(a, b) for a, b in zip(images, flipped)])
    assert 10 < turned.sum() < 50
    assert np.array_equal(moved[turned][..., 0], 27 - points[turned][..., 0])
    assert np.array_equal(moved[~turned], points[~turned])
    assert np.array_equal(moved[..., 1], points[..., 1])
    assert all(np.array_equal(b, a[:, ::-1]) for a, b, t in zip(images, flipped, turned) if t)


@pytest.mark.parametrize("kind", ["affine", "photo"])
def test_convention_a_turned_blob_keeps_its_point_at_its_centre(kind: str) -> None:
    images = np.zeros((20, 41, 51), np.uint8)
    images[:, 8:11, 27:30] = 255
    points = np.tile([[[28.0, 9.0]]], (20, 1, 1))
    turned, moved = augment(images, points, seed=1, kind=kind)
    for image, (x, y) in zip(turned, moved[:, 0]):
        weight = image.astype(np.float64) - image.min()  # the light of a photograph varies, too
        rows, columns = np.mgrid[:41, :51]
        assert abs((columns * weight).sum() / weight.sum() - x) < 0.1  # half a pixel wrong would show
        assert abs((rows * weight).sum() / weight.sum() - y) < 0.1
    assert np.ptp(moved, axis=0).min() > 1


def test_a_point_that_leaves_a_photograph_is_unlabelled_and_one_point_stays() -> None:
    images = np.full((40, 60, 80), 90, np.uint8)
    points = np.tile([[[40.0, 30.0], [78.0, 30.0]]], (40, 1, 1))
    varied, moved = augment(images, points, seed=2, kind="photo")
    gone = np.isnan(moved[:, 1, 0])
    assert 5 < gone.sum() < 35
    assert np.isfinite(moved[:, 0]).all()
    assert (moved[~gone, 1, 0] <= 79.5).all()
    assert len({int(image.max()) for image in varied}) > 5  # the light varies, too
    alone = augment(images, points[:, 1:], seed=2, kind="photo")
    assert np.isfinite(alone[1]).all()
    assert (alone[1][gone] == points[gone, 1:]).all()
    assert all(np.array_equal(alone[0][i], images[i]) for i in np.flatnonzero(gone))


def test_few_photographs_are_varied_where_nobody_says_and_digits_are_not() -> None:
    photographs = [np.full((60, 80, 3), 90, np.uint8)] * 20
    assert usual(photographs) == "photo"
    assert usual(photographs, [(0, 1)]) == "photo+flip"
    assert usual(photographs * 51) == ""
    assert usual([image * 0 for image in photographs]) == ""
    assert usual([image[:50] for image in photographs]) == ""
    assert usual(digits()[0]) == usual([]) == ""


@pytest.mark.parametrize("kind", [*KINDS, "shift+flip", "affine+flip"])
def test_same_seed_same_result_and_inputs_stay(kind: str) -> None:
    images, points = digits(20)
    before = images.copy(), points.copy()
    first, second, other = (augment(images, points, seed=s, kind=kind) for s in (5, 5, 6))
    assert np.array_equal(np.stack(first[0]), np.stack(second[0]))
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], other[1])
    assert np.array_equal(images, before[0])
    assert np.array_equal(points, before[1])
    assert all(image.shape == (28, 28) and image.dtype == np.uint8 for image in first[0])


def test_colour_and_points_outside_the_frame() -> None:
    images = [np.full((9, 7 + i, 3), 200, np.uint8) for i in range(3)]
    out, moved = augment(images, np.full((3, 2, 2), -4.0), seed=0, kind="affine")
    assert [image.shape for image in out] == [(9, 7, 3), (9, 8, 3), (9, 9, 3)]
    assert moved.shape == (3, 2, 2)
    assert np.isfinite(moved).all()


def test_what_is_refused() -> None:
    images, points = digits(20)
    with pytest.raises(UserError, match="did you mean 'shift'"):
        augment(images, points, seed=0, kind="shfit")
    for strength in (0.0, 1.5, float("nan")):
        with pytest.raises(UserError, match="strength"):
            augment(images, points, seed=0, strength=strength)
