"""Commands for people with a detector in hand: check that it conforms, and use a fitted one on new images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import (
    AsJson,
    Category,
    Device,
    GroupBy,
    Results,
    RunsDetector,
    Split,
    TestShare,
    ValShare,
    console_for,
    say,
    stdout_kept,
    waiting,
)
from benchmark.structures import UserError

app = typer.Typer()


@app.command(epilog="Example: python -m benchmark check ./my_detector.py")
def check(
    detector: Annotated[
        str, typer.Argument(metavar="SPEC", help="name, name:key=value,..., ./file.py or package.module:Class.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check that a detector conforms: shapes, determinism, no peeking, odd sizes, one image, saved weights."""
    from benchmark.conformance import check as steps_of

    with stdout_kept(), waiting("checking") as status:
        steps = steps_of(detector, watch=lambda name: status.update(f"checking: {name}"))
    if as_json:
        print(json.dumps([vars(step) for step in steps]))
    else:
        for step in steps:
            verdict, style = (
                ("failed", "red") if step.problem else ("skip", "yellow") if step.skipped else ("ok", "green")
            )
            console_for().print(f"{verdict:<6} ", style=style, end="", highlight=False)
            say(": ".join(filter(None, (step.name, step.problem or step.skipped))))
    if any(step.problem for step in steps):
        raise typer.Exit(1)


@app.command(epilog="Example: python -m benchmark work results/_jobs/1f2e3d4c5b6a7988.jsonl --only 3")
def work(
    jobs: Annotated[
        Path, typer.Argument(metavar="FILE", help="Jobs, a JSON line each: what run --executor command writes.")
    ],
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="INDEX", help="Which of them, from 0: 3, or several as 3-7; default all."),
    ] = None,
    on_error: Annotated[
        str,
        typer.Option(
            "--on-error", metavar="WHAT", help="continue, or stop: begin no further job after one has failed."
        ),
    ] = "continue",
) -> None:
    """Make the runs of a job file, within the limits they were planned with: what a scheduler calls."""
    from benchmark.after_run import AfterRun
    from benchmark.executors import command
    from benchmark.progress import Bars

    if on_error not in ("continue", "stop"):
        raise UserError(f"on-error {on_error!r}: give continue or stop")
    chosen = command.chosen(command.read_jobs(jobs), only)
    with stdout_kept(), Bars(console_for(stderr=True)) as bars:
        done = command.work(chosen, AfterRun(bars), on_error)
    if any(stored.record.status == "failed" for stored in done):
        raise typer.Exit(1)


@app.command(epilog="Example: python -m benchmark predict --weights 0b1f --images photos --out points.json")
def predict(
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="RUN",
            help="A run made with run --save-weights: its folder, or the first digits of its key.",
        ),
    ],
    images: Annotated[
        Path,
        typer.Option(
            "--images", metavar="PATH", help="A folder of images; or annotated ones in any format (their test split)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="COCO results file to write.")],
    detector: RunsDetector = None,
    split: Split = 0,
    category: Category = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    device: Device = "auto",
    results: Results = Path("results"),
) -> None:
    """Find points in new images with a fitted detector; writes a COCO results file."""
    from benchmark.predict import predict_folder
    from datasets.formats.reading import ReadOptions
    from leaderboard.which import folder_of_run

    options = ReadOptions(category=category, val=val, test=test, group_by=group_by)
    with stdout_kept(), waiting("finding points"):
        run = folder_of_run(weights, results)
        done = predict_folder(run, images, out, device=device, detector=detector, split=split, options=options)
    say(done)
