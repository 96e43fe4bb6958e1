"""Commands about grids and their runs: status (how far they are), reproduce (one of them made again)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from benchmark.cli import runs
from benchmark.cli.asked import asked, given, show_status
from benchmark.cli.options import AsJson, Results, RunsDetector, console_for, stdout_kept, waiting
from benchmark.structures import UserError

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

    problems: list[str] = []
    with waiting("looking"):
        boards = folder_status(open_results(results, indexed=True), problems.append)
    for problem in problems:
        console_for(stderr=True).print(
            f"left out: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
    if as_json:
        print(json.dumps([board.as_dict() for board in boards], allow_nan=False))
    else:
        print_folder(boards, console_for())


@app.command(epilog="Example: python -m benchmark reproduce 091c --results studies/smoke/runs")
def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or the first digits of its key.")],
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="Where its data is now; default a preset, or where it was."),
    ] = None,
    sigmas: Annotated[
        str | None, typer.Option("--sigmas", metavar="FILE", help="Where the file of sigmas is that it was read with.")
    ] = None,
    detector: RunsDetector = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Results folder that keeps the new run; default none."),
    ] = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Make a stored run again, aside: identical, within its interval, or different; what differs, and what moved."""
    from tempfile import TemporaryDirectory

    from benchmark.runs.store import results_folder
    from leaderboard.render.reproduction import print_reproduction
    from leaderboard.reproduce import reproduce as again
    from leaderboard.which import stored_run

    stored, kept = stored_run(run, results)
    if out is not None and out.resolve() == kept.root.resolve():
        raise UserError(f"out {out}: holds the run itself, which stays as it is; name another folder")
    with stdout_kept(), waiting("making it again") as status, TemporaryDirectory() as folder:

        def progress(fraction: float, text: str) -> None:
            status.update(f"making it again: {100 * fraction:.0f} %, {text}")

        scratch = Path(folder) if out is None else results_folder(out)
        report = again(stored, kept, scratch, detector=detector, data=data, sigmas=sigmas, progress=progress)
    if as_json:
        print(json.dumps(report.as_dict(), allow_nan=False))
    else:
        print_reproduction(report, console_for())
    if report.verdict not in ("identical", "within"):
        raise typer.Exit(1)
