"""A contact sheet of annotated images: boxes, skeletons and numbered keypoints, the oddest labels first."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from benchmark.colour import coloured
from benchmark.structures import Annotations, Image
from leaderboard.sheet import TILE, Sheet

BOX = (90, 170, 255)


def annotation_sheet(
    images: Sequence[Image], annotations: Annotations, chosen: Sequence[int], captions: Sequence[str], path: Path
) -> None:
    """Draw some images with what is annotated on them.

    Args:
        images: N arrays, uint8.
        annotations: Of these.
        chosen: Positions of the images that are drawn.
        captions: A line for each of them.
        path: PNG to write.

    Raises:
        UserError: Where it cannot be written.
    """
    sheet = Sheet(len(chosen))
    for at, (i, caption) in enumerate(zip(chosen, captions)):
        image = coloured(np.asarray(images[i]), True)
        scale = min(TILE / image.shape[1], TILE / image.shape[0])
        shown = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        kind = Pillow.Resampling.NEAREST if scale > 2 else Pillow.Resampling.BILINEAR
        corner = sheet.put(at, Pillow.fromarray(image).resize(shown, kind), caption)
        _marks(sheet.pen, annotations, i, scale, corner)
    sheet.write(path)


def _marks(pen: ImageDraw.ImageDraw, annotations: Annotations, i: int, scale: float, corner: tuple[int, int]) -> None:
    k = len(annotations.keypoint_names)
    for row in np.flatnonzero(annotations.index == i).tolist():
        x, y, width, height = (annotations.boxes[row] * scale).tolist()
        pen.rectangle([corner[0] + x, corner[1] + y, corner[0] + x + width, corner[1] + y + height], outline=BOX)
        points = (annotations.keypoints[row] + 0.5) * scale + corner
        labelled = annotations.visible[row] > 0
        for a, b in annotations.skeleton:
            if labelled[a] and labelled[b]:
                pen.line([*points[a], *points[b]], fill=(255, 255, 255), width=2)
        for j, (px, py) in enumerate(points.tolist()):
            if labelled[j]:
                colour = tuple(round(255 * c) for c in colorsys.hsv_to_rgb(j / max(k, 1), 1.0, 1.0))
                hollow = annotations.visible[row, j] == 1
                pen.ellipse([px - 4, py - 4, px + 4, py + 4], fill=None if hollow else colour, outline=(0, 0, 0))
                pen.text((px + 5, py - 6), str(j + 1), fill=(255, 255, 0))
