"""CONTRIBUTING.md's table, followed to the letter: a detector is one file and one line, a metric one function."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import baselines
from benchmark.api import run
from benchmark.conformance import check, rectangles
from benchmark.metrics import metric
from benchmark.metrics.registry import Column, unregister
from benchmark.registry import entries
from benchmark.runs.bundle import open_results
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder
from leaderboard.board import boards
from leaderboard.render.files import write

ROOT = Path(__file__).parents[2]

DETECTOR = '''
"""The middle of the image."""

import numpy as np

from benchmark.detector import Card, Detector


class Middle(Detector):
    """Answers the middle of the image."""

    card = Card(reference="none", ablation={"share": 0.1})

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def fit(self, train, val, *, seed, budget):
        self.keypoints = len(train.annotations.keypoint_names)

    def predict(self, images):
        sides = np.array([image.shape[1::-1] for image in images]).reshape(-1, 2)
        return np.repeat((self.share * (sides - 1.0))[:, None], self.keypoints, axis=1)

    def state(self):
        return {"keypoints": np.array(self.keypoints)}

    def restore(self, state):
        self.keypoints = int(state["keypoints"])
'''


@pytest.fixture
def data(tmp_path: Path) -> Path:
    parts = [rectangles(count, seed=seed) for seed, count in enumerate((20, 6, 8), 1)]
    coco_folder.write(tmp_path / "data", Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    return tmp_path / "data"


def test_a_detector_is_one_file_and_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "middle_of_the_image.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    row = {"target": "middle_of_the_image:Middle", "summary": "the middle of the image"}
    monkeypatch.setitem(baselines.CATALOG, "middle", row)
    try:
        assert entries()["middle"][0].family == "baselines"
        assert [step.name for step in check("middle:share=0.5") if step.problem and "process" not in step.name] == []
        board = run("middle", data=data, results=tmp_path / "r")
        assert {"middle", "mean"} == set(board["detector"])
    finally:
        sys.modules.pop("middle_of_the_image", None)
        importlib.invalidate_caches()


def test_a_metric_is_one_function(data: Path, tmp_path: Path) -> None:
    @metric("p99", unit="px", better="lower", format=".2f", column=Column("p99 px", priority=1, order=45))
    def p99(errors) -> float:  # type: ignore[no-untyped-def]
        """99th percentile of the pixel error, linearly interpolated."""
        return float(np.percentile(errors.labelled_distances, 99))

    try:
        board = run("mean", data=data, results=tmp_path / "r")
        assert board["p99"][0] >= board["p95"][0]
        write(boards(open_results(tmp_path / "r")), tmp_path / "r")
        (row,) = json.loads((tmp_path / "r" / "LEADERBOARD.json").read_text())
        assert row["p99"] == row["keypoints"]["topleft"]["p99"] == board["p99"][0]
        assert "p99 px" in (tmp_path / "r" / "LEADERBOARD.md").read_text()
        assert "p99" in (tmp_path / "r" / "LEADERBOARD.csv").read_text().partition("\n")[0].split(",")
    finally:
        unregister("p99")


def test_every_place_of_the_table_exists() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = set(re.findall(r"`((?:benchmark|baselines|detectors|datasets|leaderboard|tests|scripts)/[\w./]*)`", table))
    assert len(places) > 8
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []
