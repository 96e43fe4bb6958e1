"""COCO keypoint annotation files: annotations to a document and back, bit for bit.

The format is that of https://cocodataset.org/#format-data: ``info``, ``images``, ``annotations``, ``categories``. What
COCO has no place for stands where other readers ignore it: ``info`` holds ``sigmas`` and ``spacing``, an image may hold
``label``, ``baseline`` and ``group``, a category ``flip_pairs`` (positions from 1, as in ``skeleton``). Files of other
tools lack those, and may lack boxes and areas too; `read_document` says what was filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from benchmark.structures import Annotations, Category, FloatArray, IntArray, UserError
from datasets.formats.json_columns import (
    Record,
    Where,
    column,
    kind,
    parse_json,
    read_bytes,
    read_json,
    real_numbers,
    records,
    shown,
    tables,
    whole_numbers,
)
from datasets.formats.reading import ReadOptions

BOX_PADDING = 3.0  # px around labelled keypoints, where a file gives no box
DEFAULT_SIGMA = 0.05
MAX_SIDE = 100_000  # px
MAX_ID = 2**63 - 1
HUMAN_KEYPOINTS = (  # COCO's
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
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
    """The annotations in a COCO keypoint annotation file; see `read_document`.

    Args:
        path: The file.

    Raises:
        UserError: One line with file and entry, where it cannot be read or is wrong.
    """
    return read_file(path).annotations


def read_file(path: Path | str, options: ReadOptions | None = None, *, files: bool = True) -> Document:
    """`read_document` of a file.

    Args:
        path: The file.
        options: See `read_document`.
        files: See `read_document`.

    Raises:
        UserError: See `json_columns.read_json` and `read_document`.
    """
    from datasets.formats.coco_columns import document_in  # which builds on what is here

    content = read_bytes(path)
    document = document_in(content, str(path), options or ReadOptions(), files=files)
    return read_document(parse_json(content, path), str(path), options, files=files) if document is None else document


def annotations_from_json(document: Any, origin: str) -> Annotations:
    """The annotations in a COCO keypoint annotation document; see `read_document`."""
    return read_document(document, origin).annotations


@dataclass(frozen=True, eq=False)
class Document:
    """An annotation document, read.

    Attributes:
        annotations: What it holds; sizes are (0, 0) and file names "image <id>" where it gives none and none is asked for.
        notes: What was mended, filled in or set aside, a sentence with a count each.
    """

    annotations: Annotations
    notes: tuple[str, ...]


def read_document(document: Any, origin: str, options: ReadOptions | None = None, *, files: bool = True) -> Document:
    """The annotations in a COCO keypoint annotation document, ours or another tool's, checked in full.

    What pycocotools reads is read. Where a file lacks them, boxes are those of the labelled keypoints padded by 3 px, areas
    those of the boxes, and sigmas COCO's human ones for COCO's 17 human keypoints and .05 otherwise.

    Args:
        document: What `json_columns.read_json` gave.
        origin: The file, named in errors.
        options: The category, where several have different keypoints, and sigmas.
        files: Whether image files belong to it, whose names must then stay inside their folder.

    Returns:
        The annotations, their instances in the order of the images, and notes.

    Raises:
        UserError: One line with file and entry, where something is wrong.
    """
    if type(document) is not dict:
        raise UserError(f"{origin}: is {kind(document)} where an object with 'images' and 'annotations' was expected")
    for key in ("images", "annotations", "categories"):
        if key not in document:
            raise UserError(f"{origin}: has no {key!r}; give a COCO keypoint annotation file")
    chosen = options or ReadOptions()
    info = document.get("info")
    info = info if type(info) is dict else {}
    images = records(document["images"], f"{origin}: 'images'")
    notes: list[str] = []
    given_rows = _flat(records(document["annotations"], f"{origin}: 'annotations'"), notes)
    if not images:
        raise UserError(f"{origin}: 'images' is empty, so there is nothing to score")

    def image(i: int) -> str:
        return f"{origin}: images entry {i}"

    def annotation(i: int) -> str:
        return f"{origin}: annotations entry {i}"

    ids = _unique_ids(images, image)
    sizes = _sizes(images, image)
    if all(row.get("id") is not None for row in given_rows):
        _unique_ids(given_rows, annotation)
    else:
        notes.append("annotations without ids are numbered in their order")
    shape = _categories(document, given_rows, origin, chosen.category, notes)
    kept = _kept_rows(given_rows, ids, shape, origin, notes)
    rows = [given_rows[i] for i in kept]

    def row_at(i: int) -> str:
        return annotation(kept[i])

    names, k = shape.names, len(shape.names)
    owner = whole_numbers(column(rows, "image_id", row_at), "image_id", row_at, 0, MAX_ID)
    by_id = np.argsort(ids, kind="stable")
    nearest = np.minimum(np.searchsorted(ids[by_id], owner), len(ids) - 1)
    category = whole_numbers(column(rows, "category_id", row_at), "category_id", row_at, 0, MAX_ID)
    triples = _triples(rows, k, row_at, notes)
    if (wrong := triples[:, :, 2] < 0).any():
        i, j = (int(a[0]) for a in np.nonzero(wrong))
        raise UserError(f"{row_at(i)}: keypoints[{3 * j + 2}] is {triples[i, j, 2]:g}; a visibility is 0, 1 or 2")
    if (other := ~np.isin(triples[:, :, 2], (0, 1, 2))).any():
        notes.append(f"{int(other.sum())} visibilities other than 0, 1 and 2: above 0 counts as labelled")
        triples[:, :, 2][other] = 2
    keypoints, visible = np.ascontiguousarray(triples[:, :, :2]), triples[:, :, 2].astype(np.int64)
    boxes = _boxes(rows, keypoints, visible, row_at, notes)
    crowd = whole_numbers([_flag(row.get("iscrowd")) for row in rows], "iscrowd", row_at, 0, 1)
    areas = _areas(rows, boxes, row_at, notes)
    index = by_id[nearest]
    order = np.argsort(index, kind="stable")
    given_names = column(images, "file_name", image) if files else [record.get("file_name") for record in images]
    annotations = Annotations(
        image_ids=ids,
        file_names=file_names(given_names, image, ids, files),
        sizes=sizes,
        index=index[order],
        keypoints=keypoints[order],
        visible=visible[order],
        boxes=boxes[order],
        areas=areas[order],
        crowd=crowd[order].astype(np.bool_),
        category_ids=category[order],
        keypoint_names=names,
        sigmas=_sigmas(info, shape, origin, chosen.sigmas, notes),
        spacing=_spacing(info, k, origin),
        labels=_labels(images, image),
        baseline=_baseline(images, k, image),
        categories=shape.categories,
        skeleton=_pairs(shape.records, "skeleton", k),
        flip_pairs=_pairs(shape.records, "flip_pairs", k),
        groups=_groups(images, image, chosen.group_by),
    )
    return Document(annotations, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Shape:
    """The keypoint names that all chosen categories share, these categories, and their records.

    Attributes:
        names: K names.
        categories: The chosen categories.
        records: Their records in the file.
        others: The ids of the file's other categories.
        given: The category that was asked for; "" for none.
    """

    names: tuple[str, ...]
    categories: tuple[Category, ...]
    records: list[Record]
    others: frozenset[int]
    given: str


def _flat(rows: list[Record], notes: list[str]) -> list[Record]:
    """Annotations whose keypoints are a list of [x, y, v] as those whose are one list of numbers."""
    count = 0
    for i, row in enumerate(rows):
        points = row.get("keypoints")
        if type(points) is list and points and all(type(p) is list and len(p) == 3 for p in points):
            rows = rows if count else list(rows)
            rows[i] = {**row, "keypoints": [v for p in points for v in p]}
            count += 1
    if count:
        notes.append(f"{count} annotations with lists of [x, y, v]: read as one list")
    return rows


def _fitting(names: tuple[str, ...], rows: list[Record], ids: frozenset[int], notes: list[str]) -> tuple[str, ...]:
    """The names of as many keypoints as annotations hold, where all of them hold another number than there are names."""
    counts = {
        len(row["keypoints"]) // 3
        for row in rows
        if type(row.get("keypoints")) is list and row["keypoints"] and _as_id(row.get("category_id")) in ids
    }
    if len(counts) != 1 or (k := next(iter(counts))) in (0, len(names)):
        return names
    notes.append(
        f"WARNING: the category names {len(names)} keypoints, and its annotations hold {k}: the first names are used"
    )
    return (*names[:k], *(f"keypoint{j + 1}" for j in range(len(names), k)))


def _categories(document: Record, rows: list[Record], origin: str, wanted: str, notes: list[str]) -> _Shape:
    def where(i: int) -> str:
        return f"{origin}: categories entry {i}"

    categories = records(document["categories"], f"{origin}: 'categories'")
    if not categories:
        raise UserError(f"{origin}: 'categories' is empty; name at least one, with its keypoints")
    ids = _unique_ids(categories, where).tolist()
    titles = [
        title if type(title := category.get("name")) is str and title.isprintable() and title else f"category {i}"
        for i, category in zip(ids, categories)
    ]
    names: list[tuple[str, ...]] = []
    for i, category in enumerate(categories):
        given = category.get("keypoints") or []
        if type(given) is not list or not all(type(n) is str and n and n.isprintable() for n in given):
            raise UserError(f"{where(i)}: 'keypoints' must be a list of names that can be printed")
        if len(set(given)) < len(given):
            raise UserError(f"{where(i)}: a keypoint name is given twice")
        names.append(tuple(given))
    counts = Counter(_as_id(row.get("category_id")) for row in rows)
    pointed = Counter(_as_id(row.get("category_id")) for row in rows if row.get("keypoints"))
    listed = ", ".join(
        f"{title} ({len(own)} keypoints, {counts[i]} annotations)" for i, title, own in zip(ids, titles, names) if own
    )
    if wanted:
        at = [i for i, title in enumerate(titles) if title == wanted]
        if not at:
            raise UserError(f"{origin}: has no category {wanted!r}; there are {listed or ', '.join(titles)}")
        if len(at) > 1:
            raise UserError(f"{origin}: two categories are called {wanted!r}; give each a name of its own")
        chosen = at
    else:
        used = {own for i, own in zip(ids, names) if own and pointed[i]} or {own for own in names if own}
        if len(used) > 1:
            raise UserError(
                f"{origin}: its categories have different keypoints; choose one with --category NAME: {listed}"
            )
        own = next(iter(used), ())
        chosen = [i for i, name in enumerate(names) if name == own or (not name and pointed[ids[i]])]
        chosen += [i for i, name in enumerate(names) if not name and not counts[ids[i]] and i not in chosen]
        chosen = sorted(chosen) or list(range(len(ids)))
    shared = next((names[i] for i in chosen if names[i]), ())
    if not shared:
        kept_ids = {ids[i] for i in chosen}
        first = next(
            (row["keypoints"] for row in rows if row.get("keypoints") and row.get("category_id") in kept_ids), None
        )
        if type(first) is not list or len(first) % 3:
            raise UserError(f"{origin}: no category has 'keypoints'; give a COCO keypoint file, not one of boxes only")
        shared = tuple(f"keypoint{j + 1}" for j in range(len(first) // 3))
        notes.append(f"no category names its keypoints: they are called {shared[0]} to {shared[-1]}")
    shared = _fitting(shared, rows, frozenset(ids[i] for i in chosen), notes)
    strangers = [i for i in counts if i not in ids and type(i) is int and i >= 0] if not wanted else []
    if strangers:
        notes.append(
            f"{sum(counts[i] for i in strangers)} annotations of categories that the file does not list: taken for more of "
            "the same kind"
        )
    return _Shape(
        shared,
        (
            *(Category(ids[i], titles[i]) for i in chosen),
            *(Category(i, f"category {i}") for i in sorted(strangers)),
        ),
        [categories[i] for i in chosen],
        frozenset(ids[i] for i in range(len(ids)) if i not in chosen),
        wanted,
    )


def _kept_rows(rows: list[Record], ids: IntArray, shape: _Shape, origin: str, notes: list[str]) -> list[int]:
    """The annotations that are of the file's images and of a chosen category; the others are counted in ``notes``."""

    def where(i: int) -> str:
        return f"{origin}: annotations entry {i}"

    owners = whole_numbers(column(rows, "image_id", where), "image_id", where, 0, MAX_ID)
    of_categories = whole_numbers(column(rows, "category_id", where), "category_id", where, 0, MAX_ID)
    known = np.array([category.id for category in shape.categories], dtype=np.int64)
    of_images, others = np.isin(owners, ids), np.isin(of_categories, np.array(sorted(shape.others), dtype=np.int64))
    if (unknown := ~others & ~np.isin(of_categories, known)).any():
        i = int(np.argmax(unknown))
        raise UserError(f"{where(i)}: category_id {of_categories[i]} is not among the file's categories")
    if len(rows) and not of_images.any():
        raise UserError(f"{where(0)}: image_id {owners[0]} is not among the file's images, nor is any other's")
    if count := int((~of_images).sum()):
        notes.append(f"{count} annotations of images that are not in the file set aside")
    if count := int((of_images & others).sum()):
        which = "other categories" if shape.given else "categories without keypoints"
        notes.append(f"{count} annotations of {which} set aside")
    return np.flatnonzero(of_images & ~others).tolist()


def _as_id(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _flag(value: Any) -> Any:
    """A crowd flag as 0 or 1: tools write it as a boolean, a float, or not at all."""
    return 0 if value is None else int(value) if type(value) is bool else value


def _triples(rows: list[Record], k: int, where: Where, notes: list[str]) -> FloatArray:
    """(M, K, 3) x, y, visibility; an instance without keypoints has none labelled, a point that is not labelled is 0, 0."""
    given = [row.get("keypoints") for row in rows]
    bare = sum(not points for points in given if points is None or type(points) is list)
    mended = 0
    for i, points in enumerate(given):
        if points is None or (type(points) is list and not points):
            given[i] = [0.0] * (3 * k)
        elif type(points) is list and len(points) == 3 * k and any(v is None or v != v for v in points):
            given[i] = points = list(points)
            for j in range(0, 3 * k, 3):
                if points[j + 2] == 0 or points[j + 2] is None:
                    mended += any(v is None or v != v for v in points[j : j + 3])
                    points[j : j + 3] = [0.0, 0.0, 0]
    if bare:
        notes.append(f"{bare} annotations without keypoints: instances of which none is labelled")
    if mended:
        notes.append(f"{mended} unlabelled keypoints without numbers set to 0, 0")
    return tables(given, 3 * k, "keypoints", where, "x, y, v a keypoint").reshape(-1, k, 3)


def _areas(rows: list[Record], boxes: FloatArray, where: Where, notes: list[str]) -> FloatArray:
    missing = sum(row.get("area") is None for row in rows)
    if missing:
        notes.append(f"{missing} annotations without an area: that of their box is used")
    of_boxes = (boxes[:, 2] * boxes[:, 3]).tolist()
    areas = [box if row.get("area") is None else row["area"] for row, box in zip(rows, of_boxes)]
    checked = real_numbers(areas, "area", where, low=0, high=float(MAX_SIDE**2))
    if count := int((checked == 0).sum()):
        notes.append(f"{count} annotations of area 0: OKS is 0 for every error there")
    return checked


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


def _sizes(images: list[Record], where: Where) -> IntArray:
    """(N, 2) width and height; 0 where a file gives neither and its images can be asked, or nothing asks for them."""
    sides = []
    for side in ("width", "height"):
        given = [image.get(side) for image in images]
        unknown = [value is None for value in given]
        checked = whole_numbers([1 if value is None else value for value in given], side, where, 1, MAX_SIDE)
        sides.append(np.where(unknown, 0, checked))
    sizes = np.stack(sides, axis=1).astype(np.int64)
    if (half := (sizes == 0).any(axis=1) & (sizes > 0).any(axis=1)).any():
        raise UserError(f"{where(int(np.argmax(half)))}: gives one of 'width' and 'height'; give both or neither")
    return sizes


def file_names(names: list[Any], where: Where, ids: IntArray, files: bool) -> tuple[str, ...]:
    """The images' file names; where files belong to them, each must stay inside its folder on any platform.

    Args:
        names: What the record of each image gives as its ``file_name``; None where it gives none.
        where: See `json_columns.column`.
        ids: (N,) int64, their ids.
        files: Whether image files belong to them; if not, what is no name is made one of the id.

    Raises:
        UserError: Naming the first image whose file name is none, or leaves the folder.
    """
    if not files:
        return tuple(
            name if type(name) is str and name and name.isprintable() else f"image {i}"
            for name, i in zip(names, ids.tolist())
        )
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


def _boxes(rows: list[Record], keypoints: FloatArray, visible: IntArray, where: Where, notes: list[str]) -> FloatArray:
    """(M, 4) x, y, width, height; where a record has none, the labelled keypoints' padded by 3 px."""
    given = [row.get("bbox") or None for row in rows]
    if count := sum(box is None for box in given):
        around = boxes_around(keypoints, visible).tolist()
        given = [around[i] if box is None else box for i, box in enumerate(given)]
        notes.append(
            f"{count} annotations without a box: that of their keypoints, padded by {BOX_PADDING:g} px, is used"
        )
    boxes = tables(given, 4, "bbox", where, "x, y, width, height")
    if (negative := (boxes[:, 2:] < 0).any(axis=1)).any():
        i = int(np.argmax(negative))
        raise UserError(f"{where(i)}: 'bbox' has a negative width or height; give x, y, width, height")
    return boxes


def boxes_around(keypoints: FloatArray, visible: IntArray) -> FloatArray:
    """The boxes of labelled keypoints, padded by 3 px.

    Args:
        keypoints: (M, K, 2) px.
        visible: (M, K), 0 where one is not labelled.

    Returns:
        (M, 4) float64 x, y, width, height; 0 for an instance none of whose keypoints is labelled.
    """
    labelled = (visible > 0)[:, :, None]
    low = np.where(labelled, keypoints, np.inf).min(axis=1, initial=np.inf) - BOX_PADDING
    high = np.where(labelled, keypoints, -np.inf).max(axis=1, initial=-np.inf) + BOX_PADDING
    known = labelled.any(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(known, np.hstack([low, high - low]), 0.0)


def default_sigmas(names: Sequence[str], file: str = "") -> tuple[FloatArray, str]:
    """The sigmas of keypoints of which the data says none: those of a file, else the usual.

    Args:
        names: K names.
        file: What `ReadOptions.sigmas` names: a JSON file of K numbers, or of keypoint name -> number; "" for none.

    Returns:
        (K,) float64, and a sentence on where they come from.

    Raises:
        UserError: Where the file does not give a number above 0 for each.
    """
    if file:
        return sigmas_in(file, names), f"sigmas of {file} are used"
    if tuple(names) == HUMAN_KEYPOINTS:
        return HUMAN_SIGMAS.copy(), "no sigmas given: COCO's human sigmas are used"
    words = f"no sigmas given: {DEFAULT_SIGMA:g} is used for every keypoint, so AP compares with nobody else's"
    return np.full(len(names), DEFAULT_SIGMA), words


def sigmas_in(file: str, names: Sequence[str]) -> FloatArray:
    """The sigmas of a JSON file; see `default_sigmas`."""
    given = read_json(file)
    if type(given) is dict:
        missing = [name for name in names if name not in given]
        if missing:
            raise UserError(f"{file}: has no sigma for {missing[0]!r}; give one for each of {', '.join(names)}")
        given = [given[name] for name in names]
    return _checked_sigmas(given, len(names), file)


def _sigmas(info: Record, shape: _Shape, origin: str, file: str, notes: list[str]) -> FloatArray:
    given = info.get("sigmas")
    if given is None:
        given = next((one["sigmas"] for one in shape.records if one.get("sigmas")), None)
    if file or given is None:
        sigmas, words = default_sigmas(shape.names, file)
        notes.append(words)
        return sigmas
    return _checked_sigmas(given, len(shape.names), f"{origin}: info")


def _checked_sigmas(given: Any, k: int, where: str) -> FloatArray:
    if type(given) is not list or len(given) != k:
        raise UserError(f"{where}: 'sigmas' must be a list of {k} numbers, one a keypoint")
    return real_numbers(given, "sigmas", lambda i: f"{where}: entry {i}", low=0, above=True)


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


def _groups(images: list[Record], where: Where, field: str) -> tuple[str, ...] | None:
    """(N,) names: of the field that was asked for, where every image has it; else of ``group``; or None."""
    if field and all(type(image.get(field)) in (str, int) for image in images):
        return tuple(str(image[field]) for image in images)
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
