"""What the notes reported: figures as they stand there, shown apart, each with what is known to be wrong with it."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from benchmark.runs.store import Store
from leaderboard.board import Board, boards
from leaderboard.render.document import document
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_dict, as_rows
from leaderboard.render.terminal import print_boards
from leaderboard.reported import reported


@pytest.fixture
def store(maker: Any) -> Store:
    annotations = maker.annotations(40)
    for task in ("topleft", "center", "corner"):
        config = {"task": task, "data": "tiny", "data_digest": task[0] * 64}
        maker.put("net3", annotations, maker.answers(annotations, 1.0), config=config)
        maker.put("linear:features=pts", annotations, maker.answers(annotations), config=config)
    return Store(maker.store.root)


def of(store: Store, task: str) -> Board:
    (board,) = boards(store, task)
    return board


# As told of the notes; by hand, and to their digits.
TOLD: dict[tuple[str, str], dict[str, float]] = {
    ("topleft", "mean"): {"mse": 0.032, "dist_avg": 0.216},
    ("topleft", "Net3"): {"mse": 0.0206, "r2": 0.170, "dist_r2": 0.228},
    ("center", "Net3"): {"r2": 0.529},
    ("topleft", "ResNet18"): {"mse": 0.0211, "r2": 0.442, "sqdist_r2": 0.340, "dist_r2": 0.260},
    ("topleft", "linear regression on pts12, pts22"): {"mse": 0.0},
    ("topleft", "FeatsNet1 on pixels, pts11"): {"r2": 0.360},
    ("topleft", "FeatsNet1 on pixels, pts22"): {"r2": 0.569},
    ("topleft", "FeatsNet2 on pts12, pts22"): {"r2": 0.964},
    ("topleft", "FeatsNet3, target standardised"): {"r2": 0.993},
    ("topleft", "tabular net on 6 features"): {"r2": 0.996},
}


@pytest.mark.parametrize(("place", "figures"), TOLD.items(), ids=map(" ".join, TOLD))
def test_figures_are_those_of_the_notes(store: Store, place: tuple[str, str], figures: dict[str, float]) -> None:
    (row,) = [row for row in reported(of(store, place[0])) if row.system == place[1]]
    known = {name: row.figures[name] for name in figures}
    assert known == pytest.approx(figures, abs=0.6e-3 if "r2" in figures else 0.6e-4)


def test_pixels_follow_from_scaled_units(store: Store) -> None:
    for row in reported(of(store, "topleft")):
        if "dist_avg" in row.figures:
            assert row.mean == pytest.approx(14 * row.figures["dist_avg"])
        assert row.rmse is not None
        assert row.rmse**2 == pytest.approx(2 * 196 * row.figures["mse"])
        assert row.mean is None or row.mean <= row.rmse
        if "sqdist_r2" in row.figures:  # of 141 images each, not all the same ones
            spread = row.figures["mse"] / (1 - row.figures["sqdist_r2"])
            assert spread == pytest.approx(0.032, rel=0.03)
    assert math.isclose(next(row.mean or 0 for row in reported(of(store, "topleft"))), 3.024)


def test_each_has_its_faults(store: Store) -> None:
    for task in ("topleft", "center"):
        rows = reported(of(store, task))
        assert all(row.faults for row in rows)
        scrambled = [row for row in rows if any("scrambled pairs" in fault for fault in row.faults)]
        assert len(scrambled) == 6
        assert all(set(row.figures) == {"mse", "mae"} for row in scrambled)
        assert all(any("swapped" in fault for fault in row.faults) == (task == "center") for row in rows)


def test_they_stand_apart_from_every_board(store: Store) -> None:
    board = of(store, "topleft")
    systems = [row.system for row in reported(board)]
    assert len(systems) == len(set(systems)) == 17
    assert not set(systems) & {row["row"] for row in as_rows(board)}
    assert {row["row"] for row in as_rows(board)} == {"net3", "linear:features=pts"}
    other = of(store, "corner")
    assert [(r.label, r.rank_low, r.rank_high) for r in board.rows] == [
        (r.label, r.rank_low, r.rank_high) for r in other.rows
    ]
    assert not set(systems) & set(json.dumps(as_dict(board)).split('"'))
    assert reported(other) == []


def test_ours_stands_beside_theirs(store: Store) -> None:
    ours = {row.system: row.ours.label for row in reported(of(store, "topleft")) if row.ours is not None}
    assert ours == {"Net3": "net3", "linear regression on pts12, pts22": "linear:features=pts"}
    (made,) = document([of(store, "topleft")])["boards"]
    net3 = next(row for row in made["reported"] if row["system"] == "Net3")
    assert (net3["ours"], net3["mean_px"]) == ("net3", pytest.approx(14 * 0.16689))
    assert "sutt/fastai-tutorial" in made["reported_source"]
    assert document([of(store, "corner")])["boards"][0]["reported"] == []


def test_the_document_and_the_terminal_show_them_below_the_board(store: Store) -> None:
    text = markdown(boards(store))
    parts = {part.splitlines()[0]: part for part in text.split("\n## ")}
    assert "### Reported by the notes, not measured here" in parts["topleft@1 on tiny"]
    assert "Reported" not in parts["corner@1 on tiny"]
    below = parts["topleft@1 on tiny"].partition("### Reported")[2]
    line = next(line for line in below.splitlines() if line.startswith("| Net3 "))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "Net3", "141", "mse 0.0206, dist_avg 0.167, r2 0.17", "2.336", "2.841", "net3", "1.414", "1.414", "2",
    ]  # fmt: skip
    assert "- Fault 2: r2 is the average of one R2 an axis" in below
    for reports, width in ((True, 80), (True, 160), (False, 160)):
        out = io.StringIO()
        print_boards([of(store, "topleft")], Console(file=out, width=width), reports=reports)
        assert ("Reported by the notes" in out.getvalue()) == reports
        assert max(map(len, out.getvalue().splitlines())) <= width
