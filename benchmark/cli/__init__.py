"""The command line: every command, and a user's mistake as one line and exit code 2."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from benchmark.cli import (
    boards,
    bundles,
    catalog,
    data,
    duels,
    evidence,
    grids,
    held_out,
    labels,
    pages,
    plots,
    runs,
    studies,
    submissions,
    suggest,
    tools,
)
from benchmark.cli.options import plain_text
from benchmark.structures import UserError

PROGRAM = "python -m benchmark"
INTERRUPTED = 130  # what typer answers a Ctrl-C with, and shells expect
Misuse: Any = typer.BadParameter.__bases__[0]  # UsageError: typer exports those derived from it alone

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which way of finding a point works, how sure are we, and what does it cost?",
    epilog="Example: python -m benchmark run --detector keypointrcnn --detector forest --seeds 3",
)
PARTS = (
    runs,
    catalog,
    boards,
    duels,
    grids,
    studies,
    data,
    labels,
    suggest,
    evidence,
    pages,
    plots,
    tools,
    bundles,
    submissions,
)
for part in (*PARTS, held_out):
    app.registered_commands += part.app.registered_commands


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line and exit code 2, an interruption one line and 130."""
    try:
        code = app(args=sys.argv[1:] or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except UserError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except Misuse as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        _say(f"error: {error.format_message()} (see: {path} --help)")
        sys.exit(2)
    except OSError as error:  # a disk or a name that no file system takes, wherever it shows
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {where}{error.strerror or error}")
        sys.exit(2)
    if code == INTERRUPTED:
        _say("interrupted: every finished run is kept, and the same command goes on from there")
    sys.exit(code or 0)


def _say(text: str) -> None:
    """One line on stderr, whatever the text holds."""
    print(plain_text(" ".join(text.encode(errors="backslashreplace").decode().split())), file=sys.stderr)
