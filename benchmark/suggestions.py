"""What is said of a name nobody knows: one wording for detectors, tasks, rows, data and settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from benchmark.structures import UserError


def suggestion(word: str, known: Iterable[str], intro: str = "there are") -> str:
    """The end of an error about an unknown name.

    Args:
        word: What was given.
        known: The names that would have been right.
        intro: What stands before the list of all names, where none is near.

    Returns:
        ``: did you mean 'a' or 'b'?``, or ``; there are a, b, c`` where no known name is near.
    """
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return ": did you mean " + " or ".join(map(repr, close)) + "?"
    return f"; {intro} {', '.join(names) or 'none'}"


def unknown(kind: str, word: str, known: Iterable[str]) -> UserError:
    """The error that says that ``word`` is not the name of a ``kind``, with the nearest names."""
    return UserError(f"unknown {kind} {word!r}{suggestion(word, known)}")
