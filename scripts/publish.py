"""Makes what is published in ``leaderboard/``, part by part; runs that are stored already are not made again.

    python scripts/publish.py board        every detector on topleft, the board of the README
    python scripts/publish.py ablations    every detector without what its card calls essential
    python scripts/publish.py probe        backbone or head? trunks x readouts, and the table of it
    python scripts/publish.py tasks        the extrema head on every task, on all digits at hand, in place and moved

Each part is a list of commands that anyone may type; they are printed as they run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.registry import entries, resolve
from leaderboard.expected import by_recipe, expected, recipe_of

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED, CONFIRMED, ABLATIONS, PROBE = (
    ROOT / "leaderboard" / name for name in ("published", "confirmed", "ablations", "probe")
)
EXACT = ("topleft", "topright", "bottomleft", "bottomright", "corner", "topleft-bold", "center", "both")
MOVED = ("topleft", "both")
OTHER = ("centroid", "digit-dependent", "topleft-canvas", "center-canvas")
app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)
Threads = Annotated[int, typer.Option(help="Threads of a run; parts can then be made side by side.")]


def bench(*words: object) -> None:
    """One command of the suite, shown as it would be typed."""
    shown = [str(word).replace(f"{ROOT}/", "") for word in words]
    print("$ python -m benchmark " + " ".join(shown), flush=True)
    subprocess.run([sys.executable, "-m", "benchmark", *map(str, words)], check=True, cwd=ROOT)


def chosen(specs: Iterable[str]) -> list[str]:
    """``-d`` before each specification."""
    return [word for spec in specs for word in ("-d", spec)]


@app.command()
def board(seeds: int = 1) -> None:
    """Suites classic and heads, with the threads a run takes by itself."""
    for suite in ("classic", "heads"):
        bench("run", "--suite", suite, "--seeds", seeds, "--results", PUBLISHED)
    others = [name for name in entries() if name not in ("regression", "probe")]
    bench("run", *chosen(others), "--seeds", seeds, "--results", PUBLISHED)


@app.command()
def ablations(threads: Threads = 1) -> None:
    """Each detector of the board without what its card calls essential, one seed; the table sets the two side by side."""
    cheap_first = sorted(ablated(), key=lambda name: entries()[name][0].family == "rcnn")
    bench("run", *chosen(ablated()[name] for name in cheap_first), "--threads", threads, "--results", ABLATIONS)
    (ABLATIONS / "ABLATIONS.md").write_text(ablation_table(), encoding="utf-8")


def ablated() -> dict[str, str]:
    """Detector -> its specification without its essential part, of every detector on the published board that has one."""
    return {name: text for name in expected() if name in entries() and (text := resolve(name).ablated)}


def ablation_table() -> str:
    """A row a detector: its error with and without, both from stored runs."""
    without = by_recipe(ABLATIONS)
    lines = ["| detector | px | exact % | without | px | exact % |", "| :-- | --: | --: | :-- | --: | --: |"]
    for name, text in ablated().items():
        if (found := without.get(recipe_of(resolve(text)))) is not None:
            whole = expected()[name]
            cells = [f"{row['mean']:.3f} | {100 * row['exact']:.1f}" for row in (whole, found)]
            lines.append(f"| {name} | {cells[0]} | {text.partition(':')[2]} | {cells[1]} |")
    return "# Ablations\n\nOn topleft, tiny, seed 0: each detector, and without what its card calls essential.\n\n" + (
        "\n".join(lines) + "\n"
    )


@app.command()
def probe(threads: Threads = 1, seeds: int = 3) -> None:
    """Suite probe, and its table as markdown."""
    bench("run", "--suite", "probe", "--seeds", seeds, "--threads", threads, "--results", PROBE)
    (PROBE / "PROBE.md").write_text(probe_table(), encoding="utf-8")


def probe_table() -> str:
    """Trunks down, readouts across: mean px and exact % over seeds, read from the stored runs."""
    import pandas as pd

    from benchmark.runs.store import Store
    from leaderboard.board import boards
    from leaderboard.tables import frame

    rows = frame(boards(Store(PROBE)))
    parts = pd.DataFrame([resolve(name).values for name in rows["detector"]])
    how = parts["frozen"].map({True: "frozen ", False: "trained "}) + parts["pretrained"].map(
        lambda value: "digits" if value == "digits" else "random"
    )
    how = how.replace({"trained random": "trained"}) + ", " + parts["padding"] + " padding"
    trunk = how.where(parts["trunk"] != "raw", "raw pixels")
    cell = rows["mean"].map("{:.2f} px, ".format) + (100 * rows["exact"]).map("{:.1f} %".format)
    table = pd.DataFrame({"trunk": trunk, "readout": parts["readout"], "cell": cell}).pivot_table(
        index="trunk", columns="readout", values="cell", aggfunc="first"
    )
    order = ["avg", "max", "flatten", "spatialsoftmax", "heatmap", "extrema"]
    seeds = ", ".join(map(str, rows["seeds"].iloc[0]))
    head = f"Mean pixel error and share exact on the test images, over seeds {seeds}.\n\n"
    lines = ["| trunk | " + " | ".join(order) + " |", "| :-- |" + " --: |" * len(order)]
    lines += ["| " + " | ".join([str(name), *row]) + " |" for name, row in zip(table.index, table[order].to_numpy())]
    return "# The probe\n\n" + head + "\n".join(lines) + "\n"


@app.command()
def tasks(threads: Threads = 1, seeds: int = 3) -> None:
    """The extrema head, one configuration, on every task; beside a heatmap where it is not made for the point."""
    how = ("--seeds", seeds, "--threads", threads, "--results")
    for task in (*EXACT[1:], *OTHER):
        rows = ["extrema", *(["heatmap"] if task in OTHER[:2] else [])]
        bench("run", *chosen(rows), "--task", task, *how, PUBLISHED)
    for task in EXACT:
        for data in ("tiny-wide", "tiny-moved") if task in MOVED else ("tiny-wide",):
            bench("run", *chosen(["extrema"]), "--task", task, "--data", data, *how, CONFIRMED)
    bench("run", *chosen(["extrema"]), "--task", "all-digits", "--data", "mnist5k", *how, PUBLISHED)


if __name__ == "__main__":
    app()
