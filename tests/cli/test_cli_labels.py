"""``--labels`` from the command line: inspect compares two annotators and writes sigmas, run puts the floor on the board."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leaderboard.disagreement_sheet import FIRST, SECOND

COUNT = 60

READER = '''
import json
from pathlib import Path

import numpy as np

from benchmark import Detector


class Reader(Detector):
    """Answers what a file has for each image, which carries its number in its first pixel."""

    def __init__(self, file: str = "") -> None:
        self.file = file

    def fit(self, train, val, *, seed, budget):
        self.points = np.array(json.loads(Path(self.file).read_text()))

    def predict(self, images):
        return self.points[[int(np.asarray(image)[0, 0]) for image in images]][:, None]

    def state(self):
        return {"points": self.points}

    def restore(self, state):
        self.points = state["points"]
'''


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """A folder labelled with 1 px of noise, ``again.json`` with other noise, and the true places."""
    random = np.random.default_rng(0)
    (tmp_path / "data" / "images").mkdir(parents=True)
    places = random.uniform(8, 24, (COUNT, 2))
    for i in range(COUNT):
        pixels = random.integers(0, 255, (32, 32), dtype=np.uint8)
        pixels[0, 0] = i
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{i}.png")
    for file in (tmp_path / "data" / "annotations.json", tmp_path / "again.json"):
        points = places + random.normal(0, 1, places.shape)
        rows = [
            {
                "id": i + 1,
                "image_id": i + 1,
                "category_id": 1,
                "keypoints": [x, y, 2],
                "bbox": [0, 0, 32, 32],
                "iscrowd": 0,
            }
            for i, (x, y) in enumerate(points.tolist())
        ]
        images = [{"id": i + 1, "file_name": f"{i}.png", "width": 32, "height": 32} for i in range(COUNT)]
        document = {
            "images": images,
            "annotations": rows,
            "categories": [{"id": 1, "name": "dot", "keypoints": ["dot"]}],
        }
        file.write_text(json.dumps(document))
    (tmp_path / "true.json").write_text(json.dumps(places.tolist()))
    (tmp_path / "off.json").write_text(json.dumps((places + 3).tolist()))
    (tmp_path / "reader.py").write_text(READER)
    return tmp_path


def test_inspect_says_how_noisy_labels_are(twice: Path, cli: Callable[..., Any]) -> None:
    words = ("inspect", twice / "data", "--labels", twice / "again.json")
    said = cli(*words, "--out", twice / "sheet.png", "--sigmas-out", twice / "sigmas.json")
    assert said.code == 0, said.err
    assert "against again.json: 60 images with 60 instances labelled twice; 95 % intervals over images" in said.out
    assert "floor: 1." in said.out
    with Image.open(twice / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    for colour in (FIRST, SECOND):  # both labels of all twelve
        assert (pixels == colour).all(axis=2).sum() > 12 * 20
    found = cli(*words, "--json").document["agreement"]
    noise = found["keypoints"][0]["noise"]
    value, low, high = noise["sigma"]
    assert low < 1 < high
    assert low < value < high
    sigmas = json.loads((twice / "sigmas.json").read_text())
    assert sigmas == {"dot": pytest.approx(noise["coco_sigma"][0], rel=1e-3)}
    assert sigmas["dot"] == pytest.approx(np.sqrt(2) / 32, rel=0.2)
    read = cli("inspect", twice / "data", "--sigmas", twice / "sigmas.json", "--json").document
    assert read["sigmas"] == [sigmas["dot"]]


def test_run_puts_the_floor_on_the_board(twice: Path, cli: Callable[..., Any]) -> None:
    """Two detectors that cost nothing, over folds: one answers the true places, the other lies 4 px beside them."""
    reader = twice / "reader.py"
    words = (
        *(
            "run",
            "-d",
            f"{reader}:file={twice / 'true.json'}",
            "-d",
            f"{reader}:file={twice / 'off.json'}",
            "--folds",
            2,
        ),
        *("--data", twice / "data", "--results", twice / "results", "--threads", 1),
    )
    before = cli(*words)
    assert before.code == 0, before.err
    assert "oise floor" not in before.out
    said = cli(*words, "--labels", twice / "again.json")
    assert said.code == 0, said.err
    assert "Noise floor of the labels: 1." in said.out
    rows = {row["row"]: row["marks"] for row in cli("leaderboard", "--results", twice / "results", "--json").document}
    assert {Path(name.rpartition("=")[2]).stem for name, marks in rows.items() if "label_floor" in marks} == {"true"}
    from benchmark import run

    frame = run("mean", data=twice / "data", labels=twice / "again.json", folds=2, results=twice / "python", threads=1)
    assert frame["marks"].tolist() == [["tied_scores"]]
    assert len(list((twice / "python" / "_floors").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--labels", "nowhere"), "error: labels nowhere: there is no such file or folder"),
        (("--sigmas-out", "x.json"), "error: --sigmas-out: needs --labels, the same images labelled again"),
        (("--labels", "{twice}/true.json"), "true.json: is a list where an object with 'images'"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], answer: str, twice: Path, cli: Callable[..., Any]) -> None:
    said = cli("inspect", twice / "data", *(word.format(twice=twice) for word in words))
    assert said.code == 2
    assert answer in said.err
    assert len(said.err.splitlines()) == 1


def test_a_floor_of_too_few_images_is_refused_before_the_first_fit(twice: Path, cli: Callable[..., Any]) -> None:
    document = json.loads((twice / "again.json").read_text())
    document["annotations"] = document["annotations"][:1]
    (twice / "again.json").write_text(json.dumps(document))
    said = cli(
        "run", "-d", "mean", "--data", twice / "data", "--labels", twice / "again.json", "--results", twice / "r"
    )
    assert said.code == 2
    assert "no noise floor: fewer than two images have dot labelled in both" in said.err
    assert not list((twice / "r").glob("*/*/*/*/*/*/run.json"))
