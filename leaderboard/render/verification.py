"""A verified bundle, in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leaderboard.audit import STATUSES, Check
from leaderboard.render import audit_words
from leaderboard.render.audit_words import Checked
from leaderboard.render.printed import say
from leaderboard.render.reproduction import STYLES, verdict
from leaderboard.render.terminal import print_checks
from leaderboard.render.words import numbered
from leaderboard.verify import Verification

if TYPE_CHECKING:
    from rich.console import Console


def _sample(runs: int, of: int, failed_before: bool, **verdicts: int) -> str:
    if failed_before:
        return "not made again, since something failed before"
    counts = ", ".join(f"{count} {name}" for name, count in verdicts.items() if count)
    return f"{runs} of {numbered(of, 'run')} made again{': ' + counts if counts else ''}"


WORDS: dict[str, tuple[str, Callable[..., str]]] = {
    "submission": ("submission", lambda: "who submits it, under which licence, what it learned from"),
    "board": ("one board", lambda runs: f"{numbered(runs, 'run')}, all finished"),
    "data": (
        "data",
        lambda data: f"{data}: made anew or read again, its content and annotations are those of the runs",
    ),
    "names": ("names", lambda rows: f"{numbered(rows, 'row')}: none is called or marked as what it is not"),
    "environment": ("environment", lambda runs: f"{numbered(runs, 'run')}: processor and versions are said"),
    "sample": ("sample", _sample),
}
"""Check -> its title, and what says on how much; those of the audit are in `leaderboard.render.audit_words`."""


def print_verification(found: Verification, console: Console) -> None:
    """Print who submits, every check, the runs that were made again, and the outcome."""
    if about := found.submission:
        contact = f" ({about.contact})" if about.contact else ""
        say(console, f"{about.name}{contact}, {about.license}{', ' + about.code if about.code else ''}", "bold")
        say(console, f"rows: {', '.join(found.rows)}; learned from: {about.training_data}", wrap=True)
    print_checks([(check, in_words(check)) for check in found.checks], console)
    for one in found.again:
        say(console, f"{one.title}: {verdict(one)}", STYLES[one.verdict])
    counts = ", ".join(f"{sum(check.status == status for check in found.checks)} {status}" for status in STATUSES)
    outcome = "does not stand" if found.failed else "stands"
    say(
        console,
        f"{found.path}: {outcome}; {numbered(found.runs, 'run')}, checks: {counts}; --seed {found.seed}",
        "bold",
    )


def in_words(check: Check) -> Checked:
    """A check in words, with its title, how it came out, and on how much."""
    if check.code not in WORDS:
        return audit_words.check(check)
    title, detail = WORDS[check.code]
    return Checked(title, check.status, detail(**check.values))
