"""Every command on the files of other tools: what `run` says, `score` says of what `predict` wrote, whatever road is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from other_tools import folders_of_tools


@pytest.mark.parametrize("tool", ["label-studio", "cvat"])
def test_every_command(tool: str, cli: Any, tmp_path: Path) -> None:
    folder = folders_of_tools(tmp_path / "tools")[tool]
    file = next(path for path in folder.iterdir() if path.is_file())
    results, answers, exported = (tmp_path / name for name in ("results", "answers.json", "exported"))
    said = cli("run", "--data", folder, "--detector", "mean", "--results", results, "--save-weights", "--json")
    assert said.code == 0
    (row,) = said.document
    (run,) = results.rglob("run.json")
    assert cli("predict", "--weights", run.parent, "--images", file, "--out", answers).code == 0
    assert cli("export", "--data", file, "--out", exported).code == 0
    for known in (folder, file, exported):
        scored = cli("score", "--predictions", answers, "--annotations", known, "--json")
        assert scored.document["mean"] == pytest.approx(row["mean"], abs=1e-9)
    seen = cli("inspect", file, "--json")
    assert sum(part["images"] for part in json.loads(seen.out)["splits"].values()) == 12
