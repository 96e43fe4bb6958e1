"""The checks every prediction and annotations passes before a number is made of it.

A value that is not finite must never reach a metric: pycocotools gives NaN keypoints an AP of 1.
"""

from __future__ import annotations

import numpy as np

from benchmark.structures import Annotations, Predictions, UserError

FAR = 1e9  # px: no coordinate, box or area root is larger, so squares stay finite with room to spare


def first_problem(predictions: Predictions, annotations: Annotations) -> tuple[int, str] | None:
    """The first row that is not a prediction for these images, and what is wrong with it; None where all are.

    A row holds finite numbers within 1e9 (px, score) and names an image and a category of the annotations. Raises UserError
    where the arrays do not even fit together.
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
        (~(np.abs(numbers) <= FAR).all(axis=1), "holds a number that is not finite or beyond 1e9"),
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


def first_copy(predictions: Predictions) -> tuple[int, str] | None:
    """The first row that repeats an earlier one in every field, and which; None where all differ."""
    p, k = predictions.keypoints.shape[:2]
    numbers = np.column_stack([predictions.keypoints.reshape(p, 2 * k), predictions.scores])
    seen: dict[bytes, int] = {}
    rows = np.column_stack([predictions.image_ids, predictions.category_ids, (numbers + 0.0).view(np.int64)])
    for row, content in enumerate(map(bytes, rows)):
        if (earlier := seen.setdefault(content, row)) != row:
            return row, f"is the same prediction as entry {earlier}; give it once"
    return None


def check_annotations(annotations: Annotations) -> None:
    """UserError where a number that scores depend on is not finite, or a sigma, size or area is out of range."""
    fields = {
        "keypoints": annotations.keypoints,
        "boxes": annotations.boxes,
        "areas": annotations.areas,
        "sigmas": annotations.sigmas,
    }
    if annotations.baseline is not None:
        fields["baseline"] = annotations.baseline
    for name, values in fields.items():
        if not (np.abs(values) <= FAR**2).all():
            raise UserError(f"annotations: {name} holds a value that is not finite; correct the annotation file")
    if (annotations.sigmas <= 0).any() or (annotations.areas < 0).any() or (annotations.sizes < 1).any():
        raise UserError(
            "annotations: sigmas and sizes must be above 0 and areas not below; correct the annotation file"
        )
    if not len(annotations):
        raise UserError("annotations: has no images, so there is nothing to score")
