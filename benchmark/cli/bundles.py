"""Commands that make files to publish of results: bundle, unbundle, export-hf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark import files
from benchmark.cli.options import BoardData, BoardTask, Results, say, waiting
from benchmark.structures import UserError
from benchmark.suggestions import suggestion

app = typer.Typer()


@app.command(epilog="Example: python -m benchmark bundle --results results --out bundles")
def bundle(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write the bundles into.")],
    results: Results = Path("results"),
) -> None:
    """Pack results into one file a board: records, predictions and what they were scored against; no weights."""
    from benchmark.runs.bundle import open_results, write_bundles

    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder")
    with waiting("packing"):
        written = write_bundles(open_results(results), out)
    for path in written:
        say(f"{path}: {path.stat().st_size / 1024:,.0f} KiB")


@app.command(epilog="Example: python -m benchmark unbundle studies/topleft/runs --results results")
def unbundle(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Bundles, or folders of bundles.")],
    results: Results = Path("results"),
) -> None:
    """Unpack bundles into a folder of results, every run verified; one that is there already, made later, stays."""
    from benchmark.runs.bundle import SUFFIX, Bundle, unpack
    from benchmark.runs.store import Store, results_folder

    store = Store(results_folder(results))
    for file in [one for path in paths for one in (sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path])]:
        with waiting("unpacking"):
            bundle = Bundle(file)
            written = unpack(bundle, store)
        count = len(list(bundle.runs()))
        there = "" if written == count else f"; {count - written} are there already"
        say(f"{file}: {written} of {count} runs written into {store.root}{there}")


@app.command(
    "export-hf",
    epilog="Example: python -m benchmark export-hf heatmap --task topleft --model me/heatmap --out results.yaml",
)
def export_hf(
    row: Annotated[str, typer.Argument(metavar="ROW", help="A row of a board, by its detector or its label.")],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="What the model is called on the hub.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="YAML file to write.")],
    task: BoardTask = None,
    data: BoardData = None,
    source: Annotated[
        str, typer.Option("--source", metavar="URL", help="A link to where the figures are published.")
    ] = "",
    results: Results = Path("results"),
) -> None:
    """Write a row as Hugging Face's evaluation results: YAML for the header of a model card. Nothing is sent."""
    from benchmark.runs.bundle import open_results
    from leaderboard.render.hugging_face import as_yaml
    from leaderboard.which import boards_on

    files.check_ending(out, "a file of evaluation results", (".yaml", ".yml"))
    if source and not source.startswith(("https://", "http://")):
        raise UserError(f"source {source}: give a link that begins with https://")
    with waiting("scoring"):
        every = boards_on(open_results(results), task, data)
    found = [(board, one) for board in every for one in board.finished if row in (one.label, one.config.detector)]
    if len(found) != 1:
        rows = ", ".join(f"{one.label} ({board.task} on {board.data})" for board, one in found)
        known = {one.label for board in every for one in board.finished}
        raise UserError(
            f"row {row!r}: there are {len(found)}, {rows}; choose with --task and --data, or by its label"
            if found
            else f"row {row!r}: no board has one{suggestion(row, sorted(known))}"
        )
    files.write_text(out, as_yaml(*found[0], model, source))
    say(f"{out}: {found[0][0].title}, {found[0][1].label}")
