"""What a SLEAP file says (https://io.sleap.ai/latest/formats/slp): skeletons, videos, frames and their instances.

metadata         format_id; json with nodes and skeletons, whose links are edges (type 1) or symmetries (type 2)
videos_json      a record a video: a video file, a list of image files, or a dataset, mostly of this file
frames           video, number of the frame in it, which rows of ``instances`` lie in it
instances        by hand (type 0) or predicted (1), skeleton, which rows of ``points`` or ``pred_points`` are its own
points           x, y, visible
video0/video     images as PNG or JPEG bytes (a row each, padded or not) or as pixels; video0/frame_numbers say which
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray, UserError
from datasets.formats.hdf5 import Hdf5
from datasets.images import ImageSource

MIDPIXEL = 1.1  # the format since which an integer is the centre of a pixel
UNKNOWN_FORMAT = 3.0
BY_HAND, PREDICTED = 0, 1
EDGE, SYMMETRY = 1, 2
MOST_VIDEOS = 5  # levels of "source video of a video"
COLUMNS = {  # that are read, and where they stand in tables whose columns have lost their names
    "frames": {"video": 1, "frame_idx": 2, "instance_id_start": 3, "instance_id_end": 4},
    "instances": {"instance_type": 1, "skeleton": 3, "point_id_start": 7, "point_id_end": 8},
    "points": {"x": 0, "y": 1, "visible": 2},
}


@dataclass(frozen=True)
class Skeleton:
    """A skeleton.

    Attributes:
        name: Its name.
        nodes: Names of the K keypoints.
        edges: Pairs of their positions that are joined.
        symmetries: Pairs of their positions that a mirror exchanges.
    """

    name: str
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    symmetries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Instance:
    """One animal in a frame.

    Attributes:
        skeleton: What its points are.
        by_hand: Whether somebody labelled it; else it was predicted.
        points: (K, 2) float64 px, an integer is a pixel's centre, NaN where a point is not labelled.
    """

    skeleton: Skeleton
    by_hand: bool
    points: FloatArray


@dataclass
class Video:
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
    source: Video | None = None


@dataclass
class Frame:
    """A labelled frame.

    Attributes:
        video: Of which video.
        number: Its number there, from 0.
        instances: What it holds.
        negative: Whether somebody said that it holds nothing.
        image: Its image, once that is found.
    """

    video: Video
    number: int
    instances: list[Instance] = field(default_factory=list)
    negative: bool = False
    image: Path | ImageSource | None = None


@dataclass
class Labels:
    """What a file says.

    Attributes:
        path: The file.
        frames: Its labelled frames. Predicted instances are among them only where nothing is labelled by hand.
        invisible: How many points have a place, and are marked not visible.
        predicted: How many instances are predictions.
    """

    path: Path
    frames: list[Frame]
    invisible: int
    predicted: int


def format_of(file: Hdf5) -> float:
    """The version of the format; 1, the first, where a file does not say."""
    try:
        return float(file.attribute("metadata", "format_id"))
    except (TypeError, ValueError):
        return 1.0


def read_labels(path: Path) -> Labels:
    """Read a file, but for its images.

    Args:
        path: A ``.slp`` file.

    Raises:
        UserError: One line with file and entry, for what is wrong; where h5py is not installed.
    """
    with Hdf5(path) as file:
        format_id = format_of(file)
        if format_id >= UNKNOWN_FORMAT:
            raise UserError(
                f"{path}: is of SLP format {format_id:g}, and formats below 3 are known; save it with an earlier"
            )
        told = _json(file.text("metadata", "json"), f"{path}: metadata")
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
    if sum(last - first for first, last in zip(frames["instance_id_start"], frames["instance_id_end"])) > len(kinds):
        raise UserError(f"{path}: frames: an instance lies in several of them")
    owners = instances["skeleton"]
    starts, ends = instances["point_id_start"], instances["point_id_end"]
    places = _video_places(frames["video"], videos)
    found: dict[tuple[int, int], Frame] = {}
    for i, (own, number, first, last) in enumerate(
        zip(frames["video"], frames["frame_idx"], frames["instance_id_start"], frames["instance_id_end"])
    ):
        where = f"{path}: frames entry {i}"
        video = places.get(own, own)
        if not 0 <= video < len(videos):
            raise UserError(f"{where}: is of video {own}, and there are {len(videos)}")
        if not 0 <= first <= last <= len(kinds):
            raise UserError(f"{where}: holds the instances {first} to {last}, and there are {len(kinds)}")
        frame = found.setdefault((video, number), Frame(videos[video], number))
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
                frame.instances.append(Instance(skeleton, bool(kinds[row] == BY_HAND), own_points))
    return Labels(path, list(found.values()), invisible, kinds.count(PREDICTED))


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
    elif values.size == 0:
        own = np.zeros(0)
    else:
        raise UserError(f"{path}: {table} has no column {column}; save the labels with SLEAP again")
    if own.dtype.kind not in "biuf" or own.ndim != 1:
        raise UserError(f"{path}: {table}: {column} holds other values than numbers")
    return own


def _json(text: str | None, where: str) -> dict[str, Any]:
    try:
        told = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is no JSON ({' '.join(str(error).split())})") from error
    if type(told) is not dict:
        raise UserError(f"{where}: is no JSON object")
    return told


def _skeletons(told: dict[str, Any], path: Path) -> list[Skeleton]:
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
            found.append(Skeleton(str(title), nodes, tuple(pairs[EDGE]), tuple(symmetries)))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: metadata: its skeletons cannot be read ({type(error).__name__}: {error})") from error
    for one in found:
        if len(set(one.nodes)) < len(one.nodes):
            raise UserError(f"{path}: metadata: skeleton {one.name!r} has two nodes of one name")
        if len({j for pair in one.symmetries for j in pair}) < 2 * len(one.symmetries):
            raise UserError(f"{path}: metadata: skeleton {one.name!r} has a node with two symmetries")
    return found


def _videos(file: Hdf5, path: Path) -> list[Video]:
    videos = []
    texts = file.texts("videos_json") if "videos_json" in file and file.shape("videos_json") != (0,) else []
    for i, text in enumerate(texts):
        videos.append(_video(_json(text, f"{path}: videos_json entry {i}"), file, f"{path}: videos_json entry {i}"))
    if "video_crops" in file:
        try:
            for one in json.loads(file.text("video_crops") or ""):
                x1, y1, x2, y2 = (int(v) for v in one["crop"])
                if not (x1 < x2 and y1 < y2 and max(x2 - x1, y2 - y1) < 1 << 16):
                    raise ValueError(f"a crop of {x1}, {y1} to {x2}, {y2}")
                videos[int(one["video"])].crop = (x1, y1, x2, y2, int(one.get("fill", 0)))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise UserError(f"{path}: video_crops cannot be read ({type(error).__name__}: {error})") from error
    return videos


def _video(told: dict[str, Any], file: Hdf5, where: str, depth: int = 0) -> Video:
    backend = told.get("backend")
    backend = backend if type(backend) is dict else {}
    listed = backend.get("filenames")
    listed = [str(one) for one in listed] if type(listed) is list else []
    name = str(backend.get("filename") or backend.get("file") or told.get("filename") or (listed[0] if listed else ""))
    if not name:
        raise UserError(f"{where}: names no file")
    dataset = str(backend.get("dataset") or "").strip("/")
    inside = bool(dataset) and (name == "." or PurePosixPath(name).suffix.lower() in (".slp", ".h5", ".hdf5"))
    video = Video(
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
        text = file.text(f"{group}/json") or file.text(group, "json")
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


def _video_places(used: list[int], videos: list[Video]) -> dict[int, int]:
    """The number by which frames name a video -> its place in the list: the same, or the number of its dataset."""
    if len(set(used)) == len(videos) and max(used, default=0) == len(videos) - 1:
        return {}
    places = {}
    for i, video in enumerate(videos):
        number = video.dataset.partition("/")[0].removeprefix("video") if "/" in video.dataset else ""
        places[int(number) if number.isdecimal() else i] = i
    return places
