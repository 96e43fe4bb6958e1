"""Copies are found, whatever was done to them, and different images are not taken for copies."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photographs import photographs
from PIL import Image, ImageEnhance

import benchmark
from benchmark.runs.config import DataReference
from benchmark.runs.data import open_data
from benchmark.runs.store import Store
from benchmark.structures import Annotations, LabeledImages
from datasets import formats
from datasets.load import load
from datasets.near_duplicates import fingerprints, near_duplicates, note_on
from leaderboard.audit import audit


def labelled(images: list[np.ndarray]) -> LabeledImages:
    n = len(images)
    return LabeledImages(
        images,
        Annotations(
            image_ids=np.arange(1, n + 1),
            file_names=tuple(f"{i}.jpg" for i in range(n)),
            sizes=np.array([[image.shape[1], image.shape[0]] for image in images]),
            index=np.zeros(0, dtype=np.int64),
            keypoints=np.zeros((0, 1, 2)),
            visible=np.zeros((0, 1), dtype=np.int64),
            boxes=np.zeros((0, 4)),
            areas=np.zeros(0),
            crowd=np.zeros(0, dtype=bool),
            category_ids=np.zeros(0, dtype=np.int64),
            keypoint_names=("a",),
            sigmas=np.ones(1),
        ),
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("photos")
    photographs(folder, 60, k=4, size=(320, 240), seed=4)
    return [np.asarray(image) for part in formats.read(folder).splits.values() for image in part.images]


def encoded(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=40)
    return np.asarray(Image.open(buffer))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the same": lambda image: image,
    "encoded again": encoded,
    "half the size": lambda image: np.asarray(Image.fromarray(image).resize((160, 120))),
    "brighter": lambda image: np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.25)),
    "shifted by 2 px": lambda image: image[:, 2:],
    "grey": lambda image: np.asarray(Image.fromarray(image).convert("L")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found(change: str, photos: list[np.ndarray]) -> None:
    """Ten of thirty test images are copies of training images; all of them are found, and nothing else."""
    train, test = photos[:30], [*(CHANGES[change](image) for image in photos[:10]), *photos[30:50]]
    found = near_duplicates({"train": labelled(train), "test": labelled(test)})
    assert sorted(pair.names for pair in found) == sorted((f"{i}.jpg", f"{i}.jpg") for i in range(10))
    assert note_on(found).startswith(
        "WARNING: copies: 10 test images are nearly the same as a training or val image (10 pairs"
    )
    assert note_on([]) == ""


def test_blank_images_are_no_copies_of_each_other() -> None:
    blank = [np.full((40, 40), 200, dtype=np.uint8)] * 3
    assert near_duplicates({"train": labelled(blank), "test": labelled(blank)}) == []


def test_digits_of_one_class_are_not_taken_for_copies(tmp_path: Path) -> None:
    assert near_duplicates(load("topleft", "tiny", root=tmp_path).splits) == []


def test_ten_thousand_images_take_seconds() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (10_000, 32, 32), dtype=np.uint8)
    started = time.process_time()
    near_duplicates({"train": labelled(list(images[:6000])), "test": labelled(list(images[6000:]))})
    assert time.process_time() - started < 60  # 20 s promised on two cores; far slower would be another algorithm
    assert fingerprints(images[:2])[1].shape == (2, 1024)


def test_copies_between_folds_and_splits_are_said_by_a_run_and_fail_the_audit(
    photos: list[np.ndarray], tmp_path: Path
) -> None:
    folder, results = tmp_path / "photos", tmp_path / "results"
    photographs(folder, 30, k=2, size=(96, 64), seed=3)
    document = json.loads((folder / "annotations.json").read_text())
    for record in document["images"][:6]:  # a brighter copy of six images, with the same labels
        name = f"copy-{record['file_name']}"
        picture = ImageEnhance.Brightness(Image.open(folder / "images" / record["file_name"])).enhance(1.1)
        picture.save(folder / "images" / name)
        new = 1000 + record["id"]
        document["images"].append({**record, "id": new, "file_name": name})
        own = [one for one in document["annotations"] if one["image_id"] == record["id"]]
        document["annotations"] += [{**one, "id": 5000 + one["id"], "image_id": new} for one in own]
    (folder / "annotations.json").write_text(json.dumps(document))
    for folds in (0, 3):
        benchmark.run("mean", data=folder, folds=folds, results=results)
        (parts,) = [open_data(DataReference(data=str(folder), folds=folds))]
        assert [note for note in parts[0].notes if note.startswith("WARNING: copies: ")]
    (overlap,) = [check for check in audit(Store(results)).checks if check.code == "overlap"]
    assert overlap.status == "failed"
    assert any("fold" in problem and "copy-" in problem for problem in overlap.problems)
