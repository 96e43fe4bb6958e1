"""Augmentation with the keypoints moved along, through albumentations (Buslaev et al. 2020), and only here.

    shift    whole pixels, up to 4 x strength a side; an image whose ink would leave the frame stays as it is
    affine   rotation up to 10 degrees, scale .9 to 1.1, shift up to 5 %, all x strength, bilinear
    flip     left and right exchanged in half of the images: x becomes W - 1 - x, and a left eye becomes a right one:
             pairs of keypoints that a mirror exchanges (`Annotations.flip_pairs`) change places
    photo    rotation up to 25 degrees, scale .8 to 1.2, shift up to 10 %, and in most images brightness and contrast
             up to 20 %, all x strength; a point that leaves the frame counts as not labelled

Only ``shift`` keeps a point that is defined by a rule on the ink: the first pixel of a turned or mirrored digit is
another pixel than the turned first pixel. The others are for points that belong to the object, as people's annotations do.
Ink may leave the frame where most of the image has some, as photographs do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.structures import FloatArray, Image, UserError
from benchmark.suggestions import unknown

KINDS = ("shift", "affine", "flip", "photo")
NONE = "none"
FEW = 1000  # images, more of which vary enough by themselves
LOOKED_AT = 16  # of them, to tell photographs from ink on black
SMALLEST = 1 << 12  # px of a photograph, more than which it has


def kinds(text: str) -> list[str]:
    """The kinds of augmentation that a sum names.

    Args:
        text: Names of `KINDS` joined by plus signs, such as ``shift+flip``.

    Returns:
        The names, in their order.

    Raises:
        UserError: For an unknown one, with the nearest.
    """
    names = text.split("+")
    for name in names:
        if name not in KINDS:
            raise unknown("augmentation", name, KINDS)
    return names


def usual(images: Sequence[Image] | Image, flip_pairs: Sequence[tuple[int, int]] = ()) -> str:
    """The augmentation where nobody says which: that of few photographs; of other images, such as digits, none.

    Args:
        images: N of (H, W) or (H, W, 3) uint8, of which a few are looked at. Photographs have more than 64 x 64 pixels,
            and most of these are not black.
        flip_pairs: Keypoints that change places in a mirrored image; without any, images are not mirrored.

    Returns:
        Kinds as `augment` takes them, or "" for none.
    """
    if not 0 < len(images) <= FEW or images[0].shape[0] * images[0].shape[1] <= SMALLEST:
        return ""
    chosen = [images[i] for i in range(0, len(images), max(1, len(images) // LOOKED_AT))]
    if sum(np.count_nonzero(image) for image in chosen) * 2 < sum(image.size for image in chosen):
        return ""
    return "photo+flip" if len(flip_pairs) else "photo"


def _transform(kind: str, strength: float) -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the package index for news when imported
    import albumentations
    import cv2

    if kind == "flip":
        return albumentations.HorizontalFlip(p=0.5)
    if kind == "shift":
        most = max(1, round(4 * strength))
        return albumentations.Affine(
            translate_px={"x": (-most, most), "y": (-most, most)}, interpolation=cv2.INTER_NEAREST, p=1.0
        )
    times = 1.0 if kind == "affine" else 2.0
    moved = albumentations.Affine(
        rotate=(-10 * strength, 10 * strength) if kind == "affine" else (-25 * strength, 25 * strength),
        scale=(1 - 0.1 * times * strength, 1 + 0.1 * times * strength),
        translate_percent=(-0.05 * times * strength, 0.05 * times * strength),
        p=1.0,
    )
    if kind == "affine":
        return moved
    light = albumentations.RandomBrightnessContrast(0.2 * strength, 0.2 * strength, p=0.7)
    return albumentations.Sequential([moved, light], p=1.0)


def augment(
    images: Sequence[Image] | Image,
    points: FloatArray,
    *,
    seed: int,
    kind: str = "shift",
    strength: float = 1.0,
    flip_pairs: Sequence[tuple[int, int]] = (),
) -> tuple[list[Image], FloatArray]:
    """Another version of each image, and where its points lie then.

    Args:
        images: N of (H, W) or (H, W, 3) uint8. Not changed.
        points: (N, K, 2) float64, pixels (x, y), integer = pixel centre; NaN where a keypoint is not labelled. Not changed.
        seed: The same seed gives the same result.
        kind: One of `KINDS`, or a sum such as ``shift+flip``.
        strength: Above 0, up to 1.
        flip_pairs: Positions of keypoints that change places in a mirrored image, as left and right eye.

    Returns:
        N images, and (N, K, 2) float64 points, which may lie outside the frame; NaN where they were, and after ``photo``
        where they left it.

    Raises:
        UserError: For an unknown kind or a strength out of range.
    """
    names = kinds(kind)
    if not 0 < strength <= 1:
        raise UserError(f"augmentation strength {strength:g}: give a number above 0, up to 1")
    steps = [_transform(name, strength) for name in names]
    import albumentations

    keypoint_params = albumentations.KeypointParams(format="xy", remove_invisible=False)
    pipeline = albumentations.Compose(steps, keypoint_params=keypoint_params, seed=seed)
    mirrored = list(range(points.shape[1]))
    for a, b in flip_pairs:
        mirrored[a], mirrored[b] = b, a
    out, moved = [], np.array(points, dtype=np.float64)
    for i, image in enumerate(images):
        unknown_points = np.isnan(moved[i, :, 0])
        # Two more points tell whether the image was mirrored: a map that keeps the order of left and right did not.
        asked = np.concatenate([np.nan_to_num(moved[i]), [[0.0, 0.0], [1.0, 0.0]]])
        result = pipeline(image=np.ascontiguousarray(image), keypoints=asked)
        inked = np.count_nonzero(image)
        if (
            not {"affine", "photo"} & set(names)
            and 2 * inked < image.size
            and np.count_nonzero(result["image"]) < inked
        ):
            out.append(np.array(image))
            continue
        out.append(result["image"])
        answers = np.asarray(result["keypoints"], dtype=np.float64)
        moved[i] = np.where(unknown_points[:, None], np.nan, answers[:-2])
        if flip_pairs and answers[-1, 0] < answers[-2, 0]:
            moved[i] = moved[i, mirrored]
        if "photo" in names:
            last = np.array(image.shape[1::-1]) - 0.5
            moved[i, ((moved[i] < -0.5) | (moved[i] > last)).any(axis=1)] = np.nan
            if np.isnan(moved[i]).all():  # nothing would be left to learn from
                out[-1], moved[i] = np.array(image), points[i]
    return out, moved
