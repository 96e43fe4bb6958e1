"""A sheet of likely wrong labels: about each a crop of its image, with the label, the proposed place and every answer.

A label is a ring, the place that the answers agree on a cross, each answer a dot; colours are those of the gallery.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from benchmark.colour import coloured
from benchmark.structures import Image
from leaderboard.gallery import ANNOTATION, PREDICTION
from leaderboard.sheet import TILE, Sheet
from leaderboard.suspects import EXCHANGED, Suspect

SURROUNDINGS = 0.6  # of the distance between the points, on every side
LEAST_SHARE = 0.35  # of the image's longer side that a crop shows
RIM = (0, 0, 0)


def suspect_sheet(images: Sequence[Image], chosen: Sequence[Suspect], path: Path) -> None:
    """Draw some likely wrong labels.

    Args:
        images: N arrays, uint8: those of all splits.
        chosen: What is drawn.
        path: PNG to write.

    Raises:
        UserError: Where it cannot be written.
    """
    sheet = Sheet(len(chosen), lines=2)
    for at, suspect in enumerate(chosen):
        what = f"{', '.join(suspect.keypoints)}: {suspect.kind}"
        tile = _tile(coloured(np.asarray(images[suspect.position]), True), suspect)
        sheet.put(at, tile, what, f"{suspect.image}, {suspect.distance:.1f} px")
    sheet.write(path)


def _tile(image: Image, suspect: Suspect) -> Pillow.Image:
    """A square of the image about the points, enlarged, and what is known of them."""
    points = np.array([*suspect.labels, *suspect.proposed])
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    side = max(extent * (1 + 2 * SURROUNDINGS), LEAST_SHARE * max(image.shape[:2]), 8.0)
    corner = np.floor((low + high + 1) / 2 - side / 2)
    side = math.ceil(side)
    box = (int(corner[0]), int(corner[1]), int(corner[0]) + side, int(corner[1]) + side)
    zoom = TILE / side
    how = Pillow.Resampling.NEAREST if zoom > 2 else Pillow.Resampling.BILINEAR
    tile = Pillow.fromarray(np.ascontiguousarray(image)).crop(box).resize((TILE, TILE), how)
    pen = ImageDraw.Draw(tile)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return (point[0] + 0.5 - corner[0]) * zoom, (point[1] + 0.5 - corner[1]) * zoom

    for answers in suspect.answers.values():
        for answer in answers:
            if answer is not None:
                x, y = at(answer)
                pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=PREDICTION, outline=RIM)
    for number, (label, place) in enumerate(zip(suspect.labels, suspect.proposed), 1):
        (x, y), (u, v) = at(label), at(place)
        pen.line([x, y, u, v], fill=PREDICTION, width=1)
        for width, colour in ((4, RIM), (2, ANNOTATION)):
            pen.ellipse([x - 6, y - 6, x + 6, y + 6], outline=colour, width=width)
        for width, colour in ((4, RIM), (2, PREDICTION)):
            pen.line([u - 6, v - 6, u + 6, v + 6], fill=colour, width=width)
            pen.line([u - 6, v + 6, u + 6, v - 6], fill=colour, width=width)
        if suspect.kind == EXCHANGED:
            pen.text((x + 8, y - 12), str(number), fill=ANNOTATION, stroke_width=1, stroke_fill=RIM)
            pen.text((u + 8, v + 2), str(number), fill=PREDICTION, stroke_width=1, stroke_fill=RIM)
    return tile
