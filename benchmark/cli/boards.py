"""Commands that show what is stored: leaderboard, show."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.asked import given
from benchmark.cli.options import (
    AsJson,
    BoardData,
    BoardTask,
    Category,
    Folds,
    GroupBy,
    PairName,
    Results,
    Sigmas,
    Split,
    TestShare,
    ValShare,
    console_for,
    having_pair,
    names_of,
    pair_of,
    say,
    waiting,
    write_out,
)
from benchmark.cli.pages import check_page, write_page
from benchmark.files import check_ending
from benchmark.structures import UserError

if TYPE_CHECKING:
    from benchmark.metrics import Pair
    from benchmark.runs.store import Results as StoredResults
    from leaderboard.board import Board
    from leaderboard.render.selection import Selection

HEAD = 30
"""How many rows of a board are printed where nobody says; the files beside the results hold all."""

app = typer.Typer()


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
        int | None,
        typer.Option(
            "--top",
            metavar="COUNT",
            min=1,
            show_default=False,
            help=f"Only the best rows, beside the references; default {HEAD} on a screen, all in a format.",
        ),
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
    """Print the boards of all stored runs, and write LEADERBOARD.md, .csv and .json beside them; beside bundles nothing."""
    from benchmark.runs.bundle import open_results
    from leaderboard.render.selection import Selection
    from leaderboard.which import on_data

    if html is not None:
        check_page(html)
    if form and as_json:
        raise UserError("format: --json is a format of its own; give one of the two")
    if top is None and not (form or as_json or detector):
        top = HEAD
    stored = open_results(results, indexed=True)

    def chosen(boards: list[Board]) -> list[Board]:
        return on_data([board for board in boards if task in (None, board.task)], stored, data)

    shown = publish(
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

    if out is not None:
        check_ending(out, "a contact sheet", (".png",))
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


def publish(
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
    reused: Collection[str] | None = None,
) -> list[Board]:
    """Print the boards that are chosen, and return them; the files in the results folder always hold all of them.

    Args:
        store: What boards are made of.
        chosen: Which of all boards.
        as_json: Their rows as one JSON document.
        asked_for: What is looked for, in words.
        pair: Two keypoints whose distance some metrics are relative to.
        per_keypoint: How well each keypoint is found, instead of the rows.
        form: A format to paste.
        selection: Which rows and columns.
        reports: What the working notes reported stands below.
        reused: Keys of runs that were asked for and not made now; JSON rows then say of which seeds these are.

    Raises:
        UserError: Where there is no such board.
    """
    from benchmark.runs.store import FolderRun
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
        if reused is not None:
            runs = [one.runs for board in shown for one in some.rows_of(board).every]
            for row, own in zip(rows, runs, strict=True):
                row["reused_seeds"] = [run.record.seed for run in own if run.record.key in reused]
        records = keypoint_records([some.rows_of(board) for board in shown]) if per_keypoint else rows
        print(json.dumps(records, allow_nan=False))
    elif per_keypoint:
        print_keypoints(shown, console_for(), some)
    else:
        print_boards(shown, console_for(), some, reports=reports)
    if isinstance(next(store.runs(), None), FolderRun):  # its own runs come first; beside bundles nothing is written
        write(every, store.root, per_keypoint=per_keypoint)
    return shown
