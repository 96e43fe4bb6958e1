"""Commands about grids and their runs: status (how far they are), reproduce (one of them made again)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import typer

from benchmark.cli import runs
from benchmark.cli.asked import asked, given, show_status
from benchmark.cli.options import console_for, waiting

app = typer.Typer()

ONLY_OF_RUN = ("dry_run",)


def _with_flags_of(command: Callable[..., None], *, without: tuple[str, ...]) -> Callable[[Any], Any]:
    """Decorator: a command ``(ctx, **flags)`` takes the flags of another one, so that no flag is written down twice."""

    def take(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        every = inspect.signature(command).parameters
        taken = [one.replace(annotation=hints[name]) for name, one in every.items() if name not in without]
        function.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]  # what typer reads
        function.__annotations__ = {one.name: one.annotation for one in taken}
        return function

    return take


@app.command(epilog="Example: python -m benchmark status --detector forest --seeds 3")
@_with_flags_of(runs.run, without=ONLY_OF_RUN)
def status(ctx: typer.Context, grid: Path | None, results: Path, as_json: bool, **flags: Any) -> None:
    """Say what of a grid is done, stale, failed and missing, and the time left; without a grid, what a folder holds."""
    if set(given(ctx)) - {"results", "as_json"}:
        show_status(asked(ctx, grid, results=results, **flags), as_json, dry_run=False)
        return
    from benchmark.runs.bundle import open_results
    from leaderboard.render.status import print_folder
    from leaderboard.status import folder_status

    with waiting("looking"):
        boards = folder_status(open_results(results))
    if as_json:
        print(json.dumps([board.as_dict() for board in boards], allow_nan=False))
    else:
        print_folder(boards, console_for())
