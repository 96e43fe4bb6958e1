"""Whether promised radii hold: stored test images split at random, calibrated on one half, asked about on the other.

    python scripts/check_radius_coverage.py studies/ablations/runs/topleft@1-tiny.bundle.zip [--splits 1000] [--share 90]

A line a row and keypoint: the share of points of the other half that lie within the radius, mean over the splits. Where
errors come in steps, as whole pixels do, a radius holds a whole step and more lies within it: those rows are marked, and
the last lines say how many of the others lie between 88 and 92 %.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.runs.bundle import open_results
from benchmark.statistics.radius import promised_radius
from benchmark.structures import FloatArray, IntArray
from leaderboard.board import boards
from leaderboard.radius import point_errors, units_of

BETWEEN = (0.88, 0.92)


def coverage(errors: FloatArray, units: IntArray, share: float, splits: int, rng: np.random.Generator) -> float:
    """The mean share of points within the radius: each unit of the other half weighs the same."""
    known = np.unique(units)
    found = []
    for _ in range(splits):
        half = rng.permutation(known)[: len(known) // 2]
        calibrating = np.isin(units, half)
        within = errors[~calibrating] <= promised_radius(errors[calibrating], units[calibrating], share)
        _, unit = np.unique(units[~calibrating], return_inverse=True)
        found.append(float(np.mean(np.bincount(unit, within) / np.bincount(unit))))
    return float(np.mean(found))


def stepped(errors: FloatArray, share: float) -> bool:
    """Whether more than a hundredth of the points lie at the very radius."""
    radius = np.quantile(errors, share, method="higher")
    return bool(np.mean(np.isclose(errors, radius, rtol=0, atol=1e-9)) > 0.01)


def main(
    results: list[Path],
    splits: Annotated[int, typer.Option(min=1)] = 1000,
    share: Annotated[float, typer.Option(min=50, max=99.9)] = 90.0,
    seed: int = 0,
) -> None:
    """Print the coverage of every row."""
    rng = np.random.default_rng(seed)
    smooth = []
    for place in results:
        for board in boards(open_results(place)):
            print(f"{board.title}, {board.images:,} images")
            for row in board.finished:
                annotations = row.runs[0].annotations
                tables = [point_errors(annotations, run.predictions) for run in row.runs]
                errors = np.concatenate([errors for errors, _ in tables])
                units = units_of(annotations)[np.concatenate([images for _, images in tables])]
                for k, keypoint in enumerate(annotations.keypoint_names):
                    known = ~np.isnan(errors[:, k])
                    values = errors[known, k]
                    got = coverage(values, units[known], share / 100, splits, rng)
                    steps = stepped(values, share / 100)
                    smooth += [] if steps else [got]
                    print(f"  {row.label:40} {keypoint:16} {100 * got:6.2f} %{'  steps' if steps else ''}", flush=True)
    if smooth:
        inside = sum(BETWEEN[0] <= got <= BETWEEN[1] for got in smooth)
        print(f"without steps: {inside} of {len(smooth)} between {100 * BETWEEN[0]:g} and {100 * BETWEEN[1]:g} %")
        print(f"they lie from {100 * min(smooth):.2f} to {100 * max(smooth):.2f} %")


if __name__ == "__main__":
    typer.run(main)
