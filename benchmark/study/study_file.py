"""A study as it is written down: ``study.yaml``, the grids it is made of, and what its report holds, in order.

    title: Which way of finding a point works?
    about: Sentences, in which {{ exact("heatmap") }} is a figure of a stored run.
    grids: [grid.yaml]                     # grid files (`benchmark.runs.grid_file`), relative to this one
    board: {task: topleft, data: tiny}     # the board that is meant where nothing else is said
    sections:
      - heading: The board
      - table: {rows: ranked}
      - figure: {kind: cost, file: cost.svg}
      - question: Does a learned head find the pixel?
        holds_if: [{exact: extrema, at_least: 99}]
        refuted_if: [{exact: extrema, at_most: 99}]
        holds: It does, in {{ exact("extrema") }} of the images.
        refuted: It does not.
        would_change: A test image that it misses.

A verdict is not written but found: ``holds`` where every check of ``holds_if`` is shown and none of ``refuted_if``,
``refuted`` where one of these is and not all of the others, and else it is undecided.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.structures import UserError
from benchmark.yaml_file import read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class On(_Strict):
    """A board.

    Attributes:
        task: Name of the task.
        data: What the board calls its data, as ``tiny`` or ``tiny-wide-split1``.
    """

    task: str | None = None
    data: str | None = None


class Check(On):
    """Something that stored runs show, refute or leave open. Exactly one of ``better``, ``exact`` and ``mean``.

    Attributes:
        better: Two rows: the first is shown to have the smaller error, by the paired test of the board.
        exact: Rows whose share exact, in percent, is shown to be ``at_least`` or ``at_most`` so much: its 95 % interval
            lies on that side.
        mean: Rows whose mean error in px is shown to be so.
        at_least: The limit.
        at_most: The limit.
    """

    better: tuple[str, str] | None = None
    exact: str | None = None
    mean: str | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Check:
        if sum(value is not None for value in (self.better, self.exact, self.mean)) != 1:
            raise ValueError("a check is about one of better, exact and mean")
        limits = sum(value is not None for value in (self.at_least, self.at_most))
        if limits != (0 if self.better else 1):
            raise ValueError("exact and mean have a limit, at_least or at_most; better has none")
        if self.better and self.better[0] == self.better[1]:
            raise ValueError(f"better: {self.better[0]!r} is compared with itself; name two rows")
        return self


class Question(On):
    """A question, and the checks that decide it.

    Attributes:
        question: In one sentence.
        holds_if: All of these have to be shown.
        refuted_if: None of these may be shown.
        holds: What is said where it holds.
        refuted: What is said where it is refuted.
        undecided: What is said where neither is shown.
        would_change: What would change our mind.
    """

    question: str
    holds_if: tuple[Check, ...] = Field(min_length=1)
    refuted_if: tuple[Check, ...] = ()
    holds: str
    refuted: str
    undecided: str = "These runs do not decide it."
    would_change: str = ""


class BoardTable(On):
    """The rows of a board.

    Attributes:
        rows: Which, in the order of the board; see `benchmark.study.evidence`.
        columns: Headings of the columns, in this order; None: those that fit on a page.
        most: Of so many at most.
    """

    rows: tuple[str, ...] | str = "all"
    columns: tuple[str, ...] | None = None
    most: int | None = Field(default=None, ge=1)


class AcrossTable(_Strict):
    """Rows by boards: a metric of some detectors on several tasks or data.

    Attributes:
        rows: Detectors.
        boards: Heading -> the board of a column.
        metrics: Of each cell.
    """

    rows: tuple[str, ...]
    boards: dict[str, On]
    metrics: tuple[str, ...] = ("mean", "exact")


class Figure(On):
    """A plot (`leaderboard.render.plots`).

    Attributes:
        kind: As of the command ``plot``.
        file: Its name, beside the report.
        rows: Which.
        variant: Of the kind, where it has several.
        against: The row that others are compared with, where the kind has one.
        caption: What it shows.
    """

    kind: str
    variant: str = ""
    against: str | None = None
    file: str = Field(pattern=r"^[\w.-]+\.(svg|png)$")
    rows: tuple[str, ...] = ()
    caption: str = ""


class Heading(_Strict):
    """A heading."""

    heading: str


class Text(_Strict):
    """Prose, which may hold figures."""

    text: str


class TableSection(_Strict):
    """The table of a board."""

    table: BoardTable


class AcrossSection(_Strict):
    """A table across boards."""

    across: AcrossTable


class FigureSection(_Strict):
    """A plot."""

    figure: Figure


Section = Heading | Text | TableSection | AcrossSection | FigureSection | Question
KINDS: dict[str, type[_Strict]] = {
    "heading": Heading,
    "text": Text,
    "table": TableSection,
    "across": AcrossSection,
    "figure": FigureSection,
    "question": Question,
}


class Study(_Strict):
    """What a ``study.yaml`` says.

    Attributes:
        title: Of the report.
        about: What it is about.
        grids: Grid files.
        board: The one that is meant where nothing else is said.
        sections: What the report holds, in order.
    """

    title: str
    about: str = ""
    grids: tuple[str, ...] = Field(min_length=1)
    board: On = On()
    sections: tuple[Annotated[Section, Field(union_mode="left_to_right")], ...] = Field(min_length=1)


def read_study(path: Path) -> Study:
    """The study of a file.

    Raises:
        UserError: Naming the file, and the entry that is wrong.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise UserError(f"{path}: is no study; write title, grids and sections")
    sections = document.get("sections")
    for i, section in enumerate(sections if isinstance(sections, list) else (), 1):
        kind = next((KINDS[name] for name in KINDS if isinstance(section, dict) and name in section), None)
        if kind is None:
            raise UserError(f"{path}: section {i} is none of {', '.join(KINDS)}")
        _checked(path, kind, section, f"section {i} ({next(name for name in KINDS if name in section)})")
    study: Study = _checked(path, Study, document, "")
    figures = [section.figure.file for section in study.sections if isinstance(section, FigureSection)]
    if twice := [file for i, file in enumerate(figures) if file.lower() in map(str.lower, figures[:i])]:
        raise UserError(f"{path}: two figures are called {twice[0]}; the one would replace the other")
    return study


def _checked(path: Path, model: type[Any], value: Any, where: str) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        words = first["msg"].removeprefix("Value error, ")
        raise UserError(
            f"{path}: {' '.join(part for part in (where, at) if part)}: {words[:1].lower()}{words[1:]}"
        ) from error
