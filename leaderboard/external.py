"""Predictions of any tool, scored by the harness that scores our own, and put on a board as a marked row.

A row made elsewhere has one seed (0), no cost, and an unknown number of training images, stored as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.metrics import Scores, score
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Store, StoredRun, results_folder
from benchmark.statistics.uncertainty import Interval, exact_share, interval
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco import annotation_notes, annotations_from_json
from datasets.formats.coco_results import read_predictions
from datasets.formats.json_columns import read_json
from leaderboard.columns import share

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class Scored:
    """A results file against its annotations: the table, and intervals over the images that have a value (None: none has).

    predictions, annotation_file: the files. annotations, answers: what they hold. notes: what the annotations's file lacked and was filled
    in, in sentences. mean, exact: over images, each weighing the same, which where images hold different numbers of
    keypoints is not quite the table's mean over keypoints.
    """

    predictions: Path
    annotation_file: Path
    annotations: Annotations
    answers: Predictions
    scores: Scores
    mean: Interval | None
    exact: Interval | None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able dict: the table of `Scores.as_dict`; ``mean_interval`` (px) and ``exact_interval``, [low, high] at
        95 %; ``notes``."""
        return {
            "predictions": str(self.predictions),
            **self.scores.as_dict(),
            "mean_interval": _bounds(self.mean),
            "exact_interval": _bounds(self.exact),
            "notes": list(self.notes),
        }


def score_files(predictions: Path, annotations: Path) -> Scored:
    """Score a COCO keypoint results file against annotations: a file, or a folder, of which the test split is taken.

    UserError names the file and the entry that cannot be scored.
    """
    path = annotations / "annotations" / "test.json" if annotations.is_dir() else annotations
    if not path.is_file():
        raise UserError(f"annotations {path}: there is no such file; name an annotation file or a COCO keypoint folder")
    document = read_json(path)
    known = annotations_from_json(document, str(path))
    answers = read_predictions(predictions, known)
    scores = score(known, answers)
    errors, exact = (values[np.isfinite(values)][None] for values in (scores.distances, scores.exact))
    return Scored(
        predictions,
        path,
        known,
        answers,
        scores,
        interval(errors) if errors.size else None,
        exact_share(exact) if exact.size else None,
        tuple(annotation_notes(document)),
    )


def store_external(scored: Scored, name: str, results: Path) -> StoredRun:
    """Store the predictions as the row ``name`` of the board whose runs answered the same annotations; returns the run.

    Where no stored run has that annotations it starts a board of its own: that of the folder's card, else one named after the
    annotation file. UserError where ``name`` cannot be printed, or is a row of the board that was not made elsewhere.
    """
    if not name.strip() or not name.isprintable():
        raise UserError("name: give the row a name that can be printed")
    store = Store(results_folder(results))
    digest = store.put_annotations(scored.annotations)
    others = [run.record for run in store.runs() if run.record.annotations == digest]
    if any(record.config.detector == name and not record.external for record in others):
        raise UserError(f"name {name!r} is a detector of this board: choose another for predictions made elsewhere")
    made = RunConfig(
        **_board(others, scored),
        n_train=0,
        detector=name,
        name=name,
    )
    record = Record(
        status="finished",
        key=made.key(0),
        config=made,
        seed=0,
        annotations=digest,
        summary="predictions made by another tool",
        reference=scored.predictions.name,
        has_confidence=True,
        external=True,
        scores=scored.scores.as_dict(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return store.write(record, predictions=scored.answers, log=f"predictions read from {scored.predictions}\n")


def report(scored: Scored, console: Console) -> None:
    """Print the table, the intervals, each keypoint where there are several, and what kinds of errors there are."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    scores = scored.scores
    counts = ", ".join(f"{number:,} {what}" for what, number in scores.counts.items())
    console.print(f"{scored.predictions}: {counts}", style="bold", highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, value in scores.items():
        note = scores.reasons.get(name, "")
        span = {"mean": scored.mean, "exact": scored.exact}.get(name)
        if span is not None and value is not None:
            of = "" if math.isclose(span.mean, value, rel_tol=1e-9) else f"mean over images {span.mean:.4f}, "
            note = f"{of}95 % {span.low:.4f} to {span.high:.4f}: {_words(span)}"
        elif name == "ap" and scores.flags["tied_scores"]:
            note = "tied scores: it changes with the order of the predictions"
        table.add_row(name, "–" if value is None else f"{value:.4f}", escape(note))
    console.print(table, highlight=False)
    if len(scores.keypoints) > 1:
        parts = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        parts.add_column("keypoint", overflow="fold")
        for head in ("mean px", "p95 px", "exact %", "PCK@1 %"):
            parts.add_column(head, justify="right", no_wrap=True)
        for name, found in scores.keypoints.items():
            pixels = ["–" if (v := found[m]) is None else f"{v:.3f}" for m in ("mean", "p95")]
            shares = ["–" if (v := found[m]) is None else share(v) for m in ("exact", "pck@1")]
            parts.add_row(escape(name), *pixels, *shares)
        console.print()
        console.print(parts, highlight=False)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in scores.taxonomy.items())
    console.print(f"keypoints by kind of error: {kinds}", highlight=False, soft_wrap=True)
    lines = [
        "jitter: near the right point; inversion: at another keypoint of the instance; swap: at another instance's"
    ]
    if scores.flags["multi_instance"]:
        lines.append("several instances an image: pixel metrics are over matched pairs")
    for line in (*lines, *scored.notes):
        console.print(line, style="dim", highlight=False, markup=False)


def _board(others: list[Record], scored: Scored) -> dict[str, Any]:
    """Task, version, data, data digest and folds of the board that the predictions belong to."""
    ours = [record for record in others if not record.external] or others
    if ours:
        last = max(ours, key=lambda record: record.created).config
        return last.model_dump(include={"task", "version", "data", "data_digest", "folds"})
    from datasets.formats.coco_folder import read_card

    folder = scored.annotation_file.parent.parent
    if (folder / "card.json").is_file() and scored.annotation_file.name == "test.json":
        card = read_card(folder / "card.json")
        data = (card.data or card.task) + (f"-split{card.split}" if card.split else "")
        return {"task": card.task, "version": card.version, "data": data, "data_digest": card.digest}
    return {
        "task": scored.annotation_file.stem,
        "version": 1,
        "data": "external",
        "data_digest": scored.annotations.digest,
    }


def _bounds(found: Interval | None) -> list[float | None] | None:
    return None if found is None else [value if math.isfinite(value) else None for value in (found.low, found.high)]


def _words(found: Interval) -> str:
    return "; ".join(filter(None, (found.method, found.note)))
