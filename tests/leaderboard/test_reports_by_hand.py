"""The figures of every study's report, found again from its bundles by code that shares nothing with the project's.

A bundle is read with `zipfile` and `json`, an answer with `numpy.load`, a report by the bars of its tables.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

REPORTS = sorted((Path(__file__).parents[2] / "studies").glob("*/REPORT.md"))
HEADING = re.compile(r"(\S+ on \S+): ([\d,]+) test images, data ([0-9a-f]{12})\.")
BOARDS = [path.parent for path in REPORTS if HEADING.search(path.read_text(encoding="utf-8"))]
ACROSS = [path.parent for path in REPORTS if "- across:" in (path.parent / "study.yaml").read_text(encoding="utf-8")]
MARKS = re.compile(r" \[\w+\]$")


def tables(text: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Each table of a report, with the line of text above it."""
    above, lines = "", iter([*text.splitlines(), ""])
    for line in lines:
        if not line.startswith("|"):
            above = line or above
            continue
        head = cells(line)
        next(lines)
        rows = []
        for row in lines:
            if not row.startswith("|"):
                break
            rows.append(dict(zip(head, cells(row), strict=True)))
        yield above, rows


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


class Answers:
    """Every run of a study's bundles: by its key, the board, the annotation of each image and the answer."""

    def __init__(self, folder: Path) -> None:
        self.runs: dict[str, tuple[dict[str, Any], zipfile.ZipFile, dict[str, str]]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.rglob("*.bundle.zip")):
            archive = zipfile.ZipFile(path)
            for line in archive.read("annotations.jsonl").splitlines():
                said = json.loads(line)
                self.documents[said["digest"]] = said["document"]
            for line in archive.read("records.jsonl").splitlines():
                said = json.loads(line)
                self.runs[said["record"]["key"]] = (said["record"], archive, said["arrays"])

    def spacing(self, key: str) -> float:
        """Pixels between possible answers."""
        return float(self.documents[self.runs[key][0]["annotations"]]["info"]["spacing"][0])

    def errors(self, key: str) -> np.ndarray | None:
        """(N, 2) px, answer less annotation; None where an image has not one instance of one visible keypoint."""
        record, archive, arrays = self.runs[key]
        document = self.documents[record["annotations"]]
        truth = {a["image_id"]: a["keypoints"] for a in document["annotations"]}
        single = len(truth) == len(document["annotations"]) == len(document["images"])
        if not single or any(len(points) != 3 or points[2] == 0 for points in truth.values()):
            return None
        ids, points = (
            np.load(io.BytesIO(archive.read(f"arrays/{arrays[name]}.npy"))) for name in ("image_ids", "keypoints")
        )
        answers = dict(zip(ids.tolist(), points.reshape(-1, 2).tolist(), strict=True))
        assert answers.keys() == truth.keys()
        return np.array([np.subtract(answers[image], truth[image][:2]) for image in sorted(truth)])


def keys_of(every: list[tuple[str, list[dict[str, str]]]]) -> dict[tuple[str, str], dict[str, str]]:
    """(title of a board, label of a row) -> seed -> key, as the report says at its end."""
    return {
        (row["board"], row["row"]): dict(re.findall(r"(\d+): ([0-9a-f]{16})", row["seed: key"]))
        for _, rows in every
        if rows and "seed: key" in rows[0]
        for row in rows
    }


@pytest.mark.parametrize("folder", ACROSS, ids=lambda folder: folder.name)
def test_figures_across_boards_are_those_of_the_bundles(folder: Path) -> None:
    every = list(tables((folder / "REPORT.md").read_text(encoding="utf-8")))
    keys, answers, checked = keys_of(every), Answers(folder), 0
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    for asked in (section["across"] for section in study["sections"] if "across" in section):
        metric = (asked.get("metrics") or ["mean"])[0]
        shown = [rows for _, rows in every if rows and [*rows[0]][1:] == [*asked["boards"]]]
        unit = [
            rows for rows in shown if any("%" in cell for row in rows for cell in row.values()) == (metric == "exact")
        ]
        for row in unit[0]:
            for column, on in asked["boards"].items():
                if row[column] in ("–", ""):
                    continue
                title = f"{on['task']}@"
                of_seed = next(
                    of for (board, name), of in keys.items() if board.startswith(title) and name == row["detector"]
                )
                errors = [answers.errors(key) for key in of_seed.values()]
                if any(of_run is None for of_run in errors):
                    continue
                offsets = np.stack([of_run for of_run in errors if of_run is not None])
                figure = row[column].split(" ")[0]
                if metric == "mean":
                    near(figure, np.hypot(offsets[..., 0], offsets[..., 1]).mean())
                else:
                    near(
                        figure,
                        100 * (np.abs(offsets) < answers.spacing(next(iter(of_seed.values()))) / 2).all(axis=-1).mean(),
                    )
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("folder", BOARDS, ids=lambda folder: folder.name)
def test_figures_of_a_report_are_those_of_its_bundles(folder: Path) -> None:
    every, answers = list(tables((folder / "REPORT.md").read_text(encoding="utf-8"))), Answers(folder)
    keys = keys_of(every)
    checked = 0
    for above, rows in every:
        if (said := HEADING.fullmatch(above)) is None or not {"detector", "mean px"} <= rows[0].keys():
            continue
        for row in rows:
            of_seed = keys[said[1], MARKS.sub("", row["detector"])]
            runs = [answers.runs[key][0] for key in of_seed.values()]
            assert {run["config"]["data_digest"][:12] for run in runs} == {said[3]}
            assert sorted(run["seed"] for run in runs) == sorted(map(int, of_seed)) == numbers(row.get("seeds"), runs)
            errors = [answers.errors(key) for key in of_seed.values()]
            checked += 1
            if any(of_run is None for of_run in errors):
                continue
            offsets = np.stack([of_run for of_run in errors if of_run is not None])
            assert offsets.shape[1] == int(said[2].replace(",", ""))
            distances = np.hypot(offsets[..., 0], offsets[..., 1])
            spacing = answers.spacing(next(iter(of_seed.values())))
            exact = (np.abs(offsets) < spacing / 2).all(axis=-1)
            assert row["mean px"].split(" ")[0] == f"{distances.mean():.3f}"
            near(row.get("exact %"), 100 * exact.mean())
            near(row.get("PCK@1 %"), 100 * (distances <= 1).mean())
            near(row.get("p95 px"), np.mean([np.percentile(of_run, 95) for of_run in distances]))
            near(row.get("cpu s"), np.mean([run["cost"]["fit_processor_seconds"] for run in runs]))
    assert checked


def near(said: str | None, found: float) -> None:
    """What a report says is what was found, rounded as it is said."""
    if said in (None, "–", ""):
        return
    decimals = len(said.partition(".")[2])
    assert float(said.replace(",", "")) == pytest.approx(
        found, abs=0.5000001 * 10**-decimals, rel=0.005 if not decimals else None
    )


def numbers(said: str | None, runs: list[dict[str, Any]]) -> list[int]:
    """``0-2, 5`` as numbers; those of the runs where nothing is said."""
    if said is None:
        return sorted(run["seed"] for run in runs)
    ends = [part.split("-") for part in said.replace(" ", "").split(",")]
    return [seed for part in ends for seed in range(int(part[0]), int(part[-1]) + 1)]
