"""What each built-in detector is expected to score: the figures of the published runs, kept in one place, beside them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

PUBLISHED = Path(__file__).parent / "published"


@cache
def expected(folder: Path = PUBLISHED) -> dict[str, dict[str, float]]:
    """Row of a published board of ``topleft`` on ``tiny`` -> its ``mean`` (px) and ``exact`` (share), over its seeds.

    Read from the folder's ``LEADERBOARD.json``, which a test holds against the runs it is made of. Empty where that is
    missing.
    """
    path = folder / "LEADERBOARD.json"
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {
        row["detector"]: {"mean": row["mean"], "exact": row["exact"]}
        for row in rows
        if (row["task"], row["data"], row["status"]) == ("topleft", "tiny", "finished")
    }
