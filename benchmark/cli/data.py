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
    Labels,
    Sigmas,
    Split,
    TaskName,
    console_for,
    say,
    waiting,
)
from benchmark.structures import UserError

if TYPE_CHECKING:
    from benchmark.statistics.label_noise import Estimate
    from datasets.agreement import Agreement
    from datasets.inspect import Inspection, Surveyed

app = typer.Typer()

SHOWN = 12  # odd labels, and images on the sheet


@app.command(epilog="Example: python -m benchmark inspect my-photos --out sheet.png")
def inspect(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder or file (see: run --data), or a preset.")],
    task: TaskName = None,
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    group_by: GroupBy = "",
    labels: Labels = "",
    sigmas_out: Annotated[
        Path | None,
        typer.Option(
            "--sigmas-out", metavar="FILE", help="With --labels: JSON to write, COCO's sigmas as --sigmas reads them."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="PNG to draw: the oddest labels and random images; with --labels what differs most.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is in a data set: counts, sizes, keypoints, labels that look odd; with --labels, how noisy labels are."""
    from datasets.agreement import compare_labels, write_sigmas
    from datasets.formats.reading import ReadOptions
    from datasets.inspect import inspect as look
    from datasets.load import survey

    if sigmas_out is not None and not labels:
        raise UserError("--sigmas-out: needs --labels, the same images labelled again")
    options = ReadOptions(category=category, sigmas=sigmas, group_by=group_by)
    with waiting("reading"):
        surveyed = survey(task, data, split=split, options=options)
        found = look(surveyed)
        agreement = compare_labels(surveyed, labels, options) if labels else None
    if sigmas_out is not None and agreement is not None:
        write_sigmas(sigmas_out, agreement)
    if out is not None:
        _draw(surveyed, found, out) if agreement is None else _draw_disagreements(surveyed, agreement, out)
    if as_json:
        compared = {} if agreement is None else {"agreement": agreement.as_dict()}
        print(json.dumps({**found.as_dict(), **compared}, allow_nan=False))
        return
    _print(found)
    if agreement is not None:
        _print_agreement(agreement)
    for path in (sigmas_out, out):
        if path is not None:
            say(str(path))


def _print(found: Inspection) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    console = console_for()
    say(found.name)
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
    say(f"{len(found.odd)} label{'s look' if len(found.odd) > 1 else ' looks'} odd:")
    for odd in found.odd[:SHOWN]:
        what = f" {odd.keypoint}" if odd.keypoint else ""
        say(f"  {odd.split} {odd.image}, instance {odd.instance}{what}: {odd.kind} ({odd.measure:g})")
    if len(found.odd) > SHOWN:
        say(f"  and {len(found.odd) - SHOWN} more (--json lists all)")


def _print_agreement(found: Agreement) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    console = console_for()
    say("")
    over = f"{found.groups} groups" if found.groups else "images"
    say(
        f"against {found.other}: {found.images} images with {found.instances} instances labelled twice; "
        f"95 % intervals over {over}"
    )
    for note in found.notes:
        console.print(f"  {note}", style="yellow", markup=False, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("keypoint", "both", "one", "slips", "sigma px", "COCO sigma", "floor px", "offset x, y px"):
        table.add_column(name, justify="left" if name == "keypoint" else "right")
    for point in found.keypoints:
        noise = point.noise
        table.add_row(
            escape(point.name),
            str(noise.points),
            f"{point.only_first} + {point.only_second}",
            str(noise.slips),
            _with_interval(noise.sigma, ".2f"),
            _with_interval(noise.coco_sigma, ".4f"),
            _with_interval(noise.floor, ".2f"),
            "" if noise.offset is None else ", ".join(f"{x.value:+.2f} ±{x.high - x.value:.2f}" for x in noise.offset),
        )
    console.print(table)
    if found.floor is not None:
        say(
            f"floor: {_with_interval(found.floor, '.3f')} px, the mean error that a perfect detector would be measured to "
            "have; run --labels puts it on boards"
        )
    say(
        "one: labelled by the data + by the other alone; sigma: one annotator's noise along an axis; offset: data - other,"
    )
    say(
        "which sigma px and floor leave out, as whoever learns from one annotator learns the habit; COCO's sigma does not"
    )
    for one in found.disagreements[: SHOWN // 2]:
        say(f"  {one.image} {one.keypoint}: {one.pixels:.1f} px apart" + (", likely a slip" if one.slip else ""))


def _with_interval(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def _draw_disagreements(dataset: Surveyed, found: Agreement, out: Path) -> None:
    from datasets.dataset import pooled
    from leaderboard.disagreement_sheet import disagreement_sheet

    whole = pooled([part for part in dataset.splits.values() if len(part)])
    disagreement_sheet(whole.images, found.disagreements[:SHOWN], out)


def _draw(dataset: Surveyed, found: Inspection, out: Path) -> None:
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
