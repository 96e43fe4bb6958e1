"""What each built-in detector is expected to score: the figures of the published runs, kept in one place, beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.runs.store import Results

PUBLISHED = Path(__file__).parent / "published"
TASK, DATA = "topleft", "tiny"

Identity = tuple[str, str]
"""A detector's name, and the value of every parameter as JSON."""


@cache
def expected() -> dict[str, dict[str, float]]:
    """Row of the published board of ``topleft`` on ``tiny`` -> its ``mean`` (px) and ``exact`` (share), over its seeds.

    Read from ``published/LEADERBOARD.json``, which a test holds against the runs it is made of. Empty where that is missing.
    """
    path = PUBLISHED / "LEADERBOARD.json"
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {
        row["detector"]: {"mean": row["mean"], "exact": row["exact"]}
        for row in rows
        if (row["task"], row["data"], row["status"]) == (TASK, DATA, "finished")
    }


def stored_scores(results: Results) -> dict[Identity, dict[str, Any]]:
    """The scores of every finished run of ``topleft`` on ``tiny``, by the detector's name and parameters."""
    records = [run.record for run in results.runs()]
    return {
        identity(record.config.name, record.config.parameters): record.scores
        for record in records
        if (record.config.task, record.config.data, record.status) == (TASK, DATA, "finished")
    }


def identity(name: str, parameters: Mapping[str, Any]) -> Identity:
    """What `stored_scores` knows a detector by: of a `benchmark.registry.Spec`, ``entry.name`` and ``values``."""
    return name, json.dumps(dict(parameters), sort_keys=True)
