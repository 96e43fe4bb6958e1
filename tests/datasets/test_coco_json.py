"""Annotations as a COCO document: identical annotations come back, files of other tools are read, mistakes are named."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import awkward, crowded, single_instance
from scoring_mutants import mutant

from benchmark.metrics import score
from benchmark.structures import Annotations, Category, Predictions, UserError
from datasets.formats.coco import (
    HUMAN_KEYPOINTS,
    annotations_from_json,
    annotations_to_json,
    read_annotations,
    read_document,
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_identical_annotations_come_back(seed: int) -> None:
    annotations = awkward(seed)[0]
    rng = np.random.default_rng(seed)
    n, k = len(annotations), len(annotations.keypoint_names)
    if seed % 2:
        spacing = rng.choice([0.5, 1.0, np.nan], k)
        annotations = replace(
            annotations, spacing=spacing, labels=rng.integers(0, 9, n), baseline=rng.normal(0, 9, (n, k, 2))
        )
    again = annotations_from_json(json.loads(json.dumps(annotations_to_json(annotations), allow_nan=False)), "memory")
    assert again.digest == annotations.digest


def test_annotations_without_instances_come_back() -> None:
    annotations = crowded(3, 1, 2, 0)[0]
    bare = replace(
        annotations,
        **{
            f: getattr(annotations, f)[:0]
            for f in ("index", "keypoints", "visible", "boxes", "areas", "crowd", "category_ids")
        },
    )
    assert annotations_from_json(annotations_to_json(bare), "memory").digest == bare.digest


def notes_on(document: dict[str, Any]) -> list[str]:
    return list(read_document(document, "f").notes)


def of_another_tool(k: int = 17) -> dict[str, Any]:
    """A file as another tool writes it: whole numbers, no boxes, areas, crowds or sigmas, ids out of order."""
    names = list(HUMAN_KEYPOINTS) if k == 17 else [f"part{j}" for j in range(k)]
    return {
        "images": [
            {"id": 7, "file_name": "b/c.jpg", "width": 64, "height": 48},
            {"id": 3, "file_name": "a.jpg", "width": 64, "height": 48},
        ],
        "annotations": [
            {"id": 5, "image_id": 3, "category_id": 1, "keypoints": [10, 20, 2, 30, 26, 1] + [0, 0, 0] * (k - 2)},
            {"id": 4, "image_id": 7, "category_id": 1, "keypoints": [1, 2, 2] * k},
        ],
        "categories": [{"id": 1, "name": "thing", "keypoints": names}, {"id": 2, "name": "box only"}],
    }


def test_what_another_tools_file_lacks_is_filled_in_and_noted() -> None:
    annotations = annotations_from_json(of_another_tool(), "theirs.json")
    assert annotations.image_ids.tolist() == [7, 3]
    assert annotations.index.tolist() == [0, 1]
    assert annotations.keypoints[1, :2].tolist() == [[10.0, 20.0], [30.0, 26.0]]
    assert annotations.boxes[1].tolist() == [7.0, 17.0, 26.0, 12.0]
    assert annotations.areas[1] == 26 * 12
    assert annotations.sigmas[:3].tolist() == [0.026, 0.025, 0.025]
    assert (annotations.spacing, annotations.labels, annotations.baseline) == (None, None, None)
    assert [note.split(":")[0] for note in notes_on(of_another_tool())] == [
        "2 annotations without a box",
        "2 annotations without an area",
        "no sigmas given",
    ]
    assert "human" in notes_on(of_another_tool())[-1]
    few = annotations_from_json(of_another_tool(3), "theirs.json")
    assert few.sigmas.tolist() == [0.05] * 3
    assert "0.05" in notes_on(of_another_tool(3))[-1]
    assert "human" in notes_on({**of_another_tool(), "annotations": []})[-1]


def test_seventeen_keypoints_that_are_not_coco_s_get_no_human_sigmas() -> None:
    document = of_another_tool()
    document["categories"][0]["keypoints"] = [f"petal{j}" for j in range(17)]
    assert annotations_from_json(document, "f").sigmas.tolist() == [0.05] * 17


def test_human_sigmas_are_those_of_pycocotools() -> None:
    from pycocotools.cocoeval import Params

    assert annotations_from_json(of_another_tool(), "f").sigmas == pytest.approx(
        Params("keypoints").kpt_oks_sigmas, rel=1e-15
    )


def test_keypoints_without_names_are_numbered() -> None:
    document = of_another_tool(2)
    del document["categories"][0]["keypoints"]
    assert annotations_from_json(document, "f").keypoint_names == ("keypoint1", "keypoint2")


def test_pycocotools_loads_what_we_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    annotations = crowded(3, 2, 2, 0)[0]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(annotations_to_json(annotations)))
    loaded = COCO(str(path))
    assert len(loaded.getAnnIds()) == 6
    assert loaded.loadCats(1)[0]["keypoints"] == ["p0", "p1"]
    assert read_annotations(path).digest == annotations.digest


Change = tuple[tuple[Any, ...], Any]
REMOVED = object()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("images",), REMOVED, "f: has no 'images'"),
        (("categories",), REMOVED, "f: has no 'categories'"),
        (("images",), [], "'images' is empty"),
        (("categories",), [], "'categories' is empty"),
        (("images", 1, "id"), 7, "images entry 1: id 7 is used twice"),
        (("images", 1, "id"), "3", "images entry 1: 'id' is \"3\""),
        (("images", 1, "width"), 0, "images entry 1: 'width' is 0"),
        (("images", 1, "height"), 10**9, "images entry 1: 'height' is 1000000000"),
        (("images", 1, "file_name"), REMOVED, "images entry 1: has no 'file_name'"),
        (("images", 1, "file_name"), "/etc/passwd", 'images entry 1: file_name "/etc/passwd" leaves'),
        (("images", 1, "file_name"), "a/../../b.png", "leaves the image folder"),
        (("images", 1, "file_name"), "..\\b.png", "leaves the image folder"),
        (("images", 1, "file_name"), "C:\\b.png", "leaves the image folder"),
        (("images", 1, "file_name"), "\\\\host\\b.png", "leaves the image folder"),
        (("images", 1, "file_name"), "a\nb", "where a name was expected"),
        (("images", 1, "file_name"), 3, "where a name was expected"),
        (("images", 0, "label"), 3, "images entry 1: has no 'label'"),
        (("images", 0, "baseline"), [[1, 2]] * 3, "images entry 1: has no 'baseline'"),
        (("annotations", 1, "id"), 5, "annotations entry 1: id 5 is used twice"),
        (("annotations", 1, "keypoints"), [1, 2, 2], "annotations entry 1: 'keypoints' has 3 numbers where 9"),
        (("annotations", 1, "keypoints"), "no", "annotations entry 1: 'keypoints' is text where a list of"),
        (("annotations", 1, "keypoints", 0), None, "annotations entry 1: keypoints[0] is null where a finite number"),
        (("annotations", 1, "keypoints", 4), float("nan"), "annotations entry 1: keypoints[4] is NaN"),
        (("annotations", 1, "keypoints", 5), -1, "annotations entry 1: keypoints[5] is -1; a visibility"),
        (("annotations", 1, "bbox"), [0, 0, -1, 2], "annotations entry 1: 'bbox' has a negative"),
        (("annotations", 1, "bbox"), [0, 0, 1], "annotations entry 1: 'bbox' has 3 numbers where 4"),
        (("annotations", 1, "area"), -1, "annotations entry 1: 'area' is -1, out of range"),
        (("annotations", 1, "iscrowd"), 2, "annotations entry 1: 'iscrowd' is 2"),
        (("annotations", 1), 3, "'annotations': entry 1 is a number"),
        (("categories", 0, "keypoints"), ["a", "a", "b"], "categories entry 0: a keypoint name is given twice"),
        (("categories", 0, "keypoints"), "abc", "categories entry 0: 'keypoints' must be a list of names"),
        (("categories", 0, "keypoints"), ["a", "b", "\x1b[31m"], "a list of names that can be printed"),
        (("categories", 0, "keypoints"), ["a", "b", "\ud800"], "a list of names that can be printed"),
        (("categories", 0, "keypoints"), ["a", "b", ""], "a list of names that can be printed"),
        (("info",), {"sigmas": [0.1, 0.1]}, "info: 'sigmas' must be a list of 3"),
        (("info",), {"sigmas": [0.1, 0.1, 0]}, "info: entry 2: 'sigmas' is 0, out of range: expected above 0"),
        (("info",), {"spacing": [1, None]}, "info: 'spacing' must be a list of 3"),
        (("info",), {"spacing": [1, None, -1]}, "info: entry 2: 'spacing' is -1"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[Any, ...], value: Any, words: str) -> None:
    document = copy.deepcopy(of_another_tool(3))
    node: Any = document
    for key in path[:-1]:
        node = node[key]
    if value is REMOVED:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    with pytest.raises(UserError) as caught:
        annotations_from_json(document, "f")
    assert str(caught.value).startswith("f: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_baseline_of_another_shape_is_named() -> None:
    document = of_another_tool(3)
    for image in document["images"]:
        image["baseline"] = [[1, 2], [3, 4]]
    with pytest.raises(UserError, match="entry 0: 'baseline' must be a list of 3 points"):
        annotations_from_json(document, "f")


def test_a_list_is_no_annotation_file() -> None:
    with pytest.raises(UserError, match="f: is a list where an object"):
        annotations_from_json([], "f")


def test_mutants_of_annotations_are_refused_in_one_line_or_can_be_scored(tmp_path: Path) -> None:
    whole: Annotations = single_instance(4, 2)[0]
    document = annotations_to_json(replace(whole, labels=np.arange(4)))
    rng = random.Random(0)
    path = tmp_path / "mutant.json"
    read, lines = 0, []
    for _ in range(1500):
        path.write_bytes(mutant(document, rng))
        try:
            annotations = read_annotations(path)
        except UserError as error:
            lines.append(str(error))
            continue
        read += 1
        rows = annotations.image_ids[annotations.index]
        if len({*zip(rows.tolist(), map(bytes, annotations.keypoints))}) == len(rows):
            perfect = Predictions(rows, annotations.keypoints, np.arange(len(rows)) / 9, annotations.category_ids)
            assert score(annotations, perfect)["mean"] in (0, None)
    assert 200 < read < 1300
    assert all(str(path) in line and "\n" not in line for line in lines)


def described() -> Annotations:
    """Annotations with everything a file may hold that no score needs."""
    return replace(
        crowded(4, 2, 3, 0)[0],
        categories=(Category(1, "cat"), Category(0, "dog"), Category(9, "category 9")),
        skeleton=((0, 1), (1, 2)),
        flip_pairs=((0, 2),),
        groups=("video a", "video a", "video b", ""),
    )


def test_categories_skeleton_flip_pairs_and_groups_come_back() -> None:
    annotations = described()
    document = json.loads(json.dumps(annotations_to_json(annotations)))
    again = annotations_from_json(document, "memory")
    assert sorted(again.categories, key=lambda c: c.id) == sorted(annotations.categories, key=lambda c: c.id)
    assert again.known_category_ids.tolist() == [0, 1, 9]
    for name in ("skeleton", "flip_pairs", "groups", "keypoint_names"):
        assert getattr(again, name) == getattr(annotations, name), name
    assert again.digest == annotations.digest
    assert annotations_to_json(again) == document
    assert document["categories"][0]["skeleton"] == [[1, 2], [2, 3]]  # positions in files count from 1
    part = annotations.take([3, 1])
    assert part.groups == ("", "video a")
    assert (part.categories, part.skeleton, part.flip_pairs) == (
        annotations.categories,
        annotations.skeleton,
        annotations.flip_pairs,
    )


def test_the_digest_ignores_names_and_drawings_and_fields_that_are_not_there() -> None:
    annotations = crowded(4, 2, 3, 0)[0]
    for change in (
        {"categories": (Category(1, "cat"), Category(2, "dog"))},
        {"skeleton": ((0, 1),)},
        {"flip_pairs": ()},
        {"groups": None},
    ):
        assert replace(annotations, **change).digest == annotations.digest, change
    for change in (
        {"category_ids": annotations.category_ids + 1},
        {"flip_pairs": ((0, 2),)},
        {"groups": ("a", "a", "b", "b")},
    ):
        assert replace(annotations, **change).digest != annotations.digest, change


def test_the_digest_of_data_without_the_newer_fields_is_pinned() -> None:
    """The figure is of the version before categories had names, skeleton, flip_pairs and groups."""
    assert crowded(4, 2, 3, 0)[0].digest[:16] == "f0b2c15c3227bb00"


@pytest.mark.parametrize("pairs", [3, [[1, 9]], [[1]], [["a", "b"]], [[0, 1]], None])
def test_a_skeleton_that_is_none_counts_as_none(pairs: Any) -> None:
    document = annotations_to_json(crowded(2, 1, 3, 0)[0])
    document["categories"][0]["skeleton"] = pairs
    assert annotations_from_json(document, "f").skeleton == ()


def test_groups_are_names_and_given_for_all_images() -> None:
    document = annotations_to_json(crowded(2, 1, 1, 0)[0])
    document["images"][0]["group"] = "video"
    with pytest.raises(UserError, match="entry 1: has no 'group'"):
        annotations_from_json(document, "f")
    document["images"][1]["group"] = 3
    with pytest.raises(UserError, match="entry 1: 'group' is 3 where the name"):
        annotations_from_json(document, "f")


def test_categories_without_a_name_are_numbered() -> None:
    document = of_another_tool(3)
    document["categories"][0]["name"] = 7
    assert annotations_from_json(document, "f").categories == (Category(1, "category 1"), Category(2, "box only"))
