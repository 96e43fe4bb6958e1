"""Commands that say what there is to choose from: list, info."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from benchmark.cli.options import AsJson, console_for, stdout_kept
from benchmark.structures import UserError

app = typer.Typer()


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
    from leaderboard.render.about import print_list

    print_list(rows, console_for())
    if what == "detectors":
        from leaderboard.expected import expectation

        known = expectation()
        words = f"px, exact %: of {known['task']}, on {known['images']:,} images, as the study studies/topleft has them"
        console_for().print(words, style="dim")
        console_for().print(
            "instances: whoever answers one is shown crops where there are several: NAME:boxes=truth or boxes=detected",
            style="dim",
        )
    console_for().print("all about one of them: python -m benchmark info NAME", style="dim")


@app.command(epilog="Example: python -m benchmark info heatmap")
def info(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A detector (or a specification, as run --detector), task, data or suite."),
    ],
    as_json: AsJson = False,
) -> None:
    """Say all about one name: what it is and follows, its parameters, what it scored in our study, a command to try it."""
    from leaderboard.about import about
    from leaderboard.render.about import print_about

    with stdout_kept():  # loading a plugin runs its code
        found = about(name)
    if as_json:
        print(json.dumps(found, allow_nan=False))
        return
    for one in found:
        print_about(one, console_for())


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


def _figures(known: dict[str, Any] | None) -> dict[str, float | None]:
    """What a detector is expected to score; nothing where no study says so."""
    if known is None:
        return {"px": None, "exact %": None}
    return {"px": round(known["mean"], 3), "exact %": round(100 * known["exact"], 1)}


def _offer(offers: list[Any]) -> str:
    if len(offers) > 1:
        return "offered twice, so refused: by " + " and by ".join(e.origin for e in offers)
    return str(offers[0].summary)
