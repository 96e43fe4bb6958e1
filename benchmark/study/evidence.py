"""What stored runs say to a study: rows by name, checks, verdicts, and a list of every row that was looked at.

Rows are named by their label or their detector, or taken together: ``all`` (every finished row), ``ranked``, ``unaided``
(ranked, without oracle features and without the rule in their structure), ``family:heatmap``. Of rows together a check is
shown where it is for each of them, and refuted where it is for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

from benchmark.metrics.registry import percent
from benchmark.registry import entries
from benchmark.runs.answers import Answers
from benchmark.statistics.intervals import Interval
from benchmark.structures import UserError
from benchmark.study.study_file import Check, On, Question
from benchmark.suggestions import suggestion
from leaderboard.board import Board, boards
from leaderboard.compare import Comparison, compare_rows
from leaderboard.robustness import BETWEEN, Robustness, compare_corrupted, robustness_table
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
        boards: Every one that its runs make; of a study in parts, by the part.
        on: The one that is meant where nothing else is said.
        answers: Of its fits to corrupted images. A board of these, as ``tiny~noise-3``, is made when it is asked for.
    """

    def __init__(
        self,
        boards: Sequence[Board] | Mapping[str, Sequence[Board]],
        on: On = ANYWHERE,
        answers: Answers | None = None,
    ) -> None:
        by_part = boards if isinstance(boards, Mapping) else {"": boards}
        self.boards = [board for made in by_part.values() for board in made]
        self._parts = [part for part, made in by_part.items() for _ in made]
        self.answers = answers
        self._on = on
        self._used: dict[tuple[int, str], BoardRow] = {}
        self._corrupted: list[Robustness] = []  # shared with what `at` gives, as all of these are

    def at(self, on: On) -> Evidence:
        """The same, where another board is meant; what is looked at is noted in one list."""
        other = copy(self)
        other._on = self._where(on)
        return other

    def title(self, board: Board) -> str:
        """What a board is called, with its part where the study has several."""
        part = self._parts[self.boards.index(board)]
        return f"{board.title} ({part})" if part else board.title

    @property
    def corrupted(self) -> list[Robustness]:
        """What corrupted images cost each detector, least first.

        Raises:
            UserError: Where no fit was asked about any.
        """
        if self.answers is None:
            raise UserError(
                "no fit was asked about corrupted images; name them in the study, as corruptions: [noise, blur]"
            )
        if not self._corrupted:
            clean = [run for row in self.board().finished for run in row.runs]
            self._corrupted += robustness_table(clean, list(self.answers.runs()))
        return self._corrupted

    def hardiness(self, name: str) -> Robustness:
        """That of one detector, whose row on clean images is noted as looked at."""
        found = next((row for row in self.corrupted if row.detector == name), None)
        if found is None:
            known = [row.detector for row in self.corrupted]
            raise UserError(f"{name!r} was not asked about corrupted images{suggestion(name, known)}")
        self.rows(name)
        return found

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
        on = self._where(on)
        found = self._boards(on)
        if not found and on.data and BETWEEN in on.data and self.answers is not None:
            made = boards(self.answers, on.task, on.data)
            self.boards += made
            self._parts += [""] * len(made)
            found = self._boards(on)
        if len(found) != 1:
            titles = ", ".join(map(self.title, self.boards)) or "none"
            asked = f"task {on.task or 'any'}, data {on.data or 'any'}" + f", part {on.part}" * bool(on.part)
            raise UserError(f"{len(found)} boards of {asked}; there are: {titles}")
        return found[0]

    def _boards(self, on: On) -> list[Board]:
        return [
            board
            for board, part in zip(self.boards, self._parts)
            if on.task in (None, board.task) and on.data in (None, board.data) and on.part in (None, part)
        ]

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
        if check.hardier is not None:
            return self._hardier(check, *check.hardier)
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

    def _where(self, on: On) -> On:
        mine = self._on
        return On(task=on.task or mine.task, data=on.data or mine.data, part=on.part or mine.part)

    def _hardier(self, check: Check, first: str, second: str) -> Finding:
        result = compare_corrupted(self.hardiness(first), self.hardiness(second))
        shown = result.low > 0 or result.high < 0
        outcome: Outcome = "open" if not shown else "shown" if result.difference < 0 else "refuted"
        span = f"95 % interval {result.low:+.3f} to {result.high:+.3f}"
        return Finding(
            check, outcome, (f"{first} minus {second}, on corrupted images: {result.difference:+.3f} px, {span}",)
        )

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
