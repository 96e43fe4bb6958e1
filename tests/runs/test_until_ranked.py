"""Seeds are added until rows are told apart, and no longer; equal rows get all that were allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.api import grid_config, plan_grids, run_grid, run_grids
from benchmark.executors.executor import Callback
from benchmark.runs.store import Store
from benchmark.structures import UserError
from leaderboard.status import grid_status

NOISY = '''
import numpy as np
from benchmark.detector import Card, Detector
from benchmark.registry import register

@register("{name}")
class Noisy(Detector):
    """Off by about so much, otherwise with every seed."""
    card = Card("a number")
    def fit(self, train, val, *, seed, budget):
        self.mean = train.points.mean(axis=0)
        self.random = np.random.default_rng(seed + {salt})
    def predict(self, images):
        spread = {off} * self.random.uniform(0.9, 1.1)
        return self.mean + self.random.uniform(-spread, spread, (len(images), *self.mean.shape))
'''


class Heard(Callback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Something to say of the whole grid."""
        self.notes.append(text)


def detector(folder: Path, name: str, off: float, salt: int) -> str:
    path = folder / f"{name}.py"
    path.write_text(NOISY.format(name=name, off=off, salt=salt))
    return str(path)


def made(tmp_path: Path, *specifications: str) -> tuple[list[int], str]:
    heard = Heard()
    grid = grid_config(specifications, seeds=5, until_ranked=True, n=20, results=tmp_path / "results", threads=1)
    done = run_grid(grid, heard)
    stored = {run.record.seed for run in Store(tmp_path / "results").runs() if run.record.config.name != "mean"}
    assert stored == {run.record.seed for run in done}
    return sorted(stored), heard.notes[-1]


def test_rows_that_differ_need_two_seeds(tmp_path: Path) -> None:
    seeds, said = made(tmp_path, detector(tmp_path, "near", 0.5, 0), detector(tmp_path, "far", 20, 100))
    assert seeds == [0, 1]
    named = [str(tmp_path / "near.py"), str(tmp_path / "far.py")]
    grid = grid_config(named, seeds=5, until_ranked=True, n=20, results=tmp_path / "results", threads=1)
    status = grid_status(plan_grids([grid]), [grid])
    assert (status.counts["done"], status.counts["missing"], status.counts["unneeded"]) == (5, 0, 6)  # and the baseline
    assert not status.to_make
    assert said == "after 2 seeds the rows are told apart: 6 further runs are not needed"


def test_equal_rows_get_all_seeds_that_were_allowed(tmp_path: Path) -> None:
    seeds, said = made(tmp_path, detector(tmp_path, "one", 5, 0), detector(tmp_path, "other", 5, 100))
    assert seeds == [0, 1, 2, 3, 4]
    assert said == "after 5 seeds, the most asked for, not every two rows are told apart"


def test_one_seed_is_no_question(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="until-ranked: is about adding seeds; give at least 2"):
        run_grid(grid_config("mean", until_ranked=True, results=tmp_path / "results"))


def test_a_grid_sees_the_rows_that_it_shares_with_an_earlier_one_and_makes_again_what_it_is_asked_to(
    tmp_path: Path,
) -> None:
    near, far, farther = (
        detector(tmp_path, name, off, salt) for name, off, salt in (("a", 0.5, 0), ("b", 20, 100), ("c", 60, 200))
    )
    common = {"seeds": 5, "until_ranked": True, "n": 20, "results": tmp_path / "results", "threads": 1}
    run_grid(grid_config(farther, **(common | {"seeds": 1, "until_ranked": False})))
    heard = Heard()
    first, second = grid_config([near, far], **common), grid_config([near, farther], **common, overwrite=True)
    before = {run.record.key: run.identity for run in Store(tmp_path / "results").runs()}
    done = run_grids([first, second], heard)
    assert ["seeds the rows are told apart" in note for note in heard.notes] == [True, True]
    assert max(run.record.seed for run in done) < 4
    again = {run.record.key: run.identity for run in done if run.record.config.name == "c"}
    assert all(again[key] != before[key] for key in again.keys() & before.keys())
    assert again.keys() & before.keys()
