"""DeepLabCut and lightning-pose tables: headers of three and four rows, one and three index columns, holes, videos."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmark.structures import UserError
from datasets import formats

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
