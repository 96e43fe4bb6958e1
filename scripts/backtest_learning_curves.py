"""Whether learning curves foretell: stored curves fitted to their small sizes, held against what their large ones came to.

    python -m benchmark run --grid scripts/backtest_learning_curves.yaml --results curves
    python scripts/backtest_learning_curves.py curves [--up-to 100] [--at 568]

A line a curve and metric: the interval foretold of the error at the hidden size, what was measured there, and whether
`images-needed` would have said "cannot say". Then, for the errors measured at each hidden size as targets, how many images
it would have said are needed. The last lines count.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.runs.bundle import open_results
from benchmark.statistics.learning_curve import (
    LearningCurve,
    error_at,
    images_needed,
    reached,
    refusal,
)
from leaderboard.board import boards
from leaderboard.images_needed import curve_of_rows
from leaderboard.rows import BoardRow


def curves(place: Path, up_to: int, at: int, *, exact: bool) -> list[tuple[str, LearningCurve, LearningCurve]]:
    """(name, what is fitted, the whole) of every detector with several seeds and the sizes that are asked for."""
    found = []
    for board in boards(open_results(place)):
        by_detector: dict[tuple[str, str], list[BoardRow]] = {}
        for row in board.rows:
            if row.config.n_train <= at:
                by_detector.setdefault((row.config.detector, row.config.budget), []).append(row)
        for (name, _), unsorted in sorted(by_detector.items()):
            rows = sorted(unsorted, key=lambda row: row.config.n_train)
            sizes = [row.config.n_train for row in rows]
            if sizes[-1] != at or sum(n <= up_to for n in sizes) < 2:
                continue
            if exact and any(row.metrics.get("exact") is None for row in rows):
                continue
            whole = curve_of_rows(rows, exact=exact)
            if isinstance(whole, LearningCurve) and whole.seeds > 1:
                found.append((f"{board.title} {name}", whole.up_to(sum(n <= up_to for n in sizes)), whole))
    return found


def main(
    results: list[Path],
    up_to: Annotated[int, typer.Option(min=1)] = 100,
    at: Annotated[int, typer.Option(min=1)] = 568,
) -> None:
    """Print what each curve foretold, and how often it held."""
    for exact in (False, True):
        said: list[bool] = []
        every: list[bool] = []
        why: Counter[str] = Counter()
        answers: list[bool] = []
        bounds: list[bool] = []
        unanswered: Counter[str] = Counter()
        print("share exact, %" if exact else "mean error, px")
        for name, part, whole in [one for place in results for one in curves(place, up_to, at, exact=exact)]:
            low, _, high = error_at(part, at)
            # no finer than the figures themselves: errors of 1e-12 px are rounding, and a share is a count
            measured = float(whole.mean[-1])
            held = low - 1e-9 <= measured <= high + 1e-9 or (
                exact and whole.low[-1] <= high and low <= whole.high[-1] and measured in (0.0, 1.0)
            )
            reason = refusal(part)
            every.append(held)
            if reason is None:
                said.append(held)
            else:
                why[reason.code] += 1
            shown = [100 * (1 - v) for v in (high, measured, low)] if exact else [low, measured, high]
            figures = f"{shown[0]:9.4g} {shown[2]:9.4g}   came {shown[1]:9.4g}"
            print(f"  {name:52} {figures}  {'' if held else 'MISSED'} {'cannot say: ' + reason.code if reason else ''}")
            for i in range(len(part.sizes), len(whole.sizes)):
                target = float(whole.mean[i])
                truth = reached(whole, target) if 0 < target < (1 if exact else float("inf")) else None
                if truth is None or truth <= part.sizes[-1]:
                    continue  # reached before, so nothing is foretold
                needed = images_needed(part, target)
                if needed.images is None and needed.reason is not None:
                    unanswered[needed.reason.code] += 1
                    if needed.reason.values.get("low"):
                        bounds.append(truth >= needed.reason.values["low"])
                elif needed.high is not None:
                    answers.append((needed.low or 0) <= truth <= needed.high)
        print(f"foretold of n = {at} from n <= {up_to}: {_share(every)} of all curves held")
        print(f"  of those it is said of: {_share(said)}; cannot say: {sum(why.values())} {dict(why)}")
        asked = len(answers) + sum(unanswered.values())
        print(f"images needed, {asked} targets beyond {up_to}: {len(answers)} answered, {_share(answers)} held;")
        print(f"  cannot say: {dict(unanswered)}; 'or more' held in {_share(bounds)}")


def _share(held: list[bool]) -> str:
    return f"{sum(held)} of {len(held)} ({100 * sum(held) / max(len(held), 1):.1f} %)"


if __name__ == "__main__":
    typer.run(main)
