"""What the pages tell a reader to paste is run, page by page, in an empty folder, and prints what the pages say.

In a page, a block of Python or YAML with a title is a file, one without is run; of a block of ``bash`` each line is. A block
of ``text`` behind it holds lines that were printed, in this order, ``…`` standing for anything. A block of ``bash`` that begins
with ``# not run here: why`` is only parsed: the reader sees why, and its options are known to exist.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from benchmark import registry
from benchmark.cli import app, main

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROGRAM = "python -m benchmark "
NOT_RUN = "# not run here: "
FENCE = re.compile(r'^```(\w+)?(?: title="([^"]+)")?\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code of a page, and whether it stands right behind the one before it."""

    language: str
    title: str
    content: str
    behind: bool

    @property
    def lines(self) -> list[str]:
        """The commands of a block of shell."""
        return [line for line in self.content.splitlines() if line and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    text, made, end = page.read_text(encoding="utf-8"), [], 0
    for found in FENCE.finditer(text):
        made.append(Block(*found.groups(default=""), behind=not text[end : found.start()].strip()))
        end = found.end()
    return made


def executed(page: Path) -> list[str]:
    """The command lines of a page that are run."""
    shell = [block for block in blocks(page) if block.language == "bash" and not block.content.startswith(NOT_RUN)]
    return [line for block in shell for line in block.lines]


def paste(line: str) -> str:
    """Run one line as a shell would, in this process; returns what it printed."""
    words = []
    for word in shlex.split(line):
        matches = sorted(map(str, Path().glob(word))) if "*" in word and not word.startswith(("clip", "/")) else []
        words += matches or [word]
    assert words[0] == "python", f"{line}: only lines that begin with python are run"
    out, arguments = io.StringIO(), sys.argv
    before = Path.cwd()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        if words[1:3] == ["-m", "benchmark"]:
            registry._registered.clear()
            registry._registered_classes.clear()
            sys.argv = words[2:]
            try:
                with pytest.raises(SystemExit) as left:
                    main()
            finally:
                sys.argv = arguments
            assert not left.value.code, f"{line}\n{out.getvalue()}"
        else:
            sys.argv = words[1:]
            try:
                runpy.run_path(words[1], run_name="__main__")
            finally:
                sys.argv = arguments
    assert Path.cwd() == before
    return out.getvalue()


def squeezed(text: str) -> list[str]:
    """The lines that hold something, without what only lays them out."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def assert_printed(promised: str, printed: str) -> None:
    """Every line of what is promised is a line that was printed, after the one before it."""
    left = squeezed(printed)
    for line in squeezed(promised):
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
        at = next((i for i, one in enumerate(left) if pattern.fullmatch(one)), None)
        assert at is not None, f"not printed: {line}\n{printed}"
        left = left[at + 1 :]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEYPOINT_RESULTS", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("benchmark.runs.facts.cores", lambda: 1)  # tests run side by side: one thread each
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if executed(page)], ids=lambda page: page.stem)
def test_what_a_page_says_to_paste_works_and_prints_what_it_says(page: Path, folder: Path) -> None:
    printed, before = "", ""
    typed: dict[str, Any] = {}
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(exist_ok=True)
            (folder / block.title).write_text(block.content, encoding="utf-8")
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.content, str(page), "exec"), typed)
        elif block.language == "bash" and not block.content.startswith(NOT_RUN):
            printed = "\n".join(map(paste, block.lines))
        elif block.language == "text" and before == "bash" and block.behind:
            assert_printed(block.content, printed)
        before = block.language


def documented() -> list[tuple[str, str]]:
    """Every line of this repository's pages that calls the suite, with its page."""
    pages = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md"))]
    lines = []
    for page in pages:
        for block in blocks(page):
            lines += [(page.name, line) for line in block.content.splitlines() if line.startswith(PROGRAM)]
    return lines


@pytest.mark.parametrize(("page", "line"), documented(), ids=lambda value: value)
def test_every_command_and_option_of_a_page_exists(page: str, line: str) -> None:
    name, *words = shlex.split(line.removeprefix(PROGRAM), comments=True)
    root: Any = get_command(app)
    assert name in root.commands, f"{page}: there is no command {name}"
    root.commands[name].make_context(name, words)  # raises what the command line would say


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "bash" and block.content.startswith("#"):
                reason = block.content.partition("\n")[0]
                assert reason.startswith(NOT_RUN), f"{page.name}: {reason}"
                assert len(reason) > len(NOT_RUN) + 10


def test_every_command_is_in_an_example_that_is_run() -> None:
    root: Any = get_command(app)
    shown = {line.removeprefix(PROGRAM).split()[0] for page in PAGES for line in executed(page) if PROGRAM in line}
    assert set(root.commands) <= shown


PRINTED = "rank  name  px\n   1  b     2.0\nmean  1.0\n"


@pytest.mark.parametrize("promised", ["mean 1.0", "rank …\n1 b 2.0", "1  b …\n…", "… 2.…\nmean 1.0"])
def test_what_was_printed_is_found(promised: str) -> None:
    assert_printed(promised, PRINTED)


@pytest.mark.parametrize("promised", ["mean 1.1", "mean 1.0\nrank …", "1 b", "rank … 2.0"])
def test_what_was_not_printed_is_missed(promised: str) -> None:
    with pytest.raises(AssertionError):
        assert_printed(promised, PRINTED)
