"""COCO keypoint annotation files: annotations to a document and back, bit for bit.

The format is that of https://cocodataset.org/#format-data: ``info``, ``images``, ``annotations``, ``categories``. What
COCO has no place for stands where other readers ignore it: ``info`` holds ``sigmas`` and ``spacing``, an image may hold
``label``, ``baseline`` and ``group``, a category ``flip_pairs`` (positions from 1, as in ``skeleton``). Files of other
tools lack those, and may lack boxes and areas too; `annotation_notes` says what was filled in.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from benchmark.structures import Annotations, Category, FloatArray, IntArray, UserError
from datasets.formats.json_columns import (
    Record,
    Where,
    column,
    kind,
    read_json,
    real_numbers,
    records,
    shown,
    tables,
    whole_numbers,
)

BOX_PADDING = 3.0  # px around labelled keypoints, where a file gives no box
DEFAULT_SIGMA = 0.05
MAX_SIDE = 100_000  # px
MAX_ID = 2**53  # the largest whole number every JSON reader keeps
HUMAN_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000  # COCO's


def annotations_to_json(annotations: Annotations) -> dict[str, Any]:
    """Annotations as a COCO keypoint annotation document.

    Args:
        annotations: What is written.

    Returns:
        A JSON-able document, which `annotations_from_json` turns into the identical annotations (same digest).
    """
    images: list[Record] = [
        {"id": i, "file_name": name, "width": w, "height": h}
        for i, name, (w, h) in zip(annotations.image_ids.tolist(), annotations.file_names, annotations.sizes.tolist())
    ]
    if annotations.labels is not None:
        for image, label in zip(images, annotations.labels.tolist()):
            image["label"] = label
    if annotations.baseline is not None:
        for image, points in zip(images, annotations.baseline.tolist()):
            image["baseline"] = points
    if annotations.groups is not None:
        for image, name in zip(images, annotations.groups):
            image["group"] = name
    m = len(annotations.index)
    triples: list[list[float | int]] = [
        [value for (x, y), v in zip(points, flags) for value in (x, y, v)]
        for points, flags in zip(annotations.keypoints.tolist(), annotations.visible.tolist())
    ]
    entries = [
        {
            "id": i + 1,
            "image_id": image_id,
            "category_id": category,
            "keypoints": triple,
            "num_keypoints": labelled,
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
        }
        for i, image_id, category, triple, labelled, box, area, crowd in zip(
            range(m),
            annotations.image_ids[annotations.index].tolist(),
            annotations.category_ids.tolist(),
            triples,
            (annotations.visible > 0).sum(axis=1).tolist(),
            annotations.boxes.tolist(),
            annotations.areas.tolist(),
            annotations.crowd.tolist(),
        )
    ]
    spacing = annotations.spacing
    return {
        "info": {
            "description": "keypoints (x, y) in pixels; an integer is the centre of that pixel",
            "sigmas": annotations.sigmas.tolist(),
            "spacing": None if spacing is None else [None if np.isnan(q) else q for q in spacing.tolist()],
        },
        "images": images,
        "annotations": entries,
        "categories": _categories_to_json(annotations),
    }


def _categories_to_json(annotations: Annotations) -> list[Record]:
    names = {category.id: category.name for category in annotations.categories}
    shape: Record = {
        "keypoints": list(annotations.keypoint_names),
        "skeleton": [[a + 1, b + 1] for a, b in annotations.skeleton],
    }
    if annotations.flip_pairs:
        shape["flip_pairs"] = [[a + 1, b + 1] for a, b in annotations.flip_pairs]
    return [
        {"id": i, "name": names.get(i, f"category {i}"), "supercategory": "", **shape}
        for i in annotations.known_category_ids.tolist()
    ]


def read_annotations(path: Path | str) -> Annotations:
    """The annotations in a COCO keypoint annotation file; see `annotations_from_json`.

    Args:
        path: The file.

    Raises:
        UserError: One line with file and entry, where it cannot be read or is wrong.
    """
    return annotations_from_json(read_json(path), str(path))


def annotations_from_json(document: Any, origin: str) -> Annotations:
    """The annotations in a COCO keypoint annotation document, ours or another tool's, checked in full.

    Where a file lacks them, boxes are those of the labelled keypoints padded by 3 px, areas those of the boxes, sigmas
    COCO's human ones for K = 17 and .05 otherwise.

    Args:
        document: What `json_columns.read_json` gave.
        origin: The file, named in errors.

    Returns:
        The annotations; instances stand in the order of their images.

    Raises:
        UserError: One line with file and entry, where something is wrong.
    """
    if type(document) is not dict:
        raise UserError(f"{origin}: is {kind(document)} where an object with 'images' and 'annotations' was expected")
    for key in ("images", "annotations", "categories"):
        if key not in document:
            raise UserError(f"{origin}: has no {key!r}; give a COCO keypoint annotation file")
    info = document.get("info")
    info = info if type(info) is dict else {}
    images = records(document["images"], f"{origin}: 'images'")
    rows = records(document["annotations"], f"{origin}: 'annotations'")
    if not images:
        raise UserError(f"{origin}: 'images' is empty, so there is nothing to score")

    def image(i: int) -> str:
        return f"{origin}: images entry {i}"

    def annotation(i: int) -> str:
        return f"{origin}: annotations entry {i}"

    names, categories = _categories(document, rows, origin)
    known = np.array([category.id for category in categories], dtype=np.int64)
    k = len(names)
    ids = _unique_ids(images, image)
    sizes = np.stack(
        [whole_numbers(column(images, side, image), side, image, 1, MAX_SIDE) for side in ("width", "height")], axis=1
    )
    _unique_ids(rows, annotation)
    owner = whole_numbers(column(rows, "image_id", annotation), "image_id", annotation, 0, MAX_ID)
    by_id = np.argsort(ids, kind="stable")
    nearest = np.minimum(np.searchsorted(ids[by_id], owner), len(ids) - 1)
    if (unknown := ids[by_id][nearest] != owner).any():
        i = int(np.argmax(unknown))
        raise UserError(f"{annotation(i)}: image_id {owner[i]} is not among the file's images")
    category = whole_numbers(column(rows, "category_id", annotation), "category_id", annotation, 0, MAX_ID)
    if (unknown := ~np.isin(category, known)).any():
        i = int(np.argmax(unknown))
        raise UserError(f"{annotation(i)}: category_id {category[i]} is not among the file's categories")
    triples = tables(column(rows, "keypoints", annotation), 3 * k, "keypoints", annotation, "x, y, v a keypoint")
    triples = triples.reshape(-1, k, 3)
    if (wrong := ~np.isin(triples[:, :, 2], (0, 1, 2))).any():
        i, j = (int(a[0]) for a in np.nonzero(wrong))
        raise UserError(f"{annotation(i)}: keypoints[{3 * j + 2}] is {triples[i, j, 2]:g}; a visibility is 0, 1 or 2")
    keypoints, visible = np.ascontiguousarray(triples[:, :, :2]), triples[:, :, 2].astype(np.int64)
    boxes = _boxes(rows, keypoints, visible, annotation)
    crowd = whole_numbers([row.get("iscrowd", 0) for row in rows], "iscrowd", annotation, 0, 1)
    areas = [row.get("area", box) for row, box in zip(rows, (boxes[:, 2] * boxes[:, 3]).tolist())]
    index = by_id[nearest]
    order = np.argsort(index, kind="stable")
    return Annotations(
        image_ids=ids,
        file_names=_file_names(images, image),
        sizes=sizes,
        index=index[order],
        keypoints=keypoints[order],
        visible=visible[order],
        boxes=boxes[order],
        areas=real_numbers(areas, "area", annotation, low=0, high=float(MAX_SIDE**2))[order],
        crowd=crowd[order].astype(np.bool_),
        category_ids=category[order],
        keypoint_names=names,
        sigmas=_sigmas(info, k, origin),
        spacing=_spacing(info, k, origin),
        labels=_labels(images, image),
        baseline=_baseline(images, k, image),
        categories=categories,
        skeleton=_pairs(document["categories"], "skeleton", k),
        flip_pairs=_pairs(document["categories"], "flip_pairs", k),
        groups=_groups(images, image),
    )


def annotation_notes(document: Any) -> list[str]:
    """What `annotations_from_json` filled in, and what makes OKS meaningless.

    Args:
        document: One that `annotations_from_json` accepts.

    Returns:
        Sentences for people.
    """
    rows, info = document["annotations"], document.get("info")
    notes = []
    if type(info) is not dict or info.get("sigmas") is None:
        notes.append(
            "no sigmas in 'info': COCO's human sigmas are used"
            if _human(document)
            else f"no sigmas in 'info': {DEFAULT_SIGMA:g} is used for every keypoint, so AP compares with nobody else's"
        )
    if count := sum("bbox" not in row for row in rows):
        notes.append(
            f"{count} annotations without a box: that of their keypoints, padded by {BOX_PADDING:g} px, is used"
        )
    if count := sum("area" not in row for row in rows):
        notes.append(f"{count} annotations without an area: that of their box is used")
    if count := sum(row.get("area", 1) == 0 for row in rows):
        notes.append(f"{count} annotations of area 0: OKS is 0 for every error there")
    return notes


def _human(document: Record) -> bool:
    return len(_categories(document, document["annotations"], "")[0]) == len(HUMAN_SIGMAS)


def _categories(document: Record, rows: list[Record], origin: str) -> tuple[tuple[str, ...], tuple[Category, ...]]:
    """The keypoint names that all categories share, and the categories."""

    def where(i: int) -> str:
        return f"{origin}: categories entry {i}"

    categories = records(document["categories"], f"{origin}: 'categories'")
    if not categories:
        raise UserError(f"{origin}: 'categories' is empty; name at least one, with its keypoints")
    ids = _unique_ids(categories, where)
    names: list[str] | None = None
    for i, category in enumerate(categories):
        given = category.get("keypoints")
        if given is None:  # a box category of a mixed file; an annotation of it must have the others' keypoints
            continue
        if type(given) is not list or not given or not all(type(n) is str and n and n.isprintable() for n in given):
            raise UserError(f"{where(i)}: 'keypoints' must be a list of names that can be printed")
        if len(set(given)) < len(given):
            raise UserError(f"{where(i)}: a keypoint name is given twice")
        if names is not None and given != names:
            raise UserError(
                f"{where(i)}: its keypoints differ from an earlier category's; one file, one list of keypoints"
            )
        names = given
    if names is None:
        first = rows[0].get("keypoints") if rows else None
        if type(first) is not list or not first or len(first) % 3:
            raise UserError(f"{origin}: no category has 'keypoints'; give a COCO keypoint file, not one of boxes only")
        names = [f"keypoint{j + 1}" for j in range(len(first) // 3)]
    titles = [category.get("name") for category in categories]
    return tuple(names), tuple(
        Category(i, title if type(title) is str and title.isprintable() and title else f"category {i}")
        for i, title in zip(ids.tolist(), titles)
    )


def _pairs(categories: list[Record], key: str, k: int) -> tuple[tuple[int, int], ...]:
    """Pairs of keypoints, 0-based, from the first category that has some; positions in the file count from 1.

    A drawing needs them and nothing else does, so what is not a list of such pairs counts as none.
    """
    for category in categories:
        given = category.get(key)
        if type(given) is not list or not given:
            continue
        if all(type(pair) is list and len(pair) == 2 and all(type(i) is int for i in pair) for pair in given):
            pairs = tuple((a - 1, b - 1) for a, b in given)
            if all(0 <= i < k for pair in pairs for i in pair):
                return pairs
    return ()


def _unique_ids(rows: list[Record], where: Where) -> IntArray:
    ids = whole_numbers(column(rows, "id", where), "id", where, 0, MAX_ID)
    if len(set(ids.tolist())) < len(ids):
        earlier: set[int] = set()
        for i, value in enumerate(ids.tolist()):
            if value in earlier:
                raise UserError(f"{where(i)}: id {value} is used twice")
            earlier.add(value)
    return ids


def _file_names(images: list[Record], where: Where) -> tuple[str, ...]:
    """The images' file names; each must stay inside its folder on any platform."""
    names = column(images, "file_name", where)
    for i, name in enumerate(names):
        if type(name) is not str or not name or not name.isprintable():
            raise UserError(f"{where(i)}: 'file_name' is {shown(name)} where a name was expected")
        if name.startswith(("/", "\\")) or ".." in name or ":" in name:
            windows, posix = PureWindowsPath(name), PurePosixPath(name)
            if windows.drive or windows.root or posix.is_absolute() or ".." in windows.parts:
                raise UserError(
                    f"{where(i)}: file_name {shown(name)} leaves the image folder; give a relative path inside it"
                )
    return tuple(names)


def _boxes(rows: list[Record], keypoints: FloatArray, visible: IntArray, where: Where) -> FloatArray:
    """(M, 4) x, y, width, height; where a record has none, the labelled keypoints' padded by 3 px."""
    given = [row.get("bbox") for row in rows]
    if None in given:
        labelled = (visible > 0)[:, :, None]
        low = np.where(labelled, keypoints, np.inf).min(axis=1, initial=np.inf) - BOX_PADDING
        high = np.where(labelled, keypoints, -np.inf).max(axis=1, initial=-np.inf) + BOX_PADDING
        around = np.where(labelled.any(axis=1), np.hstack([low, high - low]), 0.0).tolist()
        given = [around[i] if box is None else box for i, box in enumerate(given)]
    boxes = tables(given, 4, "bbox", where, "x, y, width, height")
    if (negative := (boxes[:, 2:] < 0).any(axis=1)).any():
        i = int(np.argmax(negative))
        raise UserError(f"{where(i)}: 'bbox' has a negative width or height; give x, y, width, height")
    return boxes


def _sigmas(info: Record, k: int, origin: str) -> FloatArray:
    given = info.get("sigmas")
    if given is None:
        return HUMAN_SIGMAS.copy() if k == len(HUMAN_SIGMAS) else np.full(k, DEFAULT_SIGMA)
    if type(given) is not list or len(given) != k:
        raise UserError(f"{origin}: info: 'sigmas' must be a list of {k} numbers, one a keypoint")
    return real_numbers(given, "sigmas", lambda i: f"{origin}: info: entry {i}", low=0, above=True)


def _spacing(info: Record, k: int, origin: str) -> FloatArray | None:
    given = info.get("spacing")
    if given is None:
        return None
    if type(given) is not list or len(given) != k:
        raise UserError(f"{origin}: info: 'spacing' must be a list of {k} numbers or nulls, one a keypoint")
    lattice = [1.0 if q is None else q for q in given]
    checked = real_numbers(lattice, "spacing", lambda i: f"{origin}: info: entry {i}", low=0, above=True)
    checked[[q is None for q in given]] = np.nan
    return checked


def _labels(images: list[Record], where: Where) -> IntArray | None:
    if not any("label" in image for image in images):
        return None
    return whole_numbers(column(images, "label", where), "label", where, -MAX_ID, MAX_ID)


def _groups(images: list[Record], where: Where) -> tuple[str, ...] | None:
    """(N,) names, or None."""
    if not any("group" in image for image in images):
        return None
    names = column(images, "group", where)
    for i, name in enumerate(names):
        if type(name) is not str or not name.isprintable():
            raise UserError(f"{where(i)}: 'group' is {shown(name)} where the name of a video or session was expected")
    return tuple(names)


def _baseline(images: list[Record], k: int, where: Where) -> FloatArray | None:
    """(N, K, 2) or None."""
    if not any("baseline" in image for image in images):
        return None
    given = column(images, "baseline", where)
    for i, points in enumerate(given):
        if type(points) is not list or len(points) != k or any(type(p) is not list or len(p) != 2 for p in points):
            raise UserError(f"{where(i)}: 'baseline' must be a list of {k} points [x, y]")
    flat = [[value for point in points for value in point] for points in given]
    return tables(flat, 2 * k, "baseline", where, "x, y a keypoint").reshape(-1, k, 2)
