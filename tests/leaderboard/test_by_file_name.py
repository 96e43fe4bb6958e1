"""Answers that `predict` numbered by name, scored against annotations that number the same images otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_cases import single_instance

from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import predictions_to_json
from leaderboard.external import score_files


def written(folder: Path, known: Annotations, answers: Predictions, **layout: Any) -> tuple[Path, Path, Path]:
    labels, results = folder / "labels.json", folder / "answers.json"
    labels.write_text(json.dumps(annotations_to_json(known)))
    results.write_text(json.dumps(predictions_to_json(answers), **layout))
    return labels, results, folder / "answers.images.json"


def index(path: Path, names: dict[int, str]) -> None:
    path.write_text(json.dumps([{"id": i, "file_name": name} for i, name in names.items()]))


@pytest.mark.parametrize("layout", [{}, {"indent": 1, "separators": (" ,", ":")}])
def test_names_decide_where_ids_are_others(tmp_path: Path, layout: dict[str, Any]) -> None:
    known, answers = single_instance(30, 2)
    names = [f"photo-{i:02d}.jpg" for i in np.random.default_rng(0).permutation(30)]
    known = replace(known, file_names=tuple(f"sub/{name}" for name in names))
    labels, results, beside = written(tmp_path, known, answers, **layout)
    right = score_files(results, labels).scores.metrics

    by_name = {name: i for i, name in enumerate(sorted(names), 1)}
    as_named = {int(own): by_name[name] for own, name in zip(known.image_ids, names)}
    renumbered = np.array([as_named[int(i)] for i in answers.image_ids])
    order = np.argsort(renumbered)
    moved = Predictions(renumbered[order], answers.keypoints[order], answers.scores[order], answers.category_ids[order])
    written(tmp_path, known, moved, **layout)
    index(beside, {i: name for name, i in by_name.items()})
    scored = score_files(results, labels)
    assert scored.scores.metrics == pytest.approx(right, abs=1e-12)
    assert (
        scored.notes[0]
        == "images are matched by their file names, which answers.images.json gives: ids are others here"
    )
    assert scored.unanswered == 0

    index(beside, {i: "none.jpg" if i == 3 else name for name, i in by_name.items()})
    left_out = score_files(results, labels)
    assert left_out.notes[1] == "1 answered images are not annotated: left out"
    assert left_out.unanswered == 1
    index(beside, {i: f"other-{i}.jpg" for i in by_name.values()})
    with pytest.raises(UserError, match="names none of the annotated images"):
        score_files(results, labels)
    beside.write_text("{}")  # some other file of that name: ids stand
    assert score_files(results, labels).scores["mean"] > right["mean"]


def test_ids_that_agree_with_names_stay_and_images_without_an_answer_are_counted(tmp_path: Path) -> None:
    known, answers = single_instance(20, 1)
    few = Predictions(*(getattr(answers, name)[:5] for name in ("image_ids", "keypoints", "scores", "category_ids")))
    labels, results, beside = written(tmp_path, known, few)
    plain = score_files(results, labels)
    index(beside, dict(zip(known.image_ids.tolist(), known.file_names)))
    named = score_files(results, labels)
    assert (named.notes, named.scores.as_dict()) == (plain.notes, plain.scores.as_dict())
    assert plain.unanswered == 20 - len(set(few.image_ids.tolist()))
