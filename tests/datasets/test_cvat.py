"""CVAT exports: images and videos, skeletons and single points, visibility, boxes, subsets, hostile XML."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.structures import Annotations, UserError
from datasets import formats
from datasets.dataset import Dataset
from datasets.formats.reading import ReadOptions

WIDTH, HEIGHT = 40, 20
SVG = html.escape(
    '<line data-type="edge" data-node-from="2" data-node-to="1"></line>'
    '<circle data-node-id="1" data-label-name="nose"></circle><circle data-node-id="2" data-label-name="tail"></circle>'
)
SKELETON = f"""<label><name>cow</name><type>skeleton</type><svg>{SVG}</svg></label>
<label><name>nose</name><type>points</type><parent>cow</parent></label>
<label><name>tail</name><type>points</type><parent>cow</parent></label>"""


def meta(labels: str = SKELETON, *, name: str = "farm", mode: str = "annotation", more: str = "") -> str:
    return (
        f"<version>1.1</version><meta><task><id>4</id><name>{name}</name><mode>{mode}</mode><labels>{labels}</labels>"
        f"{more}</task></meta>"
    )


def element(label: str, x: float, y: float, *, outside: int = 0, occluded: int = 0, more: str = "") -> str:
    return f'<points label="{label}" outside="{outside}" occluded="{occluded}" points="{x},{y}" {more}></points>'


def cow(*elements: str, more: str = "") -> str:
    return f'<skeleton label="cow" source="manual" z_order="0" {more}>{"".join(elements)}</skeleton>'


def box(label: str, left: float, top: float, right: float, bottom: float, more: str = "") -> str:
    return f'<box label="{label}" occluded="0" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" {more}></box>'


def image(i: int, *shapes: str, name: str = "", more: str = "") -> str:
    name = name or f"{i}.png"
    return f'<image id="{i}" name="{name}" {more} width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'


def pictures(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (i * 7 % 256, 50, len(str(folder)) * 3 % 256)).save(folder / name)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?><annotations>{text}</annotations>')
    return folder


def made(folder: Path, shapes: Callable[[int], str], *, labels: str = SKELETON, count: int = 6) -> Path:
    """Images and an export of as many."""
    pictures(folder / "images", *(f"{i}.png" for i in range(count)))
    return written(folder, meta(labels) + "".join(image(i, shapes(i)) for i in range(count)))


def found(data: Dataset, file: str) -> tuple[Annotations, int]:
    return next(
        (part.annotations, part.annotations.file_names.index(file))
        for part in data.splits.values()
        if file in part.annotations.file_names
    )


def instances(data: Dataset, file: str) -> list[list[list[float]]]:
    """The keypoints of an image as x, y, v."""
    known, i = found(data, file)
    rows = np.flatnonzero(known.index == i)
    return [[[*xy, v] for xy, v in zip(known.keypoints[r].tolist(), known.visible[r].tolist())] for r in rows]


def names(data: Dataset) -> list[str]:
    return sorted(name for part in data.splits.values() for name in part.annotations.file_names)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_convention_positions_count_from_the_edge(what: str, tmp_path: Path) -> None:
    """A point in the middle of the first pixel is at .5, .5 there, and at 0, 0 where its centre is an integer."""

    def shapes(i: int) -> str:
        return cow(element("tail", 3.25, 7, occluded=1), element("nose", 0.5, 0.5))

    folder = made(tmp_path, shapes)
    assert formats.is_data_set(folder)
    data = formats.read(folder if what == "folder" else folder / "annotations.xml")
    assert instances(data, "images/2.png") == [[[0.0, 0.0, 2], [2.75, 6.5, 1]]]
    known = data.train.annotations
    assert known.keypoint_names == ("nose", "tail")
    assert known.skeleton == ((1, 0),)
    assert known.categories[0].name == "cow"
    assert known.groups is None
    assert "positions count from the image's edge: a keypoint is at x - .5 px" in data.notes


def test_outside_is_not_labelled_and_occluded_is_hidden(tmp_path: Path) -> None:
    def shapes(i: int) -> str:
        two = cow(element("nose", 9, 9, outside=1), element("tail", 8, 8)) + cow(
            element("nose", 5, 5), more='occluded="1"'
        )
        return "" if i == 5 else two

    data = formats.read(made(tmp_path, shapes))
    assert instances(data, "images/0.png") == [[[0, 0, 0], [7.5, 7.5, 2]], [[4.5, 4.5, 1], [0, 0, 0]]]
    assert instances(data, "images/5.png") == []
    gone = made(tmp_path / "gone", lambda i: cow(element("nose", 9, 9, outside=int(i == 0))))
    assert instances(formats.read(gone), "images/0.png") == []


def test_a_box_is_a_skeletons_by_group_or_by_what_it_holds(tmp_path: Path) -> None:
    def shapes(i: int) -> str:
        apart = cow(element("nose", 5, 5), element("tail", 8, 8)) + cow(element("nose", 30, 5))
        boxes = box("body", 2, 2, 12, 18) + box("body", 25, 2, 39, 18) + box("gate", 14, 0, 20, 20)
        if i:
            return apart + boxes
        grouped = apart.replace("<skeleton", '<skeleton group_id="3"', 1)
        return grouped + box("body", 0, 0, 40, 20, 'group_id="3"')  # around both, and grouped with one

    data = formats.read(made(tmp_path, shapes))
    known, i = found(data, "images/3.png")
    assert known.boxes[known.index == i].tolist() == [[2, 2, 10, 16], [25, 2, 14, 16]]
    known, i = found(data, "images/0.png")
    assert known.boxes[known.index == i].tolist() == [[0, 0, 40, 20], [26.5, 1.5, 6, 6]]
    assert "5 boxes whose label never has a point set aside" in data.notes


def test_single_points_are_keypoints(tmp_path: Path) -> None:
    labels = "<label><name>tail</name></label><label><name>nose</name></label><label><name>cow</name></label>"

    def single(label: str, x: float, more: str = "") -> str:
        return f'<points label="{label}" occluded="0" points="{x},5.50" {more}></points>'

    def grouped(i: int) -> str:
        return single("nose", 5, 'group_id="1"') + single("nose", 9, 'group_id="2"') + single("tail", 7, 'group_id="2"')

    def boxed(i: int) -> str:
        return single("nose", 5) + single("nose", 30) + box("cow", 0, 0, 20, 20) + box("cow", 20, 0, 40, 20)

    def alone(i: int) -> str:
        return single("nose", 5) + single("tail", 7)

    data = formats.read(made(tmp_path / "grouped", grouped, labels=labels))
    assert instances(data, "images/0.png") == [[[0, 0, 0], [4.5, 5, 2]], [[6.5, 5, 2], [8.5, 5, 2]]]
    data = formats.read(made(tmp_path / "boxed", boxed, labels=labels))
    assert instances(data, "images/0.png") == [[[4.5, 5, 2]], [[29.5, 5, 2]]]
    assert data.train.annotations.categories[0].name == "cow"
    data = formats.read(made(tmp_path / "alone", alone, labels=labels))
    assert instances(data, "images/0.png") == [[[6.5, 5, 2], [4.5, 5, 2]]]
    assert data.train.annotations.keypoint_names == ("tail", "nose")  # as the file lists its labels
    assert any(note.startswith("6 images: all points of an image are one instance") for note in data.notes)


def test_shapes_of_several_points_are_instances(tmp_path: Path) -> None:
    def shapes(i: int) -> str:
        return f'<points label="face" occluded="0" points="{"1,2;3,4;5,6" if i else "1,2;3,4"}"></points>'

    data = formats.read(made(tmp_path, shapes))
    assert data.train.annotations.keypoint_names == ("keypoint1", "keypoint2", "keypoint3")
    assert instances(data, "images/1.png") == [[[0.5, 1.5, 2], [2.5, 3.5, 2], [4.5, 5.5, 2]]]
    assert "1 shapes with another number of points than the others of their label set aside" in data.notes
    with pytest.raises(UserError, match=r"shapes of 'face' have other numbers of points \(3 of 2, 3 of 3\)"):
        formats.read(
            made(
                tmp_path / "half",
                lambda i: f'<points label="face" occluded="0" points="1,2;3,4{";5,6" * (i % 2)}"></points>',
            )
        )


def test_several_skeletons_are_chosen_from(tmp_path: Path) -> None:
    labels = SKELETON + SKELETON.replace("cow", "hen").replace("tail", "beak")

    def shapes(i: int) -> str:
        hen = '<skeleton label="hen">' + element("nose", 3, 3) + element("beak", 4, 4) + "</skeleton>"
        return cow(element("nose", 5, 5), element("tail", 8, 8)) + hen

    folder = made(tmp_path, shapes, labels=labels)
    with pytest.raises(UserError, match=r"choose one with --category NAME: cow \(2 keypoints, 6 annot.*\), hen \(2"):
        formats.read(folder)
    data = formats.read(folder, options=ReadOptions(category="hen"))
    assert data.train.annotations.keypoint_names == ("nose", "beak")
    assert instances(data, "images/0.png") == [[[2.5, 2.5, 2], [3.5, 3.5, 2]]]


def test_subsets_are_splits_and_frames_of_videos_are_groups(tmp_path: Path) -> None:
    pictures(tmp_path / "images", *(f"{part}/{i}.png" for part in ("Train", "Validation", "Test") for i in range(4)))
    tasks = "".join(f"<task><id>{i}</id><name>t{i}</name><mode>{m}</mode></task>" for i, m in enumerate(MODES))
    about = f"<version>1.1</version><meta><project><name>p</name><tasks>{tasks}</tasks><labels>{SKELETON}</labels></project></meta>"
    listed = "".join(
        image(i, cow(element("nose", 5, 5)), more=f'subset="{part}" task_id="{t}"')
        for t, part in enumerate(("Train", "Validation", "Test"))
        for i in range(4)
    )
    data = formats.read(written(tmp_path, about + listed))
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 4, "val": 4, "test": 4}
    assert names(data)[:2] == ["images/Test/0.png", "images/Test/1.png"]
    assert data.train.annotations.groups == ("t0",) * 4
    assert data.val.annotations.groups is not None
    assert data.val.annotations.groups[1] == "images/Validation/1.png"
    (tmp_path / "images" / "Test").rename(tmp_path / "images" / "Barn")
    other = formats.read(written(tmp_path, about + listed.replace('subset="Test"', 'subset="Barn"')))
    assert "3 subsets or files ('Train', 'Validation', 'Barn') are not train, validation and test" in " ".join(
        other.notes
    )
    two = formats.read(written(tmp_path, about + listed[: listed.index('<image id="0" name="0.png" subset="Test"')]))
    assert {name: len(part) for name, part in two.splits.items()} == {"train": 3, "val": 1, "test": 4}
    assert any(note.startswith("WARNING: 1 group cannot be divided into train and val") for note in two.notes)


MODES = ("interpolation", "annotation", "annotation")


def track(label: str, *shapes: str, number: int = 0) -> str:
    return f'<track id="{number}" label="{label}" source="manual">{"".join(shapes)}</track>'


def at(frame: int, keyframe: int, x: float, *, outside: int = 0) -> str:
    more = f'keyframe="{keyframe}"'
    inner = element("nose", x, 5, outside=outside, more=more) + element("tail", x, 9, outside=outside, more=more)
    return f'<skeleton frame="{frame}" keyframe="{keyframe}" z_order="0">{inner}</skeleton>'


def video(folder: Path, *tracks: str, size: str = f"<width>{WIDTH}</width><height>{HEIGHT}</height>") -> Path:
    pictures(folder / "images", *(f"frame_{i:06d}.PNG" for i in range(12)))
    return written(folder, meta(mode="interpolation", more=f"<original_size>{size}</original_size>") + "".join(tracks))


def test_of_a_video_the_frames_are_read_that_somebody_labelled(tmp_path: Path) -> None:
    """Frames 1, 3, 7 have a key; in 3 the second cow is interpolated, and belongs to the picture all the same."""
    one = track("cow", at(0, 0, 3), at(1, 1, 4), at(2, 0, 5), at(3, 1, 6), at(4, 0, 7), at(5, 1, 8, outside=1))
    two = track("cow", at(3, 0, 16), at(4, 0, 17), at(7, 1, 19), number=1)
    data = formats.read(video(tmp_path, one, two))
    assert names(data) == [f"images/frame_{i:06d}.PNG" for i in (1, 3, 7)]
    assert instances(data, "images/frame_000003.PNG") == [
        [[5.5, 4.5, 2], [5.5, 8.5, 2]],
        [[15.5, 4.5, 2], [15.5, 8.5, 2]],
    ]
    assert instances(data, "images/frame_000007.PNG") == [[[18.5, 4.5, 2], [18.5, 8.5, 2]]]
    said = "\n".join(data.notes)
    assert "3 frames without a point that somebody placed (interpolation alone) set aside" in said
    assert "2 points of frames that are read are interpolated" in said
    assert "WARNING: 1 group cannot be divided" in said


def test_earlier_versions_keep_elements_in_tracks_of_their_own(tmp_path: Path) -> None:
    def inner(label: str, y: int) -> str:
        points = "".join(
            f'<points frame="{i}" outside="{int(i == 9 and label == "tail")}" occluded="{int(i == 8)}" keyframe="1" '
            f'points="{i},{y}" z_order="0"></points>'
            for i in range(6, 10)
        )
        return f'<track id="0" label="{label}" source="manual">{points}</track>'

    frames = "".join(
        f'<skeleton frame="{i}" outside="0" occluded="0" keyframe="1" points="1,1;2,2"/>' for i in range(6, 10)
    )
    data = formats.read(video(tmp_path, track("cow", frames, inner("nose", 3), inner("tail", 5))))
    assert instances(data, "images/frame_000006.PNG") == [[[5.5, 2.5, 2], [5.5, 4.5, 2]]]
    assert instances(data, "images/frame_000008.PNG") == [[[7.5, 2.5, 1], [7.5, 4.5, 1]]]
    assert instances(data, "images/frame_000009.PNG") == [[[8.5, 2.5, 2], [0, 0, 0]]]


def test_several_exports_in_one_folder(tmp_path: Path) -> None:
    for i, task in enumerate(("barn", "field", "yard")):
        folder = tmp_path / task
        folder.mkdir()
        pictures(folder / "images", *(f"frame_{j:06d}.png" for j in range(2)))
        listed = "".join(image(j, cow(element("nose", 5 + i, 5)), name=f"frame_{j:06d}") for j in range(2))
        written(folder, meta(name=task, mode="interpolation") + listed)
    data = formats.read(tmp_path)
    assert len(names(data)) == 6
    assert instances(data, "yard/images/frame_000001.png") == [[[6.5, 4.5, 2], [0, 0, 0]]]
    assert sorted(group for part in data.splits.values() for group in set(part.annotations.groups or ())) == [
        "barn",
        "field",
        "yard",
    ]
    (tmp_path / "barn").rename(tmp_path / "train")
    (tmp_path / "field").rename(tmp_path / "test")
    (tmp_path / "yard").rename(tmp_path / "val")
    assert [part.annotations.groups for part in formats.read(tmp_path).splits.values()] == [
        ("barn", "barn"),
        ("yard", "yard"),
        ("field", "field"),
    ]


def test_missing_images_are_set_aside_where_they_are_few(tmp_path: Path) -> None:
    folder = made(tmp_path, lambda i: cow(element("nose", 5, 5)), count=8)
    (folder / "images" / "3.png").unlink()
    data = formats.read(folder)
    assert len(names(data)) == 7
    assert "WARNING: 1 of 8 images are missing and set aside, as 3.png" in data.notes
    for i in range(3):
        (folder / "images" / f"{i}.png").unlink()
    with pytest.raises(UserError, match=r"there is no file 0.png in .*; 4 of 8 images are missing"):
        formats.read(folder)


ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ('<points label="nose" points="1,x"/>', "image '0.png': points 'nose': a point is '1,x' where two numbers x,y"),
        ('<points label="nose" points="1,nan"/>', "a point is '1,nan' where two numbers"),
        (cow(element("nose", 1, 2), element("nose", 1, 2)), "skeleton 'cow': its element 'nose' is there twice"),
        (cow('<points label="nose" points="1,2;3,4"/>'), "its element 'nose' has 2 points where one was expected"),
        (
            box("body", 9, 9, 1, 1) + cow(element("nose", 1, 2)),
            "its right bottom corner lies left of or above the other",
        ),
        ('<box label="body" xtl="1" ytl="2" xbr="3"/>', "box 'body': ybr is '' where a number was expected"),
        ("<skeleton>", "annotations.xml: is not XML (mismatched tag: line 3, column "),
        ("&b;", "annotations.xml: is not XML (undefined entity"),
    ],
)
def test_what_is_wrong_is_named(shapes: str, words: str, tmp_path: Path) -> None:
    folder = made(tmp_path, lambda i: shapes)
    with pytest.raises(UserError) as caught:
        formats.read(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_document_type_a_zip_file_and_two_videos_are_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "doctype", lambda i: cow(element("nose", 1, 2)))
    text = (folder / "annotations.xml").read_text()
    for declared in (ENTITIES, '<!DOCTYPE annotations SYSTEM "file:///etc/passwd">'):
        (folder / "annotations.xml").write_text(text.replace("<annotations>", f"{declared}<annotations>"))
        with pytest.raises(UserError, match="declares a document type"):
            formats.read(folder)
    (tmp_path / "export.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="export.zip: is a zip file; unpack it, and give the folder"):
        formats.read(tmp_path / "export.zip")
    tracks = [track("cow", at(1, 1, 4)).replace("<track", f'<track task_id="{i}"') for i in range(2)]
    with pytest.raises(UserError, match="holds the frames of several tasks, whose names are not in it"):
        formats.read(video(tmp_path / "two", *tracks))
    with pytest.raises(UserError, match=r"frame 1: width is '' where a number was expected"):
        formats.read(video(tmp_path / "sizes", track("cow", at(1, 1, 4)), size=""))


def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """Any part of the text replaced by something else: a data set, or a UserError of one line; nothing else."""
    whole = made(tmp_path / "a", lambda i: cow(element("nose", 5, 5), more='group_id="1"') + box("body", 0, 0, 9, 9))
    frames = video(tmp_path / "b", *(track("cow", at(i, 1, 4)) for i in range(6)))

    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from([whole, frames]),
        st.integers(0, 2000),
        st.integers(0, 60),
        st.sampled_from(
            ["", " ", '"', "<", ">", "0", "-1", "1e999", "nan", "é", "<track>", "</image>", '" frame="0', ";"]
        ),
    )
    def damaged(folder: Path, start: int, length: int, other: str) -> None:
        text = (folder / "annotations.xml").read_text()
        start = 120 + start % (len(text) - 120)
        (folder / "other.xml").write_text(text[:start] + other + text[start + length :])
        said = ""
        try:
            formats.read(folder / "other.xml")
        except UserError as error:
            said = str(error)
        assert "\n" not in said

    damaged()
