"""The key of a run is what was asked for; code, versions and processor are facts, and tell whether it is stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import registry
from benchmark.api import run_grid
from benchmark.executors.local import Callback
from benchmark.runs.config import GridConfig, RunConfig
from benchmark.runs.plan import Planned, plan
from benchmark.runs.store import FolderRun

Grid = Callable[..., GridConfig]

DETECTOR = """
from off import OFFSET
import numpy as np
from benchmark import Detector

class Off(Detector):
    def fit(self, train, val, *, seed, budget):
        self.k = len(train.annotations.keypoint_names)
        {late}

    def predict(self, images):
        return np.full((len(images), self.k, 2), OFFSET)
"""
LATE = "import importlib; importlib.import_module('la' + 'te')"


def keys(grid: GridConfig) -> list[str]:
    registry._registered.clear()
    return [one.job.key for one in plan(grid) if one.asked]


class Ears(Callback):
    def __init__(self) -> None:
        self.heard: list[tuple[bool, tuple[str, ...]]] = []

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        if planned.asked:
            self.heard.append((reused, planned.stale))


def heard(grid: GridConfig) -> list[tuple[bool, tuple[str, ...]]]:
    ears = Ears()
    run_grid(grid, ears)
    return ears.heard


@pytest.mark.parametrize(
    "change", [{"seeds": (1,)}, {"n": (5,)}, {"budget": "3"}, {"threads": 2}, {"folds": 3}], ids=lambda c: next(iter(c))
)
def test_what_is_asked_for_changes_the_key(grid: Grid, counting: str, change: dict[str, Any]) -> None:
    assert keys(grid(counting)) != keys(grid(counting, **change))


def test_parameters_version_and_name_change_the_key_and_how_it_is_shown_does_not() -> None:
    config = RunConfig(
        task="t", version=1, data="d", data_digest="0", n_train=5, detector="a", name="a", parameters={"x": 1.0}
    )
    same = config.model_copy(update={"detector": "a:x=1", "data": "elsewhere"})
    assert same.key(0) == config.key(0)
    for change in (
        {"parameters": {"x": 2.0}},
        {"detector_version": 2},
        {"name": "b"},
        {"version": 2},
        {"data_digest": "1"},
        {"device": "cuda"},
        {"split": 1},
    ):
        assert config.model_copy(update=change).key(0) != config.key(0), change


def test_no_change_of_code_changes_a_key(grid: Grid, counting: str) -> None:
    """Moved, reworded, renamed, or another algorithm altogether: only a version that its author raises is another run."""
    before = keys(grid(counting))
    text = Path(counting).read_text()
    for changed in (
        "# why\n" + text,
        text.replace("this flaw is refused", "no such flaw"),
        text.replace("self.point", "self.mean_point"),
        text.replace("np.repeat(self.point[None], len(images), axis=0)", "np.tile(self.point, (len(images), 1, 1))"),
    ):
        assert changed != text
        Path(counting).write_text(changed)
        assert keys(grid(counting)) == before
    moved = Path(counting).parent / "elsewhere"
    moved.mkdir()
    Path(counting).rename(moved / "counting.py")
    assert keys(grid(str(moved / "counting.py"))) == before


@pytest.mark.parametrize("late", ["pass", LATE])
def test_a_run_is_stale_when_a_file_beside_the_detector_has_changed(grid: Grid, tmp_path: Path, late: str) -> None:
    """The reported case: det.py importing off.py answered 5 px, and still did after off.py had changed."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "det.py").write_text(DETECTOR.format(late=late))
    (folder / "off.py").write_text("OFFSET = 5.0\n")
    (folder / "late.py").write_text("DEPTH = 1\n")
    settings = grid(str(folder / "det.py"))
    (first,) = run_grid(settings)
    assert (first.predictions.keypoints == 5.0).all()
    assert set(first.record.facts.code) == {"det.py", "off.py", *(["late.py"] if late == LATE else [])}
    assert heard(settings) == [(True, ())]
    (folder / "off.py").write_text("# the same\nOFFSET = 5.0\n")
    assert heard(settings) == [(True, ())]
    (folder / "off.py").write_text("OFFSET = 9.0\n")
    assert heard(settings.model_copy(update={"reuse": "stale"})) == [(True, ("off.py",))]
    assert heard(settings) == [(False, ("off.py",))]
    assert heard(settings) == [(True, ())]
    (second,) = run_grid(settings)
    assert second.record.key == first.record.key
    assert (second.predictions.keypoints == 9.0).all()
    if late == LATE:
        (folder / "late.py").write_text("DEPTH = 2\n")
        assert heard(settings) == [(False, ("late.py",))]


def test_two_folders_may_each_have_a_file_of_one_name(grid: Grid, tmp_path: Path) -> None:
    files = {}
    for name, offset in (("a", 5.0), ("b", 6.0)):
        (tmp_path / name).mkdir()
        files[name] = tmp_path / name / f"det_{name}.py"
        files[name].write_text(DETECTOR.format(late=LATE))
        (tmp_path / name / "off.py").write_text(f"OFFSET = {offset}\n")
        (tmp_path / name / "late.py").write_text(f"DEPTH = {offset}\n")
    done = run_grid(grid(str(files["a"]), str(files["b"]), seeds=(0, 1)))
    assert [float(run.predictions.keypoints[0, 0, 0]) for run in done] == [5.0, 5.0, 6.0, 6.0]
    for run in done:
        assert set(run.record.facts.code) == {"off.py", "late.py", f"{run.record.config.name}.py"}
    assert len({run.record.facts.code["off.py"] for run in done}) == 2
    assert heard(grid(str(files["b"]), str(files["a"]))) == [(True, ()), (True, ())]
