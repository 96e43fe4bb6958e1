r"""Label Studio's exports "JSON" and "JSON-MIN" (https://labelstud.io/guide/export): KeyPointLabels, and boxes around them.

Images lie beside the file, or in a folder below it. A task names its image by an address
(``/data/upload/1/5f3a1b2c-cow.jpg``, ``/data/local-files/?d=farm/cow.jpg``, ``https://...``), so files are looked for
by path, then by name, then by name without the eight hexadecimal digits that an upload gets.

Positions are per cents of the image's width and height, **counted from its edge**: the tool draws on a canvas whose
left edge is 0, and its ``snap="pixel"`` puts a point at (floor(x) + .5) px, which is the centre of a pixel. So a
keypoint lies at x / 100 * width - .5 in pixels whose centres are integers. (The tool's own COCO export rounds x / 100 *
width instead.)

An instance is a region and its children (``parentID``), or what relations join; what the file does not join is joined
as `datasets.formats.instances` says. JSON-MIN has neither parents nor relations. Of several annotations of a task the
ground truth is read, else the latest; cancelled ones and predictions are not. Keypoints are in the order of their
names, for the file does not hold the labelling interface. Every labelled point counts as visible.

A turned image (``image_rotation``) is set aside: nothing says whether its points are of the turned or of the stored
image. A turned box becomes the upright one around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

import numpy as np

from benchmark.structures import FloatArray, IntArray, UserError
from datasets.formats.image_paths import images_below
from datasets.formats.instances import DrawnBox, DrawnImage, DrawnPoint, reading_of, tally
from datasets.formats.json_columns import Record, kind, not_real, read_json, records, shown
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import SUFFIXES, sizes_of

HEAD = 2**20  # bytes that are looked at to tell what a file is
MOST_PERCENT = 1000.0  # further outside an image nobody draws
_HASH = re.compile(r"^[0-9a-f]{8}-")
_POINTS, _BOXES = ("keypointlabels", "keypoint"), ("rectanglelabels", "rectangle")


def sniff(path: Path) -> bool:
    """Whether a JSON file is such an export, or a folder holds one and no COCO annotations beside it.

    Args:
        path: A folder or file.
    """
    if path.is_file():
        return path.suffix.lower() == ".json" and _looks_like_an_export(path)
    return any(map(_looks_like_an_export, path.glob("*.json"))) and not any(map(_looks_like_coco, path.glob("*.json")))


def read(path: Path, options: ReadOptions) -> Reading:
    """The annotated tasks of an export.

    Args:
        path: The file, or the folder that holds it.
        options: What the user said about it; a field of the tasks' ``data`` may say the groups.

    Raises:
        UserError: One line with file and task, for what is wrong.
    """
    file = path if path.is_file() else _only_export(path)
    origin = str(file)
    counts: dict[str, int] = {}
    tasks = _tasks(records(read_json(file), origin), origin, counts)
    if not tasks:
        raise UserError(f"{origin}: holds no annotated task{_listed(counts)}")
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    places = [root / "images", root] if root == file.parent else [root / "images", file.parent, root]
    paths, renamed = images_below(root, places, _spellings(tasks, root), origin)
    found = [(task, image) for task, image in zip(tasks, paths) if image is not None]
    upright = sizes_of([image for _, image in found], origin)
    drawn = [_drawn(task, image, size, root, counts) for (task, image), size in zip(found, upright)]
    groups = [task.data.get(options.group_by) for task, _ in found] if options.group_by else [None]
    if all(type(group) in (str, int) for group in groups):
        for one, group in zip(drawn, groups):
            one.record["group"] = str(group)
    notes = [
        "positions are per cents counted from the image's edge: a keypoint is at x / 100 * width - .5 px",
        *(f"{count} {words}" for words, count in counts.items()),
        *renamed,
    ]
    return reading_of(drawn, {}, origin, options, notes)


@dataclass
class _Task:
    """One image of an export: what it is called in errors, its address, its data, and the annotation that counts."""

    where: str
    address: str
    data: Record
    upload: str = ""
    results: list[Record] = field(default_factory=list)


@dataclass
class _Region:
    """A region of an annotation: its numbers in per cent, its labels, its parent, and what it is."""

    what: str
    value: Record
    labels: list[str]
    parent: str


def _looks_like_an_export(path: Path) -> bool:
    head = _head(path)
    if not head.startswith(b"["):
        return False
    tasks = (
        any(key in head for key in (b'"annotations"', b'"completions"')) and b'"data"' in head and b'"result"' in head
    )
    return tasks or b'"keypointlabels"' in head


def _looks_like_coco(path: Path) -> bool:
    head = _head(path)
    return head.startswith(b"{") and (b'"images"' in head or b'"annotations"' in head)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        return b""


def _only_export(folder: Path) -> Path:
    found = [path for path in sorted(folder.glob("*.json")) if _looks_like_an_export(path)]
    if len(found) != 1:
        listed = ", ".join(path.name for path in found)
        raise UserError(f"{folder}: holds {len(found)} exports of Label Studio ({listed}); give the file that is meant")
    return found[0]


def _listed(counts: dict[str, int]) -> str:
    return f" ({'; '.join(f'{count} {words}' for words, count in counts.items())})" if counts else ""


def _tasks(rows: list[Record], origin: str, counts: dict[str, int]) -> list[_Task]:
    """The tasks that somebody annotated, each with the one annotation that counts; tasks of one image are one task."""
    given: dict[str, tuple[_Task, list[tuple[str, Record]]]] = {}
    for i, row in enumerate(rows):
        where = f"{origin}: task entry {i}"
        full = "data" in row
        data = row["data"] if full else row
        if type(data) is not dict:
            raise UserError(f"{where}: 'data' is {kind(data)} where an object was expected")
        address = _address(data)
        if not address:
            tally(counts, "tasks without an image set aside")
            continue
        if full:
            upload = row.get("file_upload")
            task = _Task(where, address, data, upload if type(upload) is str else "")
            annotations = row.get("annotations", row.get("completions"))
            own = records(annotations if annotations is not None else [], f"{where}: 'annotations'")
            predictions = row.get("predictions")
            tally(counts, "predictions left unread", len(predictions) if type(predictions) is list else 0)
        else:
            task, own = _Task(where, address, data), [{**row, "result": list(_min_results(row))}]
        given.setdefault(address, (task, []))[1].extend((where, one) for one in own)
    tasks = []
    for task, annotations in given.values():
        usable = [pair for pair in annotations if True not in (pair[1].get("was_cancelled"), pair[1].get("skipped"))]
        tally(counts, "cancelled annotations left unread", len(annotations) - len(usable))
        if not usable:
            tally(counts, "tasks that nobody annotated set aside")
            continue
        truth = [pair for pair in usable if pair[1].get("ground_truth") is True] or usable
        at = max(range(len(truth)), key=lambda i: (_time(truth[i][1]), i))
        task.where, chosen = truth[at]
        tally(counts, "annotations left unread, as their task has a later one or a ground truth", len(usable) - 1)
        task.results = records(chosen.get("result") or [], f"{task.where}: 'result'")
        if any(result.get("image_rotation") for result in task.results):
            tally(counts, "tasks whose image is turned (image_rotation) set aside: turn the file, and label it so")
            continue
        if any(result.get("item_index") for result in task.results):
            tally(counts, "tasks of several images set aside")
            continue
        tasks.append(task)
    return tasks


def _time(annotation: Record) -> str:
    """When an annotation was last changed, as text that sorts."""
    times = (annotation.get("updated_at"), annotation.get("created_at"))
    return next((time for time in times if type(time) is str), "")


def _address(data: Record) -> str:
    """Where a task says its image is."""
    texts = {key: value for key, value in data.items() if type(value) is str and value}
    for key in ("image", "img", "photo", "picture"):
        if key in texts:
            return str(texts[key])
    images = [v for v in texts.values() if PurePosixPath(unquote(v).split("?")[0]).suffix.lower() in SUFFIXES]
    images += [v for v in texts.values() if v.startswith("/data/")]
    return images[0] if images else ""


def _min_results(row: Record) -> Iterator[Record]:
    """The regions of a JSON-MIN record as the full export would have them."""
    number = 0
    for name, values in row.items():
        for value in values if type(values) is list else ():
            if type(value) is not dict:
                continue
            what = next((what for what in (*_POINTS, *_BOXES) if what in value), "")
            if not what and "x" in value and "y" in value:
                what = "rectangle" if "height" in value else "keypoint"
            if what:
                number += 1
                yield {
                    "id": f"{number}",
                    "type": what,
                    "from_name": name,
                    "value": value,
                    **{
                        key: value[key]
                        for key in ("original_width", "original_height", "image_rotation")
                        if key in value
                    },
                }


def _spellings(tasks: Sequence[_Task], root: Path) -> list[list[str]]:
    """What the file of each task may be called, the likeliest first."""
    named = [_names_of(task) for task in tasks]
    by_key: dict[str, list[str]] = {}
    for path in root.rglob("*"):
        if path.suffix.lower() in SUFFIXES:
            by_key.setdefault(_key(path.name), []).append(path.relative_to(root).as_posix())
    for names in named:
        alike = by_key.get(_key(PurePosixPath(names[0]).name), [])
        names += alike if len(alike) == 1 else []
    return named


def _names_of(task: _Task) -> list[str]:
    """What an address says of the file's path, its name, and that name without the digits of an upload."""
    try:
        parts = urlsplit(task.address)
    except ValueError:  # an address that is none
        parts = urlsplit("")
    local = re.search(r"(?:^|&)d=(.+)", parts.query)
    given = [unquote_plus(local[1]), unquote(local[1])] if local else [unquote(parts.path) or task.address]
    names: list[str] = []
    for path in given:
        path = re.sub(r"/+", "/", path.replace("\\", "/")).lstrip("/")
        path = re.sub(r"^data/(upload/(\d+/)?)?", "", path)
        names += [path, PurePosixPath(path).name, task.upload, _HASH.sub("", PurePosixPath(path).name)]
    return [name for name in dict.fromkeys(names) if name] or [task.address]


def _key(name: str) -> str:
    """A file name without what an upload makes of it: eight hexadecimal digits before, blanks and signs changed."""
    return re.sub(r"[^-\w.]", "", _HASH.sub("", name).strip().replace(" ", "_"))


def _drawn(task: _Task, image: Path, upright: IntArray, root: Path, counts: dict[str, int]) -> DrawnImage:
    size = _size(task, upright, counts)
    record: Record = {
        "file_name": image.relative_to(root).as_posix(),
        "width": int(size[0]),
        "height": int(size[1]),
    }
    drawn = DrawnImage(image, record, task.where)
    regions = _regions(task, counts)
    ties = _ties(task, regions, counts)
    for name, region in regions.items():
        if region.what == "point":
            x, y = (_percent(region, key, task) / 100 * side - 0.5 for key, side in zip("xy", size.tolist()))
            drawn.points += [DrawnPoint(label, x, y, 2, ties[name]) for label in region.labels]
            if not region.labels:
                tally(counts, "points without a label set aside")
        elif region.what == "box":
            drawn.boxes.append(
                DrawnBox(region.labels[0] if region.labels else "", _box(region, task, size), ties[name])
            )
    return drawn


def _size(task: _Task, upright: IntArray, counts: dict[str, int]) -> IntArray:
    """The size that positions are shares of: the annotated one, or the file's where that is the same image, resized."""
    for result in task.results:
        given = [result.get("original_width"), result.get("original_height")]
        if not any(not_real(side, 1, 100_000) for side in given):
            annotated = np.array(given, dtype=np.int64)
            if np.array_equal(annotated, upright):
                return upright
            if abs(annotated[1] * upright[0] / annotated[0] - upright[1]) <= 1:
                tally(
                    counts, "images of another size than when they were annotated: points are at the same shares of it"
                )
                return upright
            return annotated  # the turned one, or an error that names both
    return upright


def _regions(task: _Task, counts: dict[str, int]) -> dict[str, _Region]:
    """The points and boxes of an annotation by their ids; what else may be a parent is ``other``."""
    regions: dict[str, _Region] = {}
    for i, result in enumerate(task.results):
        value = result.get("value")
        if type(value) is not dict:
            continue
        what = "point" if result.get("type") in _POINTS else "box" if result.get("type") in _BOXES else "other"
        labels = _labels(value, what)
        name = result["id"] if type(result.get("id")) is str and result["id"] else f"result {i}"
        parent = result.get("parentID")
        if name not in regions:
            regions[name] = _Region(what, value, labels, parent if type(parent) is str else "")
        elif regions[name].what == "other" and what != "other":
            regions[name] = _Region(what, value, labels or regions[name].labels, regions[name].parent)
        else:  # labels of a region that was drawn without
            regions[name].labels = regions[name].labels or labels
    for result in task.results:  # a region drawn by a tag without labels is called as the tag
        region = regions.get(result["id"]) if type(result.get("id")) is str else None
        if region and not region.labels and result.get("type") == "keypoint" and type(result.get("from_name")) is str:
            region.labels = [result["from_name"]]
    others = [one for one in regions.values() if one.what == "other" and {"x", "points", "rle"} & one.value.keys()]
    tally(counts, "regions that are no points or boxes left unread", len(others))
    return regions


def _labels(value: Record, what: str) -> list[str]:
    keys = {"point": ("keypointlabels", "labels"), "box": ("rectanglelabels", "labels")}.get(what, ("labels",))
    given: list[Any] = next((value[key] for key in keys if type(value.get(key)) is list), [])
    return [label for label in dict.fromkeys(given if all(type(one) is str for one in given) else []) if label]


def _ties(task: _Task, regions: dict[str, _Region], counts: dict[str, int]) -> dict[str, str]:
    """Region -> the name of the instance that the file says it is of; "" where it says nothing."""
    top = {name: _top(name, regions) for name in regions}
    joined = dict(top)
    for result in task.results:
        a, b = result.get("from_id"), result.get("to_id")
        if result.get("type") != "relation" or type(a) is not str or type(b) is not str:
            continue
        if a in joined and b in joined and joined[a] != joined[b]:
            old, new = joined[b], joined[a]
            joined = {name: new if tie == old else tie for name, tie in joined.items()}
    if joined != top and not _one_instance_each(joined, regions):
        tally(counts, "tasks whose relations join several instances: they are not used there")
        joined = top
    sizes: dict[str, int] = {}
    for tie in joined.values():
        sizes[tie] = sizes.get(tie, 0) + 1
    return {
        name: tie if sizes[tie] > 1 or tie != name or regions[name].what == "box" else ""
        for name, tie in joined.items()
    }


def _top(name: str, regions: dict[str, _Region]) -> str:
    """The region above all others: an instance's box, or a point that others are children of."""
    seen = {name}
    while name in regions and (parent := regions[name].parent) and parent not in seen:
        name = parent
        seen.add(name)
    return name


def _one_instance_each(ties: dict[str, str], regions: dict[str, _Region]) -> bool:
    """Whether what is tied has one box and each label once at most."""
    seen: set[tuple[str, str]] = set()
    for name, region in regions.items():
        marks = region.labels if region.what == "point" else ["a box"] if region.what == "box" else []
        for mark in marks:
            if (key := (ties[name], f"{region.what} {mark}")) in seen:
                return False
            seen.add(key)
    return True


def _percent(region: _Region, key: str, task: _Task) -> float:
    value = region.value.get(key)
    if problem := not_real(value, -MOST_PERCENT, MOST_PERCENT):
        labels = ", ".join(region.labels)
        raise UserError(f"{task.where}: {key!r} of {shown(labels)} {problem} (per cent of the image)")
    return float(region.value[key])


def _box(region: _Region, task: _Task, size: IntArray) -> tuple[float, float, float, float]:
    """The upright box around a rectangle, which is turned about its top left corner."""
    x, y, width, height = (
        _percent(region, key, task) / 100 * size[i % 2] for i, key in enumerate(("x", "y", "width", "height"))
    )
    turn = region.value.get("rotation") or 0
    if problem := not_real(turn, -MOST_PERCENT, MOST_PERCENT):
        raise UserError(f"{task.where}: 'rotation' {problem}")
    angle = np.deg2rad(float(turn))
    sides: FloatArray = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    if turn:
        sides = sides @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    (left, top), (right, bottom) = sides.min(axis=0), sides.max(axis=0)
    return float(x + left), float(y + top), float(right - left), float(bottom - top)
