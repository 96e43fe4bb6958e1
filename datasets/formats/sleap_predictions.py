"""SLEAP's labels (``.slp``) with predicted instances: what SLEAP's GUI opens to look at answers and to correct them.

Images stay where they are and are named in full; those of one size are a video of image files, and a video file is one.
Each instance carries its score, and so does each of its points. `sleap` reads the file back: predicted instances are read
where a file holds no others.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import files
from datasets.formats.answers import Answers
from datasets.formats.hdf5 import h5py_for
from datasets.formats.sleap_labels import PREDICTED
from datasets.formats.sleap_package import DTYPES, WRITTEN_FORMAT, skeletons_of


def write(path: Path, answers: Answers) -> tuple[str, ...]:
    """Write answers as predicted instances.

    Args:
        path: The ``.slp`` file.
        answers: What is written.

    Returns:
        What SLEAP has no place for: nothing.

    Raises:
        UserError: Where it cannot be written, or h5py is not installed.
    """
    h5py = h5py_for(path)
    content = io.BytesIO()
    videos, places = _videos(answers)
    frames, instances, points = _tables(answers, places)
    scored = [*DTYPES["points"], ("score", "f8")]
    with h5py.File(content, "w", libver=("v108", "v110")) as file:
        metadata = file.create_group("metadata")
        metadata.attrs["format_id"] = WRITTEN_FORMAT
        metadata.attrs["json"] = np.bytes_(json.dumps(skeletons_of(answers.annotations)))
        records = [np.bytes_(json.dumps({"backend": record})) for record in videos]
        file.create_dataset("videos_json", data=records, maxshape=(None,))
        for name in ("tracks_json", "suggestions_json"):
            file.create_dataset(name, (0,), dtype="f8", maxshape=(None,))
        file.create_dataset("frames", data=np.array(frames, dtype=DTYPES["frames"]), maxshape=(None,))
        file.create_dataset("instances", data=np.array(instances, dtype=DTYPES["instances"]), maxshape=(None,))
        file.create_dataset("points", data=np.zeros(0, dtype=DTYPES["points"]), maxshape=(None,))
        file.create_dataset("pred_points", data=np.array(points, dtype=scored), maxshape=(None,))
    files.write_bytes(path, content.getvalue())
    return ()


def _videos(answers: Answers) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """The records of the videos, and of each image which of them it is in, and its number there."""
    sizes = [(int(width), int(height)) for width, height in answers.annotations.sizes.tolist()]
    if answers.video:
        width, height = sizes[0] if sizes else (0, 0)
        shape = [len(sizes), height, width, 3]
        video = {"type": "MediaVideo", "filename": answers.source.resolve().as_posix(), "shape": shape}
        return [{**video, "grayscale": False, "bgr": True, "dataset": "", "input_format": ""}], [
            (0, i) for i in range(len(sizes))
        ]
    members: dict[tuple[int, int], list[int]] = {}
    for i, size in enumerate(sizes):
        members.setdefault(size, []).append(i)
    places = {i: (v, n) for v, own in enumerate(members.values()) for n, i in enumerate(own)}
    records = []
    for (width, height), own in members.items():
        named = [(answers.source / answers.annotations.file_names[i]).resolve().as_posix() for i in own]
        shape = [len(own), height, width, 3]
        records.append({"type": "ImageVideo", "filename": named[0], "filenames": named, "shape": shape})
    return records, [places[i] for i in range(len(sizes))]


def _tables(
    answers: Answers, places: list[tuple[int, int]]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The rows of frames, instances and points; an image without an answer has no frame, as in SLEAP."""
    predictions, ids = answers.predictions, answers.annotations.known_category_ids.tolist()
    frames: list[tuple[Any, ...]] = []
    instances: list[tuple[Any, ...]] = []
    points: list[tuple[Any, ...]] = []
    for (video, number), rows in zip(places, answers.rows()):
        first_instance = len(instances)
        for row in rows.tolist():
            score, first = float(predictions.scores[row]), len(points)
            points += [(x, y, True, True, score) for x, y in predictions.keypoints[row].tolist()]
            skeleton = ids.index(int(predictions.category_ids[row]))
            kept = (PREDICTED, len(frames), skeleton, -1, -1, score, first, len(points), 0.0)
            instances.append((len(instances), *kept))
        if len(instances) > first_instance:
            frames.append((len(frames), video, number, first_instance, len(instances)))
    return frames, instances, points
