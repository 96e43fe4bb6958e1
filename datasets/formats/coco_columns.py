"""COCO keypoint files of which nothing is to be mended, from columns instead of objects.

What is read here is what `datasets.formats.coco` and `coco_results` read, to the bit, with the same notes. Whatever those would
refuse, mend or set aside, and whatever is not written as `alike_records` has it, is None here and left to them: they alone
know what to say of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.metrics.validation import MAX_ABS
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions, UserError
from datasets.formats.alike_records import Columns, columns
from datasets.formats.coco import MAX_SIDE, Document, file_names, read_document
from datasets.formats.json_columns import parse_json
from datasets.formats.reading import ReadOptions

ROW_KEYS = {"id", "image_id", "category_id", "keypoints", "bbox", "area"}  # where one is missing, it is filled in
EXACT = 2**53  # whole numbers up to here are floats, too
_LIST = re.compile(rb"\s*:\s*(?=\[)")
_LIST_END = re.compile(rb"\}\s*\]")


def predictions_in(text: bytes) -> Predictions | None:
    """The predictions of a results file, not yet compared with annotations.

    Args:
        text: The file.

    Returns:
        None where the file has to be read by `json_columns.read_json`.
    """
    rows = columns(text)
    if rows is None:
        return None
    image_ids, category_ids = _whole(rows, "image_id"), _whole(rows, "category_id")
    scores, triples = _real(rows, "score", 1), _real(rows, "keypoints")
    if image_ids is None or category_ids is None or scores is None or triples is None or triples.shape[1] % 3:
        return None
    if "bbox" in rows.first and _real(rows, "bbox", 4) is None:
        return None
    points = triples.reshape(len(triples), -1, 3)[:, :, :2]
    return Predictions(image_ids, np.ascontiguousarray(points), scores[:, 0].copy(), category_ids)


def document_in(text: bytes, origin: str, options: ReadOptions, *, files: bool) -> Document | None:
    """The document in an annotation file.

    Sigmas, categories, names and what else is no column come from the same file with one image and one annotation, read by
    `datasets.formats.coco.read_document`; a note about either would hold for all, so such a file is left to that function.

    Args:
        text: The file.
        origin: Its name, for errors.
        options: See `datasets.formats.coco.read_document`.
        files: See there.

    Returns:
        None where the file has to be read by `json_columns.read_json`.
    """
    without_rows = None if options.category or options.group_by else _cut(text, "annotations")
    without_both = without_rows and _cut(without_rows[0], "images")
    if not without_rows or not without_both:
        return None
    rest, rows, images = without_both[0], columns(without_rows[1]), columns(without_both[1])
    if rows is None or images is None or not rows.first.keys() >= ROW_KEYS or "id" not in images.first:
        return None
    if b"\\" in rest or any(rest.count(_quoted(key)) != 1 for key in ("annotations", "images")):
        return None  # what was cut out may have been another list of that name, or part of a string
    try:
        given = parse_json(rest, origin)
        if given["annotations"] != [] or given["images"] != []:
            return None
        alone = {**rows.first, "image_id": images.first["id"]}
        one = read_document({**given, "images": [images.first], "annotations": [alone]}, origin, options, files=files)
    except (UserError, TypeError, KeyError):
        return None
    categories = given["categories"]
    if any(category.get("keypoints") != categories[0].get("keypoints") for category in categories):
        return None  # which of them are meant depends on all annotations
    of_images = _images(images, one.annotations, files)
    ids = [category["id"] for category in categories]
    of_rows = of_images and _rows(rows, of_images["image_ids"], ids, len(one.annotations.keypoint_names))
    if not of_images or not of_rows:
        return None
    return Document(replace(one.annotations, **of_images, **of_rows), one.notes)


def _images(images: Columns, one: Annotations, files: bool) -> dict[str, Any] | None:
    """The fields of `Annotations` that describe images; ``one`` is what the first image gave."""
    ids = _whole(images, "id")
    if ids is None or len(np.unique(ids)) < len(ids):
        return None
    fields: dict[str, Any] = {"image_ids": ids, "sizes": np.zeros((len(ids), 2), dtype=np.int64)}
    if one.sizes.any():
        sides = [_whole(images, side, 1, MAX_SIDE + 1) for side in ("width", "height")]
        if any(side is None for side in sides):
            return None
        fields["sizes"] = np.stack(sides, axis=1)  # type: ignore[arg-type]
    if one.labels is not None:
        fields["labels"] = _whole(images, "label", -EXACT)
    if one.baseline is not None:
        given = _real(images, "baseline", flat=False)
        fields["baseline"] = None if given is None else given.reshape(len(ids), *one.baseline.shape[1:])
    if one.groups is not None:
        names = images.texts.get("group", [""])
        fields["groups"] = tuple(names) if all(map(str.isprintable, names)) and len(names) == len(ids) else None
    try:
        fields["file_names"] = file_names(images.texts.get("file_name") or [None] * len(ids), str, ids, files)
    except UserError:
        return None
    return None if any(value is None for value in fields.values()) else fields


def _rows(rows: Columns, image_ids: IntArray, category_ids: list[int], k: int) -> dict[str, Any] | None:
    """The fields of `Annotations` that describe instances of K keypoints."""
    ids, owners, categories = (_whole(rows, key) for key in ("id", "image_id", "category_id"))
    crowd = _whole(rows, "iscrowd", 0, 2) if "iscrowd" in rows.first else np.zeros(len(rows), dtype=np.int64)
    triples, boxes, areas = _real(rows, "keypoints", 3 * k), _real(rows, "bbox", 4), _real(rows, "area", 1)
    if ids is None or owners is None or categories is None or crowd is None:
        return None
    if triples is None or boxes is None or areas is None:
        return None
    triples = triples.reshape(-1, k, 3)
    visible = triples[:, :, 2].astype(np.int64)
    if (
        len(np.unique(ids)) < len(ids)
        or not np.isin(owners, image_ids).all()
        or not np.isin(categories, category_ids).all()
        or (visible != triples[:, :, 2]).any()
        or visible.min() < 0
        or visible.max() > 2
        or boxes[:, 2:].min() < 0
        or areas.min() <= 0
    ):
        return None
    by_id = np.argsort(image_ids, kind="stable")
    index = by_id[np.searchsorted(image_ids[by_id], owners)]
    order = np.argsort(index, kind="stable")
    return {
        "index": index[order],
        "keypoints": np.ascontiguousarray(triples[:, :, :2])[order],
        "visible": visible[order],
        "boxes": boxes[order],
        "areas": areas[order, 0],
        "crowd": crowd[order].astype(np.bool_),
        "category_ids": categories[order],
    }


def _cut(text: bytes, key: str) -> tuple[bytes, bytes] | None:
    """A text without the list of the first key of that name, and the list: up to the first brace that a bracket follows."""
    quoted = _quoted(key)
    begin = _LIST.match(text, text.find(quoted) + len(quoted))
    end = begin and _LIST_END.search(text, begin.end())
    if not begin or not end:
        return None
    return text[: begin.end()] + b"[]" + text[end.end() :], text[begin.end() : end.end()]


def _quoted(key: str) -> bytes:
    return b'"%s"' % key.encode()


def _whole(rows: Columns, key: str, low: int = 0, high: int = EXACT) -> IntArray | None:
    """(N,) int64: a column of whole numbers from ``low`` to below ``high``; None where it is not."""
    values = rows.numbers.get(key)
    if values is None or type(rows.first[key]) not in (int, float):
        return None
    flat = values[:, 0]
    if not ((flat >= low) & (flat < high) & (flat == np.floor(flat))).all():
        return None
    return flat.astype(np.int64)


def _real(rows: Columns, key: str, width: int | None = None, *, flat: bool = True) -> FloatArray | None:
    """(N, W) float64: a column of numbers within 1e9, or of lists of them; None where it is not.

    Args:
        rows: The columns.
        key: Of the column.
        width: W: 1 for numbers, more for lists; None: any list.
        flat: Whether lists must not hold lists.
    """
    values, first = rows.numbers.get(key), rows.first.get(key)
    if values is None or (width is not None and values.shape[1] != width):
        return None
    if not (values.min() >= -MAX_ABS and values.max() <= MAX_ABS):
        return None
    kind = type(first) in (int, float) if width == 1 else type(first) is list
    return values if kind and not (flat and type(first) is list and list in map(type, first)) else None
