"""``REPORT.md``: what a study found, written anew from its stored runs.

Everything in it is a function of the study's file and of what is stored: the same runs give the same bytes. Prose may hold
figures, ``{{ mean("heatmap") }}``; where a row is not there, the report is refused rather than written with a hole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from benchmark.runs.answers import Answers
from benchmark.structures import UserError
from benchmark.study.across import across, heat
from benchmark.study.cells import cell_table
from benchmark.study.corrupted import corrupted_records, corrupted_said, corrupted_table
from benchmark.study.evidence import Answer, Evidence, Finding, figure_of
from benchmark.study.needed import learning_records, needed_said, needed_table
from benchmark.study.panels import curves
from benchmark.study.study_file import (
    AcrossSection,
    BoardTable,
    CellSection,
    CorruptedSection,
    CurvesSection,
    Figure,
    FigureSection,
    Heading,
    NeededSection,
    On,
    Question,
    Section,
    Study,
    TableSection,
    Text,
    VerdictSection,
)
from benchmark.suggestions import unknown
from leaderboard.board import Board
from leaderboard.render import words
from leaderboard.render.columns import columns, fitting, rank
from leaderboard.render.markdown import escaped, table
from leaderboard.render.pasted import WIDTH
from leaderboard.robustness import BETWEEN

COSTS = ("fit_seconds", "fit_processor_seconds")
SIGNS = {"shown": "shown", "refuted": "the contrary is shown", "open": "not shown"}
VERDICTS = {"holds": "Yes.", "refuted": "No.", "undecided": "Undecided."}
Draw = Callable[[Callable[[], dict[str, Any]], str], None]
"""Draws the figure that something makes, a Vega-Lite document, into a file of that name."""


def report(
    study: Study,
    boards: Sequence[Board] | Mapping[str, Sequence[Board]],
    draw: Draw,
    answers: Answers | None = None,
) -> str:
    """The report.

    Args:
        study: What it is about.
        boards: That its stored runs make; of a study in parts, by the part.
        draw: Draws a figure.
        answers: Of its fits to corrupted images.

    Raises:
        UserError: Naming the part of the study that asks for what is not stored.
    """
    evidence = Evidence(boards, study.board, answers)
    lines = [f"# {study.title}", "", *_filled(study.about, evidence, "about"), *_made(evidence)]
    lines += written_sections(study, study.sections, evidence, draw)
    lines += ["", "## Runs", "", *_runs(evidence)]
    return "\n".join(lines) + "\n"


def written_sections(study: Study, sections: Sequence[Section], evidence: Evidence, draw: Draw) -> list[str]:
    """The lines of some sections, an empty one before each.

    Raises:
        UserError: Naming the section that asks for what is not there.
    """
    lines = []
    for i, section in enumerate(sections, 1):
        try:
            lines += ["", *_section(section, study, evidence, draw)]
        except UserError as error:
            raise UserError(f"section {i}: {error}") from error
    return lines


def _section(section: Section, study: Study, evidence: Evidence, draw: Draw) -> list[str]:
    match section:
        case VerdictSection(verdicts=asked):
            return _verdicts(asked, study, evidence)
        case CellSection(cells=asked):
            return cell_table(asked, evidence)
        case Question():
            return _question(section, evidence)
        case Heading(heading=heading):
            return [f"## {heading}"]
        case Text(text=text):
            return _filled(text, evidence, "text")
        case TableSection(table=asked):
            return _board(asked, evidence)
        case AcrossSection(across=shown):
            if shown.heat:
                draw(lambda: heat(shown, evidence), shown.heat)
            return across(shown, evidence)
        case FigureSection(figure=figure):
            labels = [row.label for row in evidence.rows(figure.rows, figure)] if figure.rows else []
            draw(lambda: _plot(evidence.board(figure), figure, labels), figure.file)
            return [f"![{escaped(figure.caption or figure.kind)}]({figure.file})", "", escaped(figure.caption)]
        case NeededSection(needed=asked):
            return needed_table(asked, evidence)
        case CorruptedSection(corrupted=asked):
            return corrupted_table(asked, evidence)
        case CurvesSection(curves=asked):
            made = corrupted_records(asked, evidence) if asked.of == "corrupted" else learning_records(asked, evidence)
            draw(lambda: curves(asked.of, made, evidence.board(asked).title), asked.file)
            return [f"![{escaped(asked.caption or asked.of)}]({asked.file})", "", escaped(asked.caption)]


def _verdicts(asked: Sequence[str], study: Study, evidence: Evidence) -> list[str]:
    known = {section.question: section for section in study.sections if isinstance(section, Question)}
    lines: list[str] = []
    for name in asked:
        if name not in known:
            raise unknown("question", name, known)
        lines += ["", f"**{name}** {_answered(known[name], evidence.answer(known[name]), evidence)}"]
    return lines[1:]


def _answered(question: Question, answer: Answer, evidence: Evidence) -> str:
    """The verdict in a word, and the sentences for it."""
    said = {"holds": question.holds, "refuted": question.refuted, "undecided": question.undecided}[answer.verdict]
    return f"**{VERDICTS[answer.verdict]}** {' '.join(_filled(said, evidence.at(question), answer.verdict))}"


def _question(question: Question, evidence: Evidence) -> list[str]:
    answer = evidence.answer(question)
    where = _where(question, evidence)
    lines = [f"### {question.question}", "", _answered(question, answer, evidence), "", *_evidence(answer, where)]
    if question.would_change:
        lines += ["", f"What would change our mind: {question.would_change.strip()}"]
    return lines


def _where(question: Question, evidence: Evidence) -> str:
    """The board that a question names; "" where it is about the study's own."""
    return f", on {escaped(evidence.at(question).board().title)}" if question.task or question.data else ""


def _evidence(answer: Answer, where: str) -> list[str]:
    lines = []
    for heading, findings in (("For it", answer.for_it), ("Against it", answer.against)):
        if findings:
            lines += [f"{heading}{where}:", "", *(line for finding in findings for line in _finding(finding)), ""]
    return lines[:-1]


def _finding(finding: Finding) -> list[str]:
    check = finding.check
    if check.better:
        asked = f"{check.better[0]} is better than {check.better[1]}"
    elif check.hardier:
        asked = f"{check.hardier[0]} is better than {check.hardier[1]} on corrupted images"
    else:
        limit = f"at least {check.at_least:g}" if check.at_least is not None else f"at most {check.at_most:g}"
        asked = f"{check.exact} {limit} % exact" if check.exact else f"{check.mean} {limit} px"
    on = f" on {check.task}" * bool(check.task) + f" ({check.data})" * bool(check.data)
    on += f" with {check.part}" * bool(check.part)
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
    ranked = any(column.heading == "rank" for column in shown) and any(row.rank_low is not None for row in rows)
    told = [f"{words.RANK[0].upper()}{words.RANK[1:]}."] if ranked else []
    if ranked and any(column.key in COSTS for column in shown):  # which the advice weighs, and no rerun repeats
        told = [*words.advice(board), *told]
    some = replace(board, rows=tuple(row for row in board.rows if row in rows))  # of rows left out nothing is said
    notes = [*told, *words.notes_of(some)]
    return [
        f"{escaped(board.title)}: {escaped(words.size(board))}.",
        "",
        *table([column.heading for column in shown], cells, names),
        *(f"\n- {escaped(note)}" if i == 0 else f"- {escaped(note)}" for i, note in enumerate(notes)),
    ]


def _filled(text: str, evidence: Evidence, where: str) -> list[str]:
    """Prose with its figures put in."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=_said)
    environment.globals = {name: _figure(evidence, name) for name in ("mean", "exact", "median", "p95", "exact_all")}
    environment.globals |= {
        "figure": lambda row, metric, task=None, data=None, part=None: _metric(
            evidence, row, metric, On(task=task, data=data, part=part)
        ),
        "rank": lambda row, task=None, data=None: rank(evidence.row(row, On(task=task, data=data))),
        "seeds": lambda row, task=None, data=None: len(evidence.row(row, On(task=task, data=data)).seeds),
        "images": lambda task=None, data=None: f"{evidence.board(On(task=task, data=data)).images:,}",
        "difference": lambda a, b, task=None, data=None: _difference(evidence, a, b, On(task=task, data=data)),
        "needed": lambda row, px=None, exact=None: needed_said(evidence, row, px, exact),
        "corrupted": lambda row: corrupted_said(evidence, row),
        "advised": lambda task=None, data=None: evidence.board(On(task=task, data=data)).advice.advised or "none",
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
    def figure(row: str, task: str | None = None, data: str | None = None, part: str | None = None) -> str:
        return _metric(evidence, row, metric, On(task=task, data=data, part=part))

    return figure


def _metric(evidence: Evidence, row: str, metric: str, on: On) -> str:
    return escaped(figure_of(evidence.row(row, on), metric))


def _difference(evidence: Evidence, a: str, b: str, on: On) -> str:
    result = evidence.compared(a, b, on).result
    return f"{result.difference:+.3f} px ({result.low:+.3f} to {result.high:+.3f})"


def _made(evidence: Evidence) -> list[str]:
    """On what machines, with what, of how many runs."""
    boards = [board for board in evidence.boards if BETWEEN not in board.data]
    runs = [run.record for board in boards for row in board.finished for run in row.runs]
    if not runs:
        raise UserError("no finished run is stored")
    hardware = sorted({run.facts.hardware for run in runs} - {""})
    versions = {
        name: sorted({run.facts.packages[name] for run in runs if name in run.facts.packages})
        for name in ("torch", "torchvision", "scikit-learn", "numpy")
    }
    packages = ", ".join(f"{name} {' and '.join(known)}" for name, known in versions.items() if known)
    failed = sum(len(row.failures) for board in boards for row in board.every)
    places = "; ".join(map(escaped, hardware)) or "unknown machines"
    count = f"{words.numbered(len(runs), 'run')} on {words.numbered(len(boards), 'board')}"
    if evidence.answers is not None:
        asked = (
            f"{len(evidence.answers.fits)} of these fits to images corrupted in {len(evidence.answers.versions)} ways"
        )
        count += f", and the answers of {asked}"
    return [
        "",
        f"Made from {count}{f', {failed} more failed' if failed else ''}, on {places}{f', with {packages}' if packages else ''}. "
        "Figures in brackets are 95 % intervals.",
    ]


def _runs(evidence: Evidence) -> list[str]:
    """Every row that a figure of the report comes from, with the keys of its runs."""
    of_answers = ", one of corrupted images in its file of answers" if evidence.answers is not None else ""
    lines = [
        f"Every figure above is of these rows; a key names a run in the bundles of this study{of_answers}.",
        "",
    ]
    cells = [
        [evidence.title(board), row.label, ", ".join(f"{run.record.seed}: {run.record.key}" for run in row.runs)]
        for board, row in evidence.used
    ]
    return [*lines, *table(["board", "row", "seed: key"], cells, names=(0, 1, 2))]


def _plot(board: Board, figure: Figure, labels: list[str]) -> dict[str, Any]:
    from leaderboard.render.plots.kinds import load
    from leaderboard.render.plots.specification import document

    return document(board, load(figure.kind), variant=figure.variant, rows=labels, against=figure.against)


def write_nothing(make: Callable[[], dict[str, Any]], file: str) -> None:
    """A `Draw` that leaves the figures as they are."""


def beside(folder: Path) -> Draw:
    """A `Draw` that writes into a folder."""

    def draw(make: Callable[[], dict[str, Any]], file: str) -> None:
        from leaderboard.render.plots.files import write_plot

        write_plot(make(), folder / file)

    return draw
