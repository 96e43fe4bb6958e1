"""Commands that make runs and show them: run, list, export, leaderboard, show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.asked import asked, given, show_status
from benchmark.cli.options import (
    AsJson,
    BoardData,
    BoardTask,
    Category,
    DataName,
    Device,
    Folds,
    GroupBy,
    Labels,
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
    having_pair,
    names_of,
    pair_of,
    say,
    stdout_kept,
    waiting,
    write_out,
)
from benchmark.cli.pages import write_page
from benchmark.structures import UserError

if TYPE_CHECKING:
    from benchmark.metrics import Pair
    from benchmark.runs.store import Results as StoredResults
    from leaderboard.board import Board
    from leaderboard.render.selection import Selection

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
            "--budget", metavar="BUDGET", help="20 (epochs), 60s or 500steps; default each detector's own recipe."
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
    _publish(
        Store(done[0].store.root, indexed=True),
        lambda every: [one for one in every if (one.task, one.digest) in made],
        as_json,
    )
    stops = any((one.config if isinstance(one, FileGrid) else one).on_error == "stop" for one in grids)
    failures = [stored.record.status == "failed" for stored in done]
    if all(failures) or (any(failures) and stops):
        raise typer.Exit(1)


@app.command("list", epilog="Example: python -m benchmark list detectors")
def list_names(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="detectors, tasks, data or suites.")] = "detectors",
    as_json: AsJson = False,
) -> None:
    """List what there is to choose from."""
    rows = _listing(what)
    if as_json:
        print(json.dumps(rows))
        return
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in rows[0] if rows else ("name",):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    console_for().print(table)
    if what == "detectors":
        console_for().print("px, exact %: of topleft on tiny, as published in leaderboard/published", style="dim")
        console_for().print(
            "instances: whoever answers one is shown crops where there are several: NAME:boxes=truth or boxes=detected",
            style="dim",
        )


@app.command(epilog="Example: python -m benchmark export --task topleft --data tiny --out my-folder")
def export(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Folder to write: new, empty, or an earlier export."),
    ],
    task: TaskName = None,
    data: DataName = "tiny",
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="coco (default), yolo-pose, slp or dlc.")
    ] = "coco",
) -> None:
    """Write a data set as a COCO keypoint folder (PNG images, three annotation files, a card), or for another tool."""
    from datasets.formats.reading import ReadOptions
    from datasets.load import export as write

    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    with waiting("writing"):
        card = write(task, data, out, split=split, options=options, form=form)
    say(f"{out}: {card}")


@app.command("leaderboard", epilog="Example: python -m benchmark leaderboard --task topleft --top 10 --format latex")
def leaderboard_command(
    task: BoardTask = None,
    data: BoardData = None,
    pair: PairName = "",
    per_keypoint: Annotated[
        bool, typer.Option("--per-keypoint", help="How well each keypoint is found; writes KEYPOINTS.csv too.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write them as a page, too (see: page).")
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", "-d", metavar="NAME", help="Only this row, or all of this detector; repeatable."),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="COUNT", min=1, help="Only the best rows, beside the references.")
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            "--columns", metavar="NAMES", help="Only these, with commas between: rank,detector,mean,mae_x,fit_seconds."
        ),
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="To paste or to read by programs: md, csv, latex (booktabs), html (a fragment), or json (whole boards, by "
            "leaderboard/leaderboard.schema.json; --json prints their rows alone).",
        ),
    ] = "",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Print the boards of all stored runs, and write LEADERBOARD.md, .csv and .json beside them."""
    from benchmark.runs.bundle import open_results
    from leaderboard.render.selection import Selection
    from leaderboard.which import on_data

    if form and as_json:
        raise UserError("format: --json is a format of its own; give one of the two")
    stored = open_results(results, indexed=True)

    def chosen(boards: list[Board]) -> list[Board]:
        return on_data([board for board in boards if task in (None, board.task)], stored, data)

    shown = _publish(
        stored,
        chosen,
        as_json,
        f"{task or 'any task'} on {data or 'any data'}",
        pair=pair_of(pair),
        per_keypoint=per_keypoint,
        form=form,
        selection=Selection(tuple(names_of(columns)), tuple(detector or ()), top),
        reports=True,
    )
    if html is not None:
        write_page(shown, html, stored, said_on_stderr=as_json or bool(form))


@app.command(epilog="Example: python -m benchmark show keypointrcnn --task topleft")
def show(
    ctx: typer.Context,
    detector: Annotated[
        str, typer.Argument(metavar="DETECTOR", help="A row of a board, by its detector or its label.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Task of the row; default that of the board it is on.")
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            show_default=False,
            help="What the row was run on, as run was told (a preset or a path); needed where several boards have the row. "
            "Say --split, --folds and the like as to run, too.",
        ),
    ] = "tiny",
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="K", min=0, help="Which seed; default the lowest stored.")
    ] = None,
    split: Split = 0,
    folds: Folds = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="PNG to write; default sheet.png in the run's folder.")
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Draw a contact sheet: the worst and some random test images, with annotations and prediction.

    Where nothing is said of the data it is that of the one board that has such a row; the images must be where they were.
    """
    from benchmark.runs.bundle import open_results
    from benchmark.runs.config import DataReference
    from benchmark.runs.data import open_data
    from benchmark.runs.store import FolderRun
    from datasets.dataset import tests_of
    from datasets.formats.reading import ReadOptions
    from leaderboard.board import find_run
    from leaderboard.gallery import contact_sheet
    from leaderboard.run_data import reference_of
    from leaderboard.which import find_only_run

    stored_in = open_results(results)
    beside = results if results.is_dir() else results.parent
    if not set(given(ctx)) - {"detector", "task", "seed", "out", "results"}:  # nothing is said of data
        stored = find_only_run(stored_in, detector, task, seed)
        parts = open_data(reference_of(stored, stored_in), write=False)
        name = stored.record.config.data
    else:
        options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
        parts = open_data(
            DataReference(task=task, data=data, options=options, split=split, folds=folds, root=str(beside / "_data"))
        )
        name = parts[0].name + (f"-folds{folds}" if folds else "")
        stored = find_run(stored_in, detector, parts[0].card.task, name, seed)
    if stored.record.config.data_digest != parts[0].digest:
        raise UserError(
            f"{stored.place}: was run on other data called {name!r} (digest "
            f"{stored.record.config.data_digest[:12]}, and this one's is {parts[0].digest[:12]}): run it on this"
        )
    path = out or (stored.folder if isinstance(stored, FolderRun) else Path.cwd()) / "sheet.png"
    title = f"{detector} on {parts[0].card.task}/{name}, seed {stored.record.seed}"
    contact_sheet(tests_of(parts).images, stored.annotations, stored.predictions, path, title=title)
    say(str(path))


def _publish(
    store: StoredResults,
    chosen: Callable[[list[Board]], list[Board]],
    as_json: bool,
    asked_for: str = "what was run",
    *,
    pair: Pair | None = None,
    per_keypoint: bool = False,
    form: str = "",
    selection: Selection | None = None,
    reports: bool = False,
) -> list[Board]:
    """Print the boards that are chosen, and return them; the files in the results folder always hold all of them."""
    from leaderboard.board import boards
    from leaderboard.keypoints import keypoint_records
    from leaderboard.render.files import write
    from leaderboard.render.formats import formatted
    from leaderboard.render.selection import ALL
    from leaderboard.render.tables import as_rows
    from leaderboard.render.terminal import print_boards, print_keypoints

    with waiting("scoring"):
        every = boards(store, pair=pair)
    shown, some = chosen(every), selection or ALL
    if not shown:
        there = "; there are " + ", ".join(f"{b.task} on {b.data}" for b in every) if every else ""
        raise UserError(f"{store.root}: holds no run of {asked_for}{there}")
    having_pair(shown, pair)
    some.check(shown)
    if form:
        write_out(formatted(shown, form, some, per_keypoint=per_keypoint))
    elif as_json:
        rows = [row for board in shown for row in as_rows(board, some)]
        records = keypoint_records([some.rows_of(board) for board in shown]) if per_keypoint else rows
        print(json.dumps(records, allow_nan=False))
    elif per_keypoint:
        print_keypoints(shown, console_for(), some)
    else:
        print_boards(shown, console_for(), some, reports=reports)
    if store.root.is_dir():
        write(every, store.root, per_keypoint=per_keypoint)
    return shown


def _listing(what: str) -> list[dict[str, Any]]:
    if what == "detectors":
        from benchmark.registry import entries
        from leaderboard.expected import expected

        known = expected()
        return [
            {
                "name": name,
                "family": offers[0].family,
                "instances": {True: "several", False: "one", None: ""}[offers[0].several],
                **_figures(known.get(name)),
                "what it is": _offer(offers),
            }
            for name, offers in entries().items()
        ]
    if what == "tasks":
        from datasets.tasks.catalog import tasks

        return [
            {"name": t.name, "version": t.version, "what it is": t.summary, "what it probes": t.probes}
            for t in tasks().values()
        ]
    if what == "data":
        from datasets.load import presets

        return [{"name": name, "what it is": line} for name, line in presets().items()]
    if what == "suites":
        from benchmark.registry import suites

        return [{"name": name, "detectors": ", ".join(names)} for name, names in suites().items()]
    raise UserError(f"list {what}: there are detectors, tasks, data and suites")


def _figures(known: dict[str, float] | None) -> dict[str, float | None]:
    """What the published board of topleft on tiny says of a detector."""
    if known is None:
        return {"px": None, "exact %": None}
    return {"px": round(known["mean"], 3), "exact %": round(100 * known["exact"], 1)}


def _offer(offers: list[Any]) -> str:
    if len(offers) > 1:
        return "offered twice, so refused: by " + " and by ".join(e.origin for e in offers)
    return str(offers[0].summary)
