"""Categories are real on the whole road: run, score, predict and export, against pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Cli = Any  # the fixtures of conftest.py

CASES = {
    "id 0": ([0], ["dot"]),
    "id 7": ([7], ["dot"]),
    "a large id": ([2**40], ["dot"]),
    "two with the same keypoints": ([3, 9], ["cat", "dog"]),
    "one of two unused": ([3, 3], ["cat", "dog"]),
}


def relabelled(data: Path, ids: list[int], names: list[str]) -> Path:
    """The COCO folder with other categories: instances take turns among ``ids``."""
    (data / "card.json").unlink()
    listed = sorted(set(ids)) if len(set(ids)) == len(names) else [ids[0], ids[0] + 1]
    for part in ("train", "val", "test"):
        file = data / "annotations" / f"{part}.json"
        document = json.loads(file.read_text())
        shape = document["categories"][0]
        document["categories"] = [{**shape, "id": i, "name": name} for i, name in zip(listed, names)]
        for i, entry in enumerate(document["annotations"]):
            entry["category_id"] = ids[i % len(ids)]
        file.write_text(json.dumps(document))
    return data


def pycocotools_ap(annotations: Path, predictions: Path) -> float:
    """AP by pycocotools, which counts an annotation with id 0 as a false positive and needs a sigma a keypoint."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(predictions)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(json.loads(annotations.read_text())["info"]["sigmas"])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(np.mean(precision[precision > -1]))


@pytest.mark.fits
@pytest.mark.parametrize("case", CASES)
def test_run_score_predict_and_export_keep_categories(
    cli: Cli, data: Path, tmp_path: Path, run_of: Callable[..., Path], case: str
) -> None:
    ids, names = CASES[case]
    relabelled(data, ids, names)
    words = ["run", "--data", data, "--results", tmp_path / "r", "-d", "linear", "-d", "net3", "--budget", "1"]
    ran = cli(*words, "--save-weights", "--json")
    assert ran.code == 0, ran.err
    for row in ran.document:
        assert row["status"] == "finished"
        file = run_of(tmp_path / "r", row["detector"]) / "predictions.json"
        answered = {entry["category_id"] for entry in json.loads(file.read_text())}
        assert answered == {ids[0]}  # the commonest; the lower of two as common
        annotations = data / "annotations" / "test.json"
        expected = pycocotools_ap(annotations, file)
        assert row["ap"] == pytest.approx(expected, abs=1e-9)
        scored = cli("score", "--predictions", file, "--annotations", annotations, "--json")
        assert scored.document["ap"] == pytest.approx(expected, abs=1e-9)
        assert scored.document["mean"] == pytest.approx(row["mean"], abs=1e-12)
    predicted = cli("predict", "--weights", run_of(tmp_path / "r", "net3"), "--images", data, "--out", tmp_path / "o")
    assert predicted.code == 0, predicted.err
    assert (tmp_path / "o").read_bytes() == (run_of(tmp_path / "r", "net3") / "predictions.json").read_bytes()
    assert cli("export", "--data", data, "--out", tmp_path / "out").code == 0
    exported = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    given = json.loads((data / "annotations" / "train.json").read_text())
    assert [(c["id"], c["name"]) for c in exported["categories"]] == [(c["id"], c["name"]) for c in given["categories"]]
    assert [a["category_id"] for a in exported["annotations"]] == [a["category_id"] for a in given["annotations"]]


def test_one_s_own_folder_is_audited_scored_and_compared(cli: Cli, data: Path, tmp_path: Path) -> None:
    """As a newcomer does: a folder of one's own, category 5, another tool's file put beside the rows."""
    relabelled(data, [5], ["mouse"])
    results = tmp_path / "r"
    assert cli("run", "--data", data, "--results", results, "-d", "linear").code == 0
    annotations = json.loads((data / "annotations" / "test.json").read_text())
    theirs = [
        {"image_id": a["image_id"], "category_id": 5, "keypoints": a["keypoints"], "score": 0.5 + 0.01 * i}
        for i, a in enumerate(annotations["annotations"])
    ]
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    words = ["--predictions", tmp_path / "theirs.json", "--annotations", data, "--results", results]
    assert cli("score", *words, "--name", "theirs").code == 0
    rows = {row["row"]: row for row in cli("leaderboard", "--results", results, "--json").document}
    assert set(rows) == {"theirs", "linear", "mean"}
    assert rows["theirs"]["mean"] == 0
    assert cli("compare", "theirs", "linear", "--results", results).code == 0
    audited = cli("audit", "--results", results, "--json")
    assert audited.code == 0, audited.out
    (overlap,) = [check for check in audited.document["checks"] if check["name"] == "overlap"]
    assert overlap["status"] == "passed"
    # the same image in two splits of one's own folder is found
    first = data / "images" / "train" / "0001.png"
    (data / "images" / "test" / "0001.png").write_bytes(first.read_bytes())
    assert cli("run", "--data", data, "--results", results, "-d", "linear").code == 0
    leaking = cli("audit", "--results", results, "--json")
    assert leaking.code == 1
    assert "are also in test" in leaking.out
