"""What would need more memory than there is says so before it starts; what looks at no image needs none."""

from __future__ import annotations

import pytest

from benchmark import framed, memory
from benchmark.conformance import BUDGET, rectangles
from benchmark.registry import resolve
from benchmark.structures import UserError


def test_only_what_keeps_images_is_refused_where_there_is_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        framed, "SMALL_SET", 0
    )  # digits are not asked about otherwise: asking takes longer than they do
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    train, val = rectangles(40, seed=1), rectangles(8, seed=2)
    resolve("mean").framed().fit(train, val, seed=0, budget=BUDGET)
    with pytest.raises(
        UserError, match="this detector on 40 images would need about .* GiB of memory, and .* are free"
    ):
        resolve("ridge").framed().fit(train, val, seed=0, budget=BUDGET)
    monkeypatch.setattr(memory, "available", lambda: None)
    resolve("ridge").framed().fit(train, val, seed=0, budget=BUDGET)
