"""Two annotators' labels of the same images: what is matched with what, in any two formats, counted from the files by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import photographs
from PIL import Image

from benchmark.structures import UserError
from datasets import formats
from datasets.agreement import Agreement, compare_labels, write_sigmas
from datasets.formats.reading import ReadOptions
from datasets.load import export

Document = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images of one instance with holes, the last two of none."""
    made = tmp_path_factory.mktemp("first")
    photographs(made, 40, k=3, size=(96, 64), holes=0.1, empty=2, seed=3)
    return made


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 images, most with two instances."""
    made = tmp_path_factory.mktemp("crowded")
    photographs(made, 30, k=3, size=(160, 64), two=0.7, seed=4)
    return made


def labelled_again(folder: Path, to: Path, change: Callable[[Document], None] = lambda _: None, seed: int = 0) -> Path:
    """The annotation file of a second annotator, 1 px of noise along each axis; then changed. Images are not beside it."""
    document = json.loads((folder / "annotations.json").read_text())
    random = np.random.default_rng(seed)
    for row in document["annotations"]:
        for j in np.flatnonzero(row["keypoints"][2::3]).tolist():
            row["keypoints"][3 * j] += float(random.normal(0, 1))
            row["keypoints"][3 * j + 1] += float(random.normal(0, 1))
    change(document)
    to.write_text(json.dumps(document))
    return to


def differences(folder: Path, other: Path, j: int) -> np.ndarray[Any, Any]:
    """(P, 2) of keypoint j, from the two documents, an instance matched by its id."""
    first, second = (json.loads(file.read_text())["annotations"] for file in (folder / "annotations.json", other))
    by_id = {row["id"]: np.array(row["keypoints"]).reshape(-1, 3) for row in second}
    rows = [(np.array(row["keypoints"]).reshape(-1, 3)[j], by_id[row["id"]][j]) for row in first if row["id"] in by_id]
    return np.array([a[:2] - b[:2] for a, b in rows if a[2] and b[2]])


def figures(found: Agreement) -> list[list[float]]:
    """Of every keypoint its counts, and the values of all figures."""
    return [
        [
            one.noise.points,
            one.only_first,
            one.only_second,
            *(e.value for e in (one.noise.sigma, one.noise.coco_sigma, one.noise.floor) if e),
            *(e.value for e in one.noise.offset or ()),
        ]
        for one in found.keypoints
    ]


def test_figures_are_those_of_the_files(folder: Path, tmp_path: Path) -> None:
    other = labelled_again(folder, tmp_path / "again.json")
    found = compare_labels(formats.read(folder), other)
    assert (found.images, found.only_first, found.only_second, found.instances) == (40, 0, 0, 38)
    areas = {
        row["image_id"]: row["area"] for row in json.loads((folder / "annotations.json").read_text())["annotations"]
    }
    assert len(areas) == 38
    for j, one in enumerate(found.keypoints):
        d = differences(folder, other, j)
        assert one.name == f"part{j + 1}"
        assert (one.noise.points, one.only_first, one.only_second) == (len(d), 0, 0)
        assert one.noise.sigma is not None
        assert one.noise.floor is not None
        assert one.noise.sigma.value == pytest.approx(np.sqrt(d.var(axis=0, ddof=1).sum() / 4))
        around = np.hypot(*(d - d.mean(axis=0)).T)
        assert one.noise.floor.value == pytest.approx(around.mean() * np.sqrt(len(d) / (len(d) - 1) / 2))
    assert found.floor is not None
    assert found.floor.low < found.floor.value < found.floor.high
    assert found.disagreements[0].pixels == pytest.approx(
        max(np.hypot(*differences(folder, other, j).T).max() for j in range(3)), abs=1e-3
    )
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["floor"] == list(found.floor)


def test_names_in_another_order_are_the_same_keypoints(folder: Path, tmp_path: Path) -> None:
    def turn(document: Document) -> None:
        document["categories"][0]["keypoints"].reverse()
        for row in document["annotations"]:
            row["keypoints"] = [v for j in (2, 1, 0) for v in row["keypoints"][3 * j : 3 * j + 3]]

    data = formats.read(folder)
    straight = compare_labels(data, labelled_again(folder, tmp_path / "straight.json"))
    turned = compare_labels(data, labelled_again(folder, tmp_path / "turned.json", turn))
    assert figures(turned) == figures(straight)


def test_an_image_or_point_that_one_lacks_is_counted(folder: Path, tmp_path: Path) -> None:
    def lack(document: Document) -> None:
        lost = {image["id"] for image in document["images"][:5]}
        document["images"] = [*document["images"][5:], {"id": 99, "file_name": "new.jpg", "width": 96, "height": 64}]
        document["annotations"] = [row for row in document["annotations"] if row["image_id"] not in lost]
        whole = [row for row in document["annotations"] if row["num_keypoints"] == 3]
        whole[0]["keypoints"][3:6] = whole[1]["keypoints"][3:6] = [0, 0, 0]
        holed = next(row for row in document["annotations"] if not row["keypoints"][2])
        holed["keypoints"][:3] = [10, 10, 2]
        document["annotations"].remove(whole[2])

    found = compare_labels(formats.read(folder), labelled_again(folder, tmp_path / "again.json", lack))
    assert (found.images, found.only_first, found.only_second, found.instances) == (35, 5, 1, 32)
    assert [(one.only_first, one.only_second) for one in found.keypoints] == [(0, 1), (2, 0), (0, 0)]
    assert any(note.startswith("5 images only in ") for note in found.notes)
    assert "1 images only in again.json: not compared, as new.jpg" in found.notes
    assert any(note.startswith("1 of 33 instances of the data have none that belongs to them") for note in found.notes)


def test_several_instances_are_matched_to_the_nearest(crowded: Path, tmp_path: Path) -> None:
    """Whatever their order; one that only one annotator saw stays alone, though another of its image is alone too."""

    def shuffle(document: Document) -> None:
        random = np.random.default_rng(1)
        document["annotations"] = [document["annotations"][i] for i in random.permutation(len(document["annotations"]))]

    def lose(document: Document) -> None:
        shuffle(document)
        document["annotations"].sort(key=lambda row: row["id"])
        two = [
            a for a, b in zip(document["annotations"], document["annotations"][1:]) if a["image_id"] == b["image_id"]
        ]
        document["annotations"].remove(two[0])

    data = formats.read(crowded)
    other = labelled_again(crowded, tmp_path / "again.json", shuffle)
    found = compare_labels(data, other)
    count = len(json.loads((crowded / "annotations.json").read_text())["annotations"])
    assert found.instances == count > 45
    for j, one in enumerate(found.keypoints):
        d = differences(crowded, other, j)
        assert one.noise.points == len(d)
        assert one.noise.sigma is not None
        assert one.noise.sigma.value == pytest.approx(np.sqrt(d.var(axis=0, ddof=1).sum() / 4))
    less = labelled_again(crowded, tmp_path / "less.json", lose)
    lost = compare_labels(data, less)
    assert lost.instances == count - 1
    assert [one.noise.points for one in lost.keypoints] == [len(differences(crowded, less, j)) for j in range(3)]


def test_another_format_gives_the_same_figures(folder: Path, tmp_path: Path) -> None:
    """A YOLO-pose export has other names of files, positions from the edge, and its own splits; a folder of ours a card."""
    other = labelled_again(folder, tmp_path / "second.json")
    export(None, str(folder), tmp_path / "yolo", form="yolo-pose")
    export(None, str(folder), tmp_path / "ours")
    (tmp_path / "images").symlink_to(folder / "images")
    data = formats.read(other)
    known = compare_labels(data, folder)
    for path in (tmp_path / "yolo", tmp_path / "ours", tmp_path / "yolo" / "data.yaml"):
        found = compare_labels(data, path)
        assert np.allclose(figures(found), figures(known), rtol=0, atol=1e-9)
        assert "40 images matched by names without their endings" in found.notes


def test_a_format_without_names_is_taken_in_order(folder: Path, tmp_path: Path) -> None:
    export(None, str(folder), tmp_path / "yolo", form="yolo-pose")
    told = tmp_path / "yolo" / "data.yaml"
    told.write_text(told.read_text().replace("kpt_names", "other"))
    found = compare_labels(formats.read(folder), tmp_path / "yolo")
    assert any("compared in their order" in note for note in found.notes)
    assert found.instances == 38


def test_images_of_one_name_in_two_splits_are_told_apart_by_the_split(folder: Path, tmp_path: Path) -> None:
    for split, count in (("train", 20), ("val", 10), ("test", 8)):
        document = json.loads((folder / "annotations.json").read_text())
        start = {"train": 0, "val": 20, "test": 30}[split]
        document["images"] = document["images"][start : start + count]
        ids = [image["id"] for image in document["images"]]
        document["annotations"] = [row for row in document["annotations"] if row["image_id"] in ids]
        (tmp_path / "a" / "images" / split).mkdir(parents=True)
        (tmp_path / "a" / "annotations").mkdir(exist_ok=True)
        for i, image in enumerate(document["images"]):
            shutil.copy(folder / "images" / image["file_name"], tmp_path / "a" / "images" / split / f"{i}.jpg")
            image["file_name"] = f"{i}.jpg"
        (tmp_path / "a" / "annotations" / f"{split}.json").write_text(json.dumps(document))
    shutil.copytree(tmp_path / "a" / "annotations", tmp_path / "b" / "annotations")
    found = compare_labels(formats.read(tmp_path / "a"), tmp_path / "b")
    assert (found.images, found.instances) == (38, 38)
    assert found.floor == (0, 0, 0)
    assert found.disagreements == ()


def test_a_copy_is_suspected(folder: Path, tmp_path: Path) -> None:
    data = formats.read(folder)
    shutil.copy(folder / "annotations.json", tmp_path / "copy.json")
    warned = [
        note for note in compare_labels(data, tmp_path / "copy.json").notes if "was one made from the other" in note
    ]
    assert len(warned) == 1
    honest = compare_labels(data, labelled_again(folder, tmp_path / "again.json"))
    assert not any("WARNING" in note for note in honest.notes)


def test_other_images_of_the_same_names_are_suspected(folder: Path, tmp_path: Path) -> None:
    def other(document: Document) -> None:
        random = np.random.default_rng(5)
        for row in document["annotations"]:
            row["keypoints"] = [float(v) for j in range(3) for v in (*random.uniform(0, 60, 2), 2)]

    found = compare_labels(formats.read(folder), labelled_again(folder, tmp_path / "other.json", other))
    assert any("are these the same images?" in note for note in found.notes)


def test_intervals_respect_groups(folder: Path, tmp_path: Path) -> None:
    other = labelled_again(folder, tmp_path / "again.json")
    data = formats.read(folder, options=ReadOptions(group_by=r"photo00(\d)"))
    found = compare_labels(data, other)
    assert found.groups == 4  # photo0001 to photo0038; the last two hold nothing
    few = labelled_again(folder, tmp_path / "few.json", lambda d: d["images"].__delitem__(slice(9, None)))
    document = json.loads(few.read_text())
    document["annotations"] = [row for row in document["annotations"] if row["image_id"] < 10]
    few.write_text(json.dumps(document))
    one = compare_labels(data, few)
    assert (one.images, one.groups) == (9, None)
    assert any("all images compared are of one group" in note for note in one.notes)


MISTAKES: dict[str, tuple[Callable[[Document], None], str]] = {
    "names": (
        lambda d: d["categories"][0].update(keypoints=["part1", "part2", "tail"]),
        "its keypoints are part1, part2, tail, and those of the data part1, part2, part3",
    ),
    "images": (
        lambda d: [image.update(file_name=f"x{image['id']}.jpg") for image in d["images"]] and None,
        "has none of the images of",
    ),
    "sizes": (
        lambda d: [image.update(width=192, height=128) for image in d["images"]] and None,
        "(96 x 64 and 192 x 128 px)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_compared_is_said(mistake: str, folder: Path, tmp_path: Path) -> None:
    change, words = MISTAKES[mistake]
    other = labelled_again(folder, tmp_path / "again.json", change)
    with pytest.raises(UserError) as caught:
        compare_labels(formats.read(folder), other)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_set_aside(folder: Path, tmp_path: Path) -> None:
    other = labelled_again(folder, tmp_path / "again.json", lambda d: d["images"][3].update(width=192, height=128))
    found = compare_labels(formats.read(folder), other)
    assert found.images == 39
    assert any(note.startswith("1 images have another size") for note in found.notes)


def test_estimated_sigmas_are_read_by_every_format(folder: Path, tmp_path: Path) -> None:
    found = compare_labels(formats.read(folder), labelled_again(folder, tmp_path / "again.json"))
    write_sigmas(tmp_path / "sigmas.json", found)
    expected = [one.noise.coco_sigma.value for one in found.keypoints if one.noise.coco_sigma]
    export(None, str(folder), tmp_path / "yolo", form="yolo-pose")
    export(None, str(folder), tmp_path / "ours")
    options = ReadOptions(sigmas=str(tmp_path / "sigmas.json"))
    for path in (folder, tmp_path / "yolo", tmp_path / "ours"):
        read = formats.read(path, options=options)
        for part in read.splits.values():
            assert part.annotations.sigmas == pytest.approx(expected, rel=1e-3)
        assert f"sigmas of {options.sigmas} are used" in read.notes
        assert read.digest != formats.read(path).digest
        assert read.card.digest == read.digest


def test_sigmas_of_nothing_are_not_written(folder: Path, tmp_path: Path) -> None:
    found = compare_labels(formats.read(folder), folder / "annotations.json")
    with pytest.raises(UserError, match="there is no sigma above 0 for part1, part2, part3"):
        write_sigmas(tmp_path / "sigmas.json", found)
    assert not (tmp_path / "sigmas.json").exists()


def test_a_table_of_deeplabcut_against_another_annotators(tmp_path: Path) -> None:
    """Two annotators' tables lie in one folder of frames; each is given by its own name."""
    frames = tmp_path / "labeled-data" / "clip"
    frames.mkdir(parents=True)
    random = np.random.default_rng(6)
    points = random.uniform(5, 25, (8, 2, 2))
    moved = points + random.normal(0, 0.5, points.shape)
    for i in range(8):
        Image.new("RGB", (32, 32), (i * 20, 0, 0)).save(frames / f"img{i}.png")
    for name, given in (("Ann", points), ("Bob", moved)):
        lines = [f"scorer,{name},{name},{name},{name}", "bodyparts,nose,nose,tail,tail", "coords,x,y,x,y"]
        lines += [
            f"labeled-data/clip/img{i}.png," + ",".join("" if i == 0 and j > 1 else repr(v) for j, v in enumerate(row))
            for i, row in enumerate(given.reshape(8, 4).tolist())
        ]
        (frames / f"CollectedData_{name}.csv").write_text("\n".join(lines) + "\n")
    found = compare_labels(formats.read(frames / "CollectedData_Ann.csv"), frames / "CollectedData_Bob.csv")
    assert [one.noise.points for one in found.keypoints] == [8, 7]
    assert found.keypoints[0].noise.offset is not None
    assert found.keypoints[0].noise.offset[0].value == pytest.approx((points - moved)[:, 0, 0].mean())
