"""Predictions of any tool, scored by the harness that scores our own, and put on a board as a marked row.

A row made elsewhere has one seed (0), no cost, and an unknown number of training images, stored as 0.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from benchmark.metrics import Pair, Scores, score
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Store, StoredRun, results_folder
from benchmark.statistics.intervals import Interval, exact_share, interval
from benchmark.structures import Annotations, Predictions, UserError
from datasets import formats
from datasets.dataset import concatenated
from datasets.divide import grouped
from datasets.formats.coco import read_file
from datasets.formats.coco_results import answered_images, predictions_from_json, read_results
from datasets.formats.reading import Reading, ReadOptions
from datasets.tasks import held_out
from leaderboard.rows import answered, groups_of

INDEX = ".images.json"  # in the place of a results file's suffix: which id is which file


@dataclass(frozen=True, eq=False)
class Scored:
    """A results file against its annotations.

    Attributes:
        predictions: The results file.
        annotation_file: The file of the annotations, or the folder whose test split they are.
        annotations: What that holds.
        answers: What the results file holds.
        scores: The table.
        mean: Interval of the mean error over images, each weighing the same, which where images hold different numbers of
            keypoints is not quite the table's mean over keypoints; None where no image has a value.
        exact: Interval of the share exact, likewise.
        notes: What the annotation file lacked and was filled in, as `datasets.formats.coco.read_document` says it.
    """

    predictions: Path
    annotation_file: Path
    annotations: Annotations
    answers: Predictions
    scores: Scores
    mean: Interval | None
    exact: Interval | None
    notes: tuple[str, ...] = ()

    @property
    def unanswered(self) -> int:
        """How many images hold something to be found, and have no answer."""
        having = self.annotations.image_ids[np.unique(self.annotations.index)]
        return int((~np.isin(having, self.answers.image_ids)).sum())

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object: the table of `Scores.as_dict`, the intervals at 95 % as [low, high], the notes."""
        return {
            "predictions": str(self.predictions),
            **self.scores.as_dict(),
            "mean_interval": _bounds(self.mean),
            "exact_interval": _bounds(self.exact),
            "notes": list(self.notes),
        }


def score_files(
    predictions: Path,
    annotations: Path,
    options: ReadOptions | None = None,
    pair: Pair | None = None,
    *,
    split: int = 0,
) -> Scored:
    """Score a COCO keypoint results file.

    Args:
        predictions: The results file.
        annotations: A COCO annotation file, which needs no images beside it; or a folder or another tool's file, of which
            the test split is taken, or where the predictions go beyond that all images.
        options: What the user says about them.
        pair: Two keypoints whose distance errors are set against as well; see `benchmark.metrics.score`.
        split: How a folder's images are divided where the files do not say; 0 for development.

    Raises:
        UserError: Naming the file and the entry that cannot be scored, or the keypoint that is none.
    """
    notes: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    results = read_results(predictions)
    if annotations.is_dir() or (annotations.is_file() and formats.is_of_another_tool(annotations)):
        dataset = formats.read(annotations, split, options)
        known, notes = dataset.test.annotations, dataset.notes
        whole = concatenated([part.annotations for part in dataset.splits.values() if len(part)])
        one_numbering = len(set(whole.image_ids.tolist())) == len(whole)
        results, matched = by_file_name(results, predictions, whole)
        asked = answered_images(results)
        beyond = asked - set(known.image_ids.tolist())
        if one_numbering and beyond and asked <= set(whole.image_ids.tolist()):
            known = replace(whole, baseline=None)
            notes = (
                *notes,
                f"answers images beyond the test split: scored on all {len(known):,}, train and val included",
            )
    else:
        if not annotations.is_file():
            raise UserError(
                f"annotations {annotations}: there is no such file; name an annotation file or a COCO keypoint folder"
            )
        chosen = options or ReadOptions()
        if split or chosen.val is not None or chosen.test is not None:
            raise UserError(f"{annotations}: is scored whole; leave --split, --val and --test out, or name its folder")
        document = read_file(annotations, chosen, files=False)
        reading = grouped(Reading({"all": ([], document.annotations)}, document.notes), annotations, chosen.group_by)
        known, notes = reading.splits["all"][1], reading.notes
        results, matched = by_file_name(results, predictions, known)
    notes = (*matched, *notes)
    answers = predictions_from_json(results, known, str(predictions))
    scores = score(known, answers, pair=pair)
    having, lattice = answered(scores.distances[None]), answered(scores.exact[None])
    return Scored(
        predictions,
        annotations,
        known,
        answers,
        scores,
        interval(scores.distances[None, having], groups=groups_of(known, having)) if len(having) else None,
        exact_share(scores.exact[None, lattice], groups=groups_of(known, lattice)) if len(lattice) else None,
        notes,
    )


def by_file_name(results: Any, predictions: Path, known: Annotations) -> tuple[Any, tuple[str, ...]]:
    """Answers under the ids that annotations give their images, where the file beside them says what each image is called.

    ``predict`` numbers the images of a folder by name, and annotations number them as they like. Ids alone would pair the
    answers of one photograph with the points of another.

    Args:
        results: What `datasets.formats.coco_results.read_results` gave.
        predictions: The results file; ``<its name>.images.json`` beside it says which id is which file.
        known: The annotations.

    Returns:
        The results, with other ids where names say so, without those of images that are not annotated; and what was done,
        in sentences.

    Raises:
        UserError: Where none of the images is annotated.
    """
    index = predictions.with_suffix(INDEX)
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))
        names = {int(entry["id"]): str(entry["file_name"]) for entry in listed if "frame" not in entry}
    except (OSError, ValueError, TypeError, LookupError):  # there is none, or it is some other file
        return results, ()
    ids = {PurePath(name).name: i for name, i in zip(known.file_names, known.image_ids.tolist())}
    asked = answered_images(results) & names.keys()
    meant = {i: ids.get(PurePath(names[i]).name) for i in asked}
    if len(ids) < len(known) or not asked or all(i == own for i, own in meant.items()):
        return results, ()
    if not any(own is not None for own in meant.values()):
        raise UserError(
            f"{index}: names none of the annotated images, such as {known.file_names[0]!r}: other annotations are meant"
        )
    said = [f"images are matched by their file names, which {index.name} gives: ids are others here"]
    if lost := sum(own is None for own in meant.values()):
        said.append(f"{lost:,} answered images are not annotated: left out")
    if isinstance(results, Predictions):
        kept = np.array([meant.get(i, i) is not None for i in results.image_ids.tolist()], dtype=np.bool_)
        renamed = [meant.get(i, i) for i in results.image_ids[kept].tolist()]
        whole = {field.name: getattr(results, field.name)[kept] for field in fields(results)}
        return Predictions(**{**whole, "image_ids": np.array(renamed, dtype=np.int64)}), tuple(said)
    kept_rows = []
    for row in results:
        own = row.get("image_id") if isinstance(row, dict) else None
        if type(own) is not int or own not in meant:
            kept_rows.append(row)  # what is wrong with it is said later
        elif meant[own] is not None:
            kept_rows.append({**row, "image_id": meant[own]})
    return kept_rows, tuple(said)


def store_external(scored: Scored, name: str, results: Path) -> StoredRun:
    """Store the predictions as a row of the board whose runs answered the same annotations.

    Where no stored run has these annotations it starts a board of its own: that of the folder's card, else one named after
    the annotation file.

    Args:
        scored: What `score_files` made of them.
        name: Of the row.
        results: The folder of results.

    Returns:
        The stored run.

    Raises:
        UserError: Where ``name`` cannot be printed, or is a row of the board that was not made elsewhere.
    """
    if not name.strip() or not name.isprintable():
        raise UserError("name: give the row a name that can be printed")
    store = Store(results_folder(results))
    digest = store.put_annotations(scored.annotations)
    others = [run.record for run in store.runs() if run.record.annotations == digest]
    if any(record.config.detector == name and not record.external for record in others):
        raise UserError(f"name {name!r} is a detector of this board: choose another for predictions made elsewhere")
    config = RunConfig(**_board(others, scored), n_train=0, detector=name, name=name)
    record = Record(
        status="finished",
        key=config.key(0),
        config=config,
        seed=0,
        annotations=digest,
        summary="predictions made by another tool",
        reference=scored.predictions.name,
        has_confidence=True,
        external=True,
        scores=score(scored.annotations, scored.answers).as_dict(),  # a pair is asked for when results are read
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return store.write(record, predictions=scored.answers, log=f"predictions read from {scored.predictions}\n")


def _board(others: list[Record], scored: Scored) -> dict[str, Any]:
    """Task, version, data, data digest and folds of the board that the predictions belong to."""
    ours = [record for record in others if not record.external] or others
    if ours:
        last = max(ours, key=lambda record: record.created).config
        return last.model_dump(include={"task", "version", "data", "data_digest", "split", "folds"})
    from datasets.formats.coco_folder import read_card

    given = scored.annotation_file
    if held_out.sniff(given):
        made = held_out.read_file(given)
        return {"task": made.task, "version": made.version, "data": made.name, "data_digest": made.data_digest}
    folder = given if given.is_dir() else given.parent.parent
    if (folder / "card.json").is_file() and (given.is_dir() or given.name == "test.json"):
        card = read_card(folder / "card.json")
        data = (card.data or card.task) + (f"-split{card.split}" if card.split else "")
        return {
            "task": card.task,
            "version": card.version,
            "data": data,
            "data_digest": card.digest or scored.annotations.digest,
        }
    return {
        "task": scored.annotation_file.stem,
        "version": 1,
        "data": "external",
        "data_digest": scored.annotations.digest,
    }


def _bounds(span: Interval | None) -> list[float | None] | None:
    return None if span is None else [value if math.isfinite(value) else None for value in (span.low, span.high)]
