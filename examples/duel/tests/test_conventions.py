"""Half a pixel of each tool, pinned by dots: of our translation always, of the tool itself where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from keypoint_duel import adapters, environments
from keypoint_duel.adapters import for_deeplabcut, for_yolo
from keypoint_duel.adapters.protocol import Job
from keypoint_duel.tool import _write_split

from benchmark import LabeledImages
from benchmark.structures import Annotations

WIDTH, HEIGHT = 96, 64


def dots(count: int, seed: int) -> LabeledImages:
    """Images with one dot of 2 px standard deviation between pixels; the keypoint is its middle."""
    random = np.random.default_rng(seed)
    places = np.stack([random.uniform(24, WIDTH - 24, count), random.uniform(20, HEIGHT - 20, count)], axis=1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = [np.rint(250 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8)).astype(np.uint8) for a, b in places]
    boxes = np.concatenate([places - 9.5, np.full((count, 2), 20.0)], axis=1)
    return LabeledImages(
        np.stack(images),  # type: ignore[arg-type]
        Annotations(
            image_ids=np.arange(1, count + 1),
            file_names=tuple(f"{i}.png" for i in range(1, count + 1)),
            sizes=np.tile([[WIDTH, HEIGHT]], (count, 1)),
            index=np.arange(count),
            keypoints=places[:, None],
            visible=np.full((count, 1), 2),
            boxes=boxes,
            areas=np.full(count, 400.0),
            crowd=np.zeros(count, dtype=np.bool_),
            category_ids=np.ones(count, dtype=np.int64),
            keypoint_names=("dot",),
            sigmas=np.array([0.05]),
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in (("train", dots(8, 1)), ("val", dots(24, 2))):
        _write_split(tmp_path, name, data)
    (tmp_path / "model").mkdir()
    job = {"protocol": 1, "step": "fit", "seconds": 10, "seed": 0, "threads": 1, "device": "cpu", "settings": {}}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return tmp_path


def test_convention_a_dot_in_yolos_labels_is_the_share_of_the_image_left_of_it(folder: Path) -> None:
    """Counted by the light itself: a share of .5 is the middle of the image, whose pixels reach from 0 to WIDTH."""
    data = dots(24, 2)
    document = json.loads((folder / "annotations" / "val.json").read_text(encoding="utf-8"))
    for image, one in zip(np.asarray(data.images, dtype=float), document["annotations"]):
        words = [float(word) for word in for_yolo.line(one, 0, WIDTH, HEIGHT).split()]
        columns, rows = np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5  # the middles of pixels, from the edge
        shares = (image.sum(0) @ columns / image.sum() / WIDTH, image.sum(1) @ rows / image.sum() / HEIGHT)
        assert words[5:7] == pytest.approx(shares, abs=5e-4)
        assert words[7] == 2
        x, y, w, h = one["bbox"]
        assert words[1:5] == pytest.approx([(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT])


def test_convention_a_keypoint_that_is_not_labelled_is_no_place() -> None:
    one = {"bbox": [10.0, 10.0, 20.0, 20.0], "keypoints": [12.0, 13.0, 2, 0.0, 0.0, 0]}
    assert for_yolo.line(one, 3, 40, 40).split()[8:] == ["0.0", "0.0", "0.0"]


@pytest.mark.parametrize(
    ("environment", "name", "tolerance"),
    [
        (environments.YOLO_POSE, "yolo", 0.05),
        (environments.SLEAP_NN, "sleap", 0.75),
        (environments.DEEPLABCUT, "deeplabcut", 0.05),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_convention_of_the_tool_itself(
    environment: environments.Environment, name: str, tolerance: float, folder: Path
) -> None:
    """No offset either way, of the half pixel in question; the tool is asked, so this needs it.

    SLEAP-NN reads a peak from a patch of 5 cells, which draws it to the middle of a cell: by .7 px at most, and by none
    on average.
    """
    if not environment.installed:
        pytest.skip(f"{environment.name} is not installed (python -m benchmark tools install {environment.name})")
    script = Path(__file__).parent / "conventions.py"
    command = [environment.python(), script, Path(adapters.__file__).parent, name, folder]
    hidden = {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env={**os.environ, **hidden}, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["labels"] < 0.05, told
    assert told["answers"] < tolerance, told
    assert np.abs(told["mean answer"]).max() < 0.2, told


def test_deeplabcut_answers_from_the_last_weights_where_its_map_is_blind(folder: Path) -> None:
    """With one keypoint its best snapshot is the first one looked at; here there is one keypoint."""
    job = Job(folder)
    for name in ("snapshot-best-10.pt", "snapshot-25.pt", "snapshot-100.pt"):
        (folder / "model" / name).touch()
    assert for_deeplabcut.snapshot(job).name == "snapshot-best-10.pt"  # as the tool does
    job.tuned = True
    assert for_deeplabcut.snapshot(job).name == "snapshot-100.pt"
    (folder / "model" / for_deeplabcut.LAST).touch()
    assert for_deeplabcut.snapshot(job).name == for_deeplabcut.LAST


def test_a_keypoint_that_a_tool_did_not_find_lies_among_the_others_and_an_instance_of_none_is_none(
    folder: Path,
) -> None:
    nan = float("nan")
    Job(folder).answer(
        [(1, 7, [(1, 2), (nan, nan), (3, 4)], 0.5), (2, 7, [(nan, 1)] * 3, 0.9), (3, 7, [(5, 6)] * 3, nan)]
    )
    first, second = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert first == {"image_id": 1, "category_id": 7, "keypoints": [1, 2, 2, 2, 3, 2, 3, 4, 2], "score": 0.5}
    assert (second["image_id"], second["score"]) == (3, 0.0)
    assert (folder / "notes.txt").read_text().startswith("1 keypoints that it did not find")


def test_another_protocol_is_refused(folder: Path) -> None:
    (folder / "job.json").write_text('{"protocol": 2}', encoding="utf-8")
    with pytest.raises(SystemExit, match="speaks protocol 2, and this adapter speaks 1"):
        Job(folder)
