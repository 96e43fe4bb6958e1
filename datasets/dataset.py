"""The one container: train, val and test images with their annotations, the card that describes them, and their digest.

Whatever a run learns from or answers is a `Dataset`: the whole of a folder, one with fewer training images, or one fold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark.structures import (
    Annotations,
    Image,
    IntArray,
    LabeledImages,
    LazyImages,
    UserError,
    image_digest,
    mean_points,
)
from datasets import splits

SPLITS = ("train", "val", "test")
CONVENTION = "points (x, y) in pixels, origin top left, an integer is the centre of that pixel"


class DatasetCard(BaseModel):
    """What a data set holds and where it comes from: ``card.json`` of a folder.

    Attributes:
        format: The version of the folder's layout.
        task: The name of the task, or of the folder where another tool made it.
        version: The version of the task.
        summary: What the task asks for, in one line.
        data: The preset or folder it was made from.
        split: Which division of the images; 0 for development.
        images: Split -> number of images.
        keypoints: K names.
        sigmas: K numbers, COCO's per-keypoint sigma.
        spacing: K numbers, the pitch in px of the lattice each keypoint lies on, None for one on none.
        rule: Whether a rule on the image alone gives the answer.
        convention: What coordinates mean, in words.
        digest: sha256 in hex over decoded pixels and annotations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = 2
    task: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    summary: str = ""
    data: str = Field(default="", description="the preset or folder it was made from")
    split: int = Field(default=0, ge=0)
    images: dict[str, int] = Field(default_factory=dict, description="split -> number of images")
    keypoints: list[str] = Field(default_factory=list)
    sigmas: list[float] = Field(default_factory=list)
    spacing: list[float | None] | None = None
    rule: bool = Field(default=False, description="whether a rule on the image alone gives the answer")
    convention: str = CONVENTION
    digest: str = Field(default="", description="sha256 over decoded pixels and annotations")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of labelled images. Immutable.

    Attributes:
        train: What a detector learns from.
        val: For selection only.
        test: What it is asked about.
        card: Task, version, names.
        digest: sha256 in hex over the pixels and annotations of all three splits, as they were read: a fold and a subset
            keep that of the whole.
        notes: What was mended, set aside or inferred when it was read, a sentence with a count each.
        span: The values that became 0 and 255, where images have more than 8 bits; None where none has.
        as_stored: Whether photographs that say they are to be turned (EXIF) are annotated as they are stored.
    """

    train: LabeledImages
    val: LabeledImages
    test: LabeledImages
    card: DatasetCard
    digest: str
    notes: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    as_stored: bool = False

    @property
    def splits(self) -> dict[str, LabeledImages]:
        """Name -> split: train, val and test."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def name(self) -> str:
        """What boards call the data: the preset or folder, and the number of the split where it is not 0."""
        return (self.card.data or self.card.task) + (f"-split{self.card.split}" if self.card.split else "")

    def with_train(self, n: int, seed: int) -> Dataset:
        """The same data set with fewer training images.

        Args:
            n: How many: 1 to all. A smaller number's images are among a larger one's.
            seed: Which of the nested sequences of subsets; the same for every detector.

        Raises:
            UserError: Where there are not ``n`` images.
        """
        if n == len(self.train):
            return self
        chosen = splits.subset(self._train_digests, self.train.annotations.labels, n, seed)
        return replace(self, train=self.train.take(chosen))

    def folds(self, k: int) -> tuple[Dataset, ...]:
        """Divide all images into folds for cross-validation.

        Args:
            k: How many folds, at least 2.

        Returns:
            k data sets over all images, in each of which another part is the test split; a fifth of the other images is
            val. Where images have groups, none lies in two parts. Images are numbered from 1 through train, val and test.

        Raises:
            UserError: Where k is below 2, or there are too few images.
        """
        whole = pooled([split for split in self.splits.values() if len(split)])
        digests, groups = splits.digests(whole.images), whole.annotations.groups
        parts = splits.folds(digests, whole.annotations.labels, k, groups=groups)
        datasets = []
        for train, val, test in parts:
            fitted = whole.take(train)
            datasets.append(
                replace(self, train=fitted, val=whole.take(val), test=with_baseline(whole.take(test), fitted))
            )
        return tuple(datasets)

    @cached_property
    def _train_digests(self) -> tuple[str, ...]:
        return splits.digests(self.train.images)


def content_digest(parts: Mapping[str, LabeledImages]) -> str:
    """What identifies the content of a data set.

    Args:
        parts: Name -> split; their order counts.

    Returns:
        sha256 in hex over every decoded pixel and every annotation (see `Annotations.digest`).
    """
    h = hashlib.sha256()
    for name, data in parts.items():
        h.update(f"{name} {len(data)}\n".encode())
        for digest in splits.digests(data.images):
            h.update(bytes.fromhex(digest))
        h.update(bytes.fromhex(data.annotations.digest))
    return h.hexdigest()


def with_baseline(data: LabeledImages, train: LabeledImages) -> LabeledImages:
    """Images whose annotations also say what a predictor of the training mean would answer.

    Args:
        data: The images that get a baseline.
        train: The images whose mean it is.

    Returns:
        ``data`` with ``annotations.baseline``, (N, K, 2) float64 px; unchanged where either holds other than one instance
        an image.
    """
    if not (train.annotations.single_instance and data.annotations.single_instance and len(train)):
        return data
    mean = mean_points(train.points)
    return replace(data, annotations=replace(data.annotations, baseline=np.tile(mean, (len(data), 1, 1))))


def pooled(parts: Sequence[LabeledImages]) -> LabeledImages:
    """The images of several splits as one.

    Args:
        parts: Splits, none of them empty.

    Returns:
        All their images, numbered from 1 in that order, without a baseline.
    """
    annotations = [part.annotations for part in parts]
    names = tuple(f"{i}-{name}" for i, one in enumerate(annotations) for name in one.file_names)
    ids = np.arange(1, sum(map(len, annotations)) + 1)
    joined = replace(concatenated(annotations), image_ids=ids, file_names=names, baseline=None)
    return LabeledImages(_chained([part.images for part in parts]), joined)


def tests_of(folds: Sequence[Dataset]) -> LabeledImages:
    """What all folds together are asked about.

    Args:
        folds: What `Dataset.folds` made, or a single data set.

    Returns:
        The images of all test splits in the order of their ids; of a single data set its test split.
    """
    if len(folds) == 1:
        return folds[0].test
    joined = concatenated([fold.test.annotations for fold in folds])
    whole = LabeledImages(_chained([fold.test.images for fold in folds]), joined)
    return whole.take(np.argsort(joined.image_ids, kind="stable"))


def concatenated(parts: Sequence[Annotations]) -> Annotations:
    """Annotations one after the other. An optional field stays where all parts have it; categories are united by id.

    Args:
        parts: Of the same keypoints; ids are kept as they are.
    """
    starts = np.cumsum([0, *(len(part) for part in parts)])

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    labels: IntArray | None = joined("labels")
    groups = [part.groups for part in parts]
    categories = {category.id: category for part in parts for category in part.categories}
    return replace(
        parts[0],
        file_names=tuple(name for part in parts for name in part.file_names),
        index=np.concatenate([part.index + start for part, start in zip(parts, starts)]),
        labels=None if labels is None else labels.astype(np.int64),
        baseline=joined("baseline"),
        categories=tuple(categories.values()) if all(part.categories for part in parts) else (),
        groups=None if None in groups else tuple(name for names in groups if names for name in names),
        **{
            name: joined(name)
            for name in (
                "image_ids",
                "sizes",
                "keypoints",
                "visible",
                "boxes",
                "areas",
                "crowd",
                "category_ids",
            )
        },
    )


def _chained(parts: Sequence[Sequence[Image]]) -> Sequence[Image]:
    """The images of several sequences one after the other; an array where all are arrays of one size."""
    if all(isinstance(part, np.ndarray) for part in parts) and len({part[0].shape for part in parts if len(part)}) <= 1:
        return np.concatenate([part for part in parts if len(part)])  # type: ignore[return-value,arg-type]
    return _Chained(parts)


class _Chained(LazyImages):
    """Images of several sequences, decoded when they are asked for."""

    def __init__(self, parts: Sequence[Sequence[Image]]) -> None:
        self._parts = list(parts)
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, i: int) -> Image: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Image]: ...
    def __getitem__(self, i: int | slice) -> Image | Sequence[Image]:
        if isinstance(i, slice):
            return [self[j] for j in range(len(self))[i]]
        images, at = self._place(i)
        return images[at]

    def __iter__(self) -> Iterator[Image]:
        return (image for part in self._parts for image in part)

    def digest(self, i: int) -> str:
        """`LazyImages.digest`."""
        images, at = self._place(i)
        return images.digest(at) if isinstance(images, LazyImages) else image_digest(images[at])

    def preview(self, i: int) -> Image:
        """`LazyImages.preview`."""
        images, at = self._place(i)
        return images.preview(at) if isinstance(images, LazyImages) else images[at]

    def _place(self, i: int) -> tuple[Sequence[Image], int]:
        at = range(len(self))[i]
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        return self._parts[part], at - int(self._starts[part])


def check_folds(folds: int) -> None:
    """Check a number of folds.

    Args:
        folds: 0 for the data's own splits, or at least 2.

    Raises:
        UserError: Where it is neither.
    """
    if folds == 1 or folds < 0:
        raise UserError(f"folds {folds}: give 0 for the data's own splits, or at least 2")
