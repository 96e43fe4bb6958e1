"""The key of a run is what was asked for; code, versions and processor are facts, and tell whether it is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import UserError, registry
from benchmark.api import run_grid
from benchmark.executors.executor import Callback
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


ANSWERS = """
import numpy as np
from benchmark import Detector
{imports}

class Answers(Detector):
    def __init__(self) -> None:
        {init}

    def fit(self, train, val, *, seed, budget):
        self.k = len(train.annotations.keypoint_names)
        {fit}

    def predict(self, images):
        return np.full((len(images), self.k, 2), {offset})
"""
# How a detector file may bring in what lies beside it: (imports, in __init__, in fit, what it answers with).
WAYS = {
    "import": ("import off", "pass", "pass", "off.OFFSET"),
    "from": ("from off import OFFSET as pick", "pass", "pass", "pick"),
    "in __init__": ("", "import off; self.offset = off.OFFSET", "pass", "self.offset"),
    "in fit": ("", "pass", "import off; self.offset = off.OFFSET", "self.offset"),
    "by importlib in __init__": (
        "import importlib", "self.offset = importlib.import_module('o' + 'ff').OFFSET", "pass", "self.offset",
    ),
    "by importlib in fit": (
        "import importlib", "pass", "self.offset = importlib.import_module('o' + 'ff').OFFSET", "self.offset",
    ),
    "from a package": ("from pack.off import OFFSET", "pass", "pass", "OFFSET"),
    "from a namespace package": ("from space import off", "pass", "pass", "off.OFFSET"),
    "through the path": (
        "import sys, pathlib; sys.path.insert(0, str(pathlib.Path(__file__).parent / 'space')); import off2",
        "pass", "pass", "off2.OFFSET",
    ),
    "from a path": (
        "import importlib.util as u, pathlib\n"
        "spec = u.spec_from_file_location('helper', pathlib.Path(__file__).parent / 'space' / 'off.py')\n"
        "helper = u.module_from_spec(spec); spec.loader.exec_module(helper)",
        "pass", "pass", "helper.OFFSET",
    ),
}  # fmt: skip


def write_detector(folder: Path, way: str, offset: float) -> Path:
    imports, init, fit, answer = WAYS[way]
    for place, name in ((".", "off"), ("pack", "__init__"), ("pack", "off"), ("space", "off"), ("space", "off2")):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / f"{name}.py").write_text("" if name == "__init__" else f"OFFSET = {offset}\n")
    path = folder / f"det_{folder.name}.py"
    path.write_text(ANSWERS.format(imports=imports, init=init, fit=fit, offset=answer))
    return path


def offsets(run: FolderRun) -> set[float]:
    return set(run.predictions.keypoints.ravel().tolist())


@pytest.mark.parametrize("way", WAYS)
def test_whatever_import_a_file_comes_in_by_it_is_the_right_one_and_followed(
    grid: Grid, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders with files of the same names, and a third in the working directory; then one of the files changes."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "off.py").write_text("OFFSET = 1.0\n")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.syspath_prepend(tmp_path / "cwd")
    import off  # type: ignore[import-not-found]  # the user's own, loaded before any detector

    files = [write_detector(tmp_path / name, way, offset) for name, offset in (("a", 5.0), ("b", 6.0))]
    first, second = run_grid(grid(*map(str, files)))
    assert (offsets(first), offsets(second)) == ({5.0}, {6.0})
    assert heard(grid(str(files[1]), str(files[0]))) == [(True, ()), (True, ())]
    for file in (tmp_path / "b").rglob("off*.py"):
        file.write_text("OFFSET = 7.0\n")  # within the same second, and as long as before
    ((reused, changed),) = heard(grid(str(files[1])))
    assert not reused
    assert all("off" in name for name in changed)
    assert changed
    assert offsets(run_grid(grid(str(files[1])))[0]) == {7.0}
    assert heard(grid(str(files[0]))) == [(True, ())]
    assert off.OFFSET == 1.0


def test_a_copied_folder_is_asked_about_its_own_files(grid: Grid, tmp_path: Path) -> None:
    import shutil

    file = write_detector(tmp_path / "a", "by importlib in fit", 5.0)
    run_grid(grid(str(file)))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copied = tmp_path / "b" / file.name
    assert heard(grid(str(copied))) == [(True, ())]
    (tmp_path / "b" / "off.py").write_text("OFFSET = 9.0\n")
    assert heard(grid(str(copied))) == [(False, ("off.py",))]


def test_a_file_that_is_edited_while_it_trains_is_stale(grid: Grid, tmp_path: Path) -> None:
    path = tmp_path / "self_editing.py"
    edit = "import pathlib; p = pathlib.Path(__file__); p.write_text(p.read_text().replace('= 5' + '.0', '= 9.0'))"
    path.write_text(ANSWERS.format(imports="OFFSET = 5.0", init="pass", fit=edit, offset="OFFSET"))
    (first,) = run_grid(grid(str(path)))
    assert offsets(first) == {5.0}
    assert heard(grid(str(path))) == [(False, ("self_editing.py",))]


def test_what_is_imported_under_a_name_counts(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("FIRST = 5.0\nLAST = 9.0\n")
    path = tmp_path / "picks.py"
    path.write_text(ANSWERS.format(imports="from rules import FIRST as pick", init="pass", fit="pass", offset="pick"))
    run_grid(grid(str(path)))
    path.write_text(path.read_text().replace("FIRST", "LAST"))
    assert heard(grid(str(path))) == [(False, ("picks.py",))]


def test_a_package_s_class_is_stale_when_what_it_imports_late_has_changed(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "latepack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "off.py").write_text("OFFSET = 5.0\n")
    late = "import importlib; self.offset = importlib.import_module('latepack.' + 'off').OFFSET"
    (package / "det.py").write_text(ANSWERS.format(imports="", init="pass", fit=late, offset="self.offset"))
    monkeypatch.syspath_prepend(tmp_path)
    settings = grid("latepack.det:Answers", seeds=(0, 1))
    runs = run_grid(settings)
    assert {tuple(run.record.facts.code) for run in runs} == {("latepack", "latepack.det", "latepack.off")}
    for name in ("latepack.off", "latepack.det", "latepack"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    assert heard(settings) == [(True, ()), (True, ())]
    (package / "off.py").write_text("OFFSET = 9.0\n")
    assert [stale for _, stale in heard(settings)] == [("latepack.off",)] * 2


def test_a_class_without_a_file_is_known_by_its_text(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)  # as in a notebook, whoever runs the tests
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)

    def define(offset: float) -> None:
        scope: dict[str, Any] = {"__name__": "__main__"}
        text = ANSWERS.format(imports="from benchmark import register", init="pass", fit="pass", offset=offset)
        exec(text.replace("class Answers", "@register('typed-in')\nclass Answers"), scope)

    define(5.0)
    assert heard(grid("typed-in")) == [(False, ())]
    assert heard(grid("typed-in")) == [(True, ())]
    registry._registered.clear()
    define(9.0)
    ((reused, stale),) = heard(grid("typed-in"))
    assert not reused
    assert stale


def test_two_detectors_of_one_name_are_refused(grid: Grid, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "mine.py")
        files[-1].write_text(ANSWERS.format(imports="", init="pass", fit="pass", offset=5.0))
    with pytest.raises(UserError, match="are both called 'mine'"):
        plan(grid(*map(str, files)))
    files[0].rename(tmp_path / "mean.py")
    with pytest.raises(UserError, match=r"mean\.py is called as 'mean' is \(built in"):
        plan(grid(str(tmp_path / "mean.py")))
    assert [one.job.config.name for one in plan(grid(" mean")) if one.asked] == ["mean"]
    assert [one.job.config.name for one in plan(grid("baselines.mean:Mean")) if one.asked] == ["mean"]


def test_one_value_has_one_key(grid: Grid, tmp_path: Path) -> None:
    path = tmp_path / "valued.py"
    text = ANSWERS.format(imports="", init="self.rate = rate", fit="pass", offset="self.rate")
    path.write_text(text.replace("__init__(self)", "__init__(self, rate: float = 1)"))
    assert keys(grid(str(path))) == keys(grid(f"{path}:rate=1")) == keys(grid(f"{path}:rate=1.0"))
    names = [one.job.config.detector for one in plan(grid(f"{path}:rate=0.12345678", f"{path}:rate=0.12345679"))]
    assert len(set(names)) == 3  # and the baseline


def test_a_load_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    import sys

    from benchmark import detector_files
    from benchmark.registry import resolve

    (tmp_path / "off.py").write_text("OFFSET = 5.0\n")
    path = tmp_path / "stopped.py"
    path.write_text("import off, sys\nsys.path.insert(0, 'nowhere')\nraise KeyboardInterrupt\n")
    before = list(sys.path), list(sys.meta_path), set(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        resolve(str(path))
    assert (list(sys.path), list(sys.meta_path), set(sys.modules)) == before
    path.write_text(f"from benchmark.registry import resolve\nresolve({str(tmp_path / 'inner.py')!r})\n")
    (tmp_path / "inner.py").write_text(ANSWERS.format(imports="", init="pass", fit="pass", offset=5.0))
    with pytest.raises(UserError, match="is loaded by another detector file"):
        resolve(str(path))
    assert not detector_files.arrived()
