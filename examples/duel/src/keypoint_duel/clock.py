"""A tool's process under a clock: what it may take to start, its budget from then on, and its end.

The clock starts when the tool says that it is ready, by making the file ``ready`` in its folder: imports of half a minute
are no training. It is told the seconds it has and should stop by itself; a twentieth later it is ended, with whatever it
has started. What it had saved by then is what it answers from.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmark.detector import Progress, no_progress
from benchmark.structures import UserError

READY = "ready"
START_SECONDS = 600.0  # for a tool to start
GRACE = 0.05  # of its budget, for a tool that is told it to stop by itself
LOOK_SECONDS = 0.05
MEMORY_SECONDS = 0.5  # between two looks at its memory
LAST_WORDS = 64 * 1024  # bytes of its messages that are kept


class ToolError(UserError):
    """A tool that failed: why, in a line. Its last messages are the error's note, and so end up in the run's log."""

    def __init__(self, why: str, messages: str) -> None:
        super().__init__(why)
        self.add_note(f"--- what the tool said:\n{messages}")


@dataclass(frozen=True)
class Took:
    """What a step of a tool took.

    Attributes:
        start: Seconds until it was ready.
        work: Seconds from then on.
        stopped: Whether it was ended because its time was over.
        memory: Bytes resident at most, its children included.
    """

    start: float
    work: float
    stopped: bool
    memory: int


def run_step(
    command: Sequence[str],
    folder: Path,
    seconds: float | None,
    environment: Mapping[str, str],
    progress: Progress = no_progress,
    start_seconds: float = START_SECONDS,
) -> Took:
    """Run a step of a tool and wait for its end.

    Args:
        command: Program and arguments.
        folder: Where it works; ``ready`` is looked for there, and ``messages.txt`` gets what it prints.
        seconds: That it has from being ready on; None: any.
        environment: Its environment variables.
        progress: Is told how much of its time is over.
        start_seconds: That it has to get ready.

    Raises:
        ToolError: Where it can't be started, isn't ready in time, or ends with an error.
    """
    (folder / READY).unlink(missing_ok=True)
    started, begun_at = time.monotonic(), time.time()
    ready: float | None = None
    memory, looked = 0, started
    with (folder / "messages.txt").open("ab") as messages:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise ToolError(f"{command[0]} cannot be started ({error.strerror})", "") from error
        try:
            while (code := process.poll()) is None:
                time.sleep(LOOK_SECONDS)
                now = time.monotonic()
                ready = ready or _said_ready(folder, started, begun_at)
                if ready is None and now - started > start_seconds:
                    raise ToolError(f"it was not ready within {start_seconds:g} s", last_words(folder))
                if now - looked > MEMORY_SECONDS:
                    memory, looked = max(memory, _resident(process.pid)), now
                    if ready is None:
                        progress(0.0, "starting")
                    else:
                        progress(_share(now - ready, seconds), "at work")
                if ready is not None and seconds is not None and now - ready > seconds * (1 + GRACE):
                    return Took(ready - started, now - ready, True, memory)
        finally:
            end_tree(process)
    ended = time.monotonic()
    if code != 0:
        raise ToolError(_why(code, folder), last_words(folder))
    ready = ready or _said_ready(folder, started, begun_at)
    if ready is None:
        raise ToolError(
            "it ended without ever saying that it was ready (it is to make the file ready)", last_words(folder)
        )
    return Took(ready - started, ended - ready, False, memory)


def _said_ready(folder: Path, started: float, begun_at: float) -> float | None:
    """When the tool said that it is ready, by the monotonic clock: the file's time, which may lie between two looks."""
    try:
        written = (folder / READY).stat().st_mtime
    except OSError:
        return None
    return min(max(started + written - begun_at, started), time.monotonic())


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started, and wait for it, so that its processor time is counted."""
    tree: list[psutil.Process] = []
    with suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        tree = [*parent.children(recursive=True), parent]
    for one in tree:
        with suppress(psutil.Error):
            one.kill()
    with suppress(OSError):
        process.kill()
    process.wait()


def last_words(folder: Path) -> str:
    """The end of what a tool has printed."""
    file = folder / "messages.txt"
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - LAST_WORDS))
        text = opened.read().decode(errors="replace")
    lines = [
        line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")
    ]  # bars are drawn over
    return "\n".join("".join(c if c.isprintable() or c == "\t" else " " for c in line) for line in lines)


def _why(code: int, folder: Path) -> str:
    lines = [line for line in last_words(folder).splitlines() if line.strip()]
    if code < 0:
        with suppress(ValueError):
            return f"the tool was ended by {signal.Signals(-code).name}"
    return f"the tool ended with exit code {code}" + (f": {lines[-1].strip()[:300]}" if lines else "")


def _share(spent: float, seconds: float | None) -> float:
    return 0.0 if seconds is None else min(1.0, spent / seconds)


def _resident(pid: int) -> int:
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total
