"""Tables of single keypoints against values counted by hand, with holes, in every layout; and boards relative to a pair."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.structures import Annotations
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import write_predictions
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.external import score_files, store_external
from leaderboard.keypoints import keypoint_rows
from leaderboard.render.files import write
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_rows
from leaderboard.render.terminal import print_boards, print_keypoints, print_scored

NAMES = ("left_eye", "right_eye", "tail")
VISIBLE = [[2, 2, 0], [2, 1, 0], [0, 2, 0], [2, 0, 0]]  # of four cats
OFF = {  # (dx of left_eye, dx of right_eye) of each answer; where nothing is labelled it must not count
    "good": [[4, 1], [6, 3], [999, 5], [11, 999]],
    "poor": [[40, 10], [60, 30], [999, 50], [110, 999]],
}
BY_HAND = {  # keypoint, row -> labelled, mean, median, shares within 5 % and 10 % of the box of 100 px, p95
    ("left_eye", "good"): (3, 7, 6, 1 / 3, 2 / 3, 10.5),
    ("left_eye", "poor"): (3, 70, 60, 0, 0, 105),
    ("right_eye", "good"): (3, 3, 3, 1, 1, 4.8),
    ("right_eye", "poor"): (3, 30, 30, 0, 1 / 3, 48),
    ("tail", "good"): (0, None, None, None, None, None),
    ("tail", "poor"): (0, None, None, None, None, None),
}


@pytest.fixture
def cats(maker: Any) -> Annotations:
    """Four photographs of a cat in a box of 100 x 50 px, its eyes 20 px apart; nobody labelled a tail."""
    known = replace(
        maker.annotations(4, 3),
        sizes=np.tile([[640, 480]], (4, 1)),
        keypoints=np.tile([[[100.0, 100], [120, 100], [0, 0]]], (4, 1, 1)),
        visible=np.array(VISIBLE),
        boxes=np.tile([[80.0, 80, 100, 50]], (4, 1)),
        areas=np.full(4, 5000.0),
        keypoint_names=NAMES,
        spacing=None,
        baseline=None,
    )
    for name, off in OFF.items():
        offsets = np.zeros((4, 3, 2))
        offsets[:, :2, 0], offsets[:, 2] = off, 77.0
        maker.put(name, known, maker.answers(known, offsets))
    return known


def printed(show: Any, what: Any, width: int) -> str:
    out = io.StringIO()
    show(what, Console(file=out, width=width))
    return out.getvalue()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_a_keypoint_and_detector_as_counted_by_hand(maker: Any, cats: Annotations) -> None:
    (board,) = boards(maker.store)
    found = {(one.keypoint, one.row): one for one in keypoint_rows(board)}
    assert list(found) == list(BY_HAND)
    for at, (labelled, *figures) in BY_HAND.items():
        one = found[at]
        assert (one.labelled, one.scored) == (labelled, labelled)
        have = [one.metrics[name] for name in ("mean", "median", "pck_box@0.05", "pck_box@0.1", "p95")]
        assert have == pytest.approx(figures) if labelled else have == figures


@pytest.mark.parametrize("width", [50, 80, 160])
def test_the_terminal_shows_it_at_any_width(maker: Any, cats: Annotations, width: int) -> None:
    text = printed(print_keypoints, boards(maker.store), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    heading = next(line for line in lines if line.startswith("keypoint"))
    assert all(word in heading for word in ("detector", "labelled", "mean px", "median px"))
    assert ("PCK@5 px %" in heading) == (width == 160)
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0] in NAMES]
    assert [row[:2] for row in rows] == [list(at) for at in BY_HAND]
    assert rows[0][2:5] == ["3", "7.000", "6.000"]
    assert set(rows[-1][2:]) == {"0", "–"}
    assert "Labelled in no test image, so without figures: tail." in " ".join(text.split())


def test_the_document_has_it_and_every_line_is_aligned(maker: Any, cats: Annotations) -> None:
    lines = markdown(boards(maker.store)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| keypoint"))
    table = lines[start : start + 2 + len(BY_HAND)]
    assert len({len(line) for line in table}) == 1
    assert len(table[0]) <= 120
    row = dict(zip(cells(table[0]), cells(table[2])))
    assert (row["keypoint"], row["detector"], row["labelled"]) == ("left_eye", "good", "3")
    assert (row["mean px"], row["PCK@.05 box %"], row["PCK@5 px %"]) == ("7.000", "33.3", "33.3")
    board = next(line for line in lines if line.startswith("| rank"))
    assert [name for name in cells(board) if "px %" in name] == ["PCK@5 px %"]  # of 2, 5 and 10 px


def test_the_csv_is_written_where_it_is_asked_for_and_kept_current(maker: Any, cats: Annotations) -> None:
    root = maker.store.root
    assert {path.name for path in write(boards(maker.store), root)} == {
        f"LEADERBOARD.{end}" for end in ("md", "csv", "json")
    }
    write(boards(maker.store), root, per_keypoint=True)
    table = pd.read_csv(root / "KEYPOINTS.csv")
    assert list(zip(table["keypoint"], table["row"])) == list(BY_HAND)
    assert table["labelled"].tolist() == [labelled for labelled, *_ in BY_HAND.values()]
    assert table["mean"].dropna().tolist() == pytest.approx([7, 70, 3, 30])
    maker.put("third", cats, maker.answers(cats, 1.0))
    write(boards(maker.store), root)
    assert len(pd.read_csv(root / "KEYPOINTS.csv")) == 9


def test_one_keypoint_has_a_table_and_is_said_to_be_one(maker: Any, annotations: Annotations) -> None:
    for seed, shift in ((0, 1.0), (1, 3.0)):
        maker.put("net", annotations, maker.answers(annotations, (shift, 0.0)), seed)
    (board,) = boards(maker.store)
    (one,) = keypoint_rows(board)
    assert (one.labelled, one.metrics["mean"], one.metrics["exact"]) == (50, 2.0, 0.0)
    assert one.metrics["mean"] == board.rows[0].metrics["mean"]
    text = printed(print_keypoints, [board], 80)
    assert "There is one keypoint, so its figures are those of the board." in text
    assert "PCK@1 %" in text


def test_keypoints_of_missed_instances_are_labelled_and_not_scored(maker: Any) -> None:
    """Two instances an image, of which the second is never answered."""
    annotations = replace(
        maker.annotations(10, 2, 2), keypoints=np.tile([[[5.0, 5], [9, 5]], [[20, 20], [24, 20]]], (10, 1, 1))
    )
    every = maker.answers(annotations, 1.0)
    some = replace(every, **{name: values[::2] for name, values in vars(every).items()})
    maker.put("net", annotations, some)
    (board,) = boards(maker.store)
    assert [(one.labelled, one.scored) for one in keypoint_rows(board)] == [(20, 10), (20, 10)]
    assert "Scored: keypoints of matched instances alone" in " ".join(printed(print_keypoints, [board], 90).split())


def test_a_board_relative_to_a_pair(maker: Any, cats: Annotations, annotations: Annotations) -> None:
    """Two cats have both eyes, 20 px apart: good errs by 4, 1, 6 and 3 px there."""
    maker.put("net", annotations, maker.answers(annotations), config={"data": "dots2", "data_digest": "f" * 64})
    plain = boards(maker.store)
    relative, other = boards(maker.store, pair=("left_eye", "right_eye"))
    assert (relative.pair, other.pair, plain[0].pair) == (("left_eye", "right_eye"), None, None)
    best = relative.rows[0]
    assert [best.metrics[f"pck_pair@{t}"] for t in (0.1, 0.2, 0.5)] == [0.25, 0.75, 1.0]
    assert best.metrics["nme_pair"] == pytest.approx(17.5)
    assert best.metrics["mean"] == plain[0].rows[0].metrics["mean"]
    assert as_rows(relative)[0]["pair"] == "left_eye,right_eye"
    assert not any("pair" in name for row in (*as_rows(plain[0]), *as_rows(other)) for name in row)
    text = " ".join(printed(print_boards, [relative], 240).split())
    assert "NME pair %" in text
    assert "left_eye and right_eye; 2 of 4 instances lack it and are left out." in text
    assert "PCK@.2 pair %" in markdown([relative])
    assert "Pair:" not in printed(print_boards, plain, 240)


def test_a_scored_file_shows_keypoints_and_pair_and_stores_what_asks_for_none(
    maker: Any, cats: Annotations, tmp_path: Path
) -> None:
    (tmp_path / "cats.json").write_text(json.dumps(annotations_to_json(cats)))
    write_predictions(tmp_path / "theirs.json", maker.answers(cats, (3.0, 4.0)), cats)
    found = score_files(tmp_path / "theirs.json", tmp_path / "cats.json", pair=("left_eye", "right_eye"))
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert document["nme_pair"] == pytest.approx(25.0)
    assert document["pair"] == {"keypoints": ["left_eye", "right_eye"], "left_out": 2}
    assert document["labels"]["tail"] == {"labelled": 0, "scored": 0}
    text = printed(print_scored, found, 120)
    assert "\npck_pair@0.5 " in text
    assert "2 of 4 instances lack it" in text
    assert [line.split()[:3] for line in text.splitlines() if line.startswith(NAMES)] == [
        ["left_eye", "3", "5.000"],
        ["right_eye", "3", "5.000"],
        ["tail", "0", "–"],
    ]
    store_external(found, "theirs", maker.store.root)
    assert not audit(maker.store).failed
