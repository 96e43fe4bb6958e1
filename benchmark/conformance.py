"""The conformance check: what any detector, ours or a plugin's, must do before its row means anything.

It runs on small images made here (a bright rectangle on black; its top-left pixel is the point), so it needs no data.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from benchmark.detector import Budget, Detector
from benchmark.registry import Spec, resolve
from benchmark.runs.execute import answer, commonest_category
from benchmark.structures import Annotations, FloatArray, Image, LabeledImages, Predictions, UserError

BUDGET = Budget(epochs=1)


@dataclass(frozen=True)
class Step:
    """One thing that was checked.

    Attributes:
        name: What.
        problem: What is wrong; empty where it held.
        skipped: Why it was not checked; empty where it was.
    """

    name: str
    problem: str = ""
    skipped: str = ""


def rectangles(count: int, *, height: int = 28, width: int = 28, k: int = 1, seed: int = 0) -> LabeledImages:
    """``count`` images (height, width) of one bright rectangle; K = 1: its top-left pixel, K = 2: bottom-right too."""
    random = np.random.default_rng(seed)
    x0, y0 = random.integers(2, width // 2, count), random.integers(2, height // 2, count)
    x1, y1 = random.integers(width // 2 + 1, width - 2, count), random.integers(height // 2 + 1, height - 2, count)
    images = np.zeros((count, height, width), dtype=np.uint8)
    for image, left, top, right, bottom in zip(images, x0, y0, x1, y1):
        image[top : bottom + 1, left : right + 1] = random.integers(100, 255, (bottom - top + 1, right - left + 1))
    corners = np.stack([np.stack([x0, y0], 1), np.stack([x1, y1], 1)], axis=1).astype(np.float64)[:, :k]
    boxes = np.stack([x0, y0, x1 - x0 + 1, y1 - y0 + 1], axis=1).astype(np.float64)
    annotations = Annotations(
        image_ids=np.arange(1, count + 1),
        file_names=tuple(f"{i:04d}.png" for i in range(1, count + 1)),
        sizes=np.tile(np.array([[width, height]]), (count, 1)),
        index=np.arange(count),
        keypoints=corners,
        visible=np.full((count, k), 2),
        boxes=boxes,
        areas=np.full(count, float(width * height)),
        crowd=np.zeros(count, dtype=bool),
        category_ids=np.ones(count, dtype=np.int64),
        keypoint_names=("topleft", "bottomright")[:k],
        sigmas=np.full(k, 0.0455),
        spacing=np.ones(k),
        labels=np.arange(count) % 2,
    )
    return LabeledImages(cast(Sequence[Image], images), annotations)


def unlabelled(data: LabeledImages, holes: Sequence[tuple[int, int]]) -> LabeledImages:
    """The same images with some keypoints unlabelled, each given as (instance, keypoint)."""
    visible, keypoints = data.annotations.visible.copy(), data.annotations.keypoints.copy()
    for row, keypoint in holes:
        visible[row, keypoint], keypoints[row, keypoint] = 0, 0.0
    return LabeledImages(data.images, replace(data.annotations, visible=visible, keypoints=keypoints))


@contextmanager
def clean_process() -> Iterator[Executor]:
    """One fresh interpreter to run detectors in; it inherits no memory, so no annotations it was not handed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def check(text: str, elsewhere: Executor | None = None, watch: Callable[[str], None] = lambda name: None) -> list[Step]:
    """Check the detector that ``text`` names; one Step a requirement. UserError where the name resolves to nothing.

    elsewhere: a clean process to reuse over many checks (see `clean_process`); by default one is started.
    """
    if elsewhere is None:
        with clean_process() as pool:
            return check(text, pool, watch)
    spec = resolve(text)
    train, val, test = (rectangles(n, seed=s) for n, s in ((12, 1), (4, 2), (6, 3)))
    fitted: dict[str, tuple[Detector, Predictions]] = {}

    def fits() -> str:
        before = [data.images.copy() for data in (train, val, test)]  # type: ignore[attr-defined]
        digests = [data.annotations.digest for data in (train, val)]
        fitted["main"] = fit_and_answer(spec, train, val, test)
        same = all(np.array_equal(old, data.images) for old, data in zip(before, (train, val, test)))
        same = same and digests == [data.annotations.digest for data in (train, val)]
        return "" if same else "it changed the images or the annotations it was given"

    def repeats() -> str:
        first = fitted["main"][1]
        images = np.asarray(test.images)
        again = elsewhere.submit(
            fit_elsewhere, text, train, val, images, len(train.annotations.keypoint_names)
        ).result()
        return (
            ""
            if _same(first, again)
            else "the same seed answered otherwise in a process that holds no test annotations"
        )

    def odd() -> str:
        small, half, other = (rectangles(n, height=31, width=23, k=2, seed=s) for n, s in ((12, 4), (4, 5), (5, 6)))
        holed = unlabelled(small, [(1, 0), (2, 0), (3, 1)]), unlabelled(half, [(0, 0)])
        fitted["odd"] = fit_and_answer(spec, *holed, other)
        return ""

    def other_sizes() -> str:
        larger = rectangles(3, height=50, width=40, k=2, seed=7)
        images = [*larger.images, np.asarray(rectangles(1, k=2, seed=8).images[0])]
        annotations = rectangles(4, k=2, seed=8).annotations
        answer(fitted["odd"][0], annotations, images, 1)
        return ""

    def one() -> str:
        fit_and_answer(spec, train.take([0]), val.take([0]), test)
        return ""

    def restores() -> str:
        from safetensors.numpy import load, save

        detector, first = fitted["main"]
        copy = spec.framed()
        copy.restore(load(save(dict(detector.state()))))
        again, _ = answer(copy, test.annotations, test.images, commonest_category(train.annotations))
        return "" if _same(first, again) else "restored, it answers otherwise"

    steps = []
    for name, run in (
        ("fits 12 images, answers 6, changes no input", fits),
        ("same seed, same answers, in a process without the test annotations", repeats),
        ("odd image size, two keypoints, some of them unlabelled", odd),
        ("images of other sizes than it learned from", other_sizes),
        ("one training image", one),
        ("restores from saved weights", restores),
    ):
        watch(name)
        if ("main" not in fitted and run is not fits) or ("odd" not in fitted and run is other_sizes):
            steps.append(Step(name, "not reached: it does not fit"))
            continue
        if run is restores and spec.cls.state is Detector.state:
            steps.append(Step(name, skipped="it defines no state(), so its runs cannot be made with --save-weights"))
            continue
        try:
            steps.append(Step(name, run()))
        except UserError as error:
            steps.append(Step(name, str(error)))
        except (Exception, SystemExit) as error:  # a detector that exits has not conformed
            steps.append(Step(name, f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return steps


def fit_and_answer(
    spec: Spec, train: LabeledImages, val: LabeledImages, test: LabeledImages
) -> tuple[Detector, Predictions]:
    """A detector fitted for one epoch with seed 0, and its checked answers."""
    detector = spec.framed()
    detector.fit(train, val, seed=0, budget=BUDGET)
    return detector, answer(detector, test.annotations, test.images, commonest_category(train.annotations))[0]


def fit_elsewhere(text: str, train: LabeledImages, val: LabeledImages, images: Image, k: int) -> Predictions:
    """As `fit_and_answer`, in another process, which is handed test images alone: a blank annotations stands in."""
    blank = rectangles(len(images), height=images.shape[1], width=images.shape[2], k=k)
    unknown: FloatArray = np.zeros_like(blank.annotations.keypoints)
    nothing = LabeledImages(cast(Sequence[Image], images), replace(blank.annotations, keypoints=unknown))
    try:
        return fit_and_answer(resolve(text), train, val, nothing)[1]
    except SystemExit as error:  # it would end the process that others are to be checked in
        raise RuntimeError(f"SystemExit: {error}") from error


def _same(a: Predictions, b: Predictions) -> bool:
    return (
        np.array_equal(a.image_ids, b.image_ids)
        and np.array_equal(a.keypoints, b.keypoints)
        and np.array_equal(a.scores, b.scores)
        and np.array_equal(a.category_ids, b.category_ids)
    )
