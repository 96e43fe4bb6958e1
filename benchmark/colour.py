"""Colour to grey and back, the same wherever an image is turned into the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.structures import FloatArray, Image, stack_images


def grey(images: Sequence[Image] | Image) -> Image:
    """Images of one size as one grey array.

    RGB becomes luma (ITU-R BT.601), rounded up so that what is not black stays ink.

    Args:
        images: N of (H, W) or (H, W, 3) uint8.

    Returns:
        (N, H, W) uint8.
    """
    stacked = stack_images(images)  # type: ignore[arg-type]  # an array is a sequence in all but name
    if stacked.ndim == 3:
        return stacked
    luma: FloatArray = stacked[..., :3] @ np.array([0.299, 0.587, 0.114])
    return np.ceil(luma - 1e-9).astype(np.uint8)


def coloured(image: Image, colour: bool) -> Image:
    """One image (H, W) or (H, W, 3) uint8 as RGB, or as grey; itself where it is that already."""
    if (image.ndim == 3) == colour:
        return image
    return np.repeat(image[:, :, None], 3, axis=2) if colour else np.asarray(grey([image])[0])
