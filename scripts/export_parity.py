"""How exported graphs answer beside their detectors: distances, paired intervals, milliseconds; a row a detector.

    python scripts/export_parity.py                                 # on topleft, 20 steps of fitting each: parity asks for no more
    python scripts/export_parity.py gap simcc --data photos --budget recipe

Detectors are fitted on one thread and asked about all test images. What cannot be exported says why.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.api import grid_config, run_grid
from benchmark.exported.export import export_model
from benchmark.structures import UserError

NAMES = ["net3", "gap", "flatten", "spatial-softmax", "resnet18", "stn", "heatmap", "heatmap-dark", "integral", "simcc"]
MORE = ["gumbel", "extrema", "rle", "vit", "mobilenet", "tabular", "keypointrcnn"]


def main(
    detectors: Annotated[list[str] | None, typer.Argument(help="Which; default some of every family.")] = None,
    data: Annotated[str, typer.Option(help="A preset, or a folder.")] = "tiny",
    budget: Annotated[str, typer.Option(help="How long each is fitted.")] = "20steps",
    n: Annotated[int, typer.Option(help="Training images.")] = 100,
) -> None:
    """Fit, export, and print the table."""
    print("| detector | images | largest px | difference of means, px | processor ms an image | in onnxruntime | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in detectors or [*NAMES, *MORE]:
            asked = grid_config(
                name,
                data=data,
                n=[n],
                budget=budget,
                threads=1,
                save_weights=True,
                results=str(Path(scratch, "results")),
            )
            (run,) = [one for one in run_grid(asked) if one.record.config.detector == name]
            try:
                done = export_model(run.folder, Path(scratch, "model.onnx"))
            except UserError as error:
                print(f"| {name} | {error} |", flush=True)
                continue
            p = done.about.parity
            span = "" if p.difference_px is None else f"{p.difference_px:+.0e} [{p.low_px:+.0e}, {p.high_px:+.0e}]"
            cells = [name, p.images, f"{p.largest_px:.0e}", span, f"{p.detector_ms:.2f}", f"{p.graph_ms:.2f}"]
            print("| " + " | ".join(map(str, [*cells, f"{done.bytes / 1e6:.1f}"])) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
