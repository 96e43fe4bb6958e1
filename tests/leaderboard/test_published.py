"""The published boards are what their stored runs say; those pass the audit, and every ablation has changed a score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.registry import entries, resolve
from benchmark.runs.store import Store
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.expected import by_recipe, expected, recipe_of
from leaderboard.tables import as_rows, markdown

ROOM = Path(__file__).parents[2] / "leaderboard"
TOO_SLOW = {"fcos", "keypointrcnn-fpn"}  # for the machine the boards were made on: ten minutes a fit
STORES = {name: Store(ROOM / name) for name in ("published", "confirmed", "ablations", "probe")}


@pytest.mark.parametrize("name", STORES)
def test_a_published_board_is_made_of_the_runs_beside_it(name: str) -> None:
    """Stale? ``python -m benchmark leaderboard --results leaderboard/NAME`` writes it again."""
    store = STORES[name]
    made = boards(store)
    assert (store.root / "LEADERBOARD.md").read_text(encoding="utf-8") == markdown(made)
    rows = [row for board in made for row in as_rows(board)]
    assert json.loads((store.root / "LEADERBOARD.json").read_text(encoding="utf-8")) == rows
    assert not [row["row"] for row in rows if row["status"] != "finished" or row["failed_seeds"]]


@pytest.mark.parametrize("name", ["published", "probe"])
def test_the_published_runs_pass_the_audit(name: str) -> None:
    assert [problem for check in audit(STORES[name]).checks for problem in check.problems] == []


def test_every_detector_of_ours_stands_on_the_published_board() -> None:
    parts = {"regression", "probe"}  # rows to put together, with no recipe of their own
    ours = {
        name for name, (first, *_) in entries().items() if first.family != "plugin" and "plugin" not in first.origin
    }
    assert ours - parts - set(expected()) <= TOO_SLOW


def test_every_ablation_changes_the_score() -> None:
    without = by_recipe(STORES["ablations"].root)
    specs = {name: text for name in set(expected()) & set(entries()) if (text := resolve(name).ablated)}
    found = {name: without.get(recipe_of(resolve(text))) for name, text in specs.items()}
    assert {name for name, scores in found.items() if scores is None} == TOO_SLOW & set(specs)
    assert [n for n, scores in found.items() if scores and abs(scores["mean"] - expected()[n]["mean"]) < 1e-9] == []
