"""Which way up photographs were annotated, so that new ones are looked at the same way.

A module of its own, as `datasets.images` is a part of what stored answers come from, and this is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.structures import Image
from datasets.images import ImageFiles, orientation

LOOKED_AT = 500  # files of a split, evenly spaced: a camera turns all or none
NOTE = "images that say they are to be turned (EXIF) are annotated as they are stored: left so, and new ones as well"


def annotated_as_stored(parts: Iterable[Sequence[Image]]) -> bool:
    """Whether files say that they are to be turned or mirrored, and their annotations mean them as they are stored.

    Args:
        parts: The images of each split; those that are no files say nothing.
    """
    for images in parts:
        if not isinstance(images, ImageFiles):
            continue
        for i in range(0, len(images), max(1, len(images) // LOOKED_AT)):
            with images._open(i) as opened:  # its header; its size is checked
                if orientation(opened) != 1 and opened.size == tuple(images._sizes[i]):
                    return True
    return False
