"""YOLO-pose data sets: positions from the image's edge, visibilities, classes, flips; what is written reads back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from photographs import photographs
from PIL import Image

from benchmark.structures import UserError
from datasets import formats
from datasets.formats.reading import ReadOptions
from datasets.load import export

WIDTH, HEIGHT = 40, 20


def made(folder: Path, *, numbers: int = 3, line: str | None = None, told: dict[str, object] | None = None) -> Path:
    """Six images, four of them train; one instance with two keypoints in each but the last."""
    for i in range(6):
        part = "train" if i < 4 else "val"
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (i, 50, 50)).save(folder / "images" / part / f"{i}.jpg")
        row = line or ("0 0.5 0.5 0.5 0.5 0.25 0.5 2 0 0 0" if numbers == 3 else "0 0.5 0.5 0.5 0.5 0.25 0.5 0 0")
        if i < 5:
            (folder / "labels" / part / f"{i}.txt").write_text(row + "\n")
    content = {
        "path": ".",
        "train": "images/train",
        "val": "images/val",
        "names": {0: "fish"},
        "kpt_shape": [2, numbers],
    }
    (folder / "data.yaml").write_text(yaml.safe_dump({**content, **(told or {})}))
    return folder


@pytest.mark.parametrize("numbers", [2, 3])
@pytest.mark.parametrize("file", [False, True])
def test_positions_are_shares_from_the_edge(numbers: int, file: bool, tmp_path: Path) -> None:
    """A quarter of 40 px from the edge is 10 px, which in pixels whose centres are integers is 9.5."""
    folder = made(tmp_path, numbers=numbers)
    data = formats.read(folder / "data.yaml" if file else folder)
    assert [len(part) for part in data.splits.values()] == [3, 1, 2]  # val is the test split, a fifth of train is val
    known = data.train.annotations
    assert known.keypoints[0].tolist() == [[9.5, 9.5], [0.0, 0.0]]
    assert known.visible[0].tolist() == [2, 0]
    assert known.boxes[0].tolist() == [10.0, 5.0, 20.0, 10.0]
    assert data.test.annotations.index.tolist() == [0]
    assert "1 images without a label file: they hold no instance" in data.notes
    assert any(note.startswith("positions are shares counted from the image's edge") for note in data.notes)


def test_a_mirror_s_partners_and_names_and_lists_of_files(tmp_path: Path) -> None:
    folder = made(tmp_path, told={"flip_idx": [1, 0], "kpt_names": {0: ["l", "r"]}, "train": "train.txt"})
    (folder / "train.txt").write_text("./images/train/0.jpg\n./images/train/1.jpg\n\n./images/train/2.jpg\n")
    data = formats.read(folder)
    assert data.train.annotations.flip_pairs == ((0, 1),)
    assert data.train.annotations.keypoint_names == ("l", "r")
    assert len(data.train) + len(data.val) == 3


@pytest.mark.parametrize(
    ("line", "told", "words"),
    [
        ("0 0.5 0.5", {}, "0.txt: line 1: has 3 numbers where 11 were expected"),
        ("3 0.5 0.5 0.5 0.5 0 0 0 0 0 0", {}, "0.txt: line 1: class 3 is not among names"),
        ("0 0.5 0.5 0.5 0.5 0 0 7 0 0 0", {}, "0.txt: line 1: a visibility is 0, 1 or 2"),
        ("0 x 0.5 0.5 0.5 0 0 0 0 0 0", {}, "0.txt: line 1: could not convert"),
        (None, {"kpt_shape": [2]}, "kpt_shape is [2]; write [K, 2] or [K, 3]"),
        (None, {"train": "nowhere"}, "names the images 'nowhere', and there is no"),
        (None, {"flip_idx": [1, 1]}, "flip_idx is [1, 1]; give each of 0 to 1 once"),
    ],
)
def test_what_is_wrong_is_named(line: str | None, told: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        formats.read(made(tmp_path, line=line, told=told))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_is_chosen(tmp_path: Path) -> None:
    folder = made(tmp_path, told={"names": ["fish", "bird"]})
    with (folder / "labels" / "train" / "0.txt").open("a") as file:
        file.write("1 0.5 0.5 0.5 0.5 0.75 0.5 2 0 0 0\n")
    both = formats.read(folder)
    assert len(both.train.annotations.index) + len(both.val.annotations.index) == 5
    fish = formats.read(folder, options=ReadOptions(category="fish"))
    assert "1 instances of other classes set aside" in fish.notes
    with pytest.raises(UserError, match="has no class 'cat'; there are fish, bird"):
        formats.read(folder, options=ReadOptions(category="cat"))


def test_what_is_exported_reads_back(tmp_path: Path) -> None:
    photographs(tmp_path / "coco", 12, k=17, size=(64, 48), holes=0.2, two=0.4, empty=1)
    there = formats.read(tmp_path / "coco")
    assert "8 left/right pairs inferred" in " ".join(there.notes)
    assert export(None, str(tmp_path / "coco"), tmp_path / "yolo", form="yolo-pose").startswith("coco as yolo-pose: ")
    back = formats.read(tmp_path / "yolo")
    for name, part in there.splits.items():
        theirs, order = back.splits[name].annotations, np.argsort(part.annotations.file_names)
        ours = part.annotations.take(order)
        assert [n.replace(".png", ".jpg") for n in theirs.file_names] == list(ours.file_names)
        assert theirs.keypoint_names == ours.keypoint_names
        assert theirs.flip_pairs == ours.flip_pairs
        assert np.array_equal(theirs.visible, ours.visible)
        known = ours.visible > 0
        np.testing.assert_allclose(theirs.keypoints[known], ours.keypoints[known], atol=1e-10)
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1e-10)
        for i, at in enumerate(order.tolist()):
            assert np.array_equal(back.splits[name].images[i], part.images[at])


def test_an_unknown_format_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown format 'yolo'"):
        export(None, "tiny", tmp_path / "out", form="yolo")
