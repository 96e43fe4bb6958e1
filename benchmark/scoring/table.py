"""From truth and predictions to every number a row of the board reports.

Which prediction answers which instance:

- *One instance an image*: the best scored prediction of an image (of equals the first in the file) is its answer. No
  prediction is an error of (W, H) px, never exact, never a dropped row.
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

from benchmark.scoring.average_precision import average_precision
from benchmark.scoring.check import check_truth, first_problem
from benchmark.scoring.oks import BoolArray, group, ignored, match, positions
from benchmark.scoring.pixels import PIXEL_METRICS, Errors, pixel_metrics
from benchmark.scoring.taxonomy import KINDS, kinds
from benchmark.structures import FloatArray, IntArray, Predictions, Truth, UserError

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


def score(truth: Truth, predictions: Predictions, *, has_scores: bool = True) -> Scores:
    """Score the predictions for the images of ``truth``; see the module for which prediction answers what.

    has_scores: whether the detector's scores carry confidence; if not, AP is flagged as tied.
    Raises UserError where a number is not finite or a prediction is not for these images. Changes none of its inputs.
    """
    check_truth(truth)
    if problem := first_problem(predictions, truth):
        row, words = problem
        raise UserError(f"prediction {row}: {words}")
    one = _one_instance_each(truth)
    counted = ~ignored(truth)
    rows, answers, spare = _answer_one(truth, predictions) if one else _answer_many(truth, predictions)
    errors = _errors(truth, predictions, rows, answers)
    values, reasons = pixel_metrics(errors)
    lattice = errors.on_lattice
    concerned = lattice.any(axis=1)
    hit = np.asarray((errors.exact | ~lattice).all(axis=1))[concerned]
    values["exact_all"] = float(hit.mean()) if len(hit) else None
    if not len(hit):
        reasons["exact_all"] = reasons["exact"]
    oks, why = _oks_metrics(truth, predictions)
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
    names = truth.names
    return Scores(
        metrics=values,
        reasons=reasons,
        flags={"tied_scores": not has_scores or len(np.unique(predictions.scores)) < len(predictions), "many": not one},
        keypoints={name: pixel_metrics(errors.keypoint(j))[0] for j, name in enumerate(names)},
        taxonomy=_taxonomy(truth, predictions, rows, answers, errors, int((truth.visible[counted] > 0).sum())),
        counts={
            "images": len(truth),
            "instances": int(counted.sum()),
            "predictions": len(predictions),
            "spare": spare,
        },
        distances=_per_image(truth, rows, errors.distances, errors.labelled),
        exact=_per_image(truth, rows, errors.exact, lattice),
    )


def _one_instance_each(truth: Truth) -> bool:
    """Whether every image has exactly one instance that counts, and no other."""
    return bool(np.array_equal(truth.index, np.arange(len(truth))) and not ignored(truth).any())


def _answer_one(truth: Truth, predictions: Predictions) -> tuple[IntArray, IntArray, int]:
    """The instances, the prediction that answers each (-1: none), and how many predictions answer nothing."""
    image = positions(truth, predictions.image_ids)
    fitting = np.flatnonzero(predictions.categories == truth.categories[image])
    order = fitting[np.lexsort((-predictions.scores[fitting], image[fitting]))]
    owners, first = np.unique(image[order], return_index=True)
    answers = np.full(len(truth), -1, dtype=np.int64)
    answers[owners] = order[first]
    return np.arange(len(truth)), answers, len(predictions) - len(owners)


def _answer_many(truth: Truth, predictions: Predictions) -> tuple[IntArray, IntArray, int]:
    """The matched instances, the prediction of each, and how many predictions match nothing, ignored ones included."""
    no_matter = ignored(truth)
    rows, answers, spare = [], [], 0
    for category in np.unique(predictions.categories).tolist():
        found = group(truth, predictions, predictions.scores, category, None)
        taken = match(truth, predictions, found, np.array([MATCH_OKS]))[0]
        good = (taken >= 0) & ~no_matter[taken] if len(no_matter) else np.zeros(len(taken), dtype=bool)
        rows.append(taken[good])
        answers.append(found.detections[good])
        spare += int((taken < 0).sum())
    empty = [np.zeros(0, dtype=np.int64)]
    every, answered = np.concatenate(rows or empty), np.concatenate(answers or empty)
    order = np.argsort(every)
    return every[order], answered[order], spare


def _errors(truth: Truth, predictions: Predictions, rows: IntArray, answers: IntArray) -> Errors:
    """The pixel errors of instances ``rows`` answered by predictions ``answers`` (-1: none)."""
    image = truth.index[rows]
    answered = answers >= 0
    sizes = truth.sizes[image].astype(np.float64)
    offsets = np.broadcast_to(sizes[:, None, :], truth.keypoints[rows].shape).copy()
    offsets[answered] = predictions.keypoints[answers[answered]] - truth.keypoints[rows[answered]]
    return Errors(
        offsets=offsets,
        labelled=truth.visible[rows] > 0,
        answered=answered,
        sizes=sizes,
        spacing=np.full(len(truth.names), math.nan) if truth.spacing is None else truth.spacing,
        from_baseline=None if truth.baseline is None else truth.keypoints[rows] - truth.baseline[image],
    )


def _oks_metrics(truth: Truth, predictions: Predictions) -> tuple[dict[str, float | None], dict[str, str]]:
    found = average_precision(truth, predictions)
    level = average_precision(truth, predictions, np.ones(len(predictions)))
    values = dict(zip(OKS_METRICS, (found.ap, found.ap50, found.ap75, found.ar, level.ap)))
    return values, {name: "no instance counts" for name, value in values.items() if value is None}


def _taxonomy(
    truth: Truth, predictions: Predictions, rows: IntArray, answers: IntArray, errors: Errors, labelled: int
) -> dict[str, int]:
    answered = errors.answered
    same_pixel = (np.abs(errors.offsets) < 0.5).all(axis=2)
    exact = np.where(np.isnan(errors.spacing), same_pixel, errors.exact)[answered]
    found = kinds(truth, rows[answered], predictions.keypoints[answers[answered]], exact)
    counts = np.bincount(found[found >= 0], minlength=len(KINDS))
    counts[KINDS.index("miss")] += labelled - counts.sum()
    return dict(zip(KINDS, counts.tolist()))


def _per_image(truth: Truth, rows: IntArray, values: FloatArray | BoolArray, counted: BoolArray) -> FloatArray:
    """(N,) the mean over an image's keypoints that count; NaN where it has none."""
    image = truth.index[rows]
    total = np.bincount(image, np.where(counted, values, 0.0).sum(axis=1), minlength=len(truth))
    number = np.bincount(image, counted.sum(axis=1), minlength=len(truth))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / number, dtype=np.float64)
