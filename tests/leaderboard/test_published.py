"""What is published: reports, README and expected figures are what the studies' bundles say, and these pass the audit.

The figures are also found again by code that shares nothing with ours: zip archives, JSON, and distances.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.api import grids_of
from benchmark.registry import entries, resolve
from benchmark.runs.bundle import open_results
from benchmark.runs.label_floor import LabelFloor
from benchmark.runs.store import Results, StoredRun
from benchmark.structures import UserError
from benchmark.study.make import differs, texts_of, write_report
from benchmark.study.study_file import CellSection, read_study
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.expected import expected
from leaderboard.render.plots.files import svg

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "studies"
NAMES = sorted(path.parent.name for path in STUDIES.glob("*/study.yaml"))
TOO_SLOW = {"fcos", "keypointrcnn-fpn"}  # ablations: for the machine these were made on, ten minutes a fit
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- study: ([\w-]+) -->\n(.*?)<!-- end of study: \1 -->\n", flags=re.DOTALL)
ROW = re.compile(r"^\| +[\d–]+ \| (\S+)(?: \[\w+\])? +\| +([\d.]+) ±[\d.]+ \| +([\d.]+) \|", flags=re.MULTILINE)
BUNDLES = sorted({bundle.parent for bundle in STUDIES.rglob("*.bundle.zip")})


@pytest.mark.parametrize("name", NAMES)
def test_what_a_study_wrote_is_what_its_bundles_say(name: str) -> None:
    """Stale? ``python -m benchmark study studies/* --report-only`` writes all of it again."""
    assert differs(STUDIES / name / "study.yaml") == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A study that writes into a README, with that README."""
    shutil.copy(ROOT / "README.md", tmp_path)
    return Path(shutil.copytree(STUDIES / "extrema", tmp_path / "studies" / "extrema")) / "study.yaml"


def test_figures_changed_by_hand_are_found_and_written_again(copied: Path, tmp_path: Path) -> None:
    texts = {}
    for file in ("README.md", "studies/extrema/REPORT.md"):
        texts[tmp_path / file] = (tmp_path / file).read_text(encoding="utf-8")
        (tmp_path / file).write_text(
            texts[tmp_path / file].replace("94.0 % exact", "95.0 % exact", 1), encoding="utf-8"
        )
    assert [line[0] for line in differs(copied) if "95.0 % exact" in line] == ["-", "-"]
    assert set(write_report(copied)) == set(texts)
    for file, text in texts.items():
        assert file.read_text(encoding="utf-8") == text


def test_a_text_without_a_place_for_its_block_is_refused(copied: Path, tmp_path: Path) -> None:
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(text.replace("<!-- end of study: extrema -->\n", ""), encoding="utf-8")
    with pytest.raises(UserError, match=r"README\.md: needs one line <!-- study: extrema -->"):
        texts_of(copied)


def test_no_figure_of_the_readme_stands_outside_of_a_block() -> None:
    typed = re.sub(r"^```.*?^```$", "", BLOCK.sub("", README), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\d(?:\.\d+)? (?:px|%)|\d\.\d{3}|^\|.*\d+\.\d.*\|$", typed, flags=re.MULTILINE) == []
    assert {name for name, _ in BLOCK.findall(README)} == {"topleft", "backbone-or-head", "extrema"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def raw_runs(bundle: Path) -> Iterator[tuple[str, Any, Any]]:
    """Specification, answered and annotated points of every run, read without our code."""
    with zipfile.ZipFile(bundle) as archive:
        annotated = {}
        for line in archive.read("annotations.jsonl").decode().splitlines():
            one = json.loads(line)
            annotated[one["digest"]] = {a["image_id"]: a["keypoints"][:2] for a in one["document"]["annotations"]}
        for line in archive.read("records.jsonl").decode().splitlines():
            one = json.loads(line)
            arrays = {
                field: np.load(io.BytesIO(archive.read(f"arrays/{one['arrays'][field]}.npy")))
                for field in ("image_ids", "keypoints", "scores")
            }
            best: dict[int, int] = {}
            for i, image in enumerate(arrays["image_ids"]):  # of several answers the most confident
                if image not in best or arrays["scores"][i] > arrays["scores"][best[image]]:
                    best[image] = i
            places = annotated[one["record"]["annotations"]]
            answered = arrays["keypoints"].reshape(-1, 2)[[best[image] for image in places]]
            yield one["record"]["config"]["detector"], answered, np.array(list(places.values()))


def test_figures_are_found_again_by_code_that_is_not_ours() -> None:
    """Of the report, the README and the file of expected figures: a row's mean over seeds and images, and its share exact."""
    (bundle,) = (STUDIES / "topleft" / "runs").glob("*.bundle.zip")
    found: dict[str, list[tuple[float, float]]] = {}
    for name, answered, places in raw_runs(bundle):
        off = np.abs(answered - places)
        found.setdefault(name, []).append((float(np.hypot(*off.T).mean()), float((off < 0.5).all(axis=1).mean())))
    report = (STUDIES / "topleft" / "REPORT.md").read_text(encoding="utf-8")
    (block,) = (text for name, text in BLOCK.findall(README) if name == "topleft")
    written = ROW.findall(report) + ROW.findall(block)
    assert len(written) > 50
    for name, mean, exact in written:
        ours = np.mean(found[name], axis=0)
        assert float(mean) == pytest.approx(ours[0], abs=0.0006)
        assert float(exact) == pytest.approx(100 * ours[1], abs=0.06)
    for name, row in expected().items():
        assert (row["mean"], row["exact"]) == pytest.approx(tuple(np.mean(found[name], axis=0)), abs=6e-5)
        assert row["seeds"] == len(found[name])


def said(drawn: str) -> list[str]:
    return sorted(re.findall(r'aria-label="([^"]*)"', drawn))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_of_a_report_shows_what_the_bundles_give(name: str) -> None:
    """What each mark is said to stand for, not its place, which depends on the fonts of a machine."""
    pytest.importorskip("vl_convert")

    def held(make: Callable[[], dict[str, Any]], file: str) -> None:
        drawn = svg(make())
        assert said((STUDIES / name / file).read_text(encoding="utf-8")) == said(drawn)
        assert len(said(drawn)) > 30

    texts_of(STUDIES / name / "study.yaml", draw=held)


LARGE = "tiny-wide"  # 4,291 images, about which pycocotools takes a third of a second a run
OF_LARGE = {"linear:features=pts", "heatmap", "ssd", "mean", "extrema"}  # of topleft


class FirstSeed(Results):
    """A run a row, so that the audit takes seconds; of thousands of images, of one task and some rows only."""

    def __init__(self, results: Results) -> None:
        self.root, self._results = results.root, results

    def runs(self) -> Iterator[StoredRun]:
        for run in self._results.runs():
            config = run.record.config
            large = config.data.startswith(LARGE)
            if run.record.seed == 0 and (not large or (config.task == "topleft" and config.detector in OF_LARGE)):
                yield run

    def label_floor(self, digest: str) -> LabelFloor | None:
        return self._results.label_floor(digest)


@pytest.mark.parametrize("folder", BUNDLES, ids=[str(path.relative_to(STUDIES)) for path in BUNDLES])
def test_what_is_published_passes_the_audit_and_counts_its_stale_rows(folder: Path) -> None:
    results = FirstSeed(open_results(folder))
    report = audit(results)
    assert [problem for check in report.checks for problem in check.problems] == []
    (check,) = [check for check in report.checks if check.code == "code"]
    rows = [row for board in boards(results) for row in (*board.rows, *board.references)]
    assert check.values["changed"] == sum(row.code is not None and row.code.status == "changed" for row in rows)
    assert not [row for row in rows if row.failures]


def test_what_is_published_is_small() -> None:
    assert sum(path.stat().st_size for path in STUDIES.rglob("*.zip")) < 12_000_000  # every bundle and file of answers


def test_every_detector_of_ours_is_asked_for_by_the_study_of_topleft(tmp_path: Path) -> None:
    parts = {"regression", "probe"}  # rows to put together, with no recipe of their own
    ours = {name for name, (first, *_) in entries().items() if first.origin.startswith("built in")}
    grids = grids_of(STUDIES / "topleft" / "grid.yaml", {"results": str(tmp_path)})
    asked = {resolve(text).entry.name for grid in grids for text in grid.config.detectors}
    assert ours - parts <= asked


def test_every_ablation_is_shown_and_changes_the_score() -> None:
    file = STUDIES / "ablations" / "study.yaml"
    (shown,) = (section.cells.rows for section in read_study(file).sections if isinstance(section, CellSection))
    pairs = {str(first): str(second) for first, second in shown.values()}
    parts = {"regression", "probe"}
    ours = {name for name, (first, *_) in entries().items() if first.origin.startswith("built in")} - parts
    assert pairs == {name: text for name in ours - TOO_SLOW if (text := resolve(name).ablated)}
    (board,) = boards(open_results(file.parent / "runs"))
    means = {row.label: row.metrics["mean"] for row in board.finished}
    assert [name for name, text in pairs.items() if abs((means[name] or 0) - (means[text] or 0)) < 1e-9] == []


def test_expected_figures_are_shown_beside_detectors() -> None:
    words = [sys.executable, "-m", "benchmark", "list", "detectors", "--json"]
    done = subprocess.run(words, capture_output=True, cwd=ROOT, check=True)
    known = {row["name"]: row for row in json.loads(done.stdout)}
    assert known["heatmap"]["px"] == round(expected()["heatmap"]["mean"], 3)
    assert known["heatmap"]["exact %"] == round(100 * expected()["heatmap"]["exact"], 1)
    assert known["probe"]["px"] is None


def test_every_command_that_reads_results_reads_bundles(tmp_path: Path) -> None:
    """One road each, in a process of its own, on a published bundle."""
    bundle = STUDIES / "extrema" / "runs" / "centroid@1-tiny.bundle.zip"
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
