"""What the boards look like in a terminal and in the three files, and that every code has its words."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.metrics import Column, Errors, metric, metrics
from benchmark.metrics.registry import unregister
from benchmark.runs.store import Store
from benchmark.statistics import advice, notes, power
from benchmark.structures import Annotations
from leaderboard import audit, board, rows
from leaderboard.board import boards
from leaderboard.render import audit_words, words
from leaderboard.render.files import write
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_dict, as_rows, frame
from leaderboard.render.terminal import print_boards


def printed(store: Store, width: int) -> str:
    out = io.StringIO()
    print_boards(boards(store), Console(file=out, width=width))
    return out.getvalue()


def test_every_code_has_its_words() -> None:
    assert set(words.MARKS) == set(rows.MARKS)
    assert len({mark.letter for mark in words.MARKS.values()}) == len(rows.MARKS)
    assert set(words.NOTES) == set(board.NOTES)
    assert set(words.POWER) == set(power.CODES)
    assert {code.removeprefix("one_fitted_model").removeprefix("two_fitted_models") for code in words.STATISTICS} - {
        ""
    } == set(notes.CODES) - {"fitted_models"}
    assert list(audit_words.CHECKS) == list(audit.CHECKS)
    assert set(words.REASONS) == {"unranked", "other_seeds_or_images", "too_few_answers"}
    assert set(advice.CODES) == {
        "shown",
        "not_shown",
        "no_better_than_mean",
        "one_row",
        "untested",
    }  # each in `words.advice`


@pytest.mark.parametrize("code", notes.CODES)
def test_every_note_of_the_statistics_is_a_sentence(code: str) -> None:
    values = {"seeds": 3, "images": 291, "failure": 20.0, "carrying": 7.0, "limit": 0.01, "level": 0.95, "models": 2}
    values |= {"groups": 40, "effective": 12.5}
    assert "{" not in words.statistic(notes.Note(code, values))


def test_a_narrow_terminal_gets_fewer_columns_a_wide_one_all(filled: Store) -> None:
    narrow, wide = printed(filled, 80), printed(filled, 200)
    assert max(map(len, narrow.splitlines())) <= 80
    for column in ("rank", "detector", "mean px", "exact %"):
        assert column in narrow
    for column in ("PCK@1 %", "p95 px", "r2", "sqdist_r2", "dist_r2", "AP", "fit s", "ms/image", "parameters", "seeds"):
        assert column in wide
    assert "sqdist_r2" not in narrow
    ranks = [line.split()[:2] for line in narrow.splitlines() if re.match(r" *(\d(–\d)?|–) ", line)]
    assert ranks == [["1", "sharp"], ["2–3", "blunt"], ["2–3", "twin"], ["4", "wild"], ["–", "rule"], ["–", "mean"]]


def test_at_80_columns_names_and_figures_are_whole(maker: Any, annotations: Annotations) -> None:
    name = "probe:backbone=raw,pooling=heatmap,frozen=true,width=64"
    maker.put(name, annotations, maker.answers(annotations, 1.0))
    text = printed(maker.store, 80)
    assert "".join(text.split()).count("1.414") == 1
    assert max(map(len, text.splitlines())) <= 80
    first, second = (line.split()[-len(line.split()) :] for line in text.splitlines()[4:6])
    assert first[1] + second[0] == name


@pytest.mark.parametrize("width", [60, 100, 160])
def test_every_line_fits_and_letters_of_columns_that_are_not_shown_are_not_explained(filled: Store, width: int) -> None:
    lines = printed(filled, width).splitlines()
    assert max(map(len, lines)) <= width
    heading = next(line for line in lines if line.startswith("rank"))
    assert any(line.startswith("t  tied scores") for line in lines) == ("AP" in heading.split())


def test_rows_with_more_seeds_than_others_are_tested_on_those_they_share(maker: Any, annotations: Annotations) -> None:
    for name, seeds in (("a", 5), ("b", 3), ("c", 3)):
        for seed in range(seeds):
            maker.put(name, annotations, maker.answers(annotations, 1.0), seed)
    text = " ".join(printed(maker.store, 160).split())
    assert "Ranks and advice are from seeds 0, 1, 2, which the ranked rows share" in text
    assert "without a rank" not in text


def test_rows_that_are_not_tested_are_named_with_the_reason(maker: Any, annotations: Annotations) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 5)):
        maker.put(name, annotations, maker.answers(annotations, 1.0), seed)
    text = printed(maker.store, 160)
    assert "Not tested, so without a rank: c (other seeds or annotations than most rows)." in text
    assert "c [s]" in text


def test_the_terminal_tells_failures_advice_and_letters_once(filled: Store, maker: Any) -> None:
    other = maker.annotations(30)
    maker.put("net", other, maker.answers(other, 1.0), config={"data": "more", "data_digest": "f" * 64})
    text = " ".join(printed(filled, 100).split())
    assert "failed: broken: ValueError: loss is nan" in text
    assert "Use sharp (10 s to fit, 0.5 ms an image), the leader: no cheaper row is shown (95 %)" in text
    assert text.count("tied scores:") == 1
    assert text.count("third to fifth place") == 1
    assert "oracle features" not in text  # no row carries that mark


def test_names_that_look_like_markup_are_printed_as_they_are(maker: Any, annotations: Annotations) -> None:
    maker.put("net:mode=[bold]", annotations, maker.answers(annotations, 1.0), oracle_features=True)
    assert "net:mode=[bold] [o]" in printed(maker.store, 160)


def test_rows_are_json_with_the_names_of_the_metrics(filled: Store) -> None:
    (only,) = boards(filled)
    by_name = {row["detector"]: row for row in json.loads(json.dumps(as_rows(only), allow_nan=False))}
    assert set(by_name) == {"sharp", "blunt", "twin", "wild", "mean", "rule", "broken"}
    sharp = by_name["sharp"]
    assert {name for name, entry in metrics().items() if entry.applies is None} <= set(sharp)
    assert {name for name in sharp if name.startswith("pck@")} == {"pck@0.5", "pck@1", "pck@2", "pck@3"}
    assert not {name for name in sharp if "pair" in name or "diagonal" in name}  # no empty fields for other data's
    assert (sharp["task"], sharp["data"], sharp["seeds"]) == ("made", "dots", [0, 1, 2])
    assert (sharp["rank"], sharp["advised"]) == ("1", True)
    assert [by_name["twin"][name] for name in ("rank", "rank_low", "rank_high")] == ["2-3", 2, 3]
    assert (by_name["rule"]["rank"], by_name["rule"]["untested"]) == (None, "unranked")
    assert sharp["mean_low"] < sharp["mean"] < sharp["mean_high"]
    assert sharp["n_parameters"] == 1234
    assert sharp["fit_seconds"] == 10.0
    assert sharp["untrained_exact"] == pytest.approx(0.02)
    assert by_name["mean"]["r2"] == pytest.approx(0, abs=1e-12)
    assert by_name["broken"]["status"] == "failed"
    assert by_name["broken"]["mean"] is None


def test_a_board_is_json_of_codes_and_figures(filled: Store) -> None:
    (only,) = boards(filled)
    document = json.loads(json.dumps(as_dict(only), allow_nan=False))
    assert document["advice"]["name"] == "sharp"
    assert [note["code"] for note in document["notes"]] == [note.code for note in only.notes]


def test_a_board_holds_no_sentences(filled: Store) -> None:
    (only,) = boards(filled)
    known = {only.task, only.data, *(row.label for row in only.every)}
    texts = [value for note in only.notes for value in note.values.values() if isinstance(value, str)]
    assert not [text for text in texts if " " in text and text not in known]


def test_the_files_agree_with_each_other(filled: Store) -> None:
    made = boards(filled)
    paths = write(made, filled.root)
    assert [path.name for path in paths] == ["LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json"]
    assert not list(filled.root.glob(".LEADERBOARD*"))
    table = pd.read_csv(paths[1])
    as_json = json.loads(paths[2].read_text())
    assert list(table["detector"]) == [row["detector"] for row in as_json] == list(frame(made)["detector"])
    assert table["mean"].to_numpy() == pytest.approx(
        [np.nan if r["mean"] is None else r["mean"] for r in as_json], nan_ok=True
    )
    assert list(table["rank"][:4]) == ["1", "2-3", "2-3", "4"]
    assert table["seeds"][0] == "0 1 2"
    text = paths[0].read_text()
    for row in as_json:
        assert row["detector"] in text


def test_writing_twice_gives_the_same_bytes(filled: Store) -> None:
    first = [path.read_bytes() for path in write(boards(filled), filled.root)]
    assert [path.read_bytes() for path in write(boards(Store(filled.root)), filled.root)] == first


def test_an_empty_store_has_empty_files(maker: Any) -> None:
    md, _, js = write(boards(maker.store), maker.store.root)
    assert json.loads(js.read_text()) == []
    assert md.read_text().startswith("# Leaderboard")
    assert frame([]).empty


def tables(text: str) -> list[list[str]]:
    """The tables of a markdown document, as lines."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_the_document_begins_with_an_overview_that_links_to_each_board(filled: Store, maker: Any) -> None:
    other = maker.annotations(30)
    maker.put("net", other, maker.answers(other, 1.0), config={"data": "more.dots", "data_digest": "f" * 64})
    text = markdown(boards(filled))
    overview, *others = tables(text)
    assert len(overview) == 4
    assert len(others) == 2
    assert re.split(r" +\| +", overview[2].strip("| ")) == [
        "[made@1 on dots](#made1-on-dots)", "sharp", boards(filled)[0].rows[0].metrics["mean"] and "0.369", "82.5", "the leader",
    ]  # fmt: skip
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings == ["Overview", "How to read it", "made@1 on dots", "made@1 on more.dots"]
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
    assert text.count("Holm's correction") == 1
    for table in tables(text):
        assert len({len(line) for line in table}) == 1  # aligned as plain text too
        assert len(table[0]) <= 120


def test_boards_whose_titles_differ_in_marks_alone_have_anchors_of_their_own(
    maker: Any, annotations: Annotations
) -> None:
    for digest, data in (("a", "dots"), ("b", "dots.")):
        config = {"data_digest": digest * 64, "data": data}
        maker.put("net", annotations, maker.answers(annotations), config=config)
    assert re.findall(r"\(#(made[^)]*)\)", markdown(boards(maker.store))) == ["made1-on-dots", "made1-on-dots-1"]


def test_a_pipe_in_a_name_does_not_break_the_markdown(maker: Any, annotations: Annotations) -> None:
    maker.put("a|b", annotations, maker.answers(annotations, 1.0))
    text = markdown(boards(maker.store))
    assert "a\\|b" in text
    assert "a\\\\|b" not in text


def test_several_keypoints_stand_on_their_own(maker: Any) -> None:
    annotations = maker.annotations(30, 2)
    maker.put("net", annotations, maker.answers(annotations, np.array([[0.0, 0.0], [0.0, 2.0]])))
    (only,) = boards(maker.store)
    (row,) = as_rows(only)
    assert row["mean"] == pytest.approx(1.0)
    assert row["exact"] == 0.5
    assert row["exact_all"] == 0
    assert [row["keypoints"][name]["mean"] for name in ("p0", "p1")] == pytest.approx([0.0, 2.0])
    cells = [re.split(r" +\| +", line.strip("| ")) for table in tables(markdown([only])) for line in table]
    assert ["net", "0.000, 100", "2.000, 0"] in cells
    assert any("all exact %" in line for line in cells)


def test_many_keypoints_are_rows(maker: Any) -> None:
    annotations = maker.annotations(30, 17)
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    lines = tables(markdown(boards(maker.store)))[-1]
    assert len(lines) == 2 + 17
    assert max(map(len, lines)) < 60


def test_a_row_that_tells_no_categories_apart_is_marked(maker: Any, annotations: Annotations) -> None:
    maker.put("net", annotations, maker.answers(annotations, 1.0), tells_categories=False)
    text = printed(maker.store, 200)
    assert "net [k]" in text
    assert "k  tells no categories apart: every answer is given the commonest category" in text


def test_processors_and_versions_that_differ_are_noted(maker: Any, annotations: Annotations) -> None:
    for seed, processor, torch in ((0, "Xeon", "2.11"), (1, "EPYC", "2.11"), (2, "EPYC", "2.12")):
        facts = {"processor": processor, "instruction_set": "AVX2", "packages": {"torch": torch, "numpy": "2.0"}}
        maker.put("net", annotations, maker.answers(annotations, 1.0), seed, facts=facts)
    maker.put("other", annotations, maker.answers(annotations, 1.0), facts={"processor": "EPYC"})
    text = " ".join(words.notes_of(boards(maker.store)[0]))
    assert "Rows were run on 3 kinds of processor (EPYC; EPYC, AVX2; Xeon, AVX2)" in text
    assert "Rows were run with several library versions (torch 2.11, 2.12)" in text
    assert text.count("The seeds of 1 row ran on several: the spread over seeds includes this there.") == 2


@pytest.mark.parametrize(("wrong", "shown"), [(0, "100"), (1, "99.9"), (5000, "50.0"), (9999, "0.01"), (10000, "0")])
def test_a_hundred_per_cent_is_only_shown_where_it_is_meant(maker: Any, wrong: int, shown: str) -> None:
    annotations = maker.annotations(10_000)
    offsets = np.zeros((10_000, 1, 2))
    offsets[:wrong] = 5.0
    maker.put("net", annotations, maker.answers(annotations, offsets))
    line = next(line for line in printed(maker.store, 80).splitlines() if " net " in line)
    assert line.split()[4] == shown


def test_a_metric_added_in_one_place_stands_in_every_layout(maker: Any, annotations: Annotations) -> None:
    @metric("p99", unit="px", better="lower", format=".1f", over_seeds="max", column=Column("p99 px", 0, 55))
    def p99(errors: Errors) -> float:
        """99th percentile of the pixel error."""
        return float(np.percentile(errors.labelled_distances, 99))

    try:
        for seed in range(2):
            maker.put("net", annotations, maker.answers(annotations, (3.0 + seed, 0.0)), seed)
        made = boards(maker.store)
        assert "p99 px" in printed(maker.store, 80)
        assert "p99 px" in markdown(made)
        assert "4.0" in printed(maker.store, 80).split()
        assert frame(made)["p99"].tolist() == [4.0]
    finally:
        unregister("p99")
