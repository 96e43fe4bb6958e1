"""Commands about data before anything is learned from it: inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    AsJson,
    Category,
    GroupBy,
    Sigmas,
    Split,
    TaskName,
    TestShare,
    ValShare,
    console_for,
    say,
    waiting,
)

if TYPE_CHECKING:
    from datasets.dataset import Dataset
    from datasets.inspect import Inspection

app = typer.Typer()

SHOWN = 12  # odd labels, and images on the sheet


@app.command(epilog="Example: python -m benchmark inspect my-photos --out sheet.png")
def inspect(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder or file (see: run --data), or a preset.")],
    task: TaskName = None,
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="PNG to draw: the oddest labels and random images.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is in a data set: counts, sizes, keypoints, what was mended when it was read, labels that look odd."""
    from datasets.formats.reading import ReadOptions
    from datasets.inspect import inspect as look
    from datasets.load import load

    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    with waiting("reading"):
        dataset = load(task, data, split=split, options=options)
        found = look(dataset)
    if out is not None:
        _draw(dataset, found, out)
    if as_json:
        print(json.dumps(found.as_dict(), allow_nan=False))
        return
    _print(found)
    if out is not None:
        say(str(out))


def _print(found: Inspection) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    console = console_for()
    say(f"{found.name}, data {found.digest[:12]}")
    for note in found.notes:
        console.print(f"  {note}", style="yellow", markup=False, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("split", "images", "instances", "labelled keypoints"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for name, counts in found.splits.items():
        table.add_row(name, *(str(count) for count in counts.values()))
    console.print(table)
    several = len(found.sizes) > 4
    sizes = ", ".join(f"{w} x {h} px ({count})" for w, h, count in found.sizes[:4])
    say(f"sizes: {sizes}" + (f" and {len(found.sizes) - 4} more" if several else ""))
    say("instances an image: " + ", ".join(f"{n} in {count}" for n, count in found.instances.items()))
    if len(found.categories) > 1 or found.crowds:
        listed = ", ".join(f"{name} ({count})" for name, count in found.categories.items())
        say(f"categories: {listed}" + (f"; {found.crowds} crowds" if found.crowds else ""))
    if found.groups is not None:
        say(f"groups: {found.groups}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("keypoint", "labelled", "%", "hidden", "spread px", "of box %", "sigma"):
        table.add_column(name, justify="left" if name == "keypoint" else "right")
    for point, sigma in zip(found.keypoints, found.sigmas):
        table.add_row(
            escape(point.name),
            str(point.labelled),
            f"{100 * point.share:.0f}",
            str(point.labelled - point.visible),
            "" if point.spread_px is None else f"{point.spread_px:.1f}",
            "" if point.spread_box is None else f"{100 * point.spread_box:.0f}",
            f"{sigma:g}",
        )
    console.print(table)
    for a, b, title in found.usual_pairs:
        say(f"errors relative to {title}: leaderboard or score with --pair {a},{b}")
    if not found.odd:
        say("no label looks odd")
        return
    say(f"{len(found.odd)} labels look odd:")
    for odd in found.odd[:SHOWN]:
        what = f" {odd.keypoint}" if odd.keypoint else ""
        say(f"  {odd.split} {odd.image}, instance {odd.instance}{what}: {odd.kind} ({odd.measure:g})")
    if len(found.odd) > SHOWN:
        say(f"  and {len(found.odd) - SHOWN} more (--json lists all)")


def _draw(dataset: Dataset, found: Inspection, out: Path) -> None:
    """The oddest labels of every kind, then images drawn at random (the same at every call)."""
    import numpy as np

    from datasets.dataset import pooled
    from leaderboard.annotation_sheet import annotation_sheet

    parts = {name: part for name, part in dataset.splits.items() if len(part)}
    starts = dict(zip(parts, np.cumsum([0, *(len(part) for part in parts.values())]).tolist()))
    whole = pooled(list(parts.values()))
    places = {
        (name, file): starts[name] + i
        for name, part in parts.items()
        for i, file in enumerate(part.annotations.file_names)
    }
    captions: dict[int, str] = {}
    for odd in found.odd:
        captions.setdefault(places[odd.split, odd.image], f"{odd.image}: {odd.keypoint} {odd.kind}")
    chosen = list(captions)[: SHOWN // 2]
    for i in np.random.default_rng(0).permutation(len(whole)).tolist():
        if len(chosen) < min(SHOWN, len(whole)) and i not in chosen:
            chosen.append(i)
    names = [captions.get(i, whole.annotations.file_names[i].partition("-")[2]) for i in chosen]
    annotation_sheet(whole.images, whole.annotations, chosen, names, out)
