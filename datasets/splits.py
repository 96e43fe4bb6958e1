"""Which image is for what: stratified splits, nested training subsets and folds, decided by content alone.

Images are ordered by sha256 over a tag and their pixels, never by a random number generator or a file's order. The same
images fall into the same parts on every platform, and adding a detector or shuffling a folder changes nothing. Where
labels are known, every part holds its share of each (largest remainder, the lower label first on ties).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from benchmark.structures import Image, IntArray, UserError


def image_digest(image: Image) -> str:
    """sha256 over an image's shape and pixels, in hex."""
    h = hashlib.sha256(str(image.shape).encode())
    h.update(np.ascontiguousarray(image).tobytes())
    return h.hexdigest()


def digests(images: Iterable[Image]) -> tuple[str, ...]:
    """`image_digest` of every image."""
    return tuple(image_digest(image) for image in images)


def draw(digest: str, tag: str, count: int, below: int) -> IntArray:
    """(count,) int64 in [0, below): numbers that depend on an image's digest and a tag, and on nothing else."""
    stream = hashlib.shake_256(f"{tag} {digest}".encode()).digest(8 * count)
    return (np.frombuffer(stream, dtype="<u8") % np.uint64(below)).astype(np.int64)


def _order(found: Sequence[str], tag: str) -> list[str]:
    """A sort key an image: equal pixels get equal keys, and every tag another order."""
    return [hashlib.sha256(f"{tag} {digest}".encode()).hexdigest() for digest in found]


def _strata(labels: IntArray | None, count: int) -> list[IntArray]:
    """Positions of each label, lowest label first; all in one where labels are unknown."""
    if labels is None:
        return [np.arange(count)]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _shares(counts: Sequence[int], size: int) -> list[int]:
    """``size`` divided in proportion to ``counts``: the floor of each quota, the rest to the largest remainders."""
    total = sum(counts)
    shares = [count * size // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda i: (-(counts[i] * size % total), i))
    for i in by_remainder[: size - sum(shares)]:
        shares[i] += 1
    return shares


def split(found: Sequence[str], labels: IntArray | None, sizes: Sequence[int], number: int = 0) -> list[IntArray]:
    """Positions of each part, stratified; the images of a part are in the order of their hash under this split.

    found: N digests. sizes: images a part; together at most N. number: which split, 0 by default.
    """
    if sum(sizes) > len(found):
        raise UserError(f"a split into {' + '.join(map(str, sizes))} images needs more than the {len(found)} there are")
    keys = _order(found, f"split {number}")
    left = [sorted(rows.tolist(), key=lambda i: keys[i]) for rows in _strata(labels, len(found))]
    parts = []
    for size in sizes:
        taken: list[int] = []
        shares = _shares([len(rows) for rows in left], size) if size else [0] * len(left)
        for rows, share in zip(left, shares):
            taken += rows[:share]
            del rows[:share]
        parts.append(np.array(sorted(taken, key=lambda i: keys[i]), dtype=np.int64))
    return parts


def subset(found: Sequence[str], labels: IntArray | None, n: int, seed: int) -> IntArray:
    """(n,) ascending positions of a training subset: nested (each n holds every smaller one of its seed), and as
    stratified as any prefix can be."""
    if not 1 <= n <= len(found):
        raise UserError(f"a subset of {n} images: there are {len(found)}, so give 1 to {len(found)}")
    keys = _order(found, f"subset {seed}")
    ranked: list[tuple[float, str, int]] = []
    for rows in _strata(labels, len(found)):
        ordered = sorted(rows.tolist(), key=lambda i: keys[i])
        ranked += [((rank + 0.5) / len(ordered), keys[i], i) for rank, i in enumerate(ordered)]
    return np.array(sorted(i for _, _, i in sorted(ranked)[:n]), dtype=np.int64)


def folds(
    found: Sequence[str], labels: IntArray | None, k: int, seed: int = 0
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """k times (train, val, test) positions, ascending: each image is in one test part; val is a fifth of the others."""
    if k < 2:
        raise UserError(f"folds {k}: give at least 2")
    if len(found) < max(k, 3):
        raise UserError(f"folds {k}: there are {len(found)} images, too few")
    base, extra = divmod(len(found), k)
    tests = split(found, labels, [base + (i < extra) for i in range(k)], seed)
    parts = []
    for test in tests:
        others = np.setdiff1d(np.arange(len(found)), test)
        size = max(1, len(others) // 5)
        val, train = split(
            [found[i] for i in others],
            None if labels is None else labels[others],
            [size, len(others) - size],
            seed,
        )
        parts.append((np.sort(others[train]), np.sort(others[val]), np.sort(test)))
    return parts
