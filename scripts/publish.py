"""Makes what is published in ``leaderboard/published``, part by part; runs that are there already are not made again.

    python scripts/publish.py board        every detector on topleft, the board of the README
    python scripts/publish.py ablations    every detector without what its card calls essential
    python scripts/publish.py probe        backbone or head? backbones x poolings, and the table of it
    python scripts/publish.py tasks        the extrema head on every task, on all digits at hand, in place and moved
    python scripts/publish.py processors   one detector on three instruction sets, and the table of it
    python scripts/publish.py tables       write every table and plot again from the bundles

Each part unpacks its bundles into ``results/publish``, gives the commands that anyone may type (they are printed), and
packs what came of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.files import write_text
from benchmark.registry import entries, resolve
from benchmark.runs.bundle import Bundle, open_results, unpack, write_bundles
from benchmark.runs.store import Store
from leaderboard.board import boards
from leaderboard.expected import expected, identity, stored_scores
from leaderboard.render.document import SCHEMA, schema_text
from leaderboard.render.files import write
from leaderboard.render.markdown import markdown
from leaderboard.render.plots.files import write_plot
from leaderboard.render.plots.kinds import load
from leaderboard.render.plots.specification import document

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "leaderboard" / "published"
SCRATCH = ROOT / "results" / "publish"
EXACT = ("topleft", "topright", "bottomleft", "bottomright", "corner", "topleft-bold", "center", "both")
MOVED = ("topleft", "both")
OTHER = ("centroid", "digit-dependent", "topleft-canvas", "center-canvas")
PROCESSORS = {
    "avx512": {},
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "sse41": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
}
PLOTS = {  # of the README: the kind, and the rows where these are not those the kind draws by itself
    "cost": (),
    "pck": ("extrema", "fasterrcnn", "heatmap", "keypointrcnn", "spatial-softmax", "resnet18", "forest", "mean"),
}
app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)
Threads = Annotated[int, typer.Option(help="Threads of a run; parts can then be made side by side.")]


class Part:
    """Runs of one part: unpacked from its bundles before, packed after."""

    def __init__(self, name: str) -> None:
        self.published, self.scratch = PUBLISHED / name, SCRATCH / name
        for bundle in sorted(self.published.glob("*.bundle.zip")):
            unpack(Bundle(bundle), Store(self.scratch))

    def run(self, *words: object, settings: Mapping[str, str] | None = None) -> None:
        """One run of the suite, shown as it would be typed; what is stored stands, whatever code has changed."""
        command = ["run", *words, "--reuse", "stale", "--results", str(self.scratch)]
        prefix = "".join(f"{name}={value} " for name, value in (settings or {}).items())
        print(f"$ {prefix}python -m benchmark " + " ".join(map(str, command)).replace(f"{ROOT}/", ""), flush=True)
        environment = {**os.environ, **(settings or {})}
        subprocess.run([sys.executable, "-m", "benchmark", *map(str, command)], check=True, cwd=ROOT, env=environment)

    def publish(self) -> None:
        """Pack the runs."""
        write_bundles(Store(self.scratch), self.published)


def chosen(specs: Iterable[str]) -> list[str]:
    """``-d`` before each specification."""
    return [word for spec in specs for word in ("-d", spec)]


@app.command()
def board(seeds: int = 1) -> None:
    """Suites classic and heads, with the threads a run takes by itself."""
    part = Part(".")
    for suite in ("classic", "heads"):
        part.run("--suite", suite, "--seeds", seeds)
    part.run(*chosen(name for name in entries() if name not in ("regression", "probe")), "--seeds", seeds)
    part.publish()
    tables()


@app.command()
def ablations(threads: Threads = 1) -> None:
    """Each detector of the board without what its card calls essential, one seed; the table sets the two side by side."""
    part = Part("ablations")
    cheap_first = sorted(ablated(), key=lambda name: entries()[name][0].family == "rcnn")
    part.run(*chosen(ablated()[name] for name in cheap_first), "--threads", threads)
    part.publish()
    tables()


def ablated() -> dict[str, str]:
    """Detector -> its specification without its essential part, of every detector on the published board that has one."""
    return {name: text for name in expected() if name in entries() and (text := resolve(name).ablated)}


def ablation_table() -> str:
    """A row a detector: its error with and without, both from stored runs."""
    without = stored_scores(open_results(PUBLISHED / "ablations"))
    lines = ["| detector | px | exact % | without | px | exact % |", "| :-- | --: | --: | :-- | --: | --: |"]
    for name, text in ablated().items():
        spec = resolve(text)
        if (scores := without.get(identity(spec.entry.name, spec.values))) is not None:
            cells = [f"{row['mean']:.3f} | {100 * row['exact']:.1f}" for row in (expected()[name], scores)]
            lines.append(f"| {name} | {cells[0]} | {text.partition(':')[2]} | {cells[1]} |")
    return "# Ablations\n\nOn topleft, tiny, seed 0: each detector, and without what its card calls essential.\n\n" + (
        "\n".join(lines) + "\n"
    )


@app.command()
def probe(threads: Threads = 1, seeds: int = 3) -> None:
    """Suite probe, and its table as markdown."""
    part = Part("probe")
    part.run("--suite", "probe", "--seeds", seeds, "--threads", threads)
    part.publish()
    tables()


def probe_table() -> str:
    """Backbones down, poolings across: mean px and exact % over seeds, read from the stored runs."""
    import pandas as pd

    (made,) = boards(open_results(PUBLISHED / "probe"))
    parts = pd.DataFrame([row.config.parameters for row in made.rows])
    figures = pd.DataFrame([row.metrics for row in made.rows])
    how = parts["frozen"].map({True: "frozen ", False: "trained "}) + parts["pretrained"].map(
        lambda value: "digits" if value == "digits" else "random"
    )
    how = how.replace({"trained random": "trained"}) + ", " + parts["padding"] + " padding"
    backbone = how.where(parts["backbone"] != "raw", "raw pixels")
    cell = figures["mean"].map("{:.2f} px, ".format) + (100 * figures["exact"]).map("{:.1f} %".format)
    table = pd.DataFrame({"backbone": backbone, "pooling": parts["pooling"], "cell": cell}).pivot_table(
        index="backbone", columns="pooling", values="cell", aggfunc="first"
    )
    order = ["avg", "max", "flatten", "spatialsoftmax", "heatmap", "extrema"]
    seeds = ", ".join(map(str, made.rows[0].seeds))
    head = f"Mean pixel error and share exact on the test images, over seeds {seeds}.\n\n"
    lines = ["| backbone | " + " | ".join(order) + " |", "| :-- |" + " --: |" * len(order)]
    lines += ["| " + " | ".join([str(name), *row]) + " |" for name, row in zip(table.index, table[order].to_numpy())]
    return "# The probe\n\n" + head + "\n".join(lines) + "\n"


@app.command()
def tasks(threads: Threads = 1, seeds: int = 3) -> None:
    """The extrema head, one configuration, on every task; beside a heatmap where it is not made for the point."""
    part, confirmed = Part("."), Part("confirmed")
    how = ("--seeds", seeds, "--threads", threads)
    for task in (*EXACT[1:], *OTHER):
        rows = ["extrema", *(["heatmap"] if task in OTHER[:2] else [])]
        part.run(*chosen(rows), "--task", task, *how)
    part.run("-d", "extrema", "--task", "all-digits", "--data", "mnist5k", *how)
    confirmed.run("-d", "extrema", "--seeds", seeds)
    for task in EXACT:
        for data in ("tiny-wide", "tiny-moved") if task in MOVED else ("tiny-wide",):
            confirmed.run("-d", "extrema", "--task", task, "--data", data, *how)
    part.publish()
    confirmed.publish()
    tables()


@app.command()
def processors(seeds: int = 3) -> None:
    """Keypoint R-CNN on the instruction sets that one processor can be told to keep to."""
    for name, settings in PROCESSORS.items():
        part = Part(f"processors/{name}")
        part.run("-d", "keypointrcnn", "--seeds", seeds, settings=settings)
        part.publish()
    tables()


def processor_table() -> str:
    """A row an instruction set: mean px and exact % of every seed, and their spread."""
    import numpy as np

    lines = []
    means: list[list[float]] = []
    seeds: list[int] = []
    processor = ""
    for name in PROCESSORS:
        runs = [
            run.record
            for run in open_results(PUBLISHED / "processors" / name).runs()
            if run.record.config.name == "keypointrcnn"
        ]
        runs.sort(key=lambda record: record.seed)
        seeds, processor = [record.seed for record in runs], runs[0].facts.processor
        means.append([record.scores["mean"] for record in runs])
        cells = [f"{record.scores['mean']:.3f} px, {100 * record.scores['exact']:.1f} %" for record in runs]
        label = runs[0].facts.instruction_set.replace("_", "\\_")
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {np.mean(means[-1]):.3f} px |")
    (board,) = boards(open_results(PUBLISHED / "topleft@1-tiny.bundle.zip"))
    for run in board.row("keypointrcnn").runs:
        cells = [f"{run.record.scores['mean']:.3f} px, {100 * run.record.scores['exact']:.1f} %", *["–"] * len(seeds)]
        lines.append(f"| another processor: {run.record.facts.hardware}, as on the board | " + " | ".join(cells) + " |")
    table = np.array(means)
    return (
        "# One detector, one key, three instruction sets\n\n"
        "`keypointrcnn` on topleft, tiny: the same key each time, so the same data, parameters, seeds and threads. A "
        f"processor ({processor}) was told to round as others do; what the network learns then differs, as it does with "
        "another seed. A row's spread over seeds includes this: on a machine of another kind expect one of these figures, not "
        "the same one.\n\n"
        "| instruction set | " + " | ".join(f"seed {seed}" for seed in seeds) + " | mean |\n"
        "| :-- |" + " --: |" * (len(seeds) + 1) + "\n" + "\n".join(lines) + "\n\n"
        f"Standard deviation between seeds of one instruction set: {table.std(axis=1, ddof=1).mean():.3f} px on average; "
        f"between instruction sets with one seed: {table.std(axis=0, ddof=1).mean():.3f} px.\n"
    )


def plot(kind: str) -> dict[str, Any]:
    """The specification, with its data, of a plot of the README."""
    (made,) = boards(open_results(PUBLISHED / "topleft@1-tiny.bundle.zip"))
    return document(made, load(kind), rows=PLOTS[kind])


@app.command()
def tables() -> None:
    """Every table and plot of what is published, from the bundles alone."""
    expected.cache_clear()
    write(boards(open_results(PUBLISHED)), PUBLISHED)
    write_text(SCHEMA, schema_text())
    expected.cache_clear()
    write_text(PUBLISHED / "confirmed" / "LEADERBOARD.md", markdown(boards(open_results(PUBLISHED / "confirmed"))))
    write_text(PUBLISHED / "ablations" / "ABLATIONS.md", ablation_table())
    write_text(PUBLISHED / "probe" / "PROBE.md", probe_table())
    if (PUBLISHED / "processors").is_dir():
        write_text(PUBLISHED / "processors" / "PROCESSORS.md", processor_table())
    for kind in PLOTS:
        write_plot(plot(kind), PUBLISHED / f"{kind}.svg")


if __name__ == "__main__":
    app()
