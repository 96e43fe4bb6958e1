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
    Device,
    GroupBy,
    PairName,
    Results,
    Seeds,
    Sigmas,
    Split,
    TestShare,
    Threads,
    ValShare,
    console_for,
    pair_of,
    stdout_kept,
    waiting,
)
from benchmark.structures import UserError

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
            "--annotations",
            metavar="PATH",
            help="A COCO file, which is scored whole; or a folder or file of any format (its test split).",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Put it on the board in --results under this name, marked external."
        ),
    ] = None,
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    pair: PairName = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Score predictions made by any tool, with the same table, intervals and error taxonomy as our own."""
    from datasets.formats.reading import ReadOptions
    from leaderboard.external import score_files, store_external
    from leaderboard.render.terminal import print_scored

    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    scored = score_files(predictions, annotations, options, pair_of(pair), split=split)
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
        comparison = compare_rows(open_results(results, indexed=True), a, b, task, data)
    if as_json:
        print(json.dumps(comparison.as_dict(), allow_nan=False))
    else:
        print_comparison(comparison, console_for())


@app.command(epilog="Example: python -m benchmark gap --data my-frames --group-by 'video[0-9]+' --detector forest")
def gap(
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", "-d", metavar="SPEC", help="As of run; repeatable; default ridge."),
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="PATH", help="A folder or file (see: run --data).")] = "",
    group_by: GroupBy = "",
    folds: Annotated[int, typer.Option("--folds", metavar="COUNT", min=2, help="How many.")] = 5,
    seeds: Seeds = 1,
    category: Category = "",
    sigmas: Sigmas = "",
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Measure how much too good random folds look, where images come in groups such as videos or subjects."""
    from benchmark.api import grid_config, run_grid
    from benchmark.progress import Bars
    from leaderboard.honesty_gap import honesty_gaps, two_grids
    from leaderboard.render.terminal import print_gaps

    if not data:
        raise UserError("data: name the folder or file, with --data")
    asked = grid_config(
        detector or ["ridge"],
        data=data,
        group_by=group_by,
        folds=folds,
        seeds=seeds,
        category=category,
        sigmas=sigmas,
        device=device,
        threads=threads,
        results=results,
    )
    with stdout_kept():
        done = []
        for grid in two_grids(asked):
            with Bars(console_for(stderr=True)) as bars:
                done.append(run_grid(grid, bars))
    gaps = honesty_gaps(*done)
    if as_json:
        print(json.dumps([one.as_dict() for one in gaps], allow_nan=False))
    else:
        print_gaps(gaps, console_for())


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
