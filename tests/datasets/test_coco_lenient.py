"""What pycocotools reads, we read, and count; what it scores, we score the same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.metrics import score
from benchmark.structures import UserError
from datasets import formats
from datasets.formats.coco import read_document
from datasets.formats.coco_results import predictions_from_json
from datasets.formats.reading import ReadOptions
from leaderboard.external import score_files

BIG = 2**63 - 1


def document() -> dict[str, Any]:
    """Four images, five instances of three keypoints, tidy."""
    random = np.random.default_rng(0)
    annotations = []
    for i, image in enumerate([1, 2, 2, 3, 4]):
        points = random.uniform(10, 50, (3, 2)).round(1)
        annotations.append(
            {
                "id": i + 1,
                "image_id": image,
                "category_id": 1,
                "keypoints": [v for x, y in points.tolist() for v in (x, y, 2)],
                "num_keypoints": 3,
                "bbox": [5.0, 5.0, 50.0, 50.0],
                "area": 2500.0,
                "iscrowd": 0,
            }
        )
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(1, 5)]
    categories = [{"id": 1, "name": "thing", "keypoints": ["a", "b", "c"], "skeleton": [[1, 2]]}]
    return {"images": images, "annotations": annotations, "categories": categories}


def results(of: dict[str, Any]) -> list[dict[str, Any]]:
    """A prediction near every instance."""
    random = np.random.default_rng(1)
    found = []
    for row in of["annotations"]:
        if not row.get("keypoints"):
            continue
        triples = np.array([0.0 if v is None or v != v else v for v in row["keypoints"]], dtype=np.float64).reshape(
            -1, 3
        )
        triples[:, :2] += random.normal(0, 2, (len(triples), 2))
        triples[:, 2] = 1
        entry = {"keypoints": triples.ravel().tolist(), "score": float(random.random()), "bbox": [5, 5, 50, 50]}
        found.append({"image_id": row["image_id"], "category_id": row["category_id"], **entry})
    return found


def odd(change: str) -> dict[str, Any]:
    """The document with one oddity that other tools write."""
    made = document()
    rows = made["annotations"]
    for row in rows:
        if change == "crowd as boolean":
            row["iscrowd"] = False
        elif change == "crowd as float":
            row["iscrowd"] = 0.0
        elif change == "whole floats":
            row["id"], row["image_id"], row["category_id"] = float(row["id"]), float(row["image_id"]), 1.0
        elif change == "nan where unlabelled":
            row["keypoints"][3:6] = [float("nan"), float("nan"), 0]
        elif change == "null where unlabelled":
            row["keypoints"][3:6] = [None, None, 0]
        elif change == "extra keys":
            row |= {"segmentation": [[1, 2, 3, 4, 5, 6]], "attributes": {"occluded": False}, "track_id": None}
    if change == "whole floats":
        for image in made["images"]:
            image |= {"id": float(image["id"]), "width": 64.0, "height": 64.0}
    if change == "a box annotation":
        rows[0] |= {"keypoints": [], "num_keypoints": 0}
    if change == "a box category":
        made["categories"].append({"id": 2, "name": "box", "keypoints": []})
        rows.append({**rows[0], "id": 9, "category_id": 2, "keypoints": [], "num_keypoints": 0})
    if change == "an unused category":
        made["categories"].append({"id": 7, "name": "horse", "keypoints": ["hoof"]})
    if change == "another subset of images":
        made["images"] = made["images"][:3]
    if change == "large ids":
        for image in made["images"]:
            image["id"] += BIG - 10
        for row in rows:
            row["image_id"] += BIG - 10
            row["id"] += BIG - 10
    return made


CHANGES = {
    "nothing": "",
    "crowd as boolean": "",
    "crowd as float": "",
    "whole floats": "",
    "nan where unlabelled": "5 unlabelled keypoints without numbers set to 0, 0",
    "null where unlabelled": "5 unlabelled keypoints without numbers set to 0, 0",
    "extra keys": "",
    "a box annotation": "1 annotations without keypoints: instances of which none is labelled",
    "a box category": "1 annotations of categories without keypoints set aside",
    "an unused category": "",
    "another subset of images": "1 annotations of images that are not in the file set aside",
    "large ids": "",
}


def by_pycocotools(truth: dict[str, Any], found: list[dict[str, Any]], tmp_path: Path) -> float:
    """AP of the reference, which needs numbers where we do not."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    tidy = copy.deepcopy(truth)
    for row in tidy["annotations"]:
        row["keypoints"] = [0.0 if v is None or v != v else v for v in row["keypoints"]]
        row["num_keypoints"] = sum(v > 0 for v in row["keypoints"][2::3])
        row["keypoints"] = row["keypoints"] or [0] * 9
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(tidy))
    coco = COCO(str(path))
    images = {image["id"] for image in truth["images"]}
    evaluation = COCOeval(coco, coco.loadRes([dict(f) for f in found if f["image_id"] in images]), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(3, 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize("change", CHANGES)
def test_what_other_tools_write_is_read_and_scored_as_pycocotools_does(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = odd(change)
    read = read_document(made, "f")
    expected = [CHANGES[change]] if CHANGES[change] else []
    assert [note for note in read.notes if "sigmas" not in note] == expected
    known = read.annotations
    assert known.keypoint_names == ("a", "b", "c")
    images = {image["id"] for image in made["images"]}
    found = [f for f in results(made) if f["image_id"] in images]
    ours = score(known, predictions_from_json(found, known, "p"))
    assert ours["ap"] == pytest.approx(by_pycocotools(made, found, tmp_path), abs=1e-9)


def test_large_ids_are_kept_to_the_last_digit() -> None:
    known = read_document(odd("large ids"), "f").annotations
    assert known.image_ids.tolist() == [BIG - 9, BIG - 8, BIG - 7, BIG - 6]


def test_no_annotation_ids_no_boxes_no_areas_no_crowds() -> None:
    made = document()
    for row in made["annotations"]:
        for key in ("id", "area", "iscrowd", "num_keypoints"):
            del row[key]
        row["bbox"] = None if row["image_id"] == 1 else []
    read = read_document(made, "f")
    assert len(read.annotations.index) == 5
    assert [note for note in read.notes if "sigmas" not in note] == [
        "annotations without ids are numbered in their order",
        "5 annotations without a box: that of their keypoints, padded by 3 px, is used",
        "5 annotations without an area: that of their box is used",
    ]


def two_kinds() -> dict[str, Any]:
    made = document()
    made["categories"].append({"id": 2, "name": "hand", "keypoints": ["palm"]})
    made["annotations"].append({**made["annotations"][0], "id": 9, "category_id": 2, "keypoints": [7, 8, 2]})
    return made


def test_categories_with_different_keypoints_are_a_choice_that_is_listed() -> None:
    with pytest.raises(UserError) as caught:
        read_document(two_kinds(), "f")
    assert (
        "choose one with --category NAME: thing (3 keypoints, 5 annotations), hand (1 keypoints, 1 annotations)"
        in str(caught.value)
    )
    with pytest.raises(UserError, match=r"has no category 'foot'; there are thing \(3"):
        read_document(two_kinds(), "f", ReadOptions(category="foot"))
    hand = read_document(two_kinds(), "f", ReadOptions(category="hand"))
    assert hand.annotations.keypoints.tolist() == [[[7.0, 8.0]]]
    assert "5 annotations of other categories set aside" in hand.notes
    thing = read_document(two_kinds(), "f", ReadOptions(category="thing"))
    assert thing.annotations.keypoint_names == ("a", "b", "c")
    assert thing.annotations.known_category_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[0.1, 0.2, 0.3]", [0.1, 0.2, 0.3]),
        ('{"c": 0.3, "a": 0.1, "b": 0.2}', [0.1, 0.2, 0.3]),
        ("[0.1]", "must be a list of 3 numbers"),
        ('{"a": 0.1}', "has no sigma for 'b'"),
        ("[0.1, 0, 0.3]", "entry 1"),
    ],
)
def test_sigmas_of_a_file(text: str, expected: Any, tmp_path: Path) -> None:
    path = tmp_path / "sigmas.json"
    path.write_text(text)
    if isinstance(expected, str):
        with pytest.raises(UserError, match=expected):
            read_document(document(), "f", ReadOptions(sigmas=str(path)))
    else:
        read = read_document(document(), "f", ReadOptions(sigmas=str(path)))
        assert read.annotations.sigmas.tolist() == expected
        assert f"sigmas of {path} are used" in read.notes


def written(folder: Path, made: dict[str, Any], name: str = "all.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(made))
    return folder / name


def pictures(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), 100 + len(name)).save(folder / name)


def many() -> dict[str, Any]:
    """Ten images of one instance."""
    made = document()
    made["images"] = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(1, 11)]
    made["annotations"] = [{**made["annotations"][0], "id": i, "image_id": i} for i in range(1, 11)]
    return made


def test_results_and_settings_beside_the_annotations_are_told_by_what_they_hold(tmp_path: Path) -> None:
    written(tmp_path, many(), "labels.json")
    written(tmp_path, results(many()), "detections.json")  # type: ignore[arg-type]
    written(tmp_path, {"name": "page", "version": 1}, "package.json")
    pictures(tmp_path, [f"{i}.png" for i in range(1, 11)])
    data = formats.read(tmp_path)
    assert sum(len(part) for part in data.splits.values()) == 10
    assert "2 JSON files that are no annotations left unread: detections.json, package.json" in data.notes


def test_one_file_is_data_and_shares_can_be_asked_for(tmp_path: Path) -> None:
    path = (
        written(tmp_path / "annotations", many(), "person.json") if (tmp_path / "annotations").mkdir() is None else None
    )
    assert path is not None
    pictures(tmp_path / "images", [f"{i}.png" for i in range(1, 11)])
    plain = formats.read(path)
    assert [len(part) for part in plain.splits.values()] == [6, 2, 2]
    shares = formats.read(path, options=ReadOptions(val=0.1, test=0.5))
    assert [len(part) for part in shares.splits.values()] == [4, 1, 5]


@pytest.mark.parametrize(
    ("named", "stored", "how"),
    [
        ("a\\{i}.png", "a/{i}.png", "with \\ for /"),
        ("caf\u00e9{i}.png", "cafe\u0301{i}.png", "in another Unicode normalisation"),
        ("my%20photo{i}.png", "my photo{i}.png", "with %-escapes"),
        ("server/export/{i}.png", "deep/down/{i}.png", "by the last part of their names"),
    ],
)
def test_names_that_other_systems_write_are_found_and_counted(
    named: str, stored: str, how: str, tmp_path: Path
) -> None:
    made = many()
    for i, image in enumerate(made["images"], 1):
        image["file_name"] = named.format(i=i)
    written(tmp_path, made)
    pictures(tmp_path / "images", [stored.format(i=i) for i in range(1, 11)])
    notes = [note for note in formats.read(tmp_path).notes if "image files found" in note]
    assert len(notes) == 1
    assert notes[0].startswith("10 image files found")
    assert how in notes[0]


def test_a_missing_image_is_named_with_how_many_and_what_may_be_the_matter(tmp_path: Path) -> None:
    written(tmp_path, many())
    pictures(tmp_path, [f"{i}.png" for i in range(1, 9)])
    with pytest.raises(UserError, match=r"images entry 8: there is no file 9\.png .*; 2 of 10 images are missing"):
        formats.read(tmp_path)
    pictures(tmp_path, ["9.PNG", "10.png"])
    with pytest.raises(UserError, match="9.PNG differs in upper and lower case"):
        formats.read(tmp_path)


def test_sizes_that_a_file_does_not_give_are_those_of_the_images(tmp_path: Path) -> None:
    made = many()
    for image in made["images"]:
        del image["width"], image["height"]
    written(tmp_path, made)
    pictures(tmp_path, [f"{i}.png" for i in range(1, 11)])
    data = formats.read(tmp_path)
    assert data.train.annotations.sizes.tolist() == [[64, 64]] * 6
    assert "10 images without width and height: those of their files are used" in data.notes


def test_score_needs_no_images_names_or_sizes(tmp_path: Path) -> None:
    made, bare = document(), document()
    for i, image in enumerate(bare["images"]):
        del image["width"], image["height"]
        image["file_name"] = ("/absolute/a.png", "", 3, "..\\b.png")[i]
    truth, lacking = written(tmp_path, made, "truth.json"), written(tmp_path, bare, "bare.json")
    (tmp_path / "found.json").write_text(json.dumps(results(made)))
    whole, without = (score_files(tmp_path / "found.json", path).scores for path in (truth, lacking))
    assert whole["mean"] == without["mean"]
    assert whole["ap"] == without["ap"]
    assert whole["mse"] is not None
    assert without["mse"] is None
    assert without.reasons["mse"] == "the sizes of the images are not given"


def test_a_missing_prediction_needs_a_size(tmp_path: Path) -> None:
    bare = many()
    for image in bare["images"]:
        del image["width"], image["height"]
    path = written(tmp_path, bare)
    (tmp_path / "found.json").write_text(json.dumps(results(bare)[1:]))
    with pytest.raises(
        UserError, match="image 1 has no prediction, and its error is the image's size, which is not given"
    ):
        score_files(tmp_path / "found.json", path)


def test_an_empty_list_of_results_has_an_ap_of_0(tmp_path: Path) -> None:
    path = written(tmp_path, many())
    (tmp_path / "found.json").write_text("[]")
    scores = score_files(tmp_path / "found.json", path).scores
    assert (scores["ap"], scores["misses"]) == (0, 10)
