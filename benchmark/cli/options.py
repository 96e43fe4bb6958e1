"""Options that several commands share, and the doors they open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.structures import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.store import Store

Results = Annotated[Path, typer.Option("--results", help="Folder of results.", envvar="KEYPOINT_RESULTS")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Task card (see: list tasks); default topleft.")]
DataName = Annotated[str, typer.Option("--data", help="tiny, mnist5k, mnist, or the path of a COCO keypoint folder.")]
Split = Annotated[int, typer.Option("--split", min=0, help="Which split: 0 for development, others for publishing.")]
BoardTask = Annotated[str | None, typer.Option("--task", help="Only boards of this task.")]
BoardData = Annotated[str | None, typer.Option("--data", help="Only boards of this data set.")]


def open_store(results: Path) -> Store:
    from benchmark.runner import results_folder
    from benchmark.store import Store

    if not results.exists():
        raise UserError(f"results {results}: there is no such folder; make a run first (python -m benchmark run)")
    return Store(results_folder(results))


def console_for(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; in a log file or a pipe as wide as the table, where no width is given."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 160
    return Console(stderr=stderr, width=width)
