"""The published tables are what their bundles say; these pass the audit, and every ablation has changed a score."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark.registry import entries, resolve
from benchmark.runs.bundle import open_results
from benchmark.runs.store import Results
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.expected import expected, identity, stored_scores
from leaderboard.render.markdown import markdown
from leaderboard.render.plots.files import svg
from leaderboard.render.tables import as_rows

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "leaderboard" / "published"
TOO_SLOW = {"fcos", "keypointrcnn-fpn"}  # for the machine the boards were made on: ten minutes a fit
FOLDERS = (
    ".",
    "confirmed",
    "probe",
    "ablations",
    *sorted(f"processors/{p.name}" for p in PUBLISHED.glob("processors/*/")),
)


def same(a: Any, b: Any) -> bool:
    """Whether two JSON documents are equal, numbers to 1e-9: sums differ in their last bits between processors."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)


def opened(name: str) -> Results:
    return open_results(PUBLISHED / name)


@pytest.fixture(scope="module")
def publish() -> ModuleType:
    """scripts/publish.py, which writes the tables."""
    spec = spec_from_file_location("publish", ROOT / "scripts" / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [".", "confirmed"])
def test_a_published_board_is_made_of_the_bundles_beside_it(name: str) -> None:
    """Stale? ``python scripts/publish.py tables`` writes it again."""
    made = boards(opened(name))
    assert (PUBLISHED / name / "LEADERBOARD.md").read_text(encoding="utf-8") == markdown(made)
    rows = [row for board in made for row in as_rows(board)]
    if name == ".":
        written = json.loads((PUBLISHED / "LEADERBOARD.json").read_text(encoding="utf-8"))
        assert same(written, json.loads(json.dumps(rows)))
    assert not [row["row"] for row in rows if row["status"] != "finished" or row["failed_seeds"]]


def test_the_other_tables_are_made_of_their_bundles(publish: ModuleType) -> None:
    for file, table in (
        ("probe/PROBE.md", publish.probe_table()),
        ("ablations/ABLATIONS.md", publish.ablation_table()),
        ("processors/PROCESSORS.md", publish.processor_table()),
    ):
        assert (PUBLISHED / file).read_text(encoding="utf-8") == table


def test_a_plot_of_the_readme_shows_what_the_bundles_give(publish: ModuleType) -> None:
    """What each mark is said to stand for, not its place, which depends on the fonts of a machine."""
    pytest.importorskip("vl_convert")

    def said(drawn: str) -> list[str]:
        return sorted(re.findall(r'aria-label="([^"]*)"', drawn))

    for kind in publish.PLOTS:
        kept = (PUBLISHED / f"{kind}.svg").read_text(encoding="utf-8")
        assert said(kept) == said(svg(publish.plot(kind)))
        assert len(said(kept)) > 30


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_published_passes_the_audit_and_counts_its_stale_rows(name: str) -> None:
    report = audit(opened(name))
    assert [problem for check in report.checks for problem in check.problems] == []
    (check,) = [check for check in report.checks if check.code == "code"]
    stale = sum(
        1
        for board in boards(opened(name))
        for row in (*board.rows, *board.references)
        if row.code is not None and row.code.status == "changed"
    )
    assert check.values["changed"] == stale


def test_what_is_published_is_small() -> None:
    files = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert len(files) < 40
    assert sum(path.stat().st_size for path in files) < 6 * 2**20


def test_every_detector_of_ours_stands_on_the_published_board() -> None:
    parts = {"regression", "probe"}  # rows to put together, with no recipe of their own
    ours = {name for name, (first, *_) in entries().items() if first.origin.startswith("built in")}
    assert ours - parts - set(expected()) <= TOO_SLOW


def test_every_ablation_changes_the_score() -> None:
    without = stored_scores(opened("ablations"))
    specs = {name: resolve(text) for name in set(expected()) & set(entries()) if (text := resolve(name).ablated)}
    scores = {name: without.get(identity(spec.entry.name, spec.values)) for name, spec in specs.items()}
    assert {name for name, found in scores.items() if found is None} == TOO_SLOW & set(specs)
    assert [n for n, found in scores.items() if found and abs(found["mean"] - expected()[n]["mean"]) < 1e-9] == []


def test_every_command_that_reads_results_reads_bundles(tmp_path: Path) -> None:
    """One road each, in a process of its own, on a published bundle and on the folder of all of them."""
    bundle = PUBLISHED / "centroid@1-tiny.bundle.zip"
    for words in (
        ["leaderboard", "--results", bundle, "--json"],
        ["compare", "heatmap", "extrema", "--results", bundle, "--json"],
        ["audit", "--results", bundle, "--json"],
        ["bundle", "--results", bundle, "--out", tmp_path],
    ):
        done = subprocess.run([sys.executable, "-m", "benchmark", *map(str, words)], capture_output=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr.decode()
    again = {run.record.key: run for run in open_results(tmp_path / bundle.name).runs()}
    for run in open_results(bundle).runs():
        assert again[run.record.key].record == run.record
        assert (again[run.record.key].predictions.keypoints == run.predictions.keypoints).all()
