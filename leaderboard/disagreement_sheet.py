"""A sheet of the points that two annotators put in different places, each magnified, with both labels and a line between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from benchmark.colour import coloured
from benchmark.structures import Image
from datasets.agreement import Disagreement
from leaderboard.sheet import TILE, Sheet

FIRST, SECOND = (60, 230, 60), (255, 70, 200)  # of the data a ring, of the other labels a cross
SMALLEST = 24  # px, the side of what is shown
AROUND = 4  # sides of what is shown, in distances between the two points


def disagreement_sheet(images: Sequence[Image], disagreements: Sequence[Disagreement], path: Path) -> None:
    """Draw some points that two annotators labelled.

    Args:
        images: N arrays, uint8: the images of the data, splits one after the other.
        disagreements: What is drawn.
        path: PNG to write.

    Raises:
        UserError: Where it cannot be written.
    """
    sheet = Sheet(len(disagreements))
    for at, one in enumerate(disagreements):
        points = np.array([one.first, one.second])
        side = max(SMALLEST, AROUND * one.pixels)
        low = points.mean(axis=0) + 0.5 - side / 2  # from the edge of the image
        picture = Pillow.fromarray(coloured(np.asarray(images[one.position]), True))
        window = (*low.tolist(), *(low + side).tolist())
        shown = picture.transform((TILE, TILE), Pillow.Transform.EXTENT, window, Pillow.Resampling.NEAREST)
        corner = sheet.put(at, shown, f"{one.keypoint}, {one.pixels:.1f} px: {one.image}")
        (x, y), (u, v) = ((points + 0.5 - low) * TILE / side + corner).tolist()
        pen = sheet.pen
        pen.line([x, y, u, v], fill=(255, 255, 255), width=1)
        pen.ellipse([x - 5, y - 5, x + 5, y + 5], outline=FIRST, width=2)
        pen.line([u - 5, v - 5, u + 5, v + 5], fill=SECOND, width=2)
        pen.line([u - 5, v + 5, u + 5, v - 5], fill=SECOND, width=2)
    sheet.write(path)
