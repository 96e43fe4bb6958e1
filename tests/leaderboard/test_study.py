"""Studies: what is refused, what checks find on made boards, what a report holds, and a whole one made from nothing."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmark.cli import main
from benchmark.runs.bundle import open_results, write_bundles
from benchmark.structures import Annotations, UserError
from benchmark.study.evidence import Evidence
from benchmark.study.make import differs, make, report_of
from benchmark.study.report import beside, report, write_nothing
from benchmark.study.study_file import Check, On, Question, Study, read_study
from leaderboard.board import boards

SMOKE = Path(__file__).parents[2] / "studies" / "smoke"
VERDICT = re.compile(r"^### (.*)\n\n\*\*(\w+)\.\*\*", re.MULTILINE)
HEAD = "title: t\ngrids: [grid.yaml]\n"


@pytest.fixture
def evidence(maker: Any, annotations: Annotations) -> Evidence:
    """Three rows: one exact, one 2 px off everywhere, one exact in half of the images."""
    half = np.zeros((50, 1, 2))
    half[::2] = 4.0
    for name, offsets in (("exact", 0.0), ("off", 2.0), ("half", half)):
        for seed in (0, 1):
            maker.put(name, annotations, maker.answers(annotations, offsets), seed)
    return Evidence(boards(maker.store))


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        ({"better": ("exact", "off")}, "shown"),
        ({"better": ("off", "exact")}, "refuted"),
        ({"better": ("half", "off")}, "open"),
        ({"exact": "exact", "at_least": 90}, "shown"),  # of 50 images 92.9 % at least
        ({"exact": "exact", "at_least": 99}, "open"),
        ({"exact": "off", "at_least": 10}, "refuted"),
        ({"exact": "half", "at_least": 50}, "open"),
        ({"exact": "half", "at_most": 70}, "shown"),
        ({"mean": "off", "at_most": 3}, "shown"),
        ({"mean": "off", "at_least": 3}, "refuted"),
        ({"exact": "ranked", "at_least": 90}, "refuted"),  # shown of one row, and the contrary of another
        ({"exact": "ranked", "at_least": 0}, "shown"),
    ],
)
def test_a_check_is_shown_refuted_or_open(check: dict[str, Any], outcome: str, evidence: Evidence) -> None:
    assert evidence.finding(Check(**check)).outcome == outcome


@pytest.mark.parametrize(
    ("for_it", "against", "verdict"),
    [
        ({"exact": "exact", "at_least": 90}, {"exact": "exact", "at_most": 90}, "holds"),
        ({"exact": "off", "at_least": 90}, {"exact": "off", "at_most": 90}, "refuted"),
        ({"exact": "half", "at_least": 50}, {"exact": "half", "at_most": 50}, "undecided"),
        ({"exact": "exact", "at_least": 90}, {"better": ("exact", "off")}, "undecided"),  # both are shown
    ],
)
def test_a_verdict_follows_from_its_checks(
    for_it: dict[str, Any], against: dict[str, Any], verdict: str, evidence: Evidence
) -> None:
    asked = Question(
        question="?",
        holds_if=(Check(**for_it),),
        refuted_if=(Check(**against),),
        holds="it does",
        refuted="it does not",
    )
    assert evidence.answer(asked).verdict == verdict


def test_rows_together(evidence: Evidence) -> None:
    assert [row.label for row in evidence.rows("ranked")] == ["exact", "half", "off"]
    assert [row.label for row in evidence.rows(["off", "exact"])] == ["exact", "off"]
    with pytest.raises(UserError, match="no finished row 'exat': did you mean 'exact'"):
        evidence.rows("exat")
    with pytest.raises(UserError, match="0 boards of task other, data any; there are: made@1 on dots"):
        evidence.rows("exact", On(task="other"))


def test_a_report_holds_the_figures_of_its_rows_and_names_their_runs(evidence: Evidence) -> None:
    study = Study.model_validate(
        {
            "title": "Title",
            "grids": ["g.yaml"],
            "sections": [
                {
                    "text": 'It is {{ exact("half") }}, {{ mean("off") }}, rank {{ rank("off") }}, {{ difference("off", "exact") }}.'
                },
                {"table": {"rows": ["off"], "columns": ["detector", "exact %"]}},
                {"across": {"rows": ["half", "gone"], "boards": {"here": {"task": "made"}}}},
            ],
        }
    )
    text = report(study, list(evidence.boards), write_nothing)
    px = 8**0.5
    ends = binomtest(25, 50).proportion_ci(method="exact")
    share = f"50.0 % exact ({100 * ends.low:.1f} to {100 * ends.high:.1f} %)"
    assert f"It is {share}, {px:.3f} px ({px:.3f} to {px:.3f}), rank 2–3, +{px:.3f} px" in text
    assert re.search(r"\| detector \| exact % \|\n.*\n\| off +\| +0 \|", text)
    half = 100 * max(ends.high - 0.5, 0.5 - ends.low)
    assert re.search(rf"\| half +\| 2.828 ±\d\.\d+, 50.0 ±{half:.1f} % \|\n\| gone +\| +– \|", text)
    keys = {run.record.key for row in evidence.boards[0].rows for run in row.runs}
    assert set(re.findall(r"\d: (\w{16})", text)) == keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grids: [g.yaml]\nsections: [{text: a}]", "title: field required"),
        (HEAD + "sections: [{txt: a}]", "section 1 is none of heading, text"),
        (HEAD + "sections: [{question: q, holds: a, refuted: b, holds_if: [{exact: a}]}]", "have a limit"),
        (HEAD + "sections: [{question: q, holds: a, refuted: b, holds_if: []}]", "section 1 .question. holds_if"),
        (HEAD + "sections: [{text: a, wrong: 1}]", "section 1 .text. wrong: extra inputs"),
        (HEAD + "sections: [{figure: {kind: cost, file: ../x.svg}}]", "figure.file: string should match"),
        ("- a", "is no study"),
    ],
)
def test_a_file_that_is_no_study_is_refused_with_the_place(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_study(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    "text", ["{{ exact('gone') }}", "{{ nothing }}", "{{ exact() }}", "{{ ''.__class__.__mro__ }}", "{{ mean('off' }}"]
)
def test_prose_that_asks_for_what_is_not_there_is_refused(text: str, evidence: Evidence) -> None:
    study = Study.model_validate({"title": "t", "grids": ["g"], "sections": [{"text": text}]})
    with pytest.raises(UserError, match="section 1"):
        report(study, list(evidence.boards), write_nothing)


def test_a_report_that_is_not_what_its_bundles_say_is_found(
    maker: Any, annotations: Annotations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    maker.put("off", annotations, maker.answers(annotations, 2.0))
    folder = tmp_path / "study"
    write_bundles(maker.store, folder / "runs")
    (folder / "study.yaml").write_text(HEAD + "sections: [{text: '{{ mean(\"off\") }}'}]")
    for words, code in (("--check", 1), ("--report-only", 0), ("--check", 0)):
        monkeypatch.setattr(sys, "argv", ["benchmark", "study", str(folder), words, "--json"])
        with pytest.raises(SystemExit) as left:
            main()
        assert int(left.value.code or 0) == code
        json.loads(capsys.readouterr().out)
    report_file = folder / "REPORT.md"
    report_file.write_text(report_file.read_text().replace("2.828", "1.828"))
    assert any("1.828" in line for line in differs(folder / "study.yaml"))


@pytest.mark.fits
def test_a_study_made_from_nothing_gives_the_same_bytes_and_the_published_verdicts(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        shutil.copytree(SMOKE, tmp_path / name, ignore=shutil.ignore_patterns("runs", "REPORT.md"))
        make(tmp_path / name / "study.yaml", tmp_path / f"results-{name}")
        texts.append((tmp_path / name / "REPORT.md").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    published = report_of(SMOKE / "study.yaml")
    assert VERDICT.findall(texts[0]) == VERDICT.findall(published)
    assert len(VERDICT.findall(published)) == 2


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"text": "{{ 1 / 0 }}"}, "section 1: text: division by zero"),
        ({"text": "{{ mean([1]) }}"}, "section 1: text: "),
        ({"text": "{{ mean }}"}, "brackets"),
        ({"across": {"rows": ["half"], "boards": {"here": {}}, "metrics": ["maen"]}}, "unknown metric 'maen'"),
    ],
)
def test_what_prose_cannot_compute_is_said_in_one_line(section: dict[str, Any], words: str, evidence: Evidence) -> None:
    study = Study.model_validate({"title": "t", "grids": ["g.yaml"], "sections": [section]})
    with pytest.raises(UserError, match=re.escape(words)) as raised:
        report(study, list(evidence.boards), write_nothing)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ("[{figure: {kind: cost, file: a.svg}}, {figure: {kind: pck, file: A.svg}}]", "two figures are called A.svg"),
        ("[{question: q, holds_if: [{exact: a, at_least: .nan}], holds: h, refuted: r}]", "finite"),
        ("[{question: q, holds_if: [{better: [a, a]}], holds: h, refuted: r}]", "compared with itself"),
    ],
)
def test_what_no_run_could_decide_is_refused(sections: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(f"{HEAD}sections: {sections}\n")
    with pytest.raises(UserError, match=words):
        read_study(tmp_path / "study.yaml")


def test_an_unknown_kind_of_figure_is_named(tmp_path: Path, evidence: Evidence) -> None:
    study = Study.model_validate(
        {"title": "t", "grids": ["g.yaml"], "sections": [{"figure": {"kind": "ranked", "file": "a.svg"}}]}
    )
    with pytest.raises(UserError, match="unknown plot 'ranked': did you mean 'ranks'"):
        report(study, list(evidence.boards), beside(tmp_path))


def test_studies_that_share_a_folder_of_results_publish_their_own_runs(tmp_path: Path) -> None:
    for name, detector in (("one", "linear:features=pts"), ("two", "linear:features=pts12")):
        (tmp_path / name).mkdir()
        grid = f"detectors: ['{detector}']\ntask: topleft\ndata: tiny\nn: 60\nthreads: 1\n"
        (tmp_path / name / "grid.yaml").write_text(grid)
        (tmp_path / name / "study.yaml").write_text(f"{HEAD}sections: [{{heading: h}}]\n")
        make(tmp_path / name / "study.yaml", tmp_path / "results")
        runs = open_results(tmp_path / name / "runs").runs()
        assert {run.record.config.detector for run in runs} == {detector, "mean"}
