"""What inspect finds, by hand, on photographs that the test makes; planted oddities and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import photographs
from PIL import Image

from datasets import formats
from datasets.inspect import inspect
from datasets.usual_pairs import usual_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("photographs")
    photographs(made, 60, k=4, size=(96, 64), holes=0.1, two=0.2, empty=2, seed=3)
    return made


def changed(folder: Path, to: Path, change: Any) -> Path:
    document = json.loads((folder / "annotations.json").read_text())
    change(document)
    to.mkdir()
    (to / "images").symlink_to(folder / "images")
    (to / "annotations.json").write_text(json.dumps(document))
    return to


def test_counts_are_those_of_the_file(folder: Path) -> None:
    document = json.loads((folder / "annotations.json").read_text())
    found = inspect(formats.read(folder))
    rows = document["annotations"]
    assert sum(part["images"] for part in found.splits.values()) == 60
    assert sum(part["instances"] for part in found.splits.values()) == len(rows)
    assert sum(part["keypoints"] for part in found.splits.values()) == sum(row["num_keypoints"] for row in rows)
    per_image = [sum(row["image_id"] == image["id"] for row in rows) for image in document["images"]]
    assert found.instances == {n: per_image.count(n) for n in sorted(set(per_image))}
    assert found.sizes == [(96, 64, 60)]
    for j, point in enumerate(found.keypoints):
        triples = np.array([row["keypoints"][3 * j : 3 * j + 3] for row in rows])
        known = triples[triples[:, 2] > 0, :2]
        assert point.labelled == len(known)
        assert point.spread_px == pytest.approx(np.sqrt(known.var(axis=0).sum()))
    assert json.loads(json.dumps(found.as_dict()))["name"] == found.name
    surveyed = inspect(formats.survey(folder))
    assert {name: part["images"] for name, part in surveyed.splits.items()} == {"all": 60}
    assert [point.labelled for point in surveyed.keypoints] == [point.labelled for point in found.keypoints]
    assert surveyed.instances == found.instances
    assert [note for note in surveyed.notes if note.startswith("run divides them into train")]


def test_clean_data_raises_no_alarm(folder: Path) -> None:
    assert inspect(formats.read(folder)).odd == []


def test_what_is_planted_is_found_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    def plant(document: dict[str, Any]) -> None:
        whole = [row for row in document["annotations"] if row["num_keypoints"] == 4]
        whole[0]["keypoints"][0] = 100.0  # 4.5 px beyond the last pixel's edge, and out of its place
        whole[1]["keypoints"][3:5] = whole[1]["keypoints"][0:2]
        whole[2]["bbox"] = [10, 10, 0, 0]
        x, y = whole[3]["keypoints"][0:2]
        whole[3]["keypoints"][0:2] = [x, y - whole[3]["bbox"][3] * 3]

    kinds = {odd.kind: odd for odd in reversed(inspect(formats.read(changed(folder, tmp_path / "odd", plant))).odd)}
    assert set(kinds) >= {"outside the image", "same place", "no box", "unusual shape", "outside the box"}
    assert kinds["same place"].keypoint == "part1, part2"


def test_the_command_prints_draws_and_speaks_json(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from benchmark.cli import app

    runner = CliRunner()
    said = runner.invoke(app, ["inspect", str(folder), "--out", str(tmp_path / "sheet.png")])
    assert said.exit_code == 0
    assert "sizes: 96 x 64 px (60)" in said.output
    assert "no label looks odd" in said.output
    assert max(len(line) for line in said.output.splitlines() if "no sigmas" not in line and "png" not in line) <= 80
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000
    listed = runner.invoke(app, ["inspect", str(folder), "--json"])
    assert json.loads(listed.stdout)["instances"]["0"] == 2


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("head_top", "upper_neck", "neck"), ["head_top,upper_neck"]),
        (("HeadTop", "neck", "nose"), ["HeadTop,neck"]),
        (("leftEye", "REye", "nose"), ["leftEye,REye"]),
        (("left_eye", "right-eye", "l_shoulder", "r_hip"), ["left_eye,right-eye", "l_shoulder,r_hip"]),
        (
            ("left_eye_outer", "left_eye_inner", "right_eye_inner", "right_eye_outer"),
            ["left_eye_outer,right_eye_outer"],
        ),
        (("left_eye", "right_ear", "head", "top"), []),
    ],
)
def test_usual_pairs_are_read_off_names(names: tuple[str, ...], pairs: list[str]) -> None:
    assert [f"{a},{b}" for a, b, _ in usual_pairs(names)] == pairs
