"""Groups (videos, sessions, subjects) stay whole in splits and folds, whatever their sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import photographs

from benchmark.structures import UserError
from datasets import formats, splits
from datasets.formats.reading import ReadOptions


def digests(n: int) -> list[str]:
    return [f"{i:064x}" for i in range(n)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=5, max_size=40), st.integers(0, 9))
def test_no_group_lies_in_two_parts_and_all_images_lie_in_one(counts: list[int], number: int) -> None:
    groups = [f"g{g}" for g, count in enumerate(counts) for _ in range(count)]
    n = len(groups)
    val = max(1, n // 5)
    sizes = [n - 2 * val, val, val]
    parts = splits.split_groups(digests(n), groups, sizes, number)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    owners = [{groups[i] for i in part} for part in parts]
    assert all(owners)
    assert sum(map(len, owners)) == len(set().union(*owners))
    for part, size in zip(parts, sizes):
        assert abs(len(part) - size) <= 2 * max(counts)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=8, max_size=20), st.integers(2, 4))
def test_folds_keep_groups_whole(counts: list[int], k: int) -> None:
    groups = [f"g{g}" for g, count in enumerate(counts) for _ in range(count)]
    every = splits.folds(digests(len(groups)), None, k, groups=groups)
    assert sorted(np.concatenate([test for _, _, test in every]).tolist()) == list(range(len(groups)))
    for parts in every:
        owners = [{groups[i] for i in part} for part in parts]
        assert all(owners)
        assert sum(map(len, owners)) == len(set().union(*owners))


def test_another_number_is_another_division_and_the_order_of_images_is_none() -> None:
    groups = [f"g{i // 4}" for i in range(40)]
    first, second = (splits.split_groups(digests(40), groups, [24, 8, 8], number)[2].tolist() for number in (0, 1))
    assert first != second
    order = np.random.default_rng(0).permutation(40)
    shuffled = splits.split_groups([digests(40)[i] for i in order], [groups[i] for i in order], [24, 8, 8])[2]
    assert sorted(order[shuffled].tolist()) == first


def test_too_few_groups_are_one_line() -> None:
    with pytest.raises(UserError, match="2 groups are too few to be divided into 3 parts"):
        splits.split_groups(digests(10), ["a", "b"] * 5, [6, 2, 2])


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Thirty images of ten videos, three of each, named video03_frame1.jpg."""
    photographs(tmp_path / "v", 30, k=2, size=(48, 32))
    document = json.loads((tmp_path / "v" / "annotations.json").read_text())
    for i, image in enumerate(document["images"]):
        name = f"video{i // 3:02d}_frame{i % 3}.jpg"
        (tmp_path / "v" / "images" / image["file_name"]).rename(tmp_path / "v" / "images" / name)
        image |= {"file_name": name, "session": i // 3}
    (tmp_path / "v" / "annotations.json").write_text(json.dumps(document))
    return tmp_path / "v"


@pytest.mark.parametrize("by", [r"video\d+", r"(video\d+)_", "session"])
def test_a_pattern_or_a_field_groups_the_images_of_a_folder(videos: Path, by: str) -> None:
    data = formats.read(videos, options=ReadOptions(group_by=by))
    owners = [{name.partition("_")[0] for name in part.annotations.file_names} for part in data.splits.values()]
    assert [len(own) for own in owners] == [6, 2, 2]
    assert len(set().union(*owners)) == 10
    assert "10 groups: none is divided between splits or folds made here" in data.notes
    for fold in data.folds(5):
        own = [set(part.annotations.groups or ()) for part in fold.splits.values()]
        assert sum(map(len, own)) == len(set().union(*own))


def test_a_pattern_that_matches_nothing_is_one_line(videos: Path) -> None:
    with pytest.raises(UserError, match="group-by 'camera' is no field of the images, and matches none of their names"):
        formats.read(videos, options=ReadOptions(group_by="camera"))
    with pytest.raises(UserError, match="is not a regular expression"):
        formats.read(videos, options=ReadOptions(group_by="("))


def test_splits_that_share_a_video_are_warned_of(videos: Path) -> None:
    document = json.loads((videos / "annotations.json").read_text())
    for name, part in (("train", slice(0, 20)), ("val", slice(20, 25)), ("test", slice(25, 30))):
        images = document["images"][part]
        ids = {image["id"] for image in images}
        rows = [row for row in document["annotations"] if row["image_id"] in ids]
        (videos / f"{name}.json").write_text(json.dumps({**document, "images": images, "annotations": rows}))
    (videos / "annotations.json").unlink()
    (warning,) = [n for n in formats.read(videos, options=ReadOptions(group_by=r"video\d+")).notes if "WARNING" in n]
    assert warning.startswith("WARNING: 2 groups lie in several of the splits that the data brings, as video06")
