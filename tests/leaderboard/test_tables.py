"""What the board looks like in a terminal, and in the three files."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.metrics import METRICS
from benchmark.runs.store import Store
from benchmark.structures import Annotations
from leaderboard.board import boards
from leaderboard.tables import as_rows, frame, markdown, render, write


def printed(store: Store, width: int) -> str:
    out = io.StringIO()
    for board in boards(store):
        render(board, Console(file=out, width=width))
    return out.getvalue()


def test_a_narrow_terminal_gets_fewer_columns_a_wide_one_all(filled: Store) -> None:
    narrow, wide = printed(filled, 80), printed(filled, 200)
    assert max(map(len, narrow.splitlines())) <= 80
    for column in ("detector", "mean px", "exact %"):
        assert column in narrow
    for column in ("PCK@1 %", "p95 px", "r2", "sqdist_r2", "dist_r2", "AP", "fit s", "ms/image", "parameters", "seeds"):
        assert column in wide
    assert "sqdist_r2" not in narrow
    sharp = next(line for line in narrow.splitlines() if line.split()[2:3] == ["sharp"])
    assert sharp.split()[:2] == ["1", "1"]


def test_the_terminal_tells_failures_the_rule_and_what_to_use(filled: Store) -> None:
    text = " ".join(printed(filled, 100).split())
    assert "failed: broken: ValueError: loss is nan" in text
    assert "Use sharp" in text
    assert "Two rows of one tier may still differ" in text
    assert "tied scores" in text
    assert "oracle features" not in text  # no row carries that mark


def test_names_that_look_like_markup_are_printed_as_they_are(maker: Any, annotations: Annotations) -> None:
    maker.put("net:mode=[bold]", annotations, maker.answers(annotations, 1.0), oracle=True)
    assert "net:mode=[bold] [o]" in printed(maker.store, 160)


def test_rows_are_json_with_the_names_of_the_metrics(filled: Store) -> None:
    (board,) = boards(filled)
    rows = json.loads(json.dumps(as_rows(board), allow_nan=False))
    by_name = {row["detector"]: row for row in rows}
    assert set(by_name) == {"sharp", "blunt", "twin", "wild", "mean", "rule", "broken"}
    sharp = by_name["sharp"]
    assert set(METRICS) <= set(sharp)
    assert (sharp["task"], sharp["data"], sharp["seeds"]) == ("made", "dots", [0, 1, 2])
    assert sharp["mean_low"] < sharp["mean"] < sharp["mean_high"]
    assert sharp["weights"] == 1234
    assert sharp["fit_seconds"] == 10.0
    assert sharp["untrained_exact"] == pytest.approx(0.02)
    assert by_name["mean"]["r2"] == pytest.approx(0, abs=1e-12)
    assert by_name["broken"]["status"] == "failed"
    assert by_name["broken"]["mean"] is None


def test_the_files_agree_with_each_other(filled: Store) -> None:
    found = boards(filled)
    paths = write(found, filled.root)
    assert [path.name for path in paths] == ["LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json"]
    assert not list(filled.root.glob(".LEADERBOARD*"))
    table = pd.read_csv(paths[1])
    rows = json.loads(paths[2].read_text())
    assert list(table["detector"]) == [row["detector"] for row in rows] == list(frame(found)["detector"])
    assert table["mean"].to_numpy() == pytest.approx(
        [np.nan if r["mean"] is None else r["mean"] for r in rows], nan_ok=True
    )
    assert table["seeds"][0] == "0 1 2"
    text = paths[0].read_text()
    for row in rows:
        assert row["detector"] in text
    header, rule, *lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in (rule, *lines)} == {header.count("|")}
    assert len(lines) == 6


def test_writing_twice_gives_the_same_bytes(filled: Store) -> None:
    first = [path.read_bytes() for path in write(boards(filled), filled.root)]
    assert [path.read_bytes() for path in write(boards(Store(filled.root)), filled.root)] == first


def test_an_empty_store_has_empty_files(maker: Any) -> None:
    md, _, js = write(boards(maker.store), maker.store.root)
    assert json.loads(js.read_text()) == []
    assert md.read_text().startswith("# Leaderboard")
    assert frame([]).empty


def test_a_pipe_in_a_name_does_not_break_the_markdown(maker: Any, annotations: Annotations) -> None:
    maker.put("a|b", annotations, maker.answers(annotations, 1.0))
    assert "a\\|b" in markdown(boards(maker.store))


def test_several_keypoints_stand_on_their_own(maker: Any) -> None:
    annotations = maker.annotations(30, 2)
    maker.put("net", annotations, maker.answers(annotations, np.array([[0.0, 0.0], [0.0, 2.0]])))
    (board,) = boards(maker.store)
    (row,) = as_rows(board)
    assert row["mean"] == pytest.approx(1.0)
    assert row["exact"] == 0.5
    assert row["exact_all"] == 0
    assert [row["keypoints"][name]["mean"] for name in ("p0", "p1")] == pytest.approx([0.0, 2.0])
    assert "| net | 0.000, 100 | 2.000, 0 |" in markdown([board])
    assert "all exact %" in markdown([board])


@pytest.mark.parametrize(("wrong", "shown"), [(0, "100"), (1, "99.9"), (5000, "50.0"), (9999, "0.01"), (10000, "0")])
def test_a_hundred_per_cent_is_only_shown_where_it_is_meant(maker: Any, wrong: int, shown: str) -> None:
    annotations = maker.annotations(10_000)
    offsets = np.zeros((10_000, 1, 2))
    offsets[:wrong] = 5.0
    maker.put("net", annotations, maker.answers(annotations, offsets))
    line = next(line for line in printed(maker.store, 80).splitlines() if " net " in line)
    assert line.split()[5] == shown
