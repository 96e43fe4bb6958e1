"""Files and folders that commands write: folders above them are made, and a name that says another format is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

Cli = Any  # the fixture of conftest.py

FILES = {
    ".json": "predict --weights {run} --images {photos} --out",
    ".csv": "predict --weights {run} --images {photos} --format dlc --out",
    ".html": "page --results {results} --no-gallery --out",
    ".htm": "leaderboard --results {results} --html",
    ".svg": "plot ranks --results {results} --out",
    ".png": "inspect {data} --out",
    ".PNG": "show net3 --results {results} --data {data} --out",
    ".onnx": "export-model --weights {run} --data {data} --out",
    ".yaml": "export-hf net3 --results {results} --model me/net3 --out",
}
"""Suffix -> the command that writes such a file."""

FOLDERS = {
    "bundle": "bundle --results {results} --out",
    "export": "export --data {data} --out",
    "overlay": "predict --weights {run} --images {photos} --out {tmp}/p.json --overlay",
}

CONTRADICTIONS = {
    "predict --weights {run} --images {photos} --format coco --out {tmp}/o.csv": "a file of format coco ends in .json",
    "predict --weights {run} --images {photos} --format csv --out {tmp}/o.json": "a file of format csv ends in .csv",
    "predict --weights {run} --images {photos} --format dlc --out {tmp}/o": "a file of format dlc ends in .csv or .h5",
    "page --results {results} --out {tmp}/o.png": "a page ends in .html or .htm",
    "leaderboard --results {results} --html {tmp}/o.csv": "a page ends in .html or .htm",
    "duel mean --results {results} --out {tmp}/o.svg": "a page ends in .html or .htm",
    "plot ranks --results {results} --out {tmp}/o.pdf": "a plot ends in .svg, .png or .json",
    "inspect {data} --out {tmp}/o.jpg": "a contact sheet ends in .png",
    "inspect {data} --labels {data} --sigmas-out {tmp}/o.csv": "a file of sigmas ends in .json",
    "show net3 --results {results} --data {data} --out {tmp}/o.html": "a contact sheet ends in .png",
    "suspects --data {data} --out {tmp}/o.svg": "a contact sheet ends in .png",
    "export-model --weights {run} --data {data} --out {tmp}/o.pt": "an exported model ends in .onnx",
    "export-hf net3 --results {results} --model me/net3 --out {tmp}/o.md": "evaluation results ends in .yaml or .yml",
    "commit --secret {tmp}/secret.json --out {tmp}/o.txt": "a secret or its commitment ends in .json",
}


@pytest.fixture
def places(data: Path, results: Path, run_of: Any, tmp_path: Path) -> dict[str, Path]:
    return {
        "data": data,
        "photos": data / "images" / "test",
        "results": results,
        "run": run_of(results, "net3"),
        "tmp": tmp_path,
    }


@pytest.mark.parametrize("suffix", FILES)
def test_folders_above_a_file_are_made(cli: Cli, places: dict[str, Path], suffix: str) -> None:
    out = places["tmp"] / "not" / "there" / f"o{suffix}"
    said = cli(*FILES[suffix].format(**places).split(), out)
    assert said.code == 0, said.err
    assert out.stat().st_size > 0


@pytest.mark.parametrize("command", FOLDERS)
def test_folders_above_a_folder_are_made(cli: Cli, places: dict[str, Path], command: str) -> None:
    out = places["tmp"] / "not" / "there"
    said = cli(*FOLDERS[command].format(**places).split(), out)
    assert said.code == 0, said.err
    assert any(out.iterdir())


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_a_name_that_says_another_format_is_refused(cli: Cli, places: dict[str, Path], words: str) -> None:
    said = cli(*words.format(**places).split())
    assert (said.code, said.out) == (2, "")
    assert CONTRADICTIONS[words] in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(places["tmp"].glob("o*")) + list(places["tmp"].glob("secret*"))


def test_a_name_without_a_suffix_will_do_where_one_format_is_possible(cli: Cli, places: dict[str, Path]) -> None:
    out = places["tmp"] / "answers"
    for form in ("coco", "csv"):
        words = ["predict", "--weights", places["run"], "--images", places["photos"], "--format", form, "--out", out]
        assert cli(*words).code == 0


def test_boards_are_written_beside_runs_and_not_beside_bundles(cli: Cli, results: Path, tmp_path: Path) -> None:
    """A folder of bundles is somebody's published evidence: looking at it changes nothing in it."""
    shared = tmp_path / "shared"
    assert cli("bundle", "--results", results, "--out", shared).code == 0
    before = sorted(shared.iterdir())
    assert cli("leaderboard", "--results", shared).code == 0
    assert sorted(shared.iterdir()) == before
    assert cli("unbundle", *before, "--results", tmp_path / "own").code == 0
    before[0].rename(tmp_path / "own" / before[0].name)  # a folder of runs that a bundle lies in
    assert cli("leaderboard", "--results", tmp_path / "own").code == 0
    assert (tmp_path / "own" / "LEADERBOARD.md").is_file()
