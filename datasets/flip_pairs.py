"""Which keypoints a mirror exchanges, read off their names: left_eye and right_eye, l_ear and r_ear, PawL and PawR."""

from __future__ import annotations

import re
from collections.abc import Sequence

SIDES = (("left", "right"), ("l", "r"), ("port", "starboard"))


def words_of(name: str) -> list[str]:
    """The words a name is made of, in lower case: ``leftEye``, ``left_eye`` and ``Left-Eye`` are the same two."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def inferred(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of keypoints whose names differ in one word alone, which is left in one and right in the other.

    Args:
        names: K names.

    Returns:
        Pairs of positions, the left one first, in the order of the names.
    """
    words = [words_of(name) for name in names]
    pairs = []
    for left, right in SIDES:
        for i, own in enumerate(words):
            for at, word in enumerate(own):
                if word == left:
                    other = [*own[:at], right, *own[at + 1 :]]
                    if words.count(other) == 1 and words.count(own) == 1:
                        pairs.append((i, words.index(other)))
    return tuple(sorted(set(pairs)))
