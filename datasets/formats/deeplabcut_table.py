"""DeepLabCut's table of answers, as its ``analyze_videos`` and ``analyze_images`` write it: CSV, or HDF5 with the same table.

Columns are (scorer, bodyparts, coords) with x, y and likelihood, or with ``individuals`` in between where an image holds
several instances. A row is an image (its path) or a frame (its number); what was not found is empty. The likelihood of
every keypoint is its instance's score; that of a detector without confidences is 1, since DeepLabCut's ``pcutoff`` would hide
points without one. `deeplabcut` reads both back, images lying where their rows say.

The HDF5 is pandas' ``fixed`` layout, see `pandas_hdf5`, which DeepLabCut reads by ``pandas.read_hdf``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from benchmark import files
from benchmark.structures import FloatArray
from datasets.formats.answers import Answers
from datasets.formats.pandas_hdf5_write import table_bytes

SCORER = "benchmark"
COORDS = ("x", "y", "likelihood")


def write(path: Path, answers: Answers) -> tuple[str, ...]:
    """Write answers as DeepLabCut's table; HDF5 where the file ends in ``.h5``.

    Args:
        path: The file.
        answers: What is written.

    Returns:
        What it has no place for, in words.

    Raises:
        UserError: Where it cannot be written, or h5py is needed and not installed.
    """
    levels, columns = _columns(answers)
    values = _values(answers)
    count = len(answers.annotations)
    labels: list[str] | list[int] = list(range(count))
    if not answers.video:
        labels = [answers.path_of(i, path) for i in range(count)]
    if path.suffix.lower() == ".h5":
        files.write_bytes(path, table_bytes(path, "df_with_missing", labels, levels, columns, values))
    else:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerows([name, *(column[i] for column in columns)] for i, name in enumerate(levels))
        for label, row in zip(labels, values.tolist()):
            table.writerow([label, *("" if np.isnan(v) else repr(v) for v in row)])
        files.write_text(path, text.getvalue())
    kinds = len(set(answers.predictions.category_ids.tolist()))
    return (f"{kinds} categories",) if kinds > 1 else ()


def _columns(answers: Answers) -> tuple[list[str], list[tuple[str, ...]]]:
    """Names of the levels, and the label of each column."""
    names = answers.annotations.keypoint_names
    if answers.most <= 1:
        return ["scorer", "bodyparts", "coords"], [(SCORER, name, axis) for name in names for axis in COORDS]
    animals = [f"individual{a}" for a in range(1, answers.most + 1)]
    columns: list[tuple[str, ...]] = [
        (SCORER, animal, name, axis) for animal in animals for name in names for axis in COORDS
    ]
    return ["scorer", "individuals", "bodyparts", "coords"], columns


def _values(answers: Answers) -> FloatArray:
    """(N, animals * K * 3) float64, NaN where nothing was found."""
    count, k = len(answers.annotations), len(answers.annotations.keypoint_names)
    values = np.full((count, max(1, answers.most), k, 3), np.nan)
    for i, rows in enumerate(answers.rows()):
        values[i, : len(rows), :, :2] = answers.predictions.keypoints[rows]
        values[i, : len(rows), :, 2] = answers.predictions.scores[rows][:, None]
    return values.reshape(count, -1)
