"""What the flags of ``run`` ask for, and what is stored of it: shared by ``run`` and ``status``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from benchmark.cli.options import console_for, say, stdout_kept, waiting

if TYPE_CHECKING:
    from benchmark.runs.config import GridConfig
    from benchmark.runs.grid_file import FileGrid


def given(ctx: typer.Context) -> list[str]:
    """The parameters of a command that stood on the command line, and do not merely have their default."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def asked(
    ctx: typer.Context, grid: Path | None, *, detector: list[str] | None, suite: str | None, **flags: Any
) -> list[FileGrid] | list[GridConfig]:
    """The grids that a command asks for: those of a file, with the flags beside it in the place of what it says; or one.

    Args:
        ctx: Of the command.
        grid: A grid file.
        detector: Specifications.
        suite: Name of a suite.
        **flags: The other flags: `benchmark.runs.config.SETTINGS`.

    Raises:
        UserError: For what cannot be asked for.
    """
    from benchmark.api import grid_config, grids_of
    from benchmark.registry import suite as members

    chosen = list(detector or ())
    if suite is not None or not (chosen or grid):
        chosen += members("default" if suite is None else suite)
    if grid is None:
        return [grid_config(chosen, **flags)]
    beside = {name: value for name, value in flags.items() if name in given(ctx)}
    if chosen:
        beside["detectors"] = chosen
    if beside:
        shown = ", ".join("--" + name.replace("_", "-").replace("detectors", "detector") for name in beside)
        say(f"{grid}: {shown} as on the command line, whatever it says", stderr=True, style="yellow")
    return grids_of(grid, instead=beside, otherwise={"results": flags["results"]})


def show_status(grids: Sequence[FileGrid | GridConfig], as_json: bool, *, dry_run: bool) -> None:
    """Print how far grids are, and write nothing.

    Args:
        grids: What is asked for.
        as_json: One JSON document instead of tables.
        dry_run: Say it as what ``run`` would do.

    Raises:
        UserError: For what cannot be run.
    """
    from benchmark.api import plan_grids
    from benchmark.runs.grid_file import FileGrid
    from leaderboard.render.status import print_grid
    from leaderboard.status import grid_status

    with stdout_kept(), waiting("looking"):
        configs = [grid.config if isinstance(grid, FileGrid) else grid for grid in grids]
        status = grid_status(plan_grids(grids, write=False), configs)
    if as_json:
        print(json.dumps(status.as_dict(), allow_nan=False))
    else:
        print_grid(status, console_for(), dry_run=dry_run)
