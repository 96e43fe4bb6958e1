"""Boards, comparisons, audits and scored files in a terminal, as wide as that is.

A narrow terminal gets the columns that matter most, a wide one all of them. How to read a board, and what its letters
mean, stands once below all boards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from leaderboard.audit import Check, Report
from leaderboard.board import Board
from leaderboard.compare import Comparison
from leaderboard.external import Scored
from leaderboard.honesty_gap import Gap
from leaderboard.keypoints import KeypointRow, keypoint_rows, keypoint_rows_of
from leaderboard.render import audit_words, words
from leaderboard.render.columns import NONE, Column, fit, keypoint_columns, unshown_marks
from leaderboard.render.printed import add, new_table, say
from leaderboard.render.reported import print_reported
from leaderboard.render.selection import ALL, Selection
from leaderboard.reported import reported
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_PROBLEMS = 8
MOST_IMAGES = 10
STATUS_STYLES = {"passed": "green", "failed": "bold red", "noted": "yellow", "not applicable": "dim"}
_say = partial(say, wrap=True)  # sentences, as wide as the console
TAXONOMY = "jitter: near the right point; inversion: at another keypoint of the instance; swap: at another instance's"


def print_boards(
    boards: Sequence[Board], console: Console, selection: Selection = ALL, *, reports: bool = False
) -> None:
    """Print boards, then how to read them.

    Args:
        boards: In the order they are printed.
        console: Its width decides which columns are shown.
        selection: Which rows and columns of them.
        reports: Whether to print, apart, what the notes reported of the same systems.
    """
    shown = [_print_board(board, console, selection, reports) for board in boards]
    if not boards:
        return
    unseen = set.intersection(*(set(unshown_marks(some)) for some in shown))
    console.print()
    for letter, meaning in words.legend(boards, without=tuple(unseen)):
        _say(console, f"{letter}  {meaning}", "dim")
    references = [words.REFERENCES] if any(board.references for board in boards) else []
    for rule in (*words.SHORT_RULES, *references):
        _say(console, rule, "dim")


def print_gaps(gaps: Sequence[Gap], console: Console) -> None:
    """Print the honesty gap of each detector."""
    first = gaps[0]
    _say(
        console,
        f"honesty gap over {words.numbered(first.images, 'image')} in {words.numbered(first.groups, 'group')}, px",
        "bold",
    )
    table = new_table(["detector", "grouped", "random", "gap", "95 % interval", "p"], names=(0,))
    for gap in gaps:
        found = gap.result
        span = f"{found.low:+.3f} to {found.high:+.3f}"
        figures = [f"{gap.grouped:.3f}", f"{gap.random:.3f}", f"{found.difference:+.3f}"]
        add(table, [gap.detector, *figures, span, words.p_value(found.p)])
    console.print(table)
    for gap in gaps:
        if gap.unmatched:
            over = words.numbered(gap.images, "image")
            _say(console, f"{gap.detector}: over {over}; of {gap.unmatched:,} more one way answered none", "yellow")
    _say(console, "grouped: folds keep groups whole, as new ones will be met; random: they do not.", "dim")
    _say(console, "A gap below 0 is how much too good random folds look; its interval is over groups.", "dim")


def print_keypoints(boards: Sequence[Board], console: Console, selection: Selection = ALL) -> None:
    """Print how well the rows of each board find every keypoint.

    Args:
        boards: In the order they are printed.
        console: Its width decides which columns are shown.
        selection: Which rows of them.
    """
    for board in boards:
        rows = keypoint_rows(selection.rows_of(board))
        console.print()
        _say(console, f"{board.title}: {words.size(board)}", "bold")
        if rows:
            console.print(_keypoints(rows, console.width), highlight=False)
        notes = [words.NOTES[note.code](**note.values) for note in board.notes if note.code == "pair"]
        for note in (*words.keypoint_notes(rows), *notes):
            _say(console, note, "dim")


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print how two rows differ, and the images that decide it."""
    result = comparison.result
    seeds = f"seed{'s' if len(comparison.seeds) > 1 else ''} {', '.join(map(str, comparison.seeds))}"
    images = words.numbered(len(comparison.images), "image")
    _say(console, f"{comparison.a} against {comparison.b}: {comparison.board}, {images}, {seeds}", "bold")
    _say(console, f"mean error   {comparison.errors_a.mean():.4f} px against {comparison.errors_b.mean():.4f} px")
    _say(console, f"difference   {result.difference:+.4f} px, 95 % interval {result.low:+.4f} to {result.high:+.4f}")
    _say(console, f"p value      {words.p_value(result.p)} ({words.statistic(result.method)})")
    for metric, of_a, of_b in words.pair_figures(comparison):
        _say(console, f"{metric:<12} {of_a} against {of_b}")
    _say(console, words.verdict(comparison), "bold")
    _say(console, f"power        {words.power(comparison.power)}")
    for note in comparison.notes:
        _say(console, words.comparison_note(note), "dim")
    deciding = comparison.deciding
    if not deciding:
        return
    decide, them = ("decides", "it") if len(deciding) == 1 else ("decide", "them")
    _say(console, f"{len(deciding):,} of {images} {decide} it: without {them} there is no difference; the largest:")
    table = new_table(["image", "file", f"{comparison.a} px", f"{comparison.b} px", "difference"], names=(1,))
    for image in deciding[:MOST_IMAGES]:
        add(
            table,
            [str(image.image_id), image.file_name, f"{image.a:.3f}", f"{image.b:.3f}", f"{image.a - image.b:+.3f}"],
        )
    console.print(table, highlight=False)


def print_audit(report: Report, console: Console) -> None:
    """Print a paragraph a check, and the outcome in a line."""
    print_checks([(check, audit_words.check(check)) for check in report.checks], console)
    _say(console, audit_words.audit_summary(report), "bold")


def print_checks(checks: Sequence[tuple[Check, audit_words.Checked]], console: Console) -> None:
    """Print a paragraph a check, with the first problems of each that failed, as wide as the console.

    Args:
        checks: Each as it is, and in words.
        console: Where to.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check, (title, status, detail) in checks:
        table.add_row(Text(status, STATUS_STYLES[status]), Text(f"{title}: {detail}"))
        for entries, style in ((check.problems, "red"), (check.remarks, "dim")):
            for entry in entries[:MOST_PROBLEMS]:
                table.add_row("", Text(f"- {entry}", style))
            if len(entries) > MOST_PROBLEMS:
                table.add_row("", Text(f"- and {len(entries) - MOST_PROBLEMS} more (--json has all)", "dim"))
    console.print(table)


def print_scored(scored: Scored, console: Console) -> None:
    """Print the table of a results file, each keypoint where there are several, and what kinds of errors there are."""
    scores = scored.scores
    counts = ", ".join(f"{number:,} {what}" for what, number in scores.counts.items())
    say(console, f"{scored.predictions}: {counts}", "bold")
    if lacking := scored.unanswered:
        of = f"{lacking:,} of {len(scored.annotations):,} images have no answer, and each counts as missed"
        hint = "" if scored.annotation_file.is_dir() else "; to score the test split alone, name the folder of the data"
        _say(console, f"WARNING: {of}{hint}", "yellow")
    table = new_table(["metric", "value", ""], names=(0, 2))
    for name, value in scores.items():
        add(table, [name, NONE if value is None else f"{value:.4f}", _remark(scored, name, value)])
    console.print(table, highlight=False)
    rows = keypoint_rows_of(scores)
    if len(rows) > 1:
        console.print()
        console.print(_keypoints(rows, console.width), highlight=False)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in scores.taxonomy.items())
    say(console, f"keypoints by kind of error: {kinds}")
    notes = [TAXONOMY]
    if scores.flags["multi_instance"]:
        notes.append("several instances an image: pixel metrics are over matched pairs")
    if scores.pair is not None:
        notes.append(words.pair_note(scores.pair, scores.n_without_pair, scores.counts["instances"]))
    for note in (*notes, *(words.keypoint_notes(rows) if len(rows) > 1 else ()), *scored.notes):
        _say(console, note, "dim")


def _print_board(board: Board, console: Console, selection: Selection, reports: bool) -> list[Column[BoardRow]]:
    """Print a board without what stands once below all; returns the columns it was printed with."""
    shown = selection.columns_of(board, console.width)
    some = selection.rows_of(board)
    names = [i for i, column in enumerate(shown) if column.name]
    table = new_table([column.heading for column in shown], names)
    for i, row in enumerate(some.rows):
        add(table, [column.text(row) for column in shown], last=i == len(some.rows) - 1)
    for row in some.references:
        add(table, [column.text(row) for column in shown], style="dim")
    console.print()
    _say(console, f"{board.title}: {words.size(board)}", "bold")
    if some.finished:
        console.print(table, highlight=False)
    for sentence in words.advice(board):
        _say(console, sentence, "bold")
    for row in some.failed:
        _say(console, f"failed: {row.label}: {row.error}", "red")
    for note in (_left_out(board, some, selection), words.separation(board.separation), *words.notes_of(board)):
        if note:
            _say(console, note, "dim")
    if reports:
        print_reported(reported(board), console)
    return shown


def _left_out(board: Board, some: Board, selection: Selection) -> str:
    """How many rows are shown, and how to see more."""
    more = f" --top {len(board.rows)} shows all." if selection.top and len(some.rows) < len(board.rows) else ""
    return words.left_out(board, some) + ("" if selection.detectors else more)


def _remark(scored: Scored, name: str, value: float | None) -> str:
    """What stands behind a figure: its interval, or why there is none."""
    span = {"mean": scored.mean, "exact": scored.exact}.get(name)
    if span is not None and value is not None:
        of = "" if math.isclose(span.mean, value, rel_tol=1e-9) else f"mean over images {span.mean:.4f}, "
        return f"{of}95 % {span.low:.4f} to {span.high:.4f}: {words.interval(span)}"
    if name == "ap" and scored.scores.flags["tied_scores"]:
        return "tied scores: it changes with the order of the predictions"
    return words.undefined(scored.scores.reason_codes.get(name, ""))


def _keypoints(rows: Sequence[KeypointRow], width: int) -> Table:
    """A row a keypoint and detector, with a line below each keypoint that has several."""
    shown = fit(keypoint_columns(rows), rows, width)
    table = new_table([column.heading for column in shown], [i for i, column in enumerate(shown) if column.name])
    several = len({row.row for row in rows}) > 1
    for i, row in enumerate(rows):
        last = several and i + 1 < len(rows) and rows[i + 1].keypoint != row.keypoint
        add(table, [column.text(row) for column in shown], last=last)
    return table
