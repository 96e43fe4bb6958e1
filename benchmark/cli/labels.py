"""The command about labels that detectors contradict: suspects."""

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

if TYPE_CHECKING:
    from leaderboard.suspects import Suspects

app = typer.Typer()

SHOWN = 12  # on the sheet
LISTED = 40  # in the table
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
    from benchmark.api import grid_config, run_grid
    from benchmark.progress import Bars
    from benchmark.registry import suite
    from benchmark.runs.bundle import open_results
    from benchmark.runs.config import DataReference
    from benchmark.runs.data import open_data
    from benchmark.structures import UserError
    from datasets.dataset import pooled
    from datasets.formats.reading import ReadOptions
    from leaderboard.suspect_sheet import suspect_sheet
    from leaderboard.suspects import find_suspects, out_of_fold_runs, starts_of

    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    beside = results.parent if results.is_file() else results
    reference = DataReference(task=task, data=data, options=options, split=split, root=str(beside / "_data"))
    with waiting("reading"):
        (dataset,) = open_data(reference)
        stored = out_of_fold_runs(open_results(results), dataset.digest) if results.exists() and not detector else {}
    if len(stored) < 2:
        chosen = list(detector) if detector else suite(SUITE)
        if not detector:
            console_for(stderr=True).print(
                f"{len(stored) or 'no'} detector{'' if len(stored) == 1 else 's'} with out-of-fold answers of this data "
                f"in {results}: running {', '.join(chosen)} over {folds} folds",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        grid = grid_config(
            chosen,
            task=task,
            data=data,
            options=options,
            split=split,
            folds=folds,
            device=device,
            threads=threads,
            results=results,
        )
        with stdout_kept(), Bars(console_for(stderr=True)) as bars:
            done = run_grid(grid, bars)
        asked = [run.record.key for run in done]
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
    _print(found)
    if out is not None:
        say(str(out) if drawn else "no sheet is drawn, for there is nothing to look at")


def _print(found: Suspects) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    asked = ", ".join(f"{name} (median {error:g} px)" for name, error in found.detectors.items() if error is not None)
    say(f"asked: {asked}")
    if len(found.families) == 1 and len(found.detectors) > 1:
        say(f"  all of one family ({found.families[0]}): what they get wrong together looks like a wrong label")
    say(f"{found.judged:,} of {found.labelled:,} labels judged")
    if found.judged < found.labelled:
        say(f"  the others have fewer than two answers, or their keypoint has fewer than {found.enough} judged labels")
    if not found.found:
        say("no label is suspicious")
    else:
        count = sum(len(one.keypoints) for one in found.found)
        say(
            f"{count} label{'s are' if count > 1 else ' is'} likely wrong (of so many about "
            f"{100 * found.level:.0f} % by chance), the most evident first:"
        )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("image", "instance", "keypoint", "what", "px", "proposed (x, y)", "-log10 p", "against"):
            table.add_column(name, justify="right" if name in ("instance", "px", "-log10 p") else "left")
        for one in found.found[:LISTED]:
            after = "" if one.distance_after is None else f" -> {one.distance_after:.1f}"
            table.add_row(
                escape(f"{one.split} {one.image}"),
                str(one.instance),
                escape(", ".join(one.keypoints)),
                one.kind,
                f"{one.distance:.1f}{after}",
                "; ".join(f"{x:.1f}, {y:.1f}" for x, y in one.proposed[:2]) + (" ..." if len(one.proposed) > 2 else ""),
                f"{one.evidence:.1f}",
                escape(", ".join(one.against)),
            )
        console_for().print(table)
        if len(found.found) > LISTED:
            say(f"  and {len(found.found) - LISTED} more (--json lists all)")
    _print_power(found)


def _print_power(found: Suspects) -> None:
    """What these detectors could not have seen."""
    seen = [one.seen_from for one in found.power if one.judged and one.seen_from is not None]
    blind = [one.keypoint for one in found.power if one.judged and one.seen_from is None]
    if seen:
        low, high = f"{min(seen):.3g}", f"{max(seen):.3g}"
        spread = low if low == high else f"{low} to {high}"
        say(f"a label moved by less than about {spread} px (as the keypoint is) would mostly not be seen")
    if blind:
        say(f"no moved label would be seen of {', '.join(blind)}: these detectors err too much")
    swaps = [one.exchanges_seen for one in found.power if one.exchanges_seen is not None]
    if swaps:
        say(f"of labels exchanged with another keypoint's {100 * sum(swaps) / len(swaps):.0f} % would be seen")
    say("more precise detectors, or more seeds of these, see more")
