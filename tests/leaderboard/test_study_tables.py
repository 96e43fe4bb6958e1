"""Studies: tables of cells that are named, verdicts without their evidence, parts, and blocks of other texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmark
from benchmark.runs.bundle import open_results
from benchmark.structures import Annotations, UserError
from benchmark.study.blocks import with_block
from benchmark.study.cells import cell_table
from benchmark.study.evidence import Evidence
from benchmark.study.make import make
from benchmark.study.report import report, write_nothing
from benchmark.study.study_file import CellTable, On, Study, read_study
from leaderboard.board import Board, boards


@pytest.fixture
def made(maker: Any, annotations: Annotations) -> list[Board]:
    """Two rows of two seeds: ``near`` is off by 1 and 2 px to the right, ``far`` by 3 px."""
    for seed, off in enumerate((1.0, 2.0)):
        maker.put("near", annotations, maker.answers(annotations, np.array([off, 0.0])), seed)
        maker.put("far", annotations, maker.answers(annotations, np.array([3.0, 0.0])), seed)
    return boards(maker.store)


def cells(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_cell_is_a_row_or_a_run_with_the_metrics_it_asks_for(made: list[Board]) -> None:
    asked = CellTable.model_validate(
        {
            "corner": "row",
            "columns": ["over seeds", "seed 1", "more"],
            "rows": {"near": ["near", {"row": "near", "seed": 1}, {"row": "near", "metrics": ["max"]}], "far": ["far", None, None]},
        }
    )  # fmt: skip
    assert cells(cell_table(asked, Evidence(made)))[2:] == [
        ["near", "1.500 px, 0 %", "2.000 px, 0 %", "2.000 px"],
        ["far", "3.000 px, 0 %", "", ""],
    ]


def test_two_rows_side_by_side_have_their_difference(made: list[Board]) -> None:
    asked = CellTable(columns=("near", "far"), rows={"pair": ("near", "far")}, metrics=("mean",), difference=True)
    ((*_, difference),) = cells(cell_table(asked, Evidence(made)))[2:]
    assert difference.startswith("+1.500 (")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ({"row": "near", "seed": 7}, "near has no run of seed 7; it has 0, 1"),
        ({"row": "near", "metrics": ["maen"]}, "unknown metric 'maen': did you mean .*'mean'"),
        ({"row": "nera"}, "no finished row 'nera'"),
        ({"row": "near", "part": "other"}, "0 boards of task any, data any, part other; there are: made@1 on dots"),
    ],
)
def test_a_cell_of_what_is_not_there_is_refused(cell: dict[str, Any], words: str, made: list[Board]) -> None:
    with pytest.raises(UserError, match=words):
        cell_table(CellTable.model_validate({"columns": ["a"], "rows": {"r": [cell]}}), Evidence(made))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("cells: {columns: [a, b], rows: {r: [x]}}", "rows.r: has 1 cells for 2 columns"),
        ("cells: {columns: [a], rows: {r: [x]}, difference: true}", "difference: is of two columns"),
        ("cells: {columns: [a], rows: {r: [x]}, metrics: []}", "cells.metrics"),
        ("verdicts: []", "section 1 .verdicts. verdicts"),
    ],
)
def test_a_table_that_is_none_is_refused(section: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(f"title: t\ngrids: [g.yaml]\nsections: [{{{section}}}]\n")
    with pytest.raises(UserError, match=words):
        read_study(tmp_path / "study.yaml")


QUESTION = {
    "question": "Is it near?",
    "holds_if": [{"mean": "near", "at_most": 50}],
    "holds": "By {{ mean('near') }}.",
    "refuted": "No.",
}


def test_a_block_is_written_between_its_lines_and_nowhere_else(made: list[Board]) -> None:
    study = Study.model_validate(
        {
            "title": "t", "grids": ["g"], "sections": [QUESTION],
            "blocks": [{"file": "a.md", "name": "b", "sections": [{"verdicts": ["Is it near?"]}]}],
        }
    )  # fmt: skip
    begin, end = "<!-- study: b -->\n", "<!-- end of study: b -->\n"
    for old in ("", "\nstale 9.9 px\n\n"):
        text = with_block(f"before\n{begin}{old}{end}after\n", study.blocks[0], study, Evidence(made), Path("a.md"))
        head, _, rest = text.partition(begin)
        block, _, tail = rest.partition(end)
        assert (head, tail) == ("before\n", "after\n")
        assert block.startswith("\n**Is it near?** **Yes.** By 1.500 px")
    for broken in ("", begin, end + begin, begin + end + begin + end):
        with pytest.raises(UserError, match="a.md: needs one line <!-- study: b -->"):
            with_block(broken, study.blocks[0], study, Evidence(made), Path("a.md"))


def test_a_verdict_of_no_question_is_refused(made: list[Board]) -> None:
    study = Study.model_validate({"title": "t", "grids": ["g"], "sections": [QUESTION, {"verdicts": ["Is it far?"]}]})
    with pytest.raises(UserError, match="section 2: unknown question 'Is it far.': did you mean 'Is it near"):
        report(study, made, write_nothing)


def test_a_part_is_told_from_the_others(made: list[Board], maker: Any) -> None:
    evidence = Evidence({"one": made, "two": boards(maker.store)})
    with pytest.raises(UserError, match=r"2 boards of .*; there are: made@1 on dots \(one\), made@1 on dots \(two\)"):
        evidence.board()
    assert evidence.at(On(part="two")).row("near").label == "near"


def test_every_part_of_a_study_is_run_under_its_settings(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("detectors: ['linear:features=pts']\ntask: topleft\nn: 60\nthreads: 1\n")
    (tmp_path / "study.yaml").write_text(
        "title: t\ngrids: [grid.yaml]\nparts: {plain: {}, set: {MKL_CBWR: COMPATIBLE}}\n"
        'sections: [{text: \'{{ exact("linear:features=pts", part="set") }}\'}]\n'
    )
    written = make(tmp_path / "study.yaml", tmp_path / "results")
    bundles = {path.parent.name: path for path in written if path.suffix == ".zip"}
    assert {name: path.parent.parent for name, path in bundles.items()} == dict.fromkeys(
        ("plain", "set"), tmp_path / "runs"
    )
    sets = {
        name: {run.record.facts.instruction_set for run in open_results(path).runs()} for name, path in bundles.items()
    }
    assert all("MKL_CBWR=COMPATIBLE" in one for one in sets["set"])
    assert not any("MKL_CBWR" in one for one in sets["plain"])


def test_what_is_made_so_far_is_published_and_a_run_in_a_bundle_of_its_own_stays_there(tmp_path: Path) -> None:
    """Rows that are kept apart, as ablations are, do not move into their board's bundle when a study goes on."""
    grid, study, runs = tmp_path / "grid.yaml", tmp_path / "study.yaml", tmp_path / "runs"
    study.write_text("title: t\ngrids: [grid.yaml]\nsections: [{text: a}]\n")
    grid.write_text("detectors: [linear]\ntask: topleft\nn: 60\nthreads: 1\n")
    make(study, tmp_path / "results")
    (board,) = runs.glob("*.zip")
    board.rename(apart := board.with_name("apart.bundle.zip"))
    grid.write_text("detectors: [linear, ridge, knn]\ntask: topleft\nn: 60\nthreads: 1\n")
    for other in ("ridge", "lasso"):  # made without the study, which asks for one of them
        benchmark.run(other, task="topleft", n=60, threads=1, results=tmp_path / "results")
    make(study, tmp_path / "results", as_made=True)
    held = {path: [run.record.config.detector for run in open_results(path).runs()] for path in runs.glob("*.zip")}
    assert held == {apart: ["linear", "mean"], board: ["ridge"]}
