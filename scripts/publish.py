"""Makes what is published in ``leaderboard/``, part by part; runs that are stored already are not made again.

    python scripts/publish.py board        every detector on topleft, the board of the README
    python scripts/publish.py ablations    every detector without what its card calls essential
    python scripts/publish.py probe        backbone or head? trunks x readouts, and the table of it
    python scripts/publish.py tasks        the extrema head on every task, on all of MNIST that is at hand
    python scripts/publish.py moved        what was fitted on 28 px, asked on a larger canvas

Each part is a list of commands that anyone may type; they are printed as they run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.registry import entries, resolve

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED, ABLATIONS, PROBE = (ROOT / "leaderboard" / name for name in ("published", "ablations", "probe"))
EXACT = ("topleft", "topright", "bottomleft", "bottomright", "corner", "topleft-bold", "center", "both")
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
    """Each detector and its ablation, one seed; references and the row of parts have none."""
    specs = []
    for name, offers in entries().items():
        ablation = resolve(name).cls.card.ablation
        if ablation and offers[0].family != "plugin":
            specs += [name, name + ":" + ",".join(f"{key}={value!s}" for key, value in ablation.items())]
    bench("run", *chosen(specs), "--threads", threads, "--results", ABLATIONS)


@app.command()
def probe(threads: Threads = 1, seeds: int = 3) -> None:
    """Suite probe, and its table as markdown."""
    bench("run", "--suite", "probe", "--seeds", seeds, "--threads", threads, "--results", PROBE)
    (PROBE / "PROBE.md").write_text(probe_table(), encoding="utf-8")


def probe_table() -> str:
    """Trunks down, readouts across: mean px and exact % over seeds, read from the stored runs."""
    import pandas as pd

    from benchmark.store import Store
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
    how = ("--seeds", seeds, "--threads", threads, "--results", PUBLISHED)
    for task in EXACT:
        bench("run", *chosen(["mean", "rule", "extrema"]), "--task", task, "--data", "tiny-wide", *how)
    for task in (*EXACT[1:], *OTHER):
        rows = ["mean", "extrema", *(["heatmap"] if task in OTHER[:2] else [])]
        bench("run", *chosen(rows), "--task", task, *how)


@app.command()
def moved(threads: Threads = 1) -> None:
    """Fitted on digits of 28 px, asked for them on canvases of 40 px at three places each: 3 x 4,291 images."""
    from datasets.build import build, label
    from datasets.coco import Card, write_folder
    from datasets.tasks import get_task

    canvas = get_task("topleft-canvas")
    train, val, test = build(get_task("topleft"), "tiny-wide")
    with tempfile.TemporaryDirectory() as name:
        fitted, labels = Path(name), test.truth.labels
        bench(
            "run", "-d", "extrema", "--data", "tiny-wide", "--threads", threads, "--save-weights", "--results", fitted
        )
        weights = next(fitted.glob("topleft@1/*/extrema/*/*/*/weights.safetensors")).parent
        for number in (0, 1, 2):
            placed = label(canvas, test.images, labels, number)  # type: ignore[arg-type]
            card = Card(task=canvas.name, line=canvas.line, data=f"moved{number}", split=number, rule=canvas.rule)
            write_folder(fitted / f"moved{number}", train, val, placed, card)
            answers = fitted / f"moved{number}.json"
            bench("predict", "--weights", weights, "--images", fitted / f"moved{number}", "--out", answers)
            words = ("--predictions", answers, "--truth", fitted / f"moved{number}", "--results", PUBLISHED)
            bench("score", *words, "--name", "extrema fitted on 28 px")


if __name__ == "__main__":
    app()
