"""What a page holds of a board: the figures of its rows as they stand, and their answers, from which a browser scores anew.

The answers are those that were scored: which prediction answers which instance was decided by `benchmark.metrics`, with all
keypoints, and stays. A browser takes a part of that (classes, keypoints, seeds) and computes what `leaderboard.rows` and
`benchmark.statistics` compute of the same part (`assets/score.js`). Answers ride along in full where they fit, else on a
lattice, else not at all; ``scoring`` says which, in a sentence.

A row that was scored against other annotations than most keeps its figures, and has no answers here.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.metrics.evaluation import Evaluation
from benchmark.metrics.scale import pixel_thresholds
from benchmark.registry import entries
from benchmark.statistics.intervals import Interval
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions
from leaderboard.board import Board
from leaderboard.render import words
from leaderboard.render.page.answers import Lattice, pack_rows
from leaderboard.render.page.details import cost_of, details
from leaderboard.render.page.packing import pack, pack_object
from leaderboard.rows import BoardRow
from leaderboard.tested import LEVEL

BUDGET = 2_600_000
"""Characters that the answers of all boards of a page may take together."""

USUAL_TOLERANCE = 1.0  # px, where a board has that threshold; else the middle one
OTHER = "scored against other annotations than most rows, so it cannot be scored again here"
TOO_MANY = "the answers of this board are too many to ride along in a page"


def payloads(boards: Sequence[Board], budget: int = BUDGET) -> list[dict[str, Any]]:
    """What a page holds of each board, as JSON-able objects; see `payload`.

    Args:
        boards: Any number.
        budget: Characters that the answers of all boards may take together; each board gets a part by how many it has.
    """
    weights = [
        max(1, board.images * len(board.keypoints) * sum(len(row.runs) for row in board.finished)) for board in boards
    ]
    return [payload(board, budget * weight // sum(weights)) for board, weight in zip(boards, weights)]


def payload(board: Board, budget: int = BUDGET) -> dict[str, Any]:
    """What a page holds of a board.

    Args:
        board: Which.
        budget: Characters that the answers may take.

    Returns:
        A JSON-able object. ``rows`` are the ranked ones and then the references, in the board's order; ``failed`` those
        without figures. Arrays are packed (`packing`): M instances that count, K keypoints, N images.
    """
    annotations, digest = scored_against(board)
    rows = [_row(row) for row in board.finished]
    made: dict[str, Any] = {
        "title": board.title,
        "task": board.task,
        "version": board.version,
        "data": board.data,
        "digest": board.digest,
        "folds": board.folds,
        "annotations": digest,
        "images": board.images,
        "keypoints": list(board.keypoints),
        "failure": board.failure,
        "level": LEVEL,
        "asks": words.asks(board),
        "size": words.size(board),
        "notes": words.notes_of(board),
        "faultless": words.faultless(board),
        "commands": words.seed_commands(board),
        "advice": words.advice(board),
        "advised": board.advice.advised,
        "marks": {mark: words.MARKS[mark]._asdict() for mark in board.marks},
        "rows": rows,
        "failed": [_failed(row) for row in board.failed],
        "details": pack_object({row.label: details(row, board.keypoints) for row in board.every}),
    }
    if annotations is None:
        return {**made, "thresholds": [], "tolerance": None, "classes": None, "scoring": _scoring(None, None, 0)}
    return {**made, **_of_annotations(board, annotations), **_with_answers(board, rows, annotations, digest, budget)}


def scored_against(board: Board) -> tuple[Annotations | None, str]:
    """The annotations that most rows were scored against (of as many, the better row's), and their digest."""
    known = Counter(row.annotation_digests[0] for row in board.finished if len(row.annotation_digests) == 1)
    if not known:
        return None, ""
    digest = known.most_common(1)[0][0]
    return next(row.runs[0].annotations for row in board.finished if row.annotation_digests == (digest,)), digest


def _counted(annotations: Annotations) -> IntArray:
    """(M,) the rows of the instances that count."""
    return np.flatnonzero((annotations.visible > 0).any(axis=1) & ~annotations.crowd)


def _of_annotations(board: Board, annotations: Annotations) -> dict[str, Any]:
    counted = _counted(annotations)
    counts = np.zeros(len(annotations.index), dtype=bool)
    counts[counted] = True
    thresholds = pixel_thresholds(annotations, counts)
    spacing = annotations.spacing
    groups = None if annotations.groups is None else np.unique(annotations.groups, return_inverse=True)[1]
    return {
        "images": len(annotations),
        "instances": len(counted),
        "single": annotations.single_instance,
        "matched": not _at_most_one(annotations),
        "thresholds": list(thresholds),
        "tolerance": USUAL_TOLERANCE if USUAL_TOLERANCE in thresholds else thresholds[len(thresholds) // 2],
        "spacing": None if spacing is None else [None if np.isnan(pitch) else float(pitch) for pitch in spacing],
        "classes": _classes(annotations, counted),
        "groups": None if groups is None else pack(groups, "<i4"),
        "index": pack(annotations.index[counted], "<i4"),
        "sizes": pack(annotations.sizes, "<i4"),
        "truth": pack(annotations.keypoints[counted], "<f8"),
        "visible": pack(annotations.visible[counted], "|u1"),
        "baseline": None if annotations.baseline is None else pack(annotations.baseline, "<f8"),
    }


def _at_most_one(annotations: Annotations) -> bool:
    return len(np.unique(annotations.index)) == len(annotations.index) and not annotations.crowd.any()


def _classes(annotations: Annotations, counted: IntArray) -> dict[str, Any] | None:
    """Names of classes and the class of each instance that counts: of its image, or where images have none its category."""
    if annotations.labels is not None:
        known, of = np.unique(annotations.labels[annotations.index[counted]], return_inverse=True)
        return {"names": [str(label) for label in known.tolist()], "of": pack(of, "<i4")} if len(known) > 1 else None
    known, of = np.unique(annotations.category_ids[counted], return_inverse=True)
    if len(known) < 2:
        return None
    named = {category.id: category.name for category in annotations.categories}
    return {"names": [named.get(number, str(number)) for number in known.tolist()], "of": pack(of, "<i4")}


def _with_answers(
    board: Board, rows: list[dict[str, Any]], annotations: Annotations, digest: str, budget: int
) -> dict[str, Any]:
    """The answers of the rows, put into ``rows``; and what they are, in words."""
    counted = _counted(annotations)
    spacing = np.full(len(board.keypoints), np.nan) if annotations.spacing is None else annotations.spacing
    counts = np.isin(np.arange(len(annotations.index)), counted)
    lattice = Lattice(annotations.keypoints[counted], spacing, pixel_thresholds(annotations, counts))
    same = [i for i, row in enumerate(board.finished) if row.annotation_digests == (digest,)]
    answers = [row_answers(board.finished[i], annotations, counted) for i in same]
    packed, power = pack_rows(answers, lattice, budget)
    for row in rows:
        row["reason"] = OTHER
    for k, i in enumerate(same):
        rows[i]["answers"] = None if packed is None else packed[k]
        rows[i]["reason"] = "" if packed is not None else TOO_MANY
    return {"scoring": _scoring(packed, power, len(rows) - len(same))}


def row_answers(row: BoardRow, annotations: Annotations, counted: IntArray) -> FloatArray:
    """(S, M, K, 2) float64 px: what a row answered for each instance that counts; NaN where nothing, or not labelled.

    Args:
        row: Scored against these annotations.
        annotations: What its runs answered.
        counted: (M,) rows of the instances that count.
    """
    answers = np.full((len(row.runs), len(counted), len(annotations.keypoint_names), 2), np.nan)
    for of_seed, run in zip(answers, row.runs):
        predictions = run.predictions
        pairs = Evaluation(annotations, predictions).pairs
        given = pairs.answers >= 0
        of_seed[np.searchsorted(counted, pairs.rows[given])] = predictions.keypoints[pairs.answers[given]]
    answers[:, annotations.visible[counted] == 0] = np.nan
    return answers


def _scoring(packed: object, power: int | None, without: int) -> dict[str, Any]:
    """How the answers are kept, for programs and in a sentence."""
    if packed is None:
        mode, text = "none", f"{TOO_MANY}: the figures are the board's own, and cannot be computed for a part of it."
        text = text[0].upper() + text[1:]
    elif power is None:
        mode, text = "full", "This page holds every answer in full."
    else:
        step = 2.0**-power
        lattice = f"1/{2**power:,} px" if power > 0 else f"{step:g} px"
        mode, text = (
            "lattice",
            (
                f"This page holds every answer to {lattice}. Figures of the whole board are those of the full answers, and so is "
                "whether a keypoint is exact, or within a threshold of the board; a mean of a part may differ by up to "
                f"{step / math.sqrt(2):.1g} px."
            ),
        )
    if without and mode != "none":
        text += f" {words.numbered(without, 'row')}: {OTHER}."
    return {"mode": mode, "power": power, "step": None if power is None else 2.0**-power, "text": text}


def _row(row: BoardRow) -> dict[str, Any]:
    return {
        **_identity(row),
        "marks": list(row.marks),
        "position": row.position,
        "figures": dict(row.metrics),
        "interval": _limits(row.interval),
        "exact_interval": _limits(row.exact_interval),
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "untested": words.REASONS.get(row.untested, row.untested),
        "cost": cost_of(row),
        "n_parameters": row.n_parameters,
        "per_seed": [
            {"seed": seed, "mean": table["mean"], "exact": table["exact"]} for seed, table in zip(row.seeds, row.scores)
        ],
        "digests": [_digest(run.predictions) for run in row.runs],
        "answers": None,
        "reason": "",
    }


def _failed(row: BoardRow) -> dict[str, Any]:
    return {**_identity(row), "marks": list(row.marks), "error": row.error, "failed_seeds": sorted(row.failures)}


def _identity(row: BoardRow) -> dict[str, Any]:
    offers = entries().get(row.config.name)
    family = offers[0].family if offers else "other"
    return {
        "label": row.label,
        "detector": row.config.detector,
        "name": row.config.name,
        "family": "external" if row.record.external else family,
        "summary": row.record.summary,
        "ranked": row.record.ranked,
        "device": row.config.device,
        "n_train": row.config.n_train or None,
        "budget": row.config.budget,
        "seeds": list(row.seeds),
    }


def _limits(span: Interval | None) -> dict[str, Any] | None:
    if span is None:
        return None
    high = span.high if math.isfinite(span.high) else None
    return {"mean": span.mean, "low": span.low, "high": high, "text": words.interval(span)}


def _digest(predictions: Predictions) -> str:
    """16 hex digits over what a run answered: image ids, keypoints, scores, categories."""
    h = hashlib.sha256()
    for array, kind in (
        (predictions.image_ids, "<i8"),
        (predictions.keypoints, "<f8"),
        (predictions.scores, "<f8"),
        (predictions.category_ids, "<i8"),
    ):
        h.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return h.hexdigest()[:16]
