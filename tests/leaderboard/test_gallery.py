"""Contact sheets: what is chosen, and where it is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from benchmark.metrics import score
from benchmark.structures import Predictions
from leaderboard.gallery import ANNOTATION, GAP, MARGIN, PREDICTION, TILE, choose, contact_sheet


def near(sheet: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Whether each pixel of the sheet is about that colour."""
    return np.abs(sheet.astype(int) - np.array(colour)).max(axis=2) < 25


def drawn(tmp_path: Path, *args: Any, **kwargs: Any) -> np.ndarray:
    path = tmp_path / "deep" / "sheet.png"
    contact_sheet(*args, path, title="a detector", **kwargs)
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]
    return np.asarray(PillowImage.open(path).convert("RGB"))


def test_the_worst_come_first_and_the_others_are_drawn_once(maker: Any) -> None:
    annotations = maker.annotations(40)
    offsets = np.zeros((40, 1, 2))
    offsets[:, 0, 0] = np.random.default_rng(0).permutation(40) / 4
    scores = score(annotations, maker.answers(annotations, offsets))
    bad, others = choose(annotations, scores, 5, 7)
    assert bad.tolist() == np.argsort(-offsets[:, 0, 0])[:5].tolist()
    assert len(set(others.tolist()) | set(bad.tolist())) == 12
    again = choose(annotations, score(annotations, maker.answers(annotations, offsets)), 5, 7)[1]
    assert again.tolist() == others.tolist()


def test_an_image_in_which_nothing_was_found_is_the_worst(maker: Any) -> None:
    for instances in (1, 2):
        annotations = maker.annotations(6, 1, instances)
        found = maker.answers(annotations, 0.25)
        kept = np.flatnonzero(found.image_ids != 4)
        partial = Predictions.of_category(found.image_ids[kept], found.keypoints[kept], found.scores[kept], 1)
        assert choose(annotations, score(annotations, partial), 1, 2)[0].tolist() == [3]


def test_marks_lie_on_the_centres_of_pixels(maker: Any, tmp_path: Path) -> None:
    annotations = maker.annotations(1)
    annotations = replace(annotations, keypoints=np.array([[[4.0, 20.0]]]))
    grey = np.full((1, 28, 28), 90, dtype=np.uint8)
    sheet = drawn(tmp_path, grey, annotations, maker.answers(annotations, (16.0, -10.0)), worst=1, random=0)
    zoom = TILE // 28
    is_tile = (np.abs(sheet.astype(int) - 90).max(axis=2) < 3) & (np.arange(sheet.shape[1]) < MARGIN + TILE)
    top = int(np.flatnonzero(is_tile.sum(axis=1) > TILE / 2)[0]) - 1
    left = MARGIN
    tile = sheet[top : top + TILE, left : left + TILE]
    for colour, (x, y) in ((ANNOTATION, (4, 20)), (PREDICTION, (20, 10))):
        rows, columns = np.nonzero(near(tile, colour))
        close = (abs(rows - (y + 0.5) * zoom) < 9) & (abs(columns - (x + 0.5) * zoom) < 9)
        assert close.sum() > 10
        assert rows[close].mean() == pytest.approx((y + 0.5) * zoom, abs=1.0)
        assert columns[close].mean() == pytest.approx((x + 0.5) * zoom, abs=1.0)


def test_pixels_are_enlarged_without_mixing(maker: Any, tmp_path: Path) -> None:
    annotations = replace(maker.annotations(1), sizes=np.array([[4, 4]]), keypoints=np.array([[[0.0, 0.0]]]))
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4) * 16
    sheet = drawn(tmp_path, image, annotations, maker.answers(annotations, 0.0), worst=1, random=0)
    zoom = TILE // 4
    bottom = sheet.shape[0]
    tops = [t for t in range(bottom - TILE) if all(sheet[t + (y + 1) * zoom - 8, MARGIN + (x + 1) * zoom - 8, 0] == image[0, y, x] for y in range(4) for x in range(4))]  # fmt: skip
    assert tops


@pytest.mark.parametrize("shape", [(28, 28, 3), (40, 17), (112, 112), (300, 200, 3)])
def test_any_size_and_colour_fits_its_tile(maker: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    annotations = replace(maker.annotations(7, 2), sizes=np.tile([[shape[1], shape[0]]], (7, 1)))
    images = [np.full(shape, 50, dtype=np.uint8) for _ in range(7)]
    sheet = drawn(tmp_path, images, annotations, maker.answers(annotations, 2.0), worst=7, random=3)
    assert sheet.shape[1] == 2 * MARGIN + 6 * TILE + 5 * GAP
    assert near(sheet, ANNOTATION).sum() > 50
    assert near(sheet, PREDICTION).sum() > 50


def test_several_instances_and_far_or_missing_answers(maker: Any, tmp_path: Path) -> None:
    annotations = maker.annotations(8, 2, 2)
    images = np.zeros((8, 28, 28), dtype=np.uint8)
    far = maker.answers(annotations, 900.0)
    before = far.keypoints.copy()
    sheet = drawn(tmp_path, images, annotations, far)
    assert near(sheet, ANNOTATION).any()
    assert (far.keypoints == before).all()
    nothing = Predictions.of_category(np.zeros(0, int), np.zeros((0, 2, 2)), np.zeros(0), 1)
    assert near(drawn(tmp_path, images, annotations, nothing), ANNOTATION).any()
