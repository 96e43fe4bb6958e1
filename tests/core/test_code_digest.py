"""The digest of a detector's code: what it follows, what it ignores, and that every Python gives the same."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.code_digest import changed_files, file_digest, reached_code
from benchmark.registry import entries, resolve

ROOT = Path(__file__).parents[2]
CODE = """
def width(x):
    if x < 0:
        raise ValueError(f"{x} is below 0")
    return [f"{x:>3}", 1.5e-3, b"a", None, ..., x if x else -x]
"""


@pytest.fixture(autouse=True)
def _forget_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_registered_classes", {})


def digest(folder: Path, text: str, name: str = "one.py") -> str:
    (folder / name).write_text(text)
    return file_digest(folder / name)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("def width", '"""What this is."""\n\n\ndef width', True),
        ("def width", "# why\ndef width", True),
        ("1.5e-3, b", "0.0015,\n    b", True),
        ('f"{x} is below 0"', '"give a width of 0 or more"', True),
        ("def width", "import math\n\n\ndef width", True),
        ("-x]", "+x]", False),
        ("x < 0", "x <= 0", False),
        ("ValueError", "TypeError", False),
        ("{x:>3}", "{x:>4}", False),
    ],
)
def test_what_is_done_counts_and_how_it_is_written_does_not(tmp_path: Path, old: str, new: str, same: bool) -> None:
    assert old in CODE
    assert (digest(tmp_path, CODE) == digest(tmp_path, CODE.replace(old, new))) is same


def test_what_is_no_python_counts_by_its_bytes(tmp_path: Path) -> None:
    assert digest(tmp_path, "def (", "a.py") != digest(tmp_path, "def ((", "b.py")
    assert file_digest(tmp_path / "nowhere.py") == ""


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_every_python_gives_the_same_digest(tmp_path: Path, python: str) -> None:
    """The module needs nothing but the standard library, so other interpreters can be asked."""
    program = shutil.which(python)
    if program is None or subprocess.run([program, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"{python} is not here")
    files = [str(ROOT / "detectors" / "training.py"), str(ROOT / "benchmark" / "metrics" / "oks.py"), __file__]
    code = (
        "import importlib.util, json, sys, pathlib\n"
        "spec = importlib.util.spec_from_file_location('code_digest', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(json.dumps([module.file_digest(pathlib.Path(f)) for f in sys.argv[2:]]))\n"
    )
    words = [program, "-c", code, str(ROOT / "benchmark" / "code_digest.py"), *files]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [file_digest(Path(file)) for file in files]


def test_built_in_code_is_found_without_importing_it() -> None:
    code = (
        "import sys, benchmark, json\nfrom benchmark.code_digest import reached_code\n"
        "from benchmark.registry import entries\n"
        "print(json.dumps({n: reached_code(o[0].module) for n, o in entries().items()}))\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    reached = json.loads(done.stdout)
    assert "detectors.training" in reached["heatmap"]
    assert not [label for labels in reached.values() for label in labels if label.startswith(("benchmark", "torch"))]
    assert reached["heatmap"] == reached_code(entries()["heatmap"][0].module)
    assert reached["heatmap"] == resolve("heatmap").code()  # imported, it reaches the same


def test_a_package_is_followed_through_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "digestplugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("WIDTH = 3\n")
    (package / "late.py").write_text("DEPTH = 3\n")
    (package / "whole.py").write_text(
        "import importlib\nfrom digestplugin import part\n\n\ndef depth():\n"
        "    return importlib.import_module('digestplugin.late').DEPTH\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("digestplugin.whole")
    before = reached_code("digestplugin.whole")
    assert set(before) == {"digestplugin", "digestplugin.part", "digestplugin.late", "digestplugin.whole"}
    (package / "part.py").write_text('"""What it is."""\n\nWIDTH = (  # why\n    3\n)\n')
    assert changed_files(before, reached_code("digestplugin.whole")) == []
    (package / "late.py").write_text("DEPTH = 4\n")
    assert changed_files(before, reached_code("digestplugin.whole")) == ["digestplugin.late"]


def test_a_moved_file_is_no_change_and_a_new_one_is() -> None:
    then = {"a": "1", "b": "2"}
    assert changed_files(then, {"a": "1", "c": "2"}) == []
    assert changed_files(then, {"a": "1", "b": "3"}) == ["b"]
    assert changed_files(then, {"a": "1", "b": "2", "d": "4"}) == ["d"]
    assert changed_files(then, {"a": "1"}) == ["b"]
    assert changed_files(then, {"b": "1", "a": "2"}) == ["a", "b"]  # two files exchanged their content
    assert changed_files({}, {"a": "1"}) == ["its code was not recorded"]
