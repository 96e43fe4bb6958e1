"""The command about labels that detectors contradict: suspects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.cli.options import (
    AsJson,
    Category,
    DataName,
    Device,
    GroupBy,
    Results,
    Sigmas,
    Split,
    TaskName,
    TestShare,
    Threads,
    ValShare,
    console_for,
    say,
    stdout_kept,
    waiting,
)
from benchmark.files import check_ending

app = typer.Typer()

SHOWN = 12  # on the sheet
SUITE = "suspects"  # what is run where too little is stored


@app.command(epilog="Example: python -m benchmark suspects --data my-photos --out suspects.png")
def suspects(
    data: DataName = "tiny",
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="SPEC",
            help="Ask these, running what is not stored; repeatable. Default: all stored out-of-fold runs of this data, "
            f"or the suite {SUITE} where fewer than two detectors have any.",
        ),
    ] = None,
    task: TaskName = None,
    folds: Annotated[
        int,
        typer.Option(
            "--folds", metavar="COUNT", min=2, help="Of what has to be run; any number will do of stored runs."
        ),
    ] = 5,
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="PNG to draw: the most evident ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List likely wrong labels: several detectors that never saw them agree with each other, and not with the label."""
    from benchmark.registry import suite
    from benchmark.runs.bundle import open_results
    from benchmark.runs.config import DataReference
    from benchmark.runs.data import open_data
    from benchmark.structures import UserError
    from datasets.dataset import pooled
    from datasets.formats.reading import ReadOptions
    from leaderboard.render.suspects import print_suspects
    from leaderboard.suspect_sheet import suspect_sheet
    from leaderboard.suspects import find_suspects, out_of_fold_runs, starts_of

    if out is not None:
        check_ending(out, "a contact sheet", (".png",))
    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    beside = results.parent if results.is_file() else results
    reference = DataReference(task=task, data=data, options=options, split=split, root=str(beside / "_data"))
    with waiting("reading"):
        (dataset,) = open_data(reference)
        stored = out_of_fold_runs(open_results(results), dataset.digest) if results.exists() and not detector else {}
    if len(stored) < 2:
        chosen = list(detector) if detector else suite(SUITE)
        if not detector:
            say(
                f"{len(stored) or 'no'} detector{'' if len(stored) == 1 else 's'} with out-of-fold answers of this data "
                f"in {results}: running {', '.join(chosen)} over {folds} folds (photographs take a network long: name others with -d)",
                stderr=True,
            )
        where = {"task": task, "data": data, "options": options, "split": split, "folds": folds}
        asked = _run(chosen, **where, device=device, threads=threads, results=results)
        stored = out_of_fold_runs(open_results(results), dataset.digest, asked if detector else ())
    if len(stored) < 2:
        raise UserError(
            f"suspects needs the out-of-fold answers of two detectors or more, and has {len(stored)} "
            f"({', '.join(stored) or 'reference rows do not count, nor do runs that failed'}): name more with -d"
        )
    whole = pooled(list(dataset.splits.values()))
    with waiting("weighing"):
        found, _ = find_suspects(
            stored, whole.annotations, starts_of({name: len(part) for name, part in dataset.splits.items()})
        )
    drawn = out is not None and bool(found.found)
    if out is not None and drawn:
        suspect_sheet(whole.images, found.found[:SHOWN], out)
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
        return
    print_suspects(found, console_for())
    if out is not None:
        say(str(out) if drawn else "no sheet is drawn, for there is nothing to look at")


def _run(detectors: list[str], **settings: Any) -> list[str]:
    """The keys of the runs of some detectors, which are made where they are not stored."""
    from benchmark.api import grid_config, run_grid
    from benchmark.progress import Bars

    with stdout_kept(), Bars(console_for(stderr=True)) as bars:
        return [run.record.key for run in run_grid(grid_config(detectors, **settings), bars)]
