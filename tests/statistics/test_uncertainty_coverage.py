"""Coverage and false splits by simulation: the tables of scripts/simulate_coverage.py, smaller, with bounds that can fail.

1,200 repeats: a rate of 95 % has a standard error of .63 points, so the bounds below leave 1.5 points of chance.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def _script() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "scripts" / "simulate_coverage.py"
    spec = importlib.util.spec_from_file_location("simulate_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


simulate = _script()
REPEATS = 1200


def fresh() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("world", simulate.SCENARIOS, ids=lambda world: world.name)
def test_intervals_cover_from_five_seeds_up(world: object, seeds: int) -> None:
    assert 0.93 <= simulate.coverage(world, seeds, REPEATS, fresh(), images=150) <= 0.98
    assert 0.93 <= simulate.paired_coverage(world, seeds, REPEATS, fresh(), images=150) <= 0.98


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_cover_at_one_seed_and_at_three(seeds: int) -> None:
    world = simulate.SCENARIOS[0]
    assert 0.93 <= simulate.coverage(world, seeds, REPEATS, fresh()) <= 0.98
    assert 0.93 <= simulate.paired_coverage(world, seeds, REPEATS, fresh()) <= 0.98


def test_few_wrong_images_cover_less_and_the_simulation_shows_it() -> None:
    """The check of the checker: three wrong images of 291 with a heavy tail are too few for Student's t."""
    assert simulate.coverage(simulate.TAILS[2], 1, REPEATS, fresh()) < 0.9


@pytest.mark.parametrize("seeds", [1, 3, 10])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_exact_covers(share: float, seeds: int) -> None:
    assert simulate.exact_coverage(share, seeds, REPEATS, fresh()) >= 0.935


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("world", simulate.EQUAL[:2], ids=lambda world: world.name)
def test_of_equal_rows_any_is_split_from_the_first_tier_in_five_per_cent(world: object, seeds: int) -> None:
    """12 rows, 300 boards: a rate of 5 % has a standard error of 1.3 points; plain p values split 7 to 16 %."""
    assert simulate.false_splits(world, 12, seeds, 300, fresh())[0] <= 0.085


def test_rows_that_differ_are_split_though_seeds_are_few() -> None:
    """30 rows, each 14 % worse than the one before, with seeds that spread by 5 % of a row's mean."""
    assert simulate.ladder(0.05, 3, 5, fresh()) > 7
    assert simulate.ladder(0.05, 1, 5, fresh()) > 14


@pytest.mark.parametrize("seeds_asked", [True, False])
def test_the_number_that_power_asks_for_suffices(seeds_asked: bool) -> None:
    asked, rate = simulate.power_check(seeds_asked, 600, fresh())
    assert asked > 2
    assert 0.74 <= rate <= 0.88
