"""The command line. It opens the doors to every room, and turns a user's mistake into one line and exit code 2."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from benchmark.cli import evidence, runs, tools
from benchmark.structures import UserError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which way of finding a point works, how sure are we, and what does it cost?",
    epilog="Example: python -m benchmark run --detector keypointrcnn --detector forest --seeds 3",
)
for part in (runs, evidence, tools):
    app.registered_commands += part.app.registered_commands


def main() -> NoReturn:
    """Run the command line; a UserError is one line and exit code 2, an interruption one line and 130."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: every finished run is kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
