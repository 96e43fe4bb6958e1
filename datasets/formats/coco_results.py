"""Predictions as a COCO keypoint results file (https://cocodataset.org/#format-results), and back, bit for bit.

A file is a list of objects with ``image_id``, ``category_id``, ``keypoints`` ([x, y, v] a keypoint) and ``score``. An
image may have any number of them: of one-instance data the best scored answers, the rest counts for AP alone. What is
read is checked in full and nothing is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import files
from benchmark.metrics.validation import first_duplicate, first_problem
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco import MAX_ID
from datasets.formats.coco_columns import predictions_in
from datasets.formats.json_columns import (
    Record,
    Where,
    column,
    parse_json,
    read_bytes,
    real_numbers,
    records,
    tables,
    whole_numbers,
)

MEANING = "x, y, v a keypoint"


def predictions_to_json(predictions: Predictions) -> list[Record]:
    """Predictions as the entries of a COCO results file.

    Each has a ``bbox``, the pixels its keypoints cover: without one pycocotools gives a one-keypoint result the area 0.

    Args:
        predictions: What is written.

    Returns:
        A JSON-able list, one object a prediction.
    """
    low = predictions.keypoints.min(axis=1, initial=np.inf) - 0.5
    high = predictions.keypoints.max(axis=1, initial=-np.inf) + 0.5
    return [
        {
            "image_id": image_id,
            "category_id": category,
            "keypoints": [value for x, y in points for value in (x, y, 2)],
            "bbox": box,
            "score": score,
        }
        for image_id, category, points, box, score in zip(
            predictions.image_ids.tolist(),
            predictions.category_ids.tolist(),
            predictions.keypoints.tolist(),
            np.hstack([low, high - low]).tolist(),
            predictions.scores.tolist(),
        )
    ]


def write_predictions(path: Path | str, predictions: Predictions, annotations: Annotations) -> None:
    """Write a COCO results file, one line an entry.

    Args:
        path: The file.
        predictions: What is written.
        annotations: What the predictions answer.

    Raises:
        UserError: Where `read_predictions` would refuse the file, which is then not written.
    """
    if problem := first_problem(predictions, annotations):
        row, words = problem
        raise UserError(f"{path}: not written: prediction {row}: {words}")
    lines = ",\n".join(json.dumps(entry) for entry in predictions_to_json(predictions))
    files.write_text(Path(path), f"[\n{lines}\n]" if lines else "[]")


def read_predictions(path: Path | str, annotations: Annotations, *, own: bool = False) -> Predictions:
    """The predictions in a COCO results file of any tool, checked against the annotations they answer.

    Args:
        path: The file.
        annotations: What the predictions answer.
        own: Whether this suite wrote the file. An exact repeat is an error in another tool's file, for it is mostly a
            mistake; a detector of ours may find the same thing twice.

    Returns:
        The predictions, in the order of the file.

    Raises:
        UserError: One line with the file and the entry (counted from 0), where an entry is not a prediction of these
            images: missing keys, anything but finite numbers within 1e9 px, unknown images or categories, another number
            of keypoints.
    """
    return predictions_from_json(read_results(path), annotations, str(path), own=own)


def read_results(path: Path | str) -> Any:
    """A COCO results file that is yet to be checked against the annotations it answers.

    Args:
        path: The file.

    Returns:
        `Predictions`, where it is written as programs write it and is right by itself; else its JSON document.

    Raises:
        UserError: See `json_columns.read_json`.
    """
    content = read_bytes(path)
    predictions = predictions_in(content)
    return parse_json(content, path) if predictions is None else predictions


def answered_images(results: Any) -> set[int]:
    """The ids of the images that a results file answers, as far as it is one; what is wrong with it is said later.

    Args:
        results: What `read_results` gave.
    """
    if isinstance(results, Predictions):
        return set(results.image_ids.tolist())
    ids = [row.get("image_id") for row in results if isinstance(row, dict)] if isinstance(results, list) else []
    return {one for one in ids if type(one) is int}


def predictions_from_json(results: Any, annotations: Annotations, origin: str, *, own: bool = False) -> Predictions:
    """`read_predictions` of a file that has been read.

    Args:
        results: What `read_results` gave.
        annotations: What the predictions answer.
        origin: The file, named in errors.
        own: See `read_predictions`.

    Returns:
        The predictions, in the order of the file.

    Raises:
        UserError: See `read_predictions`.
    """

    def where(i: int) -> str:
        return f"{origin}: entry {i}"

    k = len(annotations.keypoint_names)
    if not isinstance(results, Predictions):
        predictions = _from_json(results, k, origin, where)
    else:
        predictions, given = results, results.keypoints.shape[1]
        if given != k and len(predictions):  # all entries have as many, so the first is the first that is wrong
            tables([[0.0] * (3 * given)], 3 * k, "keypoints", where, MEANING)
    if problem := first_problem(predictions, annotations) or (None if own else first_duplicate(predictions)):
        row, words = problem
        raise UserError(f"{where(row)}: {words}")
    return predictions


def _from_json(document: Any, k: int, origin: str, where: Where) -> Predictions:
    """The predictions of a document, of K keypoints each."""
    if type(document) is dict and "annotations" in document:
        raise UserError(f"{origin}: is an annotation file; give the results file, a list of predictions")
    rows = records(document, origin)
    given = column(rows, "keypoints", where)
    triples = tables(given, 3 * k, "keypoints", where, MEANING).reshape(-1, k, 3)
    _check_boxes(rows, origin)
    return Predictions(
        image_ids=whole_numbers(column(rows, "image_id", where), "image_id", where, 0, MAX_ID),
        keypoints=np.ascontiguousarray(triples[:, :, :2]),
        scores=real_numbers(column(rows, "score", where), "score", where),
        category_ids=whole_numbers(column(rows, "category_id", where), "category_id", where, 0, MAX_ID),
    )


def _check_boxes(rows: Sequence[Record], origin: str) -> None:
    """A box is not needed to score keypoints; one that is given must be one."""
    having = [i for i, row in enumerate(rows) if row.get("bbox") not in (None, [])]
    tables(
        [rows[i]["bbox"] for i in having], 4, "bbox", lambda j: f"{origin}: entry {having[j]}", "x, y, width, height"
    )
