"""Corruptions of images, five severities each, that carry the points along exactly.

After Hendrycks and Dietterich (Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019),
for points. Those that change only values (blur, noise, contrast, cutout, specks) leave the points where they are; those that move pixels
(rotation, shear, elastic, shift) move each point as they move the pixel it lies on, and a point that leaves the image is
no longer labelled. What is drawn at random follows from the image's digest, so the same images are corrupted alike
wherever it is done. Lengths are those of an image whose shorter side is 28 px, and grow with it.

A point that a rule on the ink defines (`datasets.tasks`) may be another pixel after pixels were moved: `moves_pixels` says
which corruptions ask that question, and whoever knows the rule asks it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from benchmark.structures import Annotations, FloatArray, Image, LabeledImages, image_digest
from benchmark.suggestions import unknown

SEVERITIES = (1, 2, 3, 4, 5)
UNIT = 28.0
"""px: the shorter side that lengths are given for."""

Random = np.random.Generator
Values = Callable[[FloatArray, float, Random], FloatArray]
"""Pixels (H, W, C) float64 from 0 to 255, the strength, what to draw from -> pixels."""
Moves = Callable[[tuple[int, int], float, Random], "Motion"]
"""(H, W), the strength, what to draw from -> where pixels move."""


@dataclass(frozen=True)
class Motion:
    """Where pixels move.

    Attributes:
        source: (P, 2) float64 px, places of the new image -> the places of the old one that are seen there.
        target: (P, 2) float64 px, the other way.
    """

    source: Callable[[FloatArray], FloatArray]
    target: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Corruption:
    """A way to make images worse.

    Attributes:
        summary: What it does, in one line.
        strengths: Of the five severities.
        values: How pixels change; None where they move.
        moves: Where pixels move; None where they stay.
    """

    summary: str
    strengths: tuple[float, float, float, float, float]
    values: Values | None = None
    moves: Moves | None = None

    @property
    def moves_pixels(self) -> bool:
        """Whether points move."""
        return self.moves is not None


def _blur(pixels: FloatArray, sigma: float, random: Random) -> FloatArray:
    size = sigma * _unit(pixels.shape)
    return np.asarray(ndimage.gaussian_filter(pixels, (size, size, 0), mode="nearest"))


def _noise(pixels: FloatArray, deviation: float, random: Random) -> FloatArray:
    return pixels + deviation * random.standard_normal(pixels.shape)


def _contrast(pixels: FloatArray, factor: float, random: Random) -> FloatArray:
    middle = pixels.mean(axis=(0, 1))
    return np.asarray(middle + factor * (pixels - middle))


def _cutout(pixels: FloatArray, side: float, random: Random) -> FloatArray:
    """A square of the image's mean, anywhere that all of it lies inside."""
    height, width, _ = pixels.shape
    length = max(1, round(side * _unit(pixels.shape)))
    y, x = int(random.integers(0, height - length + 1)), int(random.integers(0, width - length + 1))
    changed = pixels.copy()
    changed[y : y + length, x : x + length] = pixels.mean(axis=(0, 1))
    return changed


def _specks(pixels: FloatArray, share: float, random: Random) -> FloatArray:
    """So many pixels, each with a value of its own, grey in a colour image too."""
    height, width, _ = pixels.shape
    chosen = random.permutation(height * width)[: round(share * height * width)]
    changed = pixels.copy()
    changed.reshape(height * width, -1)[chosen] = random.integers(1, 256, (len(chosen), 1))
    return changed


def _rotation(size: tuple[int, int], degrees: float, random: Random) -> Motion:
    angle = math.radians(degrees) * random.choice([-1.0, 1.0])
    return _linear(size, np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))


def _shear(size: tuple[int, int], amount: float, random: Random) -> Motion:
    along = amount * random.choice([-1.0, 1.0])
    return _linear(size, np.array([[1.0, along], [0.0, 1.0]]))


def _shift(size: tuple[int, int], length: float, random: Random) -> Motion:
    """By whole pixels, in one of eight directions."""
    steps = max(1, round(length * _unit(size)))
    dx, dy = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y][int(random.integers(8))]
    by = np.array([dx * steps, dy * steps], dtype=np.float64)
    return Motion(lambda at: at - by, lambda at: at + by)


def _elastic(size: tuple[int, int], amount: float, random: Random) -> Motion:
    """Waves of a third to one image's length, along both axes; the way back is found by iteration."""
    height, width = size
    length = np.array([width, height], dtype=np.float64)
    waves = random.uniform(1.0, 2.0, (2, 2)) * 2 * math.pi / length
    phases = random.uniform(0, 2 * math.pi, (2, 2))
    high = amount * _unit(size)

    def away(at: FloatArray) -> FloatArray:
        return np.asarray(high / 2 * np.sin(at[:, None, :] * waves + phases).sum(axis=2))

    def target(at: FloatArray) -> FloatArray:
        found = at.copy()
        for _ in range(200):  # a contraction: slopes stay below 1
            found = at - away(found)
        return found

    return Motion(lambda at: at + away(at), target)


def _linear(size: tuple[int, int], matrix: FloatArray) -> Motion:
    """A linear map about the image's centre."""
    height, width = size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    back = np.linalg.inv(matrix)
    return Motion(lambda at: (at - centre) @ back.T + centre, lambda at: (at - centre) @ matrix.T + centre)


def _unit(shape: tuple[int, ...]) -> float:
    return min(shape[:2]) / UNIT


CORRUPTIONS: Mapping[str, Corruption] = {
    "blur": Corruption("a Gaussian blur", (0.4, 0.6, 0.8, 1.1, 1.5), values=_blur),
    "noise": Corruption("normal noise on every pixel", (4, 8, 16, 32, 64), values=_noise),
    "contrast": Corruption("values drawn towards their mean", (0.75, 0.5, 0.35, 0.2, 0.1), values=_contrast),
    "cutout": Corruption("a square of the mean value", (3, 5, 7, 9, 12), values=_cutout),
    "specks": Corruption("single pixels of any value", (0.0025, 0.005, 0.01, 0.02, 0.05), values=_specks),
    "rotation": Corruption("a turn about the centre", (5, 10, 15, 22.5, 30), moves=_rotation),
    "shear": Corruption("a slant along x", (0.05, 0.1, 0.2, 0.3, 0.4), moves=_shear),
    "elastic": Corruption("smooth waves", (0.3, 0.6, 0.9, 1.2, 1.5), moves=_elastic),
    "shift": Corruption("whole pixels, in one of eight directions", (1, 2, 3, 4, 5), moves=_shift),
}
"""Name -> corruption. Changing what one does means a new `VERSION`."""

VERSION = 2


def corrupt(data: LabeledImages, name: str, severity: int) -> LabeledImages:
    """Corrupted copies of images, with their points carried along.

    Args:
        data: Images with annotations.
        name: One of `CORRUPTIONS`.
        severity: 1 to 5.

    Returns:
        The corrupted images, in memory; points that left their image are not labelled there, and keep no lattice where
        pixels move by parts of a pixel. Boxes move with what is in them; areas are those of the clean image.

    Raises:
        UserError: For an unknown corruption.
        ValueError: For another severity.
    """
    if name not in CORRUPTIONS:
        raise unknown("corruption", name, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise ValueError(f"severities are 1 to 5, got {severity}")
    corruption = CORRUPTIONS[name]
    strength = corruption.strengths[severity - 1]
    images: list[Image] = []
    motions: list[Motion | None] = []
    for image in data.images:
        random = np.random.Generator(np.random.PCG64(_seed(image, name)))
        seen, motion = _corrupted(image, corruption, strength, random)
        images.append(seen)
        motions.append(motion)
    annotations = _carried(data.annotations, motions) if corruption.moves_pixels else data.annotations
    return LabeledImages(images, annotations)


def _seed(image: Image, name: str) -> int:
    """The same for all severities: a stronger rotation goes the same way."""
    return int.from_bytes(bytes.fromhex(image_digest(image))[:8], "little") ^ int.from_bytes(
        name.encode()[:8].ljust(8), "little"
    )


def _corrupted(image: Image, corruption: Corruption, strength: float, random: Random) -> tuple[Image, Motion | None]:
    pixels = np.atleast_3d(image).astype(np.float64)
    motion = None
    if corruption.moves is not None:
        motion = corruption.moves(image.shape[:2], strength, random)
        pixels = _moved(pixels, motion)
    elif corruption.values is not None:
        pixels = corruption.values(pixels, strength, random)
    values = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return values.reshape(image.shape), motion


def _moved(pixels: FloatArray, motion: Motion) -> FloatArray:
    """Each pixel of the new image, bilinear from the old one; what was outside is 0."""
    height, width, channels = pixels.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    at = motion.source(grid)[:, ::-1].T
    seen = [ndimage.map_coordinates(pixels[..., c], at, order=1, mode="constant") for c in range(channels)]
    return np.stack(seen, axis=-1).reshape(pixels.shape)


_CIRCLE = np.stack([np.cos(angles := np.arange(72) * math.pi / 36), np.sin(angles)], axis=1)


def _carried(annotations: Annotations, motions: Sequence[Motion | None]) -> Annotations:
    points, visible = annotations.keypoints.copy(), np.array(annotations.visible)
    boxes = annotations.boxes.copy()
    for row, i in enumerate(annotations.index.tolist()):
        motion = motions[i]
        assert motion is not None, "pixels of every image move"
        points[row] = motion.target(points[row])
        boxes[row] = _moved_box(boxes[row], motion)
        inside = ((points[row] >= 0) & (points[row] <= annotations.sizes[i] - 1)).all(axis=1)
        visible[row, ~inside] = 0
    points[visible == 0] = 0.0
    spacing = annotations.spacing
    if spacing is not None:
        steps = points / spacing[:, None]
        spacing = np.where((steps == np.rint(steps)).all(axis=(0, 2)), spacing, np.nan)
        spacing = None if np.isnan(spacing).all() else spacing
    return replace(annotations, keypoints=points, visible=visible, boxes=boxes, spacing=spacing)


def _moved_box(box: FloatArray, motion: Motion) -> FloatArray:
    """The box about the ellipse that fills a box, moved: the corners of a box hold little of what it is drawn around."""
    centre, half = box[:2] + box[2:] / 2 - 0.5, box[2:] / 2  # a box goes from edge to edge, and points are centres
    moved = motion.target(centre + half * _CIRCLE) + 0.5
    low = moved.min(axis=0)
    return np.concatenate([low, moved.max(axis=0) - low])
