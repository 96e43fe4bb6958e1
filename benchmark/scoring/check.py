"""The checks every prediction and truth passes before a number is made of it.

A value that is not finite must never reach a metric: pycocotools gives NaN keypoints an AP of 1.
"""

from __future__ import annotations

import numpy as np

from benchmark.scoring.door import FAR
from benchmark.structures import Predictions, Truth, UserError


def first_problem(predictions: Predictions, truth: Truth) -> tuple[int, str] | None:
    """The first row that is not a prediction for these images, and what is wrong with it; None where all are.

    A row holds finite numbers within 1e9 (px, score) and names an image and a category of the truth. Raises UserError
    where the arrays do not even fit together.
    """
    p, k = len(predictions), len(truth.names)
    shapes = (predictions.keypoints.shape, predictions.scores.shape, predictions.categories.shape)
    if shapes != ((p, k, 2), (p,), (p,)):
        raise UserError(
            f"{p} predictions of {k} keypoints need arrays of {(p, k, 2)}, {(p,)} and {(p,)}, and these are "
            f"{', '.join(map(str, shapes))}"
        )
    numbers = np.column_stack([predictions.keypoints.reshape(p, 2 * k), predictions.scores])
    problems = [
        (~(np.abs(numbers) <= FAR).all(axis=1), "holds a number that is not finite or beyond 1e9"),
        (~np.isin(predictions.image_ids, truth.image_ids), "image_id {image} is not an image of the truth"),
    ]
    if len(truth.categories):
        known = np.isin(predictions.categories, truth.categories)
        problems.append((~known, "category_id {category} is not a category of the truth"))
    for wrong, words in problems:
        if wrong.any():
            row = int(np.argmax(wrong))
            return row, words.format(image=predictions.image_ids[row], category=predictions.categories[row])
    return None


def first_copy(predictions: Predictions) -> tuple[int, str] | None:
    """The first row that repeats an earlier one in every field, and which; None where all differ."""
    p, k = predictions.keypoints.shape[:2]
    numbers = np.column_stack([predictions.keypoints.reshape(p, 2 * k), predictions.scores])
    seen: dict[bytes, int] = {}
    rows = np.column_stack([predictions.image_ids, predictions.categories, (numbers + 0.0).view(np.int64)])
    for row, content in enumerate(map(bytes, rows)):
        if (earlier := seen.setdefault(content, row)) != row:
            return row, f"is the same prediction as entry {earlier}; give it once"
    return None


def check_truth(truth: Truth) -> None:
    """UserError where a number that scores depend on is not finite, or a sigma, size or area is out of range."""
    fields = {"keypoints": truth.keypoints, "boxes": truth.boxes, "areas": truth.areas, "sigmas": truth.sigmas}
    if truth.baseline is not None:
        fields["baseline"] = truth.baseline
    for name, values in fields.items():
        if not (np.abs(values) <= FAR**2).all():
            raise UserError(f"truth: {name} holds a value that is not finite; correct the annotation file")
    if (truth.sigmas <= 0).any() or (truth.areas < 0).any() or (truth.sizes < 1).any():
        raise UserError("truth: sigmas and sizes must be above 0 and areas not below; correct the annotation file")
    if not len(truth):
        raise UserError("truth: has no images, so there is nothing to score")
