"""Overlays: a point is drawn where it is, to the half pixel, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark import overlay
from benchmark.structures import UserError


@pytest.mark.parametrize("size", [(30, 40), (20, 28), (300, 400)])
@pytest.mark.parametrize("point", [(10.0, 12.0), (7.5, 4.0), (11.25, 9.75)])
def test_convention_a_point_is_drawn_at_its_pixels_centre(size: tuple[int, int], point: tuple[float, float]) -> None:
    picture = overlay.draw(np.zeros(size, dtype=np.uint8), np.array([[point]]), ())
    zoom = picture.shape[0] // size[0]
    rows, columns = np.indices(picture.shape[:2])
    weight = picture.astype(float).sum(axis=2)
    centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    assert np.allclose((centre + 0.5) / zoom - 0.5, point, atol=0.15 / min(zoom, 3))


def test_keypoints_have_colours_of_their_own_and_the_image_stays() -> None:
    image = np.full((400, 400, 3), 90, dtype=np.uint8)
    before = image.copy()
    picture = overlay.draw(image, np.array([[(50.0, 50.0), (300.0, 300.0)]]), ((0, 1),))
    assert np.array_equal(image, before)
    first, second = overlay.palette(2)
    assert tuple(picture[50, 50]) == first
    assert tuple(picture[300, 300]) == second
    assert tuple(picture[175, 175]) == (255, 255, 255)  # the line between them
    assert tuple(picture[50, 300]) == (90, 90, 90)


def test_points_far_outside_are_no_matter() -> None:
    image = np.zeros((400, 400), dtype=np.uint8)
    assert not overlay.draw(image, np.array([[(1e9, -1e9)]]), ()).any()


def test_colours_differ() -> None:
    assert len(set(overlay.palette(40))) == 40


@pytest.mark.parametrize(
    ("name", "video", "words"),
    [
        ("clip.mp4", False, "name a folder"),
        ("full", False, "holds other things already"),
        ("full", True, "is a folder; name a video file"),
        ("a.gif", True, "ends in .mp4, .avi"),
        ("seen.avi", True, "is what is to be drawn over"),
    ],
)
def test_what_is_no_place_for_an_overlay_is_said_before(tmp_path: Path, name: str, video: bool, words: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(UserError, match=words):
        overlay.refuse(tmp_path / name, tmp_path / "seen.avi", video=video)
