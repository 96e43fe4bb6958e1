"""Coverage and wrong advice by simulation: the tables of scripts/simulate_coverage.py, smaller, with bounds that can fail.

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
@pytest.mark.parametrize("board", simulate.REGULAR[2:], ids=lambda board: board.name)
def test_rank_intervals_hold_the_true_ranks(board: object, seeds: int) -> None:
    """30 rows a board: the bound leaves 1.5 points of chance."""
    assert simulate.rank_coverage(board, seeds, 291, 12, fresh()) >= 0.935


@pytest.mark.parametrize(("seeds", "images"), [(1, 291), (1, 1000), (3, 1000)])
@pytest.mark.parametrize(
    "board", [simulate.MIXED[1], simulate.MIXED[2], simulate.HEAVY[1]], ids=lambda board: board.name
)
def test_rank_intervals_hold_though_failures_are_rare(board: object, seeds: int, images: int) -> None:
    assert simulate.rank_coverage(board, seeds, images, 60, fresh()) >= 0.935


def test_students_t_alone_fails_there_and_the_simulation_shows_it() -> None:
    """The check of the checker: a row that fails on 2 % of images by 10 px beside one that is always off by .2 px."""
    student, both = simulate.false_differences(simulate.MIXED[8], 1, 50, 400, fresh())
    assert student > 0.2
    assert both <= 0.05


@pytest.mark.parametrize(("seeds", "images", "boards"), [(1, 1000, 150), (3, 2000, 40)])
def test_advice_is_wrong_in_five_per_cent_at_most(seeds: int, images: int, boards: int) -> None:
    """The cheap rows are worse by the margin, and look better where they were lucky. 150 boards: 5 % +- 1.8, 40: +- 3.4."""
    wrong, given = simulate.advice_errors(simulate.ADVISED[3], seeds, images, boards, fresh())
    assert wrong <= 0.1
    assert given > 0.3  # the bound is no use where nothing is ever advised


def test_rows_that_differ_are_told_apart_though_seeds_are_few() -> None:
    """30 rows, each 14 % worse than the one before, seeds that spread by 2 % of a row's mean: of 30 ranks, how many are left."""
    assert simulate.separated(simulate.rungs(0.02, floor=simulate.FLOOR), 3, 1000, 3, fresh())[0] < 14
    assert simulate.separated(simulate.rungs(0.02, floor=simulate.FLOOR), 1, 4291, 2, fresh())[0] < 5


@pytest.mark.parametrize("seeds_asked", [True, False])
def test_the_number_that_power_asks_for_suffices(seeds_asked: bool) -> None:
    asked, rate = simulate.power_check(seeds_asked, 600, fresh())
    assert asked > 2
    assert 0.74 <= rate <= 0.88
