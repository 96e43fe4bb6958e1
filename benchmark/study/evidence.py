"""What stored runs say to a study: rows by name, checks, verdicts, and a list of every row that was looked at.

Rows are named by their label or their detector, or taken together: ``all`` (every finished row), ``ranked``, ``unaided``
(ranked, without oracle features and without the rule in their structure), ``family:heatmap``. Of rows together a check is
shown where it is for each of them, and refuted where it is for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.metrics.registry import percent
from benchmark.registry import entries
from benchmark.statistics.intervals import Interval
from benchmark.structures import UserError
from benchmark.study.study_file import Check, On, Question
from benchmark.suggestions import suggestion
from leaderboard.board import Board
from leaderboard.compare import Comparison, compare_rows
from leaderboard.rows import ORACLE, STRUCTURED, BoardRow

Outcome = Literal["shown", "refuted", "open"]
Verdict = Literal["holds", "refuted", "undecided"]
FAMILY = "family:"
ALL, RANKED, UNAIDED = "all", "ranked", "unaided"
ANYWHERE = On()
"""The board that is meant where nothing else is said."""


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Attributes:
        check: Which.
        outcome: Whether it is shown, its contrary is, or neither.
        sentences: The figures, one a row or pair.
    """

    check: Check
    outcome: Outcome
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What came of a question: the findings for and against it, and the verdict these give."""

    verdict: Verdict
    for_it: tuple[Finding, ...]
    against: tuple[Finding, ...]


class Evidence:
    """The boards of a study.

    Args:
        boards: Every one that its runs make.
        on: The one that is meant where nothing else is said.
    """

    def __init__(self, boards: Sequence[Board], on: On = ANYWHERE) -> None:
        self.boards = tuple(boards)
        self._on = on
        self._used: dict[tuple[int, str], BoardRow] = {}

    def at(self, on: On) -> Evidence:
        """The same, where another board is meant; what is looked at is noted in one list."""
        other = Evidence(self.boards, On(task=on.task or self._on.task, data=on.data or self._on.data))
        other._used = self._used
        return other

    @property
    def used(self) -> list[tuple[Board, BoardRow]]:
        """Every row that was looked at, by board, best first."""
        return [
            (board, row) for i, board in enumerate(self.boards) for row in board.every if (i, row.label) in self._used
        ]

    def board(self, on: On = ANYWHERE) -> Board:
        """The board of a task and data.

        Raises:
            UserError: Where there is none, or more than one.
        """
        task, data = on.task or self._on.task, on.data or self._on.data
        found = [b for b in self.boards if task in (None, b.task) and data in (None, b.data)]
        if len(found) != 1:
            titles = ", ".join(board.title for board in self.boards) or "none"
            raise UserError(f"{len(found)} boards of task {task or 'any'}, data {data or 'any'}; there are: {titles}")
        return found[0]

    def rows(self, names: str | Iterable[str], on: On = ANYWHERE) -> list[BoardRow]:
        """Rows of a board, best first, each noted as looked at.

        Raises:
            UserError: For a name that is none, or of which there are several.
        """
        board = self.board(on)
        chosen = {
            row.label for name in ([names] if isinstance(names, str) else names) for row in self._named(board, name)
        }
        rows = [row for row in board.finished if row.label in chosen]
        for row in rows:
            self._used[self.boards.index(board), row.label] = row
        return rows

    def row(self, name: str, on: On = ANYWHERE) -> BoardRow:
        """One row; see `rows`."""
        found = self.rows(name, on)
        if len(found) != 1:
            raise UserError(f"{name!r} is {len(found)} rows of {self.board(on).title}: name one")
        return found[0]

    def compared(self, a: str, b: str, on: On = ANYWHERE) -> Comparison:
        """The comparison of two rows."""
        return compare_rows(self.board(on), self.row(a, on), self.row(b, on))

    def answer(self, question: Question) -> Answer:
        """The verdict on a question, with what it stands on."""
        here = self.at(question)
        for_it = tuple(here.finding(check) for check in question.holds_if)
        against = tuple(here.finding(check) for check in question.refuted_if)
        held, contrary = all(f.outcome == "shown" for f in for_it), any(f.outcome == "shown" for f in against)
        verdict: Verdict = "undecided" if held == contrary else "holds" if held else "refuted"
        return Answer(verdict, for_it, against)

    def finding(self, check: Check) -> Finding:
        """What stored runs say to a check."""
        if check.better is not None:
            return self._better(check, *check.better)
        found = [_limited(row, check) for row in self.rows(check.exact or check.mean or "", check)]
        outcomes = [outcome for outcome, _ in found]
        outcome: Outcome = "shown" if set(outcomes) == {"shown"} else "refuted" if "refuted" in outcomes else "open"
        return Finding(check, outcome, tuple(sentence for _, sentence in found))

    def _better(self, check: Check, first: str, second: str) -> Finding:
        compared = self.compared(first, second, check)
        result = compared.result
        outcomes: dict[str | None, Outcome] = {compared.a: "shown", compared.b: "refuted", None: "open"}
        span = f"95 % interval {result.low:+.3f} to {result.high:+.3f}"
        words = f"{compared.a} minus {compared.b}: {result.difference:+.3f} px, {span}"
        return Finding(check, outcomes[compared.better], (words,))

    def _named(self, board: Board, name: str) -> list[BoardRow]:
        if name == ALL:
            return list(board.finished)
        if name in (RANKED, UNAIDED):
            return [row for row in board.rows if name == RANKED or not {ORACLE, STRUCTURED} & set(row.marks)]
        if name.startswith(FAMILY):
            family = name.removeprefix(FAMILY)
            known = entries()
            found = [r for r in board.rows if any(e.family == family for e in known.get(r.config.name, ()))]
        else:
            found = [row for row in board.finished if row.label == name]
            found = found or [row for row in board.finished if row.config.detector == name]
        if not found:
            failed = next((row for row in board.failed if name in (row.label, row.config.detector)), None)
            if failed is not None:
                raise UserError(f"{name!r} has failed on {board.title}: {failed.error}")
            labels = sorted(row.label for row in board.finished)
            raise UserError(f"{board.title} has no finished row {name!r}{suggestion(name, labels)}")
        return found


def figure_of(row: BoardRow, metric: str) -> str:
    """A metric of a row with its interval, as a report writes it: ``0.151 px (0.12 to 0.18)``.

    Raises:
        UserError: Where the row has no such metric.
    """
    if metric not in row.metrics:
        raise UserError(f"{row.label} has no metric {metric!r}{suggestion(metric, sorted(row.metrics))}")
    value = row.metrics[metric]
    if value is None:
        return "–"
    if metric == "exact":
        return f"{percent(value)} % exact" + _ends(row.exact_interval, lambda end: percent(end), " %")
    if metric == "mean":
        return f"{value:.3f} px" + _ends(row.interval, lambda end: f"{end:.3f}", "")
    return f"{value:.4g}"


def _ends(span: Interval | None, text: object, unit: str) -> str:
    if span is None or not (math.isfinite(span.low) and math.isfinite(span.high)):
        return ""
    return f" ({text(span.low)} to {text(span.high)}{unit})"  # type: ignore[operator]


def _limited(row: BoardRow, check: Check) -> tuple[Outcome, str]:
    """Whether a row's interval lies on the side of the limit that the check asks for."""
    metric, span, scale = ("exact", row.exact_interval, 100.0) if check.exact else ("mean", row.interval, 1.0)
    words = f"{row.label}: {figure_of(row, metric)}"
    if span is None:
        return "open", words
    above = check.at_least is not None
    limit = check.at_least if check.at_least is not None else check.at_most
    assert limit is not None, "a check of a figure has a limit"
    low, high = scale * span.low, scale * span.high
    if (low >= limit) if above else (high <= limit):
        return "shown", words
    if (high < limit) if above else (low > limit):
        return "refuted", words
    return "open", words
