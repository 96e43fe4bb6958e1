"""Stand-ins for people's photographs: jointed figures of coloured discs on cluttered grounds, in COCO form.

Each keypoint is the centre of a disc of its own colour; figures are turned, scaled and placed at random. Some have holes
(keypoints that are not labelled), some images hold two figures or none, images may differ in size.
"""

from __future__ import annotations

import colorsys
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HUMAN = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]


def names_of(k: int) -> list[str]:
    """K names: COCO's human ones for 17."""
    return HUMAN if k == 17 else [f"part{i + 1}" for i in range(k)]


def photographs(
    folder: Path,
    count: int,
    *,
    k: int = 4,
    size: tuple[int, int] = (640, 480),
    holes: float = 0.0,
    two: float = 0.0,
    empty: int = 0,
    seed: int = 0,
    suffix: str = ".jpg",
) -> Path:
    """Write ``count`` images (width, height) and ``annotations.json``.

    Args:
        folder: Where to; made if need be.
        count: Images.
        k: Keypoints.
        size: (width, height) px.
        holes: Share of keypoints that are not labelled.
        two: Share of images with two figures.
        empty: The last so many images show no figure.
        seed: Of everything.
        suffix: Of the image files.

    Returns:
        The annotation file.
    """
    random = np.random.default_rng(seed)
    width, height = size
    (folder / "images").mkdir(parents=True, exist_ok=True)
    shape = np.random.default_rng(7).uniform(-1, 1, (k, 2))  # the figure: the same in all images, but for its joints
    shape[:, 1] *= 1.3
    colours = [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(i / k, 0.9, 1.0)) for i in range(k)]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i in range(count):
        ground = random.uniform(30, 110, (6, 8, 3)).astype(np.uint8)
        picture = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(picture)
        for _ in range(12):
            x, y, r = random.uniform(0, width), random.uniform(0, height), random.uniform(3, max(4, 0.06 * width))
            pen.rectangle([x, y, x + r, y + r], fill=tuple(random.integers(20, 140, 3).tolist()))
        figures = 0 if i >= count - empty else 2 if random.random() < two else 1
        for f in range(figures):
            room = width / figures
            reach = min(room, height) * random.uniform(0.22, 0.36)
            centre = np.array([room * f + room * random.uniform(0.42, 0.58), height * random.uniform(0.45, 0.55)])
            turn = np.deg2rad(random.uniform(-20, 20))
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            points = centre + reach * (shape + random.normal(0, 0.05, shape.shape)) @ rotation.T
            for a, b in pairwise(points):
                pen.line([*a, *b], fill=(200, 200, 200), width=max(1, round(reach / 25)))
            r = max(1.5, reach / 12)
            for (x, y), colour in zip(points, colours):
                pen.ellipse([x - r, y - r, x + r, y + r], fill=colour, outline=(0, 0, 0))
            inside = ((points >= 0) & (points <= [width - 1, height - 1])).all(axis=1)
            labelled = inside & (random.random(k) >= holes)
            low, high = points.min(axis=0) - r, points.max(axis=0) + r
            low, high = np.clip(low, 0, size), np.clip(high, 0, size)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": 1,
                    "keypoints": [
                        float(v)
                        for (x, y), known in zip(points.round(2), labelled)
                        for v in ((x, y, 2) if known else (0, 0, 0))
                    ],
                    "num_keypoints": int(labelled.sum()),
                    "bbox": [float(v) for v in (*low, *(high - low))],
                    "area": float(np.prod(high - low)),
                    "iscrowd": 0,
                }
            )
        name = f"photo{i + 1:04d}{suffix}"
        picture.filter(ImageFilter.GaussianBlur(0.6)).save(folder / "images" / name)
        images.append({"id": i + 1, "file_name": name, "width": width, "height": height})
    names = names_of(k)
    skeleton = [[j, j + 1] for j in range(1, k)]
    categories = [{"id": 1, "name": "figure", "keypoints": names, "skeleton": skeleton}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "annotations.json"
    path.write_text(json.dumps(document))
    return path
