"""The commands that weigh results, as typed: what is printed, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.runs.store import Store
from benchmark.structures import Annotations
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import write_predictions

Typed = tuple[int, str, str]


@pytest.fixture
def files(tmp_path: Path, maker: Any, annotations: Annotations) -> tuple[Path, Path]:
    (tmp_path / "annotations.json").write_text(json.dumps(annotations_to_json(annotations)))
    write_predictions(tmp_path / "theirs.json", maker.answers(annotations, 0.25), annotations)
    return tmp_path / "theirs.json", tmp_path / "annotations.json"


def test_score_prints_one_json_document(typed: Any, files: tuple[Path, Path]) -> None:
    code, out, err = typed("score", "--predictions", files[0], "--annotations", files[1], "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["mean"] == pytest.approx(0.25 * 2**0.5)
    assert document["taxonomy"]["exact"] == 50


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"image_id": 1, "category_id": 1, "keypoints": [NaN, 1, 2], "score": 1}]', "entry 0: keypoints[0] is NaN"),
        ('[{"image_id": 1, "category_id": 1, "keypoints": [1, 1, 2], "score": 1}, 7]', "entry 1 is a number"),
        ('[{"image_id": 99, "category_id": 1, "keypoints": [1, 1, 2], "score": 1}]', "entry 0: image_id 99"),
        ('[{"image_id": 1', "is not JSON"),
    ],
)
def test_a_broken_file_is_one_line_and_exit_code_2(
    typed: Any, files: tuple[Path, Path], content: str, words: str
) -> None:
    files[0].write_text(content)
    code, out, err = typed("score", "--predictions", files[0], "--annotations", files[1])
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_named_file_is_on_the_board_marked(typed: Any, files: tuple[Path, Path], tmp_path: Path) -> None:
    results = tmp_path / "new"
    assert (
        typed("score", "--predictions", files[0], "--annotations", files[1], "--name", "yolo", "--results", results)[0]
        == 0
    )
    code, out, _ = typed("leaderboard", "--results", results, "--json")
    (row,) = json.loads(out)
    assert (code, row["detector"], row["marks"]) == (0, "yolo", ["external", "tied_scores"])


def test_compare_as_json_holds_the_power(typed: Any, filled: Store) -> None:
    code, out, _ = typed("compare", "blunt", "twin", "--results", filled.root, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["low"] < document["difference"] < document["high"]
    assert document["power"]["code"] in ("seeds", "images", "both")
    assert (document["power"]["images"] or 201) > 200
    assert document["deciding"]


def test_audit_leaves_with_1_where_something_fails(typed: Any, filled: Store) -> None:
    assert typed("audit", "--results", filled.root)[0] == 0
    path = next(p for p in filled.root.rglob("run.json") if "/sharp/" in p.as_posix())
    path.write_text(path.read_text().replace('"mean": ', '"mean": 1'))
    code, out, _ = typed("audit", "--results", filled.root, "--json")
    assert code == 1
    assert json.loads(out)["failed"] is True


def test_a_pair_and_single_keypoints_as_typed(typed: Any, maker: Any, tmp_path: Path) -> None:
    """Two points 10 px apart, each off by 3 and 4 px; the tables of both commands agree."""
    known = replace(maker.annotations(20, 2), keypoints=np.tile([[[5.0, 5.0], [15.0, 5.0]]], (20, 1, 1)))
    answers = maker.answers(known, (3.0, 4.0))
    maker.put("net", known, answers)
    results = ["--results", maker.store.root]
    for pair in ("p0,p1", '"p1", p0'):
        code, out, _ = typed("leaderboard", "--pair", pair, *results, "--json")
        (row,) = json.loads(out)
        assert (code, row["nme_pair"], row["pck_pair@0.5"], row["pck_pair@0.2"]) == (0, 50.0, 1.0, 0.0)
    code, out, _ = typed("leaderboard", "--per-keypoint", "--pair", "p0,p1", *results, "--json")
    rows = json.loads(out)
    assert [(row["keypoint"], row["row"], row["labelled"], row["nme_pair"]) for row in rows] == [
        ("p0", "net", 20, 50.0),
        ("p1", "net", 20, 50.0),
    ]
    assert (maker.store.root / "KEYPOINTS.csv").is_file()
    assert typed("leaderboard", "--per-keypoint", *results)[1].count("5.000") == 4  # mean and median of each
    (tmp_path / "points.json").write_text(json.dumps(annotations_to_json(known)))
    write_predictions(tmp_path / "theirs.json", answers, known)
    files = ["--predictions", tmp_path / "theirs.json", "--annotations", tmp_path / "points.json"]
    assert json.loads(typed("score", *files, "--pair", "p0,p1", "--json")[1])["nme_pair"] == 50.0
    for command in (["leaderboard", *results], ["score", *files]):
        for pair, words in (
            ("p0,p7", "'p7' is no keypoint of these annotations: did you mean 'p"),
            ("p0", "give two keypoints with a comma between them"),
            ("p0,p0", "name two different keypoints"),
        ):
            code, out, err = typed(*command, "--pair", pair)
            assert (code, out) == (2, "")
            assert words in err
            assert err.count("\n") == 1


def test_a_long_board_shows_its_head_and_its_files_hold_all(
    typed: Any, filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = ["--results", filled.root]
    whole = typed("leaderboard", *results)[1]
    rows = json.loads(typed("leaderboard", "--json", *results)[1])
    ranked = [row["row"] for row in rows if row["rank"]]
    assert all(name in whole for name in ranked)
    assert "rows shown" not in whole
    monkeypatch.setattr("benchmark.cli.boards.HEAD", 1)
    head = typed("leaderboard", "--columns", "rank,detector", *results)[1]
    assert f"rows shown; ranks are among all of them. --top {len(ranked)} shows all." in " ".join(head.split())
    printed = [line.split()[:2] for line in head.splitlines()]
    assert ["1", ranked[0]] in printed
    assert all(["2", name] not in printed for name in ranked)
    assert json.loads(typed("leaderboard", "--json", *results)[1]) == rows
    assert all(name in (filled.root / "LEADERBOARD.md").read_text() for name in ranked)
    asked = typed("leaderboard", "--top", str(len(ranked)), *results)[1]
    assert asked == whole


def test_a_table_to_paste_as_typed(typed: Any, filled: Store) -> None:
    results = ["--results", filled.root]
    code, out, err = typed("leaderboard", "--format", "csv", "--top", "1", "--columns", "detector, seeds", *results)
    assert (code, out, err) == (0, "detector,seeds\nsharp,0 1 2\nrule,0\nmean,0\nbroken,\n", "")
    assert typed("leaderboard", "--format", "latex", *results)[1].startswith("% needs \\usepackage{booktabs}\n")
    document = json.loads(typed("leaderboard", "--format", "json", "-d", "twin", *results)[1])
    assert document["schema"] == "keypoint-benchmark/leaderboard/1"
    assert [row["row"] for row in document["boards"][0]["rows"]] == ["twin"]
    assert [row["row"] for row in json.loads(typed("leaderboard", "--json", "-d", "twin", *results)[1])] == ["twin"]
    narrow = typed("leaderboard", "-d", "twin", "--columns", "rank,detector,mae_x", *results)[1]
    assert "rank  detector  mae_x" in narrow
    assert "1 of 6 rows shown" in narrow
    for words, said in (
        (["--format", "csv", "--json"], "--json is a format of its own"),
        (["-d", "twine"], "'twine' is no row of these boards: did you mean 'twin'"),
        (["--columns", "nonsense"], "unknown column 'nonsense'"),
        (["--format", "md", "--per-keypoint", "--columns", "mean"], "leave --columns out"),
    ):
        code, out, err = typed("leaderboard", *words, *results)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert said in err
