"""The three independent answers for COCO keypoint AP and AR: pycocotools, faster-coco-eval and hotcoco."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.structures import Annotations, Predictions
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import predictions_to_json

Four = tuple[float, float, float, float]


def documents(annotations: Annotations, predictions: Predictions) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The annotations and the predictions as the two libraries take them, in memory."""
    return annotations_to_json(annotations), predictions_to_json(predictions)


def pycocotools_judge(document: dict[str, Any], results: list[dict[str, Any]], sigmas: np.ndarray[Any, Any]) -> Any:
    """pycocotools' evaluator with everything indexed and nothing evaluated."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        annotations = COCO()
        annotations.dataset = document
        annotations.createIndex()
        judge = COCOeval(annotations, annotations.loadRes(results), "keypoints")
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
        annotations = COCO(document)
        judge = COCOeval_faster(annotations, annotations.loadRes(results), "keypoints", kpt_oks_sigmas=list(sigmas))
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return tuple(float(judge.stats[i]) for i in (0, 1, 2, 5))  # type: ignore[return-value]


def hotcoco_judge(document: Any, results: Any, sigmas: np.ndarray[Any, Any]) -> Any:
    """hotcoco's evaluator with everything indexed and nothing evaluated, of documents in memory or names of files."""
    from hotcoco import COCO, COCOeval

    annotations = COCO(document)
    judge = COCOeval(annotations, annotations.load_res(results), "keypoints")
    parameters = judge.params  # a copy
    parameters.kpt_oks_sigmas = list(sigmas)
    judge.params = parameters
    return judge


def hotcoco(judge: Any) -> Four:
    """AP, AP50, AP75, AR of hotcoco; -1 where it knows none."""
    judge.evaluate()
    judge.accumulate()
    with warnings.catch_warnings(), silent_stdout():
        warnings.simplefilter("ignore")  # it warns of sigmas that are not COCO's
        judge.summarize()
    return tuple(float(judge.stats[i]) for i in (0, 1, 2, 5))  # type: ignore[return-value]


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Without what compiled code prints, past Python's stdout."""
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def every(annotations: Annotations, predictions: Predictions) -> tuple[Four, Four, Four]:
    """What the three libraries say; each gets its own copy, for they write into what they are given."""
    document, results = documents(annotations, predictions)
    return (
        pycocotools(pycocotools_judge(copy.deepcopy(document), copy.deepcopy(results), annotations.sigmas)),
        faster_coco_eval(copy.deepcopy(document), copy.deepcopy(results), annotations.sigmas),
        hotcoco(hotcoco_judge(document, results, annotations.sigmas)),
    )
