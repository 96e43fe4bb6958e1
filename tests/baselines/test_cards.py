"""What the cards of this room promise: the catalog is a literal, expected figures come out, no part is decoration."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines
from baselines import CATALOG, SUITES
from benchmark.detector import Budget, Detector, parameters
from benchmark.registry import resolve
from benchmark.structures import KeypointDataset

Digits = Callable[..., Any]
# Those that take long at full size; a full run compares them.
SLOW = {"forest", "boosting", "mlp", "sift", "orb", "fast", "corners", "cosfire", "linear"}
RANKED = [name for name in CATALOG if name != "mean"]


def error(detector: Detector, train: KeypointDataset, val: KeypointDataset, test: KeypointDataset) -> float:
    detector.fit(train, val, seed=0, budget=Budget())
    said = detector.predict(test.images)
    points = said if isinstance(said, np.ndarray) else np.stack([p.keypoints[0] for p in said])
    return float(np.hypot(*np.moveaxis(points - test.points, -1, 0)).mean())


def test_catalog_is_a_literal_that_imports_nothing() -> None:
    tree = ast.parse(Path(str(baselines.__file__)).read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)]
    found = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert found == {"CATALOG": CATALOG, "SUITES": SUITES}


@pytest.mark.parametrize("spec", sorted({spec for suite in SUITES.values() for spec in suite}))
def test_every_specification_of_a_suite_resolves_and_builds(spec: str) -> None:
    assert resolve(spec).name == spec
    resolve(spec).build()


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_card_says_where_it_comes_from_and_names_real_parameters(name: str) -> None:
    spec = resolve(name)
    assert spec.cls.card.source
    assert spec.cls.card.ablation.keys() <= parameters(spec.cls).keys()
    assert bool(spec.cls.card.ablation) is (name != "mean")
    assert spec.cls.card.expected
    assert (spec.cls.card.reference, spec.entry.family == "reference") in [(True, True), (False, False)]


@pytest.mark.parametrize("name", RANKED)
def test_every_ablation_changes_the_score_for_the_worse(name: str, digits: Digits) -> None:
    spec = resolve(name)
    # Least squares on pixels is worse than a constant at any size: its part is the features, so it is given some.
    base = {"features": "pts12"} if name == "linear" else {}
    splits = digits("topleft", 120)
    whole = error(spec.cls(**base), *splits)
    without = error(spec.cls(**base | dict(spec.cls.card.ablation)), *splits)
    assert without > 1.1 * whole + 0.01


@pytest.mark.parametrize("name", sorted(CATALOG.keys() - SLOW))
def test_expected_figures_come_out(name: str, digits: Digits) -> None:
    cls = resolve(name).cls
    assert error(cls(), *digits("topleft", 568)) == pytest.approx(cls.card.expected["mean"], abs=0.002)
