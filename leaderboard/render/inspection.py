"""What is in a data set, and how far two annotators differ, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.statistics.label_noise import Estimate
from datasets.agreement import Agreement
from datasets.inspect import Inspection
from leaderboard.render.printed import add, new_table, say
from leaderboard.render.words import numbered

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 12  # odd labels


def print_inspection(found: Inspection, console: Console) -> None:
    """Print counts, sizes and keypoints of a data set, and its oddest labels."""
    say(console, found.name)
    for note in found.notes:
        say(console, f"  {note}", "yellow")
    table = new_table(["split", "images", "instances", "labelled keypoints"])
    for name, counts in found.splits.items():
        add(table, [name, *(str(count) for count in counts.values())])
    console.print(table, highlight=False)
    several = len(found.sizes) > 4
    sizes = ", ".join(f"{w} x {h} px ({count})" for w, h, count in found.sizes[:4])
    say(console, f"sizes: {sizes}" + (f" and {len(found.sizes) - 4} more" if several else ""))
    say(console, "instances an image: " + ", ".join(f"{n} in {count}" for n, count in found.instances.items()))
    if len(found.categories) > 1 or found.crowds:
        listed = ", ".join(f"{name} ({count})" for name, count in found.categories.items())
        say(console, f"categories: {listed}" + (f"; {found.crowds} crowds" if found.crowds else ""))
    if found.groups is not None:
        say(console, f"groups: {found.groups}")
    table = new_table(["keypoint", "labelled", "%", "hidden", "spread px", "of box %", "sigma"])
    for point, sigma in zip(found.keypoints, found.sigmas):
        cells = [
            point.name,
            str(point.labelled),
            f"{100 * point.share:.0f}",
            str(point.labelled - point.visible),
            "" if point.spread_px is None else f"{point.spread_px:.1f}",
            "" if point.spread_box is None else f"{100 * point.spread_box:.0f}",
            f"{sigma:g}",
        ]
        add(table, cells)
    console.print(table, highlight=False)
    for a, b, title in found.usual_pairs:
        say(console, f"errors relative to {title}: leaderboard or score with --pair {a},{b}")
    if not found.odd:
        say(console, "no label looks odd")
        return
    say(console, f"{len(found.odd)} label{'s look' if len(found.odd) > 1 else ' looks'} odd:")
    for odd in found.odd[:SHOWN]:
        what = f" {odd.keypoint}" if odd.keypoint else ""
        say(console, f"  {odd.split} {odd.image}, instance {odd.instance}{what}: {odd.kind} ({odd.measure:g})")
    if len(found.odd) > SHOWN:
        say(console, f"  and {len(found.odd) - SHOWN} more (--json lists all)")


def print_agreement(found: Agreement, console: Console) -> None:
    """Print how noisy each keypoint's labels are, and where the two annotators differ most."""
    console.print()
    over = numbered(found.groups, "group") if found.groups else "images"
    twice = f"{numbered(found.images, 'image')} with {numbered(found.instances, 'instance')}"
    say(
        console,
        f"against {found.other}: {twice} labelled twice; 95 % intervals over {over}",
    )
    for note in found.notes:
        say(console, f"  {note}", "yellow")
    table = new_table(["keypoint", "both", "one", "slips", "sigma px", "COCO sigma", "floor px", "offset x, y px"])
    for point in found.keypoints:
        noise = point.noise
        cells = [
            point.name,
            str(noise.points),
            f"{point.only_first} + {point.only_second}",
            str(noise.slips),
            _with_interval(noise.sigma, ".2f"),
            _with_interval(noise.coco_sigma, ".4f"),
            _with_interval(noise.floor, ".2f"),
            "" if noise.offset is None else ", ".join(f"{x.value:+.2f} ±{x.high - x.value:.2f}" for x in noise.offset),
        ]
        add(table, cells)
    console.print(table, highlight=False)
    if found.floor is not None:
        say(
            console,
            f"floor: {_with_interval(found.floor, '.3f')} px, the mean error that a perfect detector would be measured to "
            "have; run --labels puts it on boards",
        )
    say(
        console,
        "one: labelled by the data + by the other alone; sigma: one annotator's noise along an axis; offset: data - other,",
    )
    say(
        console,
        "which sigma px and floor leave out, as whoever learns from one annotator learns the habit; COCO's sigma does not",
    )
    for one in found.disagreements[: SHOWN // 2]:
        say(
            console,
            f"  {one.image} {one.keypoint}: {one.pixels:.1f} px apart" + (", likely a slip" if one.slip else ""),
        )


def _with_interval(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
