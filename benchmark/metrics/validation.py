"""The checks that annotations and predictions pass before a number is made of them.

A value that is not finite must never reach a metric: pycocotools gives NaN keypoints an AP of 1.
"""

from __future__ import annotations

import numpy as np

from benchmark.structures import Annotations, Predictions, UserError

MAX_ABS = 1e9  # no coordinate (px), score or root of an area is larger, so squares stay finite with room to spare


def first_problem(predictions: Predictions, annotations: Annotations) -> tuple[int, str] | None:
    """The first row that is not a prediction for these images.

    A row must hold finite numbers within 1e9 (px, score) and name an image and a category of the annotations.

    Args:
        predictions: What is checked.
        annotations: What is known of the images.

    Returns:
        The row and what is wrong with it, as the end of a sentence; None where all rows are right.

    Raises:
        UserError: Where the arrays do not even fit together.
    """
    p, k = len(predictions), len(annotations.keypoint_names)
    shapes = (predictions.keypoints.shape, predictions.scores.shape, predictions.category_ids.shape)
    if shapes != ((p, k, 2), (p,), (p,)):
        raise UserError(
            f"{p} predictions of {k} keypoints need arrays of {(p, k, 2)}, {(p,)} and {(p,)}, and these are "
            f"{', '.join(map(str, shapes))}"
        )
    numbers = np.column_stack([predictions.keypoints.reshape(p, 2 * k), predictions.scores])
    problems = [
        (~(np.abs(numbers) <= MAX_ABS).all(axis=1), "holds a number that is not finite or beyond 1e9"),
        (~np.isin(predictions.image_ids, annotations.image_ids), "image_id {image} is not an image of the annotations"),
    ]
    if len(annotations.category_ids) or annotations.categories:
        known = np.isin(predictions.category_ids, annotations.known_category_ids)
        problems.append((~known, "category_id {category} is not a category of the annotations"))
    for wrong, words in problems:
        if wrong.any():
            row = int(np.argmax(wrong))
            return row, words.format(image=predictions.image_ids[row], category=predictions.category_ids[row])
    return None


def first_duplicate(predictions: Predictions) -> tuple[int, str] | None:
    """The first row that repeats an earlier one in every field.

    Args:
        predictions: What is checked; their arrays fit together.

    Returns:
        The row and a sentence that names the earlier one; None where all rows differ.
    """
    if len(np.unique(predictions.scores)) == len(predictions):
        return None  # what is equal in every field has equal scores
    p, k = predictions.keypoints.shape[:2]
    numbers = np.column_stack([predictions.keypoints.reshape(p, 2 * k), predictions.scores])
    rows = np.column_stack([predictions.image_ids, predictions.category_ids, (numbers + 0.0).view(np.int64)])
    first_rows: dict[bytes, int] = {}
    for row, content in enumerate(map(bytes, rows)):
        if (earlier := first_rows.setdefault(content, row)) != row:
            return row, f"is the same prediction as entry {earlier}; give it once"
    return None


def check_annotations(annotations: Annotations) -> None:
    """Check every number that scores depend on.

    Args:
        annotations: What is checked.

    Raises:
        UserError: Where a number is not finite, a sigma, size or area is out of range, or there are no images.
    """
    fields = {
        "keypoints": annotations.keypoints,
        "boxes": annotations.boxes,
        "areas": annotations.areas,
        "sigmas": annotations.sigmas,
    }
    if annotations.baseline is not None:
        fields["baseline"] = annotations.baseline
    for name, values in fields.items():
        if not (np.abs(values) <= MAX_ABS**2).all():
            raise UserError(f"annotations: {name} holds a value that is not finite; correct the annotation file")
    if (annotations.sigmas <= 0).any() or (annotations.areas < 0).any() or (annotations.sizes < 0).any():
        raise UserError(
            "annotations: sigmas must be above 0, and sizes and areas not below; correct the annotation file"
        )
    if not len(annotations):
        raise UserError("annotations: there are no images, so there is nothing to score")
