"""The rule every mutant of a perfect results file is held to, for the test and for scripts/fuzz_results.py."""

from __future__ import annotations

import collections
import json
import math
import random
from pathlib import Path

import scoring_cases
from scoring_mutants import mutant

from benchmark.metrics import Scores, get_metric, score
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco_results import predictions_to_json, read_predictions


def fuzz(count: int, seed: int, folder: Path) -> dict[str, int]:
    """How many of ``count`` mutants were refused, and how many scored; AssertionError where one breaks the rule."""
    rng = random.Random(seed)
    subjects = []
    for case in (scoring_cases.single_instance(5, 2, 1), scoring_cases.crowded(3, 2, 3, 1)):
        annotations = case[0]
        points = annotations.keypoints + 0.0
        perfect = Predictions.of_category(
            annotations.image_ids[annotations.index], points, 0.5 + 0.01 * (points[:, 0, 0] % 7), 1
        )
        subjects.append((annotations, predictions_to_json(perfect), score(annotations, perfect)))
    path = folder / "mutant.json"
    verdicts: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        annotations, document, perfect_scores = rng.choice(subjects)
        path.write_bytes(mutant(document, rng))
        try:
            predictions = read_predictions(path, annotations)
        except UserError as error:
            words = str(error)
            assert str(path) in words, words
            assert "\n" not in words, words
            assert len(words) < 400, words
            verdicts["refused"] += 1
            continue
        hold(annotations, predictions, perfect_scores, path)
        verdicts["scored"] += 1
    return dict(verdicts)


def hold(annotations: Annotations, predictions: Predictions, perfect: Scores, path: Path) -> None:
    """The scores of an accepted file are numbers, no better than perfect, and those of every entry in it."""
    scores = score(annotations, predictions)
    entries = json.loads(path.read_text(encoding="utf-8-sig"))
    assert len(predictions) == len(entries) == scores.counts["predictions"], path.read_text()
    for name, value in scores.items():
        best = perfect[name]
        if value is None or best is None:
            assert name in scores.reasons, name
            continue
        assert math.isfinite(value), (name, value)
        slack = 1e-12
        if get_metric(name).better == "higher":
            assert value <= best + slack, (name, value, path.read_text())
        else:
            assert value >= best - slack, (name, value, path.read_text())
    if not scores.flags["multi_instance"]:
        assert math.isclose(scores["mean"] or 0.0, plain_mean(annotations, entries), rel_tol=1e-12, abs_tol=1e-12)


def plain_mean(annotations: Annotations, entries: list[dict[str, object]]) -> float:
    """The mean error of one-instance data, an entry at a time."""
    total = []
    for i, image_id in enumerate(annotations.image_ids.tolist()):
        here = [e for e in entries if e["image_id"] == image_id]
        answer = max(here, key=lambda e: e["score"], default=None)  # type: ignore[arg-type, return-value]
        for j, (x, y) in enumerate(annotations.keypoints[i].tolist()):
            if answer is None:
                total.append(math.hypot(*annotations.sizes[i].tolist()))
            else:
                px, py = answer["keypoints"][3 * j : 3 * j + 2]  # type: ignore[index]
                total.append(math.hypot(px - x, py - y))
    return sum(total) / len(total)
