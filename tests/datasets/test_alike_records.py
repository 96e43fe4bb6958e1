"""Files read by columns against the same files read by Python's JSON reader: the same to the bit, or left to it."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_cases import awkward, crowded, single_instance

from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats import alike_records
from datasets.formats.alike_records import columns
from datasets.formats.coco import annotations_to_json, read_document, read_file
from datasets.formats.coco_columns import document_in, predictions_in
from datasets.formats.coco_results import predictions_from_json, predictions_to_json, read_predictions
from datasets.formats.reading import ReadOptions

LAYOUTS: tuple[dict[str, Any], ...] = ({}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}, {"indent": 1})
WRONG = [  # each one step from what is read, with numbers, commas and brackets out of their places
    '[{"a":1,"b":[2,3]},{"a":1,"b":2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":2[,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[2,]3}]',
    '[{"a":1,"b":[2,3]},{"a":1,2,"b":[3]}]',
    '[{"a":1,"b":[2,3]},{"a":[1,"b":2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[2,3],4}]',
    '[{"a":1,"b":[2,3]},{1"a":,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[[2],3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[2,3]},]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[2,3]}}',
    '[{"a":1,"b":[2,3]}{"a":1,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"a":[2,3]}]',
    '[{"a":1,"a":[2,3]},{"a":1,"a":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"b":1,"a":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":01,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":+1,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1.,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1e,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":NaN,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":true,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":null,"b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":"1","b":[2,3]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[2,3,4]}]',
    '[{"a":1,"b":[2,3]},{"a":1,"b":[]}]',
    '[{"a":1,"b":"x"},{"a":1,"b":"x\n"}]',
    '[{"a":1,"b":"x"},{"a":1,"b":"x\\n"}]',
    '[{"a":{"c":1}},{"a":{"c":1}}]',
    '[{"a":1}]',
    "[]",
    "",
]


def strictly(text: bytes) -> Any:
    """The document, or None where it is no JSON, or has a key twice or a number that is none."""

    def record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refused(name: str) -> None:
        raise ValueError(name)

    try:
        return json.loads(text.decode(), object_pairs_hook=record, parse_constant=refused)
    except ValueError:
        return None


def assert_right(text: bytes) -> bool:
    """Whether a text gives columns; AssertionError where they are not what it says."""
    found = columns(text)
    if found is None:
        return False
    rows = strictly(text)
    assert rows is not None, text
    assert rows[0] == found.first
    assert len(found) == len(rows)
    for i, row in enumerate(rows):
        assert set(row) == {*found.numbers, *found.texts}
        for key, values in found.numbers.items():
            flat = np.ravel(np.array(row[key], dtype=np.float64))
            assert flat.tobytes() == values[i].tobytes(), (text, key)
        assert all(row[key] == names[i] for key, names in found.texts.items())
    return True


def records(rng: random.Random) -> list[dict[str, Any]]:
    """Two to five records that are written alike."""
    numbers: list[Any] = [0, 1, -1, -0.0, 0.1, 1e-7, -2.5e30, 5e-324, 12345678901234567, 1 / 3, 2**53 + 1]
    kinds = [rng.choice(["number", "list", "nested", "name"]) for _ in range(rng.randint(1, 4))]
    widths = [rng.randint(1, 4) for _ in kinds]

    def value(kind: str, width: int) -> Any:
        if kind == "name":
            return rng.choice(["", "a.png", "{", "}]", "ü", ",1,", "null"])
        if kind == "number":
            return rng.choice(numbers)
        given = [rng.choice(numbers) for _ in range(width)]
        return given if kind == "list" else [given]

    return [
        {f"k{j}": value(kind, width) for j, (kind, width) in enumerate(zip(kinds, widths))}
        for _ in range(rng.randint(2, 5))
    ]


@pytest.mark.parametrize("without_wheel", [False, True])
def test_what_gives_columns_is_json_and_says_the_same_whatever_byte_is_changed(
    monkeypatch: pytest.MonkeyPatch, without_wheel: bool
) -> None:
    if without_wheel:
        monkeypatch.setitem(sys.modules, "simdjson", None)
    monkeypatch.setattr(alike_records, "PIECE", 64)  # several pieces a text
    rng = random.Random(0)
    whole = changed = 0
    for _ in range(100):
        text = json.dumps(records(rng), ensure_ascii=False, **rng.choice(LAYOUTS)).encode()
        whole += assert_right(text)
        for _ in range(20):
            at, other = rng.randrange(len(text)), bytes([rng.choice(b'[]{},:"0123456789.-+eE \n\x00x\xff')])
            mutant = rng.choice(
                [text[:at] + text[at + 1 :], text[:at] + other + text[at:], text[:at] + other + text[at + 1 :]]
            )
            changed += assert_right(mutant)
    assert whole > 80
    assert 150 < changed < 1700  # digits and blanks may change


@pytest.mark.parametrize("text", WRONG)
def test_what_is_not_written_alike_is_left_to_the_json_reader(text: str) -> None:
    assert columns(text.encode()) is None


@pytest.mark.parametrize("width", [2, 255, 256, 300, 512])
def test_numbers_are_counted_where_a_record_has_hundreds(width: int) -> None:
    rows = [{"a": i, "b": list(range(i, i + width)), "c": [i, i]} for i in range(5)]
    found = columns(json.dumps(rows).encode())
    assert found is not None
    assert np.array_equal(found.numbers["b"], [row["b"] for row in rows])
    for here, there, moved in (("b", "b", 1), ("b", "c", 1), ("c", "b", 256), ("b", "c", 256), ("b", "b", 256)):
        wrong = json.loads(json.dumps(rows))
        wrong[3][there] += [7] * moved
        assert columns(json.dumps(wrong).encode()) is None
        del wrong[1][here][:moved]  # as many numbers in all, where there are as many to be taken
        assert columns(json.dumps(wrong).encode()) is None


def test_a_long_run_of_blanks_takes_no_time() -> None:
    text = b'[{"a":1' + b" " * 1_000_000 + b'},{"a":2' + b" " * 1_000_000 + b"}]" + b" " * 1_000_000
    assert not assert_right(text)


def same(one: Annotations | Predictions, other: Annotations | Predictions) -> bool:
    for entry in fields(one):
        a, b = getattr(one, entry.name), getattr(other, entry.name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif a != b:
            return False
    return True


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_annotation_files_and_results_are_the_same_by_either_road(tmp_path: Path, layout: dict[str, Any]) -> None:
    options, path = ReadOptions(), tmp_path / "file.json"
    by_columns = 0
    for seed in range(40):
        annotations, predictions = awkward(seed)
        m = len(annotations.index)
        if seed % 2:
            annotations = replace(
                annotations,
                areas=np.maximum(annotations.areas, 1.0),
                labels=np.arange(len(annotations)) if seed % 3 else None,
                groups=tuple(f"video {i % 2}" for i in range(len(annotations))) if seed % 5 else None,
            )
        document = annotations_to_json(annotations)
        text = json.dumps(document, **layout).encode()
        path.write_bytes(text)
        expected, found = read_document(document, str(path), options), read_file(path)
        assert same(expected.annotations, found.annotations), seed
        assert expected.notes == found.notes
        quick = document_in(text, str(path), options, files=True)
        by_columns += quick is not None
        assert (annotations.areas > 0).all() or quick is None
        assert m > 1 or quick is None
        results = predictions_to_json(predictions)
        path.write_text(json.dumps(results, **layout))
        wanted = predictions_from_json(results, annotations, str(path), own=True)
        assert same(wanted, read_predictions(path, annotations, own=True))
        assert len(predictions) < 2 or predictions_in(path.read_bytes()) is not None
    assert by_columns > 15


def test_baselines_of_one_keypoint_are_columns_too() -> None:
    annotations = replace(single_instance(20)[0], categories=())
    text = json.dumps(annotations_to_json(annotations)).encode()
    quick = document_in(text, "file", ReadOptions(), files=True)
    assert quick is not None
    assert quick.annotations.digest == annotations.digest


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_id", 99),
        ("image_id", 1.5),
        ("category_id", 7),
        ("keypoints", [1e10, 1, 2] * 2),
        ("score", 1e10),
        ("bbox", [0, 0, 1]),
    ],
)
def test_messages_are_those_of_the_json_reader(tmp_path: Path, key: str, value: Any) -> None:
    annotations, predictions = crowded(4, 2, 2, 0)
    results = predictions_to_json(predictions)
    results[5][key] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    with pytest.raises(UserError) as expected:
        predictions_from_json(results, annotations, str(path))
    with pytest.raises(UserError) as found:
        read_predictions(path, annotations)
    assert str(found.value) == str(expected.value)
    assert "entry 5" in str(found.value)


def test_another_number_of_keypoints_and_repeats_are_named_as_before(tmp_path: Path) -> None:
    annotations, predictions = crowded(4, 2, 2, 0)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(predictions_to_json(predictions)))
    with pytest.raises(UserError, match="entry 0: 'keypoints' has 6 numbers where 9"):
        read_predictions(path, crowded(4, 2, 3, 0)[0])
    results = predictions_to_json(predictions)
    path.write_text(json.dumps([*results, results[3]]))
    with pytest.raises(UserError, match="entry 8: is the same prediction as entry 3"):
        read_predictions(path, annotations)


def test_a_list_of_the_same_name_elsewhere_is_not_taken_for_the_annotations() -> None:
    document = annotations_to_json(crowded(4, 2, 2, 0)[0])
    nested = {"info": {**document["info"], "annotations": document["annotations"]}, **document, "annotations": []}
    nested["info"] = {**document["info"], "annotations": document["annotations"]}
    options = ReadOptions()
    assert document_in(json.dumps(document).encode(), "file", options, files=True) is not None
    assert document_in(json.dumps(nested).encode(), "file", options, files=True) is None
    named = {**document, "info": {**document["info"], "note": "annotations"}}
    assert document_in(json.dumps(named).encode(), "file", options, files=True) is None
