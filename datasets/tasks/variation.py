"""Digits as nobody has seen them: sheared, dimmed and moved by amounts that follow from a number.

The digits of MNIST are public, so a division that is kept secret still asks about images that anybody has. What a secret
number does to them makes images that exist nowhere else. All of it is arithmetic on integers, so that a number makes the
same bytes on every machine: rows are shifted along x, then columns along y (a shear, one to one on the pixels, so no ink
meets other ink), grey values are scaled and rounded up (ink stays ink), and the ink is put down near where it was.
"""

from __future__ import annotations

import numpy as np

from benchmark.structures import Image
from datasets.splits import digests, draw

LEAN = 6  # px, the most by which the first and the last row move apart
CLIMB = 4  # px, likewise of columns
DARKEST = 160  # of 256: a full stroke (255) stays above the 127 that `datasets.ink.BOLD` asks for
AWAY = 2  # px, the most by which the corner of the ink's box moves along each axis


def vary(images: Image, number: int) -> Image:
    """Every image as the number and its own pixels say.

    Args:
        images: (N, H, W) uint8.
        number: Of a division; of one that is secret nobody can tell the amounts.

    Returns:
        (N, H, W) uint8, all ink inside. What would not fit is sheared less.
    """
    varied = np.zeros_like(images)
    for i, digest in enumerate(digests(images)):
        amounts = draw(digest, f"variation {number}", 5, 2**62)
        spans = np.array([2 * LEAN + 1, 2 * CLIMB + 1, 257 - DARKEST, 2 * AWAY + 1, 2 * AWAY + 1])
        lean, climb, light, dx, dy = (amounts % spans - [LEAN, CLIMB, -DARKEST, AWAY, AWAY]).tolist()
        varied[i] = _varied(images[i], lean, climb, light, dx, dy)
    return varied


def _varied(image: Image, lean: int, climb: int, light: int, dx: int, dy: int) -> Image:
    """One image (H, W) with the ink of rows and columns shifted, scaled by ``light`` / 256 and moved by (dx, dy) px."""
    height, width = image.shape
    y, x = np.nonzero(image)
    result = np.zeros_like(image)
    if not len(x):
        return result
    while True:
        new_x = x + lean * (2 * y - height + 1) // (2 * height)
        new_y = y + climb * (2 * new_x - width + 1) // (2 * width)
        if np.ptp(new_x) < width and np.ptp(new_y) < height:
            break
        lean, climb = int(lean / 2), int(climb / 2)  # towards 0, where everything fits
    new_x += _moved(x.min() + dx, np.ptp(new_x), width) - new_x.min()
    new_y += _moved(y.min() + dy, np.ptp(new_y), height) - new_y.min()
    result[new_y, new_x] = (image[y, x].astype(np.int64) * light + 255) // 256
    return result


def _moved(wanted: int, length: int, side: int) -> int:
    """The place nearest to the wanted one at which something of ``length`` + 1 px lies inside."""
    return int(np.clip(wanted, 0, side - 1 - length))
