"""Names of detectors: lazy, typed, helpful when wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import UserError, registry
from benchmark.registry import Entry, entries, resolve, suite, suites

PLUGIN = '''
from benchmark import Detector, register

@register("{name}")
class Blob(Detector):
    """Answers the middle of the image."""

    def __init__(self, shift: float = 0.0, turns: int = 1, loud: bool = False) -> None:
        self.shift = shift

    def fit(self, train, val, *, seed, budget):
        self.k = len(train.annotations.keypoint_names)

    def predict(self, images):
        import numpy as np
        return np.full((len(images), self.k, 2), 13.5 + self.shift)
'''


@pytest.fixture(autouse=True)
def _forget_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_registered_classes", {})


def write_plugin(folder: Path, name: str = "blob", file: str = "blob.py") -> Path:
    path = folder / file
    path.write_text(PLUGIN.format(name=name))
    return path


def test_every_built_in_resolves_to_a_class_with_one_line() -> None:
    for name, offers in entries().items():
        assert len(offers) == 1, name
        assert offers[0].summary.strip(), name
        spec = resolve(name)
        assert spec.name == name
        assert spec.cls.__doc__, name
        spec.build()


def test_the_catalogs_know_who_answers_several_instances() -> None:
    for name, offers in entries().items():
        assert offers[0].several in (None, offers[0].load().card.multi_instance), name


def test_every_suite_resolves() -> None:
    assert "default" in suites()
    for name in suites():
        assert [resolve(text) for text in suite(name)]


@pytest.mark.parametrize("package", ["baselines", "detectors"])
def test_a_catalog_imports_nothing(package: str) -> None:
    code = (
        f"import benchmark, sys; before = set(sys.modules); import {package}; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{package}']"


def test_a_file_is_a_plugin_and_its_parameters_are_typed(tmp_path: Path) -> None:
    path = write_plugin(tmp_path)
    spec = resolve(f"{path}:shift=2,loud=true")
    assert spec.values == {"shift": 2.0, "turns": 1, "loud": True}
    assert spec.name == "blob:shift=2,loud=true"
    assert resolve(str(path)).name == "blob"


def test_a_class_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plugin(tmp_path, file="my_blob_module.py")
    monkeypatch.syspath_prepend(tmp_path)
    spec = resolve("my_blob_module:Blob:shift=1")
    assert spec.cls.__name__ == "Blob"
    assert spec.given == {"shift": 1.0}


def test_a_parameter_at_its_default_does_not_change_the_name(tmp_path: Path) -> None:
    assert resolve(f"{write_plugin(tmp_path)}:turns=1").name == "blob"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{file}:shift=left", "parameter shift=left"),
        ("{file}:turns=1.5", "parameter turns=1.5"),
        ("{file}:shfit=1", "did you mean 'shift'?"),
        ("./nowhere.py", "does not exist"),
        ("no.such.module:Blob", "cannot be loaded"),
        ("meen", "did you mean 'mean'"),
        ("mean:", "write parameters as mean:key=value"),
        ("mean:draws", "write parameters as mean:key=value (at 'draws')"),
        ("{file}:shift=nan", "parameter shift=nan: cannot be stored with a run"),
        ("{file}:shift=1,shift=2", "parameter 'shift' is given twice"),
        ("{folder}", "is a folder; name a .py file in it"),
        ("pathlib:Path", "derived from benchmark.Detector"),
        ("benchmark:Detector", "defines no fit and no predict"),
        (":a=1", "has no name"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(text.format(file=write_plugin(tmp_path), folder=tmp_path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_taken_twice_is_refused_when_used_and_both_origins_named(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, name="mean")
    with pytest.raises(UserError, match=r"offered twice: by .*blob\.py and by built in"):
        resolve(str(path))


def test_a_broken_plugin_disables_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import a_package_that_is_not_there")
    with pytest.raises(UserError, match=r"broken\.py cannot be loaded: ModuleNotFoundError"):
        resolve(str(path))
    assert resolve("mean").name == "mean"


def test_a_broken_entry_point_is_listed_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value, dist = "ghost", "no_such_package:Ghost", None

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])
    assert "ghost" in entries()
    with pytest.raises(UserError, match="'ghost'.*cannot be loaded.*no_such_package"):
        resolve("ghost")


def test_an_object_without_fit_is_no_detector() -> None:
    with pytest.raises(UserError, match="not a class with fit and predict"):
        Entry("path", "pathlib:Path", "here").load()
