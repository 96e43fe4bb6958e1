"""Studies of learning curves and of corrupted images: tables, prose, checks and small multiples, against made answers."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.structures import Annotations, UserError
from benchmark.study import ask_again
from benchmark.study.evidence import Evidence
from benchmark.study.make import differs, make
from benchmark.study.needed import learning_records
from benchmark.study.report import beside, report, write_nothing
from benchmark.study.study_file import Curves, Study, read_study
from leaderboard.board import boards

SIZES = (10, 20, 50, 100, 200)


@pytest.fixture
def evidence(maker: Any, annotations: Annotations) -> Evidence:
    """``halving``: an error of 20 px over n, but for what its seeds and images add; ``level``: one of 3 px."""
    rng = np.random.default_rng(0)
    for n in SIZES:
        for seed in (0, 1, 2):
            near = rng.uniform(0.95, 1.05, (len(annotations), 1, 1)) * [1.0, 0.0]
            maker.put("halving", annotations, maker.answers(annotations, 20 / n * near), seed, config={"n_train": n})
            maker.put("level", annotations, maker.answers(annotations, 3 * near), seed, config={"n_train": n})
    return Evidence(boards(maker.store))


def _report(evidence: Evidence, *sections: dict[str, Any], draw: Any = write_nothing) -> str:
    study = Study.model_validate({"title": "t", "grids": ["g.yaml"], "sections": sections})
    return report(study, list(evidence.boards), draw)


def test_images_needed_are_read_off_the_curve(evidence: Evidence) -> None:
    text = _report(
        evidence,
        {"needed": {"rows": ["halving", "level"], "px": 1.0}},
        {"text": "{{ needed('halving', px=1) }}; {{ needed('level', exact=99) }}"},
    )
    (line,) = re.findall(r"^\| halving .*\|$", text, re.MULTILINE)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert [float(cell.split(",")[0]) for cell in cells[1:6]] == pytest.approx([2.0, 1.0, 0.4, 0.2, 0.1], abs=0.03)
    images, low, high = map(int, re.findall(r"\d+", cells[7]))
    assert low <= 20 <= high  # 20 / n px are 1 px with 20 images
    assert 18 <= images <= 22
    assert f"{cells[7]}; cannot say: " in text
    keys = {run.record.key for row in evidence.boards[0].rows for run in row.runs}
    assert set(re.findall(r"\d: (\w{16})", text)) == keys  # every row of a curve is named


def test_curves_have_the_figures_of_their_rows(evidence: Evidence, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    (board,) = evidence.boards
    for of in ("error", "exact"):
        made = learning_records(Curves(of=of, file="a.svg", rows=("level", "halving")), evidence)
        assert list(dict.fromkeys(one["panel"] for one in made)) == ["level", "halving"]
        for one in made:
            row = board.row(f"{one['panel']} n{one['x']}")
            assert row is not None
            span = row.exact_interval if of == "exact" else row.interval
            assert span is not None
            assert one["value"] == pytest.approx(row.metrics["exact" if of == "exact" else "mean"])
            assert (one["low"], one["high"]) == pytest.approx((span.low, span.high))
        section = {"curves": {"of": of, "file": f"{of}.svg", "rows": ["level", "halving"], "caption": "Seen."}}
        assert f"![Seen.]({of}.svg)" in _report(evidence, section, draw=beside(tmp_path))
        drawn = (tmp_path / f"{of}.svg").read_text(encoding="utf-8")
        assert "halving" in drawn
        assert board.title in drawn


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"needed": {"rows": ["halvin"]}}, "did you mean 'halving"),
        ({"text": "{{ needed('halving') }}"}, "name one target"),
        ({"corrupted": {}}, "no fit was asked about corrupted images"),
        ({"text": "{{ corrupted('level') }}"}, "no fit was asked about corrupted images"),
    ],
)
def test_what_is_not_stored_is_refused(section: dict[str, Any], words: str, evidence: Evidence) -> None:
    with pytest.raises(UserError, match=words):
        _report(evidence, section)


STUDY = """
title: t
grids: [grid.yaml]
corruptions: [shift, noise]
board: {task: topleft, data: tiny}
sections:
  - corrupted: {}
  - curves: {of: corrupted, rows: ["linear:features=pts", mean], file: c.svg}
  - question: Does it survive?
    holds_if: [{exact: "linear:features=pts", at_least: 90, data: tiny~shift-5}]
    refuted_if: [{exact: "linear:features=pts", at_most: 90, data: tiny~noise-1}, {hardier: [mean, "linear:features=pts"]}]
    holds: It does.
    refuted: "It does not: {{ corrupted('linear:features=pts') }}."
    undecided: "{{ corrupted('linear:features=pts') }}"
"""


def test_a_study_of_corrupted_images_is_published_without_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vl_convert")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY)
    (folder / "grid.yaml").write_text("detectors: ['linear:features=pts', mean]\ntask: topleft\nn: 60\nthreads: 1\n")
    make(folder / "study.yaml", tmp_path / "results")
    text = (folder / "REPORT.md").read_text(encoding="utf-8")
    shares = [line.split("|")[5] for line in text.splitlines() if line.startswith("| linear")]
    assert "at least 90 % exact (tiny~shift-5): **shown**" in text
    assert "at most 90 % exact (tiny~noise-1): **shown**" in text
    assert float(shares[0]) == pytest.approx(50, abs=5)  # all of the shifted ones, hardly any of the noisy ones
    assert "**Undecided.**" in text  # both sides have something shown
    published = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    monkeypatch.setattr(ask_again, "robustness", None)  # nothing is fitted or asked again, on a machine without weights
    make(folder / "study.yaml", tmp_path / "elsewhere")
    assert {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == published
    assert differs(folder / "study.yaml") == []
    (folder / "study.yaml").write_text(STUDY.replace("[shift, noise]", "[shft]"))
    with pytest.raises(UserError, match="unknown corruption 'shft': did you mean 'shift'"):
        make(folder / "study.yaml", tmp_path / "elsewhere")


def test_two_figures_of_one_file_are_refused(tmp_path: Path) -> None:
    curves = "{curves: {of: error, rows: [a], file: a.svg}}"
    (tmp_path / "study.yaml").write_text(f"title: t\ngrids: [g]\nsections: [{curves}, {curves}]\n")
    with pytest.raises(UserError, match=r"two figures are called a\.svg"):
        read_study(tmp_path / "study.yaml")


def test_the_published_table_of_robustness_by_hand() -> None:
    """From the bytes of the file of answers, by code that shares nothing with ours."""
    folder = Path(__file__).parents[2] / "studies" / "robustness"
    with zipfile.ZipFile(folder / "runs" / "corrupted.answers.zip") as archive:
        head = json.loads(archive.read("answers.json"))
        planes = np.load(io.BytesIO(archive.read("keypoints.npy"))).astype(np.int64)
        known = [json.loads(line) for line in archive.read("annotations.jsonl").decode().splitlines()]
    points = {}
    for one in known:
        order = {image["id"]: i for i, image in enumerate(one["document"]["images"])}
        by_image = sorted(one["document"]["annotations"], key=lambda a: order[a["image_id"]])
        points[one["digest"]] = np.array([a["keypoints"] for a in by_image])
    unsigned = sum(plane << 8 * i for i, plane in enumerate(planes))
    answers = np.where(unsigned >= 1 << 31, unsigned - (1 << 32), unsigned)[..., 0, :] / 100
    found: dict[str, list[str]] = {}
    for name in {fit["config"]["detector"] for fit in head["fits"]}:
        fits = [i for i, fit in enumerate(head["fits"]) if fit["config"]["detector"] == name]
        errors: dict[str, list[float]] = {}
        for j, version in enumerate(head["versions"]):
            at = points[version["annotations"]]
            away = np.linalg.norm(answers[fits, j] - at[:, :2], axis=2)[:, at[:, 2] > 0]
            errors.setdefault(version["data"].partition("~")[2][:-2], []).append(float(away.mean()))
        kinds = {kind: np.mean(curve) for kind, curve in errors.items()}
        found[name] = [f"{value:.2f}" for value in (np.mean(list(kinds.values())), *kinds.values())]
    report_text = (folder / "REPORT.md").read_text(encoding="utf-8")
    table = [re.split(r" *\| *", line.strip("| ")) for line in report_text.splitlines() if line.startswith("| ")]
    headings = next(cells for cells in table if "corrupted px" in cells)
    rows = {cells[0]: cells for cells in table if len(cells) == len(headings)}
    assert len(found) == 11
    for name, figures in found.items():
        assert [rows[name][2].split()[0], *rows[name][5:-1]] == figures
