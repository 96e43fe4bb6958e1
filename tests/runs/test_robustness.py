"""Fitted detectors on corrupted images: nothing is fitted again, rules are asked again, and the table counts right."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from benchmark.api import grid_config
from benchmark.cli import main
from benchmark.robustness import FOLDER, corrupted_test, robustness
from benchmark.runs.bundle import open_results
from datasets.corruptions import SEVERITIES
from datasets.load import load
from datasets.tasks.targets import target_points
from leaderboard.board import boards
from leaderboard.render.robustness import print_robustness
from leaderboard.robustness import robustness_table

NAMES = ["shift", "noise"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("robust")
    grid = grid_config(["linear:features=pts", "ridge"], n=60, results=root / "results", threads=1)
    return root / "results", grid, robustness(grid, NAMES)


def test_every_fit_is_asked_once_and_never_fitted_again(asked: Any) -> None:
    results, grid, (clean, corrupted) = asked
    assert len(clean) == 3  # the training mean joins
    assert len(corrupted) == 3 * len(NAMES) * 5
    fitted = {(run.record.config.detector, run.record.fit_seconds) for run in clean}
    assert {(run.record.config.detector, run.record.fit_seconds) for run in corrupted} == fitted
    before = {path: path.stat().st_mtime_ns for path in results.rglob("run.json")}
    _, again = robustness(grid, NAMES)
    assert {run.record.key for run in again} == {run.record.key for run in corrupted}
    assert {path: path.stat().st_mtime_ns for path in results.rglob("run.json")} == before
    assert {board.data for board in boards(open_results(results))} == {
        "tiny"
    }  # boards of clean images stay as they are
    assert len(boards(open_results(results / FOLDER))) == len(NAMES) * 5


def test_a_rule_is_asked_again_once_pixels_have_moved(tmp_path: Path) -> None:
    dataset = load("center", "tiny", root=tmp_path)
    turned = corrupted_test(dataset, "rotation", 5)
    np.testing.assert_array_equal(turned.points, target_points("center", np.stack(list(turned.images))))
    specks = load("topleft-specks", "tiny", root=tmp_path)
    moved = corrupted_test(specks, "shift", 2)
    assert set(np.abs(moved.points - specks.test.points).max(axis=(1, 2)).tolist()) == {3.0}  # 2 px of 28, on 40


def test_the_table_is_the_mean_over_kinds_and_severities(asked: Any) -> None:
    _, _, (clean, corrupted) = asked
    rows = {row.detector: row for row in robustness_table(clean, corrupted)}
    for name, row in rows.items():
        errors = []
        for run in corrupted:
            if run.record.config.detector == name:
                offsets = run.predictions.keypoints - run.annotations.keypoints
                errors.append(float(np.linalg.norm(offsets, axis=2).mean()))
        assert row.corrupted == pytest.approx(np.mean(errors))
        assert row.span is not None
        assert row.span.low < row.corrupted < row.span.high
        assert row.relative == pytest.approx(row.corrupted / rows["mean"].corrupted)
    exact = rows["linear:features=pts"]
    assert exact.clean == pytest.approx(0, abs=1e-6)
    assert max(exact.curves["shift"]) < 1e-6  # the features move along
    assert min(exact.curves["noise"]) > 1  # every pixel is ink


def test_the_command(asked: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results, _, _ = asked
    words = [
        "robustness",
        "-d",
        "ridge",
        "--corruption",
        "shift",
        "--results",
        str(results),
        "--threads",
        "1",
        "--json",
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark", *words])
    with pytest.raises(SystemExit) as left:
        main()
    document = json.loads(capsys.readouterr().out)
    assert not left.value.code
    assert document["on"] == "topleft@1 on tiny"
    assert [set(row["curves"]) for row in document["rows"]] == [{"shift"}] * 2
    monkeypatch.setattr(sys, "argv", ["benchmark", "robustness", "--corruption", "blurr"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "did you mean 'blur'" in capsys.readouterr().err


PLUGIN = """
import numpy as np
from benchmark import Detector, register


@register("spoiler")
class Spoiler(Detector):
    def fit(self, train, val, *, seed, budget):
        self.at = np.full(2, {at})

    def predict(self, images):
        if any({refuses} for image in images):
            raise RuntimeError("no <b>such</b>\\nimage")
        return np.tile(self.at, (len(images), 1, 1))
"""
SAVED = """
    def state(self):
        return {"at": self.at}

    def restore(self, state):
        self.at = state["at"]
"""


def called(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, str, str]:
    monkeypatch.setattr(sys, "argv", ["benchmark", *words])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def plugin(file: Path, at: float, refuses: str = "False", saved: str = SAVED) -> str:
    file.write_text(PLUGIN.replace("{at}", str(at)).replace("{refuses}", refuses) + saved)
    return str(file)


def test_a_detector_file_is_asked_and_asked_again_once_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["robustness", "-d", str(tmp_path / "spoiler.py"), "--corruption", "shift", "--threads", "1", "--json"]
    words += ["--results", str(tmp_path / "results")]
    errors = []
    for at in (5.0, 9.0):
        plugin(tmp_path / "spoiler.py", at)
        code, out, _ = called(words, capsys, monkeypatch)
        assert not code
        errors.append({row["detector"]: row["corrupted_px"] for row in json.loads(out)["rows"]})
    dataset = load("topleft", "tiny", root=tmp_path)
    for at, found in zip((5.0, 9.0), errors):
        points = [corrupted_test(dataset, "shift", severity).points[:, 0] for severity in SEVERITIES]
        assert found["spoiler"] == pytest.approx(np.mean([np.linalg.norm(p - at, axis=1).mean() for p in points]))


def test_a_detector_that_cannot_be_saved_is_refused_before_its_stored_run_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, results = plugin(tmp_path / "spoiler.py", 5, saved=""), str(tmp_path / "results")
    common = ["-d", file, "--threads", "1", "--results", results]
    assert not called(["run", *common], capsys, monkeypatch)[0]
    code, _, err = called(["robustness", *common], capsys, monkeypatch)
    assert code == 2
    assert "cannot be saved" in err
    assert len(err.splitlines()) == 1
    (stored,) = [run for run in open_results(results).runs() if run.record.config.name == "spoiler"]
    assert stored.record.status == "finished"


def test_a_detector_that_cannot_answer_costs_its_own_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plugin(tmp_path / "spoiler.py", 5, refuses="image.min() > 0")
    words = ["robustness", "-d", file, "--corruption", "contrast", "--threads", "1", "--results", str(tmp_path / "r")]
    code, out, err = called(words, capsys, monkeypatch)
    assert code == 1
    assert "failed, so without a row: spoiler" in out
    assert "mean" in out
    assert "RuntimeError: no <b>such</b> image" in err
    words[4] = "cutout"  # whose darkest pixels stay black
    assert not called(words, capsys, monkeypatch)[0]


def test_where_every_point_leaves_the_image_there_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    for i in range(1, 6):
        Image.fromarray(np.full((28, 28), 40 * i, dtype=np.uint8)).save(folder / "images" / f"{i}.png")
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 28, "height": 28} for i in range(1, 6)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": [0, 0, 2], "num_keypoints": 1, "iscrowd": 0}
            | {"bbox": [0, 0, 4, 4], "area": 16}
            for i in range(1, 6)
        ],
        "categories": [{"id": 1, "name": "thing", "keypoints": ["corner"]}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    words = ["robustness", "-d", "mean", "--data", str(folder), "--corruption", "rotation", "--threads", "1"]
    words += ["--results", str(tmp_path / "results")]
    code, out, _ = called([*words, "--json"], capsys, monkeypatch)
    assert not code
    (row,) = json.loads(out, parse_constant=pytest.fail)["rows"]
    assert row["corrupted_px"] is None
    assert row["curves"] == {"rotation": [None] * 5}
    assert "nan" not in called(words, capsys, monkeypatch)[1]


def test_without_threads_stored_fits_are_asked_as_they_were_made(tmp_path: Path) -> None:
    """A board shows the newest run's threads: a fit with other ones would hide a row of several seeds."""
    one = grid_config(["ridge"], n=60, seeds=2, results=tmp_path / "results", threads=1)
    robustness(one, ["shift"])
    clean, _ = robustness(grid_config(["ridge"], n=60, results=tmp_path / "results"), ["shift"])
    assert {run.record.config.threads for run in clean} == {1}
    (board,) = boards(open_results(tmp_path / "results"))
    assert {row.config.detector: row.seeds for row in board.finished} == {"ridge": (0, 1), "mean": (0, 1)}


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_the_table_has_the_columns_that_fit(asked: Any, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, (clean, corrupted) = asked
    print_robustness("title", robustness_table(clean, corrupted), Console(width=width))
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    assert "…" not in out
    assert re.search(r"^detector +clean +corrupted", out, re.MULTILINE)
    assert ("noise" in out.splitlines()[1]) == (width >= 80)
