"""DeepLabCut and lightning-pose tables: headers of three and four rows, one and three index columns, holes, videos."""

from __future__ import annotations

import json
import lzma
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pytest
import yaml
from photographs import photographs
from PIL import Image

from benchmark.structures import UserError
from datasets import formats
from datasets.formats import deeplabcut
from datasets.formats.reading import ReadOptions
from datasets.load import export

HEAD = "scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"


def frames(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (32, 24), (i * 9, 80, len(folder.name) * 5)).save(folder / f"img{i}.png")
    return [f"img{i}.png" for i in range(count)]


def project(root: Path) -> Path:
    """Two videos of four frames; the nose of frame 1 is not labelled, frame 2 has nothing."""
    for video in ("cage", "field"):
        names = frames(root / "labeled-data" / video, 4)
        rows = ["1.5,2,3,4", ",,5,6", ",,,", "7,8,9,10.25"]
        lines = [f"labeled-data/{video}/{name},{row}" for name, row in zip(names, rows)]
        (root / "labeled-data" / video / "CollectedData_me.csv").write_text(HEAD + "\n".join(lines) + "\n")
    (root / "config.yaml").write_text("Task: mice\nskeleton:\n- [nose, tail]\nbodyparts: [nose, tail]\n")
    return root


def test_a_project_of_two_videos(tmp_path: Path) -> None:
    """An integer is the centre of its pixel there, too, so coordinates stay as they are."""
    data = formats.read(project(tmp_path / "mice"))
    parts = [part.annotations for part in data.splits.values()]
    assert sum(map(len, parts)) == 8
    assert parts[0].groups is None
    assert any(note.startswith("WARNING: 2 groups cannot be divided into train, val and test") for note in data.notes)
    assert parts[0].keypoint_names == ("nose", "tail")
    assert parts[0].skeleton == ((0, 1),)
    found = {
        one.file_names[i]: (one.keypoints[row].tolist(), one.visible[row].tolist())
        for one in parts
        for row, i in enumerate(one.index.tolist())
    }
    assert found["cage/img0.png"] == ([[1.5, 2.0], [3.0, 4.0]], [2, 2])
    assert found["field/img1.png"] == ([[0.0, 0.0], [5.0, 6.0]], [0, 2])
    assert found["field/img3.png"][0][1] == [9.0, 10.25]
    assert "cage/img2.png" not in found
    assert "2 frames without a labelled point: they hold no instance" in data.notes


def test_videos_stay_whole(tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    for video in ("yard", "barn"):
        names = frames(root / "labeled-data" / video, 2)
        lines = [f"labeled-data,{video},{name},1,2,3,4" for name in names]
        head = HEAD.replace("scorer", "scorer,,").replace("bodyparts", "bodyparts,,").replace("coords", "coords,,")
        (root / "labeled-data" / video / "CollectedData_me.csv").write_text(head + "\n".join(lines))
    owners = [set(part.annotations.groups or ()) for part in formats.read(root).splits.values()]
    assert sum(map(len, owners)) == 4


@pytest.mark.parametrize("what", ["folder", "table"])
def test_one_video_alone(what: str, tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    video = root / "labeled-data" / "cage"
    path = video if what == "folder" else video / "CollectedData_me.csv"
    assert sum(len(part) for part in formats.read(path).splits.values()) == 4
    (video / "CollectedData_me.h5").write_bytes(b"not looked at where the CSV is there")
    assert sum(len(part) for part in formats.read(video).splits.values()) == 4


def test_a_lightning_pose_table_at_the_top(tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    lines = []
    for video in ("cage", "field", "yard"):
        if video == "yard":
            frames(root / "labeled-data" / video, 2)
        else:
            (root / "labeled-data" / video / "CollectedData_me.csv").unlink()
        lines += [f"labeled-data/{video}/img{i}.png,{i},2,3,4" for i in range(2)]
    (root / "CollectedData.csv").write_text(HEAD + "\n".join(lines))
    data = formats.read(root)
    assert sum(len(part) for part in data.splits.values()) == 6
    assert sorted(group for part in data.splits.values() for group in set(part.annotations.groups or ())) == [
        "cage",
        "field",
        "yard",
    ]


def test_several_animals_are_several_instances(tmp_path: Path) -> None:
    root = tmp_path / "two"
    for video in ("a", "b", "c"):
        names = frames(root / "labeled-data" / video, 2)
        head = "scorer,me,me,me,me\nindividuals,m1,m1,m2,m2\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n"
        lines = [f"labeled-data/{video}/{name},1,2,{'11,12' if i else ','}" for i, name in enumerate(names)]
        (root / "labeled-data" / video / "CollectedData_me.csv").write_text(head + "\n".join(lines))
    parts = [part.annotations for part in formats.read(root).splits.values()]
    assert sum(len(one.index) for one in parts) == 9
    (two,) = {tuple(map(tuple, one.keypoints[one.index == 1][:, 0].tolist())) for one in parts}
    assert two == ((1.0, 2.0), (11.0, 12.0))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    table = root / "labeled-data" / "cage" / "CollectedData_me.csv"
    good = table.read_text()
    table.write_text(good.replace("7,8,9", "7,far,9"))
    with pytest.raises(UserError, match="CollectedData_me.csv: row 3 of the frames: nose is 'far' where a number"):
        formats.read(root)
    table.write_text(good.replace("img3.png", "img9.png"))
    with pytest.raises(UserError, match="row 3 of the frames: there is no image labeled-data/cage/img9.png"):
        formats.read(root)


def h5_beside(folder: Path, name: str) -> Path:
    """A table that pandas 3.1 wrote with PyTables 3.11: 0, 1, 2, 3; nan, nan, 6, 7; 8 to 11; a second animal has 100 more."""
    (folder / "CollectedData_me.csv").unlink(missing_ok=True)
    packed = Path(__file__).with_name("pandas_tables") / f"{name}.h5.xz"
    (folder / "CollectedData_me.h5").write_bytes(lzma.decompress(packed.read_bytes()))
    return folder


@pytest.mark.parametrize("layout", ["three_fixed", "one_table", "multi_fixed"])
def test_an_h5_without_its_csv(layout: str, tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    (known,) = (
        one
        for _, one in deeplabcut.read(h5_beside(root / "labeled-data" / "cage", layout), ReadOptions()).splits.values()
    )
    animals = 2 if layout == "multi_fixed" else 1
    assert known.file_names == ("cage/img0.png", "cage/img1.png", "cage/img2.png")
    assert known.keypoint_names == ("nose", "tail")
    assert known.index.tolist() == [i for i in range(3) for _ in range(animals)]
    assert known.keypoints[::animals].tolist() == [[[0, 1], [2, 3]], [[0, 0], [6, 7]], [[8, 9], [10, 11]]]
    assert known.visible[::animals].tolist() == [[2, 2], [0, 2], [2, 2]]
    if animals == 2:
        assert known.keypoints[1].tolist() == [[100, 101], [102, 103]]
    assert known.skeleton == ((0, 1),)


def test_an_h5_runs_no_code(tmp_path: Path) -> None:
    """What pandas would unpickle is not: a pickle that names a function is refused, and so are objects for numbers."""
    folder = h5_beside(project(tmp_path / "mice") / "labeled-data" / "cage", "one_table")
    with h5py.File(folder / "CollectedData_me.h5", "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(b"cbuiltins\nprint\n(Vran\ntR.")
    with pytest.raises(UserError, match="it names builtins.print"):
        formats.read(folder)
    h5_beside(folder, "three_fixed")
    with h5py.File(folder / "CollectedData_me.h5", "r+") as file:
        del file["df_with_missing/axis1_level2"]
        file["df_with_missing/axis1_level2"] = [b"a.png"]
    with pytest.raises(UserError, match="df_with_missing is no table of pandas that can be read .*; give its CSV"):
        formats.read(folder)
    (folder / "CollectedData_me.h5").write_bytes(b"\x89HDF\r\n\x1a\n and then nothing")
    with pytest.raises(UserError, match="CollectedData_me.h5: is no HDF5 file, or a damaged one"):
        formats.read(folder)


def test_what_is_no_animal_is_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "two"
    names = frames(root / "labeled-data" / "a", 3)
    head = "scorer,me,me,me,me,me,me\nindividuals,m1,m1,m2,m2,single,single\n"
    head += "bodyparts,nose,nose,nose,nose,corner,corner\ncoords,x,y,x,y,x,y\n"
    lines = [f"labeled-data/a/{name},1,2,,,20,21" for name in names]
    (root / "labeled-data" / "a" / "CollectedData_me.csv").write_text(head + "\n".join(lines))
    reading = deeplabcut.read(root, ReadOptions())
    (_, known) = reading.splits["all"]
    assert known.keypoint_names == ("nose",)
    assert known.keypoints.tolist() == [[[1, 2]]] * 3
    assert any("1 bodyparts of no animal (individual 'single') set aside" in note for note in reading.notes)
    (_, known) = deeplabcut.read(root, ReadOptions(category="single")).splits["all"]
    assert known.keypoint_names == ("corner",)
    assert known.keypoints.tolist() == [[[20, 21]]] * 3
    with pytest.raises(UserError, match="has no category 'cat'; there is animal, single"):
        deeplabcut.read(root, ReadOptions(category="cat"))


def test_views_of_one_moment_are_one_group(tmp_path: Path) -> None:
    """A lightning-pose data set of two cameras: a frame seen from above must not be learned from to answer its side view."""
    for view in ("top", "side"):
        lines = []
        for session in ("s1", "s2", "s3"):
            names = frames(tmp_path / "labeled-data" / f"{session}_{view}", 2)
            lines += [f"labeled-data/{session}_{view}/{name},1,2,3,4" for name in names]
        (tmp_path / f"CollectedData_{view}.csv").write_text(HEAD + "\n".join(lines))
    data = formats.read(tmp_path)
    owners = [set(part.annotations.groups or ()) for part in data.splits.values()]
    assert sorted(group for own in owners for group in own) == ["s1", "s2", "s3"]
    assert [len(part) for part in data.splits.values()] == [4, 4, 4]


def test_sigmas_that_were_asked_for(tmp_path: Path) -> None:
    root = project(tmp_path / "mice")
    (tmp_path / "sigmas.json").write_text('{"tail": 0.2, "nose": 0.1}')
    data = formats.read(root, options=ReadOptions(sigmas=str(tmp_path / "sigmas.json")))
    assert data.train.annotations.sigmas.tolist() == [0.1, 0.2]


@pytest.mark.parametrize("two", [0.0, 0.5])
def test_what_is_exported_reads_back(two: float, tmp_path: Path) -> None:
    made = photographs(tmp_path / "coco", 10, k=4, size=(64, 48), holes=0.2, two=two, empty=1)
    told = json.loads(made.read_text())
    for i, image in enumerate(told["images"]):
        image["group"] = ("a/b", "a-b", "c")[i % 3]
    made.write_text(json.dumps(told))
    there = formats.read(tmp_path / "coco")
    line = export(None, str(tmp_path / "coco"), tmp_path / "dlc", form="dlc")
    assert line.endswith("images; it has no place for which images are train, val and test, boxes")
    config = yaml.safe_load((tmp_path / "dlc" / "config.yaml").read_text())
    assert config["multianimalproject"] is bool(two)
    images, back = deeplabcut.read(tmp_path / "dlc", ReadOptions()).splits["all"]
    assert set(back.groups or ()) == {"a-b", "a-b-2", "c"}
    assert back.skeleton == there.train.annotations.skeleton
    of = {PurePosixPath(name).stem: i for i, name in enumerate(back.file_names)}
    assert len(of) == 10
    for part in there.splits.values():
        one = part.annotations
        for i, name in enumerate(one.file_names):
            at = of[PurePosixPath(name).stem]
            assert np.array_equal(images[at], part.images[i])
            assert np.array_equal(back.keypoints[back.index == at], one.keypoints[one.index == i])
            assert np.array_equal(back.visible[back.index == at], one.visible[one.index == i])
