"""Commands for a duel: detectors and other tools on the same images by the same clock, and the tools that are on offer."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from benchmark.cli.boards import publish
from benchmark.cli.options import (
    AsJson,
    Category,
    DataName,
    Device,
    Folds,
    GroupBy,
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
from benchmark.cli.pages import check_page, write_page
from benchmark.detector import RECIPE, Budget
from benchmark.structures import UserError
from benchmark.suggestions import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmark.runs.store import Record

app = typer.Typer()
GROUP = "keypoint_benchmark.tools"
NO_TOOLS = "no tools are on offer here: pip install ./examples/duel, in a checkout, brings some"


class ToolOffer(Protocol):
    """A tool of another project that a plugin offers in the group ``keypoint_benchmark.tools``.

    Attributes:
        summary: Which version, under which licence, whether it is installed, where or how large, in a line.
    """

    summary: str

    def install(self, say: Callable[[str], None], *, own: bool = False) -> Path:
        """Install it in an environment of its own, saying first how large that is.

        Args:
            say: Is told what happens, a line each.
            own: Share nothing with the environment that the suite runs in.

        Returns:
            The environment's folder.

        Raises:
            UserError: Where that fails.
        """


@app.command(epilog="Example: python -m benchmark duel --data photos --budget 300s yolo-pose heatmap keypointrcnn")
def duel(
    detectors: Annotated[
        list[str],
        typer.Argument(metavar="SPEC", help="Detectors and tools, as run --detector takes them."),
    ],
    budget: Annotated[
        str, typer.Option("--budget", metavar="SECONDS", help="The clock: what each may learn for, as 300s.")
    ] = "300s",
    task: TaskName = None,
    data: DataName = "tiny",
    seeds: Seeds = 1,
    split: Split = 0,
    folds: Folds = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    device: Device = "auto",
    threads: Threads = None,
    results: Results = Path("results"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Run again what is stored already.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The page; default duel.html in the results.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run detectors and tools one after another on the same images by the same clock; print the board, write the page."""
    if Budget.parse(budget).seconds is None:
        raise UserError(f"budget {budget!r}: a duel goes by the clock; give seconds, as 300s")
    if out is not None:
        check_page(out)
    from benchmark.api import grid_config, run_grid
    from benchmark.progress import Bars, reused_words
    from benchmark.runs.store import Store

    said = {"category": category, "sigmas": sigmas, "val": val, "test": test, "group_by": group_by}
    grid = grid_config(
        detectors,
        task=task,
        data=data,
        seeds=seeds,
        split=split,
        folds=folds,
        budget=budget,
        device=device,
        threads=threads,
        results=results,
        overwrite=overwrite,
        workers=1,
        **said,
    )
    with stdout_kept(), Bars(console_for(stderr=True)) as bars:
        done = run_grid(grid, bars)
    digest, store = done[0].record.config.data_digest, Store(done[0].store.root, indexed=True)
    records = [stored.record for stored in done]
    for record in records:
        made = [reused_words(record.created)] if record.key in bars.reused else []
        say(f"{record.config.detector}, seed {record.seed}: {'; '.join([clock(record), *made])}", stderr=as_json)
    shown = publish(
        store, lambda every: [board for board in every if board.digest == digest], as_json, reused=bars.reused
    )
    write_page(shown, out or store.root / "duel.html", store, said_on_stderr=as_json)
    if all(record.status == "failed" for record in records if record.ranked):
        raise typer.Exit(1)


def clock(record: Record) -> str:
    """How a run stood to the clock, and what else is to be said of it, in a line.

    Args:
        record: Of a run, which may have failed.
    """
    if record.status == "failed":
        return f"failed: {record.error}"
    learned = f"{record.fit_seconds:.1f} s to fit, start and all"
    if record.config.budget == RECIPE:
        learned += " (by its own recipe)"
    return "; ".join([learned, *record.notes])


@app.command(epilog="Example: python -m benchmark tools install yolo-pose")
def tools(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="list or install.")] = "list",
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which tools to install.")] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Share nothing with this environment: torch is installed once more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the tools that detectors can be set against, or install one in an environment of its own."""
    offered = {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}
    if what == "list":
        lines = {name: loaded(point).summary for name, point in offered.items()}
        if as_json:
            print(json.dumps([{"name": name, "what it is": line} for name, line in lines.items()]))
            return
        for name, line in lines.items():
            say(f"{name}: {line}")
        if not lines:
            say(NO_TOOLS)
        return
    if what != "install":
        raise UserError(f"tools {what}: there is list, and install NAME")
    if not names:
        raise UserError(f"tools install: name one of {', '.join(offered)}" if offered else NO_TOOLS)
    for name in names:
        if name not in offered:
            raise unknown("tool", name, offered) if offered else UserError(NO_TOOLS)
    for name in names:
        loaded(offered[name]).install(say, own=own)


def loaded(point: EntryPoint) -> ToolOffer:
    """The tool behind an entry point.

    Args:
        point: Of the group `GROUP`.

    Raises:
        UserError: Where the plugin that offers it cannot be loaded.
    """
    try:
        offer: ToolOffer = point.load()
    except Exception as error:
        raise UserError(f"tool {point.name!r} ({point.value}) cannot be loaded: {error}") from error
    return offer
