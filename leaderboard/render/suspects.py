"""Likely wrong labels, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard.render.printed import add, new_table, say
from leaderboard.suspects import Suspects

if TYPE_CHECKING:
    from rich.console import Console

LISTED = 40  # in the table


def print_suspects(found: Suspects, console: Console) -> None:
    """Print a row a suspicious label, who was asked, and what these could not have seen."""
    asked = ", ".join(f"{name} (median {error:g} px)" for name, error in found.detectors.items() if error is not None)
    say(console, f"asked: {asked}")
    if len(found.families) == 1 and len(found.detectors) > 1:
        say(
            console, f"  all of one family ({found.families[0]}): what they get wrong together looks like a wrong label"
        )
    say(console, f"{found.judged:,} of {found.labelled:,} labels judged")
    if found.judged < found.labelled:
        say(
            console,
            f"  the others have fewer than two answers, or their keypoint has fewer than {found.enough} judged labels",
        )
    if not found.found:
        say(console, "no label is suspicious")
    else:
        count = sum(len(one.keypoints) for one in found.found)
        say(
            console,
            f"{count} label{'s are' if count > 1 else ' is'} likely wrong (of so many about "
            f"{100 * found.level:.0f} % by chance), the most evident first:",
        )
        table = new_table(
            ["image", "instance", "keypoint", "what", "px", "proposed (x, y)", "-log10 p"],
            names=(0, 2, 3, 5),
        )
        for one in found.found[:LISTED]:
            after = "" if one.distance_after is None else f" -> {one.distance_after:.1f}"
            cells = [
                f"{one.split} {one.image}",
                str(one.instance),
                ", ".join(one.keypoints),
                one.kind,
                f"{one.distance:.1f}{after}",
                "; ".join(f"{x:.1f}, {y:.1f}" for x, y in one.proposed[:2]) + (" ..." if len(one.proposed) > 2 else ""),
                f"{one.evidence:.1f}",
            ]
            add(table, cells)
        console.print(table, highlight=False)
        if len(found.found) > LISTED:
            say(console, f"  and {len(found.found) - LISTED} more (--json lists all)")
    _print_power(found, console)


def _print_power(found: Suspects, console: Console) -> None:
    """What these detectors could not have seen."""
    seen = [one.seen_from for one in found.power if one.judged and one.seen_from is not None]
    blind = [one.keypoint for one in found.power if one.judged and one.seen_from is None]
    if seen:
        low, high = f"{min(seen):.3g}", f"{max(seen):.3g}"
        spread = low if low == high else f"{low} to {high}"
        say(console, f"a label moved by less than about {spread} px (as the keypoint is) would mostly not be seen")
    if blind:
        say(console, f"no moved label would be seen of {', '.join(blind)}: these detectors err too much")
    swaps = [one.exchanges_seen for one in found.power if one.exchanges_seen is not None]
    if swaps:
        say(console, f"of labels exchanged with another keypoint's {100 * sum(swaps) / len(swaps):.0f} % would be seen")
    say(console, "more precise detectors, or more seeds of these, see more")
