"""Fitted detectors on corrupted images: nothing is fitted again, rules are asked again, and the table counts right."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.api import grid_config
from benchmark.cli import main
from benchmark.robustness import FOLDER, corrupted_test, robustness
from benchmark.runs.bundle import open_results
from datasets.load import load
from datasets.tasks.targets import target_points
from leaderboard.board import boards
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
