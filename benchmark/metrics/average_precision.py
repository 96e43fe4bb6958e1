"""COCO keypoint AP and AR (https://cocodataset.org/#keypoints-eval), equal to pycocotools' to rounding.

Ten OKS thresholds from .50 to .95, precision read at 101 recalls, at most 20 detections an image and category, every
area. (COCO's medium and large areas are empty for images below 32 x 32 and are not offered.) Averages run over the
categories that have an instance which counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.oks import BoolArray, group, ignored, match
from benchmark.structures import Annotations, FloatArray, Predictions

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 20


@dataclass(frozen=True)
class AveragePrecision:
    """AP and AR over all thresholds. All are None where no instance counts: where each is a crowd or unlabelled.

    Attributes:
        ap: AP, the mean over the thresholds .50 to .95.
        ap50: AP at .50.
        ap75: AP at .75.
        ar: AR, the mean over the thresholds.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None


def average_precision(
    annotations: Annotations, predictions: Predictions, scores: FloatArray | None = None
) -> AveragePrecision:
    """AP and AR of the predictions.

    Args:
        annotations: What is known of the images; trusted, see `benchmark.metrics.validation`.
        predictions: What was predicted for them; trusted too.
        scores: (P,) float64, what ranks the predictions; None: their own scores. Equal scores stand in the order of image
            ids, then of the predictions.

    Returns:
        The four numbers, all None where no instance counts.
    """
    ranked = predictions.scores if scores is None else scores
    counted = ~ignored(annotations)
    precisions, recalls = [], []
    for category in np.unique(annotations.category_ids[counted]).tolist():
        members = group(annotations, predictions, ranked, category, MAX_DETECTIONS)
        total = int(counted[members.instances].sum())
        taken = match(annotations, predictions, members, THRESHOLDS).take(members.ranking, axis=1)
        right = (taken >= 0) & counted[taken]
        precision, recall = _curve(right, taken < 0, total)
        precisions.append(precision)
        recalls.append(recall)
    if not precisions:
        return AveragePrecision(None, None, None, None)
    by_threshold = np.mean(precisions, axis=(0, 2))
    return AveragePrecision(
        float(by_threshold.mean()), float(by_threshold[0]), float(by_threshold[5]), float(np.mean(recalls))
    )


def _curve(right: BoolArray, wrong: BoolArray, total: int) -> tuple[FloatArray, FloatArray]:
    """(T, 101) interpolated precision at each recall and (T,) final recall, from (T, P) flags in the order of scores.

    Recall and the running maximum of precision change at right detections alone, so nothing is computed elsewhere.
    """
    precision, recall = np.zeros((len(right), len(RECALLS))), np.zeros(len(right))
    for row, (hit, miss) in enumerate(zip(right, wrong)):
        at = np.flatnonzero(hit)
        hits = np.arange(1.0, len(at) + 1)
        seen = at + 1.0 - np.searchsorted(np.flatnonzero(~(hit | miss)), at)  # those on ignored instances do not count
        best = np.maximum.accumulate((hits / (seen + np.spacing(1)))[::-1])[::-1]
        reached = np.searchsorted(hits / total, RECALLS, side="left")
        some = reached < len(at)
        precision[row, some] = best[reached[some]]
        recall[row] = len(at) / total
    return precision, recall
