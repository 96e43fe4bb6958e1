"""Commands that examine results: score (any tool's predictions), compare (two rows), audit (all that is stored)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import (
    AsJson,
    BoardData,
    BoardTask,
    Category,
    PairName,
    Results,
    Sigmas,
    console_for,
    pair_of,
    waiting,
)

app = typer.Typer()


@app.command(
    epilog="Example: python -m benchmark score --predictions theirs.json --annotations results/_data/topleft@1-tiny-split0"
)
def score(
    predictions: Annotated[
        Path, typer.Option("--predictions", metavar="FILE", help="A COCO keypoint results file of any tool.")
    ],
    annotations: Annotated[
        Path,
        typer.Option(
            "--annotations", metavar="PATH", help="COCO keypoint annotations: a file, or a folder (its test split)."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Put it on the board in --results under this name, marked external."
        ),
    ] = None,
    category: Category = "",
    sigmas: Sigmas = "",
    pair: PairName = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Score predictions made by any tool, with the same table, intervals and error taxonomy as our own."""
    from datasets.formats.reading import ReadOptions
    from leaderboard.external import score_files, store_external
    from leaderboard.render.terminal import print_scored

    scored = score_files(predictions, annotations, ReadOptions(category=category, sigmas=sigmas), pair_of(pair))
    if name is not None:
        store_external(scored, name, results)
    if as_json:
        print(json.dumps(scored.as_dict(), allow_nan=False))
    else:
        print_scored(scored, console_for())


@app.command(epilog="Example: python -m benchmark compare heatmap extrema --task topleft")
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A row of the board.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another row of the same board.")],
    task: BoardTask = None,
    data: BoardData = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Compare two rows on the same images and seeds: difference, interval, p value, the images that decide it."""
    from benchmark.runs.bundle import open_results
    from leaderboard.compare import compare as compare_rows
    from leaderboard.render.terminal import print_comparison

    with waiting("comparing"):
        comparison = compare_rows(open_results(results), a, b, task, data)
    if as_json:
        print(json.dumps(comparison.as_dict(), allow_nan=False))
    else:
        print_comparison(comparison, console_for())


@app.command(epilog="Example: python -m benchmark audit --results results")
def audit(results: Results = Path("results"), as_json: AsJson = False) -> None:
    """Check everything stored: scores again, AP by pycocotools, identities, annotations, leaks, changed code."""
    from benchmark.runs.bundle import open_results
    from leaderboard.audit import audit as check_results
    from leaderboard.render.terminal import print_audit

    with waiting("auditing"):
        report = check_results(open_results(results))
    if as_json:
        print(json.dumps(report.as_dict(), allow_nan=False))
    else:
        print_audit(report, console_for())
    if report.failed:
        raise typer.Exit(1)
