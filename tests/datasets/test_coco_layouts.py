"""Folders that other tools made: the usual layouts, images of every kind, and what cannot be told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmark.structures import UserError
from datasets import formats
from datasets.images import ImageFiles, decode
from datasets.load import export, load


def pictures(folder: Path, first: int, count: int, suffix: str = "png") -> list[dict[str, Any]]:
    """Write pictures that differ, and their records."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for i in range(first, first + count):
        pixels = np.random.default_rng(i).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(folder / f"{i}.{suffix}")
        records.append({"id": i, "file_name": f"{i}.{suffix}", "width": 16, "height": 12})
    return records


def document(images: list[dict[str, Any]], names: tuple[str, ...] = ("nose", "tail")) -> dict[str, Any]:
    """Annotations as a tool writes them that knows nothing of this suite: two points an image, no sigmas."""
    rows = [
        {
            "id": i + 1,
            "image_id": image["id"],
            "category_id": 1,
            "keypoints": [v for j in range(len(names)) for v in (float(image["id"] % 16), 2.5 + j, 2)],
            "bbox": [0, 0, 16, 12],
            "area": 192.0,
            "iscrowd": 0,
        }
        for i, image in enumerate(images)
    ]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat", "keypoints": list(names)}]}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


LAYOUTS = {
    "ours without a card": [(f"annotations/{s}.json", f"images/{s}", s) for s in ("train", "val", "test")],
    "all pictures together": [(f"annotations/{s}.json", "images", s) for s in ("train", "val", "test")],
    "pictures beside": [(f"{s}.json", s, s) for s in ("train", "val", "test")],
    "roboflow": [
        (f"{w}/_annotations.coco.json", w, s) for w, s in (("train", "train"), ("valid", "val"), ("test", "test"))
    ],
    "years": [(f"annotations/person_keypoints_{s}2017.json", f"{s}2017", s) for s in ("train", "val", "test")],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_usual_layouts_are_read(layout: str, tmp_path: Path) -> None:
    for i, (file, images, _) in enumerate(LAYOUTS[layout]):
        write(tmp_path / file, document(pictures(tmp_path / images, 1 + 10 * i, 5 - i)))
    dataset = formats.read(tmp_path)
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [5, 4, 3]
    assert dataset.test.annotations.image_ids.tolist() == [21, 22, 23]
    assert dataset.test.annotations.keypoint_names == ("nose", "tail")
    assert np.array_equal(
        dataset.val.images[0], np.random.default_rng(11).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    )
    assert dataset.test.annotations.baseline is not None
    assert dataset.test.annotations.baseline[0].tolist() == [[3.0, 2.5], [3.0, 3.5]]  # ids 1 to 5 of train


def test_cocos_own_layout_makes_val_the_test_and_cuts_val_from_train(tmp_path: Path) -> None:
    for first, name, count in ((1, "train2017", 10), (100, "val2017", 4)):
        images = pictures(tmp_path / name, first, count, "jpg")
        write(tmp_path / "annotations" / f"person_keypoints_{name}.json", document(images))
        write(tmp_path / "annotations" / f"captions_{name}.json", {"images": images, "annotations": [{"caption": "a"}]})
        write(tmp_path / "annotations" / f"instances_{name}.json", {"images": images})
    dataset = formats.read(tmp_path)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (8, 2, 4)
    assert dataset.test.annotations.image_ids.tolist() == [100, 101, 102, 103]
    assert sorted([*dataset.train.annotations.image_ids, *dataset.val.annotations.image_ids]) == list(range(1, 11))


def test_one_file_is_divided_by_content_not_by_order(tmp_path: Path) -> None:
    records = pictures(tmp_path / "a" / "images", 1, 20)
    pictures(tmp_path / "b" / "images", 1, 20)
    write(tmp_path / "a" / "annotations" / "all.json", document(records))
    write(tmp_path / "b" / "annotations.json", document(records[::-1]))
    a, b = formats.read(tmp_path / "a"), formats.read(tmp_path / "b")
    assert [len(part) for part in (a.train, a.val, a.test)] == [12, 4, 4]
    for name, part in a.splits.items():
        assert part.annotations.image_ids.tolist() == b.splits[name].annotations.image_ids.tolist()
    other = formats.read(tmp_path / "a", split=1)
    assert other.test.annotations.image_ids.tolist() != a.test.annotations.image_ids.tolist()
    assert other.digest != a.digest
    assert load(None, str(tmp_path / "a"), split=1).name == "a-split1"


def test_a_folder_can_be_exported_as_ours_and_stays_the_same_data(tmp_path: Path) -> None:
    write(tmp_path / "a" / "annotations" / "all.json", document(pictures(tmp_path / "a" / "images", 1, 10, "jpg")))
    export(None, str(tmp_path / "a"), tmp_path / "out")
    before, after = formats.read(tmp_path / "a"), formats.read(tmp_path / "out")
    assert (after.card.task, after.card.keypoints) == ("a", ["nose", "tail"])
    for name, part in before.splits.items():
        assert np.array_equal(part.stack(), after.splits[name].stack())
        assert np.array_equal(part.points, after.splits[name].points)
        assert all(file.endswith(".png") for file in after.splits[name].annotations.file_names)


def test_several_or_no_instances_have_no_baseline(tmp_path: Path) -> None:
    content = document(pictures(tmp_path / "images", 1, 10))
    content["annotations"][0]["image_id"] = 2
    write(tmp_path / "annotations" / "all.json", content)
    dataset = formats.read(tmp_path)
    assert sum(len(part.annotations.index) for part in dataset.splits.values()) == 10
    assert not all(part.annotations.single_instance for part in dataset.splits.values())
    assert dataset.test.annotations.baseline is None or dataset.train.annotations.single_instance


def picture_of(mode: str) -> Pillow.Image:
    ramp = np.arange(16 * 12, dtype=np.uint8).reshape(12, 16)
    if mode == "I;16":
        return Pillow.fromarray(ramp.astype(np.uint16) * 300 + 7)
    if mode == "P":
        picture = Pillow.fromarray(ramp).convert("P")
        picture.info["transparency"] = bytes(range(256))
        return picture
    return Pillow.fromarray(ramp).convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
def test_pictures_of_every_kind(mode: str, tmp_path: Path) -> None:
    records = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 12} for i in range(1, 6)]
    (tmp_path / "images").mkdir()
    for record in records:
        picture_of(mode).save(tmp_path / "images" / record["file_name"])  # type: ignore[operator]
    write(tmp_path / "all.json", document(records))
    image = formats.read(tmp_path).train.images[0]
    ramp = np.arange(16 * 12, dtype=np.uint8).reshape(12, 16)
    if mode == "1":
        assert set(np.unique(image)) == {0, 255}
    else:
        expected = np.repeat(ramp[..., None], 3, axis=2) if mode in ("P", "RGB", "RGBA") else ramp
        if mode == "I;16":  # the range of the data set is that of the ramp, 0 to 191 times 300, above 7
            expected = np.minimum(np.floor(ramp * (256 / 191)), 255).astype(np.uint8)
        assert np.array_equal(image, expected)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("rgb", [False, True])
def test_one_decoder_reads_data_sets_and_new_images_alike(mode: str, rgb: bool, tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    picture_of(mode).save(path)
    files = ImageFiles([path], np.array([[16, 12]]), "made.json", rgb=rgb)
    assert np.array_equal(decode(path, rgb=rgb), files[0])
    assert decode(path, rgb=rgb).dtype == files[0].dtype == np.uint8


def test_all_images_of_more_than_8_bits_share_one_range_that_is_said(tmp_path: Path) -> None:
    """A dark image stays darker than a bright one, in every split; a range an image would make them alike."""
    records = [{"id": i, "file_name": f"{i}.tif", "width": 16, "height": 12} for i in range(1, 11)]
    (tmp_path / "images").mkdir()
    ramp = np.arange(16 * 12).reshape(12, 16)
    for i, record in enumerate(records):
        values = (ramp * (i + 1)).astype(np.float32 if i % 2 else np.uint16)
        Pillow.fromarray(values).save(tmp_path / "images" / str(record["file_name"]))
    write(tmp_path / "all.json", document(records))
    data = formats.read(tmp_path)
    assert data.span == (0.0, 1910.0)
    assert "10 images of more than 8 bits: 0 to 1910 become 0 to 255, in all of them" in data.notes
    for part in data.splits.values():
        for image, name in zip(part.images, part.annotations.file_names):
            brightest = 191 * int(Path(name).stem)
            assert image.max() == min(255, brightest * 256 // 1910)


def test_small_values_in_wide_files_stay_what_they_are(tmp_path: Path) -> None:
    records = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 12} for i in range(1, 6)]
    (tmp_path / "images").mkdir()
    ramp = np.arange(16 * 12).reshape(12, 16)
    for record in records:
        Pillow.fromarray(ramp.astype(np.uint16)).save(tmp_path / "images" / str(record["file_name"]))
    write(tmp_path / "all.json", document(records))
    assert np.array_equal(formats.read(tmp_path).train.images[0], ramp)


def photographed(folder: Path, sizes: list[tuple[int, int]], orientation: int, stored: tuple[int, int]) -> None:
    """JPEG files of ``stored`` (width, height) px that say ``orientation``, annotated with ``sizes``; the left is bright."""
    (folder / "images").mkdir()
    pixels = np.zeros((stored[1], stored[0]), dtype=np.uint8)
    pixels[:, : stored[0] // 2] = 255
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    records = []
    for i, (width, height) in enumerate(sizes, 1):
        Pillow.fromarray(pixels).save(folder / "images" / f"{i}.jpg", exif=exif, quality=95)
        records.append({"id": i, "file_name": f"{i}.jpg", "width": width, "height": height})
    write(folder / "all.json", document(records))


def test_a_photograph_that_is_annotated_upright_is_turned(tmp_path: Path) -> None:
    """Orientation 6: the stored image's left is the upright one's top."""
    photographed(tmp_path, [(12, 16)] * 5, 6, (16, 12))
    data = formats.read(tmp_path)
    image = data.train.images[0]
    assert image.shape == (16, 12)
    assert image[:6].min() > 200
    assert image[10:].max() < 50
    assert not data.as_stored
    assert "5 images lie on their side and are annotated upright: turned, as their EXIF orientation says" in data.notes


def test_a_photograph_that_is_annotated_as_stored_is_left(tmp_path: Path) -> None:
    photographed(tmp_path, [(16, 12)] * 5, 6, (16, 12))
    data = formats.read(tmp_path)
    assert data.train.images[0].shape == (12, 16)
    assert data.as_stored
    (note,) = [note for note in data.notes if "EXIF" in note]
    assert note.endswith("are annotated as they are stored: left so, and new ones as well")


@pytest.mark.parametrize(("orientation", "size"), [(6, (16, 16)), (3, (16, 12)), (2, (16, 12))])
def test_where_both_ways_fit_it_is_said_loudly(orientation: int, size: tuple[int, int], tmp_path: Path) -> None:
    photographed(tmp_path, [size] * 5, orientation, size)
    data = formats.read(tmp_path)
    assert data.train.images[0][:, :6].min() > 200
    (warning,) = [note for note in data.notes if "EXIF" in note]
    assert warning.startswith(
        "WARNING: 5 images say they are to be turned (EXIF), and their annotated size fits both ways"
    )


def test_keypoints_beyond_the_edge_are_counted(tmp_path: Path) -> None:
    records = pictures(tmp_path / "images", 1, 5)
    content = document(records)
    write(tmp_path / "all.json", content)
    assert not [note for note in formats.read(tmp_path).notes if "outside" in note]
    content["annotations"][0]["keypoints"][:2] = [6400, 5]
    write(tmp_path / "all.json", content)
    (note,) = [note for note in formats.read(tmp_path).notes if "outside" in note]
    assert note.startswith("1 labelled keypoints lie outside their image, by 6,384 px at most")


def test_a_new_photograph_is_turned_upright(tmp_path: Path) -> None:
    photographed(tmp_path, [(16, 12)], 6, (16, 12))
    assert decode(tmp_path / "images" / "1.jpg").shape == (16, 12)
    assert decode(tmp_path / "images" / "1.jpg", turn=False).shape == (12, 16)


def test_sixteen_bit_grey_of_unknown_range_keeps_its_upper_byte(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (12, 16)).astype(np.uint16)
    values[0, 0] = 2**16 - 1
    Pillow.fromarray(values).save(tmp_path / "1.png")
    assert np.array_equal(decode(tmp_path / "1.png"), (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("memory", [0, 2**20])
def test_grey_beside_colour_becomes_rgb_everywhere(
    memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.images.MEMORY", memory)
    records = pictures(tmp_path / "images", 1, 5)
    Pillow.open(tmp_path / "images" / "3.png").convert("L").save(tmp_path / "images" / "3.png")
    write(tmp_path / "all.json", document(records))
    dataset = formats.read(tmp_path)
    images = [image for part in dataset.splits.values() for image in part.images]
    assert {image.shape for image in images} == {(12, 16, 3)}
    assert sum(bool((image[..., 0] == image[..., 2]).all()) for image in images) == 1


def test_files_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    records = pictures(tmp_path / "images", 1, 6)
    write(tmp_path / "annotations" / "left.json", document(records))
    write(tmp_path / "annotations" / "right.json", document(records))
    with pytest.raises(UserError, match=r"left\.json, annotations/right\.json"):
        formats.read(tmp_path)
    (tmp_path / "annotations" / "left.json").rename(tmp_path / "annotations" / "val.json")
    (tmp_path / "annotations" / "right.json").rename(tmp_path / "annotations" / "test.json")
    with pytest.raises(UserError, match="none for train"):
        formats.read(tmp_path)
    write(tmp_path / "annotations" / "train.json", document(records, ("nose", "ear")))
    with pytest.raises(UserError, match="different keypoints"):
        formats.read(tmp_path)
    write(tmp_path / "annotations" / "train.json", document(records))
    assert len(formats.read(tmp_path).train) == 6
    with pytest.raises(UserError, match="leave --split out"):
        formats.read(tmp_path, split=1)


def test_missing_pictures_and_too_few(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "all.json", document([{"id": 1, "file_name": "a.png", "width": 4, "height": 4}]))
    with pytest.raises(UserError, match=r"no file a\.png"):
        formats.read(tmp_path)
    write(tmp_path / "annotations" / "all.json", document(pictures(tmp_path / "images", 1, 2)))
    with pytest.raises(UserError, match="too few"):
        formats.read(tmp_path)
    write(tmp_path / "annotations" / "all.json", document([]))
    with pytest.raises(UserError, match="empty"):
        formats.read(tmp_path)
