"""``REPORT.md``: what a study found, written anew from its stored runs.

Everything in it is a function of the study's file and of what is stored: the same runs give the same bytes. Prose may hold
figures, ``{{ mean("heatmap") }}``; where a row is not there, the report is refused rather than written with a hole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from benchmark.metrics.registry import metrics, percent
from benchmark.structures import UserError
from benchmark.study.evidence import Answer, Evidence, Finding, figure_of
from benchmark.study.study_file import (
    AcrossSection,
    AcrossTable,
    BoardTable,
    Figure,
    FigureSection,
    Heading,
    On,
    Question,
    Section,
    Study,
    TableSection,
    Text,
)
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.render import words
from leaderboard.render.columns import NONE, columns, fitting, rank
from leaderboard.render.markdown import escaped, table
from leaderboard.render.pasted import WIDTH

SIGNS = {"shown": "shown", "refuted": "the contrary is shown", "open": "not shown"}
VERDICTS = {"holds": "Yes.", "refuted": "No.", "undecided": "Undecided."}
Draw = Callable[[Board, Figure, list[str]], None]
"""Draws a figure of a board with some rows into the file that it names."""


def report(study: Study, boards: list[Board], draw: Draw) -> str:
    """The report.

    Args:
        study: What it is about.
        boards: That its stored runs make.
        draw: Draws a figure.

    Raises:
        UserError: Naming the part of the study that asks for what is not stored.
    """
    evidence = Evidence(boards, study.board)
    lines = [f"# {study.title}", "", *_filled(study.about, evidence, "about"), *_made(evidence)]
    for i, section in enumerate(study.sections, 1):
        try:
            lines += ["", *_section(section, evidence, draw)]
        except UserError as error:
            raise UserError(f"section {i}: {error}") from error
    lines += ["", "## Runs", "", *_runs(evidence)]
    return "\n".join(lines) + "\n"


def _section(section: Section, evidence: Evidence, draw: Draw) -> list[str]:
    match section:
        case Question():
            return _question(section, evidence)
        case Heading(heading=heading):
            return [f"## {heading}"]
        case Text(text=text):
            return _filled(text, evidence, "text")
        case TableSection(table=asked):
            return _board(asked, evidence)
        case AcrossSection(across=asked):
            return _across(asked, evidence)
        case FigureSection(figure=figure):
            labels = [row.label for row in evidence.rows(figure.rows, figure)] if figure.rows else []
            draw(evidence.board(figure), figure, labels)
            return [f"![{escaped(figure.caption or figure.kind)}]({figure.file})", "", escaped(figure.caption)]


def _question(question: Question, evidence: Evidence) -> list[str]:
    answer = evidence.answer(question)
    said = {"holds": question.holds, "refuted": question.refuted, "undecided": question.undecided}[answer.verdict]
    lines = [f"### {question.question}", ""]
    verdict = " ".join(_filled(said, evidence.at(question), answer.verdict))
    lines += [f"**{VERDICTS[answer.verdict]}** {verdict}", "", *_evidence(answer)]
    if question.would_change:
        lines += ["", f"What would change our mind: {question.would_change.strip()}"]
    return lines


def _evidence(answer: Answer) -> list[str]:
    lines = []
    for heading, findings in (("For it", answer.for_it), ("Against it", answer.against)):
        if findings:
            lines += [f"{heading}:", "", *(line for finding in findings for line in _finding(finding)), ""]
    return lines[:-1]


def _finding(finding: Finding) -> list[str]:
    check = finding.check
    if check.better:
        asked = f"{check.better[0]} is better than {check.better[1]}"
    else:
        limit = f"at least {check.at_least:g}" if check.at_least is not None else f"at most {check.at_most:g}"
        asked = f"{check.exact} {limit} % exact" if check.exact else f"{check.mean} {limit} px"
    on = f" on {check.task}" * bool(check.task) + f" ({check.data})" * bool(check.data)
    lines = [f"- {escaped(asked + on)}: **{SIGNS[finding.outcome]}**"]
    return lines + [f"  - {escaped(sentence)}" for sentence in finding.sentences]


def _board(asked: BoardTable, evidence: Evidence) -> list[str]:
    board = evidence.board(asked)
    rows = evidence.rows(asked.rows, asked)[: asked.most]
    known = {column.heading: column for column in columns(board)}
    if asked.columns is None:
        shown = fitting(board, WIDTH, gap=3)
    else:
        if missing := [heading for heading in asked.columns if heading not in known]:
            raise UserError(f"{board.title} has no column {missing[0]!r}; there are {', '.join(known)}")
        shown = [known[heading] for heading in asked.columns]
    names = [i for i, column in enumerate(shown) if column.name]
    cells = [[column.text(row) for column in shown] for row in rows]
    return [
        f"{escaped(board.title)}: {escaped(words.size(board))}.",
        "",
        *table([column.heading for column in shown], cells, names),
        *(f"\n- {escaped(note)}" if i == 0 else f"- {escaped(note)}" for i, note in enumerate(words.notes_of(board))),
    ]


def _across(asked: AcrossTable, evidence: Evidence) -> list[str]:
    for metric in asked.metrics:
        if metric not in metrics():
            raise unknown("metric", metric, metrics())
    cells = []
    for name in asked.rows:
        line = [name]
        for on in asked.boards.values():
            board = evidence.board(on)
            having = any(name in (row.label, row.config.detector) for row in board.finished)
            line.append(_cell(evidence, name, on, asked.metrics) if having else NONE)
        cells.append(line)
    return table(["detector", *asked.boards], cells)


def _cell(evidence: Evidence, name: str, on: On, metrics: tuple[str, ...]) -> str:
    row = evidence.row(name, on)
    parts = []
    for metric in metrics:
        value = row.metrics.get(metric)
        if value is not None:
            parts.append(f"{percent(value)} %" if metric.startswith(("exact", "pck")) else f"{value:.3f}")
    return ", ".join(parts) or NONE


def _filled(text: str, evidence: Evidence, where: str) -> list[str]:
    """Prose with its figures put in."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=_said)
    environment.globals = {name: _figure(evidence, name) for name in ("mean", "exact", "median", "p95", "exact_all")}
    environment.globals |= {
        "figure": lambda row, metric, task=None, data=None: _metric(evidence, row, metric, task, data),
        "rank": lambda row, task=None, data=None: rank(evidence.row(row, On(task=task, data=data))),
        "seeds": lambda row, task=None, data=None: len(evidence.row(row, On(task=task, data=data)).seeds),
        "images": lambda task=None, data=None: f"{evidence.board(On(task=task, data=data)).images:,}",
        "difference": lambda a, b, task=None, data=None: _difference(evidence, a, b, On(task=task, data=data)),
        "advised": lambda task=None, data=None: evidence.board(On(task=task, data=data)).advice.name or "none",
    }
    try:
        return environment.from_string(text.rstrip()).render().splitlines()
    except UserError:
        raise
    except TemplateError as error:
        raise UserError(f"{where}: {error.message}") from error
    except Exception as error:  # prose may compute whatever it likes
        words = " ".join(str(error).split())
        raise UserError(
            f"{where}: {words} ({type(error).__name__}); put in figures as {{{{ mean('ROW') }}}}"
        ) from error


def _said(value: object) -> object:
    """What is put into prose. UserError for a figure without its row, which would print where it lies in memory."""
    if callable(value) and not isinstance(value, StrictUndefined):
        raise UserError(
            f"{getattr(value, '__name__', 'figure')}: is a figure of a row; write its brackets, as mean('ROW')"
        )
    return value


def _figure(evidence: Evidence, metric: str) -> Callable[..., str]:
    def figure(row: str, task: str | None = None, data: str | None = None) -> str:
        return _metric(evidence, row, metric, task, data)

    return figure


def _metric(evidence: Evidence, row: str, metric: str, task: str | None, data: str | None) -> str:
    return escaped(figure_of(evidence.row(row, On(task=task, data=data)), metric))


def _difference(evidence: Evidence, a: str, b: str, on: On) -> str:
    result = evidence.compared(a, b, on).result
    return f"{result.difference:+.3f} px ({result.low:+.3f} to {result.high:+.3f})"


def _made(evidence: Evidence) -> list[str]:
    """On what machines, with what, of how many runs."""
    runs = [run.record for board in evidence.boards for row in board.finished for run in row.runs]
    if not runs:
        raise UserError("no finished run is stored")
    hardware = sorted({run.facts.hardware for run in runs} - {""})
    versions = {
        name: sorted({run.facts.packages[name] for run in runs if name in run.facts.packages})
        for name in ("torch", "torchvision", "scikit-learn", "numpy")
    }
    packages = ", ".join(f"{name} {' and '.join(known)}" for name, known in versions.items() if known)
    failed = sum(len(row.failures) for board in evidence.boards for row in board.every)
    places = "; ".join(map(escaped, hardware)) or "unknown machines"
    count = f"{words.numbered(len(runs), 'run')} on {words.numbered(len(evidence.boards), 'board')}"
    return [
        "",
        f"Made from {count}{f', {failed} more failed' if failed else ''}, on {places}{f', with {packages}' if packages else ''}. "
        "Figures in brackets are 95 % intervals.",
    ]


def _runs(evidence: Evidence) -> list[str]:
    """Every row that a figure of the report comes from, with the keys of its runs."""
    lines = [
        "Every figure above is of these rows; a key names a run in the bundles of this study.",
        "",
    ]
    cells = [
        [board.title, row.label, ", ".join(f"{run.record.seed}: {run.record.key}" for run in row.runs)]
        for board, row in evidence.used
    ]
    return [*lines, *table(["board", "row", "seed: key"], cells, names=(0, 1, 2))]


def write_nothing(board: Board, figure: Figure, labels: list[str]) -> None:
    """A `Draw` that leaves the figures as they are."""


def beside(folder: Path) -> Draw:
    """A `Draw` that writes into a folder."""

    def draw(board: Board, figure: Figure, labels: list[str]) -> None:
        from leaderboard.render.plots.files import write_plot
        from leaderboard.render.plots.kinds import load
        from leaderboard.render.plots.specification import document

        drawn = document(board, load(figure.kind), variant=figure.variant, rows=labels, against=figure.against)
        write_plot(drawn, folder / figure.file)

    return draw
