"""Commands that pack results into files to publish, and unpack them: bundle, unbundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import Results, say, waiting
from benchmark.structures import UserError

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


@app.command(
    epilog="Example: python -m benchmark unbundle leaderboard/published/topleft@1-tiny.bundle.zip --results results"
)
def unbundle(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Bundles, or folders of bundles.")],
    results: Results = Path("results"),
) -> None:
    """Unpack bundles into a folder of results, every run verified; one that is there already, made later, stays."""
    from benchmark.runs.bundle import SUFFIX, Bundle, unpack
    from benchmark.runs.store import Store, results_folder

    store = Store(results_folder(results))
    for file in [one for path in files for one in (sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path])]:
        with waiting("unpacking"):
            bundle = Bundle(file)
            written = unpack(bundle, store)
        count = len(list(bundle.runs()))
        there = "" if written == count else f"; {count - written} are there already"
        say(f"{file}: {written} of {count} runs written into {store.root}{there}")
