"""Corruptions: pixels that move take their points along, pixels that stay leave them, and the same image is spoilt alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.structures import LabeledImages, UserError
from datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from datasets.tasks.build import build
from datasets.tasks.catalog import get_task

MOVING = [name for name, one in CORRUPTIONS.items() if one.moves_pixels]
STAYING = [name for name, one in CORRUPTIONS.items() if not one.moves_pixels]
SIDE = 56


@pytest.fixture(scope="module")
def blobs() -> LabeledImages:
    """Photographs of one soft spot each, in grey and in colour, whose middle is the point."""
    _, _, test = build(get_task("topleft"), "tiny")
    places = np.random.default_rng(0).uniform(18, SIDE - 19, (12, 2))
    ys, xs = np.mgrid[:SIDE, :SIDE]
    spots = [200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 4) for x, y in places]
    images = [np.rint(spot).astype(np.uint8) for spot in spots]
    images[::2] = [np.repeat(image[:, :, None], 3, axis=2) for image in images[::2]]
    known = test.annotations.take(range(12))
    return LabeledImages(
        images,
        replace(
            known, sizes=np.full((12, 2), SIDE), keypoints=places[:, None], spacing=None, baseline=None, labels=None
        ),
    )


def middle(image: np.ndarray) -> np.ndarray:
    grey = np.atleast_3d(image).astype(np.float64).mean(axis=2)
    ys, xs = np.mgrid[: grey.shape[0], : grey.shape[1]]
    return np.array([(grey * xs).sum(), (grey * ys).sum()]) / grey.sum()


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", MOVING)
def test_points_go_where_their_pixels_go(name: str, severity: int, blobs: LabeledImages) -> None:
    changed = corrupt(blobs, name, severity)
    found = np.array([middle(image) for image in changed.images])
    away = np.linalg.norm(changed.annotations.keypoints[:, 0] - blobs.annotations.keypoints[:, 0], axis=1)
    assert away.max() > 0.3
    near = 0.3 if name == "elastic" else 0.1  # a bent spot has its middle a little beside its peak
    np.testing.assert_allclose(changed.annotations.keypoints[:, 0], found, atol=near)


@pytest.mark.parametrize("name", MOVING)
def test_the_way_back_is_the_way_there(name: str) -> None:
    moves = CORRUPTIONS[name].moves
    assert moves is not None
    places = np.random.default_rng(1).uniform(0, 40, (50, 2))
    for strength in CORRUPTIONS[name].strengths:
        motion = moves((40, 60), strength, np.random.default_rng(2))
        np.testing.assert_allclose(motion.source(motion.target(places)), places, atol=1e-9)


@pytest.mark.parametrize("name", STAYING)
def test_pixels_that_stay_leave_the_annotations_alone(name: str, blobs: LabeledImages) -> None:
    changed = corrupt(blobs, name, 5)
    assert changed.annotations is blobs.annotations
    assert all(a.shape == b.shape and a.dtype == np.uint8 for a, b in zip(changed.images, blobs.images))
    assert any((a != b).any() for a, b in zip(changed.images, blobs.images))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_image_is_spoilt_alike_and_more_so_where_it_is_worse(name: str) -> None:
    _, _, test = build(get_task("topleft"), "tiny")
    some, other = test.take(range(30)), test.take([7])
    changes = []
    for severity in SEVERITIES:
        changed = corrupt(some, name, severity)
        np.testing.assert_array_equal(changed.images[7], corrupt(other, name, severity).images[0])
        pairs = zip(changed.images, some.images)
        changes.append(float(np.mean([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in pairs])))
    assert changes[0] > 0
    assert changes[-1] > 1.2 * changes[0]


def test_a_shift_is_whole_pixels_and_keeps_the_lattice() -> None:
    _, _, test = build(get_task("topleft"), "tiny")
    some = test.take(range(30))
    changed = corrupt(some, "shift", 3)
    moves = changed.annotations.keypoints[:, 0] - some.annotations.keypoints[:, 0]
    assert set(np.abs(moves).max(axis=1).tolist()) == {3.0}
    assert changed.annotations.spacing is not None
    for image, before, (dx, dy) in zip(changed.images, some.images, moves.astype(int)):
        ys, xs = np.nonzero(before)
        inside = (ys + dy >= 0) & (ys + dy < 28) & (xs + dx >= 0) & (xs + dx < 28)
        np.testing.assert_array_equal(image[ys[inside] + dy, xs[inside] + dx], before[ys[inside], xs[inside]])


def test_a_point_that_leaves_its_image_is_no_longer_labelled(blobs: LabeledImages) -> None:
    edge = replace(blobs.annotations, keypoints=np.tile([[[1.0, 1.0]]], (12, 1, 1)))
    changed = corrupt(LabeledImages(blobs.images, edge), "shift", 5)
    moved = changed.annotations
    assert set(moved.visible.ravel().tolist()) == {0, 2}
    assert (moved.keypoints[moved.visible == 0] == 0).all()


def test_what_is_no_corruption_is_refused(blobs: LabeledImages) -> None:
    with pytest.raises(UserError, match="did you mean 'rotation'"):
        corrupt(blobs, "rotations", 1)
    with pytest.raises(ValueError, match="1 to 5"):
        corrupt(blobs, "blur", 6)


@pytest.mark.parametrize("name", MOVING)
def test_boxes_move_with_what_is_in_them(name: str, blobs: LabeledImages) -> None:
    """Or a detector that is given them would be shown a crop beside the instance."""
    points = blobs.annotations.keypoints[:, 0]
    about = np.concatenate([points + 0.5 - (4, 3), np.tile([8.0, 6.0], (12, 1))], axis=1)
    changed = corrupt(LabeledImages(blobs.images, replace(blobs.annotations, boxes=about)), name, 5).annotations
    middles = changed.boxes[:, :2] + changed.boxes[:, 2:] / 2 - 0.5
    np.testing.assert_allclose(middles, changed.keypoints[:, 0], atol=1.0 if name == "elastic" else 0.01)
    assert (changed.boxes[:, 2:] > 4).all()
    assert (changed.boxes[:, 2:] < 12).all()
    if name == "shift":
        np.testing.assert_allclose(changed.boxes[:, 2:], about[:, 2:], atol=1e-9)


def test_a_shift_by_whole_pixels_keeps_half_pixels_on_their_lattice() -> None:
    _, _, test = build(get_task("digit-dependent"), "tiny")  # whole and half pixels, and no rule to ask again
    spacing = corrupt(test, "shift", 1).annotations.spacing
    assert spacing is not None
    assert spacing.tolist() == [0.5]
    assert corrupt(test, "rotation", 1).annotations.spacing is None
