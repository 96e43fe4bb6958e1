"""Images that are nearly the same in two splits: re-encoded, rescaled, brightened copies, neighbouring frames of a video.

Two steps. A perceptual hash (64 signs of the lowest frequencies of a thumbnail, Zauner 2010) finds candidates: pairs whose
hashes differ in at most `BITS` places. Then the thumbnails themselves are compared: a correlation of at least `SAME` is a
near-duplicate. They are 32 px, for at 16 px two thin digits of different hands are the same. Images without structure (a blank wall) have no hash, and are compared with none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from benchmark.colour import coloured
from benchmark.structures import FloatArray, Image, LabeledImages
from datasets.splits import of_each

SIDE = 32  # px, of a thumbnail
LOWEST = 8  # frequencies an axis
BITS = 10  # of 64 in which the hashes of a near-duplicate may differ
SAME = 0.985  # correlation of thumbnails
FLAT = 2.0  # of 255: thumbnails that vary less have no structure
MOST_COMPARED = 20_000  # images that are searched for copies by whoever asks unasked; more would take minutes
WARNING = "WARNING: copies:"  # how a note on near-duplicates starts
FOLD = "fold"  # how the names of parts start that are folds
BLOCK = 1 << 22  # pairs compared at a time


@dataclass(frozen=True)
class Pair:
    """Two images that are nearly the same.

    Attributes:
        splits: Of the two.
        names: Their file names.
        correlation: Of their thumbnails, at most 1.
    """

    splits: tuple[str, str]
    names: tuple[str, str]
    correlation: float


def near_duplicates(splits: Mapping[str, LabeledImages], *, within: bool = False) -> list[Pair]:
    """The pairs of nearly equal images that lie in two splits; for each image of the later split its nearest one.

    Args:
        splits: Name -> split, such as train, val and test.
        within: Whether pairs in one split count as well, as they do before images are divided.

    Returns:
        Pairs, the most alike first.
    """
    prints = {name: fingerprints(part.images) for name, part in splits.items() if len(part)}
    found: list[Pair] = []
    names = list(prints)
    for a, first in enumerate(names):
        for second in names[a + (not within) :]:
            files = splits[first].annotations.file_names, splits[second].annotations.file_names
            for i, j, alike in _pairs(*prints[first], *prints[second], earlier=first == second):
                found.append(Pair((first, second), (files[0][i], files[1][j]), alike))
    return sorted(found, key=lambda pair: (-pair.correlation, pair.names))


def fingerprints(images: Sequence[Image]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """The hashes and thumbnails of images.

    Args:
        images: N of (H, W) or (H, W, 3) uint8.

    Returns:
        (N,) uint64 hashes, 0 of an image without structure; (N, 1024) float32 thumbnails of mean 0 and length 1, 0 likewise.
    """
    basis = _cosines()
    hashes, thumbnails = np.zeros(len(images), dtype=np.uint64), np.zeros((len(images), SIDE * SIDE), np.float32)
    for i, small in enumerate(of_each(images, _small, lambda lazy, at: _small(lazy.preview(at)))):
        values = small.astype(np.float64)
        if values.std() < FLAT:
            continue
        waves = (basis @ values @ basis.T).ravel()[1:]  # without the mean
        signs = np.append(waves > np.median(waves), True)  # the last bit tells a hash from none
        hashes[i] = np.packbits(signs).view(">u8")[0]
        centred = values.ravel() - values.mean()
        thumbnails[i] = centred / np.linalg.norm(centred)
    return hashes, thumbnails


def _small(image: Image) -> Image:
    """(32, 32) uint8: the image in grey, reduced."""
    grey = Pillow.fromarray(coloured(np.asarray(image), False))
    return np.asarray(grey.resize((SIDE, SIDE), Pillow.Resampling.BOX))


def _cosines() -> FloatArray:
    """(8, 32): the lowest frequencies of the discrete cosine transform."""
    at = (np.arange(SIDE) + 0.5) / SIDE
    return np.cos(np.pi * np.arange(LOWEST)[:, None] * at)


def _pairs(
    hashes: NDArray[np.uint64],
    thumbnails: NDArray[np.float32],
    others: NDArray[np.uint64],
    other_thumbnails: NDArray[np.float32],
    *,
    earlier: bool,
) -> list[tuple[int, int, float]]:
    """For each image of the second set its nearest candidate in the first, where these are nearly the same.

    earlier: only candidates before it count, as where both sets are one.
    """
    known, asked = np.flatnonzero(hashes), np.flatnonzero(others)
    best: dict[int, tuple[float, int]] = {}
    step = max(1, BLOCK // max(1, len(known)))
    for start in range(0, len(asked), step):
        rows = asked[start : start + step]
        apart = np.bitwise_count(hashes[known][None] ^ others[rows][:, None])
        for r, k in np.argwhere(apart <= BITS).tolist():
            i, j = int(known[k]), int(rows[r])
            if earlier and i >= j:
                continue
            alike = float(thumbnails[i] @ other_thumbnails[j])
            if alike >= SAME and alike > best.get(j, (0.0, 0))[0]:
                best[j] = (alike, i)
    return [(i, j, round(alike, 4)) for j, (alike, i) in best.items()]


def note_on(pairs: Sequence[Pair]) -> str:
    """A sentence on what near-duplicates mean; "" where there are none."""
    if not pairs:
        return ""
    first = pairs[0]
    if all(pair.splits[0] == pair.splits[1] for pair in pairs):
        return (
            f"{WARNING} {len(pairs)} images are nearly the same as an earlier one, as {first.names[0]} and {first.names[1]}: "
            "keep copies and neighbouring frames together with --group-by, or scores will be too good"
        )
    if not any("test" in pair.splits for pair in pairs) and first.splits[0].startswith(FOLD):
        return (
            f"{WARNING} {len(pairs)} images are nearly the same as one in another fold, as {first.names[0]} and "
            f"{first.names[1]}: scores will be too good; keep copies and neighbouring frames together with --group-by"
        )
    asked = len({pair.names[1] for pair in pairs if pair.splits[1] == "test"})
    return (
        f"{WARNING} {asked} test images are nearly the same as a training or val image ({len(pairs)} pairs across splits, as "
        f"{first.names[0]} and {first.names[1]}): scores will be too good; keep copies and neighbouring frames together "
        "with --group-by"
    )
