"""The protocol by a fake tool: what it is told, the clock, every way to fail, and the board that stands at the end."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from keypoint_duel import clock, environments, tool
from keypoint_duel.detectors import AnyTool, YoloPose

from benchmark import Budget, UserError
from benchmark.api import grid_config, run_grid
from benchmark.cli import main
from benchmark.conformance import rectangles, unlabelled
from benchmark.registry import resolve
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder

FAKE = Path(__file__).parent / "fake_tool.py"


def spec(how: str) -> str:
    return f"keypoint_duel.detectors:AnyTool:command=python {FAKE} {how}"


def fitted(how: str, seconds: float = 1.0, k: int = 1) -> AnyTool:
    detector = AnyTool(f"python {FAKE} {how}")
    detector.fit(rectangles(9, k=k), rectangles(3, k=k, seed=1), seed=3, budget=Budget(seconds=seconds))
    return detector


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("duel") / "data"
    parts = [rectangles(count, seed=seed) for seed, count in enumerate((20, 6, 8), 1)]
    coco_folder.write(folder, Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    return folder


def runs(data: Path, results: Path, *specs: str, budget: str = "1s") -> dict[str, Any]:
    grid = grid_config(list(specs), data=data, results=results, budget=budget, threads=1)
    return {short(stored.record.config.detector): stored for stored in run_grid(grid)}


def short(name: str) -> str:
    """Of a row by the fake tool: how it behaves."""
    return f"fake {name.partition(f'{FAKE} ')[2].partition(',')[0]}" if str(FAKE) in name else name


def test_the_mean_by_a_tool_is_the_mean(data: Path, tmp_path: Path) -> None:
    """The road through PNG, COCO, a process and a results file changes nothing: the same answers as our own `mean`."""
    done = runs(data, tmp_path, "mean", spec("mean"))
    ours, theirs = done["mean"].predictions.keypoints, done["fake mean"].predictions.keypoints
    assert np.allclose(ours, theirs, atol=1e-9, rtol=0)


def test_half_a_pixel_is_seen(data: Path, tmp_path: Path) -> None:
    done = runs(data, tmp_path, "mean", spec("half-pixel"))
    assert np.allclose(done["fake half-pixel"].predictions.keypoints, done["mean"].predictions.keypoints + 0.5)


def test_what_a_tool_is_told_and_says_is_kept(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tool.KEEP, str(tmp_path / "kept"))
    run = runs(data, tmp_path / "results", spec("mean"))["fake mean"]
    assert "told 1 s, seed 0, threads 1" in run.record.notes
    assert any(note.startswith("ready after ") for note in run.record.notes)
    assert any(note.startswith("answered 8 images in ") for note in run.record.notes)
    log = (run.folder / "log.txt").read_text()
    assert "hello from mean, fit" in log
    assert "hello from mean, predict" in log
    assert run.record.config.budget == "1s"
    assert run.record.cost.single_ms is None
    (kept,) = (tmp_path / "kept").iterdir()
    job = json.loads((kept / "job.json").read_text())
    assert (job["protocol"], job["step"], job["device"]) == (tool.PROTOCOL, "predict", "cpu")
    document = json.loads((kept / "annotations" / "test.json").read_text())
    assert (len(document["images"]), document["annotations"]) == (8, [])
    assert not (kept / "images").exists()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("crash", "the tool ended with exit code 1: RuntimeError: no such network"),
        ("hang", "it was stopped at its budget of 1 s before it had saved anything"),
        ("never-ready", "it ended without ever saying that it was ready (it is to make the file ready)"),
        ("no-answer", "it answered nothing: there is no results.json"),
        ("nan", "results.json: entry 0: keypoints"),
    ],
)
def test_a_tool_that_fails_costs_its_row_and_says_why(how: str, why: str, data: Path, tmp_path: Path) -> None:
    done = runs(data, tmp_path, "mean", spec(how))
    failed = done[f"fake {how}"]
    assert failed.record.status == "failed"
    assert why in failed.record.error
    assert f"hello from {how}, fit" in (failed.folder / "log.txt").read_text()
    assert done["mean"].record.status == "finished"


def test_a_tool_is_stopped_and_answers_from_what_it_has_saved() -> None:
    started = time.monotonic()
    detector = fitted("hang-saved")
    assert 1.0 <= time.monotonic() - started < 10
    assert "when it was stopped: its time was over" in detector.notes[0]
    assert len(detector.predict(rectangles(2, seed=5).images)) == 2


def test_the_time_to_start_is_no_part_of_the_budget() -> None:
    detector = fitted("slow-start", seconds=0.5)
    note = next(note for note in detector.notes if note.startswith("ready after"))
    start, learned = (float(word) for word in note.split() if word.replace(".", "").isdigit() and "." in word)
    assert start >= 1.0
    assert learned < 0.5


def test_a_tool_that_does_not_start_is_ended_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    (tmp_path / "child.py").write_text(code + "time.sleep(60)")
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    with pytest.raises(clock.ToolError, match="was not ready within 0.8 s"):
        clock.run_step([sys.executable, str(tmp_path / "child.py")], tmp_path, 1.0, {}, start_seconds=0.8)
    assert {one.pid for one in psutil.Process().children(recursive=True)} <= before


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no-such-program cannot be started"):
        clock.run_step(["no-such-program"], tmp_path, 1.0, {})


def test_what_a_tool_prints_moves_no_cursor(tmp_path: Path) -> None:
    (tmp_path / "messages.txt").write_bytes(b"10 %\r50 %\r100 %\n\x1b[31mred\x1b[0m \xff\n")
    assert clock.last_words(tmp_path) == "100 %\n [31mred [0m \ufffd"


def test_unlabelled_keypoints_and_images_of_several_sizes_get_there() -> None:
    train = unlabelled(rectangles(9, k=2), [(1, 0)])
    detector = AnyTool(f"python {FAKE} mean")
    detector.fit(train, rectangles(3, k=2, seed=1), seed=0, budget=Budget(seconds=2))
    images = [rectangles(1, height=31, width=23).images[0], rectangles(1).images[0]]
    answers = detector.predict(images)
    assert [one.keypoints.shape for one in answers] == [(1, 2, 2)] * 2


def test_the_other_process_sees_neither_our_paths_nor_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    assert "PYTHONPATH" not in AnyTool("python x")._environment()
    assert AnyTool("python x")._environment()["https_proxy"] == tool.UNREACHABLE
    assert "YOLO_OFFLINE" not in AnyTool("python x", online=True)._environment()


def test_a_tool_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(environments.FOLDER, str(tmp_path))
    with pytest.raises(
        UserError, match=r"yolo-pose is not installed here: python -m benchmark tools install yolo-pose"
    ):
        YoloPose().command()
    assert "not installed, about 420 MB" in environments.YOLO_POSE.summary
    with pytest.raises(UserError, match="is no environment"):
        YoloPose(env=str(tmp_path)).command()
    assert YoloPose(env=sys.executable).command()[0] == sys.executable


def test_an_environment_without_the_tool_or_with_another_version_is_refused() -> None:
    class Other(YoloPose):
        environment = environments.Environment("x", "numpy", "0.0.1", "BSD", (1, 1))

    class Missing(YoloPose):
        environment = environments.Environment("x", "no-such-package", "1", "BSD", (1, 1))

    for cls, found in ((Missing, "has no no-such-package"), (Other, r"has numpy \d.*, and not 0\.0\.1: say version=")):
        with pytest.raises(clock.ToolError, match=found):
            cls(env=sys.executable).fit(rectangles(9), rectangles(3), seed=0, budget=Budget(seconds=1))


def test_the_duel_prints_the_board_writes_the_page_and_costs_a_row(data: Path, tmp_path: Path) -> None:
    words = ["duel", "--data", data, "--budget", "1s", "--threads", "1", "--results", tmp_path, "mean", "linear"]
    said = call(*words, spec("mean"), spec("crash"))
    assert "crash, seed 0: failed: the tool ended with exit code 1: RuntimeError: no such network" in said
    assert "linear, seed 0: " in said
    assert "(by its own recipe)" in said
    assert "ready after" in said
    page = (tmp_path / "duel.html").read_text(encoding="utf-8")
    assert "no such network" in page


def test_a_duel_goes_by_the_clock(data: Path, tmp_path: Path) -> None:
    said = call("duel", "--data", data, "--budget", "20epochs", "--results", tmp_path, "mean", code=2)
    assert "a duel goes by the clock; give seconds, as 300s" in said


def call(*words: object, code: int = 0) -> str:
    out, before = io.StringIO(), sys.argv
    sys.argv = ["python -m benchmark", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as left:
            main()
    finally:
        sys.argv = before
    assert (left.value.code or 0) == code, out.getvalue()
    return out.getvalue()


def test_the_entry_points_are_found() -> None:
    assert resolve("tool:command=python x.py").cls is AnyTool
    assert {resolve(name).entry.name for name in ("yolo-pose:config=tuned", "sleap-nn", "deeplabcut")} == {
        "yolo-pose",
        "sleap-nn",
        "deeplabcut",
    }
    said = call("tools", "list")
    assert "yolo-pose: ultralytics 8.4.190 (AGPL-3.0): " in said


def test_an_environment_is_made_once_sees_ours_behind_its_own_and_says_its_size_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a package of one line, from a wheel that lies here."""
    wheel = tmp_path / "wheels" / "psutil-0.0.9-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("psutil.py", "mine = True\n")
        file.writestr("psutil-0.0.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: psutil\nVersion: 0.0.9\n")
        file.writestr("psutil-0.0.9.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nTag: py3-none-any\n")
        file.writestr("psutil-0.0.9.dist-info/RECORD", "")
    monkeypatch.setenv(environments.FOLDER, str(tmp_path / "tools"))
    local = ("--no-index", "--no-deps", "--find-links", str(wheel.parent))
    environment = environments.Environment("mine", "psutil", "0.0.9", "MIT", (3, 5), local)
    said: list[str] = []
    place = environment.install(said.append)
    assert said[0].startswith(
        f"psutil 0.0.9 (MIT) into {place}: about 3 MB; torch and what else is there already is shared"
    )
    assert said[-1] == f"psutil 0.0.9 (MIT): installed in {place}"
    code = "import psutil, yaml; print(psutil.mine, yaml.__file__)"
    told = subprocess.run([environment.python(), "-c", code], capture_output=True, text=True, check=True, env={})
    assert told.stdout.split() == ["True", importlib.util.find_spec("yaml").origin]  # type: ignore[union-attr]
    assert "mine" not in dir(psutil)
    assert environment.install(said.append) == place
    assert len([line for line in said if "into" in line]) == 1  # it is there already
    with pytest.raises(UserError, match=r"mine could not be installed: no such wheel"):
        environment._call([sys.executable, "-c", "print('no such wheel'); raise SystemExit(3)"], said.append)
    huge = environments.Environment("huge", "psutil", "1.0", "MIT", (10**9, 10**9), local)
    with pytest.raises(UserError, match="takes about 1,000,000,000 MB, and"):
        huge.install(said.append)
