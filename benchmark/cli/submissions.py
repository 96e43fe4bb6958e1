"""Commands about rows that others submit: submit (one bundle, with who submits it), verify (check it without believing it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import AsJson, BoardData, BoardTask, Results, console_for, say, stdout_kept, waiting
from benchmark.structures import UserError

app = typer.Typer()
FOLDER = Path("leaderboard") / "submissions"


@app.command(epilog="Example: python -m benchmark submit --about about.yaml --row heatmap --task topleft --data tiny")
def submit(
    about: Annotated[
        Path,
        typer.Option(
            "--about",
            metavar="FILE",
            help="YAML: name, license, training_data, and maybe contact and code (a link); CONTRIBUTING.md shows one.",
        ),
    ],
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME", help="Which row of the board; repeatable; default all that are ranked."),
    ] = None,
    task: BoardTask = None,
    data: BoardData = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Another tool's COCO results file in the place of stored runs, with --annotations and one --row.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option("--annotations", metavar="PATH", help="What it answers; see: score --annotations.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the bundle is written.")] = FOLDER,
    results: Results = Path("results"),
) -> None:
    """Make one bundle of rows to submit: chosen from stored runs, or of another tool's predictions. See verify."""
    from benchmark.runs.bundle import open_results
    from benchmark.runs.submission import read_about
    from leaderboard.external import score_files
    from leaderboard.submit import chosen_runs, submit_predictions
    from leaderboard.submit import submit as write

    said = read_about(about)
    if (predictions is None) != (annotations is None):
        raise UserError("predictions: give --predictions and --annotations together, or neither")
    if predictions is not None and annotations is not None:
        if len(row or ()) != 1 or task or data:
            raise UserError("predictions: name their row with one --row, and leave --task and --data out")
        with waiting("scoring"):
            path = submit_predictions(score_files(predictions, annotations), (row or [""])[0], said, out)
    else:
        with waiting("packing"):
            path = write(chosen_runs(open_results(results), row or (), task, data), said, out)
    say(f"{path}: {path.stat().st_size / 1024:,.0f} KiB; check it with: python -m benchmark verify {path}")


@app.command(epilog="Example: python -m benchmark verify leaderboard/submissions/topleft@1-tiny-Jane-Doe.bundle.zip")
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What submit has written.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="PATH", help="Where its data is; default: made anew, where it is of a preset's name."
        ),
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option("--sigmas", metavar="FILE", help="The file of sigmas the data was read with.")
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="SPEC",
            help="A file or class for rows not on offer by name; repeatable. Its code runs: look at it first.",
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="COUNT", min=0, help="How many of its runs are made again, at most.")
    ] = 2,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="K", min=0, help="Draws the sample; default by chance, and printed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle: digests, scores, data, leaks, names, environment; some runs made again. Exit 1: it fails."""
    from tempfile import TemporaryDirectory

    from leaderboard.render.verification import print_verification
    from leaderboard.verify import verify as check

    if not bundle.is_file():
        raise UserError(f"{bundle}: is no file; name one bundle that submit has written")
    with stdout_kept(), waiting("verifying") as status, TemporaryDirectory() as scratch:
        found = check(
            bundle,
            Path(scratch),
            data=data,
            sigmas=sigmas,
            detectors=detector or (),
            sample=sample,
            seed=seed,
            watch=lambda words: status.update(f"verifying: {words}"),
        )
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
    else:
        print_verification(found, console_for())
    if found.failed:
        raise typer.Exit(1)
