"""The two independent answers for COCO keypoint AP and AR: pycocotools and faster-coco-eval."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np

from benchmark.scoring.coco_json import truth_to_json
from benchmark.scoring.results_file import predictions_to_json
from benchmark.structures import Predictions, Truth

Four = tuple[float, float, float, float]


def documents(truth: Truth, predictions: Predictions) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The truth and the predictions as the two libraries take them, in memory."""
    return truth_to_json(truth), predictions_to_json(predictions)


def pycocotools_judge(document: dict[str, Any], results: list[dict[str, Any]], sigmas: np.ndarray[Any, Any]) -> Any:
    """pycocotools' evaluator with everything indexed and nothing evaluated."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = document
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "keypoints")
    judge.params.kpt_oks_sigmas = sigmas
    return judge


def pycocotools(judge: Any) -> Four:
    """AP, AP50, AP75, AR of pycocotools; -1 where it knows none."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return tuple(float(judge.stats[i]) for i in (0, 1, 2, 5))  # type: ignore[return-value]


def faster_coco_eval(document: dict[str, Any], results: list[dict[str, Any]], sigmas: np.ndarray[Any, Any]) -> Four:
    """The same four of faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(document)
        judge = COCOeval_faster(truth, truth.loadRes(results), "keypoints", kpt_oks_sigmas=list(sigmas))
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return tuple(float(judge.stats[i]) for i in (0, 1, 2, 5))  # type: ignore[return-value]


def both(truth: Truth, predictions: Predictions) -> tuple[Four, Four]:
    """What the two libraries say; each gets its own copy, for they write into what they are given."""
    document, results = documents(truth, predictions)
    return (
        pycocotools(pycocotools_judge(copy.deepcopy(document), copy.deepcopy(results), truth.sigmas)),
        faster_coco_eval(document, results, truth.sigmas),
    )
