"""The command that makes a study: its runs, its bundles, its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.asked import show_status
from benchmark.cli.options import AsJson, console_for, say, stdout_kept, waiting
from benchmark.structures import UserError

app = typer.Typer()


@app.command(epilog="Example: python -m benchmark study studies/smoke")
def study(
    files: Annotated[
        list[Path], typer.Argument(metavar="STUDY...", help="A study.yaml, or the folder that holds one; or several.")
    ],
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FOLDER", help="Where runs are made; default results/studies/NAME."),
    ] = None,
    reuse: Annotated[
        str,
        typer.Option(
            "--reuse", metavar="WHICH", help="stale: published runs stand though code has changed; or current."
        ),
    ] = "stale",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and how long that may take.")
    ] = False,
    as_made: Annotated[
        bool, typer.Option("--as-made", help="Publish the runs made so far, of a grid that goes on; run nothing.")
    ] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write the report again from the published bundles; run nothing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether the report is what its bundles give; exit code 1 where not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a study: run what is missing of its grids, publish the runs as bundles, write REPORT.md and its figures."""
    from benchmark.study.make import differs, make, study_grids, study_path, unpacked, write_report

    paths = [study_path(file) for file in files]
    if reuse not in ("stale", "current"):
        raise UserError(f"reuse {reuse}: is stale or current")
    if check:
        with waiting("reading"):
            lines = [line for path in paths for line in differs(path)]
        if as_json:
            print(json.dumps({"current": not lines, "differences": lines}))
        else:
            for line in lines or ["the report is what its bundles give"]:
                say(line)
        if lines:
            raise typer.Exit(1)
        return
    places = [results or Path("results") / "studies" / path.resolve().parent.name for path in paths]
    if dry_run:
        for path, where in zip(paths, places):
            unpacked(path, where)
        grids = [grid for path, where in zip(paths, places) for grid in study_grids(path, where, reuse)]
        show_status(grids, as_json, dry_run=True)
        return
    if report_only:
        with waiting("writing"):
            written = [file for path in paths for file in write_report(path)]
    else:
        from benchmark.progress import Bars

        with stdout_kept(), Bars(console_for(stderr=True)) as bars:
            written = [file for path, where in zip(paths, places) for file in make(path, where, reuse, bars, as_made)]
    if as_json:
        print(json.dumps({"written": list(map(str, written))}))
    else:
        for one in written:
            say(str(one))
