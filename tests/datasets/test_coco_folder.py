"""COCO folders: writing and reading, other people's readers, and everything that can be wrong on disk."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmark.structures import LabeledImages, UserError
from datasets import formats
from datasets.dataset import Dataset, DatasetCard, content_digest
from datasets.formats import coco_folder
from datasets.load import export, load, presets
from datasets.sources import mnist_embedded
from datasets.tasks.build import build, label
from datasets.tasks.catalog import get_task, tasks


def small(name: str = "topleft", count: int = 10) -> tuple[LabeledImages, LabeledImages, LabeledImages]:
    """A few digits of a task as train, val and test."""
    images, labels = mnist_embedded()
    chosen = np.flatnonzero(np.isin(labels, (3, 7)))[:: 1000 // (3 * count)]
    a, b, c = chosen[:count], chosen[count : 2 * count], chosen[2 * count : 3 * count]
    train, val, test = (label(get_task(name), images[part], labels[part]) for part in (a, b, c))
    return train, val, test


def made_dataset(parts: tuple[LabeledImages, LabeledImages, LabeledImages], **card: Any) -> Dataset:
    """A data set as it is before it is written: its digest is not known yet."""
    return Dataset(*parts, DatasetCard(**card), digest="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    coco_folder.write(tmp_path / "d", made_dataset(small(), task="topleft", data="few"))
    return tmp_path / "d"


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", tasks())
def test_reading_what_was_written_gives_the_identical_data(name: str, tmp_path: Path) -> None:
    images, labels = mnist_embedded()
    chosen = slice(None, None, 250) if name == "all-digits" else np.isin(labels, (3, 7)) & (np.arange(5000) % 40 == 0)
    data = label(get_task(name), images[chosen], labels[chosen])
    given = (data.take(range(10)), data.take(range(10, 15)), data.take(range(15, 20)))
    written = coco_folder.write(tmp_path / "d", made_dataset(given, task=name))
    read = formats.read(tmp_path / "d")
    assert read.digest == written.digest == content_digest(dict(zip(("train", "val", "test"), given)))
    assert read.card == written.card
    for before, after in zip(given, (read.train, read.val, read.test)):
        assert after.annotations.digest == before.annotations.digest
        assert np.array_equal(after.stack(), before.stack())


def test_two_exports_are_identical_to_the_byte_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    first = export("topleft", "tiny", tmp_path / "a")
    again = export("topleft", "tiny", tmp_path / "b")
    assert first == again
    before = files(tmp_path / "a")
    assert before == files(tmp_path / "b")
    assert len(before) == 1000 + 3 + 1
    export("topleft", "tiny", tmp_path / "a")  # over an earlier export
    assert files(tmp_path / "a") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert load(None, str(tmp_path / "a")).digest == load("topleft", "tiny", root=tmp_path / "r").digest


@pytest.mark.parametrize("name", ["both", "topleft-several"])
def test_pycocotools_reads_all_three_files(name: str, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    parts = dict(zip(("train", "val", "test"), small(name)))
    coco_folder.write(tmp_path / "d", made_dataset(tuple(parts.values()), task=name))
    for part, data in parts.items():
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(tmp_path / "d" / "annotations" / f"{part}.json"))
        annotations = data.annotations
        assert sorted(coco.imgs) == annotations.image_ids.tolist()
        assert min(coco.anns) == 1
        for i, image_id in enumerate(annotations.image_ids.tolist()):
            keypoints = [a["keypoints"] for a in coco.loadAnns(coco.getAnnIds(image_id))]
            own = annotations.index == i
            expected = np.concatenate([annotations.keypoints[own], annotations.visible[own][:, :, None]], axis=2)
            assert np.array_equal(np.array(keypoints).reshape(expected.shape), expected)
            picture = tmp_path / "d" / "images" / part / coco.imgs[image_id]["file_name"]
            assert np.array_equal(np.asarray(Pillow.open(picture)), data.images[i])


def test_the_card_says_what_is_in_the_folder(tmp_path: Path) -> None:
    export("both", "tiny", tmp_path / "d", split=2)
    card = json.loads((tmp_path / "d" / "card.json").read_text())
    assert card["task"] == "both"
    assert card["version"] == 1
    assert card["data"] == "tiny"
    assert card["split"] == 2
    assert card["images"] == {"train": 568, "val": 141, "test": 291}
    assert card["keypoints"] == ["topleft", "center"]
    assert card["sigmas"] == [0.0455, 0.0455]
    assert card["spacing"] == [1.0, 0.5]
    assert "centre of that pixel" in card["convention"]
    assert card["rule"] is True
    assert len(card["digest"]) == 64


def test_colour_and_several_sizes_survive(tmp_path: Path) -> None:
    train, _, test = small()
    rng = np.random.default_rng(0)
    sizes = [(5 + i, 9) for i in range(10)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    annotations = replace(
        train.annotations, sizes=np.array([(w, h) for h, w in sizes]), keypoints=np.full((10, 1, 2), 1.25)
    )
    colour = LabeledImages(images, annotations)
    with pytest.raises(ValueError, match="grey and coloured"):
        coco_folder.write(tmp_path / "d", made_dataset((colour, colour, test), task="x"))
    assert not list(tmp_path.iterdir())
    coco_folder.write(tmp_path / "d", made_dataset((colour, colour, colour.take([4, 1])), task="x"))
    read = formats.read(tmp_path / "d")
    assert all(np.array_equal(a, b) for a, b in zip(images, read.train.images))
    assert np.array_equal(read.test.images[1], images[1])


def test_images_of_a_large_set_are_decoded_when_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.images

    held = formats.read(folder)
    assert isinstance(held.train.images, np.ndarray)
    monkeypatch.setattr(datasets.images, "MEMORY", 100)
    lazy = formats.read(folder)
    assert not isinstance(lazy.train.images, np.ndarray | list)
    assert lazy.digest == held.digest
    assert np.array_equal(lazy.train.images[-1], held.train.images[-1])
    assert np.array_equal(np.stack(list(lazy.train.images[2:5])), held.train.stack()[2:5])
    assert np.array_equal(lazy.train.take([7, 2]).stack(), held.train.stack()[[7, 2]])
    shutil.rmtree(folder / "images")
    with pytest.raises(UserError, match="there is no file"):
        lazy.train.images[0]


def test_a_preset_is_exported_once_and_a_damaged_copy_is_written_again(tmp_path: Path) -> None:
    first = load("center", "tiny", root=tmp_path)
    copy = tmp_path / "center@1-tiny-split0"
    before = files(copy)
    stamp = (copy / "card.json").stat().st_mtime_ns
    assert load("center", "tiny", root=tmp_path).digest == first.digest
    assert (copy / "card.json").stat().st_mtime_ns == stamp
    for damage in (
        lambda: (copy / "images" / "test" / "00001.png").unlink(),
        lambda: (copy / "annotations" / "val.json").write_text("{"),
        lambda: (copy / "card.json").write_text("[]"),
        lambda: (copy / "card.json").unlink(),
        lambda: shutil.copy(copy / "images" / "test" / "00001.png", copy / "images" / "test" / "00002.png"),
    ):
        damage()
        assert load("center", "tiny", root=tmp_path).digest == first.digest
        assert files(copy) == before


def test_what_is_loaded_names_itself(tmp_path: Path) -> None:
    dataset = load(None, "tiny", split=1, root=tmp_path)
    assert (dataset.card.task, dataset.card.version, dataset.name) == ("topleft", 1, "tiny-split1")
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (568, 141, 291)
    expected = build(get_task("topleft"), "tiny", 1)[2]
    assert dataset.test.annotations.digest == expected.annotations.digest
    assert set(presets()) == {"tiny", "tiny-wide", "tiny-moved", "mnist5k", "mnist"}


def test_an_exported_folder_is_the_preset_it_was_made_from(tmp_path: Path) -> None:
    export("center", "tiny", tmp_path / "d")
    dataset = load(None, str(tmp_path / "d"))
    assert (dataset.card.task, dataset.name) == ("center", "tiny")
    assert load("center", str(tmp_path / "d")).digest == dataset.digest
    with pytest.raises(UserError, match="leave --task topleft out"):
        load("topleft", str(tmp_path / "d"))
    assert export(None, str(tmp_path / "d"), tmp_path / "e") == export("center", "tiny", tmp_path / "f")


def edit(path: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


TRAIN, PNG = "annotations/train.json", "images/train/00001.png"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no annotations": (lambda d: (d / TRAIN).unlink(), r"train\.json: cannot be read"),
    "cut annotations": (lambda d: truncate(d / TRAIN), r"train\.json.*is not JSON"),
    "no images in the file": (
        lambda d: edit(d / TRAIN, lambda j: j.update(images=[], annotations=[])),
        r"train\.json: 'images' is empty",
    ),
    "a path that leaves": (
        lambda d: edit(d / TRAIN, lambda j: j["images"][3].update(file_name="../../x.png")),
        r"train\.json: images entry 3: .*leaves",
    ),
    "a missing picture": (lambda d: (d / PNG).unlink(), r"train\.json: images entry 0: there is no file .*00001\.png"),
    "an empty picture": (lambda d: (d / PNG).write_bytes(b""), r"entry 0: .*00001\.png is not a readable image"),
    "a cut picture": (lambda d: truncate(d / PNG), r"entry 0: .*00001\.png is not a readable image"),
    "a folder for a picture": (lambda d: ((d / PNG).unlink(), (d / PNG).mkdir()), "is not a readable image"),
    "another size": (
        lambda d: Pillow.new("L", (28, 27)).save(d / PNG),
        r"entry 0: says 28 x 28 px, but .*00001\.png is 28 x 27",
    ),
    "another picture": (lambda d: Pillow.new("L", (28, 28)).save(d / PNG), r"not what card\.json promises"),
    "another point": (
        lambda d: edit(d / TRAIN, lambda j: j["annotations"][0]["keypoints"].__setitem__(0, 1.0)),
        r"not what card\.json promises",
    ),
    "no card but text": (lambda d: (d / "card.json").write_text("text"), r"card\.json"),
    "a stranger's card": (
        lambda d: (d / "card.json").write_text('{"title": "mine"}'),
        r"card\.json: .*delete the card",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_gets_one_clear_line(damage: str, folder: Path) -> None:
    harm, words = DAMAGE[damage]
    harm(folder)
    with pytest.raises(UserError, match=words) as caught:
        formats.read(folder)
    assert "\n" not in str(caught.value)


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for data, words in (
        ("./nowhere", "there is no such folder"),
        (str(tmp_path / "file"), "is a file"),
        (str(tmp_path / "empty"), "holds no COCO keypoint annotations"),
        ("tinny", "did you mean 'tiny'"),
    ):
        with pytest.raises(UserError, match=words):
            load(None, data, root=tmp_path)
    with pytest.raises(UserError, match="split -1"):
        load(None, "tiny", split=-1, root=tmp_path)


def test_export_touches_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other things"):
        export(None, "tiny", tmp_path / "full")
    with pytest.raises(UserError, match="is a file"):
        export(None, "tiny", tmp_path / "full" / "thesis.txt")
    with pytest.raises(UserError, match="cannot be written"):
        export(None, "tiny", tmp_path / "full" / "thesis.txt" / "below")
    assert files(tmp_path / "full") == {"thesis.txt": b"years of work"}
    (tmp_path / "bare").mkdir()
    export(None, "tiny", tmp_path / "bare")
    assert formats.read(tmp_path / "bare").card.data == "tiny"
