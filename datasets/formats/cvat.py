"""CVAT's exports "CVAT for images 1.1" and "CVAT for video 1.1" (https://docs.cvat.ai/docs/manual/advanced/xml_format/).

    annotations.xml   beside images/, as the zip file unpacks; or one such folder a task

A skeleton is an instance, its label a category, its elements the keypoints in the order in which ``<meta>`` lists them.
``<points>`` of several points is an instance as well, whose keypoints have numbers. Single points have their label as
their name; which of them are one instance, groups (``group_id``) and boxes say (`datasets.formats.instances`). An
element that is *outside* is not labelled, one that is *occluded* is labelled and hidden.

Positions are in pixels **counted from the image's edge**: the canvas draws pixel 0 from 0 to 1, and a point in the
corner at the bottom right is at (width, height). So .5 is taken off. (The tool's own COCO export leaves it in.) Boxes
go from edge to edge in both.

Of a video those frames are read in which somebody placed a point (``keyframe="1"``), with all that is visible in them;
frames that the tool alone made, by interpolation, are set aside and counted ("CVAT for images" does not tell them
apart, and all of its images are read). Frames are ``images/frame_000012.PNG``, as the tool exports them. A task made of
a video is a group, and subsets called train, validation and test are splits.

A file that declares a document type is refused, so no entity is ever expanded.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmark.structures import UserError
from datasets.formats.coco_layouts import split_word
from datasets.formats.image_paths import images_below
from datasets.formats.instances import DrawnBox, DrawnImage, DrawnPoint, Instance, Skeleton, reading_of, tally
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import SUFFIXES, sizes_of

HEAD = 2**16  # bytes that are looked at to tell what a file is
_SHAPES = ("skeleton", "points", "box")
_LEFT = ("polygon", "polyline", "ellipse", "cuboid", "mask")
_FILES = ("annotations.xml", "*.xml", "*/annotations.xml")


def sniff(path: Path) -> bool:
    """Whether an XML file is such an export, or a folder holds one.

    Args:
        path: A folder or file.
    """
    return bool(_files(path))


def read(path: Path, options: ReadOptions) -> Reading:
    """All images of an export, or of several in one folder.

    Args:
        path: The XML file, the folder that holds it, or one of such folders.
        options: What the user said about it; ``group_by`` may be ``task`` or ``subset``.

    Raises:
        UserError: One line with file and image, for what is wrong.
    """
    root = path if path.is_dir() else path.parent.parent if path.parent.name == "annotations" else path.parent
    exports = [_Export(file) for file in _files(path)]
    counts: dict[str, int] = {}
    notes = ["positions count from the image's edge: a keypoint is at x - .5 px"]
    drawn: list[DrawnImage] = []
    numbered = _numbered(exports, counts)
    for export in exports:
        pictures = export.pictures
        places = list(dict.fromkeys([export.file.parent / "images", export.file.parent, root / "images", root]))
        paths, found = images_below(root, places, [picture.names for picture in pictures], str(export.file))
        notes += found
        present = [(picture, image) for picture, image in zip(pictures, paths) if image is not None]
        unsized = [(picture.record, image) for picture, image in present if "width" not in picture.record]
        for (record, _), (width, height) in zip(unsized, sizes_of([image for _, image in unsized], str(export.file))):
            record |= {"width": int(width), "height": int(height)}
        part = [_drawn(picture, image, root, numbered, counts) for picture, image in present]
        for one in part if len(exports) > 1 else ():
            one.split = one.split or str(export.file.relative_to(root))
        drawn += part
    if not drawn:
        raise UserError(f"{path}: holds no image, and no frame in which somebody placed a point")
    _divide(drawn, notes)
    _group(drawn)
    skeletons: dict[str, Skeleton] = {}
    for export in exports:
        for name, skeleton in export.skeletons.items():
            if skeletons.setdefault(name, skeleton).names != skeleton.names:
                raise UserError(f"{export.file}: the skeleton {name!r} has other elements than in {exports[0].file}")
    skeletons |= {
        label: Skeleton(tuple(f"keypoint{j + 1}" for j in range(count)))
        for label, count in numbered.items()
        if count > 1
    }
    notes += [f"{count} {words}" for words, count in counts.items()]
    order = [label for export in exports for label in export.labels]
    return reading_of(drawn, skeletons, str(exports[0].file), options, notes, order)


@dataclass
class _Shape:
    """A shape on a frame: what it is, its label, its attributes, and the elements of a skeleton by label."""

    what: str
    label: str
    values: dict[str, str]
    elements: list[dict[str, str]] = field(default_factory=list)


@dataclass
class _Picture:
    """An image or frame: what it is called in errors, the names its file may have, its record, and its shapes."""

    where: str
    names: list[str]
    record: dict[str, Any]
    shapes: list[_Shape]
    subset: str = ""
    video: str = ""


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".xml" and _looks_like_cvat(path) else []
    for pattern in _FILES:
        found = [file for file in sorted(path.glob(pattern)) if file.is_file() and _looks_like_cvat(file)]
        if found:
            return found
    return []


def _looks_like_cvat(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return b"<annotations>" in head and any(tag in head for tag in (b"<version>", b"<meta>", b"<image ", b"<track "))


class _Builder(ElementTree.TreeBuilder):
    """Hands on each image, track and the meta element once it is whole, and forgets it: a file may hold a million."""

    def __init__(self, file: Path, hand_on: Callable[[ElementTree.Element], None]) -> None:
        super().__init__()
        self._file, self._hand_on, self._depth = file, hand_on, 0

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise UserError(
            f"{self._file}: declares a document type ({name}), which no export of CVAT does; delete that line"
        )

    def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:  # type: ignore[override]
        self._depth += 1
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        self._depth -= 1
        element = super().end(tag)
        if self._depth == 1:
            self._hand_on(element)
            element.clear()
        return element


class _Export:
    """One XML file, read: its pictures, and the skeletons and labels that its meta element describes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.skeletons: dict[str, Skeleton] = {}
        self.labels: list[str] = []
        self._name = file.parent.name or file.stem
        self._video = False
        self._size: tuple[str, str] | None = None
        self._tasks: dict[str, tuple[str, bool]] = {}
        self._images: list[_Picture] = []
        self._frames: dict[int, list[tuple[_Shape, bool]]] = {}
        self._subsets: set[tuple[str, str]] = set()
        parser = ElementTree.XMLParser(target=_Builder(file, self._take))
        try:
            with file.open("rb") as content:
                while chunk := content.read(HEAD):
                    parser.feed(chunk)
            parser.close()
        except ElementTree.ParseError as error:
            raise UserError(f"{file}: is not XML ({error}); is the file whole?") from error
        except (OSError, LookupError, ValueError) as error:  # unreadable, or in an encoding that is none
            raise UserError(f"{file}: cannot be read ({' '.join(str(error).split())})") from error

    @cached_property
    def pictures(self) -> list[_Picture]:
        """The images, or the frames of a video in which somebody placed a point."""
        return [*self._images, *(self._frame(number) for number in sorted(self._frames) if self._placed(number))]

    @property
    def made_by_interpolation(self) -> int:
        """How many frames of a video nobody placed a point in."""
        return sum(not self._placed(number) for number in self._frames)

    def _take(self, element: ElementTree.Element) -> None:
        if element.tag == "meta":
            self._meta(element)
        elif element.tag == "image":
            self._image(element)
        elif element.tag == "track":
            self._track(element)

    def _meta(self, meta: ElementTree.Element) -> None:
        about = next((part for part in meta if part.tag in ("task", "project", "job")), meta)
        self._name = (about.findtext("name") or "").strip() or self._name
        self._video = bool((meta.findtext("source") or about.findtext("source") or "").strip())
        if (size := next(meta.iter("original_size"), None)) is not None:
            self._size = (size.findtext("width") or "", size.findtext("height") or "")
        for task in meta.iter("task"):
            mode, source = task.findtext("mode") or "", task.findtext("source") or ""
            name = (task.findtext("name") or "").strip() or self._name
            self._tasks[task.findtext("id") or ""] = (name, mode == "interpolation" or bool(source.strip()))
        self._video |= (about.findtext("mode") or "") == "interpolation"
        labels = next(meta.iter("labels"), None)
        children: dict[str, list[str]] = {}
        drawings: dict[str, str] = {}
        for label in labels.iter("label") if labels is not None else ():
            name, parent = label.findtext("name") or "", label.findtext("parent")
            if parent:
                children.setdefault(parent, []).append(name)
            elif label.findtext("svg") or label.findtext("type") == "skeleton":
                drawings[name] = label.findtext("svg") or ""
            else:
                self.labels.append(name)
        for name, drawing in drawings.items():
            self.skeletons[name] = _skeleton(children.get(name, []), drawing)

    def _image(self, element: ElementTree.Element) -> None:
        values = element.attrib
        name = values.get("name", "")
        where = f"{self.file}: image {name or values.get('id', '?')!r}"
        if not name:
            raise UserError(f"{where}: has no name")
        task, video = self._tasks.get(values.get("task_id", ""), (self._name, self._video))
        subset = values.get("subset", "")
        spelled = [f"{subset}/{name}", name] if subset else [name]
        record = {"width": _side(values, "width", where), "height": _side(values, "height", where), "task": task}
        shapes = [shape for child in element if (shape := _shape(child, child.get("label", ""))) is not None]
        self._images.append(
            _Picture(
                where, _with_suffixes(spelled), {**record, "subset": subset}, shapes, subset, task if video else ""
            )
        )

    def _track(self, track: ElementTree.Element) -> None:
        label, group = track.get("label", ""), track.get("group_id", "0")
        self._subsets.add((track.get("task_id", ""), track.get("subset", "")))
        if len(self._subsets) > 1:
            raise UserError(
                f"{self.file}: holds the frames of several tasks, whose names are not in it; export each task by itself, or the "
                "project as 'CVAT for images 1.1'"
            )
        whole: dict[int, _Shape] = {}
        for child in track:
            if child.tag == "track":  # earlier versions: the elements of a skeleton are tracks of their own
                for point in child:
                    frame = self._number(point)
                    whole.setdefault(frame, _Shape("skeleton", label, {})).elements.append(
                        {**point.attrib, "label": child.get("label", "")}
                    )
                continue
            shape = _shape(child, label)
            if shape is None:
                continue
            frame = self._number(child)
            if shape.what == "skeleton" and frame in whole:
                whole[frame].values |= shape.values
                whole[frame].elements += shape.elements
            else:
                whole[frame] = shape
        for frame, shape in whole.items():
            shape.values["group_id"] = group
            seen = [one for one in (shape.elements if shape.what == "skeleton" else [shape.values]) if _seen(one)]
            if shape.what == "skeleton" and not _seen(shape.values):
                seen = []
            if seen:
                placed = shape.what != "box" and any(one.get("keyframe", "1") == "1" for one in seen)
                self._frames.setdefault(frame, []).append((shape, placed))

    def _number(self, element: ElementTree.Element) -> int:
        text = element.get("frame", "")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UserError(
                f"{self.file}: a {element.tag} has the frame {text[:60]!r} where a whole number was expected"
            )
        return int(text)

    def _placed(self, number: int) -> bool:
        return any(placed for _, placed in self._frames[number])

    def _frame(self, number: int) -> _Picture:
        where = f"{self.file}: frame {number}"
        subset = next(iter(self._subsets))[1]
        name = f"frame_{number:06d}"
        record: dict[str, Any] = {"task": self._name, "subset": subset}
        if self._size is not None:
            width, height = self._size
            values = {"width": width, "height": height}
            record |= {"width": _side(values, "width", where), "height": _side(values, "height", where)}
        spelled = [f"{subset}/{name}", name] if subset else [name]
        shapes = [shape for shape, _ in self._frames[number]]
        return _Picture(where, _with_suffixes(spelled), record, shapes, subset, self._name)


def _shape(element: ElementTree.Element, label: str) -> _Shape | None:
    """A shape, or None for what is none: tags, attributes."""
    if element.tag not in (*_SHAPES, *_LEFT):
        return None
    elements = [dict(child.attrib) for child in element if child.tag == "points"] if element.tag == "skeleton" else []
    return _Shape(element.tag, label, dict(element.attrib), elements)


def _skeleton(names: Sequence[str], drawing: str) -> Skeleton:
    """The elements of a skeleton, in the order of the labels, and its edges, which are drawn between numbered nodes."""
    nodes: dict[str, str] = {}
    joined: list[tuple[str, str]] = []
    for tag in re.findall(r"<(?:circle|line)\b[^>]*>", drawing):
        values = {key: html.unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if "data-node-id" in values:
            nodes[values["data-node-id"]] = values.get("data-label-name", "")
        if "data-node-from" in values and "data-node-to" in values:
            joined.append((values["data-node-from"], values["data-node-to"]))
    known = tuple(dict.fromkeys(names)) or tuple(dict.fromkeys(name for name in nodes.values() if name))
    at = {node: known.index(name) for node, name in nodes.items() if name in known}
    return Skeleton(known, tuple((at[a], at[b]) for a, b in joined if a in at and b in at))


def _with_suffixes(names: Iterable[str]) -> list[str]:
    """Names as files may have them: a frame's has no ending in the XML."""
    spelled: list[str] = []
    for name in names:
        clean = name.replace("\\", "/").lstrip("/")
        spelled.append(clean)
        if Path(clean).suffix.lower() not in SUFFIXES:
            spelled += [f"{clean}{suffix}" for known in sorted(SUFFIXES) for suffix in (known.upper(), known)]
    return spelled


def _numbered(exports: Sequence[_Export], counts: dict[str, int]) -> dict[str, int]:
    """Label of ``<points>`` -> of how many points its shapes are; the commonest number, where a few differ."""
    sizes: dict[str, dict[int, int]] = {}
    for export in exports:
        tally(
            counts,
            "frames without a point that somebody placed (interpolation alone) set aside",
            export.made_by_interpolation,
        )
        for picture in export.pictures:
            for shape in picture.shapes:
                if shape.what == "points" and _seen(shape.values):
                    of = sizes.setdefault(shape.label, {})
                    number = len(_split(shape.values))
                    of[number] = of.get(number, 0) + 1
    numbered = {}
    for label, of in sizes.items():
        number = max(of, key=lambda n: (of[n], n))
        if 2 * of[number] <= sum(of.values()):
            listed = ", ".join(f"{count} of {n}" for n, count in sorted(of.items()))
            raise UserError(
                f"{exports[0].file}: shapes of {label!r} have other numbers of points ({listed}), so no point can be told from "
                "the next; label a skeleton, or single points"
            )
        numbered[label] = number
    return numbered


def _drawn(picture: _Picture, image: Path, root: Path, numbered: dict[str, int], counts: dict[str, int]) -> DrawnImage:
    record = {**picture.record, "file_name": image.relative_to(root).as_posix(), "video": picture.video}
    drawn = DrawnImage(image, record, picture.where, split=picture.subset)
    for shape in picture.shapes:
        where = f"{picture.where}: {shape.what} {shape.label!r}"
        tie = shape.values.get("group_id", "0").strip()
        tie = "" if tie == "0" else tie
        if shape.what == "skeleton":
            points: dict[str, DrawnPoint] = {}
            for element in shape.elements:
                name = element.get("label", "")
                if name in points:
                    raise UserError(f"{where}: its element {name!r} is there twice")
                if not _seen(element):
                    continue
                places = list(_places(element, f"{where}: {name!r}"))
                if len(places) != 1:
                    raise UserError(f"{where}: its element {name!r} has {len(places)} points where one was expected")
                points[name] = DrawnPoint(name, *places[0], _visibility(element, shape.values))
                tally(counts, "points of frames that are read are interpolated", element.get("keyframe") == "0")
            if points:
                drawn.instances.append(Instance(shape.label, points, tie=tie))
        elif shape.what == "points" and _seen(shape.values):
            places = list(_places(shape.values, where))
            visible = _visibility(shape.values)
            tally(
                counts,
                "points of frames that are read are interpolated",
                (shape.values.get("keyframe") == "0") * len(places),
            )
            if len(places) != numbered[shape.label]:
                tally(counts, "shapes with another number of points than the others of their label set aside")
            elif len(places) == 1:
                drawn.points.append(DrawnPoint(shape.label, *places[0], visible, tie))
            else:
                named = {f"keypoint{j + 1}": place for j, place in enumerate(places)}
                points = {name: DrawnPoint(name, *place, visible) for name, place in named.items()}
                drawn.instances.append(Instance(shape.label, points, tie=tie))
        elif shape.what == "box" and _seen(shape.values):
            left, top, right, bottom = (_number(shape.values, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
            if right < left or bottom < top:
                raise UserError(f"{where}: its right bottom corner lies left of or above the other")
            if shape.values.get("rotation", "0").strip("0.+-"):
                tally(counts, "boxes that are turned set aside")
                continue
            drawn.boxes.append(DrawnBox(shape.label, (left, top, right - left, bottom - top), tie))
        elif shape.what in _LEFT:
            tally(counts, f"shapes left unread ({', '.join(_LEFT)})")
    return drawn


def _divide(drawn: Sequence[DrawnImage], notes: list[str]) -> None:
    """Subsets as splits, where they are called so; `reading_of` takes no split for all."""
    subsets = list(dict.fromkeys(image.split for image in drawn))
    words = {subset: split_word(Path(subset)) or "" for subset in subsets}
    meant = all(words.values()) and "train" in words.values() and len(set(words.values())) == len(words)
    if any(subsets) and not meant and len(subsets) > 1:
        listed = ", ".join(map(repr, subsets[:3])) + (", ..." if len(subsets) > 3 else "")
        notes.append(f"{len(subsets)} subsets or files ({listed}) are not train, validation and test: divided anew")
    for image in drawn:
        image.split = words[image.split] if meant and len(words) > 1 else ""


def _group(drawn: Sequence[DrawnImage]) -> None:
    """A video is a group; where there is one, an image of a task without is a group of its own."""
    videos = [image.record.pop("video") for image in drawn]
    if any(videos):
        for image, video in zip(drawn, videos):
            image.record["group"] = video or image.record["file_name"]


def _seen(values: dict[str, str]) -> bool:
    return values.get("outside", "0") != "1"


def _visibility(*values: dict[str, str]) -> int:
    """COCO's flag: hidden where the point, or its skeleton as a whole, is occluded."""
    return 1 if any(one.get("occluded") == "1" for one in values) else 2


def _split(values: dict[str, str]) -> list[str]:
    return [pair for pair in values.get("points", "").split(";") if pair.strip()]


def _places(values: dict[str, str], where: str) -> Iterator[tuple[float, float]]:
    """Positions, px, integer = pixel centre."""
    for pair in _split(values):
        try:
            x, y = (float(number) - 0.5 for number in pair.split(","))
        except ValueError:
            x = y = float("nan")
        if not (isfinite(x) and isfinite(y)):
            raise UserError(f"{where}: a point is {pair.strip()[:60]!r} where two numbers x,y were expected")
        yield x, y


def _number(values: dict[str, str], key: str, where: str) -> float:
    text = values.get(key, "")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise UserError(f"{where}: {key} is {text[:60]!r} where a number was expected")
    return number


def _side(values: dict[str, str], key: str, where: str) -> int:
    number = _number(values, key, where)
    if not (number.is_integer() and 1 <= number <= 100_000):
        raise UserError(f"{where}: {key} is {values[key][:60]!r} where a whole number of pixels was expected")
    return int(number)
