"""From annotations and predictions to every number a row of the board reports.

Which prediction answers which instance:

- *One instance an image*: the best scored prediction of an image (of equals the first in the file) is its answer,
  whatever its category: AP counts categories, pixels do not. No prediction is an error of (W, H) px, never exact, never a dropped row.
- *Several, or none*: COCO's greedy matching by falling score within an image and category at an OKS of at least .1, the
  threshold of Ronchi and Perona's error analysis. Pixel metrics are over the matched pairs; precision, recall and misses
  stand beside them. Crowds and unlabelled instances neither gain nor cost.

AP and AR are COCO's in both cases (`average_precision`), and see every prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.metrics.average_precision import average_precision
from benchmark.metrics.oks import BoolArray, group, ignored, match, positions
from benchmark.metrics.pixels import PIXEL_METRICS, Errors, pixel_metrics
from benchmark.metrics.taxonomy import KINDS, kinds
from benchmark.metrics.validation import check_annotations, first_problem
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions, UserError

MATCH_OKS = 0.1
OKS_METRICS = ("ap", "ap50", "ap75", "ar", "ap_constant")
METRICS = (*PIXEL_METRICS, "exact_all", *OKS_METRICS, "misses", "precision", "recall")


@dataclass(frozen=True, eq=False)
class Scores(Mapping[str, float | None]):
    """The table of one row: a mapping from metric name to a float, or None where it has no meaning.

    metrics: what the mapping holds. reasons: metric -> why it is None. flags: ``tied_scores``: equal scores decide the AP, or the detector has none;
    ``many``: matched by OKS. keypoints: keypoint name -> pixel metrics. taxonomy: kind of error -> number of keypoints.
    counts: images, instances (that count), predictions, spare (predictions that answer nothing).
    distances: (N,) px, mean over an image's labelled keypoints; exact: (N,) share of them on a lattice that are exact.
    Both are NaN for an image that has nothing to average, which for one-instance data never happens to ``distances``.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    flags: dict[str, bool]
    keypoints: dict[str, dict[str, float | None]]
    taxonomy: dict[str, int]
    counts: dict[str, int]
    distances: FloatArray = field(repr=False)
    exact: FloatArray = field(repr=False)

    def __getitem__(self, name: str) -> float | None:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able dict: the metrics by name, then reasons, flags, keypoints, taxonomy and counts."""
        return {
            **self.metrics,
            "reasons": self.reasons,
            "flags": self.flags,
            "keypoints": self.keypoints,
            "taxonomy": self.taxonomy,
            "counts": self.counts,
        }


def score(annotations: Annotations, predictions: Predictions, *, has_scores: bool = True) -> Scores:
    """Score the predictions for the images of ``annotations``; see the module for which prediction answers what.

    has_scores: whether the detector's scores carry confidence; if not, AP is flagged as tied.
    Raises UserError where a number is not finite or a prediction is not for these images. Changes none of its inputs.
    """
    check_annotations(annotations)
    if problem := first_problem(predictions, annotations):
        row, words = problem
        raise UserError(f"prediction {row}: {words}")
    one = _one_instance_each(annotations)
    counted = ~ignored(annotations)
    rows, answers, spare = _answer_one(annotations, predictions) if one else _answer_many(annotations, predictions)
    errors = _errors(annotations, predictions, rows, answers)
    values, reasons = pixel_metrics(errors)
    lattice = errors.on_lattice
    concerned = lattice.any(axis=1)
    hit = np.asarray((errors.exact | ~lattice).all(axis=1))[concerned]
    values["exact_all"] = float(hit.mean()) if len(hit) else None
    if not len(hit):
        reasons["exact_all"] = reasons["exact"]
    oks, why = _oks_metrics(annotations, predictions)
    found = int((answers >= 0).sum())
    values |= oks
    values["misses"] = float(counted.sum() - found)
    reasons |= why
    if not one:
        values["precision"] = found / (found + spare) if found + spare else None
        values["recall"] = found / int(counted.sum()) if counted.any() else None
        if values["precision"] is None:
            reasons["precision"] = "no prediction counts"
        if values["recall"] is None:
            reasons["recall"] = "no instance counts"
    names = annotations.keypoint_names
    return Scores(
        metrics=values,
        reasons=reasons,
        flags={
            "tied_scores": not has_scores or len(np.unique(predictions.scores)) < len(predictions),
            "multi_instance": not one,
        },
        keypoints={name: pixel_metrics(errors.keypoint(j))[0] for j, name in enumerate(names)},
        taxonomy=_taxonomy(
            annotations, predictions, rows, answers, errors, int((annotations.visible[counted] > 0).sum())
        ),
        counts={
            "images": len(annotations),
            "instances": int(counted.sum()),
            "predictions": len(predictions),
            "spare": spare,
        },
        distances=_per_image(annotations, rows, errors.distances, errors.labelled),
        exact=_per_image(annotations, rows, errors.exact, lattice),
    )


def _one_instance_each(annotations: Annotations) -> bool:
    """Whether every image has exactly one instance that counts, and no other."""
    return bool(np.array_equal(annotations.index, np.arange(len(annotations))) and not ignored(annotations).any())


def _answer_one(annotations: Annotations, predictions: Predictions) -> tuple[IntArray, IntArray, int]:
    """The instances, the prediction that answers each (-1: none), and how many predictions answer nothing."""
    image = positions(annotations, predictions.image_ids)
    order = np.lexsort((-predictions.scores, image))
    owners, first = np.unique(image[order], return_index=True)
    answers = np.full(len(annotations), -1, dtype=np.int64)
    answers[owners] = order[first]
    return np.arange(len(annotations)), answers, len(predictions) - len(owners)


def _answer_many(annotations: Annotations, predictions: Predictions) -> tuple[IntArray, IntArray, int]:
    """The matched instances, the prediction of each, and how many predictions match nothing, ignored ones included."""
    no_matter = ignored(annotations)
    rows, answers, spare = [], [], 0
    for category in np.unique(predictions.category_ids).tolist():
        found = group(annotations, predictions, predictions.scores, category, None)
        taken = match(annotations, predictions, found, np.array([MATCH_OKS]))[0]
        good = (taken >= 0) & ~no_matter[taken] if len(no_matter) else np.zeros(len(taken), dtype=bool)
        rows.append(taken[good])
        answers.append(found.detections[good])
        spare += int((taken < 0).sum())
    empty = [np.zeros(0, dtype=np.int64)]
    every, answered = np.concatenate(rows or empty), np.concatenate(answers or empty)
    order = np.argsort(every)
    return every[order], answered[order], spare


def _errors(annotations: Annotations, predictions: Predictions, rows: IntArray, answers: IntArray) -> Errors:
    """The pixel errors of instances ``rows`` answered by predictions ``answers`` (-1: none)."""
    image = annotations.index[rows]
    answered = answers >= 0
    sizes = annotations.sizes[image].astype(np.float64)
    offsets = np.broadcast_to(sizes[:, None, :], annotations.keypoints[rows].shape).copy()
    offsets[answered] = predictions.keypoints[answers[answered]] - annotations.keypoints[rows[answered]]
    return Errors(
        offsets=offsets,
        labelled=annotations.visible[rows] > 0,
        answered=answered,
        sizes=sizes,
        spacing=np.full(len(annotations.keypoint_names), math.nan)
        if annotations.spacing is None
        else annotations.spacing,
        from_baseline=None
        if annotations.baseline is None
        else annotations.keypoints[rows] - annotations.baseline[image],
    )


def _oks_metrics(annotations: Annotations, predictions: Predictions) -> tuple[dict[str, float | None], dict[str, str]]:
    found = average_precision(annotations, predictions)
    level = average_precision(annotations, predictions, np.ones(len(predictions)))
    values = dict(zip(OKS_METRICS, (found.ap, found.ap50, found.ap75, found.ar, level.ap)))
    return values, {name: "no instance counts" for name, value in values.items() if value is None}


def _taxonomy(
    annotations: Annotations, predictions: Predictions, rows: IntArray, answers: IntArray, errors: Errors, labelled: int
) -> dict[str, int]:
    answered = errors.answered
    same_pixel = (np.abs(errors.offsets) < 0.5).all(axis=2)
    exact = np.where(np.isnan(errors.spacing), same_pixel, errors.exact)[answered]
    found = kinds(annotations, rows[answered], predictions.keypoints[answers[answered]], exact)
    counts = np.bincount(found[found >= 0], minlength=len(KINDS))
    counts[KINDS.index("miss")] += labelled - counts.sum()
    return dict(zip(KINDS, counts.tolist()))


def _per_image(
    annotations: Annotations, rows: IntArray, values: FloatArray | BoolArray, counted: BoolArray
) -> FloatArray:
    """(N,) the mean over an image's keypoints that count; NaN where it has none."""
    image = annotations.index[rows]
    total = np.bincount(image, np.where(counted, values, 0.0).sum(axis=1), minlength=len(annotations))
    number = np.bincount(image, counted.sum(axis=1), minlength=len(annotations))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / number, dtype=np.float64)
