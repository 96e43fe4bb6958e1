"""Predictions as files that other tools read: COCO results, a plain CSV, DeepLabCut's tables, SLEAP's labels.

    coco         a COCO keypoint results file (`coco_results`); of images without annotations, ``<out>.images.json`` beside
    csv          a row a keypoint: image, frame, instance, category, score, keypoint, x, y
    dlc          DeepLabCut's table of its ``analyze_*``, as CSV or HDF5 (`deeplabcut_table`)
    slp          SLEAP's ``.slp`` with predicted instances (`sleap_predictions`)

Coordinates are written in full and never rounded: reading gives the same numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from benchmark import files
from benchmark.metrics.validation import first_problem
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from datasets.formats import deeplabcut_table, sleap_predictions
from datasets.formats.answers import Answers
from datasets.formats.coco_results import write_predictions

Writer = Callable[[Path, Answers], tuple[str, ...]]
CSV_COLUMNS = ("image", "frame", "instance", "category", "score", "keypoint", "x", "y")
SUFFIXES = {"": "coco", ".json": "coco", ".csv": "csv", ".h5": "dlc", ".slp": "slp"}  # the form a name means
ENDINGS = {"coco": (".json",), "csv": (".csv",), "dlc": (".csv", ".h5"), "slp": (".slp",)}
"""How a file of each form may end."""

NAMING_PLACES = ("dlc", "slp")
"""Forms that say where each image lies."""


def form_of(path: Path, form: str = "") -> str:
    """The form of a file.

    Args:
        path: The file to write.
        form: What the user said; "": its suffix says it.

    Returns:
        A name of `WRITERS`.

    Raises:
        UserError: Where no form has that name, or the suffix means another or none.
    """
    suffix = path.suffix.lower()
    if form and form not in WRITERS:
        raise UserError(f"format {form!r}: use one of {', '.join(WRITERS)}{suggestion(form, list(WRITERS))}")
    if not form and suffix not in SUFFIXES:
        known = ", ".join(f"{end} ({name})" for end, name in SUFFIXES.items() if end)
        raise UserError(f"{path}: {suffix} says no format; end it in {known}, or say --format")
    chosen = form or SUFFIXES[suffix]
    files.check_ending(path, f"a file of format {chosen}", ENDINGS[chosen], bare=len(ENDINGS[chosen]) == 1)
    return chosen


def write(path: Path, answers: Answers, form: str) -> tuple[str, ...]:
    """Write predictions in a form.

    Args:
        path: The file.
        answers: What is written.
        form: A name of `WRITERS`.

    Returns:
        What the form has no place for, in words.

    Raises:
        UserError: Where it cannot be written, or a prediction is none of these images.
    """
    if problem := first_problem(answers.predictions, answers.annotations):
        row, words = problem
        raise UserError(f"{path}: not written: prediction {row}: {words}")
    return WRITERS[form](path, answers)


def _write_coco(path: Path, answers: Answers) -> tuple[str, ...]:
    write_predictions(path, answers.predictions, answers.annotations)
    return ()


def _write_csv(path: Path, answers: Answers) -> tuple[str, ...]:
    annotations, predictions = answers.annotations, answers.predictions
    titles = {category.id: category.name for category in annotations.categories}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    for i, rows in enumerate(answers.rows()):
        image = answers.source.name if answers.video else annotations.file_names[i]
        for instance, row in enumerate(rows.tolist()):
            category = int(predictions.category_ids[row])
            known = [image, i if answers.video else "", instance, titles.get(category, category)]
            score = repr(float(predictions.scores[row]))
            for name, (x, y) in zip(annotations.keypoint_names, predictions.keypoints[row].tolist()):
                table.writerow([*known, score, name, repr(x), repr(y)])
    files.write_text(path, text.getvalue())
    return ()


WRITERS: dict[str, Writer] = {
    "coco": _write_coco,
    "csv": _write_csv,
    "dlc": deeplabcut_table.write,
    "slp": sleap_predictions.write,
}
