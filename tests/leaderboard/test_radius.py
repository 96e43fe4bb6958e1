"""Promised radii of rows and of other tools' files: the points that count, those not found, seeds and groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.structures import Annotations, Predictions
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import write_predictions
from leaderboard.radius import ALL, point_errors, radii

OFF = np.zeros((50, 1, 2))
OFF[:, 0, 0] = np.arange(50)  # image i is off by i px


def test_a_row_of_a_board(maker: Any, annotations: Annotations, typed: Any, tmp_path: Path) -> None:
    maker.put("good", annotations, maker.answers(annotations, OFF))
    code, out, err = typed("radius", "good", "--share", 80, "--results", maker.store.root, "--json")
    (found,) = json.loads(out)["radii"]
    assert (code, err) == (0, "")
    assert found["radius_px"] == 40  # the error of rank ceil(51 * .8) = 41
    assert (found["row"], found["keypoint"], found["units"], found["missed"]) == ("good", "p0", 50, 0)
    code, out, _ = typed("radius", "--results", maker.store.root)
    assert code == 0
    assert "45.00" in out  # rank ceil(51 * .9) = 46
    assert "not met before" in out


def test_seeds_of_an_image_are_one_unit(maker: Any, annotations: Annotations) -> None:
    """Three equal fits know no more of a new image than one does."""
    answers = maker.answers(annotations, OFF)
    (one,), (three,) = radii(annotations, [answers], 0.9), radii(annotations, [answers] * 3, 0.9)
    assert (one.pixels, one.units, one.points) == (45, 50, 50)
    assert (three.pixels, three.units, three.points) == (45, 50, 150)


def test_frames_of_a_video_are_one_unit(maker: Any, annotations: Annotations) -> None:
    videos = replace(annotations, groups=tuple(f"v{i // 10}" for i in range(50)))
    (found,) = radii(videos, [maker.answers(annotations, OFF)], 0.8)
    assert found.units == 5
    assert found.pixels == 47  # 4.8 of 5 videos' weight: the 48th of 50 equal weights
    assert np.isinf(radii(videos, [maker.answers(annotations, OFF)], 0.9)[0].pixels)


def test_what_is_not_labelled_does_not_count_and_what_is_not_found_is_infinitely_far(maker: Any) -> None:
    known = maker.annotations(20, 2)
    visible = known.visible.copy()
    visible[:5, 1] = 0
    known = replace(known, visible=visible)
    answers = maker.answers(known, 3.0)
    some = Predictions.of_category(answers.image_ids[4:], answers.keypoints[4:], answers.scores[4:], 1)
    errors, images = point_errors(known, some)
    assert np.isinf(errors[:4, 0]).all()
    assert np.isnan(errors[:5, 1]).all()
    np.testing.assert_allclose(errors[4:, 0], 18**0.5)
    np.testing.assert_array_equal(images, np.arange(20))
    first, second, both = radii(known, [some], 0.9)
    assert (first.missed, np.isinf(first.pixels)) == (4, True)
    assert (second.points, second.missed, second.pixels) == (15, 0, pytest.approx(18**0.5))
    assert (both.keypoint, both.points, both.missed) == (ALL, 35, 4)


def test_several_instances_are_matched_and_the_others_missed(maker: Any) -> None:
    known = maker.annotations(30, 1, instances=2, seed=3)
    answers = maker.answers(known, 0.5)
    firsts = Predictions.of_category(answers.image_ids[::2], answers.keypoints[::2], answers.scores[::2], 1)
    (found,) = radii(known, [firsts], 0.5)
    assert (found.points, found.units) == (60, 30)
    assert found.missed == 30
    assert np.isinf(found.pixels)  # half of the points were found, and the new image is not one of them


def test_other_tools_files(maker: Any, annotations: Annotations, typed: Any, tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text(json.dumps(annotations_to_json(annotations)))
    write_predictions(tmp_path / "theirs.json", maker.answers(annotations, OFF), annotations)
    files = ("--predictions", tmp_path / "theirs.json", "--annotations", tmp_path / "annotations.json")
    code, out, _ = typed("radius", *files, "--json")
    assert code == 0
    assert json.loads(out)["radii"][0]["radius_px"] == 45
    assert "did not learn from any of these images" in json.loads(out)["notes"][-1]
    code, out, _ = typed("radius", *files, "--share", 99)
    assert code == 0
    assert "that takes 99 images or more" in " ".join(out.split())
    assert "did not learn from any of these images" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["god"], "has a finished row 'god': did you mean 'good'?"),
        (["--share", "0.9"], "share 0.9: give percent, from 50 to 99.9"),
        (["--predictions", "a.json"], "give --predictions and --annotations together"),
        (["--task", "other"], "holds no finished run of task other"),
    ],
)
def test_mistakes(words: list[str], said: str, maker: Any, annotations: Annotations, typed: Any) -> None:
    maker.put("good", annotations, maker.answers(annotations, OFF))
    code, _, err = typed("radius", *words, "--results", maker.store.root)
    assert code == 2
    assert said in " ".join(err.split())
