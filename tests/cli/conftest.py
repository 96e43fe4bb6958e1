"""The command line called in this process as a shell would call it, on a small COCO folder and on stored runs of it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import registry
from benchmark.cli import main
from benchmark.conformance import rectangles
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder


@dataclass(frozen=True)
class Said:
    """What a command left behind: its exit code, and its two streams."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that stdout is, and nothing else."""
        return json.loads(self.out)


def call(*words: object) -> Said:
    """``python -m benchmark *words`` in this process, whose plugins are forgotten first, as by a new one."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    registry._registered.clear()
    registry._registered_classes.clear()
    sys.argv = ["python -m benchmark", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main()
    finally:
        sys.argv = before
    return Said(int(left.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """See `call`; the terminal is 160 wide, and the environment names no results."""
    monkeypatch.delenv("KEYPOINT_RESULTS", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    return call


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO folder of rectangles, 20 train, 6 val, 8 test; and runs on it: mean, linear, net3 of one epoch, two seeds."""
    root = tmp_path_factory.mktemp("cli")
    parts = [rectangles(count, seed=seed) for seed, count in enumerate((20, 6, 8), 1)]
    coco_folder.write(root / "data", Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    words = [
        "-d",
        "mean",
        "-d",
        "linear",
        "-d",
        "net3",
        "--seeds",
        "2",
        "--budget",
        "1",
        "--threads",
        "1",
        "--save-weights",
    ]
    said = call("run", "--data", root / "data", "--results", root / "results", *words)
    assert said.code == 0, said.err
    return root


@pytest.fixture
def data(_made: Path, tmp_path: Path) -> Path:
    """A copy of the COCO folder, to be damaged at will."""
    return Path(shutil.copytree(_made / "data", tmp_path / "data"))


@pytest.fixture
def results(_made: Path, tmp_path: Path) -> Path:
    """A copy of the stored runs, likewise."""
    return Path(shutil.copytree(_made / "results", tmp_path / "results"))


def points_of(file: Path) -> np.ndarray:
    """(N, 2) the first keypoint of every entry of an annotation or a results file, read without any code of ours."""
    document = json.loads(file.read_text())
    rows = document["annotations"] if isinstance(document, dict) else document
    return np.array([row["keypoints"][:2] for row in sorted(rows, key=lambda row: row["image_id"])])


@pytest.fixture
def points() -> Callable[[Path], np.ndarray]:
    """See `points_of`."""
    return points_of


@pytest.fixture
def run_of() -> Callable[..., Path]:
    """The folder of a stored run: ``run_of(results, detector, seed)``."""

    def found(results: Path, detector: str, seed: int = 0, n: str = "n*") -> Path:
        (folder,) = results.glob(f"*/*/{detector}/{n}/seed{seed}/*")
        return folder

    return found


PLUGIN = """
import os, sys, time
import numpy as np
from benchmark import Detector

class Plug(Detector):
    '''A [red]plugin[/] whose flaw is its parameter.'''

    def __init__(self, flaw: str = "", x: float = 5.0) -> None:
        if flaw == "init":
            raise OSError("no disk")
        self.flaw, self.x = flaw, x

    def fit(self, train, val, *, seed, budget):
        if self.flaw == "raises":
            raise RuntimeError("out of [/red] luck \\x1b[31m \\ud800")
        if self.flaw == "exits":
            sys.exit(7)
        if self.flaw == "prints":
            print("printed by a detector")
            os.write(1, b"written by a detector")
        if self.flaw == "weights":
            self.n_parameters = "many"
        if self.flaw == "waits" and os.environ.get("WAIT_IN"):
            open(os.environ["WAIT_IN"], "w").close()
            time.sleep(60)
        return {"history": [1, 2], "number": 5}.get(self.flaw)

    def predict(self, images):
        if self.flaw == "none":
            return None
        return np.full((len(images), 1, 2), 1e12 if self.flaw == "far" else self.x)

    def state(self):
        return {"x": "text" if self.flaw == "state" else np.array(self.x)}

    def restore(self, state):
        self.x = float(state["x"])
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A plugin file with a detector of many flaws; without one it answers (x, x)."""
    path = tmp_path / "plug.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path
