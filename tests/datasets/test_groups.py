"""Groups (videos, sessions, subjects) stay whole in splits and folds, whatever their sizes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from photographs import photographs
from PIL import Image
from rich.console import Console

from benchmark.api import grid_config, run_grid
from benchmark.structures import UserError
from datasets import formats, splits
from datasets.formats.reading import ReadOptions
from leaderboard.honesty_gap import honesty_gaps, two_grids
from leaderboard.render.terminal import print_gaps


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
@example([4, 9, 1, 1, 1, 1, 1, 1], 2)
@example([9, 1, 1, 1, 1, 1, 1, 1], 2)
@given(st.lists(st.integers(1, 9), min_size=8, max_size=20), st.integers(2, 4))
def test_folds_keep_groups_whole(counts: list[int], k: int) -> None:
    groups = [f"g{g}" for g, count in enumerate(counts) for _ in range(count)]
    every = splits.folds(digests(len(groups)), None, k, groups=groups)
    assert sorted(np.concatenate([test for _, _, test in every]).tolist()) == list(range(len(groups)))
    for train, val, test in every:
        owners = [{groups[i] for i in part} for part in (train, val, test)]
        assert all(owners)
        assert not owners[2] & (owners[0] | owners[1])
        assert not owners[0] & owners[1] or owners[0] == owners[1]  # one group alone was left to learn from


def test_a_group_of_almost_all_images_is_one_line() -> None:
    with pytest.raises(UserError, match="folds 2: one group holds almost all images"):
        splits.folds(digests(10), None, 2, groups=["a"] * 9 + ["b"])


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


def test_the_honesty_gap_of_a_detector_that_remembers_videos(videos: Path, tmp_path: Path) -> None:
    """Frames of a video differ by their noise alone, so a nearest neighbour finds its own video where folds are random."""
    random = np.random.default_rng(0)
    document = json.loads((videos / "annotations.json").read_text())
    for image, annotation in zip(document["images"], document["annotations"]):
        base = np.random.default_rng(image["session"]).integers(40, 200, (32, 48, 3))
        noisy = (base + random.integers(0, 5, base.shape)).astype(np.uint8)
        Image.fromarray(noisy).save(videos / "images" / image["file_name"], quality=100)
        x, y = np.random.default_rng(1000 + image["session"]).integers(2, 30, 2).tolist()
        annotation["keypoints"] = [x, y, 2, x, y, 2]
        annotation |= {"bbox": [0, 0, 48, 32], "area": 1536}
    (videos / "annotations.json").write_text(json.dumps(document))
    neighbour = tmp_path / "neighbour.py"
    neighbour.write_text(NEIGHBOUR)
    asked = grid_config(
        [str(neighbour), "mean"],
        data=videos,
        options=ReadOptions(group_by="session"),
        folds=3,
        results=tmp_path / "results",
    )
    gaps = honesty_gaps(*map(run_grid, two_grids(asked)))
    nearest, mean = gaps
    assert (nearest.images, nearest.groups) == (30, 10)
    assert nearest.random < nearest.grouped / 2
    assert nearest.result.high < 0
    assert nearest.result.difference == pytest.approx(nearest.random - nearest.grouped)
    assert mean.result.low < mean.result.difference < mean.result.high
    out = io.StringIO()
    print_gaps(gaps, Console(file=out, width=80))
    assert "honesty gap over 30 images in 10 groups" in out.getvalue()
    with pytest.raises(UserError, match="group-by: say what names an image's video"):
        two_grids(asked.model_copy(update={"options": ReadOptions()}))


NEIGHBOUR = '''
import numpy as np
from benchmark.detector import Card, Detector
from benchmark.registry import register

@register("neighbour")
class Neighbour(Detector):
    """The point of the most similar training image."""
    card = Card("the most similar image's")
    def fit(self, train, val, *, seed, budget):
        self.known = np.array([np.asarray(i, dtype=float).ravel() for i in train.images])
        self.points = train.points
    def predict(self, images):
        asked = np.array([np.asarray(i, dtype=float).ravel() for i in images])
        apart = ((asked[:, None] - self.known) ** 2).sum(axis=2)
        return self.points[apart.argmin(axis=1)]
'''
