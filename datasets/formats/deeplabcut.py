"""DeepLabCut projects and lightning-pose data sets: labelled frames of videos, a table of points for each.

    DeepLabCut       labeled-data/<video>/CollectedData_<scorer>.csv, beside the frames; ``config.yaml`` above
    lightning-pose   CollectedData*.csv at the top, whose rows name labeled-data/<video>/<frame>

A table has three header rows (scorer, bodyparts, coords), or four with ``individuals`` where there are several animals. A row
is a frame, named in one column (a path) or in three (labeled-data, video, frame); an empty cell is a point that is not
labelled. Frames of one video are one group; several tables at the top are views of the same moments (CollectedData_<view>.csv,
frames in <session>_<view>), and then frames of one session are. Bodyparts of the individual ``single`` belong to no animal,
but to something of which there is one: they are set aside, unless ``--category single`` asks for them. ``skeleton`` of
``config.yaml`` is read. The CSV is read where it lies beside the H5, which is read through h5py (`pandas_hdf5`).

Points are drawn in napari or matplotlib, where an integer is the centre of its pixel: coordinates stay as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from benchmark import files
from benchmark.structures import Annotations, Category, FloatArray, IntArray, UserError
from benchmark.yaml_file import read_yaml
from datasets.dataset import Dataset
from datasets.formats.coco import boxes_around, default_sigmas
from datasets.formats.image_paths import folder_names, stems_of
from datasets.formats.not_kept import not_kept
from datasets.formats.pandas_hdf5 import read_pandas
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import ImageFiles, sizes_of, write_png

ANIMAL, SINGLE = "animal", "single"  # our category, and DeepLabCut's individual of bodyparts that no animal has
SCORER = "benchmark"  # of what is written
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
    notes: list[str] = []
    parts = [_frames(table, options.category, notes) for table in tables]
    views = [table.stem.removeprefix("CollectedData").strip("_") for table in tables]
    several_views = len(tables) > 1 and len({table.parent for table in tables}) == 1
    names = tuple(dict.fromkeys(name for part in parts for name in part.bodyparts))
    frames: list[Path] = []
    groups: list[str] = []
    index: list[int] = []
    points: list[FloatArray] = []
    seen: dict[Path, int] = {}
    for table, part, view in zip(tables, parts, views):
        columns = [part.bodyparts.index(name) if name in part.bodyparts else -1 for name in names]
        for row, (frame, animals) in enumerate(zip(part.frames, part.points)):
            file = _file_of(frame, table, root)
            if file is None:
                raise UserError(f"{table}: row {row} of the frames: there is no image {frame}")
            if file in seen:
                raise UserError(f"{table}: row {row} of the frames: {frame} is labelled twice")
            seen[file] = len(frames)
            for animal in animals:
                own = np.array([animal[c] if c >= 0 else (np.nan, np.nan) for c in columns])
                if not np.isnan(own[:, 0]).all():
                    index.append(len(frames))
                    points.append(own)
            frames.append(file)
            folder = file.parent.name
            groups.append((folder.removesuffix(view).rstrip("_-.") or folder) if several_views and view else folder)
    if not frames:
        raise UserError(f"{path}: its tables hold no frame")
    sizes = sizes_of(frames, str(tables[0]))
    given = np.array(points, dtype=np.float64).reshape(len(index), len(names), 2)
    visible = np.where(np.isnan(given).any(axis=2), 0, 2).astype(np.int64)
    keypoints = np.where((visible > 0)[:, :, None], given, 0.0)
    boxes = boxes_around(keypoints, visible)
    sigmas, words = default_sigmas(names, options.sigmas)
    if bare := len(frames) - len(set(index)):
        notes.append(f"{bare} frames without a labelled point: they hold no instance")
    order = np.argsort(np.array(index, dtype=np.int64), kind="stable")
    annotations = Annotations(
        image_ids=np.arange(1, len(frames) + 1),
        file_names=tuple(f"{file.parent.name}/{file.name}" for file in frames),
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
        categories=(Category(1, options.category or ANIMAL),),
        skeleton=_skeleton(root, names),
        groups=tuple(groups),
    )
    notes.append("boxes are those of the labelled points, padded by 3 px")
    return Reading({"all": (ImageFiles(frames, sizes, str(tables[0])), annotations)}, (*notes, words))


def write(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """Write a data set as a DeepLabCut project: a folder of PNG images and a CSV a group, and ``config.yaml``.

    With several instances in an image it is a project of several animals. Numbers read back to the same numbers. The H5
    beside each CSV, which DeepLabCut itself reads, its own ``convertcsv2h5`` makes.

    Args:
        path: A new or empty folder.
        dataset: What to write.

    Returns:
        What a project has no place for, in words.

    Raises:
        UserError: Where something else is at ``path``, or it cannot be written.
    """
    files.refuse_occupied(path)
    parts = [split for split in dataset.splits.values() if len(split)]
    first = parts[0].annotations
    counted = [(one.visible > 0).any(axis=1) & ~one.crowd for one in (part.annotations for part in parts)]
    animals = max(int(np.bincount(part.annotations.index[own]).max(initial=0)) for part, own in zip(parts, counted))
    groups = [name for part in parts for name in part.annotations.groups or ["frames"] * len(part)]
    folders = folder_names(groups)
    names = _frame_names([folders[name] for name in groups], [n for part in parts for n in part.annotations.file_names])
    crops = dict(zip(groups, (size for part in parts for size in part.annotations.sizes.tolist())))

    def fill(folder: Path) -> None:
        rows: dict[str, list[list[str]]] = {own: [] for own in folders.values()}
        places = iter(zip(groups, names))
        for part, kept in zip(parts, counted):
            for i, (image, (group, name)) in enumerate(zip(part.images, places)):
                place = folder / "labeled-data" / folders[group]
                place.mkdir(parents=True, exist_ok=True)
                write_png(place / name, np.asarray(image))
                cells = _cells(part.annotations, np.flatnonzero(kept & (part.annotations.index == i)), max(1, animals))
                rows[folders[group]].append(["labeled-data", folders[group], name, *cells])
        head = _header(first.keypoint_names, animals)
        for own, lines in rows.items():
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([*head, *lines])
            files.write_text(folder / "labeled-data" / own / f"CollectedData_{SCORER}.csv", text.getvalue())
        config = _config(dataset.name, first, animals, {folders[group]: size for group, size in crops.items()})
        files.write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    files.write_folder(path.resolve(), fill, is_whole=sniff)
    return not_kept(dataset, "skeleton", "groups")


def _frame_names(folders: Sequence[str], file_names: Sequence[str]) -> list[str]:
    """A PNG's name for each image: its own where no other of its folder has the same, else numbers."""
    own = [PurePosixPath(stem).name for stem in stems_of(file_names)]
    if len({(folder, name.casefold()) for folder, name in zip(folders, own)}) < len(own):
        own = [f"img{i:06d}" for i in range(len(own))]
    return [f"{name}.png" for name in own]


def _cells(annotations: Annotations, rows: IntArray, animals: int) -> list[str]:
    k = len(annotations.keypoint_names)
    cells = [["", ""] for _ in range(animals * k)]
    for a, row in enumerate(rows.tolist()):
        for j in np.flatnonzero(annotations.visible[row] > 0).tolist():
            cells[a * k + j] = [repr(v) for v in annotations.keypoints[row, j].tolist()]
    return [text for cell in cells for text in cell]


def _header(names: Sequence[str], animals: int) -> list[list[str]]:
    several = range(1, animals + 1) if animals > 1 else range(1)
    levels = {
        "scorer": [SCORER for _ in several for _ in names for _ in "xy"],
        "individuals": [f"individual{a}" for a in several for _ in names for _ in "xy"],
        "bodyparts": [name for _ in several for name in names for _ in "xy"],
        "coords": [axis for _ in several for _ in names for axis in "xy"],
    }
    return [[level, "", "", *row] for level, row in levels.items() if animals > 1 or level != "individuals"]


def _config(task: str, annotations: Annotations, animals: int, sizes: dict[str, list[int]]) -> dict[str, Any]:
    """What DeepLabCut's own ``create_new_project`` puts into ``config.yaml``, as far as we know it."""
    names = list(annotations.keypoint_names)
    bodyparts: dict[str, Any] = {"bodyparts": names}
    if animals > 1:
        several = [f"individual{a}" for a in range(1, animals + 1)]
        bodyparts = {
            "individuals": several,
            "uniquebodyparts": [],
            "multianimalbodyparts": names,
            "bodyparts": "MULTI!",
        }
    return {
        "Task": task,
        "scorer": SCORER,
        "date": "exported",
        "multianimalproject": animals > 1,
        "identity": False,
        "project_path": ".",
        "video_sets": {f"videos/{name}.mp4": {"crop": f"0, {w}, 0, {h}"} for name, (w, h) in sizes.items()},
        **bodyparts,
        "start": 0,
        "stop": 1,
        "numframes2pick": 20,
        "skeleton": [[names[a], names[b]] for a, b in annotations.skeleton],
        "skeleton_color": "black",
        "pcutoff": 0.6,
        "dotsize": 12,
        "alphavalue": 0.7,
        "colormap": "rainbow",
        "TrainingFraction": [0.95],
        "iteration": 0,
        "default_net_type": "resnet_50",
        "default_augmenter": "default",
        "snapshotindex": -1,
        "batch_size": 8,
        "cropping": False,
    }


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


def _frames(path: Path, category: str, notes: list[str]) -> _Table:
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
    individuals = heads.get("individuals", [ANIMAL] * len(heads["coords"]))[first:]
    kept = {one for one in individuals if one != SINGLE} or {SINGLE}
    if category == SINGLE and SINGLE in individuals:
        kept = {SINGLE}
    elif category not in ("", ANIMAL):
        known = ", ".join([ANIMAL] * (kept != {SINGLE}) + [SINGLE] * (SINGLE in individuals))
        raise UserError(f"{path}: has no category {category!r}; there is {known}")
    elif SINGLE in individuals and SINGLE not in kept:
        count = len({part for one, part in zip(individuals, heads["bodyparts"][first:]) if one == SINGLE})
        notes.append(
            f"{path.name}: {count} bodyparts of no animal (individual 'single') set aside; --category single reads them"
        )
    at: dict[tuple[str, str, str], int] = {}
    for c in range(first, len(heads["coords"])):
        if individuals[c - first] in kept:
            at[individuals[c - first], heads["bodyparts"][c], heads["coords"][c]] = c
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
        table = read_pandas(path)
        depth, width = (len(labels[0]) if labels else 1 for labels in (table.columns, table.rows))
        heads = [
            [name, *[""] * (width - 1), *(label[level] for label in table.columns)]
            for level, name in enumerate(HEADERS if depth == len(HEADERS) else ("scorer", "bodyparts", "coords"))
        ]
        return [*heads, *([*label, *values] for label, values in zip(table.rows, table.values.tolist()))]
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
