"""What `run --until-ranked` would have saved on grids that were run in full: run it, read the table.

    python scripts/replay_until_ranked.py [studies/backbone-or-head/runs ...]

Every pair of ranked rows that were run with the same seeds is replayed as a grid of its own: looks after 2, 3, ... seeds, until
the two are told apart or the seeds end.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.runs.bundle import open_results
from benchmark.statistics.sequential import FIRST_SEEDS
from leaderboard.board import boards
from leaderboard.until_ranked import answer_known

PROBE = Path(__file__).parents[1] / "studies" / "backbone-or-head" / "runs"


def main(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Results or bundles; default the study of backbone and head.")
    ] = None,
) -> None:
    """Print, for each board, how many pairs were told apart after how many seeds, and the runs that were not needed."""
    for place in results or [PROBE]:
        for board in boards(open_results(place)):
            rows = [row for row in board.rows if len(row.seeds) > FIRST_SEEDS and row.rank_low is not None]
            stops: dict[str, int] = {}
            needed = total = 0
            for a, b in combinations(rows, 2):
                most = len(a.seeds)
                for look, seeds in enumerate(range(FIRST_SEEDS, most + 1), 1):
                    if known := answer_known([*a.runs[:seeds], *b.runs[:seeds]], look):
                        break
                when = f"{seeds} seeds" if known else "never"
                stops[when] = stops.get(when, 0) + 1
                needed, total = needed + 2 * seeds, total + 2 * most
            if total:
                listed = ", ".join(f"{when}: {count}" for when, count in sorted(stops.items()))
                saved = 100 * (1 - needed / total)
                print(
                    f"{board.title}, {len(rows)} rows: {listed} of {sum(stops.values())} pairs; {saved:.0f} % of runs saved"
                )


if __name__ == "__main__":
    typer.run(main)
