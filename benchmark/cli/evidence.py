"""Commands that examine results: score (any tool's predictions), compare (two rows), radius, images-needed, gap, audit (all stored)."""

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
    DataName,
    Device,
    GroupBy,
    PairName,
    Results,
    Seeds,
    Sigmas,
    Split,
    TaskName,
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
    pair: PairName = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Compare two rows on the same images and seeds: difference, interval, p value, the images that decide it."""
    from benchmark.runs.bundle import open_results
    from leaderboard.compare import compare as compare_rows
    from leaderboard.render.terminal import print_comparison

    with waiting("comparing"):
        comparison = compare_rows(open_results(results, indexed=True), a, b, task, data, pair_of(pair))
    if as_json:
        print(json.dumps(comparison.as_dict(), allow_nan=False))
    else:
        print_comparison(comparison, console_for())


@app.command(epilog="Example: python -m benchmark radius heatmap extrema --task topleft --share 95")
def radius(
    detector: Annotated[
        list[str] | None, typer.Argument(metavar="[DETECTOR]...", help="Rows of a board; all where none is named.")
    ] = None,
    share: Annotated[
        float, typer.Option("--share", metavar="PERCENT", help="Of the points, that are to lie within it.")
    ] = 90.0,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", metavar="FILE", help="Instead of a board: a COCO keypoint results file of any tool."
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", metavar="PATH", help="What it is scored against, as score takes it."),
    ] = None,
    task: BoardTask = None,
    data: BoardData = None,
    split: Split = 0,
    category: Category = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Promise a radius: within how many px of its answer a detector's points lie, 90 % of the time, for each keypoint."""
    from benchmark.statistics.radius import LEAST_SHARE, MOST_SHARE
    from leaderboard.radius import radii, radii_of
    from leaderboard.render.radius import print_radii

    if not 100 * LEAST_SHARE <= share <= 100 * MOST_SHARE:
        raise UserError(f"share {share:g}: give percent, from {100 * LEAST_SHARE:g} to {100 * MOST_SHARE:g}")
    if (predictions is None) != (annotations is None) or (predictions and detector):
        raise UserError("give --predictions and --annotations together, or rows of a board")
    notes: tuple[str, ...] = ()
    with waiting("calibrating"):
        if predictions is not None and annotations is not None:
            import numpy as np

            from datasets.formats.reading import ReadOptions
            from leaderboard.external import score_files
            from leaderboard.rows import groups_of

            options = ReadOptions(category=category, val=val, test=test, group_by=group_by)
            scored = score_files(predictions, annotations, options, split=split)
            everywhere = np.arange(len(scored.annotations))
            title, grouped = str(predictions), groups_of(scored.annotations, everywhere) is not None
            found = radii(scored.annotations, [scored.answers], share / 100)
            notes = (*scored.notes, "It holds where the detector did not learn from any of these images.")
        else:
            from benchmark.runs.bundle import open_results

            board, found = radii_of(open_results(results), detector or (), share / 100, task, data)
            title, grouped = board.title, board.groups is not None
    if not found:
        raise UserError(f"{title}: no keypoint is labelled, so nothing can be promised")
    if as_json:
        document = {"on": title, "radii": [one.as_dict() for one in found], "notes": list(notes)}
        print(json.dumps(document, allow_nan=False))
    else:
        print_radii(title, found, grouped, console_for(), notes)


@app.command(name="images-needed", epilog="Example: python -m benchmark images-needed forest svr --px 1.5")
def images_needed(
    detector: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DETECTOR]...", help="On a board; all that were run with several --n where none is named."
        ),
    ] = None,
    px: Annotated[
        float | None, typer.Option("--px", metavar="PIXELS", help="The mean error that is to be reached; default 1.")
    ] = None,
    exact: Annotated[
        float | None,
        typer.Option("--exact", metavar="PERCENT", help="Or the share of exact keypoints that is to be reached."),
    ] = None,
    task: BoardTask = None,
    data: BoardData = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say how many training images reach an error, from runs of several --n: with an interval, or why it cannot be said."""
    from benchmark.runs.bundle import open_results
    from benchmark.statistics.learning_curve import LEVEL
    from leaderboard.images_needed import Target, needs_of
    from leaderboard.render.images_needed import print_needs

    if px is not None and exact is not None:
        raise UserError("give --px or --exact, not both")
    if px is not None and not 0 < px < float("inf"):
        raise UserError(f"px {px:g}: give pixels above 0")
    if exact is not None and not 0 < exact < 100:
        raise UserError(f"exact {exact:g}: give percent above 0 and below 100, which no number of images can prove")
    target = Target(1.0 if px is None else px) if exact is None else Target(exact / 100, exact=True)
    with waiting("drawing curves"):
        board, found = needs_of(open_results(results), detector or (), target, task, data)
    if as_json:
        document = {"on": board.title, "target": target.as_dict(), "level": LEVEL}
        print(json.dumps({**document, "detectors": [one.as_dict() for one in found]}, allow_nan=False))
    else:
        print_needs(board.title, target, found, console_for())


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


@app.command(epilog="Example: python -m benchmark robustness -d heatmap -d forest -d extrema")
def robustness(
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", "-d", metavar="SPEC", help="As of run; repeatable; default the suite default."),
    ] = None,
    corruption: Annotated[
        list[str] | None,
        typer.Option("--corruption", metavar="NAME", help="Of these alone; repeatable; default all nine."),
    ] = None,
    task: TaskName = None,
    data: DataName = "tiny",
    seeds: Seeds = 1,
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Ask fitted detectors about corrupted test images (blur, noise, rotation ...), without fitting them again."""
    from benchmark.api import grid_config
    from benchmark.progress import Bars
    from benchmark.robustness import robustness as measure
    from benchmark.suggestions import unknown
    from datasets.corruptions import CORRUPTIONS
    from leaderboard.render.robustness import print_robustness
    from leaderboard.robustness import robustness_table

    names = corruption or list(CORRUPTIONS)
    for name in names:
        if name not in CORRUPTIONS:
            raise unknown("corruption", name, CORRUPTIONS)
    grid = grid_config(
        detector,
        task=task,
        data=data,
        seeds=seeds,
        split=split,
        category=category,
        sigmas=sigmas,
        val=val,
        test=test,
        group_by=group_by,
        device=device,
        threads=threads,
        results=results,
    )
    with stdout_kept(), Bars(console_for(stderr=True)) as bars:
        clean, asked = measure(grid, names, bars)
    with waiting("scoring"):
        rows = robustness_table(clean, asked)
    config = clean[0].record.config
    title = f"{config.task}@{config.version} on {config.data}"
    failed = sorted({run.record.config.detector for run in (*clean, *asked) if run.record.status == "failed"})
    if as_json:
        document = {"on": title, "rows": [row.as_dict() for row in rows], "failed": failed}
        print(json.dumps(document, allow_nan=False))
    else:
        print_robustness(title, rows, console_for(), failed)
    if failed:
        raise typer.Exit(1)


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
