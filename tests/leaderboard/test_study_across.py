"""Tables across boards: cells as the boards write them, where a row is missing, and the drawing of the shares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.structures import Annotations, UserError
from benchmark.study.evidence import Evidence
from benchmark.study.report import beside, report, write_nothing
from benchmark.study.study_file import AcrossTable, Study
from leaderboard.board import boards

HEAD = {"title": "t", "grids": ["g.yaml"]}


@pytest.fixture
def evidence(maker: Any, annotations: Annotations) -> Evidence:
    """Two boards; a row with a mark stands on both, another on one."""
    half = np.zeros((50, 1, 2))
    half[::2] = 4.0
    for seed in (0, 1):
        maker.put("marked", annotations, maker.answers(annotations, half), seed, rule_structured=True)
        maker.put("alone", annotations, maker.answers(annotations, 2.0), seed)
    maker.put("marked", annotations, maker.answers(annotations, 0.0), 0, config={"task": "other"}, rule_structured=True)
    return Evidence(boards(maker.store))


def asked(**more: Any) -> AcrossTable:
    shown = {"one": {"task": "made"}, "two": {"task": "other"}}
    return AcrossTable.model_validate({"rows": ["marked", "alone"], "boards": shown, **more})


def lines(evidence: Evidence, table: AcrossTable, folder: Path | None = None) -> str:
    study = Study.model_validate({**HEAD, "sections": [{"across": table.model_dump()}]})
    return report(study, list(evidence.boards), beside(folder) if folder else write_nothing)


def test_a_cell_has_its_interval_and_the_marks_of_its_row(evidence: Evidence) -> None:
    text = lines(evidence, asked(metrics=["exact"]))
    cells = {
        line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]]
        for line in text.splitlines()
        if "|" in line
    }
    assert re.fullmatch(r"50\.0 ±\d\d\.\d % \[r\]", cells["marked"][0])
    assert re.fullmatch(r"100 ±7\.1 % \[r\]", cells["marked"][1])  # 0 of 50 wrong: 92.9 % at least
    assert cells["alone"][1] == "–"


def test_shares_are_drawn_where_a_folder_is_given(evidence: Evidence, tmp_path: Path) -> None:
    table = asked(metrics=["mean"], heat="exact.svg")
    assert "](exact.svg)" in lines(evidence, table)
    assert not (tmp_path / "exact.svg").exists()
    lines(evidence, table, tmp_path)
    drawn = (tmp_path / "exact.svg").read_text(encoding="utf-8")
    shown = re.findall(r">([\w.]+)</text>", drawn)
    assert {"marked", "alone", "one", "two", "50.0", "100", "0"} <= set(shown)
    assert len(re.findall(r'aria-label="[^"]*share: ', drawn)) == 3  # no square where there is no row


def test_drawings_are_the_same_bytes_each_time(evidence: Evidence, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        lines(evidence, asked(heat=name), tmp_path)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_file_elsewhere_and_a_metric_that_is_none_are_refused(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match="heat"):
        asked(heat="../exact.svg")
    with pytest.raises(UserError, match="unknown metric 'exat': did you mean 'exact'"):
        lines(evidence, asked(metrics=["exat"]))


def test_a_question_says_on_which_board_it_was_asked(evidence: Evidence) -> None:
    question = {
        "question": "Is it exact?",
        "task": "other",
        "holds_if": [{"exact": "marked", "at_least": 90}],
        "holds": "It is.",
        "refuted": "It is not.",
    }
    text = report(Study.model_validate({**HEAD, "sections": [question]}), list(evidence.boards), write_nothing)
    assert "For it, on other@1 on dots:" in text
