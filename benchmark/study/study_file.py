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

Beside the report a study may write ``blocks`` of other texts, and have ``parts``; see `Study`.

A verdict is not written but found: ``holds`` where every check of ``holds_if`` is shown and none of ``refuted_if``,
``refuted`` where one of these is and not all of the others, and else it is undecided.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.structures import UserError
from benchmark.yaml_file import read_yaml

FILE = r"^[\w.-]+\.(svg|png)$"
"""What a figure's file may be called."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class On(_Strict):
    """A board.

    Attributes:
        task: Name of the task.
        data: What the board calls its data, as ``tiny`` or ``tiny-wide-split1``.
        part: Of a study that has several (see `Study`), the one it is of.
    """

    task: str | None = None
    data: str | None = None
    part: str | None = None


class Check(On):
    """Something that stored runs show, refute or leave open. Exactly one of ``better``, ``hardier``, ``exact`` and ``mean``.

    Attributes:
        better: Two rows: the first is shown to have the smaller error, by the paired test of the board.
        hardier: Two detectors: the first is shown to have the smaller mean error on corrupted images.
        exact: Rows whose share exact, in percent, is shown to be ``at_least`` or ``at_most`` so much: its 95 % interval
            lies on that side.
        mean: Rows whose mean error in px is shown to be so.
        at_least: The limit.
        at_most: The limit.
    """

    better: tuple[str, str] | None = None
    hardier: tuple[str, str] | None = None
    exact: str | None = None
    mean: str | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> Check:
        pair = self.better or self.hardier
        if sum(value is not None for value in (self.better, self.hardier, self.exact, self.mean)) != 1:
            raise ValueError("a check is about one of better, hardier, exact and mean")
        limits = sum(value is not None for value in (self.at_least, self.at_most))
        if limits != (0 if pair else 1):
            raise ValueError("exact and mean have a limit, at_least or at_most; better and hardier have none")
        if pair and pair[0] == pair[1]:
            raise ValueError(
                f"{'better' if self.better else 'hardier'}: {pair[0]!r} is compared with itself; name two rows"
            )
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
        heat: File that the shares exact are drawn into, beside the report; "" for none.
    """

    rows: tuple[str, ...]
    boards: dict[str, On]
    metrics: tuple[str, ...] = ("mean", "exact")
    heat: str = Field(default="", pattern=r"^([\w.-]+\.(svg|png))?$")


class Cell(On):
    """A cell of a table: a row of a board, or one run of it.

    Attributes:
        row: Its name.
        seed: The run of this seed; None: the row over its seeds.
        metrics: Instead of the table's.
    """

    row: str
    seed: int | None = None
    metrics: tuple[str, ...] | None = Field(default=None, min_length=1)


class CellTable(On):
    """Rows of boards side by side, each cell one that is named.

    Attributes:
        corner: Heading of the first column.
        columns: Headings of the others.
        rows: What stands in the first column -> the cells behind it; null for an empty one.
        metrics: Of a cell.
        difference: Whether a column more has the mean error of the second column minus the first's, with its interval.
    """

    corner: str = ""
    columns: tuple[str, ...] = Field(min_length=1)
    rows: dict[str, tuple[Cell | str | None, ...]] = Field(min_length=1)
    metrics: tuple[str, ...] = Field(default=("mean", "exact"), min_length=1)
    difference: bool = False

    @model_validator(mode="after")
    def _even(self) -> CellTable:
        for name, cells in self.rows.items():
            if len(cells) != len(self.columns):
                raise ValueError(
                    f"rows.{name}: has {len(cells)} cells for {len(self.columns)} columns; write null for none"
                )
        if self.difference and (
            len(self.columns) != 2 or not all(isinstance(c, str) for r in self.rows.values() for c in r)
        ):
            raise ValueError("difference: is of two columns, each cell the name of a row")
        return self


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
    file: str = Field(pattern=FILE)
    rows: tuple[str, ...] = ()
    caption: str = ""


class NeededTable(On):
    """Errors of detectors by the number of training images, and how many of these reach a target.

    Attributes:
        rows: Detectors; every one with several numbers of images where none is named.
        px: The mean error that is to be reached.
        exact: The share exact, in percent, that is to be reached.
    """

    rows: tuple[str, ...] = ()
    px: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    exact: float = Field(default=99.0, gt=0, lt=100)


class CorruptedTable(_Strict):
    """Errors of detectors on corrupted images.

    Attributes:
        rows: Detectors; all that were asked where none is named.
    """

    rows: tuple[str, ...] = ()


class Curves(On):
    """Small multiples: against training images a panel a detector, or against severity a panel a corruption.

    Attributes:
        of: ``error`` or ``exact``, against training images; ``corrupted``, the error against severity.
        file: Its name, beside the report.
        rows: Detectors; of ``corrupted`` as many as there are colours.
        caption: What it shows.
    """

    of: Literal["error", "exact", "corrupted"]
    file: str = Field(pattern=FILE)
    rows: tuple[str, ...] = Field(min_length=1)
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


class CellSection(_Strict):
    """A table of cells that are named."""

    cells: CellTable


class FigureSection(_Strict):
    """A plot."""

    figure: Figure


class VerdictSection(_Strict):
    """Questions of the study, each with its verdict and the sentences for it."""

    verdicts: tuple[str, ...] = Field(min_length=1)


class NeededSection(_Strict):
    """A table of images needed."""

    needed: NeededTable


class CorruptedSection(_Strict):
    """A table of errors on corrupted images."""

    corrupted: CorruptedTable


class CurvesSection(_Strict):
    """Small multiples of curves."""

    curves: Curves


Section = (
    Heading
    | Text
    | TableSection
    | AcrossSection
    | CellSection
    | FigureSection
    | VerdictSection
    | NeededSection
    | CorruptedSection
    | CurvesSection
    | Question
)
KINDS: dict[str, type[_Strict]] = {
    "heading": Heading,
    "text": Text,
    "table": TableSection,
    "across": AcrossSection,
    "cells": CellSection,
    "figure": FigureSection,
    "verdicts": VerdictSection,
    "needed": NeededSection,
    "corrupted": CorruptedSection,
    "curves": CurvesSection,
    "question": Question,
}


class Block(_Strict):
    """A part of another text that the study writes: what stands between two lines with its name.

        <!-- study: NAME -->
        <!-- end of study: NAME -->

    Attributes:
        file: The text, relative to the study's file.
        name: Of the block.
        sections: What it holds, in order.
    """

    file: str
    name: str = Field(pattern=r"^[\w-]+$")
    sections: tuple[Annotated[Section, Field(union_mode="left_to_right")], ...] = Field(min_length=1)


class Study(_Strict):
    """What a ``study.yaml`` says.

    Attributes:
        title: Of the report.
        about: What it is about.
        grids: Grid files.
        corruptions: Ways of `datasets.corruptions` in which the test images are corrupted, for every fit to be asked again.
        board: The one that is meant where nothing else is said.
        sections: What the report holds, in order.
        blocks: Parts of other texts that hold its figures.
        expected: File with the figures of its board by detector (`leaderboard.expected`), relative to this one.
        parts: Name -> environment variables under which all its grids are run, for a study of what these change; its
            bundles are then in a folder a part. Empty: the grids are run once, as everything is.
    """

    title: str
    about: str = ""
    grids: tuple[str, ...] = Field(min_length=1)
    corruptions: tuple[str, ...] = ()
    board: On = On()
    sections: tuple[Annotated[Section, Field(union_mode="left_to_right")], ...] = Field(min_length=1)
    blocks: tuple[Block, ...] = ()
    expected: str | None = None
    parts: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], dict[str, str]] = {}


def _file_of(section: Section) -> str | None:
    """The file that a section draws into."""
    match section:
        case FigureSection(figure=drawn) | CurvesSection(curves=drawn):
            return drawn.file
        case AcrossSection(across=asked):
            return asked.heat
    return None


def read_study(path: Path) -> Study:
    """The study of a file.

    Raises:
        UserError: Naming the file, and the entry that is wrong.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise UserError(f"{path}: is no study; write title, grids and sections")
    _checked_sections(path, document, "")
    blocks = document.get("blocks")
    for block in blocks if isinstance(blocks, list) else ():
        if isinstance(block, dict):
            _checked_sections(path, block, f"block {block.get('name')}: ")
    study: Study = _checked(path, Study, document, "")
    figures = [file for section in study.sections if (file := _file_of(section))]
    if study.parts and study.corruptions:
        raise UserError(f"{path}: has parts and corruptions; make a study of each")
    if twice := [file for i, file in enumerate(figures) if file.lower() in map(str.lower, figures[:i])]:
        raise UserError(f"{path}: two figures are called {twice[0]}; the one would replace the other")
    return study


def _checked_sections(path: Path, holder: dict[str, Any], where: str) -> None:
    """UserError where one of the sections is none, naming it; of a union pydantic would name every kind there is."""
    sections = holder.get("sections")
    for i, section in enumerate(sections if isinstance(sections, list) else (), 1):
        kind = next((name for name in KINDS if isinstance(section, dict) and name in section), None)
        if kind is None:
            raise UserError(f"{path}: {where}section {i} is none of {', '.join(KINDS)}")
        _checked(path, KINDS[kind], section, f"{where}section {i} ({kind})")


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
