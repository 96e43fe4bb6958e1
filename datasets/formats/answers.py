"""What a detector answered about images or frames of a video, to be written for another tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.structures import Annotations, IntArray, Predictions


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions, and what they are about.

    Attributes:
        annotations: Of the N images that were asked about, in their order; what describes them is used, never labels.
        predictions: What was answered.
        source: The folder of the images, or the video.
        video: Whether image i is frame i of ``source``.
    """

    annotations: Annotations
    predictions: Predictions
    source: Path
    video: bool = False

    def rows(self) -> Iterator[IntArray]:
        """For each image, which predictions are its own, the best scored first; on ties as they came."""
        predictions = self.predictions
        places = {image_id: i for i, image_id in enumerate(self.annotations.image_ids.tolist())}
        own: list[list[int]] = [[] for _ in places]
        for row, image_id in enumerate(predictions.image_ids.tolist()):
            own[places[image_id]].append(row)
        for rows in own:
            order = np.argsort(-predictions.scores[rows], kind="stable")
            yield np.array(rows, dtype=np.int64)[order]

    @property
    def most(self) -> int:
        """The most instances in an image."""
        counts = np.unique(self.predictions.image_ids, return_counts=True)[1]
        return int(counts.max(initial=0))

    def path_of(self, i: int, beside: Path) -> str:
        """How a file names the image: relative to its own folder where the image lies below that, else in full.

        Args:
            i: Which image.
            beside: The file.
        """
        image, folder = (self.source / self.annotations.file_names[i]).resolve(), beside.resolve().parent
        return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else image.as_posix()
