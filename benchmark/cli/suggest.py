"""The command about images without labels: suggest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    AsJson,
    Category,
    DataName,
    Device,
    GroupBy,
    Results,
    Split,
    TaskName,
    Threads,
    console_for,
    say,
    stdout_kept,
    waiting,
)

if TYPE_CHECKING:
    from benchmark.suggest import Suggested

app = typer.Typer()

SHOWN = 10  # in the terminal, where a file holds them all


@app.command(
    epilog="Example: python -m benchmark suggest --data my-photos --images unlabelled --count 50 --out next.csv"
)
def suggest(
    images: Annotated[
        Path,
        typer.Option(
            "--images", metavar="FOLDER", help="Of images, or of frames; those that are labelled already are left out."
        ),
    ],
    data: DataName = "tiny",
    count: Annotated[int, typer.Option("--count", metavar="COUNT", min=1, help="How many to name.")] = 50,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="SPEC",
            help="Ask these, fitted on all labelled images; repeatable. Default: the suite suggest. A network makes the trials long.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="RUN",
            help="Ask a run made with run --save-weights: its folder, or the first digits of its key; repeatable.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            metavar="COUNT",
            min=0,
            help="Of the choice, on images whose labels are known: default 40, each of two fits a detector. "
            "0: none, and no gain is promised.",
        ),
    ] = None,
    task: TaskName = None,
    split: Split = 0,
    category: Category = "",
    group_by: GroupBy = "",
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="CSV to write: a row an image, with the reason.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name the images to label next, and say whether they promise a smaller error than as many random ones."""
    from benchmark import files
    from benchmark.registry import resolve, suite
    from benchmark.runs import facts
    from benchmark.suggest import SUITE, TRIALS, named_members, stored_members
    from benchmark.suggest import suggest as chosen_from
    from datasets.formats.reading import ReadOptions
    from datasets.load import load
    from leaderboard.which import folder_of_run

    own = threads or facts.cores()
    beside = results.parent if results.is_file() else results
    with stdout_kept(), waiting("reading") as status:
        chosen = detector or ([] if weights else suite(SUITE))
        stored = stored_members([folder_of_run(run, results) for run in weights or ()], chosen, device, own)
        known = {one.name for one in stored}
        members = stored + named_members([text for text in chosen if resolve(text).name not in known], device, own)
        dataset = load(
            task, data, split=split, root=beside / "_data", options=ReadOptions(category=category, group_by=group_by)
        )
        found = chosen_from(
            dataset,
            images,
            count,
            members,
            trials=TRIALS if trials is None else trials,
            threads=own,
            progress=lambda fraction, text: status.update(f"{100 * fraction:.0f} % {text}"),
        )
    if out is not None:
        files.write_text(out, found.as_csv())
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False, ensure_ascii=False))
        return
    _print(found, out)


def _print(found: Suggested, out: Path | None) -> None:
    """Files and reasons, what the trials say, and the promise last."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    shown = found.suggestions if out is None else found.suggestions[:SHOWN]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("label next", overflow="fold", no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in shown:
        table.add_row(escape(one.file), escape(one.reason))
    console_for().print(table)
    for note in found.notes:
        say(note)
    for name, gain in found.gains.items():
        say(
            f"{name}: error {abs(100 * gain.share):.1f} % {'smaller' if gain.share >= 0 else 'larger'} than with random images, "
            f"better in {100 * gain.wins:.0f} % of {gain.trials} trials on your labels"
        )
    say(
        f"{len(found.suggestions):,} of {found.unlabelled:,} images, beside {found.labelled:,} labelled: {found.verdict}"
    )
    if out is not None:
        say(str(out))
