"""What is in a data set, before anything is learned from it: counts, sizes, keypoints, and labels that look odd.

Looks at annotations alone, so ten thousand images take a second. Odd is

    outside the image      a labelled keypoint beyond the image's edge
    outside the box        a labelled keypoint farther from its box than half the box's longer side
    same place             two labelled keypoints of an instance within a hundredth of a pixel
    no box                 a box less than a pixel wide or high
    unusual shape          a keypoint whose place in its box is far from where it mostly is: a robust z above `FAR`, by the
                           median and the median absolute deviation of each axis (Leys et al. 2013), from `ENOUGH` instances on
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from benchmark.structures import Annotations, FloatArray, LabeledImages
from datasets.dataset import pooled
from datasets.usual_pairs import usual_pairs

FAR = 8.0  # robust standard deviations
LEAST = 0.05  # of the box's side: a keypoint that always touches the box's edge hardly deviates
ENOUGH = 20  # instances that have a keypoint, before its place is called unusual
MAD_TO_DEVIATION = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class KeypointSummary:
    """One keypoint over all instances.

    Attributes:
        name: Its name.
        labelled: Instances that have it labelled.
        visible: Of these, how many as visible (2) and not hidden (1).
        share: Labelled instances over all that count.
        spread_px: px, root mean square distance of its places from their mean, in the image.
        spread_box: The same of its place in its box, over the box's diagonal.
    """

    name: str
    labelled: int
    visible: int
    share: float
    spread_px: float | None
    spread_box: float | None


@dataclass(frozen=True)
class Odd:
    """A label that looks odd.

    Attributes:
        split: Of the image.
        image: Its file name.
        instance: The row of the instance in the split's annotations, from 0.
        keypoint: The keypoint's name; "" where it is about the box.
        kind: What is odd; see the module.
        measure: How odd: px outside, or robust standard deviations; larger is odder.
    """

    split: str
    image: str
    instance: int
    keypoint: str
    kind: str
    measure: float


@dataclass(frozen=True)
class Inspection:
    """All that `inspect` finds.

    Attributes:
        name: Of the data set.
        splits: Name -> images, instances, and labelled keypoints.
        sizes: (width, height, images), the commonest first.
        instances: Number of instances -> images that hold so many.
        crowds: Instances that are crowds.
        categories: Name -> instances.
        groups: How many videos, sessions or subjects there are; None where unknown.
        keypoints: One summary a keypoint.
        flip_pairs: Names of keypoints that a mirror exchanges.
        usual_pairs: Names of two keypoints, and what the field calls their distance, which ``--pair`` sets errors against.
        sigmas: One a keypoint.
        notes: What was mended, set aside or inferred.
        odd: Labels that look odd, the oddest first within each kind.
    """

    name: str
    splits: dict[str, dict[str, int]]
    sizes: list[tuple[int, int, int]]
    instances: dict[int, int]
    crowds: int
    categories: dict[str, int]
    groups: int | None
    keypoints: list[KeypointSummary]
    flip_pairs: list[tuple[str, str]]
    usual_pairs: list[tuple[str, str, str]]
    sigmas: list[float]
    notes: list[str]
    odd: list[Odd]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return asdict(self)


class Surveyed(Protocol):
    """What is looked at: a `Dataset`, or a `Survey` of one that is not divided yet."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def splits(self) -> Mapping[str, LabeledImages]:
        """Its parts by name."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was mended, set aside or inferred."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Annotated images as far as their files divide them; unlike a `Dataset` it is had without decoding every image."""

    name: str
    splits: Mapping[str, LabeledImages]
    notes: tuple[str, ...] = ()


def inspect(dataset: Surveyed) -> Inspection:
    """Look at a data set.

    Args:
        dataset: What is looked at; no image is decoded.
    """
    parts = {name: part.annotations for name, part in dataset.splits.items()}
    whole = pooled([part for part in dataset.splits.values() if len(part)]).annotations
    counted = ~whole.crowd
    names = whole.keypoint_names
    titles = {category.id: category.name for category in whole.categories}
    per_image = np.bincount(whole.index[counted], minlength=len(whole))
    return Inspection(
        name=dataset.name,
        splits={
            name: {
                "images": len(one),
                "instances": int((~one.crowd).sum()),
                "keypoints": int((one.visible[~one.crowd] > 0).sum()),
            }
            for name, one in parts.items()
        },
        sizes=[
            (w, h, count) for (w, h), count in Counter((int(w), int(h)) for w, h in whole.sizes.tolist()).most_common()
        ],
        instances={int(n): int((per_image == n).sum()) for n in np.unique(per_image)},
        crowds=int(whole.crowd.sum()),
        categories={
            titles.get(i, f"category {i}"): int((whole.category_ids[counted] == i).sum())
            for i in whole.known_category_ids.tolist()
        },
        groups=None if whole.groups is None else len(set(whole.groups)),
        keypoints=[_summary(whole, j) for j in range(len(names))],
        flip_pairs=[(names[a], names[b]) for a, b in whole.flip_pairs],
        usual_pairs=usual_pairs(names),
        sigmas=whole.sigmas.tolist(),
        notes=list(dataset.notes),
        odd=_sorted([odd for name, one in parts.items() for odd in _odd(name, one, whole)]),
    )


def _summary(annotations: Annotations, j: int) -> KeypointSummary:
    counted = ~annotations.crowd
    labelled = counted & (annotations.visible[:, j] > 0)
    number = int(labelled.sum())
    points, boxed = annotations.keypoints[labelled, j], _in_boxes(annotations)[labelled, j]
    diagonal = np.hypot(annotations.boxes[labelled, 2], annotations.boxes[labelled, 3])
    scaled = boxed * annotations.boxes[labelled, 2:] / np.maximum(diagonal, 1e-9)[:, None]
    return KeypointSummary(
        name=annotations.keypoint_names[j],
        labelled=number,
        visible=int((annotations.visible[labelled, j] == 2).sum()),
        share=number / max(1, int(counted.sum())),
        spread_px=_spread(points),
        spread_box=_spread(scaled),
    )


def _spread(points: FloatArray) -> float | None:
    """Root mean square distance from the mean; None of fewer than two."""
    if len(points) < 2:
        return None
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _in_boxes(annotations: Annotations) -> FloatArray:
    """(M, K, 2): where in its box each keypoint lies, 0 the first edge and 1 the last."""
    low, sides = annotations.boxes[:, None, :2], np.maximum(annotations.boxes[:, None, 2:], 1e-9)
    places: FloatArray = (annotations.keypoints + 0.5 - low) / sides
    return places


def _odd(split: str, annotations: Annotations, whole: Annotations) -> list[Odd]:
    found: list[Odd] = []

    def add(row: int, keypoint: str, kind: str, measure: float) -> None:
        name = annotations.file_names[int(annotations.index[row])]
        found.append(Odd(split, name, row, keypoint, kind, round(float(measure), 2)))

    names = annotations.keypoint_names
    labelled = (annotations.visible > 0) & ~annotations.crowd[:, None]
    sizes = annotations.sizes[annotations.index].astype(np.float64)[:, None]
    beyond = np.maximum(-0.5 - annotations.keypoints, annotations.keypoints - (sizes - 0.5)).max(axis=2)
    for row, j in np.argwhere(labelled & (beyond > 0)).tolist():
        add(row, names[j], "outside the image", beyond[row, j])
    low, high = (
        annotations.boxes[:, None, :2] - 0.5,
        annotations.boxes[:, None, :2] + annotations.boxes[:, None, 2:] - 0.5,
    )
    from_box = np.maximum(low - annotations.keypoints, annotations.keypoints - high).max(axis=2)
    reach = annotations.boxes[:, 2:].max(axis=1)[:, None] / 2
    for row, j in np.argwhere(labelled & (from_box > np.maximum(reach, 1))).tolist():
        add(row, names[j], "outside the box", from_box[row, j])
    for row in np.flatnonzero((annotations.boxes[:, 2:] < 1).any(axis=1) & ~annotations.crowd).tolist():
        add(row, "", "no box", 1.0)
    for j in range(1, len(names)):
        gaps = np.hypot(*np.moveaxis(annotations.keypoints[:, :j] - annotations.keypoints[:, j : j + 1], 2, 0))
        twice = labelled[:, :j] & labelled[:, j : j + 1] & (gaps < 0.01)
        for row, i in np.argwhere(twice).tolist():
            add(row, f"{names[i]}, {names[j]}", "same place", 1.0)
    of_whole, known = _in_boxes(whole), (whole.visible > 0) & ~whole.crowd[:, None]
    places = _in_boxes(annotations)
    for j, name in enumerate(names):
        own = of_whole[known[:, j], j]
        if len(own) < ENOUGH:
            continue
        middle = np.median(own, axis=0)
        deviation = MAD_TO_DEVIATION * np.median(np.abs(own - middle), axis=0)
        z = (np.abs(places[:, j] - middle) / np.maximum(deviation, LEAST)).max(axis=1)
        for row in np.flatnonzero(labelled[:, j] & (z > FAR)).tolist():
            add(row, name, "unusual shape", z[row])
    return found


def _sorted(found: list[Odd]) -> list[Odd]:
    kinds = list(dict.fromkeys(odd.kind for odd in found))
    return sorted(found, key=lambda odd: (kinds.index(odd.kind), -odd.measure, odd.image))
