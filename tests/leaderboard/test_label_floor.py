"""Rows that have reached the noise of the labels: marked where a floor is stored, in a folder as in a bundle, and nowhere else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmark.runs.bundle import open_results, unpack, write_bundles
from benchmark.runs.label_floor import LabelFloor
from benchmark.runs.store import Results, Store
from benchmark.statistics.label_noise import label_noise
from benchmark.structures import UserError
from leaderboard.board import boards
from leaderboard.render.markdown import markdown
from leaderboard.render.tables import as_dict, as_rows
from leaderboard.render.terminal import print_boards
from leaderboard.rows import AT_FLOOR

DIGEST = "d" * 64  # of the data of `Maker`


@pytest.fixture
def noisy(maker: Any) -> tuple[Store, LabelFloor]:
    """200 labels with 1 px of noise an axis, and three rows: the true places, another annotator, 3 px off those places.

    Measured against the labels the true places are at the floor, and another annotator is sqrt 2 times as far off.
    """
    random = np.random.default_rng(0)
    truth = maker.annotations(200)
    noise, again = random.normal(0, 1, (2, 200, 1, 2))
    labels = type(truth)(**{**vars(truth), "keypoints": truth.keypoints + noise})
    maker.put("true", labels, maker.answers(truth))
    maker.put("annotator", labels, maker.answers(truth, again))
    maker.put("off", labels, maker.answers(truth, 3 / np.sqrt(2)))
    maker.put("mean", labels, maker.answers(truth, truth.baseline - truth.keypoints), ranked=False)
    known = label_noise((noise - again)[:, 0], np.full(200, 28.0), np.arange(200)).floor
    assert known is not None
    floor = LabelFloor(data_digest=DIGEST, labels="second", images=200, slips=0, floor=known, keypoints={"p0": known})
    return maker.store, floor


def marked(results: Results) -> set[str]:
    (board,) = boards(results)
    return {row.label for row in board.finished if AT_FLOOR in row.marks}


def test_rows_at_the_floor_are_marked_and_others_are_not(noisy: tuple[Store, LabelFloor]) -> None:
    store, floor = noisy
    assert marked(store) == set()
    store.put_label_floor(floor)
    assert marked(store) == {"true"}
    (board,) = boards(store)
    means = {row.label: row.metrics["mean"] for row in board.finished}
    assert means["true"] == pytest.approx(floor.floor.value, rel=0.15)
    assert means["annotator"] == pytest.approx(np.sqrt(2) * floor.floor.value, rel=0.15)
    wide = floor.model_copy(update={"floor": floor.floor._replace(high=2.0)})
    store.put_label_floor(wide)
    assert marked(store) == {"true", "annotator"}


def test_the_floor_and_what_the_mark_means_are_said_once(noisy: tuple[Store, LabelFloor]) -> None:
    store, floor = noisy
    without = markdown(boards(store)), as_rows(boards(store)[0])
    store.put_label_floor(floor)
    (board,) = boards(store)
    out = io.StringIO()
    print_boards([board], Console(file=out, width=160))
    sentence = (
        f"Noise floor of the labels: {floor.floor.value:.3g} px (95 % {floor.floor.low:.3g} to {floor.floor.high:.3g})"
    )
    for text in (out.getvalue(), markdown([board])):
        assert text.count(sentence) == 1
        assert text.count("noise floor reached") == 1
        assert "true [n]" in text
    note = next(note for note in as_dict(board)["notes"] if note["code"] == "label_floor")
    assert note["floor"] == floor.floor
    (store.root / "_floors" / f"{DIGEST}.json").unlink()
    assert (markdown(boards(store)), as_rows(boards(store)[0])) == without


def test_a_bundle_shows_what_its_folder_shows(noisy: tuple[Store, LabelFloor], tmp_path: Path) -> None:
    store, floor = noisy
    plain = write_bundles(store, tmp_path / "plain")[0].read_bytes()
    store.put_label_floor(floor)
    (bundle,) = write_bundles(store, tmp_path / "out")
    assert bundle.read_bytes() != plain
    for results in (open_results(bundle), open_results(tmp_path / "out")):
        assert markdown(boards(results)) == markdown(boards(store))
    again = Store(tmp_path / "again")
    unpack(open_results(bundle), again)  # type: ignore[arg-type]
    assert again.label_floor(DIGEST) == floor
    assert marked(again) == {"true"}


def test_a_floor_that_cannot_be_read_is_named(noisy: tuple[Store, LabelFloor]) -> None:
    store, floor = noisy
    store.put_label_floor(floor)
    path = store.root / "_floors" / f"{DIGEST}.json"
    path.write_text(path.read_text().replace('"images": 200', '"images": "many"'))
    with pytest.raises(UserError, match="images.*delete it, and run with --labels"):
        boards(store)
    path.write_text(floor.model_copy(update={"data_digest": "e" * 64}).model_dump_json())
    with pytest.raises(UserError, match="of other data"):
        boards(store)
