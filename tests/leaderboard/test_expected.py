"""Expected figures: those of the published board by name, those of stored runs by name and parameters."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.registry import resolve
from benchmark.structures import Annotations
from leaderboard.expected import expected, identity, stored_scores


def test_the_published_board_is_read_by_detector() -> None:
    known = expected()
    assert known
    assert all(figures["mean"] >= 0 and 0 <= figures["exact"] <= 1 for figures in known.values())


def test_stored_scores_are_found_by_name_and_parameters(maker: Any, annotations: Annotations) -> None:
    for text, shift in (("linear", 1.0), ("linear:features=pts", 2.0)):
        spec = resolve(text)
        config = {"task": "topleft", "data": "tiny", "name": spec.entry.name, "parameters": dict(spec.values)}
        maker.put(text, annotations, maker.answers(annotations, (shift, 0.0)), config=config)
    maker.put("linear", annotations, maker.answers(annotations, 9.0))  # of another task
    scores = stored_scores(maker.store)
    for text, shift in (("linear", 1.0), ("linear:features=pts", 2.0)):
        spec = resolve(text)
        assert scores[identity(spec.entry.name, spec.values)]["mean"] == pytest.approx(shift)
