"""Every target against a loop over pixels: blank and full images, ink in row 0 or column 0, and the conventions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.structures import UserError
from datasets.tasks.targets import ALL_DIGITS, DIGIT_DEPENDENT, TARGETS, require, target_points

Point = tuple[float, float]
Pixels = list[tuple[int, int]]

images_of_any_ink = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 127, 128, 255]))
)
FULL, BLANK = np.full((1, 4, 5), 255, np.uint8), np.zeros((1, 4, 5), np.uint8)
ROW_0, COLUMN_0 = BLANK.copy(), BLANK.copy()
ROW_0[0, 0, 3], COLUMN_0[0, 2, 0] = 1, 1

# Reading order written out: sorting inked pixels by (y, x) or (x, y) and taking an end.
by_row: Callable[[tuple[int, int]], tuple[int, int]] = lambda p: (p[1], p[0])  # noqa: E731
by_row_back: Callable[[tuple[int, int]], tuple[int, int]] = lambda p: (p[1], -p[0])  # noqa: E731
by_column: Callable[[tuple[int, int]], tuple[int, int]] = lambda p: (p[0], p[1])  # noqa: E731
by_column_back: Callable[[tuple[int, int]], tuple[int, int]] = lambda p: (p[0], -p[1])  # noqa: E731

LOOPS: dict[str, Callable[[Pixels], Point]] = {
    "topleft": lambda inked: min(inked, key=by_row),
    "topright": lambda inked: min(inked, key=by_row_back),
    "bottomleft": lambda inked: max(inked, key=by_row_back),
    "bottomright": lambda inked: max(inked, key=by_row),
    "lefttop": lambda inked: min(inked, key=by_column),
    "leftbottom": lambda inked: min(inked, key=by_column_back),
    "righttop": lambda inked: max(inked, key=by_column_back),
    "rightbottom": lambda inked: max(inked, key=by_column),
    "corner": lambda inked: (min(x for x, _ in inked), min(y for _, y in inked)),
    "center": lambda inked: (
        (min(x for x, _ in inked) + max(x for x, _ in inked)) / 2,
        (min(y for _, y in inked) + max(y for _, y in inked)) / 2,
    ),
    "centroid": lambda inked: (sum(x for x, _ in inked) / len(inked), sum(y for _, y in inked) / len(inked)),
}


def by_loops(name: str, image: np.ndarray, threshold: int = 0) -> Point:
    height, width = image.shape
    inked = [(x, y) for y in range(height) for x in range(width) if image[y, x] > threshold]
    return LOOPS[name](inked) if inked else (np.nan, np.nan)


@pytest.mark.parametrize("name", LOOPS)
@given(images=images_of_any_ink)
@example(images=FULL)
@example(images=BLANK)
@example(images=ROW_0)
@example(images=COLUMN_0)
def test_single_points(name: str, images: np.ndarray) -> None:
    expected = [[by_loops(name, image)] for image in images]
    np.testing.assert_allclose(target_points(name, images), expected, rtol=1e-13)


@given(images=images_of_any_ink)
def test_bold_ink_is_brighter_than_127(images: np.ndarray) -> None:
    expected = [[by_loops("topleft", image, 127)] for image in images]
    np.testing.assert_array_equal(target_points("topleft-bold", images), expected)


@given(images=images_of_any_ink)
@pytest.mark.parametrize(
    ("name", "parts"),
    [("both", ("topleft", "center")), ("extremes", ("topleft", "righttop", "bottomright", "leftbottom"))],
)
def test_several_keypoints_are_single_points_side_by_side(
    name: str, parts: tuple[str, ...], images: np.ndarray
) -> None:
    expected = [[by_loops(part, image) for part in parts] for image in images]
    np.testing.assert_array_equal(target_points(name, images), expected)


@given(images=images_of_any_ink, data=st.data())
@pytest.mark.parametrize(("name", "wanted"), [("digit-dependent", DIGIT_DEPENDENT), ("all-digits", ALL_DIGITS)])
def test_the_digit_decides(name: str, wanted: dict[int, str], images: np.ndarray, data: st.DataObject) -> None:
    drawn = st.lists(st.sampled_from(sorted(wanted)), min_size=len(images), max_size=len(images))
    labels = np.array(data.draw(drawn))
    expected = [[by_loops(wanted[label], image)] for image, label in zip(images, labels.tolist())]
    np.testing.assert_array_equal(target_points(name, images, labels), expected)


def test_every_target_is_tested_and_ten_digits_have_ten_points() -> None:
    assert set(TARGETS) == {*LOOPS, "topleft-bold", "both", "extremes", "digit-dependent", "all-digits"}
    assert sorted(ALL_DIGITS) == list(range(10))
    assert len(set(ALL_DIGITS.values())) == 10
    assert DIGIT_DEPENDENT.items() <= ALL_DIGITS.items()


@pytest.mark.parametrize("name", TARGETS)
def test_shapes_of_no_images(name: str) -> None:
    k = len(TARGETS[name].keypoints)
    assert target_points(name, np.zeros((0, 4, 5), np.uint8), np.zeros(0, np.int64)).shape == (0, k, 2)


@pytest.mark.parametrize("name", TARGETS)
@given(images=images_of_any_ink)
def test_answers_lie_on_the_lattice_the_target_names(name: str, images: np.ndarray) -> None:
    labels = np.resize(np.array([3, 7]), len(images))
    points = target_points(name, images, labels)
    for j, pitch in enumerate(TARGETS[name].spacing):
        steps = points[:, j] / (pitch or np.inf)
        assert np.array_equal(steps, np.round(steps), equal_nan=True)


def test_convention_points_are_x_then_y_and_integers_are_pixel_centres() -> None:
    image = np.zeros((1, 5, 9), np.uint8)
    image[0, 1, 7] = 255  # row 1, column 7
    for name in LOOPS:
        assert target_points(name, image).tolist() == [[[7.0, 1.0]]]


def test_convention_topleft_is_not_the_corner_of_the_box() -> None:
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, 1, 2] = image[0, 2, 0] = 255
    assert target_points("topleft", image).tolist() == [[[2.0, 1.0]]]
    assert target_points("corner", image).tolist() == [[[0.0, 1.0]]]
    assert target_points("center", image).tolist() == [[[1.0, 1.5]]]


@given(images=images_of_any_ink)
def test_convention_a_horizontal_flip_is_width_minus_one_minus_x(images: np.ndarray) -> None:
    flipped = target_points("topright", images[:, :, ::-1])
    flipped[..., 0] = images.shape[2] - 1 - flipped[..., 0]
    np.testing.assert_array_equal(flipped, target_points("topleft", images))


def test_undefined_points_are_refused_by_name() -> None:
    points = target_points("topleft", np.concatenate([FULL, BLANK]))
    assert require(points[:1], "topleft") is not None
    with pytest.raises(UserError, match="image at position 1"):
        require(points, "topleft")
    with pytest.raises(UserError, match=r"image b\.png"):
        require(points, "topleft", ["a.png", "b.png"])


def test_what_a_target_lacks_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'topleft'"):
        target_points("toplefd", FULL)
    with pytest.raises(UserError, match="labels"):
        target_points("all-digits", FULL)
    with pytest.raises(UserError, match="label 5"):
        target_points("digit-dependent", FULL, np.array([5]))
