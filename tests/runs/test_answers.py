"""Answers of fits to corrupted images in one file: what comes back, to a hundredth of a pixel, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.api import grid_config
from benchmark.robustness import robustness
from benchmark.runs.answers import Answers, write_answers
from benchmark.structures import UserError
from leaderboard.robustness import compare_corrupted, robustness_table


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two fits, and their answers; the file that holds these."""
    root = tmp_path_factory.mktemp("answers")
    grid = grid_config(["linear:features=pts"], n=60, results=root / "results", threads=1)
    clean, corrupted = robustness(grid, ["shift", "noise"])
    whole = [
        (run.record, [one for one in corrupted if one.record.config.detector == run.record.config.detector])
        for run in clean
    ]
    write_answers(root / "corrupted.answers.zip", whole)
    return root / "corrupted.answers.zip", clean, corrupted, whole


def test_answers_come_back_to_a_hundredth_of_a_pixel(asked: Any) -> None:
    file, clean, corrupted, _ = asked
    stored = {run.record.key: run for run in Answers(file).runs()}
    assert set(stored) == {run.record.key for run in corrupted}
    for run in corrupted:
        again = stored[run.record.key]
        assert again.record.config == run.record.config
        assert again.annotations.digest == run.annotations.digest
        np.testing.assert_array_equal(again.predictions.image_ids, run.predictions.image_ids)
        near = np.abs(again.predictions.keypoints - run.predictions.keypoints)
        assert near.max() <= 0.005 + 1e-9
    kept, given = (robustness_table(clean, list(runs)) for runs in (stored.values(), corrupted))
    for one, other in zip(kept, given, strict=True):
        assert one.detector == other.detector
        assert one.corrupted == pytest.approx(other.corrupted, abs=0.005)
        assert one.exact == other.exact


def test_the_difference_of_two_detectors_is_paired_by_image(asked: Any) -> None:
    file, clean, _, _ = asked
    first, second = robustness_table(clean, list(Answers(file).runs()))
    found = compare_corrupted(first, second)
    expected = first.errors - second.errors
    assert found.difference == pytest.approx(expected.mean())
    half = 1.968 * expected.std(ddof=1) / expected.size**0.5  # Student's t with 290 degrees of freedom
    assert found.high - found.difference == pytest.approx(half, rel=0.01)


def test_the_same_answers_make_the_same_bytes_and_a_missing_one_stays_missing(asked: Any, tmp_path: Path) -> None:
    file, _, _, whole = asked
    write_answers(tmp_path / "again.answers.zip", whole[::-1])
    assert (tmp_path / "again.answers.zip").read_bytes() == file.read_bytes()
    stored = Answers(file)
    lacking = list(stored.runs())
    lacking[0]._at[3] = np.iinfo(np.int32).min
    count = len(stored.versions)
    fits = [(fit, lacking[i * count : (i + 1) * count]) for i, fit in enumerate(stored.fits)]
    write_answers(tmp_path / "lacking.answers.zip", fits)
    first = next(iter(Answers(tmp_path / "lacking.answers.zip").runs()))
    assert len(first.predictions) == len(first.annotations) - 1


@pytest.mark.parametrize("spoilt", ["keypoints.npy", "annotations.jsonl", "answers.json", "extra"])
def test_a_file_that_is_not_whole_is_refused_in_one_line(asked: Any, spoilt: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(asked[0]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if spoilt == "answers.json":
        head = json.loads(members[spoilt])
        head["fits"][0]["key"] = "0" * 16
        members[spoilt] = json.dumps(head).encode()
    else:
        members[spoilt] = members.get(spoilt, b"")[:-1] + b"x"
    with zipfile.ZipFile(tmp_path / "bad.answers.zip", "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with pytest.raises(UserError, match=r"bad\.answers\.zip: is not a file of answers") as raised:
        Answers(tmp_path / "bad.answers.zip")
    assert "\n" not in str(raised.value)
