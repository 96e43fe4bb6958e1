"""What each built-in detector is expected to score: the figures of the published runs, kept in one place, beside them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.registry import Spec

PUBLISHED = Path(__file__).parent / "published"


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
        if (row["task"], row["data"], row["status"]) == ("topleft", "tiny", "finished")
    }


def by_recipe(folder: Path) -> dict[tuple[str, str], dict[str, float]]:
    """(class, parameters as JSON) -> ``mean`` and ``exact`` of every run of ``topleft`` on ``tiny`` stored in ``folder``.

    Two names may stand for one recipe, which is run once: `recipe_of` finds it under either.
    """
    from benchmark.runs.store import Store  # late: a list of names needs no schema

    return {
        (run.record.config.target, json.dumps(run.record.config.parameters, sort_keys=True)): run.record.scores
        for run in Store(folder).runs()
        if (run.record.config.task, run.record.config.data, run.record.status) == ("topleft", "tiny", "finished")
    }


def recipe_of(spec: Spec) -> tuple[str, str]:
    """What `by_recipe` knows a detector by."""
    return f"{spec.cls.__module__}:{spec.cls.__qualname__}", json.dumps(dict(spec.values), sort_keys=True)
