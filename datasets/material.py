"""A loaded data set as a run uses it: one fit on its own splits, or a fit a fold over all of its images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.structures import Image, IntArray, LabeledImages, Part, Annotations, UserError
from datasets.load import Splits
from datasets.splits import digests, folds, subset


@dataclass(frozen=True)
class Material:
    """Splits, and how a run learns from them.

    folds: 0, or at least 2: each image is answered once, by a detector that was fitted without it.
    """

    splits: Splits
    folds: int = 0

    def __post_init__(self) -> None:
        if self.folds == 1 or self.folds < 0:
            raise UserError(f"folds {self.folds}: give 0 for the data's own splits, or at least 2")
        if self.folds and not self._pooled.annotations.single_instance:
            raise UserError("folds need data with one instance an image")

    @property
    def task(self) -> str:
        """The task's name."""
        return self.splits.task

    @property
    def version(self) -> int:
        """The task's version."""
        return self.splits.version

    @property
    def data(self) -> str:
        """What the data is called on a board; splits and folds are other data."""
        return self.splits.name + (f"-folds{self.folds}" if self.folds else "")

    @property
    def digest(self) -> str:
        """The content hash of the folder it was read from."""
        return self.splits.digest

    @cached_property
    def plural(self) -> str:
        """The first image without exactly one fully labelled instance, in words; "" where every image has one."""
        for name, part in (("train", self.splits.train), ("val", self.splits.val), ("test", self.splits.test)):
            if not part.annotations.single_instance:
                return f"{name} image {_first_plural(part.annotations)}"
        return ""

    @property
    def images(self) -> Sequence[Image]:
        """The images that are answered, in the order of the annotations."""
        return self._pooled.images if self.folds else self.splits.test.images

    @cached_property
    def n_train(self) -> int:
        """How many training images every fit has."""
        return min(len(train) for train, _, _ in self._folds) if self.folds else len(self.splits.train)

    @cached_property
    def annotations(self) -> Annotations:
        """What the answers are scored against; its baseline is the mean of the training points of each image's fit."""
        if not self.folds:
            return self.splits.test.annotations
        annotations = self._pooled.annotations
        baseline = np.zeros_like(annotations.points)
        for train, _, test in self._folds:
            baseline[test] = annotations.points[train].mean(axis=0)
        return replace(annotations, baseline=baseline)

    def parts(self, n: int, seed: int) -> Iterator[Part]:
        """The fits of a run on n training images: nested in n, the same for every detector of a seed."""
        if not self.folds:
            yield Part(self._subset(self.splits.train, n, seed), self.splits.val, self.splits.test)
            return
        data = LabeledImages(self._pooled.images, self.annotations)
        for train, val, test in self._folds:
            yield Part(self._subset(data.take(train), n, seed), data.take(val), data.take(test))

    @staticmethod
    def _subset(train: LabeledImages, n: int, seed: int) -> LabeledImages:
        if n == len(train):
            return train
        return train.take(subset(digests(train.images), train.annotations.labels, n, seed))

    @cached_property
    def _pooled(self) -> LabeledImages:
        """All the images of the three splits as one, numbered from 1."""
        parts = [part for part in (self.splits.train, self.splits.val, self.splits.test) if len(part)]
        annotations = [part.annotations for part in parts]
        starts = np.cumsum([0, *(len(t) for t in annotations)])
        first = annotations[0]

        def joined(name: str) -> Any:
            return np.concatenate([getattr(t, name) for t in annotations])

        labels: IntArray | None = None
        if all(t.labels is not None for t in annotations):
            labels = joined("labels").astype(np.int64)
        annotations = replace(
            first,
            image_ids=np.arange(1, starts[-1] + 1),
            file_names=tuple(f"{i}-{name}" for i, t in enumerate(annotations) for name in t.file_names),
            index=np.concatenate([t.index + start for t, start in zip(annotations, starts)]),
            labels=labels,
            baseline=None,
            **{
                name: joined(name)
                for name in ("sizes", "keypoints", "visible", "boxes", "areas", "crowd", "categories")
            },
        )
        return LabeledImages([image for part in parts for image in part.images], annotations)

    @cached_property
    def _folds(self) -> list[tuple[IntArray, IntArray, IntArray]]:
        return folds(digests(self._pooled.images), self._pooled.annotations.labels, self.folds)


def _first_plural(annotations: Annotations) -> str:
    """Which image of a set of annotations that is not ``single`` breaks it, and how."""
    count = np.bincount(annotations.index, minlength=len(annotations))
    labelled = (annotations.visible > 0).all(axis=1) & ~annotations.crowd
    for i, name in enumerate(annotations.file_names):
        if count[i] != 1:
            return f"{name} has {count[i] or 'no'} instance{'s' if count[i] > 1 else ''}"
        if not labelled[np.searchsorted(annotations.index, i)]:
            return f"{name} has an instance with a keypoint that is not labelled, or a crowd"
    raise AssertionError("a set of annotations was called plural and each of its images has one instance")
