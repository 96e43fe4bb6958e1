"""Heatmaps beside a run: kept for the same images whatever the detector, without a trace in key or scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.detector import Budget, Detector
from benchmark.framed import Framed
from benchmark.runs.execute import execute
from benchmark.runs.heatmaps import FILE, IMAGES, LONGEST, MOST, Heatmaps, as_bytes, from_file, sampled, to_file
from benchmark.runs.plan import plan
from benchmark.runs.store import Store
from benchmark.structures import FloatArray, Image, LabeledImages, UserError
from benchmark.windows import Window
from leaderboard.image_choice import at_random

PLUGIN = """
import numpy as np
from benchmark.detector import Detector

class Spot(Detector):
    '''Answers the middle; its map is the image.

    Args:
        broken: Whether its heatmaps are of a wrong shape.
        maps: Whether it has any.
    '''

    def __init__(self, maps: bool = True, broken: bool = False) -> None:
        self.maps, self.broken = maps, broken

    def fit(self, train, val, *, seed, budget):
        self.k = train.annotations.keypoints.shape[1]

    def predict(self, images):
        return np.full((len(images), self.k, 2), 13.0)

    def heatmaps(self, images):
        if not self.maps:
            return None
        if self.broken:
            return np.ones((1, 2, 3))
        return np.stack([np.repeat(image[None].astype(float), self.k, axis=0) for image in images])
"""


class Inside(Detector):
    """Its map is the brightness of what it is shown."""

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        """Nothing to learn."""

    def heatmaps(self, images: Sequence[Image]) -> FloatArray:
        """What it is shown."""
        return np.stack([image[None] for image in images]).astype(np.float64)


def made(tmp_path: Path, grid: Any, words: str) -> Any:
    file = tmp_path / "spot.py"
    file.write_text(PLUGIN)
    planned = next(one for one in plan(grid(f"{file}{words}")) if one.asked)
    return execute(planned.job)


def test_a_run_keeps_the_maps_of_a_few_images_and_is_the_same_run_without(tmp_path: Path, grid: Any) -> None:
    run = made(tmp_path, grid, "")
    kept = run.heatmaps
    ids = run.annotations.image_ids
    assert kept.image_ids.tolist() == sampled(ids).tolist() == ids[at_random(len(ids), IMAGES)].tolist()
    assert kept.maps.shape[:2] == (len(kept.image_ids), run.annotations.keypoints.shape[1])
    assert (kept.maps.max(axis=(2, 3)) == 255).all()
    assert run.record.digests[FILE]
    assert (run.folder / FILE).stat().st_size < 12_000
    without = made(tmp_path, grid, ":maps=false")
    assert without.heatmaps is None
    assert FILE not in without.record.digests
    assert without.record.scores == run.record.scores
    (run.folder / FILE).write_bytes(b"x")
    with pytest.raises(UserError, match="not as it was written"):
        _ = Store(run.store.root).read(run.folder).heatmaps


def test_a_detector_whose_maps_are_none_costs_a_note_and_nothing_else(tmp_path: Path, grid: Any) -> None:
    run = made(tmp_path, grid, ":broken=true")
    assert run.record.status == "finished"
    assert run.heatmaps is None
    assert any("heatmaps are not kept" in note for note in run.record.notes)


def test_maps_become_bytes_that_keep_where_they_are_largest() -> None:
    maps = np.zeros((3, 17, 100, 200))
    maps[:, :, 20:30, 150:160] = 0.01
    kept = as_bytes(maps)
    assert max(kept.shape[2:]) <= LONGEST
    assert kept.size <= MOST
    y, x = np.argwhere(kept[1, 4] == 255).mean(axis=0)
    assert (y + 0.5) * 100 / kept.shape[2] == pytest.approx(25, abs=2)
    assert (x + 0.5) * 200 / kept.shape[3] == pytest.approx(155, abs=2)
    for wrong in (np.ones((2, 3, 4)), -np.ones((1, 1, 2, 2)), np.full((1, 1, 2, 2), np.nan)):
        with pytest.raises(ValueError, match="heatmaps"):
            as_bytes(wrong)


def test_a_file_is_read_back_or_refused() -> None:
    heatmaps = Heatmaps(np.array([3, 5]), np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4))
    again = from_file(to_file(heatmaps), "here")
    assert (again.maps == heatmaps.maps).all()
    assert again.image_ids.tolist() == [3, 5]
    for content in (b"", b"\xff" * 40, to_file(replace(heatmaps, image_ids=np.array([1])))):
        with pytest.raises(UserError, match="here: holds no heatmaps"):
            from_file(content, "here")


@pytest.mark.parametrize("size", [(40, 100), (90, 30), (64, 64)])
def test_a_map_of_a_letterboxed_image_is_cut_to_the_image(size: tuple[int, int]) -> None:
    image = np.zeros(size, dtype=np.uint8)
    row, column = size[0] // 4, size[1] * 3 // 4
    image[row - 3 : row + 4, column - 3 : column + 4] = 255
    framed = Framed(Inside())
    framed._canvas = (48, 48)
    maps = framed.heatmaps([image])
    assert maps is not None
    assert maps.shape == (1, 1, 48, 48)
    weight = maps[0, 0] / maps[0, 0].sum()
    y, x = (weight.sum(axis=1) * (np.arange(48) + 0.5)).sum(), (weight.sum(axis=0) * (np.arange(48) + 0.5)).sum()
    assert x * size[1] / 48 == pytest.approx(column + 0.5, abs=0.7)
    assert y * size[0] / 48 == pytest.approx(row + 0.5, abs=0.7)
    assert Window.whole((48, 48), (48, 48)).of_image(maps[0], (48, 48)) == pytest.approx(maps[0])
