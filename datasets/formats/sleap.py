"""SLEAP labels (https://io.sleap.ai/latest/formats/slp): ``.slp``, and ``.pkg.slp`` with the images inside.

A file, or a folder that holds one, or one each for train, val and test (as ``train.pkg.slp``). It is HDF5 and is read
through h5py; sleap-io would bring thirty packages and put top-level modules ``tests`` and ``scripts`` beside ours.

    metadata         format_id; json with nodes and skeletons, whose links are edges (type 1) or symmetries (type 2)
    videos_json      a record a video: a video file, a list of image files, or a dataset, mostly of this file
    frames           video, number of the frame in it, which rows of ``instances`` lie in it
    instances        by hand (type 0) or predicted (1), skeleton, which rows of ``points`` or ``pred_points`` are its own
    points           x, y, visible
    video0/video     images as PNG or JPEG bytes (a row each, padded or not) or as pixels; video0/frame_numbers say which

An integer is the centre of its pixel since format 1.1; before, labels counted from the pixel's edge, and half a pixel is
taken off here, as SLEAP does (from labels, not from predictions). A point that is not visible is not labelled: SLEAP leaves it
where a template put it, and trains without it. Instances labelled by hand are read, and predictions only where a file has no
others. Frames of one video are one group.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from benchmark import files
from benchmark.structures import Annotations, Category, FloatArray, UserError
from datasets.dataset import Dataset
from datasets.formats.coco import boxes_around, default_sigmas
from datasets.formats.hdf5 import Hdf5, as_text, h5py_for
from datasets.formats.image_paths import folder_names, stems_of
from datasets.formats.not_kept import not_kept
from datasets.formats.reading import Reading, ReadOptions
from datasets.formats.video_frames import video_frames
from datasets.images import ImageFiles, ImageSource, sizes_of

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
MIDPIXEL = 1.1  # the format since which an integer is the centre of a pixel
STANDARD_COLOURS = 1.4  # the format since which embedded images are RGB unless they say otherwise
UNKNOWN_FORMAT = 3.0
WRITTEN_FORMAT = 1.2  # any SLEAP reads it
BY_HAND, PREDICTED = 0, 1
EDGE, SYMMETRY = 1, 2
ANCESTORS = 4  # folders above the labels in which a video is looked for
MOST_VIDEOS = 5  # levels of "source video of a video"
COLUMNS = {  # that are read, and where they stand in tables whose columns have lost their names
    "frames": {"video": 1, "frame_idx": 2, "instance_id_start": 3, "instance_id_end": 4},
    "instances": {"instance_type": 1, "skeleton": 3, "point_id_start": 7, "point_id_end": 8},
    "points": {"x": 0, "y": 1, "visible": 2},
}
DTYPES: dict[str, list[tuple[str, str]]] = {  # of what is written: SLEAP's own
    "frames": [
        ("frame_id", "u8"),
        ("video", "u4"),
        ("frame_idx", "u8"),
        ("instance_id_start", "u8"),
        ("instance_id_end", "u8"),
    ],
    "instances": [
        ("instance_id", "i8"),
        ("instance_type", "u1"),
        ("frame_id", "u8"),
        ("skeleton", "u4"),
        ("track", "i4"),
        ("from_predicted", "i8"),
        ("score", "f4"),
        ("point_id_start", "u8"),
        ("point_id_end", "u8"),
        ("tracking_score", "f4"),
    ],
    "points": [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")],
}


def sniff(path: Path) -> bool:
    """Whether this is a ``.slp`` file, or a folder that holds one.

    Args:
        path: A folder or file.
    """
    return path.suffix.lower() == ".slp" if path.is_file() else any(_slp_files(path))


def read(path: Path, options: ReadOptions) -> Reading:
    """All labelled frames, of all videos.

    Args:
        path: A file, or a folder that holds one, or one a split.
        options: What the user said about it; ``category`` chooses a skeleton.

    Raises:
        UserError: One line with file and entry, for what is wrong; where no image of the labels can be found; where h5py
            is not installed.
    """
    labels = {name: _labels(file) for name, file in _splits(path).items()}
    notes = _choose_instances(list(labels.values()))
    skeletons = _choose_skeletons(list(labels.values()), path, options.category, notes)
    names = skeletons[0].nodes
    found = {name: _found_frames(one) for name, one in labels.items()}
    notes += _notes_on_images(labels, found)
    titles = list(dict.fromkeys(one.name for one in skeletons))
    sigmas, words = default_sigmas(names, options.sigmas)
    videos = [frame.video for frames in found.values() for frame in frames]
    shown = _titles(list(dict.fromkeys(video.name for video in videos)))
    one_sequence = len(shown) == 1 and all(video.files for video in videos)
    splits = {}
    for name, frames in found.items():
        images = [frame.image for frame in frames if frame.image is not None]
        sizes = sizes_of(images, str(labels[name].path))
        rows = [(i, instance) for i, frame in enumerate(frames) for instance in frame.instances]
        points = np.array([one.points for _, one in rows], dtype=np.float64).reshape(len(rows), len(names), 2)
        visible = np.where(np.isnan(points).any(axis=2), 0, 2).astype(np.int64)
        keypoints = np.where((visible > 0)[:, :, None], points, 0.0)
        boxes = boxes_around(keypoints, visible)
        splits[name] = (
            ImageFiles(images, sizes, str(labels[name].path)),
            Annotations(
                image_ids=np.arange(1, len(frames) + 1),
                file_names=_file_names(frames, shown),
                sizes=sizes,
                index=np.array([i for i, _ in rows], dtype=np.int64),
                keypoints=keypoints,
                visible=visible,
                boxes=boxes,
                areas=boxes[:, 2] * boxes[:, 3],
                crowd=np.zeros(len(rows), dtype=np.bool_),
                category_ids=np.array([1 + titles.index(one.skeleton.name) for _, one in rows], dtype=np.int64),
                keypoint_names=names,
                sigmas=sigmas,
                categories=tuple(Category(i + 1, title) for i, title in enumerate(titles)),
                skeleton=skeletons[0].edges,
                flip_pairs=skeletons[0].symmetries,
                groups=None if one_sequence else tuple(shown[frame.video.name] for frame in frames),
            ),
        )
    notes += ["boxes are those of the labelled points, padded by 3 px", words]
    return Reading(splits if "train" in splits else {"all": next(iter(splits.values()))}, tuple(notes))


# What a file says.


@dataclass(frozen=True)
class _Skeleton:
    """Names of nodes, pairs of their positions that are joined, and pairs that a mirror exchanges."""

    name: str
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    symmetries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class _Instance:
    """(K, 2) px, NaN where a point is not labelled."""

    skeleton: _Skeleton
    by_hand: bool
    points: FloatArray


@dataclass
class _Video:
    """Where the frames of a video are.

    Attributes:
        name: The file it was made from, as the labels name it; what says whether two are the same.
        files: The image files it consists of, as the labels name them; empty where it is none of those.
        file: The video file, or the HDF5 file that holds ``dataset``, as the labels name it; "." is the labels' own.
        dataset: The dataset of its images; "" where it is a file.
        grey: Whether it has one channel.
        channels_first: Whether a dataset of pixels is (frames, channels, width, height).
        crop: x1, y1, x2, y2 of what is shown, and the value of what lies outside; empty for all.
        source: The video from which its images were taken, which has the others.
    """

    name: str
    files: list[str]
    file: str
    dataset: str
    grey: bool
    channels_first: bool
    crop: tuple[int, ...] = ()
    source: _Video | None = None


@dataclass
class _Frame:
    video: _Video
    number: int
    instances: list[_Instance] = field(default_factory=list)
    negative: bool = False  # said to hold no instance
    image: Path | ImageSource | None = None


@dataclass
class _Labels:
    path: Path
    frames: list[_Frame]
    invisible: int  # points with a place that are marked not visible
    predicted: int  # instances


def _slp_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.slp")) if path.is_file() and not path.name.startswith("."))


def _splits(path: Path) -> dict[str, Path]:
    """Name of a split -> its file; all where there is one."""
    if path.is_file():
        return {"all": path}
    found = list(_slp_files(path))
    if len(found) == 1:
        return {"all": found[0]}
    named: dict[str, Path] = {}
    for file in found:
        words = file.name.lower().replace("_", ".").replace("-", ".").split(".")
        own = {SPLITS[word] for word in words if word in SPLITS}
        if len(own) == 1:
            named.setdefault(own.pop(), file)
    if len(named) < len(found) or "train" not in named:
        listed = ", ".join(file.name for file in found[:4]) + (", ..." if len(found) > 4 else "")
        raise UserError(
            f"{path}: holds {len(found)} .slp files ({listed}); give one of them, or call them train, val and test"
        )
    return {name: named[name] for name in ("train", "val", "test") if name in named}


def _labels(path: Path) -> _Labels:
    with Hdf5(path) as file:
        format_id = _number(file.attribute("metadata", "format_id"), 1.0)
        if format_id >= UNKNOWN_FORMAT:
            raise UserError(
                f"{path}: is of SLP format {format_id:g}, and formats below 3 are known; save it with an earlier"
            )
        told = _json(file.attribute("metadata", "json"), f"{path}: metadata")
        skeletons = _skeletons(told, path)
        videos = _videos(file, path)
        frames = _table(file, "frames")
        instances = _table(file, "instances")
        points, invisible = _points(file, "points", 0.5 if format_id < MIDPIXEL else 0.0)
        kinds = instances["instance_type"]
        by_hand = BY_HAND in kinds or PREDICTED not in kinds
        predicted = np.zeros((0, 2)) if by_hand else _points(file, "pred_points", 0.0)[0]
        negative = set()
        if "negative_frames" in file:
            marked = file.array("negative_frames")
            if marked.dtype.names and {"video_id", "frame_idx"} <= set(marked.dtype.names):
                negative = set(zip(marked["video_id"].tolist(), marked["frame_idx"].tolist()))
    owners = instances["skeleton"]
    starts, ends = instances["point_id_start"], instances["point_id_end"]
    places = _video_places(frames["video"], videos)
    found: dict[tuple[int, int], _Frame] = {}
    for i, (own, number, first, last) in enumerate(
        zip(frames["video"], frames["frame_idx"], frames["instance_id_start"], frames["instance_id_end"])
    ):
        where = f"{path}: frames entry {i}"
        video = places.get(own, own)
        if not 0 <= video < len(videos):
            raise UserError(f"{where}: is of video {own}, and there are {len(videos)}")
        if not 0 <= first <= last <= len(kinds):
            raise UserError(f"{where}: holds the instances {first} to {last}, and there are {len(kinds)}")
        frame = found.setdefault((video, number), _Frame(videos[video], number))
        frame.negative |= (own, number) in negative
        for row in range(first, last):
            if not 0 <= owners[row] < len(skeletons) or kinds[row] not in (BY_HAND, PREDICTED):
                raise UserError(f"{path}: instances entry {row}: has an unknown skeleton or type")
            if kinds[row] == PREDICTED and by_hand:
                continue
            skeleton, all_points = skeletons[owners[row]], points if kinds[row] == BY_HAND else predicted
            if not 0 <= starts[row] <= ends[row] <= len(all_points) or ends[row] - starts[row] != len(skeleton.nodes):
                raise UserError(
                    f"{path}: instances entry {row}: has the points {starts[row]} to {ends[row]} of {len(all_points)} "
                    f"where {len(skeleton.nodes)} were expected"
                )
            own_points = all_points[starts[row] : ends[row]]
            if not np.isnan(own_points).all():
                frame.instances.append(_Instance(skeleton, bool(kinds[row] == BY_HAND), own_points))
    return _Labels(path, list(found.values()), invisible, kinds.count(PREDICTED))


def _table(file: Hdf5, name: str) -> dict[str, list[int]]:
    """The columns of a table of whole numbers."""
    values = file.array(name)
    found = {}
    for column in COLUMNS[name]:
        own = _column(values, column, name, file.path)
        if own.dtype.kind == "f" and not np.isfinite(own).all():
            raise UserError(f"{file.path}: {name}: {column} holds other values than numbers")
        found[column] = [int(v) for v in own.tolist()]
    return found


def _points(file: Hdf5, name: str, shift: float) -> tuple[FloatArray, int]:
    """(P, 2) px, NaN where a point is not labelled; and how many have a place but are not visible."""
    values = file.array(name)
    x, y, visible = (_column(values, column, "points", file.path) for column in COLUMNS["points"])
    points = np.stack([x, y], axis=-1).astype(np.float64) - shift
    placed = np.isfinite(points).all(axis=1)
    labelled = placed & (visible != 0)
    points[~labelled] = np.nan
    return points, int((placed & ~labelled).sum())


def _column(values: NDArray[Any], column: str, table: str, path: Path) -> NDArray[Any]:
    i = COLUMNS[table][column]
    if values.dtype.names and column in values.dtype.names and values.ndim == 1:
        own = values[column]
    elif values.dtype.names is None and values.ndim == 2 and values.shape[1] > i:
        own = values[:, i]  # h5wasm writes tables as plain numbers
    elif len(values) == 0:
        own = np.zeros(0)
    else:
        raise UserError(f"{path}: {table} has no column {column}; save the labels with SLEAP again")
    if own.dtype.kind not in "biuf" or own.ndim != 1:
        raise UserError(f"{path}: {table}: {column} holds other values than numbers")
    return cast(NDArray[Any], own)


def _json(text: Any, where: str) -> dict[str, Any]:
    try:
        told = json.loads(as_text(text))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is no JSON ({' '.join(str(error).split())})") from error
    if type(told) is not dict:
        raise UserError(f"{where}: is no JSON object")
    return told


def _number(value: Any, otherwise: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return otherwise


def _skeletons(told: dict[str, Any], path: Path) -> list[_Skeleton]:
    found = []
    try:
        names = [str(node["name"]) for node in told["nodes"]]
        for i, one in enumerate(told["skeletons"]):
            graph = one.get("nx_graph", one)
            ids = [node["id"] for node in graph["nodes"]]
            known = {1: EDGE, 2: SYMMETRY}  # "py/id" counts the types in the order in which they first stand
            count = 0
            pairs: dict[int, list[tuple[int, int]]] = {EDGE: [], SYMMETRY: []}
            for link in graph["links"]:
                kind = link["type"]
                if "py/reduce" in kind:
                    count += 1
                    known[count] = type_of_link = kind["py/reduce"][1]["py/tuple"][0]
                else:
                    type_of_link = known[kind["py/id"]]
                pairs[type_of_link].append((ids.index(link["source"]), ids.index(link["target"])))
            symmetries = dict.fromkeys((min(pair), max(pair)) for pair in pairs[SYMMETRY] if pair[0] != pair[1])
            title = (graph.get("graph") or {}).get("name") or f"skeleton {i + 1}"
            nodes = tuple(names[j] for j in ids)
            found.append(_Skeleton(str(title), nodes, tuple(pairs[EDGE]), tuple(symmetries)))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: metadata: its skeletons cannot be read ({type(error).__name__}: {error})") from error
    for one in found:
        if len(set(one.nodes)) < len(one.nodes):
            raise UserError(f"{path}: metadata: skeleton {one.name!r} has two nodes of one name")
        if len({j for pair in one.symmetries for j in pair}) < 2 * len(one.symmetries):
            raise UserError(f"{path}: metadata: skeleton {one.name!r} has a node with two symmetries")
    return found


def _videos(file: Hdf5, path: Path) -> list[_Video]:
    videos = []
    texts = file.texts("videos_json") if "videos_json" in file and file.shape("videos_json") != (0,) else []
    for i, text in enumerate(texts):
        videos.append(_video(_json(text, f"{path}: videos_json entry {i}"), file, f"{path}: videos_json entry {i}"))
    if "video_crops" in file:
        try:
            for one in json.loads(as_text(file.array("video_crops"))):
                x1, y1, x2, y2 = (int(v) for v in one["crop"])
                if not (x1 < x2 and y1 < y2 and max(x2 - x1, y2 - y1) < 1 << 16):
                    raise ValueError(f"a crop of {x1}, {y1} to {x2}, {y2}")
                videos[int(one["video"])].crop = (x1, y1, x2, y2, int(one.get("fill", 0)))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"{path}: video_crops cannot be read ({type(error).__name__}: {error})") from error
    return videos


def _video(told: dict[str, Any], file: Hdf5, where: str, depth: int = 0) -> _Video:
    backend = told.get("backend")
    backend = backend if type(backend) is dict else {}
    listed = backend.get("filenames")
    listed = [str(one) for one in listed] if type(listed) is list else []
    name = str(backend.get("filename") or backend.get("file") or told.get("filename") or (listed[0] if listed else ""))
    if not name:
        raise UserError(f"{where}: names no file")
    dataset = str(backend.get("dataset") or "").strip("/")
    inside = bool(dataset) and (name == "." or PurePosixPath(name).suffix.lower() in (".slp", ".h5", ".hdf5"))
    video = _Video(
        name=name,
        files=listed,
        file=name,
        dataset=dataset if inside else "",
        grey=backend.get("grayscale") is True,
        channels_first=backend.get("input_format") == "channels_first",
    )
    source = (told.get("source_video") or told.get("original_video")) if depth < MOST_VIDEOS else None
    if inside and name == "." and not depth:
        group = f"{dataset.removesuffix('/video')}/source_video"
        text = file.array(f"{group}/json") if f"{group}/json" in file else file.attribute(group, "json")
        source = source if text is None else _json(text, f"{where}: its source_video")
        video.name = dataset.removesuffix("/video")
    if type(source) is dict:
        video.source = _video(source, file, f"{where}: its source_video", depth + 1)
        video.name, video.files = video.source.name, video.source.files
    if video.files:
        video.name = _common_folder(video.files)
    return video


def _common_folder(names: Sequence[str]) -> str:
    """The folder that files share, by their names; "." for none."""
    parts = [PurePosixPath(name.replace("\\", "/")).parent.parts for name in names]
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*parts))
    return str(PurePosixPath(*(level[0] for level in shared)))


def _video_places(used: list[int], videos: list[_Video]) -> dict[int, int]:
    """The number by which frames name a video -> its place in the list: the same, or the number of its dataset."""
    if len(set(used)) == len(videos) and max(used, default=0) == len(videos) - 1:
        return {}
    places = {}
    for i, video in enumerate(videos):
        number = video.dataset.partition("/")[0].removeprefix("video") if "/" in video.dataset else ""
        places[int(number) if number.isdecimal() else i] = i
    return places


# What is taken of it.


def _choose_instances(labels: list[_Labels]) -> list[str]:
    """Keep what was labelled by hand, or predictions where there is nothing else. Notes on it."""
    notes = []
    by_hand = any(one.by_hand for part in labels for frame in part.frames for one in frame.instances)
    if predicted := sum(part.predicted for part in labels):
        notes.append(
            f"{predicted} predicted instances set aside"
            if by_hand
            else f"WARNING: nothing is labelled by hand: {predicted} predictions are read as if they were labels"
        )
    empty = 0
    for part in labels:
        for frame in part.frames:
            frame.instances = [one for one in frame.instances if one.by_hand == by_hand]
        kept = [frame for frame in part.frames if frame.instances or frame.negative]
        empty += len(part.frames) - len(kept)
        part.frames = kept
    if empty:
        notes.append(f"{empty} frames without an instance labelled by hand set aside")
    if count := sum(part.invisible for part in labels):
        notes.append(f"{count} points marked not visible: read as not labelled, as SLEAP trains")
    return notes


def _choose_skeletons(labels: list[_Labels], path: Path, wanted: str, notes: list[str]) -> list[_Skeleton]:
    """The skeletons of the instances that are kept, which have the same nodes."""
    counts = Counter(one.skeleton for part in labels for frame in part.frames for one in frame.instances)
    if not counts:
        raise UserError(f"{path}: no frame holds a labelled instance; label some in SLEAP first")
    listed = ", ".join(f"{one.name} ({len(one.nodes)} nodes, {count} instances)" for one, count in counts.items())
    if wanted and wanted not in {one.name for one in counts}:
        raise UserError(f"{path}: has no skeleton {wanted!r}; there are {listed}")
    chosen = [one for one in counts if wanted in ("", one.name)]
    if len({one.nodes for one in chosen}) > 1:
        raise UserError(f"{path}: its skeletons have different nodes; choose one with --category NAME: {listed}")
    if aside := sum(count for one, count in counts.items() if one not in chosen):
        notes.append(f"{aside} instances of other skeletons set aside")
        for part in labels:
            for frame in part.frames:
                frame.instances = [one for one in frame.instances if one.skeleton in chosen]
            part.frames = [frame for frame in part.frames if frame.instances or frame.negative]
    return chosen


# Where its images are.


@dataclass(frozen=True)
class _Embedded:
    """An image inside an HDF5 file."""

    file: Path
    dataset: str
    row: int
    swapped: bool  # whether red and blue have changed places
    channels_first: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.dataset}, row {self.row}"

    def open(self) -> Pillow.Image:
        try:
            with Hdf5(self.file) as file:
                stored = file.row(self.dataset, self.row)
        except UserError as error:
            raise OSError(str(error)) from error
        if stored.ndim >= 2:
            return Pillow.fromarray(_pixels(stored, self.channels_first))
        image: Pillow.Image = Pillow.open(io.BytesIO(stored.tobytes()))
        image.info.pop("exif", None)  # what was labelled is the image as stored
        if self.swapped and image.mode in ("RGB", "RGBA"):
            red, green, blue, *_ = image.split()
            image = Pillow.merge("RGB", (blue, green, red))
        return image


@dataclass(frozen=True)
class _Cropped:
    """A part of an image, which may reach beyond it."""

    image: Path | ImageSource
    box: tuple[int, ...]
    fill: int

    def __str__(self) -> str:
        return str(self.image)

    def open(self) -> Pillow.Image:
        x1, y1, x2, y2 = self.box
        with Pillow.open(self.image) if isinstance(self.image, Path) else self.image.open() as whole:
            bands = len(whole.getbands())
            canvas = Pillow.new(whole.mode, (x2 - x1, y2 - y1), (self.fill,) * bands if bands > 1 else self.fill)
            canvas.paste(ImageOps.exif_transpose(whole), (-x1, -y1))
        return canvas


def _pixels(stored: NDArray[Any], channels_first: bool) -> NDArray[np.uint8]:
    """A frame that is stored as pixels; values from 0 to 1 become 0 to 255, as in SLEAP."""
    frame = stored.T if channels_first and stored.ndim == 3 else stored
    if frame.dtype != np.uint8:
        values = frame.astype(np.float64)
        frame = np.clip(np.floor(values * 255 if values.max(initial=0) <= 1 else values), 0, 255).astype(np.uint8)
    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[:, :, 0]
    if frame.ndim != 2 and (frame.ndim != 3 or frame.shape[2] != 3):
        raise ValueError(f"a frame of the shape {stored.shape}")
    return cast(NDArray[np.uint8], np.ascontiguousarray(frame))


def _found_frames(labels: _Labels) -> list[_Frame]:
    """The frames whose images are found, these in place; frames of video files are decoded now."""
    by_video: dict[int, list[_Frame]] = {}
    for frame in labels.frames:
        by_video.setdefault(id(frame.video), []).append(frame)
    for frames in by_video.values():
        video: _Video | None = frames[0].video
        crop = frames[0].video.crop
        left = frames
        while video is not None and left:  # what a package does not hold, its source may
            images = _images(video, [frame.number for frame in left], labels.path)
            for frame in left:
                if (image := images.get(frame.number)) is not None:
                    frame.image = _Cropped(image, crop[:4], crop[4]) if crop else image
            left = [frame for frame in left if frame.image is None]
            video = video.source
    return [frame for frame in labels.frames if frame.image is not None]


def _images(video: _Video, numbers: Sequence[int], labels: Path) -> Mapping[int, Path | ImageSource | None]:
    """Number of a frame -> its image, for those that are found."""
    if video.dataset:
        file = labels if video.file == "." else _find(video.file, labels)
        return {} if file is None else _embedded(video, file)
    if video.files:
        known = {number: video.files[number] for number in numbers if 0 <= number < len(video.files)}
        return {number: _find(name, labels) for number, name in known.items()}
    file = _find(video.file, labels)
    return {} if file is None else video_frames(file, numbers, grey=video.grey)


def _embedded(video: _Video, path: Path) -> dict[int, ImageSource]:
    with Hdf5(path) as file:
        name = f"{video.dataset}/video" if f"{video.dataset}/video" in file else video.dataset
        if name not in file:
            return {}
        shape = file.shape(name)
        numbers: list[int] = list(range(shape[0] if shape else 0))
        listed = f"{name.rpartition('/')[0]}/frame_numbers"
        if listed in file and file.shape(listed) != (0,):
            numbers = [int(v) for v in file.array(listed).ravel().tolist()][: len(numbers)]
        order = file.attribute(name, "channel_order")
        format_id = _number(file.attribute("metadata", "format_id"), 1.0)
    swapped = format_id < STANDARD_COLOURS if order is None else as_text(order).upper() == "BGR"
    return {number: _Embedded(path, name, row, swapped, video.channels_first) for row, number in enumerate(numbers)}


def _find(name: str, labels: Path) -> Path | None:
    """A file that labels name as it was called on the machine where they were made.

    It is looked for where it was, then by ever shorter ends of its path below the labels' folder and the folders above
    it; by its last part alone only beside the labels.
    """
    plain = name.replace("\\", "/")
    if "\0" in plain or "://" in plain:
        return None
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    folder = labels.resolve().parent
    above = [folder, *folder.parents][: 1 + ANCESTORS]
    places = [Path(plain)] if Path(plain).is_absolute() else []
    for start in range(len(parts)):
        end = Path(*parts[start:])
        places += [one / end for one in (above if start < len(parts) - 1 or len(parts) == 1 else above[:1])]
    try:
        return next((place for place in places if ".." not in place.parts and place.is_file()), None)
    except OSError:
        return None


def _notes_on_images(labels: dict[str, _Labels], found: dict[str, list[_Frame]]) -> list[str]:
    """What was not found; UserError where that is all of a split."""
    notes = []
    missing: Counter[str] = Counter()
    for name, one in labels.items():
        have = {id(frame) for frame in found[name]}
        lost = [frame for frame in one.frames if id(frame) not in have]
        if lost and not have:
            video = lost[0].video
            listed = f"{lost[0].number} of " if not video.files else ""
            raise UserError(
                f"{one.path}: there is no image for any of its {len(lost)} labelled frames, as frame {listed}"
                f"{(video.source or video).name}; put the videos beside it, or save the labels with images (.pkg.slp)"
            )
        missing.update((frame.video.source or frame.video).name for frame in lost)
    for video_name, count in missing.items():
        notes.append(f"WARNING: {count} labelled frames set aside: {video_name} is not found, or does not hold them")
    decoded = [f for frames in found.values() for f in frames if not f.video.dataset and not f.video.files]
    if decoded:
        count = len({id(frame.video) for frame in decoded})
        notes.append(f"{len(decoded)} frames decoded from {count} videos, for as long as the process runs")
    return notes


def _titles(names: Sequence[str]) -> dict[str, str]:
    """Short names for videos, each its own: the last part of the path, or with a number where several share it."""
    last = {name: PurePosixPath(name.replace("\\", "/")).name or "images" for name in names}
    counts = Counter(last.values())
    return {name: own if counts[own] == 1 else f"{i + 1}-{own}" for i, (name, own) in enumerate(last.items())}


def _file_names(frames: Sequence[_Frame], titles: dict[str, str]) -> tuple[str, ...]:
    """A name an image: its file's where it has one, else its video's and the number of the frame."""
    names = []
    for frame in frames:
        video, title = frame.video, titles[frame.video.name]
        if 0 <= frame.number < len(video.files):
            name = PurePosixPath(video.files[frame.number].replace("\\", "/"))
            inside = ":" not in name.as_posix() and not name.is_absolute() and ".." not in name.parts
            names.append(name.as_posix() if inside else f"{title}/{name.name}")
        else:
            names.append(f"{title}/{frame.number:06d}")
    unique = len(set(names)) == len(names)
    return tuple(names) if unique else tuple(f"{i:06d}-{PurePosixPath(name).name}" for i, name in enumerate(names))


# Writing.


def write(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """Write a data set as ``train.pkg.slp``, ``val.pkg.slp`` and ``test.pkg.slp``, images inside as PNG.

    Images of one group and one size are a video, and so are those of one size where there are no groups.

    Args:
        path: A new or empty folder.
        dataset: What to write.

    Returns:
        What SLEAP has no place for, in words.

    Raises:
        UserError: Where something else is at ``path``, it cannot be written, or h5py is not installed.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: holds other things already; name a new or empty folder")
    h5py = h5py_for(path)

    def fill(folder: Path) -> None:
        for name, split in dataset.splits.items():
            if len(split):
                _write_split(folder / f"{name}.pkg.slp", split.annotations, split.images, h5py)

    files.write_folder(path.resolve(), fill, is_whole=sniff)
    return not_kept(dataset, "splits", "categories", "skeleton", "flip pairs", "groups")


def _write_split(path: Path, annotations: Annotations, images: Sequence[Any], h5py: Any) -> None:
    names = _names_in_folders(annotations)
    keys = list(zip(annotations.groups or [""] * len(names), map(tuple, annotations.sizes.tolist())))
    videos = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    members: list[list[int]] = [[i for i, key in enumerate(keys) if key == own] for own in videos]
    ids = annotations.known_category_ids.tolist()
    frame_rows, instance_rows, point_rows = [], [], []
    numbers = {i: number for own in members for number, i in enumerate(own)}
    for i, key in enumerate(keys):
        start = len(instance_rows)
        for row in np.flatnonzero((annotations.index == i) & ~annotations.crowd).tolist():
            labelled = annotations.visible[row] > 0
            if not labelled.any():
                continue
            kind = ids.index(int(annotations.category_ids[row]))
            first = len(point_rows)
            points = np.where(labelled[:, None], annotations.keypoints[row], np.nan)
            point_rows += [(x, y, known, known) for (x, y), known in zip(points.tolist(), labelled.tolist())]
            instance_rows.append((len(instance_rows), BY_HAND, i, kind, -1, -1, 0.0, first, len(point_rows), 0.0))
        frame_rows.append((i, videos[key], numbers[i], start, len(instance_rows)))
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        metadata = file.create_group("metadata")
        metadata.attrs["format_id"] = WRITTEN_FORMAT
        metadata.attrs["json"] = np.bytes_(json.dumps(_metadata(annotations)))
        records = []
        for (_, (width, height)), own in zip(videos, members):
            name = f"video{len(records)}"
            grey = images[own[0]].ndim == 2
            stored = file.create_dataset(f"{name}/video", (len(own),), dtype=h5py.special_dtype(vlen=np.dtype("int8")))
            for row, i in enumerate(own):
                stored[row] = np.frombuffer(_png(np.asarray(images[i])), dtype=np.int8)
            shape = [len(own), height, width, 1 if grey else 3]
            stored.attrs["format"], stored.attrs["channel_order"] = "png", "BGR"
            stored.attrs["frames"], stored.attrs["height"], stored.attrs["width"], stored.attrs["channels"] = shape
            file.create_dataset(f"{name}/frame_numbers", data=np.arange(len(own)))
            listed = [names[i] for i in own]
            source = {
                "type": "ImageVideo",
                "filename": listed[0],
                "filenames": listed,
                "shape": shape,
                "grayscale": grey,
            }
            file.create_group(f"{name}/source_video").attrs["json"] = json.dumps(
                {"filename": listed, "backend": source}
            )
            backend = {
                "type": "HDF5Video",
                "filename": ".",
                "dataset": f"{name}/video",
                "input_format": "channels_last",
            }
            records.append({"backend": {**backend, "convert_range": False, "shape": shape, "grayscale": grey}})
        file.create_dataset("videos_json", data=[np.bytes_(json.dumps(one)) for one in records], maxshape=(None,))
        for name in ("tracks_json", "suggestions_json"):
            file.create_dataset(name, (0,), maxshape=(None,))
        for name, rows in (("frames", frame_rows), ("instances", instance_rows), ("points", point_rows)):
            file.create_dataset(name, data=np.array(rows, dtype=DTYPES[name]), maxshape=(None,))
        file.create_dataset(
            "pred_points", data=np.zeros(0, dtype=[*DTYPES["points"], ("score", "f8")]), maxshape=(None,)
        )


def _names_in_folders(annotations: Annotations) -> list[str]:
    """A file name an image, in a folder a group: of a sequence of image files the reader takes the folder as its group."""
    stems = stems_of(annotations.file_names)
    groups = annotations.groups or [""] * len(stems)
    folders = folder_names([group for group in groups if group])
    names = []
    for stem, group in zip(stems, groups):
        own = stem.removeprefix(f"{group}/").replace("/", "-") if group else stem.replace("/", "-")
        names.append(f"{folders[group]}/{own}.png" if group else f"{own}.png")
    if len(set(names)) < len(names):
        names = [f"{folders[group]}/{i:06d}.png" if group else f"{i:06d}.png" for i, group in enumerate(groups)]
    return names


def _metadata(annotations: Annotations) -> dict[str, Any]:
    """Nodes, and a skeleton a category, as jsonpickle writes them for SLEAP."""
    links = []
    for kind, pairs in ((EDGE, annotations.skeleton), (SYMMETRY, annotations.flip_pairs)):
        for i, (a, b) in enumerate(pairs):
            first = {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [kind]}]}
            place = 1 if kind == EDGE or not annotations.skeleton else 2
            link: dict[str, Any] = {"key": 0, "source": a, "target": b, "type": {"py/id": place} if i else first}
            links.append({"edge_insert_idx": i, **link} if kind == EDGE else link)
    titles = {category.id: category.name for category in annotations.categories}
    return {
        "version": "2.0.0",
        "skeletons": [
            {
                "directed": True,
                "graph": {"name": titles.get(i, f"category {i}"), "num_edges_inserted": len(annotations.skeleton)},
                "links": links,
                "multigraph": True,
                "nodes": [{"id": j} for j in range(len(annotations.keypoint_names))],
            }
            for i in annotations.known_category_ids.tolist()
        ],
        "nodes": [{"name": name, "weight": 1.0} for name in annotations.keypoint_names],
        "videos": [],
        "tracks": [],
        "suggestions": [],
        "negative_anchors": {},
        "provenance": {},
    }


def _png(image: NDArray[np.uint8]) -> bytes:
    """PNG bytes; red and blue change places, as OpenCV has written SLEAP's packages from the start."""
    content = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image if image.ndim == 2 else image[:, :, ::-1])).save(
        content, format="PNG", compress_level=1
    )
    return content.getvalue()
