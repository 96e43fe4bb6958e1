"""Commands for people with a detector in hand: check that it conforms, and use a fitted one on new images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import AsJson, console_for

app = typer.Typer()


@app.command(epilog="Example: python -m benchmark check ./my_detector.py")
def check(
    detector: Annotated[str, typer.Argument(help="name, name:key=value, ./file.py or package.module:Class.")],
    as_json: AsJson = False,
) -> None:
    """Check that a detector conforms: shapes, determinism, no peeking, odd sizes, one image, saved weights."""
    from benchmark.check import check as steps_of

    errors = console_for(stderr=True)
    with errors.status("checking") as status:
        steps = steps_of(detector, watch=lambda name: status.update(f"checking: {name}"))
    if as_json:
        print(json.dumps([{"name": step.name, "problem": step.problem} for step in steps]))
    else:
        for step in steps:
            verdict = "[green]ok[/]    " if not step.problem else "[red]failed[/]"
            detail = f": {step.problem}" if step.problem else ""
            console_for().print(f"{verdict} {step.name}{detail}", highlight=False, soft_wrap=True)
    if any(step.problem for step in steps):
        raise typer.Exit(1)


@app.command(
    epilog="Example: python -m benchmark predict --weights results/.../<key> --images photos --out points.json"
)
def predict(
    weights: Annotated[Path, typer.Option("--weights", help="A run's folder, made with run --save-weights.")],
    images: Annotated[
        Path, typer.Option("--images", help="A folder of images, or a COCO keypoint folder (test split).")
    ],
    out: Annotated[Path, typer.Option("--out", help="COCO results file to write.")],
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Find points in new images with a fitted detector; writes a COCO results file."""
    from benchmark.use import predict_folder

    done = predict_folder(weights, images, out, device=device)
    console_for().print(done, highlight=False, soft_wrap=True)
