"""What a page holds of a board: packing, answers on a lattice, and boards of odd data."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from page_cases import Made, annotated, answering, filled, run

from benchmark.metrics import score
from benchmark.runs.config import RunConfig
from leaderboard.board import boards
from leaderboard.render.page import answers, packing
from leaderboard.render.page.answers import Lattice
from leaderboard.render.page.payload import payload, payloads

ANY_FLOATS = arrays.arrays(np.float64, arrays.array_shapes(max_dims=3, min_side=0), elements=st.floats(width=64))


@given(ANY_FLOATS)
def test_floats_come_back_bit_for_bit(values: np.ndarray) -> None:
    back = packing.unpack(json.loads(json.dumps(packing.pack(values, "<f8"))))
    assert back.shape == values.shape
    assert np.ascontiguousarray(back).tobytes() == values.tobytes()


@given(arrays.arrays(np.int64, st.integers(0, 9), elements=st.integers(0, 2**24 - 1)))
def test_codes_and_whole_numbers_come_back(values: np.ndarray) -> None:
    for dtype in (packing.CODES, "<u4", "<i4"):
        np.testing.assert_array_equal(packing.unpack(packing.pack(values, dtype)), values)


@pytest.mark.parametrize(
    ("value", "dtype"), [(2**24, packing.CODES), (0.1, "<f4"), (-1, "<u4"), (1.5, "<i4"), (1, "<c8")]
)
def test_what_a_dtype_does_not_hold_is_refused(value: float, dtype: str) -> None:
    with pytest.raises(ValueError, match="dtype|24 bits"):
        packing.pack(np.array([value]), dtype)


def test_the_same_values_give_the_same_text_without_time_or_system() -> None:
    header = base64.b64decode(packing.pack(np.arange(9.0), "<f8")["data"])[:10]
    assert header[4:8] == bytes(4)
    assert header[9] == 255
    assert packing.unpack_object(packing.pack_object({"b": [1, "ä"], "a": None})) == {"a": None, "b": [1, "ä"]}
    assert gzip.decompress(base64.b64decode(packing.pack_object({"b": 1, "a": 2}))) == b'{"a":2,"b":1}'


offsets = st.one_of(
    st.floats(-30, 30),
    st.sampled_from([0.0, 0.5, -0.5, 1.0, 2.0, 3.0, 0.49999999, 1e7, 1e300, np.nan]),
    st.floats(-1e9, 1e9),
)


@settings(deadline=None)
@given(arrays.arrays(np.float64, (2, 5, 2, 2), elements=offsets), st.integers(4, 12))
def test_a_lattice_moves_no_answer_across_a_threshold(off: np.ndarray, power: int) -> None:
    truth = np.arange(20.0).reshape(5, 2, 2) / 2
    lattice = Lattice(truth, np.array([1.0, np.nan]), (0.5, 1.0, 2.0, 3.0))
    stored = np.where(np.isnan(off).any(axis=-1, keepdims=True), np.nan, truth + off)
    held = answers.unpack_answers(answers.pack_on_lattice(stored, lattice, power), truth, power)
    np.testing.assert_array_equal(np.isnan(held), np.isnan(stored))
    assert not (np.abs(held - stored) > 2.0**-power * 0.51).any()
    np.testing.assert_array_equal(lattice.judged(held), lattice.judged(stored))
    on_it = (off * 2.0**power == np.rint(off * 2.0**power)).all(axis=-1)
    np.testing.assert_array_equal(held[on_it], stored[on_it])


def test_answers_are_as_fine_as_fits_and_left_out_where_nothing_does() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 28, (300, 1, 2)).astype(float)
    lattice = Lattice(truth, np.ones(1), (0.5, 1.0, 2.0, 3.0))
    rows = [truth + rng.normal(0, 1, (3, 300, 1, 2)) for _ in range(4)]
    powers = []
    for budget in (10**6, 25_000, 18_000, 14_000, 5_000):
        packed, power = answers.pack_rows(rows, lattice, budget)
        powers.append((packed is not None, power))
        assert packed is None or sum(map(answers.size, packed)) <= budget
    assert powers[0] == (True, None)
    assert powers[-1] == (False, None)
    fine = [power for _, power in powers[1:-1] if power is not None]
    assert len(fine) == 3
    assert fine == sorted(fine, reverse=True)
    assert fine[-1] >= 4, "a step is at most an eighth of the smallest threshold"
    small, _ = answers.pack_rows([row.astype(np.float32).astype(float) for row in rows], lattice, 10**6)
    assert small is not None
    assert small[0]["points"]["dtype"] == "<f4"


def test_a_payload_is_strict_json_and_the_same_each_time() -> None:
    board = filled(annotated(30, 1))
    held = payload(board)
    assert json.dumps(held, allow_nan=False) == json.dumps(payload(board), allow_nan=False)
    assert [row["label"] for row in held["rows"]] == [row.label for row in board.finished]
    assert [row["ranked"] for row in held["rows"]] == [row.record.ranked for row in board.finished]
    assert held["failed"][0]["error"] == "ValueError: <i>nan</i>"
    details = packing.unpack_object(held["details"])
    assert set(details) == {row.label for row in board.every}
    assert details["row0"]["history"][0] == {"epoch": [0.0, 1.0, 2.0], "loss": [1.2346, None, 0.5]}
    assert details["row0"]["runs"][0]["key"] == board.row("row0").runs[0].record.key  # type: ignore[union-attr]
    assert details["broken"]["failures"] == [{"seed": 0, "error": "ValueError: <i>nan</i>"}]


def test_row_answers_are_those_that_are_scored() -> None:
    annotations = annotated(40, 3, instances=2)
    board = filled(annotations, missed=0.2, rows=2)
    held = payload(board)
    for row, kept in zip(board.finished, held["rows"]):
        points = answers.unpack_answers(kept["answers"], packing.unpack(held["truth"]), held["scoring"]["power"])
        for table, own in zip(row.scores, points):
            distances = np.linalg.norm(own - annotations.keypoints, axis=-1)
            assert np.nanmean(distances) == pytest.approx(table["mean"], abs=1e-12)
            assert np.isnan(own).all(axis=(1, 2)).sum() == table["misses"]


def test_a_row_on_other_annotations_keeps_its_figures_and_has_no_answers() -> None:
    annotations, other = annotated(30, 1), annotated(30, 1, seed=9)
    rng = np.random.default_rng(0)
    runs = [run(f"row{i}", 0, annotations, answering(annotations, rng, 1.0)) for i in range(2)]
    runs += [run("elsewhere", 0, other, answering(other, rng, 0.1))]
    (board,) = boards(Made(runs))
    held = payload(board)
    assert held["annotations"] == annotations.digest[:16]
    rows = {row["label"]: row for row in held["rows"]}
    assert rows["elsewhere"]["answers"] is None
    assert "other annotations" in rows["elsewhere"]["reason"]
    assert rows["elsewhere"]["figures"]["mean"] == board.row("elsewhere").metrics["mean"]  # type: ignore[union-attr]
    assert rows["row0"]["answers"] is not None
    assert "1 row" in held["scoring"]["text"]


def test_boards_without_rows_labels_or_room() -> None:
    annotations = replace(annotated(30, 17, seed=4), labels=None)
    rng = np.random.default_rng(0)
    made = Made([run("row", seed, annotations, answering(annotations, rng, 1.0)) for seed in range(2)])
    failed = Made([run("row", 0, annotations, None, error="out of memory")])
    (people,), (nothing,) = boards(made), boards(failed)
    without, empty = payloads([people, nothing], budget=100)
    assert (without["classes"], without["scoring"]["mode"], without["rows"][0]["answers"]) == (None, "none", None)
    assert "too many" in without["scoring"]["text"]
    assert (empty["rows"], empty["failed"][0]["error"], empty["scoring"]["mode"]) == ([], "out of memory", "none")
    assert payload(people)["scoring"]["mode"] == "full"


def test_parameters_that_json_does_not_hold_become_words() -> None:
    annotations = annotated(20, 1)
    made = run("row", 0, annotations, answering(annotations, np.random.default_rng(0), 1.0))
    config: dict[str, Any] = {
        **made.record.config.model_dump(),
        "parameters": {"limit": float("inf"), "sizes": [1, None]},
    }
    made.record.config = RunConfig(**config)
    (board,) = boards(Made([made]))
    assert packing.unpack_object(payload(board)["details"])["row"]["parameters"] == {"limit": "inf", "sizes": [1, None]}
    assert score(annotations, made.predictions)["mean"] == board.rows[0].metrics["mean"]
