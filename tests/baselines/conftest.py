"""Real digits for the tests of the baselines: a part of the tiny preset, built once a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmark.structures import LabeledImages
from datasets.tasks.build import build
from datasets.tasks.catalog import get_task

Data = tuple[LabeledImages, LabeledImages, LabeledImages]


@cache
def _build(task: str) -> Data:
    return build(get_task(task), "tiny")


@pytest.fixture(scope="session")
def digits() -> Callable[..., Data]:
    """``digits(task, n)``: train, val and test of a task on digits 3 and 7, the first n images of each."""

    def some(task: str = "topleft", n: int = 100) -> Data:
        train, val, test = (part.take(range(min(n, len(part)))) for part in _build(task))
        return train, val, test

    return some
