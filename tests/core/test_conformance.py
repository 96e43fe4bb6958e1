"""Registering a detector is enough to have it tested: the conformance check over the whole registry."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest

from benchmark.conformance import check, clean_process
from benchmark.registry import entries

BROKEN = """
import numpy as np
from benchmark import Detector, register

class Base(Detector):
    def fit(self, train, val, *, seed, budget):
        self.k = len(train.annotations.keypoint_names)
        self.point = train.points.mean(axis=0)

    def predict(self, images):
        return np.repeat(self.point[None], len(images), axis=0)

    def state(self):
        return {{"point": self.point}}

    def restore(self, state):
        self.point = state["point"]

@register("broken-{name}")
class Broken(Base):
{body}
"""
FLAWS = {
    "nan": ("    def predict(self, images):\n        return np.full((len(images), self.k, 2), np.nan)", 0),
    "shape": ("    def predict(self, images):\n        return np.zeros((len(images), 2))", 0),
    "mutates": (
        "    def predict(self, images):\n        images[0][0, 0] ^= 255\n        return super().predict(images)",
        0,
    ),
    "random": (
        "    def predict(self, images):\n        return np.random.default_rng().normal(size=(len(images), self.k, 2))",
        1,
    ),
    "square": (
        "    def fit(self, train, val, *, seed, budget):\n"
        "        assert train.images[0].shape == (28, 28)\n        super().fit(train, val, seed=seed, budget=budget)",
        2,
    ),
    "many": (
        "    def fit(self, train, val, *, seed, budget):\n"
        "        assert len(train) > 1\n        super().fit(train, val, seed=seed, budget=budget)",
        4,
    ),
    "holes": ("    partial_labels = True", 2),
    "forgets": ("    def state(self):\n        return {'point': self.point * 0}", 5),
}


SMALLER = {  # the same networks; at their own size they take up to a minute thrice
    name: f"{name}:size=64" for name in ("keypointrcnn-fpn", "fcos", "retinanet", "cascadercnn")
}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Executor]:
    with clean_process() as pool:
        yield pool


def is_torch(name: str) -> bool:
    """Whether torch computes it, so that the settings under which CI runs what is marked `fits` change anything."""
    return not entries()[name][0].module.startswith("baselines.")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.fits] * is_torch(name)) for name in sorted(entries())]
)
def test_conforms(name: str, elsewhere: Executor) -> None:
    assert not [f"{s.name}: {s.problem}" for s in check(SMALLER.get(name, name), elsewhere) if s.problem]


@pytest.mark.parametrize("flaw", FLAWS)
def test_the_check_finds_each_flaw(flaw: str, elsewhere: Executor, tmp_path: Path) -> None:
    body, at = FLAWS[flaw]
    path = tmp_path / f"{flaw}.py"
    path.write_text(BROKEN.format(name=flaw, body=body))
    steps = check(str(path), elsewhere)
    assert steps[at].problem
    assert not any(step.problem for step in steps[:at])


def test_what_saves_nothing_is_not_asked_to_restore(elsewhere: Executor, tmp_path: Path) -> None:
    """The README's own skeleton has fit and predict alone."""
    path = tmp_path / "bare.py"
    text = BROKEN.format(name="bare", body="    pass")
    path.write_text(text[: text.index("    def state")] + text[text.index("@register") :])
    last = check(str(path), elsewhere)[-1]
    assert (last.name, last.problem) == ("restores from saved weights", "")
    assert last.skipped


def test_a_detector_that_exits_does_not_conform(elsewhere: Executor, tmp_path: Path) -> None:
    path = tmp_path / "exits.py"
    body = "    def fit(self, train, val, *, seed, budget):\n        raise SystemExit(0)"
    path.write_text(BROKEN.format(name="exits", body=body))
    assert "SystemExit" in check(str(path), elsewhere)[0].problem
