"""YOLO-pose data sets (https://docs.ultralytics.com/datasets/pose/): a ``data.yaml``, images, and a text file an image.

``data.yaml`` names the images of train, val and test (a folder, a list file, or a list of these, relative to its ``path`` or
to the file), the classes (``names``), ``kpt_shape: [K, 2 or 3]`` and, where a mirror exchanges keypoints, ``flip_idx``. The
labels of ``.../images/a.jpg`` are ``.../labels/a.txt``, a line an instance: class, the box's centre, width and height, then
x, y and maybe a visibility for each keypoint. An image without such a file holds no instance.

Positions are shares of the image's width and height, **counted from its edge**: .5 is the middle of the image. So a keypoint
lies at x * width - .5 in pixels whose centres are integers, and is written as (x + .5) / width. Without visibilities a keypoint
at (0, 0) is unlabelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmark import files
from benchmark.structures import Annotations, Category, FloatArray, UserError
from benchmark.yaml_file import read_yaml
from datasets.dataset import Dataset
from datasets.formats.coco import boxes_around, default_sigmas
from datasets.formats.image_paths import stems_of
from datasets.formats.not_kept import not_kept
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import SUFFIXES, ImageFiles, sizes_of, write_png

MOST_KEYPOINTS = 10_000
NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def sniff(path: Path) -> bool:
    """Whether a folder holds a ``data.yaml`` with ``kpt_shape``, or this is such a file.

    Args:
        path: A folder or file.
    """
    file = _yaml_of(path)
    if file is None:
        return False
    try:
        return "kpt_shape" in file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path, options: ReadOptions) -> Reading:
    """The data set that a ``data.yaml`` describes.

    Args:
        path: The file, or the folder that holds it.
        options: What the user said about it; ``category`` chooses a class.

    Raises:
        UserError: One line with file and line, for what is wrong.
    """
    file = _yaml_of(path)
    if file is None:
        raise UserError(f"{path}: holds no data.yaml")
    told = _told(file)
    k, numbers = _shape(told, file)
    titles = _class_names(told, file)
    if options.category and options.category not in titles.values():
        raise UserError(f"{file}: has no class {options.category!r}; there are {', '.join(titles.values())}")
    kept = {i for i, title in titles.items() if options.category in ("", title)}
    names = _keypoint_names(told, k)
    pairs = _flip_pairs(told, k, file)
    sigmas, words = default_sigmas(names, options.sigmas)
    notes = ["positions are shares counted from the image's edge: a keypoint is at x * width - .5 px", words]
    splits: dict[str, tuple[ImageFiles, Annotations]] = {}
    bare = set_aside = 0
    for key, name in SPLITS.items():
        if not told.get(key) or name in splits:
            continue
        paths = _images(told[key], file, told)
        sizes = sizes_of(paths, str(file))
        index, points, visible, boxes, classes = [], [], [], [], []
        for i, image in enumerate(paths):
            label = _label_file(image)
            bare += not label.is_file()
            for number, row in _rows(label, 5 + k * numbers, titles):
                if numbers == 3 and not np.isin(row[7::3], (0, 1, 2)).all():
                    raise UserError(f"{label}: line {number}: a visibility is 0, 1 or 2")
                if int(row[0]) not in kept:
                    set_aside += 1
                    continue
                size = sizes[i].astype(np.float64)
                own = row[5:].reshape(k, numbers)
                known = own[:, 2] > 0 if numbers == 3 else (own[:, :2] != 0).any(axis=1)
                points.append(np.where(known[:, None], own[:, :2] * size - 0.5, 0.0))
                visible.append(np.where(known, own[:, 2] if numbers == 3 else 2, 0))
                boxes.append([*((row[1:3] - row[3:5] / 2) * size), *(row[3:5] * size)])
                classes.append(int(row[0]) + 1)
                index.append(i)
        m = len(index)
        keypoints = np.array(points, dtype=np.float64).reshape(m, k, 2)
        flags = np.array(visible, dtype=np.int64).reshape(m, k)
        given = np.array(boxes, dtype=np.float64).reshape(m, 4)
        rectangles = np.where((given[:, 2:] > 0).all(axis=1, keepdims=True), given, boxes_around(keypoints, flags))
        splits[name] = (
            ImageFiles(paths, sizes, str(file)),
            Annotations(
                image_ids=np.arange(1, len(paths) + 1),
                file_names=_short_names(paths),
                sizes=sizes,
                index=np.array(index, dtype=np.int64),
                keypoints=keypoints,
                visible=flags,
                boxes=rectangles,
                areas=rectangles[:, 2] * rectangles[:, 3],
                crowd=np.zeros(m, dtype=np.bool_),
                category_ids=np.array(classes, dtype=np.int64),
                keypoint_names=names,
                sigmas=sigmas,
                categories=tuple(Category(i + 1, title) for i, title in titles.items() if i in kept),
                flip_pairs=pairs,
            ),
        )
    if not splits:
        raise UserError(f"{file}: names no images; give train:, and val: or test:")
    if bare:
        notes.append(f"{bare} images without a label file: they hold no instance")
    if set_aside:
        notes.append(f"{set_aside} instances of other classes set aside")
    return Reading(splits if "train" in splits else {"all": next(iter(splits.values()))}, tuple(notes))


def write(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """Write a data set: images as PNG, and positions as text that reads back to the same number.

    Args:
        path: A new or empty folder.
        dataset: What to write.

    Returns:
        What the format has no place for, in words.

    Raises:
        UserError: Where something else is at ``path``, or it cannot be written.
    """
    files.refuse_occupied(path)
    first = dataset.train.annotations
    ids = first.known_category_ids.tolist()
    titles = {category.id: category.name for category in first.categories}
    told: dict[str, Any] = {
        "path": ".",
        **{name: f"images/{name}" for name in dataset.splits},
        "names": {i: titles.get(category, f"category {category}") for i, category in enumerate(ids)},
        "kpt_shape": [len(first.keypoint_names), 3],
        "kpt_names": {i: list(first.keypoint_names) for i in range(len(ids))},
    }
    if first.flip_pairs:
        order = list(range(len(first.keypoint_names)))
        for a, b in first.flip_pairs:
            order[a], order[b] = b, a
        told["flip_idx"] = order

    def fill(folder: Path) -> None:
        for name, data in dataset.splits.items():
            for i, (file, image) in enumerate(zip(stems_of(data.annotations.file_names), data.images)):
                picture, label = folder / "images" / name / f"{file}.png", folder / "labels" / name / f"{file}.txt"
                picture.parent.mkdir(parents=True, exist_ok=True)
                write_png(picture, np.asarray(image))
                lines = _lines(data.annotations, i, ids)
                if lines:
                    files.write_text(label, "\n".join(lines))
        files.write_text(folder / "data.yaml", yaml.safe_dump(told, sort_keys=False, allow_unicode=True))

    files.write_folder(path.resolve(), fill, is_whole=sniff)
    return not_kept(dataset, "splits", "visibility", "categories", "boxes", "flip pairs")


def _lines(annotations: Annotations, i: int, ids: Sequence[int]) -> list[str]:
    size = annotations.sizes[i].astype(np.float64)
    lines = []
    for row in np.flatnonzero((annotations.index == i) & ~annotations.crowd).tolist():
        box = annotations.boxes[row]
        centre, sides = (box[:2] + box[2:] / 2) / size, box[2:] / size
        known = annotations.visible[row] > 0
        points = np.where(known[:, None], (annotations.keypoints[row] + 0.5) / size, 0.0)
        numbers = [*centre, *sides]
        text = [str(ids.index(int(annotations.category_ids[row]))), *(repr(float(v)) for v in numbers)]
        for (x, y), flag in zip(points.tolist(), annotations.visible[row].tolist()):
            text += [repr(x), repr(y), str(flag)]
        lines.append(" ".join(text))
    return lines


def _yaml_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    return next((path / name for name in NAMES if (path / name).is_file()), None)


def _told(file: Path) -> dict[str, Any]:
    told = read_yaml(file)
    if not isinstance(told, dict):
        raise UserError(f"{file}: is not a mapping; give train, val, names and kpt_shape")
    return told


def _shape(told: dict[str, Any], file: Path) -> tuple[int, int]:
    shape = told.get("kpt_shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)):
        raise UserError(f"{file}: kpt_shape is {shape!r}; write [K, 2] or [K, 3]")
    k, numbers = shape
    if not 1 <= k <= MOST_KEYPOINTS or numbers not in (2, 3):
        raise UserError(f"{file}: kpt_shape is {shape!r}; write [K, 2] or [K, 3], K at most {MOST_KEYPOINTS:,}")
    return k, numbers


def _class_names(told: dict[str, Any], file: Path) -> dict[int, str]:
    names = told.get("names", {0: "object"})
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    titles = {int(i): str(name) for i, name in pairs if str(i).isdigit()}
    if not titles:
        raise UserError(f"{file}: names is {names!r}; write the classes as a list, or as number: name")
    return titles


def _keypoint_names(told: dict[str, Any], k: int) -> tuple[str, ...]:
    given = told.get("kpt_names")
    if isinstance(given, dict):
        given = next(iter(given.values()), None)
    if isinstance(given, list) and len(given) == k and len(set(map(str, given))) == k:
        return tuple(map(str, given))
    return tuple(f"keypoint{j + 1}" for j in range(k))


def _flip_pairs(told: dict[str, Any], k: int, file: Path) -> tuple[tuple[int, int], ...]:
    order = told.get("flip_idx")
    if order is None:
        return ()
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(k))):
        raise UserError(f"{file}: flip_idx is {order!r}; give each of 0 to {k - 1} once")
    if any(order[order[j]] != j for j in range(k)):
        raise UserError(f"{file}: flip_idx is {order!r}; a keypoint's partner must name it in turn")
    return tuple((j, order[j]) for j in range(k) if order[j] > j)


def _images(named: Any, file: Path, told: dict[str, Any]) -> list[Path]:
    """The images of a split, sorted."""
    base = file.parent / str(told.get("path") or "")
    found: list[Path] = []
    for one in named if isinstance(named, list) else [named]:
        given = str(one)
        places = [base / given, file.parent / given, file.parent / given.removeprefix("../")]
        place = next((p for p in places if p.exists()), None)
        if place is None:
            raise UserError(f"{file}: names the images {given!r}, and there is no {places[0]}")
        if place.is_file():
            lines = [line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
            found += [(place.parent / line) if not Path(line).is_absolute() else Path(line) for line in lines]
        else:
            found += [p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f"{file}: {named!r} holds no image ({', '.join(sorted(SUFFIXES))})")
    return sorted(found)


def _label_file(image: Path) -> Path:
    """The last folder called images becomes labels, as Ultralytics does it; else the text file beside the image."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _rows(label: Path, width: int, titles: dict[int, str]) -> list[tuple[int, FloatArray]]:
    if not label.is_file():
        return []
    rows = []
    for number, line in enumerate(label.read_text(encoding="utf-8").splitlines(), 1):
        if not line.split():
            continue
        try:
            row = np.array([float(v) for v in line.split()], dtype=np.float64)
        except ValueError as error:
            raise UserError(f"{label}: line {number}: {error}; give numbers alone") from error
        if len(row) != width:
            raise UserError(f"{label}: line {number}: has {len(row)} numbers where {width} were expected (kpt_shape)")
        if not np.isfinite(row).all():
            raise UserError(f"{label}: line {number}: holds a number that is not finite")
        if int(row[0]) not in titles or row[0] != int(row[0]):
            raise UserError(f"{label}: line {number}: class {row[0]:g} is not among names")
        rows.append((number, row))
    return rows


def _short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Names relative to the folder that all images share."""
    shared = Path(os.path.commonpath([path.parent for path in paths]))
    return tuple(path.relative_to(shared).as_posix() for path in paths)
