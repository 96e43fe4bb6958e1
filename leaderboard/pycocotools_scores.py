"""AP and AR by pycocotools, as a second opinion on `benchmark.metrics.average_precision`.

Sigmas are passed as an array of length K (pycocotools has those of 17 human keypoints built in), box and area are given
for every detection (``loadRes`` gives a single keypoint the area 0), and everything is handed over as fresh lists, since
pycocotools changes what it is given.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from benchmark.structures import Annotations, FloatArray, Predictions

NAMES = ("ap", "ap50", "ap75", "ar")
ANY_AREA = [0.0, 1e20]
MAX_DETECTIONS = 20


def pycocotools_scores(annotations: Annotations, predictions: Predictions) -> dict[str, float | None]:
    """COCO keypoint AP over all thresholds, at .50 and at .75, and AR.

    Args:
        annotations: Unchanged.
        predictions: Unchanged.

    Returns:
        Name of `NAMES` -> figure; None where no instance counts.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):  # it reports its progress
        known, answers = COCO(), COCO()
        known.dataset = _document(annotations, _instances(annotations))
        answers.dataset = _document(annotations, _detections(predictions))
        known.createIndex()
        answers.createIndex()
        judge = COCOeval(known, answers, "keypoints")
        judge.params.kpt_oks_sigmas = np.array(annotations.sigmas, dtype=np.float64)
        judge.params.areaRng, judge.params.areaRngLbl = [ANY_AREA], ["all"]
        judge.params.maxDets = [MAX_DETECTIONS]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    return {
        "ap": _mean(precision),
        "ap50": _mean(precision[0]),
        "ap75": _mean(precision[5]),
        "ar": _mean(recall),
    }


def _document(annotations: Annotations, rows: list[dict[str, Any]]) -> dict[str, Any]:
    images = [
        {"id": image, "width": width, "height": height}
        for image, (width, height) in zip(annotations.image_ids.tolist(), annotations.sizes.tolist())
    ]
    categories = [{"id": category, "name": str(category)} for category in annotations.known_category_ids.tolist()]
    return {"images": images, "categories": categories, "annotations": rows}


def _instances(annotations: Annotations) -> list[dict[str, Any]]:
    images = annotations.image_ids[annotations.index].tolist()
    return [
        {
            "id": i + 1,
            "image_id": images[i],
            "category_id": int(annotations.category_ids[i]),
            "keypoints": _triples(annotations.keypoints[i], annotations.visible[i].tolist()),
            "num_keypoints": int((annotations.visible[i] > 0).sum()),
            "bbox": annotations.boxes[i].tolist(),
            "area": float(annotations.areas[i]),
            "iscrowd": int(annotations.crowd[i]),
        }
        for i in range(len(images))
    ]


def _detections(predictions: Predictions) -> list[dict[str, Any]]:
    rows = []
    for i, points in enumerate(predictions.keypoints):
        low, extent = points.min(axis=0), np.ptp(points, axis=0)
        rows.append(
            {
                "id": i + 1,
                "image_id": int(predictions.image_ids[i]),
                "category_id": int(predictions.category_ids[i]),
                "keypoints": _triples(points, [1] * len(points)),
                "score": float(predictions.scores[i]),
                "bbox": [*low.tolist(), *extent.tolist()],
                "area": float(extent[0] * extent[1]),
            }
        )
    return rows


def _triples(points: FloatArray, flags: list[int]) -> list[float]:
    return [value for (x, y), flag in zip(points.tolist(), flags) for value in (x, y, flag)]


def _mean(values: Any) -> float | None:
    """Over what pycocotools has a value for; it writes -1 where it has none."""
    known = values[values > -1]
    return float(np.mean(known)) if known.size else None
