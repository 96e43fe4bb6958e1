"""Feature sets against loops over pixels, and the facts about them that the board's marks rest on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.rule import RULES, rule_points
from benchmark.structures import UserError
from datasets.features import NAMES, POINTS, features
from datasets.images import grey
from datasets.ink import BOLD, CENTROID, EXTREMA, extrema, has_ink, ink, point
from datasets.ink import NAMES as INK_POINTS
from datasets.sources import mnist_embedded
from datasets.tasks.targets import TARGETS, target_points

small_images = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 127, 128, 255]))
)


def extrema_by_loops(image: np.ndarray, threshold: int) -> dict[str, float]:
    height, width = image.shape
    inked = [(x, y) for y in range(height) for x in range(width) if image[y, x] > threshold]
    if not inked:
        return {name: (width - 1) / 2 if name[0] == "x" else (height - 1) / 2 for name in EXTREMA}
    left, right = min(x for x, _ in inked), max(x for x, _ in inked)
    top, bottom = min(y for _, y in inked), max(y for _, y in inked)
    values = {"x_left": left, "x_right": right, "y_top": top, "y_bottom": bottom}
    for name, row in (("top", top), ("bottom", bottom)):
        along = [x for x, y in inked if y == row]
        values |= {f"x_first_in_{name}_row": min(along), f"x_last_in_{name}_row": max(along)}
    for name, column in (("left", left), ("right", right)):
        along = [y for x, y in inked if x == column]
        values |= {f"y_first_in_{name}_column": min(along), f"y_last_in_{name}_column": max(along)}
    return values


@given(small_images, st.sampled_from([0, 127]))
def test_extrema_are_those_of_loops(images: np.ndarray, threshold: int) -> None:
    for row, image in zip(extrema(images, threshold), images):
        assert dict(zip(EXTREMA, row)) == extrema_by_loops(image, threshold)


@given(small_images)
def test_max_and_min_are_argmax_and_argmin_of_rows_then_columns(images: np.ndarray) -> None:
    highest, lowest = features(images, "max"), features(images, "min")
    for i, image in enumerate(images):
        assert highest[i].tolist() == [int(row.argmax()) for row in image] + [int(c.argmax()) for c in image.T]
        assert lowest[i].tolist() == [int(row.argmin()) for row in image] + [int(c.argmin()) for c in image.T]


@given(small_images)
def test_points_are_pairs_of_extrema(images: np.ndarray) -> None:
    single = {name: extrema(images)[:, i] for i, name in enumerate(EXTREMA)}
    for name, pairs in POINTS.items():
        expected = [single[part] for pair in pairs for part in pair]
        assert np.array_equal(features(images, name), np.stack(expected, axis=1))


@given(small_images)
def test_targets_and_the_rule_detector_take_their_points_from_the_ink_rules(images: np.ndarray) -> None:
    inked = has_ink(images)
    for name in INK_POINTS:
        expected = point(name, images)
        assert np.array_equal(rule_points(name, images), expected)
        assert np.array_equal(target_points(name, images)[inked, 0], expected[inked])
        assert np.isnan(target_points(name, images)[~inked]).all()
    bold = has_ink(images, BOLD)
    expected = point("topleft", images, BOLD)
    assert np.array_equal(rule_points("topleft-bold", images), expected)
    assert np.array_equal(target_points("topleft-bold", images)[bold, 0], expected[bold])


def test_every_ink_point_is_a_target_and_a_rule() -> None:
    assert set(INK_POINTS) <= set(TARGETS)
    assert set(INK_POINTS) <= set(RULES)
    assert CENTROID in INK_POINTS


def test_sizes_of_the_sets() -> None:
    images, _ = mnist_embedded()
    columns = {name: features(images[:50], name).shape[1] for name in NAMES}
    expected = {"pix": 784, "max": 56, "min": 56, "mm": 4, "mm2": 8, "pts11": 8, "pts12": 32, "pts22": 32, "pts": 72}
    assert columns == {**expected, "hog": 324, "const": 72, "random": 72}
    assert [len(POINTS[name]) for name in ("pts11", "pts12", "pts22", "pts")] == [4, 16, 16, 36]
    assert len(set(POINTS["pts"])) == 36


def test_the_72_numbers_have_12_distinct_columns() -> None:
    images, _ = mnist_embedded()
    assert len(np.unique(features(images, "pts"), axis=1).T) == 12


@pytest.mark.parametrize(("name", "whole"), [("pts11", False), ("pts12", True), ("pts22", False), ("pts", True)])
def test_only_pts12_holds_the_whole_topleft(name: str, whole: bool) -> None:
    images, _ = mnist_embedded()
    table = features(images, name)
    top = np.array([np.flatnonzero(m.any(axis=1))[0] for m in ink(images)])
    columns = np.array([np.flatnonzero(m[t])[0] for m, t in zip(ink(images), top)])
    held = [any(np.array_equal(column, wanted) for column in table.T) for wanted in (columns, top)]
    assert all(held) is whole


def test_blank_images_take_the_centre() -> None:
    blank = np.zeros((2, 5, 8), np.uint8)
    values = extrema(blank)
    assert set(values[:, [n.startswith("x") for n in EXTREMA]].ravel()) == {3.5}
    assert set(values[:, [n.startswith("y") for n in EXTREMA]].ravel()) == {2.0}
    assert np.isfinite(features(blank, "pix+max+min+pts+const+random")).all()


def test_sums_stand_side_by_side() -> None:
    images, _ = mnist_embedded()
    both = features(images[:20], "pix+pts11")
    assert np.array_equal(both, np.hstack([features(images[:20], "pix"), features(images[:20], "pts11")]))
    assert both.dtype == np.float64
    assert np.array_equal(both[:, :784], images[:20].reshape(20, 784) / 255)


def test_dummy_columns() -> None:
    images, _ = mnist_embedded()
    assert (features(images[:5], "const3") == 1).all()
    noise = features(images[:400], "random300", seed=1)
    assert noise.shape == (400, 300)
    assert np.array_equal(noise[::-1], features(images[:400][::-1], "random300", seed=1))
    assert not np.array_equal(noise, features(images[:400], "random300", seed=2))
    assert noise.min() >= 0
    assert noise.max() < 1
    assert abs(noise.mean() - 0.5) < 0.005  # the mean of 120,000 uniform numbers has sd .0008
    assert abs(noise.std() - 12**-0.5) < 0.005


def test_hog_sees_shape_not_brightness_and_refuses_stamps() -> None:
    images, labels = mnist_embedded()
    even = images[:3] // 2 * 2
    one, half = features(even, "hog"), features(even // 2, "hog")
    assert np.abs(one - half).max() < 1e-6
    assert np.abs(one[0] - features(images[labels == 7][:1], "hog")[0]).max() > 0.2
    with pytest.raises(UserError, match="8 x 8"):
        features(np.zeros((1, 5, 9), np.uint8), "hog")


def test_colour_becomes_grey_and_what_is_not_black_stays_ink() -> None:
    colour = np.zeros((1, 2, 3, 3), np.uint8)
    colour[0, 0, 0] = (0, 0, 1)
    colour[0, 1, 2] = (90, 90, 90)
    assert grey(colour)[0].tolist() == [[1, 0, 0], [0, 0, 90]]
    assert grey(list(colour))[0].tolist() == grey(colour)[0].tolist()


@pytest.mark.parametrize("spec", ["pts13", "", "pix+", "random0", "const-1"])
def test_unknown_sets_are_refused(spec: str) -> None:
    with pytest.raises(UserError, match="unknown feature set"):
        features(np.zeros((1, 4, 4), np.uint8), spec)


def test_an_unknown_set_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'pts12'"):
        features(np.zeros((1, 4, 4), np.uint8), "pts1.2")


def test_images_of_several_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="one size"):
        features([np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)], "pix")
