"""Options and output that several commands share."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.structures import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from benchmark.metrics import Pair
    from leaderboard.board import Board


def _folder(given: str | Path) -> Path:
    """A path as given; an empty one, mostly an unset variable of a shell, is not the working directory."""
    if not str(given).strip():
        raise UserError("results: the name is empty; name a folder")
    return Path(given)


Results = Annotated[
    Path,
    typer.Option(
        "--results",
        help="Folder of results; where they are only read, a bundle or a folder of bundles as well.",
        envvar="KEYPOINT_RESULTS",
        parser=_folder,
        metavar="PATH",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME",
        help="Task (see: list tasks); default topleft. A folder or file brings its own points: leave it out.",
    ),
]
DataName = Annotated[
    str,
    typer.Option(
        "--data", metavar="DATA", help="Data (see: list data), or the path of a folder or file of any format."
    ),
]
Split = Annotated[
    int, typer.Option("--split", metavar="K", min=0, help="Which split: 0 for development, others for publishing.")
]
Folds = Annotated[
    int,
    typer.Option(
        "--folds", metavar="COUNT", min=0, help="Above 1: every image answered by a fit without it; 0: no folds."
    ),
]
Category = Annotated[
    str, typer.Option("--category", metavar="NAME", help="Which one, where categories have different keypoints.")
]
Sigmas = Annotated[
    str,
    typer.Option("--sigmas", metavar="FILE", help="JSON: a sigma a keypoint, as a list or by name; for OKS and AP."),
]
ValShare = Annotated[
    float | None,
    typer.Option("--val", metavar="SHARE", min=0.001, max=0.9, help="Share of undivided images for val; default .2."),
]
TestShare = Annotated[
    float | None,
    typer.Option("--test", metavar="SHARE", min=0.001, max=0.9, help="Share of undivided images for test; default .2."),
]
GroupBy = Annotated[
    str,
    typer.Option(
        "--group-by",
        metavar="REGEX",
        help="What names an image's video or subject: a pattern on file names, or a field of the image records; none: ignore the files' own.",
    ),
]
PairName = Annotated[
    str,
    typer.Option(
        "--pair",
        metavar="A,B",
        help="Two keypoints; PCK and NME relative to the distance between their labels as well (head, eyes, torso).",
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        metavar="PATH",
        help="The same images labelled again by another annotator, in any format: how noisy labels are, and the error below "
        "which no detector can be shown to be better.",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="COUNT", min=1, max=10_000, help="How many seeds, from 0.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="COUNT", min=1, max=1024, help="Part of a run's key; default every core."),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")]
RunsDetector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        "-d",
        metavar="SPEC",
        help="The run's detector, where that is a file or class of your own: code runs only where you name it.",
    ),
]
BoardTask = Annotated[str | None, typer.Option("--task", metavar="NAME", help="Only boards of this task; default all.")]
BoardData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Only boards of this data: as their titles call it, its digest's first digits, or its path; default all.",
    ),
]


def pair_of(text: str) -> tuple[str, str] | None:
    """The two names of ``--pair``; None where it is not given. A name with a comma in it stands in double quotes."""
    if not text:
        return None
    names = names_of(text)
    if len(names) != 2 or not all(names):
        raise UserError(f"pair {text}: give two keypoints with a comma between them, as left_eye,right_eye")
    return names[0], names[1]


def having_pair(boards: list[Board], pair: Pair | None) -> list[Board]:
    """The boards; UserError where a pair is asked for and none of them has it."""
    from benchmark.metrics.scale import pair_positions

    if pair is not None and not any(board.pair for board in boards):
        for board in boards:
            if board.finished:
                pair_positions(pair, board.keypoints)  # says what is wrong with it
    return boards


def names_of(text: str) -> list[str]:
    """The names in a text with commas between them; one with a comma in it stands in double quotes."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def write_out(text: str) -> None:
    """Print a text as it is, in UTF-8 and with Unix line ends whatever the locale: the same bytes everywhere."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    sys.stdout.write(text)


def console_for(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; in a log file or a pipe as wide as the table, where no width is given.

    It prints no control characters: a name in somebody's data must not recolour, retitle or rewrite a terminal.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Printable(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control or is_plain(text) else Segment(plain_text(text), style)

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 160
    return Printable(stderr=stderr, width=width, emoji=False)


def is_plain(text: str) -> bool:
    """Whether a text holds no control character but line breaks."""
    return text.isprintable() or plain_text(text) == text


def plain_text(text: str) -> str:
    """A text without control characters (Unicode category Cc), line breaks excepted."""
    return "".join(c for c in text if c == "\n" or not (c < " " or "\x7f" <= c <= "\x9f"))


def waiting(text: str) -> Status:
    """Words and a spinner on stderr while something takes long; nothing where that is no terminal."""
    return console_for(stderr=True).status(text)


def say(text: str, *, stderr: bool = False, style: str | None = None) -> None:
    """A line as it is: no markup, no line breaks."""
    console_for(stderr=stderr).print(text, style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def stdout_kept() -> Iterator[None]:
    """Whatever detectors print meanwhile, in this process or one it starts, goes to stderr: stdout carries the answer."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
