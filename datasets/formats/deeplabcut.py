"""DeepLabCut projects and lightning-pose data sets: labelled frames of videos, a table of points for each.

    DeepLabCut       labeled-data/<video>/CollectedData_<scorer>.csv, beside the frames; ``config.yaml`` above
    lightning-pose   CollectedData*.csv at the top, whose rows name labeled-data/<video>/<frame>

A table has three header rows (scorer, bodyparts, coords), or four with ``individuals`` where there are several animals. A row
is a frame, named in one column (a path) or in three (labeled-data, video, frame); an empty cell is a point that is not
labelled. Frames of one video are one group. ``skeleton`` of ``config.yaml`` is read.

Points are drawn in napari or matplotlib, where an integer is the centre of its pixel: coordinates stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from benchmark.structures import Annotations, Category, FloatArray, UserError
from benchmark.yaml_file import read_yaml
from datasets.formats.coco import boxes_around, default_sigmas
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import ImageFiles, sizes_of

HEADERS = ("scorer", "individuals", "bodyparts", "coords")
TABLES = ("CollectedData*.csv", "CollectedData*.h5")


def sniff(path: Path) -> bool:
    """Whether a folder holds such tables, or this is one.

    Args:
        path: A folder or file.
    """
    if path.is_file():
        return path.suffix.lower() in (".csv", ".h5") and _looks_like_a_table(path)
    return any(_looks_like_a_table(table) for table in _tables(path))


def read(path: Path, options: ReadOptions) -> Reading:
    """All labelled frames, of all videos.

    Args:
        path: A project, the folder of one video, or one table.
        options: What the user said about it.

    Raises:
        UserError: One line with file and row, for what is wrong.
    """
    tables = [path] if path.is_file() else _tables(path)
    root = path if path.is_dir() else path.parent
    parts = [_frames(table) for table in tables]
    names = tuple(dict.fromkeys(name for part in parts for name in part.bodyparts))
    notes: list[str] = []
    files: list[Path] = []
    groups: list[str] = []
    index: list[int] = []
    points: list[FloatArray] = []
    seen: dict[Path, int] = {}
    for table, part in zip(tables, parts):
        columns = [part.bodyparts.index(name) if name in part.bodyparts else -1 for name in names]
        for row, (frame, animals) in enumerate(zip(part.frames, part.points)):
            file = _file_of(frame, table, root)
            if file is None:
                raise UserError(f"{table}: row {row} of the frames: there is no image {frame}")
            if file in seen:
                raise UserError(f"{table}: row {row} of the frames: {frame} is labelled twice")
            seen[file] = len(files)
            for animal in animals:
                own = np.array([animal[c] if c >= 0 else (np.nan, np.nan) for c in columns])
                if not np.isnan(own[:, 0]).all():
                    index.append(len(files))
                    points.append(own)
            files.append(file)
            groups.append(file.parent.name)
    if not files:
        raise UserError(f"{path}: its tables hold no frame")
    sizes = sizes_of(files, str(tables[0]))
    given = np.array(points, dtype=np.float64).reshape(len(index), len(names), 2)
    visible = np.where(np.isnan(given).any(axis=2), 0, 2).astype(np.int64)
    keypoints = np.where((visible > 0)[:, :, None], given, 0.0)
    boxes = boxes_around(keypoints, visible)
    sigmas, words = default_sigmas(names, options.sigmas)
    if bare := len(files) - len(set(index)):
        notes.append(f"{bare} frames without a labelled point: they hold no instance")
    order = np.argsort(np.array(index, dtype=np.int64), kind="stable")
    annotations = Annotations(
        image_ids=np.arange(1, len(files) + 1),
        file_names=tuple(f"{file.parent.name}/{file.name}" for file in files),
        sizes=sizes,
        index=np.array(index, dtype=np.int64)[order],
        keypoints=keypoints[order],
        visible=visible[order],
        boxes=boxes[order],
        areas=(boxes[:, 2] * boxes[:, 3])[order],
        crowd=np.zeros(len(index), dtype=np.bool_),
        category_ids=np.ones(len(index), dtype=np.int64),
        keypoint_names=names,
        sigmas=sigmas,
        categories=(Category(1, "animal"),),
        skeleton=_skeleton(root, names),
        groups=tuple(groups),
    )
    notes.append("boxes are those of the labelled points, padded by 3 px")
    return Reading({"all": (ImageFiles(files, sizes, str(tables[0])), annotations)}, (*notes, words))


@dataclass(frozen=True)
class _Table:
    """One table: names of points, frames by the names it gives them, and (animals, points, 2) a frame, NaN unlabelled."""

    bodyparts: list[str]
    frames: list[str]
    points: list[FloatArray]


def _tables(root: Path) -> list[Path]:
    """The tables of a folder, one a video: the CSV where both kinds lie side by side."""
    for place in ("labeled-data/*/", "", "*/"):
        found = [path for pattern in TABLES for path in sorted(root.glob(place + pattern))]
        if found:
            csvs = {path.with_suffix("") for path in found if path.suffix == ".csv"}
            return [path for path in found if path.suffix == ".csv" or path.with_suffix("") not in csvs]
    return []


def _looks_like_a_table(path: Path) -> bool:
    if path.suffix.lower() == ".h5":
        return path.name.startswith("CollectedData")
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline().lower().startswith("scorer")
    except (OSError, UnicodeDecodeError):
        return False


def _frames(path: Path) -> _Table:
    rows = _rows(path)
    heads: dict[str, list[str]] = {}
    while rows and str(rows[0][0]).strip().lower() in HEADERS:
        head = [str(v).strip() for v in rows.pop(0)]
        heads[head[0].lower()] = head
    if not {"bodyparts", "coords"} <= heads.keys():
        raise UserError(
            f"{path}: has no header rows bodyparts and coords; give a table of DeepLabCut or lightning-pose"
        )
    first = heads["coords"].index("x") if "x" in heads["coords"] else -1
    if first < 1:
        raise UserError(f"{path}: its row coords names no x and y")
    individuals = heads.get("individuals", ["single"] * len(heads["coords"]))
    at: dict[tuple[str, str, str], int] = {}
    for c in range(first, len(heads["coords"])):
        at[individuals[c], heads["bodyparts"][c], heads["coords"][c]] = c
    bodyparts = list(dict.fromkeys(part for _, part, axis in at if axis == "x"))
    animals = list(dict.fromkeys(animal for animal, _, axis in at if axis == "x"))
    frames, points = [], []
    for number, row in enumerate(rows):
        if not any(str(v).strip() for v in row):
            continue
        frames.append("/".join(str(v).strip().replace("\\", "/") for v in row[:first] if str(v).strip()))
        own = np.full((len(animals), len(bodyparts), 2), np.nan)
        for a, animal in enumerate(animals):
            for b, part in enumerate(bodyparts):
                for axis, letter in enumerate("xy"):
                    place = at.get((animal, part, letter))
                    if place is not None and place < len(row):
                        own[a, b, axis] = _number(row[place], path, number, part)
        points.append(own)
    return _Table(bodyparts, frames, points)


def _rows(path: Path) -> list[list[Any]]:
    """All rows of a table, headers first, as its CSV has them."""
    if path.suffix.lower() == ".h5":
        raise UserError(
            f"{path}: HDF5 tables hold pickled objects, which run code when they are read: give the CSV that DeepLabCut "
            "writes beside it"
        )
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [list(row) for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error


def _number(value: Any, path: Path, row: int, part: str) -> float:
    text = str(value).strip()
    if text.lower() in ("", "nan"):
        return float("nan")
    try:
        number = float(text)
    except ValueError:
        number = float("inf")
    if not np.isfinite(number):
        raise UserError(f"{path}: row {row} of the frames: {part} is {text!r} where a number or nothing was expected")
    return number


def _file_of(frame: str, table: Path, root: Path) -> Path | None:
    """The image of a frame: below the project, or beside its table."""
    name = PurePosixPath(frame)
    places = [table.parent / name.name]
    if not (name.is_absolute() or ".." in name.parts):  # a table does not name files elsewhere
        places = [root / frame, table.parent / frame, *places, *(folder / frame for folder in table.parents[:3])]
    return next((place for place in places if place.is_file()), None)


def _skeleton(root: Path, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    for folder in (root, root.parent, root.parent.parent):
        try:
            told = read_yaml(folder / "config.yaml")
        except UserError:
            continue
        pairs = told.get("skeleton") if isinstance(told, dict) else None
        if isinstance(pairs, list):
            known = [p for p in pairs if isinstance(p, list) and len(p) == 2 and all(n in names for n in p)]
            return tuple((names.index(a), names.index(b)) for a, b in known)
    return ()
