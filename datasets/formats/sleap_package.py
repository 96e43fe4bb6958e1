"""SLEAP packages (``.pkg.slp``), written: one a split, images inside as PNG."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from benchmark import files
from benchmark.structures import Annotations, Image
from datasets.dataset import Dataset
from datasets.formats.hdf5 import h5py_for
from datasets.formats.image_paths import folder_names, stems_of
from datasets.formats.not_kept import not_kept
from datasets.formats.sleap_labels import BY_HAND, EDGE, SYMMETRY

WRITTEN_FORMAT = 1.2  # any SLEAP reads it
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
    files.refuse_occupied(path)
    h5py = h5py_for(path)

    def fill(folder: Path) -> None:
        for name, split in dataset.splits.items():
            if len(split):
                _write_split(folder / f"{name}.pkg.slp", split.annotations, split.images, h5py)

    files.write_folder(path.resolve(), fill, is_whole=lambda folder: any(folder.glob("*.pkg.slp")))
    return not_kept(dataset, "splits", "categories", "skeleton", "flip pairs", "groups")


def _write_split(path: Path, annotations: Annotations, images: Sequence[Image], h5py: Any) -> None:
    names = _names_in_folders(annotations)
    sizes = [(int(width), int(height)) for width, height in annotations.sizes.tolist()]
    keys = list(zip(annotations.groups or [""] * len(names), sizes))
    members: dict[tuple[str, tuple[int, int]], list[int]] = {}
    for i, key in enumerate(keys):
        members.setdefault(key, []).append(i)
    videos = {key: number for number, key in enumerate(members)}
    places = {i: number for own in members.values() for number, i in enumerate(own)}
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        metadata = file.create_group("metadata")
        metadata.attrs["format_id"] = WRITTEN_FORMAT
        metadata.attrs["json"] = np.bytes_(json.dumps(skeletons_of(annotations)))
        records: list[bytes] = []
        for (_, size), own in members.items():
            record = _write_video(file, f"video{len(records)}", size, own, names, images, h5py)
            records.append(np.bytes_(json.dumps({"backend": record})))
        file.create_dataset("videos_json", data=records, maxshape=(None,))
        for name in ("tracks_json", "suggestions_json"):
            file.create_dataset(name, (0,), dtype="f8", maxshape=(None,))
        tables = _tables(annotations, [videos[key] for key in keys], [places[i] for i in range(len(keys))])
        for name, rows in tables.items():
            file.create_dataset(name, data=np.array(rows, dtype=DTYPES[name]), maxshape=(None,))
        empty = [(video, place) for _, video, place, first, last in tables["frames"] if first == last]
        file.create_dataset("negative_frames", data=np.array(empty, dtype=[("video_id", "u4"), ("frame_idx", "u8")]))
        scored = np.zeros(0, dtype=[*DTYPES["points"], ("score", "f8")])
        file.create_dataset("pred_points", data=scored, maxshape=(None,))


def _write_video(
    file: Any, name: str, size: tuple[int, int], own: list[int], names: list[str], images: Sequence[Image], h5py: Any
) -> dict[str, Any]:
    """Write the images of one video, and where they come from; its record."""
    grey = np.asarray(images[own[0]]).ndim == 2
    stored = file.create_dataset(f"{name}/video", (len(own),), dtype=h5py.vlen_dtype(np.dtype("int8")))
    for row, i in enumerate(own):
        stored[row] = np.frombuffer(_png(np.asarray(images[i])), dtype=np.int8)
    shape = [len(own), size[1], size[0], 1 if grey else 3]
    told = {"format": "png", "channel_order": "BGR", **dict(zip(("frames", "height", "width", "channels"), shape))}
    for key, value in told.items():
        stored.attrs[key] = value
    file.create_dataset(f"{name}/frame_numbers", data=np.arange(len(own)))
    listed = [names[i] for i in own]
    source = {"type": "ImageVideo", "filename": listed[0], "filenames": listed, "shape": shape, "grayscale": grey}
    file.create_group(f"{name}/source_video").attrs["json"] = json.dumps({"filename": listed, "backend": source})
    return {
        "type": "HDF5Video",
        "filename": ".",
        "dataset": f"{name}/video",
        "input_format": "channels_last",
        "convert_range": False,
        "shape": shape,
        "grayscale": grey,
    }


def _tables(annotations: Annotations, videos: list[int], places: list[int]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of frames, instances and points.

    Args:
        annotations: What is written.
        videos: N numbers, the video of each image.
        places: N numbers, its frame there.
    """
    ids = annotations.known_category_ids.tolist()
    tables: dict[str, list[tuple[Any, ...]]] = {"frames": [], "instances": [], "points": []}
    instances, points = tables["instances"], tables["points"]
    for i, (video, place) in enumerate(zip(videos, places)):
        start = len(instances)
        for row in np.flatnonzero((annotations.index == i) & ~annotations.crowd).tolist():
            labelled = annotations.visible[row] > 0
            if labelled.any():
                first = len(points)
                own = np.where(labelled[:, None], annotations.keypoints[row], np.nan)
                points += [(x, y, known, known) for (x, y), known in zip(own.tolist(), labelled.tolist())]
                skeleton = ids.index(int(annotations.category_ids[row]))
                instances.append((len(instances), BY_HAND, i, skeleton, -1, -1, 0.0, first, len(points), 0.0))
        tables["frames"].append((i, video, place, start, len(instances)))
    return tables


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


def skeletons_of(annotations: Annotations) -> dict[str, Any]:
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


def _png(image: Image) -> bytes:
    """PNG bytes; red and blue change places, as OpenCV has written SLEAP's packages from the start."""
    content = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image if image.ndim == 2 else image[:, :, ::-1])).save(
        content, format="PNG", compress_level=1
    )
    return content.getvalue()
