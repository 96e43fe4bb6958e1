"""The command that makes runs: run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.asked import asked, show_status
from benchmark.cli.boards import publish
from benchmark.cli.options import (
    AsJson,
    Category,
    DataName,
    Device,
    Folds,
    GroupBy,
    Labels,
    Results,
    Seeds,
    Sigmas,
    Split,
    TaskName,
    TestShare,
    Threads,
    ValShare,
    console_for,
    say,
    stdout_kept,
)

if TYPE_CHECKING:
    from benchmark.runs.store import FolderRun

app = typer.Typer()
ENGINE = "Who makes the runs, and what one of them may take"


@app.command(epilog="Example: python -m benchmark run --detector forest:features=pix+max --detector net3 --seeds 3")
def run(
    ctx: typer.Context,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="SPEC",
            help="name (see: list), name:key=value,..., ./file.py or package.module:Class; repeatable.",
        ),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="NAME",
            help="A named set of detectors (see: list suites); default, where no --detector is given: default.",
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option(
            "--grid",
            metavar="FILE",
            help="A YAML file of these settings, or of several grids; a flag given beside it stands instead.",
        ),
    ] = None,
    task: TaskName = None,
    data: DataName = "tiny",
    seeds: Seeds = 1,
    until_ranked: Annotated[
        bool,
        typer.Option(
            "--until-ranked",
            help="Add seeds one by one, --seeds at most, until tests tell the rows apart; looking costs no certainty.",
        ),
    ] = False,
    n: Annotated[
        list[int] | None,
        typer.Option("--n", metavar="COUNT", min=1, help="Training images, nested; repeatable; default all."),
    ] = None,
    split: Split = 0,
    folds: Folds = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    labels: Labels = "",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="BUDGET", help="20 (epochs), 60s, 5min or 500steps; default each detector's own recipe."
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Run again what is stored already.")] = False,
    reuse: Annotated[
        str,
        typer.Option(
            "--reuse",
            metavar="WHICH",
            help="current: a stored run whose code has changed is run again; stale: it stands as it is.",
        ),
    ] = "current",
    save_weights: Annotated[
        bool, typer.Option("--save-weights", help="Store the fitted weights (safetensors).")
    ] = False,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="NAME",
            help="What makes the runs: local (this process), process, command, ray or slurm.",
            rich_help_panel=ENGINE,
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="COUNT",
            min=1,
            max=10_000,
            help="Runs made at once; default cores divided by threads. Without --threads the cores are divided.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="Of an attempt at a run: 600 (seconds), 90s, 10min, 2h.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="SIZE",
            help="Of a run, its libraries included (about 500MiB with torch): 4GiB.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    retry: Annotated[
        int,
        typer.Option(
            "--retry",
            metavar="COUNT",
            min=0,
            max=1000,
            help="Further attempts at a run that failed.",
            rich_help_panel=ENGINE,
        ),
    ] = 0,
    on_error: Annotated[
        str,
        typer.Option(
            "--on-error",
            metavar="WHAT",
            help="continue, or stop: begin no further run after one has failed.",
            rich_help_panel=ENGINE,
        ),
    ] = "continue",
    after_run: Annotated[
        list[str] | None,
        typer.Option(
            "--after-run",
            metavar="NAME[:FOLDER]",
            help="Tell of every run made: jsonl, tensorboard, wandb (offline) or mlflow; repeatable. "
            "Default folder: _after_run in the results.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, reused and made again, and make nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit detectors, score them on the test images, and print the leaderboard. Finished runs are reused."""
    grids = asked(
        ctx,
        grid,
        detector=detector,
        suite=suite,
        task=task,
        data=data,
        category=category,
        sigmas=sigmas,
        val=val,
        test=test,
        group_by=group_by,
        labels=labels,
        seeds=seeds,
        until_ranked=until_ranked,
        n=n,
        split=split,
        folds=folds,
        budget=budget,
        device=device,
        threads=threads,
        results=results,
        overwrite=overwrite,
        reuse=reuse,
        save_weights=save_weights,
        executor=executor,
        workers=workers,
        timeout=timeout,
        max_memory=max_memory,
        retry=retry,
        on_error=on_error,
        after_run=after_run,
    )
    if dry_run:
        show_status(grids, as_json, dry_run=True)
        return
    from benchmark.api import run_grids
    from benchmark.progress import Bars
    from benchmark.runs.grid_file import FileGrid
    from benchmark.runs.store import Store

    with stdout_kept(), Bars(console_for(stderr=True)) as bars:
        done = run_grids(grids, bars)
    if not done:  # they are left to others to make, or the first has stopped the rest
        return
    made = {(stored.record.config.task, stored.record.config.data_digest) for stored in done}
    publish(
        Store(done[0].store.root, indexed=True),
        lambda every: [one for one in every if (one.task, one.digest) in made],
        as_json,
        reused=bars.reused,
    )
    if save_weights:
        _say_keys(done)
    stops = any((one.config if isinstance(one, FileGrid) else one).on_error == "stop" for one in grids)
    failures = [stored.record.status == "failed" for stored in done]
    if all(failures) or (any(failures) and stops):
        raise typer.Exit(1)


MOST_KEYS = 5


def _say_keys(made: Sequence[FolderRun]) -> None:
    """What to call the fitted detectors by."""
    kept = [f"{run.record.key} ({run.title})" for run in made if run.weights.is_file()]
    if kept:
        more = f" and {len(kept) - MOST_KEYS} more" if len(kept) > MOST_KEYS else ""
        say(f"to use them: predict --weights KEY; {', '.join(kept[:MOST_KEYS])}{more}", stderr=True)
