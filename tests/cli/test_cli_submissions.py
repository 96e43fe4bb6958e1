"""submit and verify as typed: what is written, what is said, and the exit codes 0, 1 and 2."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
ABOUT = "name: Jane [red]Doe[/]\nlicense: CC-BY-4.0\ntraining_data: the train split\n"


@pytest.fixture
def about(tmp_path: Path) -> Path:
    (tmp_path / "about.yaml").write_text(ABOUT)
    return tmp_path / "about.yaml"


def test_rows_of_ones_own_are_submitted_and_verified(
    cli: Cli, results: Path, data: Path, about: Path, tmp_path: Path
) -> None:
    said = cli("submit", "--about", about, "--results", results, "--row", "linear", "--out", tmp_path / "out")
    assert said.code == 0, said.err
    (bundle,) = (tmp_path / "out").iterdir()
    assert bundle.name == "made@1-made-Jane-red-Doe.bundle.zip"
    said = cli("verify", bundle, "--data", data, "--sample", 1, "--seed", 1)
    assert said.code == 0, said.out + said.err
    assert "Jane [red]Doe[/], CC-BY-4.0" in said.out
    assert "1 of 2 runs made again: 1 identical" in said.out
    document = cli("verify", bundle, "--data", data, "--sample", 0, "--json").document
    assert (document["failed"], document["rows"], document["again"]) == (False, ["linear"], [])
    assert cli("leaderboard", "--results", bundle).code == 0  # every command reads it
    assert cli("submit", "--about", about, "--results", results, "--out", tmp_path / "out").code == 2  # is there


def test_exit_codes(cli: Cli, results: Path, data: Path, about: Path, tmp_path: Path) -> None:
    assert cli("bundle", "--results", results, "--out", tmp_path / "published").code == 0
    (published,) = (tmp_path / "published").iterdir()
    said = cli("verify", published, "--data", data, "--sample", 0)  # no submission: nobody answers for it
    assert said.code == 1
    assert "does not say who submits it" in said.out
    assert " does not stand; " in said.out
    with zipfile.ZipFile(published, "a") as archive:
        archive.writestr("../evil.py", "")
    said = cli("verify", published)
    assert said.code == 2
    assert "'../evil.py' has no place in it" in said.err
    assert cli("verify", tmp_path).code == 2
    assert cli("submit", "--about", about, "--predictions", about, "--results", results).code == 2
    assert cli("submit", "--about", tmp_path / "none.yaml", "--results", results).code == 2


def test_predictions_of_another_tool(
    cli: Cli, results: Path, data: Path, about: Path, tmp_path: Path, run_of: Callable[..., Path]
) -> None:
    theirs = shutil.copy(run_of(results, "linear") / "predictions.json", tmp_path / "theirs.json")
    words = ("submit", "--about", about, "--predictions", theirs, "--annotations", data, "--out", tmp_path / "out")
    assert cli(*words).code == 2  # no row is named
    said = cli(*words, "--row", "theirs")
    assert said.code == 0, said.err
    (bundle,) = (tmp_path / "out").iterdir()
    said = cli("verify", bundle, "--data", data)
    assert said.code == 0, said.out
    assert "no code is linked" in said.out
    said = cli(*words[:-1], tmp_path / "claims", "--row", "heatmap")
    assert said.code == 0, said.err
    (bundle,) = (tmp_path / "claims").iterdir()
    said = cli("verify", bundle, "--data", data)
    assert said.code == 1
    assert "is called as the detector 'heatmap' is" in said.out
