"""The two structures that pass between the rooms: what is true of a set of images, and what was predicted for it.

Convention, everywhere outside a network: points are ``(x, y)`` in pixels, the origin is the top-left pixel, and an
integer is the **centre** of that pixel (the index convention of COCO annotations, pycocotools, OpenCV and
albumentations). Coordinates are float64 and never rounded. Boxes are ``(x, y, width, height)`` and go from edge to edge, as COCO's do:
``x`` is a column's number where the box begins with that column, half a pixel left of its centre, and an image of W x H
px is the box (0, 0, W, H).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Image = NDArray[np.uint8]


class UserError(Exception):
    """A mistake in what the user gave us. The command line prints it as one line and exits with code 2."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """The known points of N images with M instances of K keypoints in all; everything the scorer needs, and no pixels.

    Instances are kept flat: ``index`` says which image each belongs to, so ragged data needs no ragged arrays.

    image_ids: (N,) int64, from 1. file_names: N names, relative to the split's image folder.
    sizes: (N, 2) int64, (width, height) in pixels.
    index: (M,) int64 ascending, the position in ``image_ids`` of each instance's image.
    keypoints: (M, K, 2) float64, pixels (x, y); integer = pixel centre.
    visible: (M, K) int64, COCO's flag: 0 not labelled, 1 labelled but hidden, 2 visible.
    boxes: (M, 4) float64 (x, y, width, height). areas: (M,) float64, px^2, the area OKS divides by.
    crowd: (M,) bool. categories: (M,) int64, COCO category ids.
    names: K keypoint names. sigmas: (K,) float64, COCO's per-keypoint sigma.
    spacing: (K,) float64, the pitch in px of the lattice each keypoint lies on (``exact`` means within half of it), NaN
        for a keypoint on no lattice (null in JSON); None: no keypoint has one.
    labels: (N,) int64 class of each image (the digit), or None. Used to stratify; never a keypoint.
    baseline: (N, K, 2) float64, what a predictor of the training mean says for each image; None where unknown.
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
    categories: IntArray
    names: tuple[str, ...]
    sigmas: FloatArray
    spacing: FloatArray | None = None
    labels: IntArray | None = None
    baseline: FloatArray | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.image_ids)

    @property
    def single_instance(self) -> bool:
        """Whether every image holds exactly one instance, all of its keypoints labelled and none of it a crowd."""
        return bool(
            np.array_equal(self.index, np.arange(len(self))) and (self.visible > 0).all() and not self.crowd.any()
        )

    @property
    def points(self) -> FloatArray:
        """(N, K, 2) float64: the keypoints of one-instance data. Raises UserError where an image holds another number."""
        if not self.single_instance:
            raise UserError(
                "this data has images without exactly one fully labelled instance: use a detector for many instances"
            )
        return self.keypoints

    def take(self, positions: Sequence[int] | IntArray) -> Annotations:
        """The annotations of the images at ``positions`` (0-based, unique), in that order; ids are kept."""
        order = np.asarray(positions, dtype=np.int64)
        rank = np.full(len(self), -1, dtype=np.int64)
        rank[order] = np.arange(len(order))
        new = rank[self.index]
        rows = np.flatnonzero(new >= 0)
        rows = rows[np.argsort(new[rows], kind="stable")]
        picked: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in ("keypoints", "visible", "boxes", "areas", "crowd", "categories")
        }
        return replace(
            self,
            image_ids=self.image_ids[order],
            file_names=tuple(self.file_names[i] for i in order),
            sizes=self.sizes[order],
            index=new[rows],
            labels=None if self.labels is None else self.labels[order],
            baseline=None if self.baseline is None else self.baseline[order],
            **picked,
        )

    @property
    def digest(self) -> str:
        """sha256 over every field: the same on every platform."""
        h = hashlib.sha256()
        for f in fields(self):
            value = getattr(self, f.name)
            h.update(f.name.encode())
            if isinstance(value, np.ndarray):
                kind = "<f8" if value.dtype.kind == "f" else "<i8"
                h.update(str(value.shape).encode() + np.ascontiguousarray(value, dtype=kind).tobytes())
            else:
                h.update(repr(value).encode())
        return h.hexdigest()


@dataclass(frozen=True, eq=False)
class Predictions:
    """P predicted instances over a set of images, flat. One-instance detectors have one row an image, or none (a miss).

    image_ids: (P,) int64. keypoints: (P, K, 2) float64, pixels. scores: (P,) float64. categories: (P,) int64.
    """

    image_ids: IntArray
    keypoints: FloatArray
    scores: FloatArray
    categories: IntArray = field(default=None)  # type: ignore[assignment,arg-type]  # filled in below

    def __post_init__(self) -> None:
        if self.categories is None:
            object.__setattr__(self, "categories", np.ones(len(self.image_ids), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector for many instances answers for one image: keypoints (M, K, 2) px and scores (M,), M may be 0."""

    keypoints: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images with known points; immutable.

    images: N arrays, uint8, (H, W) or (H, W, 3) RGB; sizes may differ; may be decoded lazily.
    annotations: what is known of them.
    """

    images: Sequence[Image]
    annotations: Annotations

    def __post_init__(self) -> None:
        if len(self.images) != len(self.annotations):
            raise ValueError(f"{len(self.images)} images but the annotations of {len(self.annotations)}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def points(self) -> FloatArray:
        """(N, K, 2) float64, pixels: the keypoints of one-instance data."""
        return self.annotations.points

    def take(self, positions: Sequence[int] | IntArray) -> LabeledImages:
        """The images at ``positions`` and their annotations, in that order."""
        chosen = [int(i) for i in positions]
        images = self.images
        if isinstance(images, np.ndarray):
            return LabeledImages(images[chosen], self.annotations.take(chosen))
        return LabeledImages(Picked(images, chosen), self.annotations.take(chosen))

    def stack(self) -> Image:
        """(N, H, W) or (N, H, W, 3) uint8: all the images as one array. Raises UserError where sizes differ."""
        return stack_images(self.images)


@dataclass(frozen=True)
class Part:
    """One fit of a run: learn from ``train`` and ``val``, answer ``test``. Out-of-fold runs have one a fold."""

    train: LabeledImages
    val: LabeledImages
    test: LabeledImages


class Picked(Sequence[Image]):
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


def stack_images(images: Sequence[Image]) -> Image:
    """(N, H, W) or (N, H, W, 3) uint8 from N images of one size; UserError where sizes differ."""
    if isinstance(images, np.ndarray):
        return images
    decoded = list(images)
    shapes = {image.shape for image in decoded}
    if len(shapes) > 1:
        few = ", ".join(str(s) for s in sorted(shapes)[:3])
        raise UserError(f"this detector needs images of one size, and these have {len(shapes)} ({few}): resize them")
    return np.stack(decoded) if decoded else np.zeros((0, 0, 0), dtype=np.uint8)
