"""Commands about data before anything is learned from it: inspect, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    AsJson,
    Category,
    DataName,
    GroupBy,
    Labels,
    Sigmas,
    Split,
    TaskName,
    TestShare,
    ValShare,
    console_for,
    say,
    waiting,
)
from benchmark.files import check_ending
from benchmark.structures import UserError

if TYPE_CHECKING:
    from datasets.agreement import Agreement
    from datasets.inspect import Inspection, Surveyed

app = typer.Typer()

SHOWN = 12  # images on the sheet


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
    from leaderboard.render.inspection import print_agreement, print_inspection

    if sigmas_out is not None and not labels:
        raise UserError("--sigmas-out: needs --labels, the same images labelled again")
    if sigmas_out is not None:
        check_ending(sigmas_out, "a file of sigmas", (".json",))
    if out is not None:
        check_ending(out, "a contact sheet", (".png",))
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
    console = console_for()
    print_inspection(found, console)
    if agreement is not None:
        print_agreement(agreement, console)
    for path in (sigmas_out, out):
        if path is not None:
            say(str(path))


@app.command(epilog="Example: python -m benchmark export --task topleft --data tiny --out my-folder")
def export(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Folder to write: new, empty, or an earlier export."),
    ],
    task: TaskName = None,
    data: DataName = "tiny",
    split: Split = 0,
    category: Category = "",
    sigmas: Sigmas = "",
    val: ValShare = None,
    test: TestShare = None,
    group_by: GroupBy = "",
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="coco (default), yolo-pose, slp or dlc.")
    ] = "coco",
) -> None:
    """Write a data set as a COCO keypoint folder (PNG images, three annotation files, a card), or for another tool."""
    from datasets.formats.reading import ReadOptions
    from datasets.load import export as write

    options = ReadOptions(category=category, sigmas=sigmas, val=val, test=test, group_by=group_by)
    with waiting("writing"):
        card = write(task, data, out, split=split, options=options, form=form)
    say(f"{out}: {card}")


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
