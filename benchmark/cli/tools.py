"""Commands for people with a detector in hand: check that it conforms, use a fitted one on new images, export it."""

from __future__ import annotations

import json
import re
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


@app.command(
    epilog="Example: python -m benchmark predict --weights 0b1f --images clip.mp4 --out clip.csv --overlay seen.mp4"
)
def predict(
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="RUN",
            help="A run made with run --save-weights: its folder, or the first digits of its key; or a file of export-model.",
        ),
    ],
    images: Annotated[
        Path,
        typer.Option(
            "--images",
            metavar="PATH",
            help="A folder of images; a video, of which every frame is asked; or annotated images in any format (their "
            "test split).",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The answers, in the format of its suffix: .json, .csv, .h5 (DeepLabCut), .slp.",
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="coco (results), csv (a row a keypoint), dlc (DeepLabCut, .csv or .h5) or slp (SLEAP); default by the suffix.",
        ),
    ] = "",
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            metavar="PATH",
            help="Draw the answers over what they are about: a new folder of pictures; of a video, a video (.mp4, .avi).",
        ),
    ] = None,
    detector: RunsDetector = None,
    split: Split = 0,
    category: Category = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    device: Device = "auto",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Find points in new images, or in a video, with a fitted detector: as COCO results, or for another tool."""
    from benchmark.predict import predict_folder
    from datasets.formats.reading import ReadOptions

    options = ReadOptions(category=category, val=val, test=test, group_by=group_by)
    with stdout_kept(), waiting("finding points") as status:
        done = predict_folder(
            _weights(weights, results),
            images,
            out,
            device=device,
            detector=detector,
            split=split,
            options=options,
            form=form,
            drawn=overlay,
            progress=lambda fraction, text: status.update(text),
        )
    if as_json:
        print(json.dumps(done.as_dict(), ensure_ascii=False))
    else:
        say(str(done))


def _weights(which: str, results: Path) -> Path:
    """The folder of a run, or an exported file."""
    from leaderboard.which import folder_of_run

    return Path(which) if which.lower().endswith(".onnx") else folder_of_run(which, results)


@app.command("export-model", epilog="Example: python -m benchmark export-model --weights 0b1f --out model.onnx")
def export_model_command(
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="RUN",
            help="A run made with run --save-weights: its folder, or the first digits of its key.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The ONNX file to write.")],
    size: Annotated[
        str,
        typer.Option(
            "--size",
            metavar="WxH",
            help="px of the images it is to take, as 640x480; default that of most test images.",
        ),
    ] = "",
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DATA", help="Where the run's data lies now, whose test images it is compared on."
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", metavar="PX", help="Farther than this from the detector's answers, it is refused."),
    ] = 0.01,
    detector: RunsDetector = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Write a fitted detector as ONNX, bytes of an image in and pixels of it out, if it answers as the detector does."""
    from benchmark.exported.export import export_model
    from leaderboard.which import folder_of_run

    with stdout_kept(), waiting("exporting") as status:
        done = export_model(
            folder_of_run(weights, results),
            out,
            size=_size_of(size),
            data=data,
            detector=detector,
            tolerance=tolerance,
            progress=lambda fraction, text: status.update(text),
        )
    if as_json:
        print(json.dumps(done.as_dict(), ensure_ascii=False))
    else:
        say(str(done))


def _size_of(text: str) -> tuple[int, int] | None:
    """(height, width) of ``640x480``, None of nothing."""
    if not text:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text.lower().strip())
    if match is None:
        raise UserError(f"size {text!r}: give width and height in px, as 640x480")
    return int(match[2]), int(match[1])
