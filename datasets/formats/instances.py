"""Drawn points and boxes as instances, for tools in which a point is drawn by itself: Label Studio, CVAT.

Which points of an image are one instance is what the file says (a parent, a group, a relation: ``tie``). Where it says nothing

    boxes are drawn         a point belongs to the one box that holds it; to the only box, where there is one
    one label in the file   each point is an instance
    else                    all points of the image are one instance, each label once

An image of which none of this is true (a point in two boxes, a label twice) cannot be told: it is set aside, counted and said,
and where half of the images or more are like that the data is refused. What comes out is a COCO document, so that categories,
sigmas, missing boxes and groups are dealt with in one place, `datasets.formats.coco`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.structures import UserError
from datasets.formats.coco import read_document
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import ImageFiles

Box = tuple[float, float, float, float]
OBJECT = "object"  # the category of instances without a box that is called something


@dataclass(frozen=True)
class DrawnPoint:
    """A point by itself: its label, where it is (px, integer = pixel centre), COCO's visibility, and its ``tie``, if any."""

    label: str
    x: float
    y: float
    visible: int = 2
    tie: str = ""


@dataclass(frozen=True)
class DrawnBox:
    """A box by itself: its label, x, y, width, height (px, edge to edge), and its ``tie``, if any."""

    label: str
    box: Box
    tie: str = ""


@dataclass
class Instance:
    """One instance: the name of its category, its points by label, its box, if any, and its ``tie``, if any."""

    category: str
    points: dict[str, DrawnPoint] = field(default_factory=dict)
    box: Box | None = None
    tie: str = ""


@dataclass
class DrawnImage:
    """What is drawn on an image.

    Attributes:
        path: Its file.
        record: Its record in COCO's form, without an id: ``file_name``, ``width``, ``height``, maybe ``group``.
        where: What it is called in errors.
        points: Points by themselves.
        boxes: Boxes by themselves.
        instances: Instances that the tool has as such (skeletons).
        split: ``train``, ``val``, ``test``, or "" where nothing divides.
    """

    path: Path
    record: dict[str, Any]
    where: str
    points: list[DrawnPoint] = field(default_factory=list)
    boxes: list[DrawnBox] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    split: str = ""


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of a category, and pairs of positions (0-based) that are joined."""

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()


def reading_of(
    images: Sequence[DrawnImage],
    skeletons: Mapping[str, Skeleton],
    origin: str,
    options: ReadOptions,
    notes: Sequence[str] = (),
    order: Sequence[str] = (),
) -> Reading:
    """What a tool drew, as data: points and boxes become instances, and these COCO annotations.

    Args:
        images: What is drawn; not changed.
        skeletons: Categories whose keypoints the file names.
        origin: The annotation file, named in errors.
        options: What the user said about it.
        notes: What was mended or set aside before.
        order: Labels of points by themselves as the file lists them; the others follow by name, so that two exports of one
            project have the same order.

    Raises:
        UserError: One line, for what cannot be told or is wrong.
    """
    _refuse_repeated(images, origin)
    said = list(notes)
    used = {point.label for image in images for point in image.points}
    labels = [label for label in dict.fromkeys(order) if label in used]
    labels += sorted(used - set(labels), key=_by_numbers)
    drawn, counts = [], dict.fromkeys(_HOW, 0)
    unclear: list[str] = []
    for image in images:
        try:
            found, how = _instances(image, len(labels) == 1)
        except _UnclearError as error:
            unclear.append(f"{image.where}: {error}")
            continue
        counts[how] += 1
        drawn.append((image, found))
    with_points = sum(bool(image.points or image.instances) for image in images)
    if unclear and 2 * len(unclear) >= with_points:
        raise UserError(f"{unclear[0]}; {len(unclear)} of {with_points} images are like this")
    if unclear:
        said.append(
            f"WARNING: {len(unclear)} images set aside, whose points could be of several instances: {unclear[0]}"
        )
    said += [f"{count} images: {words}" for how, words in _HOW.items() if words and (count := counts[how])]
    _name_the_nameless(drawn, skeletons)
    categories = _categories(drawn, skeletons, labels)
    if not categories:
        raise UserError(f"{origin}: holds no keypoints")
    loose = 0
    kept: list[tuple[DrawnImage, list[Instance]]] = []
    for image, found in drawn:
        own = [one for one in found if one.category in categories]
        loose += len(found) - len(own)
        kept.append((image, own))
    if loose:
        said.append(f"{loose} boxes whose label never has a point set aside")
    return _read(kept, categories, origin, options, said)


def tally(counts: dict[str, int], words: str, by: int = 1) -> None:
    """Add to what is counted under some words; nothing where there is nothing to add."""
    if by:
        counts[words] = counts.get(words, 0) + by


_HOW = {
    "told": "",
    "box": "points belong to the box that holds them, as nothing else says whose they are",
    "whole": "all points of an image are one instance, as nothing says otherwise",
    "each": "each point is an instance, as all have one label",
}


class _UnclearError(Exception):
    """Why the points of an image cannot be told apart."""


def _instances(image: DrawnImage, single: bool) -> tuple[list[Instance], str]:
    """The instances of an image, and how its points were told apart (a key of `_HOW`)."""
    found = [Instance(one.category, dict(one.points), one.box, one.tie) for one in image.instances]
    ties: dict[str, Instance] = {one.tie: one for one in found if one.tie}
    if len(ties) < sum(bool(one.tie) for one in found):
        ties = {}  # skeletons that are grouped with each other: a group is not an instance here
    for point in image.points:
        if point.tie:
            if point.tie not in ties:
                ties[point.tie] = Instance("", tie=point.tie)
                found.append(ties[point.tie])
            _put(ties[point.tie], point)
    free: list[Instance] = []
    for box in image.boxes:
        owner = ties.get(box.tie) if box.tie else None
        if owner is None:
            free.append(Instance(box.label, box=box.box))
        elif owner.box is not None:
            raise _UnclearError(f"two boxes are tied to the same points ({box.label!r})")
        else:
            owner.box, owner.category = box.box, owner.category or box.label
    _box_skeletons(found, free)
    stray = [point for point in image.points if not point.tie]
    if not stray:
        return [*found, *free], "told"
    if free:
        for point in stray:
            holders = [one for one in free if one.box is not None and _holds(one.box, point)]
            if len(holders) != 1 and len(free) == 1 and not found:
                holders = free
            if len(holders) != 1:
                which = f"is in {len(holders)} boxes" if holders else "is in no box"
                raise _UnclearError(f"point {point.label!r} {which}, and nothing else says whose it is")
            _put(holders[0], point)
        return [*found, *free], "box"
    if single:
        return [*found, *(Instance("", {point.label: point}) for point in stray)], "each"
    if found:
        raise _UnclearError(f"point {stray[0].label!r} belongs to no instance, and others do")
    whole = Instance("")
    for point in stray:
        _put(whole, point)
    return [whole], "whole"


def _put(instance: Instance, point: DrawnPoint) -> None:
    if point.label in instance.points:
        raise _UnclearError(
            f"{point.label!r} is there twice, and nothing says which is whose: group points, or draw boxes"
        )
    instance.points[point.label] = point


def _box_skeletons(skeletons: Sequence[Instance], free: list[Instance]) -> None:
    """Give a box that nothing ties to the skeleton whose points it holds, where that is one of one."""
    bare = [one for one in skeletons if one.box is None and any(p.visible for p in one.points.values())]
    held = {
        id(box): [one for one in bare if all(_holds(box.box, p) for p in one.points.values() if p.visible)]
        for box in free
        if box.box is not None
    }
    for box in list(free):
        owners = held[id(box)]
        if len(owners) == 1 and sum(owners[0] in others for others in held.values()) == 1:
            owners[0].box, owners[0].category = box.box, owners[0].category or box.category
            free.remove(box)


def _holds(box: Box, point: DrawnPoint) -> bool:
    x, y, width, height = box  # from edge to edge, and an integer is the centre of its pixel
    return x <= point.x + 0.5 <= x + width and y <= point.y + 0.5 <= y + height


def _name_the_nameless(drawn: Sequence[tuple[DrawnImage, list[Instance]]], skeletons: Mapping[str, Skeleton]) -> None:
    """The category of instances of which no box says one: that of the others, where it is one."""
    named = {one.category for _, found in drawn for one in found if one.category and one.points} - skeletons.keys()
    common = named.pop() if len(named) == 1 else OBJECT
    for _, found in drawn:
        for one in found:
            one.category = one.category or common


def _categories(
    drawn: Sequence[tuple[DrawnImage, list[Instance]]], skeletons: Mapping[str, Skeleton], labels: Sequence[str]
) -> dict[str, Skeleton]:
    """The categories that have points, and their keypoints; those that share a label share all, as cats and dogs do."""
    own: dict[str, set[str]] = {}
    more: dict[str, dict[str, None]] = {}
    for _, found in drawn:
        for one in found:
            if one.category in skeletons:
                more.setdefault(one.category, {}).update(dict.fromkeys(one.points))
            elif one.points:
                own.setdefault(one.category, set()).update(one.points)
    alike: list[set[str]] = []
    for names in own.values():
        touching = [group for group in alike if group & names]
        alike = [group for group in alike if group not in touching] + [names.union(*touching)]
    categories = {
        name: Skeleton(tuple(dict.fromkeys((*known.names, *more.get(name, ())))), known.edges)
        for name, known in skeletons.items()
    }
    for category, names in own.items():
        group = next(group for group in alike if group & names)
        order = [label for label in labels if label in group] + sorted(group - set(labels))
        categories[category] = Skeleton(tuple(order))
    return categories


def _read(
    kept: Sequence[tuple[DrawnImage, list[Instance]]],
    categories: Mapping[str, Skeleton],
    origin: str,
    options: ReadOptions,
    notes: list[str],
) -> Reading:
    splits = list(dict.fromkeys(image.split or "all" for image, _ in kept))
    if "all" in splits or "train" not in splits:
        splits = ["all"]
    numbers = {name: i for i, name in enumerate(categories, 1)}
    listed = [
        {
            "id": numbers[name],
            "name": name,
            "keypoints": list(skeleton.names),
            "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
        }
        for name, skeleton in categories.items()
    ]
    read = {}
    own: dict[str, tuple[str, ...]] = {}
    for split in splits:
        part = [pair for pair in kept if split in ("all", pair[0].split)]
        if not part:
            continue
        images = [{**image.record, "id": i} for i, (image, _) in enumerate(part, 1)]
        rows = [(i, one) for i, (_, found) in enumerate(part, 1) for one in found]
        annotations = [
            _annotation(row, i, numbers[one.category], one, categories[one.category].names)
            for row, (i, one) in enumerate(rows, 1)
        ]
        document = read_document({"images": images, "annotations": annotations, "categories": listed}, origin, options)
        known = document.annotations
        own[split] = document.notes
        if bare := len(known) - len(set(known.index.tolist())):
            own[split] += (f"{bare} images hold no instance",)
        read[split] = (ImageFiles([image.path for image, _ in part], known.sizes, origin), known)
    if not read:
        raise UserError(f"{origin}: holds no image")
    shared = [note for note in next(iter(own.values())) if all(note in other for other in own.values())]
    notes += shared
    notes += [f"{split}: {note}" for split, found in own.items() for note in found if note not in shared]
    return Reading(read, tuple(notes))


def _annotation(number: int, image: int, category: int, one: Instance, names: Sequence[str]) -> dict[str, Any]:
    triples: list[float] = []
    for name in names:
        point = one.points.get(name)
        triples += [0, 0, 0] if point is None or not point.visible else [point.x, point.y, point.visible]
    annotation: dict[str, Any] = {"id": number, "image_id": image, "category_id": category, "keypoints": triples}
    if one.box is not None:
        annotation["bbox"] = list(one.box)
        annotation["area"] = one.box[2] * one.box[3]
    return annotation


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """A key that sorts part2 before part10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,18})", name)]


def _refuse_repeated(images: Sequence[DrawnImage], origin: str) -> None:
    first: dict[Path, DrawnImage] = {}
    for image in images:
        other = first.setdefault(image.path, image)
        if other is not image:
            raise UserError(
                f"{origin}: {other.where} and {image.where} both seem to mean the file {image.path}; keep one, or give the files "
                "the names they have there"
            )
