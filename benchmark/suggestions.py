"""What is said of a name nobody knows: one wording for feature sets, tasks, targets and data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from benchmark.structures import UserError


def unknown(kind: str, word: str, known: Iterable[str]) -> UserError:
    """The error for ``word``, with the nearest known names, or all of them where none is near."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(map(repr, close)) + "?" if close else f"there are {', '.join(names)}"
    return UserError(f"unknown {kind} {word!r}: {hint}")
