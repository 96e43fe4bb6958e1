"""``suggest`` as typed: real PNG files, what is left out, what is promised, and the mistakes one can make."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.conformance import rectangles
from benchmark.structures import Annotations, LabeledImages
from benchmark.suggest import held_out
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder
from datasets.images import write_png

Cli = Any  # the fixture of conftest.py
CHEAP = ["-d", "knn:neighbours=1", "-d", "ridge", "--threads", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 unlabelled images, and 3 more that are copies of the first."""
    place = tmp_path / "unlabelled"
    place.mkdir()
    for i, image in enumerate(rectangles(30, seed=9).images):
        write_png(place / f"{i:02d}.png", image)
    for i in range(3):
        shutil.copy(place / "00.png", place / f"copy{i}.png")
    (place / "notes.txt").write_text("no image")
    return place


def squares(count: int, seed: int, *, noise: bool) -> LabeledImages:
    """A square in one of twelve cells, half of all in the first; the point is somewhere else for each cell, or at random."""
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random(count) < 0.5, 0, rng.integers(1, 12, count))
    images = rng.integers(0, 20, (count, 24, 24)).astype(np.uint8)
    for image, cell in zip(images, cells.tolist(), strict=True):
        y, x = 6 * (cell // 4) + 2, 6 * (cell % 4)
        image[y : y + 5, x : x + 5] = 255
    points = np.random.default_rng(0).uniform(0, 23, (12, 2))[cells]
    like = rectangles(count, seed=seed).annotations
    placed = rng.uniform(0, 23, (count, 2)) if noise else points
    own = {name: getattr(like, name) for name in like.__dataclass_fields__}
    own |= {"keypoints": placed[:, None], "sizes": np.full((count, 2), 24), "baseline": None}
    return LabeledImages(images, Annotations(**own))


def written(place: Path, **kind: bool) -> Path:
    parts = [squares(count, seed, **kind) for seed, count in enumerate((60, 20, 20))]
    coco_folder.write(place, Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    return place


def test_it_names_files_with_a_reason_and_the_same_ones_again(
    cli: Cli, data: Path, folder: Path, tmp_path: Path
) -> None:
    words = ["suggest", "--data", data, "--images", folder, "--count", 2, "--trials", 2, *CHEAP]
    said = cli(*words, "--out", tmp_path / "next.csv", "--json")
    assert said.code == 0, said.err
    document = said.document
    names = [one["file"] for one in document["suggestions"]]
    assert len(set(names)) == 2
    assert set(names) <= {path.name for path in folder.glob("*.png")}
    assert sum(name == "00.png" or name.startswith("copy") for name in names) <= 1
    told = [one["told"] for one in document["suggestions"]]
    assert told[0] == max(told)
    assert (document["labelled"], document["unlabelled"]) == (34, 33)
    assert set(document["gains"]) == {"knn:neighbours=1", "ridge"}
    rows = list(csv.DictReader((tmp_path / "next.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == names
    assert all("detectors differ by" in row["reason"] for row in rows)
    assert cli(*words, "--json").document == document


def test_what_is_labelled_already_is_left_out(cli: Cli, data: Path, folder: Path) -> None:
    labelled = sorted(data.rglob("*.png"))[:4]
    assert labelled
    for path in labelled:
        shutil.copy(path, folder / f"known-{path.name}")
    said = cli("suggest", "--data", data, "--images", folder, "--count", 99, "--trials", 0, *CHEAP)
    assert said.code == 0, said.err
    assert f"4 images of {folder} are labelled already" in said.out
    assert "known-" not in said.out
    assert "there are no more than 33 images to choose from" in said.out


def test_a_gain_is_promised_where_rare_cases_are_missed_by_chance(cli: Cli, tmp_path: Path, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    for i, image in enumerate(squares(60, 7, noise=False).images):
        write_png(folder / f"{i:02d}.png", image)
    words = ["--images", folder, "--count", 3, "-d", "knn:neighbours=1", "--threads", "1"]
    said = cli("suggest", "--data", written(tmp_path / "rare", noise=False), *words)
    assert said.code == 0, said.err
    assert "gain expected for knn:neighbours=1" in said.out
    assert "no gain expected" not in said.out


def test_no_gain_is_promised_where_labels_are_noise(cli: Cli, tmp_path: Path, folder: Path) -> None:
    place = written(tmp_path / "noise", noise=True)
    for path in folder.iterdir():
        path.unlink()
    for i, image in enumerate(squares(20, 7, noise=True).images):
        write_png(folder / f"{i:02d}.png", image)
    said = cli("suggest", "--data", place, "--images", folder, "--count", 1, "-d", "mean", "--threads", "1")
    assert said.code == 0, said.err
    assert "no gain expected" in said.out
    assert "gain expected for" not in said.out


def test_no_group_is_both_learned_from_and_held_out() -> None:
    groups = ["a"] * 13 + ["b"] * 5 + ["c"] * 4 + ["d"] * 2
    for seed in range(20):
        held, rest = held_out(groups, np.random.default_rng(seed).permutation(24))
        assert sorted([*held.tolist(), *rest.tolist()]) == list(range(24))
        assert not {groups[i] for i in held} & {groups[i] for i in rest}
        assert 6 <= len(held) <= 12
    one_group = held_out(["a"] * 8, np.arange(8))
    assert [part.tolist() for part in one_group] == [part.tolist() for part in held_out(None, np.arange(8))]


def test_without_trials_nothing_is_promised(cli: Cli, data: Path, folder: Path) -> None:
    said = cli("suggest", "--data", data, "--images", folder, "--count", 3, "--trials", 0, *CHEAP, "--json")
    assert not said.document["gain_expected"]
    assert "no trials on your labels were asked for" in said.document["verdict"]


def test_where_little_is_left_to_choose_nothing_is_promised(cli: Cli, data: Path, folder: Path) -> None:
    said = cli("suggest", "--data", data, "--images", folder, "--count", 3, *CHEAP, "--json")
    assert not said.document["gains"]
    assert "33 images leave little to choose where 3 are" in said.document["verdict"]


def test_fitted_detectors_are_asked_by_their_keys(
    cli: Cli, data: Path, results: Path, folder: Path, run_of: Any
) -> None:
    key = run_of(results, "linear").name
    words = ["--images", folder, "--count", 2, "--trials", 1, "--threads", "1", "--results", results]
    said = cli("suggest", "--data", data, "--weights", key, *words, "--json")
    assert said.code == 0, said.err
    assert list(said.document["gains"]) == ["linear"]
    assert len(said.document["suggestions"]) == 2


def test_a_detector_of_ones_own_is_loaded_where_it_is_named(
    cli: Cli, data: Path, folder: Path, plugin: Path, tmp_path: Path
) -> None:
    results = tmp_path / "own"
    assert cli("run", "--data", data, "-d", plugin, "--save-weights", "--results", results, "--threads", 1).code == 0
    (key,) = (path.name for path in results.glob("*/*/plug/*/*/*"))
    words = [
        "suggest",
        "--data",
        data,
        "--images",
        folder,
        "--count",
        2,
        "--trials",
        1,
        "--results",
        results,
        "--threads",
        1,
    ]
    said = cli(*words, "--weights", key)
    assert said.code == 2
    assert "name it with --detector" in said.err
    said = cli(*words, "--weights", key, "-d", plugin, "-d", "ridge", "--json")
    assert said.code == 0, said.err
    assert list(said.document["gains"]) == ["plug", "ridge"]


def test_a_detector_that_fails_is_named(cli: Cli, data: Path, folder: Path, plugin: Path) -> None:
    words = ["suggest", "--data", data, "--images", folder, "--count", 2, "--trials", 0, "--threads", 1]
    said = cli(*words, "-d", f"{plugin}:flaw=raises")
    assert said.code == 2
    assert "cannot be fitted on 34 images (out of [/red] luck" in said.err
    assert said.err.count("\n") == 1


def test_a_detector_of_other_keypoints_is_refused(
    cli: Cli, data: Path, folder: Path, results: Path, run_of: Any, tmp_path: Path
) -> None:
    parts = [rectangles(count, k=2, seed=seed) for seed, count in enumerate((24, 8, 8))]
    coco_folder.write(tmp_path / "two", Dataset(*parts, DatasetCard(task="made", data="made"), ""))
    run = run_of(results, "linear")
    said = cli("suggest", "--data", tmp_path / "two", "--images", folder, "--weights", run, "--threads", 1)
    assert said.code == 2
    assert "linear: answers 1 keypoints, and the labels have 2; leave it out" in said.err


def test_several_instances_an_image_are_chosen_by_their_looks_alone(cli: Cli, data: Path, folder: Path) -> None:
    for file in data.rglob("*.json"):
        document = json.loads(file.read_text())
        if isinstance(document, dict) and "annotations" in document and document["annotations"]:
            more = {**document["annotations"][0], "id": 10_000}
            document["annotations"].append(more)
            file.write_text(json.dumps(document))
    (data / "card.json").unlink(missing_ok=True)
    said = cli("suggest", "--data", data, "--images", folder, "--count", 3, *CHEAP, "--json")
    assert said.code == 0, said.err
    assert not said.document["gain_expected"]
    assert "hold several instances" in said.document["verdict"]
    assert len(said.document["suggestions"]) == 3


def test_mistakes_are_one_line(cli: Cli, data: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    only_known = tmp_path / "known"
    only_known.mkdir()
    for i, path in enumerate(sorted(data.rglob("*.png"))[:3]):
        shutil.copy(path, only_known / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    for images, words in (
        (tmp_path / "nowhere", "there is no such folder"),
        (folder / "00.png", "is a file"),
        (tmp_path / "empty", "holds no image"),
        (only_known, "every image is labelled already"),
        (folder, "broken.png"),
    ):
        said = cli("suggest", "--data", data, "--images", images, "--trials", 0, *CHEAP)
        assert said.code == 2
        assert words in said.err
        assert said.err.count("\n") == 1
    said = cli("suggest", "--data", data, "--images", folder, "-d", "forrest")
    assert said.code == 2
    assert "forest" in said.err
