"""``suspects`` as typed: runs what it needs, lists what was planted, says when nothing is suspicious."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.conformance import rectangles
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder

Cli = Any  # the fixture of conftest.py

BRIGHT = """
import numpy as np
from benchmark import Detector

class Bright(Detector):
    '''The corners of what is bright, off by a random half pixel.'''

    def __init__(self, stream: int = 0) -> None:
        self.stream = stream

    def fit(self, train, val, *, seed, budget):
        pass

    def predict(self, images):
        answers = []
        for image in images:
            y, x = np.nonzero(image)
            noise = np.random.default_rng([self.stream, *image.ravel().tolist()]).normal(0, 0.5, (2, 2))
            answers.append(np.array([[x.min(), y.min()], [x.max(), y.max()]]) + noise)
        return np.array(answers)
"""


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    path = tmp_path / "bright.py"
    path.write_text(BRIGHT)
    return path


def folder(path: Path, *, wrong: bool) -> Path:
    """24 train, 8 val and 8 test images with two corners each; wrong: one pair exchanged, one label moved."""
    parts = [rectangles(count, k=2, seed=seed) for seed, count in enumerate((24, 8, 8), 1)]
    if wrong:
        train, test = (parts[i].annotations.keypoints.copy() for i in (0, 2))
        train[5] = train[5, ::-1]
        test[2, 0] += [0.0, 12.0]
        for i, points in ((0, train), (2, test)):
            parts[i] = replace(parts[i], annotations=replace(parts[i].annotations, keypoints=points))
    coco_folder.write(path, Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    return path


def test_planted_errors_are_listed_and_drawn(cli: Cli, tmp_path: Path, bright: Path) -> None:
    words = ["suspects", "--data", folder(tmp_path / "data", wrong=True), "--results", tmp_path / "results"]
    asked = ["-d", bright, "-d", f"{bright}:stream=1", "-d", "ridge", "--threads", "1", "--folds", "3"]
    said = cli(*words, *asked, "--json")
    assert said.code == 0, said.err
    found = {(one["split"], one["image"], one["kind"]): one for one in said.document["found"]}
    pair, moved = ("train", "0006.png", "exchanged"), ("test", "0003.png", "moved")
    assert set(found) == {pair, moved}
    assert found[pair]["keypoints"] == ["topleft", "bottomright"]
    assert found[moved]["distance"] == pytest.approx(12, abs=1.5)
    assert len(said.document["detectors"]) == 3
    again = cli(*words, "--out", tmp_path / "sheet.png")  # nothing named: what is stored is asked, and nothing is run
    assert (again.code, again.err) == (0, "")
    assert "80 of 80 labels judged" in again.out
    assert "3 labels are likely wrong" in again.out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 600


def test_right_labels_are_said_to_be_right(cli: Cli, tmp_path: Path, bright: Path) -> None:
    data = folder(tmp_path / "data", wrong=False)
    asked = ["-d", bright, "-d", f"{bright}:stream=1", "--threads", "1"]
    said = cli("suspects", "--data", data, "--results", tmp_path / "r", *asked, "--out", tmp_path / "sheet.png")
    assert said.code == 0, said.err
    assert "no label is suspicious" in said.out
    assert "moved by less than about" in said.out
    assert not (tmp_path / "sheet.png").exists()


def test_one_detector_is_not_enough(cli: Cli, tmp_path: Path, bright: Path) -> None:
    data = folder(tmp_path / "data", wrong=False)
    said = cli("suspects", "--data", data, "--results", tmp_path / "r", "-d", bright, "-d", "mean", "--threads", "1")
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("error: suspects needs the out-of-fold answers of two detectors")


def test_where_little_is_stored_the_suite_is_run_and_said(
    cli: Cli, tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import benchmark.registry

    known = benchmark.registry.suite
    chosen = [str(bright), f"{bright}:stream=1"]
    assert known("suspects") == ["ridge:features=hog", "svr", "heatmap"]
    monkeypatch.setattr(benchmark.registry, "suite", lambda name: chosen if name == "suspects" else known(name))
    said = cli(
        "suspects", "--data", folder(tmp_path / "data", wrong=True), "--results", tmp_path / "r", "--threads", "1"
    )
    assert said.code == 0, said.err
    assert said.err.startswith("no detectors with out-of-fold answers of this data in")
    assert "3 labels are likely wrong" in said.out


def test_the_points_it_says_are_the_files(cli: Cli, tmp_path: Path, bright: Path, points: Any) -> None:
    data = folder(tmp_path / "data", wrong=True)
    asked = ["-d", bright, "-d", f"{bright}:stream=1", "--threads", "1"]
    said = cli("suspects", "--data", data, "--results", tmp_path / "r", *asked, "--json")
    (moved,) = (one for one in said.document["found"] if one["kind"] == "moved")
    labelled = points(data / "annotations" / "test.json")[moved["instance"]]
    np.testing.assert_allclose(moved["labels"][0], labelled)
