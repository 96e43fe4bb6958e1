"""A run made again, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboard.render.printed import add, new_table, say
from leaderboard.render.words import numbered
from leaderboard.reproduce import Reproduction

if TYPE_CHECKING:
    from rich.console import Console

MOST = 10  # predictions that moved
STYLES = {"identical": "bold green", "within": "bold yellow", "different": "bold red", "failed": "bold red"}


def print_reproduction(report: Reproduction, console: Console) -> None:
    """Print the verdict with its figures, what differs in how the two were made, and the predictions that moved most."""
    say(console, f"{report.title}: {verdict(report)}", STYLES[report.verdict])
    if report.facts:
        rows = new_table(["made with", "then", "now"], names=(0, 1, 2))
        for fact in report.facts:
            add(rows, [fact.fact, fact.then or "none", fact.now or "none"])
        console.print(rows, highlight=False)
    else:
        say(console, "code, versions and processor are the same")
    if report.counts:
        say(console, f"{numbered(report.counts, 'image')} with more or fewer predictions")
    if report.scores:
        say(console, "confidences differ")
    if report.moved:
        say(console, f"{numbered(len(report.moved), 'prediction')} moved; the farthest:")
        rows = new_table(["image", "file", "keypoint", "from", "to", "px"], names=(1, 2))
        for one in report.moved[:MOST]:
            places = [f"{x:.3f}, {y:.3f}" for x, y in (one.before, one.after)]
            add(rows, [str(one.image_id), one.file_name, one.keypoint, *places, f"{one.px:.3g}"])
        console.print(rows, highlight=False)


def verdict(report: Reproduction) -> str:
    """What came of it, in a sentence."""
    if report.verdict == "failed":
        return f"cannot be made any more: {report.error}"
    if report.verdict == "identical":
        return "identical: every prediction is the same to the bit"
    words = "within its interval" if report.verdict == "within" else "different"
    chance = report.chance
    if chance is None:
        return f"{words}: one of the two has no mean error"
    means = f"mean {report.then:.4f} px, and {report.now:.4f} px made again"
    if chance.of == "seeds":
        return f"{words}: {means}; one more seed of this row would lie in {chance.low:.4f} to {chance.high:.4f} px ({chance.seeds} seeds)"
    return f"{words}: {means}; the difference over images, {chance.value:+.4f} px, lies in {chance.low:+.4f} to {chance.high:+.4f} px"
