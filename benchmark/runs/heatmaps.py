"""Heatmaps kept beside a run's predictions: where a detector saw what, on a few test images drawn at random.

The images are the same for every detector of some data. Maps are bytes, each relative to its own largest value, and no
larger than a picture needs: they are to be looked at, not to be measured. Keeping them changes neither a run's key nor
its scores, and a detector that has none is none the worse. A bundle leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from benchmark.structures import FloatArray, IntArray, UserError

FILE = "heatmaps.safetensors"
IMAGES = 12
LONGEST = 64  # px, of a map that is kept
MOST = 1 << 18  # bytes of all maps of a run
LARGEST_FILE = 1 << 20


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """Heatmaps of some test images.

    Attributes:
        image_ids: (n,) int64, which images.
        maps: (n, K, h, w) uint8, 255 at the largest value of each map. A map covers its image from edge to edge: cell
            (i, j) is a rectangle of W / w x H / h px.
    """

    image_ids: IntArray
    maps: NDArray[np.uint8]


def sampled(image_ids: IntArray) -> IntArray:
    """The ids of the test images whose heatmaps are kept, ascending by position.

    Args:
        image_ids: (N,) of all test images.
    """
    return np.asarray(image_ids[np.sort(np.random.default_rng(0).permutation(len(image_ids))[:IMAGES])])


def as_bytes(maps: FloatArray) -> NDArray[np.uint8]:
    """Maps to look at: each relative to its largest value, smaller where they are large.

    Args:
        maps: (n, K, h, w), at least 0.

    Returns:
        (n, K, h', w') uint8, at most `LONGEST` px long and `MOST` bytes in all.

    Raises:
        ValueError: Where they are no maps.
    """
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim != 4 or not maps.size or not np.isfinite(maps).all() or (maps < 0).any():
        raise ValueError(f"heatmaps of shape {maps.shape}: (N, K, h, w) finite values from 0 are expected")
    n, k, height, width = maps.shape
    scale = min(1.0, LONGEST / max(height, width), (MOST / maps.size) ** 0.5)
    size = max(1, int(width * scale)), max(1, int(height * scale))
    if size != (width, height):
        flat = maps.reshape(n * k, height, width).astype(np.float32)
        small = [np.asarray(Pillow.fromarray(one).resize(size, Pillow.Resampling.BILINEAR)) for one in flat]
        maps = np.stack(small).reshape(n, k, size[1], size[0]).astype(np.float64).clip(min=0)
    largest = maps.max(axis=(2, 3), keepdims=True)
    return np.round(255 * maps / np.where(largest > 0, largest, 1.0)).clip(0, 255).astype(np.uint8)


def joined(parts: Sequence[Heatmaps]) -> Heatmaps | None:
    """Those of several folds as one; None where there are none, or their sizes differ."""
    if not parts or len({part.maps.shape[1:] for part in parts}) > 1:
        return None
    return Heatmaps(np.concatenate([p.image_ids for p in parts]), np.concatenate([p.maps for p in parts]))


def to_file(heatmaps: Heatmaps) -> bytes:
    """The bytes of a safetensors file."""
    from safetensors.numpy import save

    return save(
        {"image_ids": np.ascontiguousarray(heatmaps.image_ids, np.int64), "maps": np.ascontiguousarray(heatmaps.maps)}
    )


def from_file(content: bytes, origin: str) -> Heatmaps:
    """Heatmaps from the bytes of a file.

    Raises:
        UserError: Where they are none.
    """
    from safetensors.numpy import load

    try:
        arrays: dict[str, Any] = load(content)
        ids, maps = arrays["image_ids"], arrays["maps"]
        if ids.dtype != np.int64 or maps.dtype != np.uint8 or maps.ndim != 4 or ids.shape != maps.shape[:1]:
            raise ValueError(f"maps of shape {maps.shape} and type {maps.dtype}")
    except Exception as error:  # whatever the reader raises
        raise UserError(f"{origin}: holds no heatmaps ({error}); run it again") from error
    return Heatmaps(ids, maps)
