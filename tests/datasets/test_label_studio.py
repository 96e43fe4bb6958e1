"""Label Studio exports: per cents from the edge, parents, relations, boxes, several annotations, names of uploads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.structures import Annotations, UserError
from datasets import formats
from datasets.formats.reading import ReadOptions

WIDTH, HEIGHT = 40, 20
Entry = dict[str, Any]


def point(label: str, x: float, y: float, *, parent: str = "", name: str = "", **more: Any) -> Entry:
    """A keypoint as the export has it; x and y in per cent."""
    result: Entry = {
        "id": name or f"{label}{x}{y}",
        "type": "keypointlabels",
        "from_name": "kp",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]},
    }
    return {**result, **({"parentID": parent} if parent else {}), **more}


def box(label: str, x: float, y: float, width: float, height: float, *, name: str, rotation: float = 0) -> Entry:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, "rectanglelabels": [label]}
    return {
        "id": name,
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
    }


def task(i: int, *results: Entry, image: str = "", **more: Any) -> Entry:
    annotation = {"id": 10 + i, "was_cancelled": False, "ground_truth": False, "result": list(results)}
    address = image or f"/data/upload/1/0a1b2c3d-{i}.png"
    return {"id": i, "data": {"image": address}, "predictions": [], "annotations": [annotation], **more}


def pictures(folder: Path, count: int = 6, prefix: str = "0a1b2c3d-") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (WIDTH, HEIGHT), (i * 7, 50, 90)).save(folder / f"{prefix}{i}.png")


def made(folder: Path, results: Callable[[int], list[Entry]], count: int = 6) -> Path:
    """Images and an export of as many tasks."""
    pictures(folder / "images", count)
    (folder / "export.json").write_text(json.dumps([task(i, *results(i)) for i in range(count)]))
    return folder


def parts(folder: Path, **options: Any) -> dict[str, tuple[Annotations, int]]:
    """File name -> the annotations it is in, and its position there."""
    data = formats.read(folder, options=ReadOptions(**options))
    return {
        name: (part.annotations, i)
        for part in data.splits.values()
        for i, name in enumerate(part.annotations.file_names)
    }


def instances(folder: Path, file: str, **options: Any) -> list[list[list[float]]]:
    """The keypoints of an image as x, y, v."""
    known, i = parts(folder, **options)[file]
    rows = np.flatnonzero(known.index == i)
    return [[[*xy, v] for xy, v in zip(known.keypoints[r].tolist(), known.visible[r].tolist())] for r in rows]


def notes(folder: Path, **options: Any) -> str:
    return "\n".join(formats.read(folder, options=ReadOptions(**options)).notes)


@pytest.mark.parametrize("file", [False, True])
def test_convention_positions_are_per_cents_from_the_edge(file: bool, tmp_path: Path) -> None:
    """The middle of 40 x 20 px is 20, 10 from the edge, and 19.5, 9.5 where the centre of the first pixel is 0.

    The tool's snap to pixels puts a point on the first pixel at .5 px, so at 1.25 per cent of 40 px: that is 0.
    """
    folder = made(tmp_path, lambda i: [point("nose", 50, 50), point("tail", 1.25, 2.5)])
    assert formats.is_data_set(folder)
    assert instances(folder / "export.json" if file else folder, "images/0a1b2c3d-0.png") == [
        [[19.5, 9.5, 2], [0.0, 0.0, 2]]
    ]
    known, _ = parts(folder)["images/0a1b2c3d-3.png"]
    assert known.keypoint_names == ("nose", "tail")
    assert "all points of an image are one instance" in notes(folder)
    assert "per cents counted from the image's edge" in notes(folder)


def test_keypoints_are_in_the_order_of_their_names_whatever_was_drawn_first(tmp_path: Path) -> None:
    """So two exports of one project agree: the file does not hold the labelling interface."""
    folder = made(tmp_path, lambda i: [point(name, 9, 9) for name in ("part10", "part2", "nose")[i % 2 :]])
    known, _ = parts(folder)["images/0a1b2c3d-0.png"]
    assert known.keypoint_names == ("nose", "part2", "part10")


def test_parents_tell_instances_apart(tmp_path: Path) -> None:
    """Two cows whose boxes overlap: a point in both is its parent's."""

    def results(i: int) -> list[Entry]:
        return [
            point("nose", 50, 50, parent="b"),
            point("nose", 30, 50, parent="a"),
            box("cow", 10, 0, 60, 100, name="a"),
            box("cow", 40, 0, 60, 100, name="b"),
            point("tail", 45, 10, parent="b"),
        ]

    folder = made(tmp_path, results)
    known, i = parts(folder)["images/0a1b2c3d-2.png"]
    assert instances(folder, "images/0a1b2c3d-2.png") == [
        [[19.5, 9.5, 2], [17.5, 1.5, 2]],
        [[11.5, 9.5, 2], [0.0, 0.0, 0]],
    ]
    assert known.boxes[known.index == i].tolist() == [[16.0, 0.0, 24.0, 20.0], [4.0, 0.0, 24.0, 20.0]]
    assert known.categories[0].name == "cow"
    assert "as nothing" not in notes(folder)


def test_a_point_may_be_the_parent_and_relations_join_what_has_none(tmp_path: Path) -> None:
    def by_parent(i: int) -> list[Entry]:
        return [
            point("nose", 10, 50, name="n1"),
            point("nose", 60, 50, name="n2"),
            point("tail", 70, 50, parent="n2"),
            point("tail", 20, 50, parent="n1"),
        ]

    def by_relation(i: int) -> list[Entry]:
        plain = [{k: v for k, v in one.items() if k != "parentID"} for one in by_parent(i)]
        ties = [(one["id"], f"n{j}") for one, j in zip(plain[2:], (2, 1))]
        return [*plain, *({"type": "relation", "from_id": a, "to_id": b, "direction": "right"} for a, b in ties)]

    expected = [[[3.5, 9.5, 2], [7.5, 9.5, 2]], [[23.5, 9.5, 2], [27.5, 9.5, 2]]]
    for name, results in (("parents", by_parent), ("relations", by_relation)):
        assert instances(made(tmp_path / name, results), "images/0a1b2c3d-0.png") == expected

    def across(i: int) -> list[Entry]:
        return [*by_parent(i), {"type": "relation", "from_id": "n1", "to_id": "n2", "direction": "right"}]

    folder = made(tmp_path / "across", across)
    assert instances(folder, "images/0a1b2c3d-0.png") == expected
    assert "6 tasks whose relations join several instances: they are not used there" in notes(folder)


def test_boxes_hold_points_and_the_only_box_holds_all(tmp_path: Path) -> None:
    def results(i: int) -> list[Entry]:
        two = [box("cow", 0, 0, 40, 100, name="a"), box("calf", 60, 0, 40, 100, name="b")]
        points = [point("nose", 10, 50), point("nose", 90, 50)]
        if i == 0:
            return [two[0], point("nose", 10, 50), point("tail", 45, 50)]  # a little outside
        if i == 1:
            return [*two, points[0], point("tail", 20, 20)]  # a calf of which no point is labelled
        return [*two, *points]

    folder = made(tmp_path, results)
    assert instances(folder, "images/0a1b2c3d-0.png") == [[[3.5, 9.5, 2], [17.5, 9.5, 2]]]
    assert instances(folder, "images/0a1b2c3d-1.png")[1] == [[0, 0, 0], [0, 0, 0]]
    known, _ = parts(folder)["images/0a1b2c3d-5.png"]
    assert [category.name for category in known.categories] == ["cow", "calf"]
    assert instances(folder, "images/0a1b2c3d-5.png", category="calf") == [[[35.5, 9.5, 2], [0, 0, 0]]]
    assert "6 images: points belong to the box that holds them, as nothing else says" in notes(folder)


def test_one_label_is_an_instance_a_point(tmp_path: Path) -> None:
    folder = made(tmp_path, lambda i: [point("cell", 10, 50), point("cell", 60, 50)])
    assert instances(folder, "images/0a1b2c3d-0.png") == [[[3.5, 9.5, 2]], [[23.5, 9.5, 2]]]
    assert "6 images: each point is an instance, as all have one label" in notes(folder)


def test_what_cannot_be_told_is_set_aside_and_refused_where_it_is_the_rule(tmp_path: Path) -> None:
    def results(i: int, twice: int) -> list[Entry]:
        return [point("nose", 10, 50), point("tail", 20, 50), *([point("nose", 60, 50)] if i < twice else [])]

    folder = made(tmp_path / "few", lambda i: results(i, 1), 8)
    assert "images/0a1b2c3d-0.png" not in parts(folder)
    assert "WARNING: 1 images set aside, whose points could be of several instances" in notes(folder)
    with pytest.raises(UserError, match=r"export.json: task entry 0: 'nose' is there twice.*; 4 of 8 images are like"):
        formats.read(made(tmp_path / "many", lambda i: results(i, 4), 8))


def test_a_turned_box_becomes_the_upright_one_around_it(tmp_path: Path) -> None:
    """20 x 4 px turned by a right angle about its top left corner at (20, 4): from (16, 4) to (20, 24)."""
    turned = box("cow", 50, 20, 50, 20, name="a", rotation=90)
    known, i = parts(made(tmp_path, lambda _: [turned, point("nose", 45, 50, parent="a")]))["images/0a1b2c3d-4.png"]
    np.testing.assert_allclose(known.boxes[known.index == i], [[16, 4, 4, 20]], atol=1e-9)


def test_of_several_annotations_the_ground_truth_counts_else_the_latest(tmp_path: Path) -> None:
    pictures(tmp_path)

    def annotation(x: float, when: str, **more: Any) -> Entry:
        return {"id": 1, "result": [point("nose", x, 50)], "updated_at": when, "was_cancelled": False, **more}

    early, late = annotation(10, "2024-01-01T00:00:00Z"), annotation(60, "2024-03-01T00:00:00Z")
    tasks = [
        task(0) | {"annotations": [late, early]},
        task(1) | {"annotations": [{**early, "ground_truth": True}, late]},
        task(2) | {"annotations": [early, {**late, "was_cancelled": True}]},
        task(3) | {"annotations": [{**late, "was_cancelled": True}]},
        task(4) | {"annotations": [], "predictions": [{"result": [point("nose", 1, 1)]}]},
        task(5) | {"annotations": [late]},
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    assert sorted(parts(tmp_path)) == [f"0a1b2c3d-{i}.png" for i in (0, 1, 2, 5)]
    assert instances(tmp_path, "0a1b2c3d-0.png") == [[[23.5, 9.5, 2]]]
    assert instances(tmp_path, "0a1b2c3d-1.png") == instances(tmp_path, "0a1b2c3d-2.png") == [[[3.5, 9.5, 2]]]
    said = notes(tmp_path)
    assert "2 annotations left unread, as their task has a later one or a ground truth" in said
    assert "2 cancelled annotations left unread" in said
    assert "2 tasks that nobody annotated set aside" in said
    assert "1 predictions left unread" in said


def test_json_min(tmp_path: Path) -> None:
    """A record an annotation, values without parents: boxes tell instances apart, the latest record of an image counts."""
    pictures(tmp_path)

    def record(i: int, x: float, when: str) -> Entry:
        values = {"original_width": WIDTH, "original_height": HEIGHT}
        return {
            "image": f"/data/upload/1/0a1b2c3d-{i}.png",
            "id": i,
            "kp": [{"x": x, "y": 50, "width": 0.5, "keypointlabels": ["nose"], **values}],
            "box": [{"x": 0, "y": 0, "width": 50, "height": 100, "rotation": 0, "rectanglelabels": ["cow"], **values}],
            "annotator": 1,
            "annotation_id": 7,
            "updated_at": when,
        }

    records = [record(i, 10, "2024-01-01") for i in range(6)] + [record(0, 20, "2024-01-02")]
    (tmp_path / "min.json").write_text(json.dumps(records))
    assert formats.is_data_set(tmp_path)
    assert instances(tmp_path, "0a1b2c3d-0.png") == [[[7.5, 9.5, 2]]]
    known, i = parts(tmp_path)["0a1b2c3d-1.png"]
    assert known.boxes[known.index == i].tolist() == [[0, 0, 20, 20]]
    assert "1 annotations left unread" in notes(tmp_path)


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/upload/3/0a1b2c3d-my_cow_1.png", "media/0a1b2c3d-my_cow_1.png"),
        ("/data/upload/0a1b2c3d-my_cow_1.png", "my cow (1).png"),
        ("/data/local-files/?d=farm%2Fcow+1.png", "farm/cow 1.png"),
        ("/data/local-files/?d=farm/a+b&c.png", "farm/a+b&c.png"),
        (r"\/data\/local-files\/?d=mnt\/farm%20%28deep%29\/cow.png", "farm (deep)/cow.png"),
        ("/data/local-files/?d=mnt/farm/cow.png", "images/cow.png"),
        ("https://example.org/a/cow%201.png?token=x%2Fy", "images/cow 1.png"),
        ("s3://bucket/farm/cow.png", "farm/cow.png"),
        ("cow.png", "images/9f8e7d6c-cow.png"),
        ("../../cow.png", "cow.png"),
    ],
)
def test_images_are_found_by_address(address: str, file: str, tmp_path: Path) -> None:
    pictures(tmp_path / "images", 4)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (200, 0, 0)).save(tmp_path / file)
    tasks = [task(i, point("nose", 50, 50)) for i in range(4)]
    (tmp_path / "export.json").write_text(json.dumps([*tasks, task(9, point("nose", 25, 50), image=address)]))
    assert instances(tmp_path, file) == [[[9.5, 9.5, 2]]]


def test_missing_images_are_set_aside_where_they_are_few(tmp_path: Path) -> None:
    folder = made(tmp_path, lambda i: [point("nose", 50, 50)], 8)
    (folder / "images" / "0a1b2c3d-3.png").unlink()
    assert len(parts(folder)) == 7
    assert "WARNING: 1 of 8 images are missing and set aside, as upload" not in notes(folder)
    assert "WARNING: 1 of 8 images are missing and set aside, as 0a1b2c3d-3.png" in notes(folder)
    for i in range(3):
        (folder / "images" / f"0a1b2c3d-{i}.png").unlink()
    with pytest.raises(UserError, match=r"there is no file 0a1b2c3d-0.png in .*; 4 of 8 images are missing"):
        formats.read(folder)


def test_sizes_turns_and_groups(tmp_path: Path) -> None:
    """An image resized since keeps its shares; a turned one is set aside; a field of the data may be the group."""
    folder = made(tmp_path, lambda i: [point("nose", 50, 50, image_rotation=90 if i == 5 else 0)], 10)
    Image.new("RGB", (20, 10), (9, 9, 9)).save(folder / "images" / "0a1b2c3d-1.png")
    tasks = json.loads((folder / "export.json").read_text())
    for i, one in enumerate(tasks):
        one["data"]["farm"] = f"farm {i % 3}"
    (folder / "export.json").write_text(json.dumps(tasks))
    assert instances(folder, "images/0a1b2c3d-1.png") == [[[9.5, 4.5, 2]]]
    assert "images/0a1b2c3d-5.png" not in parts(folder)
    said = notes(folder)
    assert "1 tasks whose image is turned (image_rotation) set aside" in said
    assert "1 images of another size than when they were annotated" in said
    known, i = parts(folder, group_by="farm")["images/0a1b2c3d-4.png"]
    assert known.groups is not None
    assert known.groups[i] == "farm 1"
    Image.new("RGB", (HEIGHT, WIDTH), (9, 9, 9)).save(folder / "images" / "0a1b2c3d-1.png")
    with pytest.raises(UserError, match="says 40 x 20 px, but .* is 20 x 40"):
        formats.read(folder)


def test_a_label_apart_from_its_shape_and_other_regions(tmp_path: Path) -> None:
    def results(i: int) -> list[Entry]:
        bare = {"x": 50, "y": 50, "width": 1}
        sides = {"original_width": WIDTH, "original_height": HEIGHT, "to_name": "image"}
        return [
            {"id": "k", "type": "keypoint", "from_name": "kp", "value": bare, **sides},
            {"id": "k", "type": "labels", "from_name": "l", "value": {**bare, "labels": ["nose"]}, **sides},
            {"id": "t", "type": "keypoint", "from_name": "tip", "value": {**bare, "x": 25}, **sides},
            {"id": "p", "type": "polygonlabels", "value": {"points": [[0, 0]], "polygonlabels": ["cow"]}, **sides},
            {"id": "c", "type": "choices", "from_name": "c", "value": {"choices": ["sharp"]}, "to_name": "image"},
        ]

    folder = made(tmp_path, results)
    assert instances(folder, "images/0a1b2c3d-0.png") == [[[19.5, 9.5, 2], [9.5, 9.5, 2]]]
    known, _ = parts(folder)["images/0a1b2c3d-0.png"]
    assert known.keypoint_names == ("nose", "tip")
    assert "6 regions that are no points or boxes left unread" in notes(folder)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    good = [task(i, point("nose", 50, 50)) for i in range(6)]
    pictures(tmp_path / "images")

    def refused(tasks: list[Entry]) -> str:
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        with pytest.raises(UserError) as caught:
            formats.read(tmp_path / "export.json")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    wrong = point("nose", 50, 50)
    wrong["value"]["x"] = "left"
    assert 'task entry 6: \'x\' of "nose" is "left" where a finite number' in refused([*good, task(5, wrong)])
    assert "task entry 0 and" in refused([*good, task(7, *[], image="/data/upload/9/ffffffff-0.png")])
    assert "'annotations': entry 0 is a number" in refused([*good, {**good[0], "annotations": [3]}])
    assert "holds no annotated task (6 predictions left" in refused(
        [{**one, "annotations": [], "predictions": [{"result": []}]} for one in good]
    )
    boxes = [task(i, box("cow", 1, 1, 9, 9, name="b")) for i in range(6)]
    assert "holds no keypoints" in refused(boxes)
    (tmp_path / "other.json").write_text(json.dumps(good))
    with pytest.raises(UserError, match=r"holds 2 exports of Label Studio \(export.json, other.json\)"):
        formats.read(tmp_path)


def test_coco_beside_it_is_read_as_before(tmp_path: Path) -> None:
    folder = made(tmp_path, lambda i: [point("nose", 50, 50)])
    images = [{"id": i, "file_name": f"0a1b2c3d-{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(6)]
    rows = [{"id": i, "image_id": i, "category_id": 1, "keypoints": [1, 2, 2]} for i in range(6)]
    coco = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cow", "keypoints": ["nose"]}]}
    (folder / "annotations.json").write_text(json.dumps(coco))
    assert instances(folder, "0a1b2c3d-0.png") == [[[1.0, 2.0, 2]]]
    assert instances(folder / "export.json", "images/0a1b2c3d-0.png") == [[[19.5, 9.5, 2]]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.floats() | st.sampled_from(["", "a", "nose", "../x", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "image", "id"]), inner, max_size=2)
    ),
    max_leaves=3,
)
KEYS = [
    "id",
    "type",
    "value",
    "x",
    "y",
    "keypointlabels",
    "parentID",
    "original_width",
    "result",
    "annotations",
    "data",
]


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([*KEYS, "image", "rotation", "rectanglelabels", "to_id", "updated_at", "predictions"]), JSON)
def test_any_value_anywhere_is_read_or_refused_in_one_line(tmp_path: Path, key: str, value: Any) -> None:
    """Whatever stands where a value is expected: a data set, or a UserError of one line; nothing else."""

    def changed(node: Any) -> Any:
        if isinstance(node, list):
            return [changed(one) for one in node]
        return {k: value if k == key else changed(v) for k, v in node.items()} if isinstance(node, dict) else node

    if not (tmp_path / "0a1b2c3d-0.png").exists():
        pictures(tmp_path)
    relation = {"type": "relation", "from_id": "b", "to_id": "b"}
    results = [box("cow", 0, 0, 90, 90, name="b"), point("nose", 50, 50, parent="b"), relation]
    tasks = [task(i, *results) for i in range(6)]
    tasks[0] = changed(tasks[0])
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    said = ""
    try:
        formats.read(tmp_path / "export.json")
    except UserError as error:
        said = str(error)
    assert "\n" not in said
