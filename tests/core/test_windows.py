"""Windows against arithmetic by hand and OpenCV, then by their properties: where a pixel goes, there its point goes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.windows import PADDING, Window, canvas_for_boxes

sizes = st.tuples(st.integers(8, 90), st.integers(8, 90))
places = st.floats(-30, 60)


def test_an_image_of_the_canvas_s_size_is_itself() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    window = Window.whole((3, 4), (3, 4))
    assert window.render(image) is image
    points = np.array([[0.1, 2.7]])
    assert np.array_equal(window.to_canvas(points), points)
    assert np.array_equal(window.to_image(points), points)


def test_half_size_by_hand() -> None:
    """Four pixels become one: its centre is where the four meet; a wider canvas puts black on both sides."""
    image = np.array([[10, 20, 30, 40], [30, 40, 50, 60]], dtype=np.uint8)
    window = Window.whole((2, 4), (1, 4))
    assert window.scale == 0.5
    assert window.x0 == -2
    assert window.to_canvas(np.array([0.5, 0.5])).tolist() == [1.0, 0.0]
    assert window.to_image(np.array([1.0, 0.0])).tolist() == [0.5, 0.5]
    # A triangle of half width 2 px: weights 1, 3, 3, 1, of which those beyond the window (one on each side) do not count.
    row = np.array([0, 0, *image.mean(axis=0), 0, 0])
    wanted = [
        row[0:3] @ [3, 3, 1] / 7,
        row[1:5] @ [1, 3, 3, 1] / 8,
        row[3:7] @ [1, 3, 3, 1] / 8,
        row[5:8] @ [1, 3, 3] / 7,
    ]
    assert np.abs(window.render(image)[0] - wanted).max() <= 1  # Pillow rounds after each axis


def test_a_whole_number_of_times_smaller_is_opencv_s_mean_of_areas_on_a_ramp() -> None:
    """Of a linear ramp any symmetric filter gives the value at the centre."""
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (60, 1))
    shown = Window.whole((60, 120), (20, 40)).render(ramp)
    wanted = cv2.resize(ramp, (40, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(shown[2:-2, 2:-2].astype(int) - wanted[2:-2, 2:-2]).max() <= 1


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, places, places)
def test_mapping_back_undoes_mapping_and_distances_scale(
    size: tuple[int, int], canvas: tuple[int, int], x: float, y: float
) -> None:
    boxes = np.array([x, y, size[1], size[0]], dtype=np.float64)
    for window in (Window.whole(size, canvas), Window.around(boxes, canvas)):
        points = np.array([[x, y], [0.0, 0.0], [size[1] - 1, size[0] - 1]])
        shown = window.to_canvas(points)
        np.testing.assert_allclose(window.to_image(shown), points, atol=1e-9)
        np.testing.assert_allclose(np.ptp(shown, axis=0), window.scale * np.ptp(points, axis=0), rtol=1e-9, atol=1e-9)
        edges = window.boxes_to_canvas(boxes)
        np.testing.assert_allclose(edges[:2], window.to_canvas(boxes[:2] - 0.5) + 0.5, atol=1e-9)
        assert window.render(np.zeros(size, dtype=np.uint8)).shape == canvas


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(20, 70), st.integers(20, 70), st.floats(0.3, 3), st.booleans())
def test_a_blob_is_found_where_its_centre_is_mapped_to(
    place: tuple[int, int], height: int, width: int, zoom: float, colour: bool
) -> None:
    """The centroid of a bright square after rendering, against the mapped centre, to a twentieth of a canvas pixel."""
    image = np.zeros((100, 120), dtype=np.uint8)
    y, x = 10 + place[0] % 70, 10 + place[1] % 90
    image[y : y + 6, x : x + 6] = 250
    shown_of = np.repeat(image[:, :, None], 3, axis=2) if colour else image
    box = np.array([x - 20 + place[0] / 9, y - 20 + place[1] / 9, 40 * zoom, 40 * zoom])
    window = Window.around(box, (height, width))
    at = window.to_canvas(np.array([x + 2.5, y + 2.5]))
    reach = 4 * window.scale + 2
    if not ((at > reach) & (at < np.array([width, height]) - 1 - reach)).all():
        return
    shown = window.render(shown_of).astype(np.float64)
    shown = shown[..., 0] if colour else shown
    rows, columns = np.indices(shown.shape)
    found = np.array([(shown * columns).sum(), (shown * rows).sum()]) / shown.sum()
    assert np.abs(found - at).max() < 0.12


def test_a_window_outside_the_image_is_black() -> None:
    window = Window.around([500.0, 500.0, 10.0, 10.0], (16, 16))
    assert not window.render(np.full((20, 20, 3), 255, dtype=np.uint8)).any()


def test_a_crop_holds_its_box_and_a_margin() -> None:
    window = Window.around([100.0, 50.0, 40.0, 20.0], (64, 64))
    low, high = window.to_image(np.array([[-0.5, -0.5], [63.5, 63.5]]))
    assert (high - low).tolist() == pytest.approx([40 * PADDING, 40 * PADDING])
    assert ((low + high) / 2 + 0.5).tolist() == pytest.approx([120.0, 60.0])


def test_the_canvas_of_crops_has_their_typical_shape() -> None:
    tall = np.array([[0, 0, 50, 100], [5, 5, 50, 100], [0, 0, 1, 1]], dtype=np.float64)
    assert canvas_for_boxes(tall, 128) == (125, 62)
    assert canvas_for_boxes(tall, 64) == (64, 32)
    assert canvas_for_boxes(tall, 256, exactly=True) == (256, 128)
    assert canvas_for_boxes(np.array([[0.0, 0, 0, 0]]), 128) == (16, 16)
    assert canvas_for_boxes(np.array([[0.0, 0, 1000, 1]]), 128) == (32, 128)
