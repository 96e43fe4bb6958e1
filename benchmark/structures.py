"""The structures that pass between the stages: images, what is known of them, and what was predicted for them.

Convention, everywhere outside a network: points are ``(x, y)`` in pixels, the origin is the top-left pixel, and an
integer is the **centre** of that pixel (the index convention of COCO annotations, pycocotools, OpenCV and
albumentations). Coordinates are float64 and never rounded. Boxes are ``(x, y, width, height)`` and go from edge to edge, as COCO's do:
``x`` is a column's number where the box begins with that column, half a pixel left of its centre, and an image of W x H
px is the box (0, 0, W, H).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Image = NDArray[np.uint8]


class UserError(Exception):
    """A mistake in what the user gave us. The command line prints it as one line and exits with code 2."""


@dataclass(frozen=True)
class Category:
    """A COCO category: its id and the name people read."""

    id: int
    name: str


@dataclass(frozen=True, eq=False)
class Annotations:
    """The known points of N images with M instances of K keypoints in all; everything a score needs, and no pixels.

    Instances are kept flat: ``index`` says which image each belongs to, so ragged data needs no ragged arrays.

    Attributes:
        image_ids: (N,) int64, unique.
        file_names: N names, relative to the split's image folder.
        sizes: (N, 2) int64, (width, height) in pixels.
        index: (M,) int64 ascending, the position in ``image_ids`` of each instance's image.
        keypoints: (M, K, 2) float64, pixels (x, y); integer = pixel centre.
        visible: (M, K) int64, COCO's flag: 0 not labelled, 1 labelled but hidden, 2 visible.
        boxes: (M, 4) float64 (x, y, width, height), pixels.
        areas: (M,) float64, px^2, the area OKS divides by.
        crowd: (M,) bool.
        category_ids: (M,) int64, COCO category ids.
        keypoint_names: K names.
        sigmas: (K,) float64, COCO's per-keypoint sigma.
        spacing: (K,) float64, the pitch in px of the lattice each keypoint lies on (``exact`` means within half of it),
            NaN for a keypoint on no lattice (null in JSON); None: no keypoint has one.
        labels: (N,) int64 class of each image (the digit), or None. Used to stratify; never a keypoint.
        baseline: (N, K, 2) float64, what a predictor of the training mean says for each image; None where unknown.
        categories: the categories of the file, those without an instance included. Empty: one nameless category a
            number in ``category_ids``.
        skeleton: pairs of positions (0-based) in ``keypoint_names`` that a drawing joins.
        flip_pairs: pairs of positions in ``keypoint_names`` that a mirror exchanges, as left and right eye.
        groups: N names of what each image was taken from (video, session, subject), or None. Images of one group are
            not independent of each other.
    """

    image_ids: IntArray
    file_names: tuple[str, ...]
    sizes: IntArray
    index: IntArray
    keypoints: FloatArray
    visible: IntArray
    boxes: FloatArray
    areas: FloatArray
    crowd: NDArray[np.bool_]
    category_ids: IntArray
    keypoint_names: tuple[str, ...]
    sigmas: FloatArray
    spacing: FloatArray | None = None
    labels: IntArray | None = None
    baseline: FloatArray | None = None
    categories: tuple[Category, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.image_ids)

    @property
    def single_instance(self) -> bool:
        """Whether every image holds exactly one instance, none of them a crowd. Keypoints of it may be unlabelled."""
        return bool(np.array_equal(self.index, np.arange(len(self))) and not self.crowd.any())

    @property
    def complete(self) -> bool:
        """Whether every image holds exactly one instance, all of its keypoints labelled."""
        return self.single_instance and bool((self.visible > 0).all())

    @property
    def points(self) -> FloatArray:
        """(N, K, 2) float64, pixels: the keypoints of one-instance data; NaN where one is not labelled.

        Raises:
            UserError: Where an image holds another number of instances.
        """
        if not self.single_instance:
            raise UserError("this data has images without exactly one instance: use a detector for several instances")
        labelled = self.visible > 0
        return self.keypoints if labelled.all() else np.where(labelled[:, :, None], self.keypoints, np.nan)

    @property
    def known_category_ids(self) -> IntArray:
        """(C,) int64 ascending: the ids of ``categories``, or where these are not given, those some instance has (or 1)."""
        if self.categories:
            return np.array(sorted(category.id for category in self.categories), dtype=np.int64)
        used = np.unique(self.category_ids)
        return used if len(used) else np.ones(1, dtype=np.int64)

    def take(self, positions: Sequence[int] | IntArray) -> Annotations:
        """The annotations of some images; ids are kept.

        Args:
            positions: 0-based, unique; the images of the result stand in this order.
        """
        order = np.asarray(positions, dtype=np.int64)
        rank = np.full(len(self), -1, dtype=np.int64)
        rank[order] = np.arange(len(order))
        new = rank[self.index]
        rows = np.flatnonzero(new >= 0)
        rows = rows[np.argsort(new[rows], kind="stable")]
        picked: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in ("keypoints", "visible", "boxes", "areas", "crowd", "category_ids")
        }
        return replace(
            self,
            image_ids=self.image_ids[order],
            file_names=tuple(self.file_names[i] for i in order),
            sizes=self.sizes[order],
            index=new[rows],
            labels=None if self.labels is None else self.labels[order],
            baseline=None if self.baseline is None else self.baseline[order],
            groups=None if self.groups is None else tuple(self.groups[i] for i in order),
            **picked,
        )

    @property
    def digest(self) -> str:
        """sha256 over everything that a fit or a score depends on: the same on every platform.

        What only a drawing shows (category names, skeleton) is left out, and so is what is not there (``flip_pairs``,
        ``groups``), so that a field added to this class changes no digest of data without it.
        """
        h = hashlib.sha256()
        for name, attribute in _DIGESTED.items():
            value = getattr(self, attribute)
            if attribute in ("flip_pairs", "groups") and not value:
                continue
            h.update(name.encode())
            if isinstance(value, np.ndarray):
                kind = "<f8" if value.dtype.kind == "f" else "<i8"
                h.update(str(value.shape).encode() + np.ascontiguousarray(value, dtype=kind).tobytes())
            else:
                h.update(repr(value).encode())
        return h.hexdigest()


_DIGESTED = {  # name in the digest -> attribute; the names are those of the first version, and stay
    "image_ids": "image_ids",
    "file_names": "file_names",
    "sizes": "sizes",
    "index": "index",
    "keypoints": "keypoints",
    "visible": "visible",
    "boxes": "boxes",
    "areas": "areas",
    "crowd": "crowd",
    "categories": "category_ids",
    "names": "keypoint_names",
    "sigmas": "sigmas",
    "spacing": "spacing",
    "labels": "labels",
    "baseline": "baseline",
    "flip_pairs": "flip_pairs",
    "groups": "groups",
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """P predicted instances over a set of images, flat. One-instance detectors have one row an image, or none (a miss).

    Attributes:
        image_ids: (P,) int64.
        keypoints: (P, K, 2) float64, pixels (x, y); integer = pixel centre.
        scores: (P,) float64, confidence.
        category_ids: (P,) int64, COCO category ids.
    """

    image_ids: IntArray
    keypoints: FloatArray
    scores: FloatArray
    category_ids: IntArray

    @classmethod
    def of_category(
        cls, image_ids: IntArray, keypoints: FloatArray, scores: FloatArray, category_id: int
    ) -> Predictions:
        """Predictions that are all of one category; see the class for the arrays."""
        return cls(image_ids, keypoints, scores, np.full(len(image_ids), category_id, dtype=np.int64))

    def __len__(self) -> int:
        """The number of predicted instances."""
        return len(self.image_ids)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector answers for one image that may hold several instances, or none.

    Attributes:
        keypoints: (M, K, 2) float64, pixels (x, y); integer = pixel centre. M may be 0.
        scores: (M,) float64, confidence.
        category_ids: (M,) int64, COCO category ids; None where the detector tells no categories apart, which the data
            must then not ask for.
    """

    keypoints: FloatArray
    scores: FloatArray
    category_ids: IntArray | None = None


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images with known points: one split of a data set, or a part of one. Immutable.

    Attributes:
        images: N arrays, uint8, (H, W) or (H, W, 3) RGB; sizes may differ; may be decoded lazily.
        annotations: what is known of them.
    """

    images: Sequence[Image]
    annotations: Annotations

    def __post_init__(self) -> None:
        if len(self.images) != len(self.annotations):
            raise ValueError(f"{len(self.images)} images but the annotations of {len(self.annotations)}")

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @property
    def points(self) -> FloatArray:
        """(N, K, 2) float64, pixels: the keypoints of one-instance data. See `Annotations.points`."""
        return self.annotations.points

    def take(self, positions: Sequence[int] | IntArray) -> LabeledImages:
        """The images at ``positions`` and their annotations, in that order."""
        chosen = [int(i) for i in positions]
        images = self.images
        if isinstance(images, np.ndarray):
            return LabeledImages(images[chosen], self.annotations.take(chosen))
        return LabeledImages(Picked(images, chosen), self.annotations.take(chosen))

    def stack(self) -> Image:
        """All the images as one array, (N, H, W) or (N, H, W, 3) uint8. See `stack_images`."""
        return stack_images(self.images)


def mean_points(points: FloatArray) -> FloatArray:
    """The mean position of each keypoint, summed exactly, so the same to the last bit everywhere.

    Args:
        points: (N, K, 2) px, NaN where a keypoint is not labelled.

    Returns:
        (K, 2) px; the mean of the other keypoints for one that no image has, 0 where there is none at all.
    """
    known = [points[~np.isnan(points[:, k, 0]), k] for k in range(points.shape[1])]
    total = [[math.fsum(column) for column in own.T.tolist()] for own in known]
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.array(total).reshape(-1, 2) / np.array([[len(own)] for own in known])
    others = mean[~np.isnan(mean[:, 0])]
    return np.where(np.isnan(mean), others.mean(axis=0) if len(others) else 0.0, mean)


def image_digest(image: Image) -> str:
    """What identifies an image.

    Args:
        image: (H, W) or (H, W, 3) uint8.

    Returns:
        sha256 in hex over its shape and pixels.
    """
    h = hashlib.sha256(str(image.shape).encode())
    h.update(np.ascontiguousarray(image).data)
    return h.hexdigest()


class LazyImages(Sequence[Image]):
    """Images that are decoded when they are asked for, and what can be had of one for less."""

    def digest(self, i: int) -> str:
        """`image_digest` of an image; whoever holds files keeps it, so that each is decoded for it once."""
        return image_digest(self[i])

    def preview(self, i: int) -> Image:
        """An image, perhaps reduced in size while it is decoded, to look at and not to measure in."""
        return self[i]


class Picked(LazyImages):
    """Some images of a sequence, by position, without decoding the others."""

    def __init__(self, images: Sequence[Image], positions: Sequence[int]) -> None:
        self._images, self._positions = images, list(positions)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, i: int) -> Image: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Image]: ...
    def __getitem__(self, i: int | slice) -> Image | Sequence[Image]:
        if isinstance(i, slice):
            return Picked(self._images, self._positions[i])
        return self._images[self._positions[i]]

    def __iter__(self) -> Iterator[Image]:
        return (self._images[i] for i in self._positions)

    def digest(self, i: int) -> str:
        """`LazyImages.digest`."""
        images, at = self._images, self._positions[i]
        return images.digest(at) if isinstance(images, LazyImages) else image_digest(images[at])

    def preview(self, i: int) -> Image:
        """`LazyImages.preview`."""
        images, at = self._images, self._positions[i]
        return images.preview(at) if isinstance(images, LazyImages) else images[at]


def stack_images(images: Sequence[Image]) -> Image:
    """N images of one size as one array, (N, H, W) or (N, H, W, 3) uint8.

    Raises:
        UserError: Where sizes or colours differ.
    """
    if isinstance(images, np.ndarray):
        return images
    decoded = list(images)
    shapes = {image.shape for image in decoded}
    if len(shapes) > 1:
        few = ", ".join(str(s) for s in sorted(shapes)[:3])
        raise UserError(f"this detector needs images of one size, and these have {len(shapes)} ({few}): resize them")
    return np.stack(decoded) if decoded else np.zeros((0, 0, 0), dtype=np.uint8)
