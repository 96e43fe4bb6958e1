"""Stratified splits, nested training subsets and folds, decided by the content of images alone.

Images are ordered by sha256 over a tag and their pixels, never by a random number generator or a file's order. The same
images fall into the same parts on every platform, and adding a detector or shuffling a folder changes nothing. Where
labels are known, every part holds its share of each (largest remainder, the lower label first on ties).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from benchmark.structures import Image, IntArray, LazyImages, UserError, image_digest

T = TypeVar("T")


def digests(images: Iterable[Image]) -> tuple[str, ...]:
    """`benchmark.structures.image_digest` of every image."""
    return tuple(of_each(images, image_digest, LazyImages.digest))


def of_each(
    images: Iterable[Image], of_image: Callable[[Image], T], of_lazy: Callable[[LazyImages, int], T]
) -> list[T]:
    """Something of every image; of images that are still to be decoded on every core, since decoders leave Python's lock.

    Args:
        images: N images.
        of_image: What is wanted of an image.
        of_lazy: The same of a position in images that are decoded when they are asked for.
    """
    if not isinstance(images, LazyImages):
        return [of_image(image) for image in images]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda i: of_lazy(images, i), range(len(images))))


def draw(digest: str, tag: str, count: int, below: int) -> IntArray:
    """Numbers that depend on an image's digest and a tag, and on nothing else.

    Args:
        digest: The image's, in hex.
        tag: What the numbers are for; another tag gives other numbers.
        count: How many.
        below: They are smaller than this.

    Returns:
        (count,) int64 in [0, below), from SHAKE-256.
    """
    stream = hashlib.shake_256(f"{tag} {digest}".encode()).digest(8 * count)
    return (np.frombuffer(stream, dtype="<u8") % np.uint64(below)).astype(np.int64)


def _order(image_digests: Sequence[str], tag: str) -> list[str]:
    """A sort key an image: equal pixels get equal keys, and every tag another order."""
    return [hashlib.sha256(f"{tag} {digest}".encode()).hexdigest() for digest in image_digests]


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


def split(
    image_digests: Sequence[str], labels: IntArray | None, sizes: Sequence[int], number: int = 0
) -> list[IntArray]:
    """Divide images into parts, stratified by label.

    Args:
        image_digests: N digests, see `benchmark.structures.image_digest`.
        labels: (N,) int64; None: not stratified.
        sizes: Images a part; together at most N.
        number: Which division.

    Returns:
        0-based positions of each part, in the order of their hash under this division.

    Raises:
        UserError: Where there are too few images.
    """
    if sum(sizes) > len(image_digests):
        raise UserError(
            f"a split into {' + '.join(map(str, sizes))} images needs more than the {len(image_digests)} there are"
        )
    keys = _order(image_digests, f"split {number}")
    left = [sorted(rows.tolist(), key=lambda i: keys[i]) for rows in _strata(labels, len(image_digests))]
    parts = []
    for size in sizes:
        taken: list[int] = []
        shares = _shares([len(rows) for rows in left], size) if size else [0] * len(left)
        for rows, share in zip(left, shares):
            taken += rows[:share]
            del rows[:share]
        parts.append(np.array(sorted(taken, key=lambda i: keys[i]), dtype=np.int64))
    return parts


def split_groups(
    image_digests: Sequence[str], groups: Sequence[str], sizes: Sequence[int], number: int = 0
) -> list[IntArray]:
    """Divide images into parts so that no group (a video, a session, a subject) lies in two of them.

    Groups are taken in the order of a hash over their images and the number of the division, each into the part that
    lacks most of its share, so parts are as large as whole groups let them be.

    Args:
        image_digests: N digests, see `benchmark.structures.image_digest`.
        groups: N names.
        sizes: Images a part, about; together N.
        number: Which division.

    Returns:
        0-based ascending positions of each part, together all of them.

    Raises:
        UserError: Where there are fewer groups than parts.
    """
    members: dict[str, list[int]] = {}
    for i, name in enumerate(groups):
        members.setdefault(name, []).append(i)
    wanted = [size for size in sizes if size]
    if len(members) < len(wanted):
        raise UserError(f"{len(members)} groups are too few to be divided into {len(wanted)} parts: group otherwise")
    joined = ["".join(sorted(image_digests[i] for i in own)) for own in members.values()]
    order = np.argsort(np.array(_order(joined, f"groups {number}")), kind="stable")
    every, parts = list(members.values()), [list[int]() for _ in sizes]
    for g in order.tolist():
        lacking = [(size - len(part)) / size if size else -np.inf for size, part in zip(sizes, parts)]
        parts[int(np.argmax(lacking))] += every[g]
    return [np.array(sorted(part), dtype=np.int64) for part in parts]


def subset(image_digests: Sequence[str], labels: IntArray | None, n: int, seed: int) -> IntArray:
    """A training subset: nested (each n holds every smaller one of its seed), as stratified as any prefix can be.

    Args:
        image_digests: N digests, see `benchmark.structures.image_digest`.
        labels: (N,) int64; None: not stratified.
        n: How many images, 1 to N.
        seed: Which of the nested sequences.

    Returns:
        (n,) int64, 0-based positions, ascending.

    Raises:
        UserError: Where ``n`` is out of range.
    """
    if not 1 <= n <= len(image_digests):
        raise UserError(f"a subset of {n} images: there are {len(image_digests)}, so give 1 to {len(image_digests)}")
    keys = _order(image_digests, f"subset {seed}")
    ranked: list[tuple[float, str, int]] = []
    for rows in _strata(labels, len(image_digests)):
        ordered = sorted(rows.tolist(), key=lambda i: keys[i])
        ranked += [((rank + 0.5) / len(ordered), keys[i], i) for rank, i in enumerate(ordered)]
    return np.array(sorted(i for _, _, i in sorted(ranked)[:n]), dtype=np.int64)


def folds(
    image_digests: Sequence[str],
    labels: IntArray | None,
    k: int,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """Divide images into folds, stratified by label; or by groups, none of which lies in two parts.

    Args:
        image_digests: N digests, see `benchmark.structures.image_digest`.
        labels: (N,) int64; None: not stratified.
        k: How many folds, at least 2.
        seed: Which division.
        groups: N names of what images were taken from, or None; labels then do not count.

    Returns:
        k times the ascending 0-based positions of train, val and test. Each image is in one test part; val is a fifth of
        the others, and of other groups than train where two are left.

    Raises:
        UserError: Where ``k`` is below 2 or there are too few images.
    """
    if k < 2:
        raise UserError(f"folds {k}: give at least 2")
    if (
        len(image_digests) < k or len(image_digests) - -(-len(image_digests) // k) < 2
    ):  # one to train on, one to select by
        raise UserError(f"folds {k}: there are {len(image_digests)} images, too few")
    base, extra = divmod(len(image_digests), k)
    sizes = [base + (i < extra) for i in range(k)]
    if groups is None:
        tests = split(image_digests, labels, sizes, seed)
    else:
        tests = split_groups(image_digests, groups, sizes, seed)
    parts = []
    for test in tests:
        others = np.setdiff1d(np.arange(len(image_digests)), test)
        if len(others) < 2:
            raise UserError(f"folds {k}: one group holds almost all images, so a fold would have none to learn from")
        size = max(1, len(others) // 5)
        own = [image_digests[i] for i in others]
        names = None if groups is None else [groups[i] for i in others]
        if names is not None and len(set(names)) > 1:
            train, val = split_groups(own, names, [len(others) - size, size], seed)
        else:
            # Of a single group that is left, val is a part: it selects, and what is tested are other groups all the same.
            strata = None if labels is None or groups is not None else labels[others]
            val, train = split(own, strata, [size, len(others) - size], seed)
        parts.append((np.sort(others[train]), np.sort(others[val]), np.sort(test)))
    return parts
