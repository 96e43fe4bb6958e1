"""How many threads numeric libraries use: the number changes results, so it is part of a run's key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Run with this many threads in every numeric library that is loaded by then; put them back afterwards."""
    from threadpoolctl import threadpool_limits

    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    if torch:
        torch.set_num_threads(count)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)
