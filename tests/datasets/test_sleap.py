"""SLEAP: labels made by h5py as SLEAP lays them out, read; what is exported reads back; hostile files are one line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from photographs import photographs
from PIL import Image

from benchmark.structures import UserError
from datasets import formats
from datasets.formats import sleap
from datasets.formats.hdf5 import Hdf5
from datasets.formats.reading import Reading, ReadOptions
from datasets.load import export

W, H = 24, 16
OPTIONS = ReadOptions()
POINT = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
PREDICTED = [*POINT, ("score", "f8")]
FRAME = [
    ("frame_id", "u8"),
    ("video", "u4"),
    ("frame_idx", "u8"),
    ("instance_id_start", "u8"),
    ("instance_id_end", "u8"),
]
INSTANCE = [
    ("instance_id", "i8"),
    ("instance_type", "u1"),
    ("frame_id", "u8"),
    ("skeleton", "u4"),
    ("track", "i4"),
    ("from_predicted", "i8"),
    ("score", "f4"),
    ("point_id_start", "u8"),
    ("point_id_end", "u8"),
]
NODES = ["tail", "nose", "ear_l", "ear_r"]
SKELETON = {  # nose (first here), tail, then the ears: an edge and a symmetry
    "graph": {"name": "mouse"},
    "nodes": [{"id": 1}, {"id": 0}, {"id": 2}, {"id": 3}],
    "links": [
        {"source": 1, "target": 0, "type": {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [1]}]}},
        {"source": 1, "target": 2, "type": {"py/id": 1}},
        {"source": 2, "target": 3, "type": {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [2]}]}},
        {"source": 3, "target": 2, "type": {"py/id": 2}},
    ],
}
PLACED = [(1.5, 2.0, 1), (3.0, 4.0, 1), (5.0, 6.25, 1), (7.0, 8.0, 1)]
HOLES = [(10.0, 11.0, 1), (np.nan, np.nan, 1), (12.0, 13.0, 0), (14.0, 15.0, 1)]  # one missing, one not visible


def picture(i: int) -> Image.Image:
    pixels = np.zeros((H, W, 3), dtype=np.uint8)
    pixels[:, :, 0], pixels[:, i % W, 1], pixels[i % H, :, 2] = 10 * i, 200, 90
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str = "PNG") -> np.ndarray:
    content = io.BytesIO()
    image.save(content, format=form)
    return np.frombuffer(content.getvalue(), dtype=np.int8)


def slp(
    path: Path,
    frames: list[tuple[int, int, list[tuple[int, list[tuple[float, float, int]]]]]],
    videos: list[dict[str, Any]],
    *,
    format_id: float = 1.2,
    skeletons: list[dict[str, Any]] | None = None,
    owner: int = 0,
) -> Path:
    """Labels: a frame is (video, number, instances), an instance (0 by hand or 1 predicted, points)."""
    tables: dict[str, list[Any]] = {"frames": [], "instances": [], "points": [], "pred_points": []}
    for i, (video, number, instances) in enumerate(frames):
        first = len(tables["instances"])
        for kind, points in instances:
            own = tables["pred_points" if kind else "points"]
            start = len(own)
            own += [(x, y, v, v, 0.5) if kind else (x, y, v, v) for x, y, v in points]
            tables["instances"].append((len(tables["instances"]), kind, i, owner * (i % 2), -1, -1, 0, start, len(own)))
        tables["frames"].append((i, video, number, first, len(tables["instances"])))
    told = {"nodes": [{"name": n, "weight": 1.0} for n in NODES], "skeletons": skeletons or [SKELETON]}
    with h5py.File(path, "a") as file:
        file.create_group("metadata").attrs["format_id"] = format_id
        file["metadata"].attrs["json"] = np.bytes_(json.dumps(told))
        file["videos_json"] = [np.bytes_(json.dumps({"backend": one})) for one in videos]
        dtypes = {"frames": FRAME, "instances": INSTANCE, "points": POINT, "pred_points": PREDICTED}
        for name, rows in tables.items():
            file[name] = np.array(rows, dtype=dtypes[name])
    return path


def package(path: Path, count: int = 6, **more: Any) -> Path:
    """Every image holds one instance, the last two lack points; frame numbers are tens of one video."""
    rows = [encoded(picture(i)) for i in range(count)]
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("video0/video", (count,), dtype=h5py.vlen_dtype(np.int8))
        for i, row in enumerate(rows):
            stored[i] = row
        stored.attrs["format"], stored.attrs["channel_order"] = "png", "RGB"
        file["video0/frame_numbers"] = np.arange(count) * 10
    frames = [(0, i * 10, [(0, PLACED if i < count - 2 else HOLES)]) for i in range(count)]
    return slp(path, frames, [{"filename": ".", "dataset": "video0/video", "grayscale": False}], **more)


def only(reading: Reading) -> tuple[Any, Any]:
    (one,) = reading.splits.values()
    return one


def test_a_package(tmp_path: Path) -> None:
    reading = sleap.read(package(tmp_path / "labels.pkg.slp"), OPTIONS)
    images, known = only(reading)
    assert known.keypoint_names == ("nose", "tail", "ear_l", "ear_r")
    assert known.skeleton == ((0, 1), (0, 2))
    assert known.flip_pairs == ((2, 3),)
    assert known.keypoints[0].tolist() == [[1.5, 2.0], [3.0, 4.0], [5.0, 6.25], [7.0, 8.0]]
    assert known.visible[5].tolist() == [2, 0, 0, 2]
    assert [c.name for c in known.categories] == ["mouse"]
    assert known.boxes[0].tolist() == [-1.5, -1.0, 11.5, 12.0]
    assert known.groups == ("video0",) * 6
    assert all(np.array_equal(images[i], np.asarray(picture(i))) for i in range(6))
    assert "2 points marked not visible: read as not labelled, as SLEAP trains" in reading.notes
    data = formats.read(tmp_path)  # the folder, through the road of every format
    assert [len(part) for part in data.splits.values()] == [4, 1, 1]


@pytest.mark.parametrize(("format_id", "shift"), [(1.0, 0.5), (1.1, 0.0), (1.2, 0.0), (2.3, 0.0)])
def test_convention_of_pixels(format_id: float, shift: float, tmp_path: Path) -> None:
    """Before format 1.1 labels counted from the pixel's edge, and predictions from its centre, as SLEAP itself says."""
    _, known = only(sleap.read(package(tmp_path / "labels.slp", format_id=format_id), OPTIONS))
    assert known.keypoints[0, 0].tolist() == [1.5 - shift, 2.0 - shift]
    with h5py.File(tmp_path / "labels.slp", "r+") as file:
        table = file["instances"][:]
        table["instance_type"] = 1
        file["instances"][:] = table
        del file["pred_points"]
        file["pred_points"] = np.array([(*row, 0.5) for row in file["points"][:].tolist()], dtype=PREDICTED)
    reading = sleap.read(tmp_path / "labels.slp", OPTIONS)
    assert only(reading)[1].keypoints[0, 0].tolist() == [1.5, 2.0]
    assert "WARNING: nothing is labelled by hand: 6 predictions are read as if they were labels" in reading.notes


def test_predictions_and_empty_frames_are_set_aside(tmp_path: Path) -> None:
    for i in range(4):
        picture(i).save(tmp_path / f"{i}.png")
    listed = {"filename": "0.png", "filenames": [f"C:\\far\\away\\{i}.png" for i in range(4)]}
    frames = [(0, 0, [(1, PLACED), (0, PLACED), (0, HOLES)]), (0, 1, [(1, PLACED)]), (0, 2, []), (0, 3, [])]
    path = slp(tmp_path / "labels.slp", frames, [listed])
    with h5py.File(path, "r+") as file:
        file["negative_frames"] = np.array([(0, 3)], dtype=[("video_id", "u4"), ("frame_idx", "u8")])
    reading = sleap.read(path, OPTIONS)
    images, known = only(reading)
    assert known.file_names == ("away/0.png", "away/3.png")
    assert known.index.tolist() == [0, 0]
    assert known.groups is None  # image files of one list: nothing says that they belong together
    assert np.array_equal(images[1], np.asarray(picture(3)))
    assert "2 predicted instances set aside" in reading.notes
    assert "2 frames without an instance labelled by hand set aside" in reading.notes


def test_frames_of_a_video_file(tmp_path: Path) -> None:
    (tmp_path / "project" / "videos").mkdir(parents=True)
    (tmp_path / "project" / "labels").mkdir()
    video = cv2.VideoWriter(
        str(tmp_path / "project" / "videos" / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    for i in range(12):
        video.write(np.full((48, 64, 3), (i * 20, 40, 250 - i * 20), dtype=np.uint8))  # blue grows, red fades
    video.release()
    frames = [(0, number, [(0, PLACED)]) for number in (9, 2, 40)]
    told = {"filename": "D:\\mice\\videos\\clip.avi", "grayscale": False}
    reading = sleap.read(slp(tmp_path / "project" / "labels" / "a.slp", frames, [told]), OPTIONS)
    images, known = only(reading)
    assert known.file_names == ("clip.avi/000009", "clip.avi/000002")
    for image, number in zip(images, (9, 2)):
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - (250 - number * 20, 40, number * 20)).max() < 8
    assert "WARNING: 1 labelled frames set aside: D:\\mice\\videos\\clip.avi is not found, or does not hold them" in (
        reading.notes
    )
    folder = images._paths[0].folder.path
    assert folder.is_dir()
    del images, reading
    assert not folder.exists()  # decoded frames go with the last who holds them


def test_images_as_they_are_stored(tmp_path: Path) -> None:
    """Padded rows, red and blue exchanged, plain pixels either way round, grey, a crop, another file."""
    colours = np.asarray(picture(3))
    swapped, grey = encoded(Image.fromarray(colours[:, :, ::-1].copy())), encoded(picture(3).convert("L"))
    with h5py.File(tmp_path / "labels.slp", "w") as file:
        for i, row in enumerate((swapped, swapped, grey)):
            file[f"video{i}/video"] = np.pad(row, (0, 7))[None]
            file[f"video{i}/video"].attrs["format"] = "png"
        file["video1/video"].attrs["channel_order"] = "BGR"
        file["video3/video"] = colours[None]
        file["video4/video"] = (colours.T[None] / 255).astype("f4")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["movie"] = colours[None]
    videos = [{"filename": ".", "dataset": f"video{i}/video"} for i in range(5)]
    videos[4]["input_format"] = "channels_first"
    videos += [{"filename": "/tmp/none/other.h5", "dataset": "/movie"}] * 2
    path = slp(tmp_path / "labels.slp", [(i, 0, [(0, PLACED)]) for i in range(7)], videos)
    with h5py.File(path, "r+") as file:
        file["video_crops"] = np.bytes_(json.dumps([{"video": 6, "crop": [20, 2, 30, 12], "fill": 9}]))
    images, known = only(sleap.read(path, OPTIONS))
    beyond = np.full((10, 10, 3), 9, dtype=np.uint8)
    beyond[:, :4] = colours[2:12, 20:24]
    expected = [colours, colours, np.asarray(picture(3).convert("L")), colours, colours, colours, beyond]
    for image, right in zip(images, expected):
        assert np.abs(image.astype(int) - right).max() <= (1 if right is colours else 0)
    assert known.sizes[6].tolist() == [10, 10]
    assert len(set(known.groups)) == 6  # the crop is of the same video


def test_a_skeleton_is_chosen(tmp_path: Path) -> None:
    other = {"graph": {"name": "bird"}, "nodes": [{"id": 0}, {"id": 1}, {"id": 2}], "links": []}
    path = package(tmp_path / "labels.slp", skeletons=[SKELETON, SKELETON | {"graph": {"name": "vole"}}], owner=1)
    _, both = only(sleap.read(path, OPTIONS))
    assert [c.name for c in both.categories] == ["mouse", "vole"]
    assert both.category_ids.tolist() == [1, 2, 1, 2, 1, 2]
    reading = sleap.read(path, ReadOptions(category="vole"))
    assert len(only(reading)[1]) == 3
    assert "3 instances of other skeletons set aside" in reading.notes
    with pytest.raises(UserError, match=r"has no skeleton 'cat'; there are mouse \(4 nodes, 3 instances\), vole"):
        sleap.read(path, ReadOptions(category="cat"))
    with h5py.File(path, "r+") as file:
        told = json.loads(file["metadata"].attrs["json"])
        told["skeletons"][1] = other
        file["metadata"].attrs["json"] = np.bytes_(json.dumps(told))
        table = file["instances"][:]
        table["point_id_end"] -= table["skeleton"]
        file["instances"][:] = table
    with pytest.raises(UserError, match="its skeletons have different nodes; choose one with --category NAME: mouse"):
        sleap.read(path, OPTIONS)


def test_types_of_links_are_counted_as_they_come(tmp_path: Path) -> None:
    """A symmetry that stands first is what ``py/id`` 1 means from there on."""
    kinds = [{"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [2]}]}, {"py/id": 1}]
    links = [{"source": a, "target": b, "type": kind} for (a, b), kind in zip(((0, 1), (2, 3)), kinds)]
    _, known = only(sleap.read(package(tmp_path / "labels.slp", skeletons=[SKELETON | {"links": links}]), OPTIONS))
    assert known.flip_pairs == ((0, 1), (2, 3))
    assert known.skeleton == ()


def test_splits_of_a_folder(tmp_path: Path) -> None:
    for name in ("labels.train.pkg.slp", "labels.val.pkg.slp"):
        package(tmp_path / name)
    assert set(sleap.read(tmp_path, OPTIONS).splits) == {"train", "val"}
    package(tmp_path / "more.slp")
    with pytest.raises(UserError, match="holds 3 .slp files .*; give one of them, or call them train, val and test"):
        sleap.read(tmp_path, OPTIONS)


def test_what_is_exported_reads_back(tmp_path: Path) -> None:
    made = photographs(tmp_path / "coco", 14, k=17, size=(64, 48), holes=0.2, two=0.4, empty=2)
    told = json.loads(made.read_text())
    for i, image in enumerate(told["images"]):
        image["group"] = f"day/{i % 5}"
    told["annotations"][0]["keypoints"][2] = 1
    made.write_text(json.dumps(told))
    there = formats.read(tmp_path / "coco")
    line = export(None, str(tmp_path / "coco"), tmp_path / "slp", form="slp")
    assert line.endswith("it has no place for that 1 keypoints are hidden, boxes")
    back = formats.read(tmp_path / "slp")
    for name, part in there.splits.items():
        ours, theirs = part.annotations, back.splits[name].annotations
        assert np.array_equal(theirs.keypoints, ours.keypoints)
        assert np.array_equal(theirs.visible > 0, ours.visible > 0)
        assert np.array_equal(theirs.index, ours.index)
        assert np.array_equal(theirs.sizes, ours.sizes)
        assert (theirs.skeleton, theirs.flip_pairs) == (ours.skeleton, ours.flip_pairs)
        assert theirs.categories == ours.categories
        assert [g.replace("day-", "day/") for g in theirs.groups or ()] == list(ours.groups or ())
        assert all(np.array_equal(a, b) for a, b in zip(part.images, back.splits[name].images, strict=True))


def test_no_groups_stay_no_groups(tmp_path: Path) -> None:
    photographs(tmp_path / "coco", 8, size=(32, 24))
    told = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    (tmp_path / "coco" / "images" / "sub").mkdir()
    name = told["images"][0]["file_name"]
    (tmp_path / "coco" / "images" / name).rename(tmp_path / "coco" / "images" / "sub" / name)
    told["images"][0]["file_name"] = f"sub/{name}"
    (tmp_path / "coco" / "annotations.json").write_text(json.dumps(told))
    export(None, str(tmp_path / "coco"), tmp_path / "slp", form="slp")
    back = formats.read(tmp_path / "slp")
    assert all(part.annotations.groups is None for part in back.splits.values())
    assert any("sub-photo0001.png" in part.annotations.file_names for part in back.splits.values())


@pytest.mark.parametrize(
    ("name", "row", "change", "words"),
    [
        ("frames", 1, {"instance_id_end": 9}, "frames: an instance lies in several of them"),
        (
            "frames",
            5,
            {"instance_id_start": 6, "instance_id_end": 7},
            "frames entry 5: holds the instances 6 to 7, and",
        ),
        ("frames", 1, {"video": 7}, "frames entry 1: is of video 7, and there are 1"),
        ("instances", 1, {"skeleton": 3}, "instances entry 1: has an unknown skeleton or type"),
        ("instances", 1, {"point_id_end": 2**40}, "instances entry 1: has the points 4 to 1099511627776 of 24"),
    ],
)
def test_what_is_wrong_is_named(name: str, row: int, change: dict[str, int], words: str, tmp_path: Path) -> None:
    path = package(tmp_path / "labels.slp")
    with h5py.File(path, "r+") as file:
        table = file[name][:]
        for column, value in change.items():
            table[column][row] = value
        file[name][:] = table
    with pytest.raises(UserError) as caught:
        sleap.read(path, OPTIONS)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_images_are_nowhere(tmp_path: Path) -> None:
    path = slp(tmp_path / "labels.slp", [(0, 7, [(0, PLACED)])], [{"filename": "C:\\a\\clip.mp4"}])
    with pytest.raises(
        UserError, match=r"no image for any of its 1 labelled frames, as frame 7 of C:\\a\\clip.mp4; put"
    ):
        sleap.read(path, OPTIONS)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    whole = package(tmp_path / "labels.slp").read_bytes()
    random, said = np.random.default_rng(0), []
    for _ in range(60):
        damaged = bytearray(whole[: random.integers(len(whole))] if random.random() < 0.3 else whole)
        for at in random.integers(max(1, len(damaged)), size=8):
            damaged[at : at + 1] = bytes([random.integers(256)])
        (tmp_path / "labels.slp").write_bytes(damaged)
        try:
            images, _ = only(sleap.read(tmp_path / "labels.slp", OPTIONS))
            list(images)
        except UserError as error:
            said.append(str(error))
    assert len(said) > 20
    assert not any("\n" in words for words in said)


def test_nothing_outside_a_file_and_nothing_huge_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\1" * 64)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.arange(3)
    with h5py.File(tmp_path / "made.h5", "w") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/data")
        file.create_dataset("raw", (64,), dtype="u1", external=[(str(tmp_path / "secret.bin"), 0, 64)])
        layout = h5py.VirtualLayout((3,), dtype=int)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("bomb", (1 << 40,), dtype="u1", chunks=(1 << 20,), compression="gzip")
        file["fine"] = np.arange(3)
    with Hdf5(tmp_path / "made.h5") as opened:
        for name in ("linked", "raw", "virtual"):
            with pytest.raises(UserError, match="lies in another file, which is not read"):
                opened.array(name)
        with pytest.raises(UserError, match="says it has 1,099,511,627,776 bytes, of which 0 are stored"):
            opened.array("bomb")
        assert opened.array("fine").tolist() == [0, 1, 2]


def test_a_pointer_to_a_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "labels.slp").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UserError, match="it is a Git LFS pointer: git lfs pull fetches it"):
        formats.read(tmp_path)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = package(tmp_path / "labels.slp")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="labels.slp: this needs the package h5py; pip install h5py"):
        formats.read(path)
