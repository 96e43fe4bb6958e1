"""``duel`` is ``run`` by the clock, with a page; ``tools`` knows what plugins offer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Cli = Any  # the fixture of conftest.py
WAITS = '''
import time

import numpy as np

from benchmark import Detector, register


@register("waits")
class Waits(Detector):
    """Answers the middle, having waited for its budget."""

    def fit(self, train, val, *, seed, budget):
        time.sleep(budget.seconds)
        self.notes = ["waited for it"]
        self.log = "its own words"

    def predict(self, images):
        return np.full((len(images), 1, 2), 13.5)
'''


def test_a_duel_is_a_run_by_the_clock_and_a_page(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    words = ["--data", data, "--budget", "0.1s", "--threads", "1", "--results", tmp_path / "results"]
    said = cli("duel", "linear", tmp_path / "waits.py", *words)
    assert said.code == 0
    assert "waits, seed 0: " in said.out
    assert "; waited for it" in said.out
    assert "s to fit, start and all (by its own recipe)" in said.out  # linear has no clock
    assert (tmp_path / "results" / "duel.html").is_file()
    assert "reused" not in said.out + said.err
    again = cli("duel", "linear", tmp_path / "waits.py", *words, "--json", "--out", tmp_path / "page.html")
    assert re.search(r"waits, seed 0: .*; waited for it; reused, made on 20\d\d-\d\d-\d\d\n", again.err)
    assert {row["detector"]: row["reused_seeds"] for row in again.document} == {
        "linear": [0],
        "waits": [0],
        "mean": [0],
    }
    assert {row["detector"]: row["budget"] for row in again.document} == {
        "linear": "recipe",
        "waits": "0.1s",
        "mean": "recipe",
    }
    assert (tmp_path / "page.html").is_file()
    (log,) = (tmp_path / "results").glob("**/waits*/**/log.txt")
    assert log.read_text(encoding="utf-8").splitlines()[0] == "waited for it"
    assert log.read_text(encoding="utf-8").splitlines()[-1] == "its own words"


@pytest.mark.parametrize("budget", ["20", "500steps", "recipe", "soon"])
def test_a_duel_without_a_clock_is_refused(cli: Cli, data: Path, budget: str) -> None:
    said = cli("duel", "mean", "--data", data, "--budget", budget)
    assert said.code == 2
    assert f"error: budget {budget!r}" in said.err


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def offer(**tools: Any) -> None:
        points = [
            SimpleNamespace(name=name, value=f"x:{name}", load=lambda tool=tool: tool) for name, tool in tools.items()
        ]
        monkeypatch.setattr("benchmark.cli.duels.entry_points", lambda group: points)

    return offer


class Tool:
    """An offer that says what it is told."""

    summary = "a tool 1.0 (MIT): not installed, about 5 MB"

    def install(self, say: Callable[[str], None], *, own: bool = False) -> Path:
        say(f"about 5 MB, own={own}")
        return Path()


def test_tools_are_listed_and_installed(cli: Cli, offered: Any) -> None:
    offered(b=Tool(), a=Tool())
    assert cli("tools").out.splitlines() == [f"{name}: {Tool.summary}" for name in "ab"]
    assert cli("tools", "list", "--json").document == [{"name": name, "what it is": Tool.summary} for name in "ab"]
    assert cli("tools", "install", "a", "--own").out == "about 5 MB, own=True\n"


def test_a_tool_nobody_offers_and_one_that_is_broken(cli: Cli, offered: Any) -> None:
    offered()
    assert "no tools are on offer here" in cli("tools").out
    assert json.loads(cli("tools", "--json").out) == []
    assert "no tools are on offer here" in cli("tools", "install", "a").err
    offered(sleap=Tool())
    assert "sleap" in cli("tools", "install", "slaep").err
    assert "name one of sleap" in cli("tools", "install").err
    assert "there is list, and install NAME" in cli("tools", "remove").err
