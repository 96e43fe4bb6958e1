"""COCO results files: what is read is what was written, and what is wrong is named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_cases import crowded, made_annotations, single_instance
from scoring_fuzz import fuzz

from benchmark.metrics import score
from benchmark.structures import Predictions, UserError
from datasets.formats.coco_results import predictions_to_json, read_predictions, write_predictions

ANNOTATIONS = made_annotations(np.full((4, 1, 2), 10.0))


def entry(**changes: Any) -> dict[str, Any]:
    return {"image_id": 1, "category_id": 1, "keypoints": [1.5, 2, 2], "score": 0.5, **changes}


def refused(tmp_path: Path, content: Any) -> str:
    """The one line that refuses a file holding ``content`` (text, bytes, or a document)."""
    path = tmp_path / "predictions.json"
    data = content if isinstance(content, bytes) else content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(UserError) as caught:
        read_predictions(path, ANNOTATIONS)
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert "\n" not in words
    return words.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keypoints": [math.nan, 2, 2]}, "keypoints[0] is NaN where a finite number"),
        ({"keypoints": [1, math.inf, 2]}, "keypoints[1] is Infinity where a finite number"),
        ({"keypoints": ["1", 2, 2]}, 'keypoints[0] is "1" where a finite number'),
        ({"keypoints": [True, 2, 2]}, "keypoints[0] is true where a finite number"),
        ({"keypoints": [None, 2, 2]}, "keypoints[0] is null where"),
        ({"keypoints": [[1], 2, 2]}, "keypoints[0] is a list where"),
        ({"keypoints": [1e12, 2, 2]}, "out of range"),
        ({"keypoints": [10**400, 2, 2]}, "a number of about 400 digits"),
        ({"keypoints": [1, 2]}, "'keypoints' has 2 numbers where 3"),
        ({"keypoints": [1, 2, 2, 1, 2, 2]}, "'keypoints' has 6 numbers where 3"),
        ({"keypoints": {"x": 1}}, "'keypoints' is an object where"),
        ({"score": math.nan}, "'score' is NaN"),
        ({"score": "high"}, "'score' is \"high\""),
        ({"score": True}, "'score' is true"),
        ({"score": 10**400}, "'score' is a number of about 400 digits"),
        ({"image_id": 99}, "image_id 99 is not an image"),
        ({"image_id": "1"}, "'image_id' is \"1\" where a whole number"),
        ({"image_id": 1.5}, "'image_id' is 1.5 where a whole number"),
        ({"image_id": True}, "'image_id' is true where a whole number"),
        ({"image_id": -1}, "'image_id' is -1"),
        ({"image_id": 2**70}, "'image_id' is 1180591620717411303424"),
        ({"category_id": 7}, "category_id 7 is not a category"),
        ({"category_id": None}, "'category_id' is null"),
        ({"bbox": [1, 2, 3]}, "'bbox' has 3 numbers where 4"),
        ({"bbox": 0}, "'bbox' is a number where"),
        ({"bbox": [1, 2, 3, math.nan]}, "bbox[3] is NaN"),
    ],
)
def test_a_bad_value_is_named_with_its_entry(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    line = refused(tmp_path, [entry(), entry(image_id=2), entry(**{"image_id": 3, **changes})])
    assert line.startswith("entry 2: ")
    assert words in line


@pytest.mark.parametrize("key", ["image_id", "category_id", "keypoints", "score"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    bad = entry()
    del bad[key]
    assert refused(tmp_path, [entry(), bad]) == f"entry 1: has no '{key}'"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ('[{"image_id": 1, "cat', "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "is not JSON this program reads"),
        (b"\xff\xfe[]", "is not UTF-8"),
        ("{}", "is an object where a list"),
        ("null", "is null where a list"),
        ("3", "is a number where a list"),
        ({"images": [], "annotations": []}, "is an annotation file"),
        ([entry(), 3], "entry 1 is a number where an object"),
        ('[{"image_id": 1}, {"score": 1, "image_id": 2, "score": 0}]', 'entry 1: "score" is given twice in one object'),
        ('{"a": [{"b": {"c": 1, "d": 2, "d": 2}}]}', 'a entry 0 b: "d" is given twice'),
        ('{"a": {"b": 1, "b": 2}, "a": 3}', '"a" is given twice'),
        ('[{"score": 1, "score": 0}', "is not JSON"),
        ([[entry()]], "entry 0 is a list where an object"),
        ([entry(), entry(score=0.1), entry()], "entry 2: is the same prediction as entry 0"),
        ([entry(keypoints=[0.0, 1, 2]), entry(keypoints=[-0.0, 1, 2])], "entry 1: is the same prediction as entry 0"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: Any, words: str) -> None:
    assert words in refused(tmp_path, content)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            read_predictions(path, ANNOTATIONS)
    with pytest.raises(UserError, match="is not a file name"):
        read_predictions("a\0b", ANNOTATIONS)


def test_a_file_of_another_tool_is_read(tmp_path: Path) -> None:
    """Whole numbers, scores for visibility, no boxes or empty ones, more keys, a byte order mark, several an image."""
    path = tmp_path / "theirs.json"
    rows = [entry(keypoints=[3, 4, 0.87], id=0, area=12.5), entry(score=1, bbox=[]), entry(image_id=3, bbox=None)]
    path.write_text(json.dumps(rows), encoding="utf-8-sig")
    predictions = read_predictions(path, ANNOTATIONS)
    assert predictions.image_ids.tolist() == [1, 1, 3]
    assert predictions.keypoints[0].tolist() == [[3.0, 4.0]]
    assert predictions.keypoints.dtype == predictions.scores.dtype == np.float64


def test_an_empty_list_finds_nothing(tmp_path: Path) -> None:
    annotations, predictions = crowded(2, 2, 3, 0)
    none = Predictions.of_category(predictions.image_ids[:0], predictions.keypoints[:0], predictions.scores[:0], 1)
    write_predictions(tmp_path / "p.json", none, annotations)
    again = read_predictions(tmp_path / "p.json", annotations)
    assert again.keypoints.shape == (0, 3, 2)
    scores = score(annotations, again)
    assert (scores["recall"], scores["precision"], scores["ap"]) == (0, None, 0)


def test_a_repeat_is_read_where_a_detector_of_ours_wrote_it(tmp_path: Path) -> None:
    twice = Predictions.of_category(np.array([2, 2]), np.full((2, 1, 2), 10.0), np.ones(2), 1)
    write_predictions(tmp_path / "p.json", twice, ANNOTATIONS)
    assert len(read_predictions(tmp_path / "p.json", ANNOTATIONS, own=True)) == 2
    with pytest.raises(UserError, match="entry 1: is the same"):
        read_predictions(tmp_path / "p.json", ANNOTATIONS)
    assert score(ANNOTATIONS, twice).counts["spare"] == 1


def test_what_is_written_is_read_bit_for_bit_and_twice_the_same(tmp_path: Path) -> None:
    annotations, predictions = crowded(5, 4, 3, 0)
    write_predictions(tmp_path / "a.json", predictions, annotations)
    again = read_predictions(tmp_path / "a.json", annotations)
    for name in ("image_ids", "keypoints", "scores", "category_ids"):
        assert getattr(again, name).tobytes() == getattr(predictions, name).tobytes()
        assert getattr(again, name).dtype == getattr(predictions, name).dtype
    write_predictions(tmp_path / "b.json", again, annotations)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == predictions_to_json(predictions)


def test_what_would_be_refused_is_not_written(tmp_path: Path) -> None:
    annotations, predictions = single_instance(3)
    predictions.keypoints[1] = np.nan
    with pytest.raises(UserError, match="prediction 1"):
        write_predictions(tmp_path / "p.json", predictions, annotations)
    assert not (tmp_path / "p.json").exists()


def test_two_thousand_mutants_are_refused_or_score_no_better_than_perfect(tmp_path: Path) -> None:
    verdicts = fuzz(2000, 0, tmp_path)
    assert sum(verdicts.values()) == 2000
    assert verdicts["refused"] > 400
    assert verdicts["scored"] > 400
