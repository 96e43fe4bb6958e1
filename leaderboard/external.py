"""Predictions of any tool, scored by the harness that scores our own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.scoring import Scores, score
from benchmark.scoring.coco_json import read_truth
from benchmark.scoring.results_file import read_predictions
from benchmark.scoring.uncertainty import Interval, interval
from benchmark.structures import UserError

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Scored:
    """A results file against its truth: the table, and the interval of the mean (None where images lack a distance)."""

    predictions: Path
    scores: Scores
    mean: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able dict: the table of `Scores.as_dict`, and ``mean_interval`` as [low, high] px or None."""
        bounds = None if self.mean is None else [self.mean.low, self.mean.high]
        return {"predictions": str(self.predictions), **self.scores.as_dict(), "mean_interval": bounds}


def score_files(predictions: Path, truth: Path) -> Scored:
    """Score a COCO keypoint results file against annotations: a file, or a folder, of which the test split is taken.

    UserError names the file and the entry that cannot be scored.
    """
    path = truth / "annotations" / "test.json" if truth.is_dir() else truth
    if not path.is_file():
        raise UserError(f"truth {path}: there is no such file; name an annotation file or a COCO keypoint folder")
    known = read_truth(path)
    scores = score(known, read_predictions(predictions, known))
    errors = scores.distances[None]
    whole = errors.shape[1] > 1 and bool((errors == errors).all())
    return Scored(predictions, scores, interval(errors) if whole else None)


def report(scored: Scored, console: Console) -> None:
    """Print the table, the interval of the mean, and what kinds of errors there are."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=str(scored.predictions), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("", overflow="fold")
    for name, value in scored.scores.items():
        note = scored.scores.reasons.get(name, "")
        if name == "mean" and scored.mean is not None:
            note = f"{scored.mean.low:.4f} to {scored.mean.high:.4f} px, {scored.mean.method}"
        table.add_row(name, "-" if value is None else f"{value:.4f}", note)
    console.print(table)
    kinds = ", ".join(f"{count} {kind}" for kind, count in scored.scores.taxonomy.items())
    console.print(f"keypoints: {kinds}", highlight=False, soft_wrap=True)
    for flag, up in scored.scores.flags.items():
        if up:
            console.print(f"flag: {flag}", highlight=False)
