"""A small COCO folder of rectangles, a plugin that counts its fits, and grids on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_cases import made_dataset

from benchmark import detector_files, registry
from benchmark.runs.config import GridConfig
from datasets.formats import coco_folder

COUNTS = '''
import numpy as np
from benchmark import Detector, register

@register("{name}")
class Counting(Detector):
    """Answers the mean of the training points, and counts its fits in a file."""

    def __init__(self, flaw: str = "", where: str = "") -> None:
        if flaw == "refused":
            raise ValueError("this flaw is refused")
        self.flaw, self.where = flaw, where

    def fit(self, train, val, *, seed, budget):
        if self.where:
            with open(self.where, "a") as file:
                file.write("fit\\n")
        if self.flaw == "fit":
            raise RuntimeError("no luck\\nat all")
        if self.flaw == "interrupted":
            raise KeyboardInterrupt
        self.point = train.points.mean(axis=0)
        return [{{"epoch": 0.0, "val_px": 2.5}}]

    def predict(self, images):
        if self.flaw == "writes":
            images[0][0, 0] = 1
        answer = np.repeat(self.point[None], len(images), axis=0)
        if self.flaw == "nan":
            answer[3] = np.nan
        return answer[:, 0] if self.flaw == "shape" else answer
'''


@pytest.fixture(autouse=True)
def _forget_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_registered_classes", {})
    monkeypatch.setattr(registry, "_files", {})
    detector_files.leave()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO folder on disk."""
    coco_folder.write(tmp_path / "rectangles", made_dataset())
    return tmp_path / "rectangles"


@pytest.fixture
def counting(tmp_path: Path) -> str:
    """A detector file that counts its fits."""
    path = tmp_path / "counting.py"
    path.write_text(COUNTS.format(name=f"counting-{tmp_path.name}"))
    return str(path)


@pytest.fixture
def grid(data: Path, tmp_path: Path) -> Callable[..., GridConfig]:
    """``grid(*specifications, **settings)`` on that folder, with one thread, in the folder ``results``."""

    def made(*detectors: str, **settings: Any) -> GridConfig:
        return GridConfig(
            detectors=detectors, **{"data": str(data), "results": str(tmp_path / "results"), "threads": 1, **settings}
        )

    return made
