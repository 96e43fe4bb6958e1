"""The command that draws a board: plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import BoardData, BoardTask, Results, say, waiting
from benchmark.structures import UserError
from benchmark.suggestions import unknown
from leaderboard.render.plots.kinds import KINDS

app = typer.Typer()

THEMES = ("light", "dark")  # those of leaderboard.render.plots.theme, which a test holds
COSTS = ("fit", "ms")
KIND_HELP = "What to draw. " + "; ".join(f"{name}: {shows}" for name, shows in KINDS.items()) + "."


def _one_of(kind: str, value: str, names: tuple[str, ...]) -> str:
    if value not in names:
        raise unknown(kind, value, names)
    return value


@app.command(epilog="Example: python -m benchmark plot cost --task topleft --out cost.svg")
def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=KIND_HELP)],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .svg, a .png, or the Vega-Lite specification as .json.")
    ],
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="NAME",
            help="A row to draw, by its label or detector; repeatable. Default: as many as the plot holds, the best of each "
            "family or all by rank, and the training mean.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="NAME", help="pairs: the row to compare with; default the leader."),
    ] = None,
    cost: Annotated[
        str, typer.Option("--cost", metavar="COST", help="cost: fit (seconds) or ms (an image, to predict).")
    ] = "fit",
    theme: Annotated[str, typer.Option("--theme", metavar="NAME", help="light or dark.")] = "light",
    task: BoardTask = None,
    data: BoardData = None,
    results: Results = Path("results"),
) -> None:
    """Draw a board: error against cost, PCK curves, predictions, learning curves, histories, differences, ranks."""
    _one_of("plot", kind, tuple(KINDS))
    _one_of("theme", theme, THEMES)
    _one_of("cost", cost, COSTS)
    from benchmark.runs.bundle import open_results
    from leaderboard.render.plots.files import check_ending, write_plot
    from leaderboard.render.plots.kinds import load
    from leaderboard.render.plots.specification import document
    from leaderboard.which import boards_on

    check_ending(out)
    with waiting("drawing"):
        made = boards_on(open_results(results), task, data)
        if not made:
            raise UserError(f"{results}: holds no run of {task or 'any task'} on {data or 'any data'}")
        if len(made) > 1:
            titles = ", ".join(board.title for board in made)
            raise UserError(f"{results}: holds {len(made)} boards ({titles}): choose one with --task and --data")
        drawn = document(
            made[0],
            load(kind),
            variant=cost if kind == "cost" else "",
            rows=detector or (),
            against=against,
            theme=theme,
        )
        write_plot(drawn, out)
    say(f"written: {out}")
