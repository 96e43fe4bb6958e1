"""Pairs of keypoints whose distance the field sets errors against, read off names; offered, never used unasked."""

from __future__ import annotations

from collections.abc import Sequence

from datasets.flip_pairs import words_of

USUAL = (  # what the distance is called, and the words of the two names
    ("head segment, as in PCKh", {"head", "top"}, {"upper", "neck"}),
    ("head segment, as in PCKh", {"head", "top"}, {"neck"}),
    ("outer corners of the eyes", {"left", "eye", "outer"}, {"right", "eye", "outer"}),
    ("eyes", {"left", "eye"}, {"right", "eye"}),
    ("torso, as in PDJ", {"left", "shoulder"}, {"right", "hip"}),
)
SHORT = {"l": "left", "r": "right"}


def usual_pairs(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """The usual pairs among some keypoints.

    Args:
        names: K names.

    Returns:
        The names of the two keypoints and what their distance is called, one entry a kind of distance.
    """
    words = [{SHORT.get(word, word) for word in words_of(name)} for name in names]
    found: dict[str, tuple[str, str, str]] = {}
    for title, a, b in USUAL:
        if words.count(a) == words.count(b) == 1:
            found.setdefault(title, (names[words.index(a)], names[words.index(b)], title))
    return list(found.values())
