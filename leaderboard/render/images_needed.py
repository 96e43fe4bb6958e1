"""How many training images detectors need, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.statistics.learning_curve import LEVEL, Needed, Reason
from benchmark.statistics.power_laws import FARTHEST
from leaderboard.images_needed import DetectorNeeds, Target
from leaderboard.render.printed import new_table, say

if TYPE_CHECKING:
    from rich.console import Console

NONE = "–"
CANNOT = "cannot say: "
BARS = "▁▂▃▄▅▆▇█"


def print_needs(title: str, target: Target, found: Sequence[DetectorNeeds], console: Console) -> None:
    """Print a row a detector: its curve, the number, and its interval or why there is none.

    Args:
        title: What was asked about.
        target: What is to be reached.
        found: At least one.
        console: Where to.
    """
    from rich.markup import escape

    wanted = f"{100 * target.value:.4g} % exact" if target.exact else f"a mean error of {target.value:.4g} px"
    say(console, f"{title}: training images needed for {wanted}", "bold", wrap=True)
    unit = "exact %" if target.exact else "px"
    table = new_table(["detector", "trained on", unit, "", "images", f"{100 * LEVEL:g} % interval"], names=(0,))
    for i in (1, 2, 3, 5):
        table.columns[i].justify = "left"
    for i in (1, 2, 5):  # broken where they are long, for a reason has to be read
        table.columns[i].no_wrap = False
    for one in found:
        values = [value for value, _, _ in one.figures]
        cells = [
            one.detector,
            " ".join(f"{n:,}" for n in one.sizes),
            " ".join(f"{100 * value:.1f}" if target.exact else f"{value:.3g}" for value in values),
            curve_line(values),
            number(one.needed),
            interval(one.needed, one.sizes[-1]),
        ]
        table.add_row(*map(escape, cells))
    console.print(table, highlight=False)
    seeds = sorted({one.curve.seeds for one in found if one.curve})
    counted = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}" if seeds else "no"
    about = f"Means over {counted} {'seed' if counted == '1' else 'seeds'}, each with nested training images of its own; images for validation come on top."
    say(console, about, "dim", wrap=True)
    if any((one.needed.high or 0) > one.sizes[-1] for one in found):
        say(
            console,
            "Foretold: beyond the largest size measured, where the curve is taken to go on as a power law that may end on a "
            f"floor; never for more than {FARTHEST:g} times that size.",
            "dim",
            wrap=True,
        )
    if any(one.needed.reason for one in found):
        say(console, "Sizes nearer to the target, or more seeds, say more than any law.", "dim", wrap=True)


def curve_line(values: Sequence[float]) -> str:
    """A curve as a line of text: a bar a size, from 0 to the largest value."""
    most = max(values, default=0.0)
    return "".join(BARS[round(value / most * (len(BARS) - 1)) if most > 0 else 0] for value in values)


def number(needed: Needed) -> str:
    """How many images, to two digits where they are foretold; a dash where it cannot be said."""
    if needed.images is None:
        return NONE
    if needed.how == "smallest":
        return f"{needed.images:,} or fewer"
    return f"{rough(needed.images):,}" if needed.how == "foretold" else f"{needed.images:,}"


def interval(needed: Needed, largest: int) -> str:
    """From how many to how many, and whether that lies beyond the largest size; or why it cannot be said."""
    if needed.reason is not None:
        return CANNOT + why(needed.reason)
    if needed.high is None or needed.images is None:
        return NONE
    if needed.how == "foretold":
        low = rough(needed.low or needed.images, down=True)
        return f"{low:,} to {rough(needed.high, up=True):,}, foretold"
    beyond = f", beyond {largest:,} foretold" if needed.high > largest else ""
    start = "up" if needed.low is None else f"{needed.low:,}"
    return f"{start} to {needed.high:,}{beyond}"


def rough(images: int, *, up: bool = False, down: bool = False) -> int:
    """A number of images with two digits: the nearest, or rounded up or down."""
    step = int(10 ** max(len(str(images)) - 2, 0))
    return (-(-images // step) if up else images // step if down else round(images / step)) * step


def why(reason: Reason) -> str:
    """A reason in words."""
    values = reason.values
    composed = {"wide": _wide, "not_foretold": _not_foretold, "floor": _floor, "far": _far}
    if reason.code in composed:
        return composed[reason.code](values)
    return {
        "one_size": "it was trained on {size} images alone (run --n 10 --n 25 --n 50 --n 100)",
        "one_seed": "its sizes share one seed, which may have drawn lucky images (run --seeds 5)",
        "other_images": "its sizes were not asked about the same images",
        "rises": "more images made it worse, from {from} to {to}",
        "few_sizes": "{largest} images do not surely reach it, and a curve needs {fewest} sizes to be drawn on, not {sizes}",
        "no_fall": "{to} images do not surely reach it, and are not shown to be better than {from}",
        "misfit": "{largest} images do not surely reach it, and its curve is no power law",
    }[reason.code].format(**values)


def _wide(values: Mapping[str, Any]) -> str:
    means = f" (the means meet it at {values['means']:,})" if values["means"] else ""
    if values["high"] is None:
        return f"{values['low']:,} or more, and how many more is open{means}"
    return f"anything from {values['low']:,} to {values['high']:,}{means}"


def _not_foretold(values: Mapping[str, Any]) -> str:
    low, high, measured = (
        f"{100 * (1 - value):.1f}" if values["share"] else f"{value:.3g}"
        for value in (values["low"], values["high"], values["measured"])
    )
    low, high, unit = (high, low, "% exact") if values["share"] else (low, high, "px")
    return (
        f"up to {values['from']:,} images it foretold {low} to {high} {unit} at {values['size']:,}, and {measured} came"
    )


def _floor(values: Mapping[str, Any]) -> str:
    least = f" (if ever, with {values['low']:,} or more)" if values["low"] else ""
    return f"it levels off before{least}"


def _far(values: Mapping[str, Any]) -> str:
    least = f"{values['low']:,} or more, likely" if values["low"] else "likely"
    return f"{least} more than {values['farthest']:,}, {values['times']:g} times what was measured"
