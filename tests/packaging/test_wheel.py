"""The wheel nests our packages, so that installing it beside Hugging Face's ``datasets`` breaks neither."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as site-packages would be: our wheel unpacked beside another package named ``datasets``."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    target = folder / "site"
    fake = target / "datasets"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text('WHOSE = "the other one"\n')
    with zipfile.ZipFile(folder / built.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
        wheel.extractall(target)
    tops = {name.partition("/")[0] for name in names if not name.partition("/")[0].endswith(".dist-info")}
    assert tops == {"benchmark"}
    assert "benchmark/_bundled/leaderboard/expected.json" in names
    assert {"benchmark/py.typed", "benchmark/_bundled/leaderboard/render/words.py"} <= set(names)
    ours = "benchmark/_bundled/leaderboard"
    assert {f"{ours}/leaderboard.schema.json", f"{ours}/notes/reported.yaml"} <= set(names)
    assert not [name for name in names if name.endswith(".zip")]
    return target


def python(site: Path, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code where only the unpacked wheel and the installed dependencies can be imported, not the checkout."""
    clean = f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]; sys.path.insert(0, {str(site)!r});"
    return subprocess.run([sys.executable, "-c", clean + code], capture_output=True, text=True, cwd=cwd, check=False)


def test_the_other_datasets_is_untouched(site: Path, tmp_path: Path) -> None:
    done = python(site, "import datasets; print(datasets.WHOSE)", tmp_path)
    assert done.stdout.strip() == "the other one"


def test_ours_is_found_inside_the_wheel(site: Path, tmp_path: Path) -> None:
    code = (
        "import benchmark, datasets, baselines; from benchmark.registry import resolve;"
        "print(datasets.__file__, baselines.__file__, resolve('mean').name)"
    )
    done = python(site, code, tmp_path)
    assert done.returncode == 0, done.stderr
    ours, theirs, name = done.stdout.split()
    assert Path(ours).parent == site / "benchmark" / "_bundled" / "datasets"
    assert Path(theirs).parent.parent == site / "benchmark" / "_bundled"
    assert name == "mean"


def test_importing_both_in_one_process_is_a_clear_error(site: Path, tmp_path: Path) -> None:
    done = python(site, "import datasets, benchmark", tmp_path)
    assert done.returncode == 1
    assert "another package named 'datasets' is already imported" in done.stderr.splitlines()[-1]


def test_the_command_runs_from_the_wheel(site: Path, tmp_path: Path) -> None:
    code = "sys.argv = ['benchmark', 'list', 'tasks']; from benchmark.cli import main; main()"
    done = python(site, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "topleft" in done.stdout
