"""How a grid is shown while it runs: bars on a terminal, and in a log file one line a finished run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmark.code_digest import UNRECORDED
from benchmark.executors.executor import Callback
from benchmark.runs.config import Job, RunConfig
from benchmark.runs.data import open_data
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Store
from leaderboard.render.status import duration
from leaderboard.status import PastRuns

MOST_REUSED = 5  # stored runs that are named one by one
REPORT_SECONDS = 30.0  # between two lines about a running job, where stderr is a log file


def reused_words(created: str) -> str:
    """What is said of a run that was made earlier, in place of what making it gave.

    Args:
        created: When it was made, as its record has it.
    """
    return f"reused, made on {created[:10]}" if created else "reused, made earlier"


class Tally:
    """How a grid stands: failed runs, the best row so far, and the time left by runs of the same kind."""

    def __init__(self) -> None:
        self._left: dict[str, str] = {}  # key of a run to make -> digest of its config
        self._configs: dict[str, RunConfig] = {}
        self._past: PastRuns | None = None
        self._failed = 0
        self._best: tuple[float, str] | None = None

    def planned(self, grid: Sequence[Planned]) -> None:
        """Some runs that are to be made or stand already."""
        if grid and self._past is None:
            self._past = PastRuns(Store(grid[0].job.results))
        for job in (one.job for one in grid if one.stored is None):
            self._left[job.key] = digest = job.config.digest
            self._configs.setdefault(digest, job.config)

    def finished(self, planned: Planned, stored: FolderRun) -> None:
        """One of them is stored."""
        record = stored.record
        self._left.pop(planned.job.key, None)
        self._failed += record.status == "failed"
        if self._past is not None:
            self._past.add(record)
        error = record.scores.get("mean")
        if record.ranked and error is not None and (self._best is None or error < self._best[0]):
            self._best = (error, record.config.detector)

    def text(self, workers: int) -> str:
        """It in a few words.

        Args:
            workers: How many runs are made at once.
        """
        parts = [f"{self._failed} failed"] if self._failed else []
        parts += [f"best {self._best[1]} {self._best[0]:.3g} px"] if self._best else []
        counts = Counter(self._left.values())  # of thousands of seeds few differ in more
        each = {digest: self._past.seconds(self._configs[digest])[0] for digest in counts} if self._past else {}
        known = {digest: seconds for digest, seconds in each.items() if seconds is not None}
        if known:
            least = "about" if len(known) == len(each) else "over"
            total = sum(seconds * counts[digest] for digest, seconds in known.items())
            parts.append(f"{least} {duration(total / workers)} left")
        return ", ".join(parts)


class Bars(Callback):
    """Bars on stderr where that is a terminal; a line for each run either way. A context manager.

    Attributes:
        reused: Keys of the runs that were not made now, but earlier.
    """

    def __init__(self, console: Console) -> None:
        self.reused: set[str] = set()
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._grid: TaskID | None = None
        self._tally = Tally()
        self._running: dict[str, TaskID] = {}  # by key, as what was told of each
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def planned(self, grid: Sequence[Planned]) -> None:
        """The whole grid, before it starts: say which stored runs are reused, and which are stale, and why."""
        self._tally.planned(grid)
        total = len(grid)
        if self._grid is None:
            self._grid = self._bars.add_task("runs", total=total, note="")
        else:  # another grid of the same file, or another round of seeds
            total += int(self._bars.tasks[self._bars.task_ids.index(self._grid)].total or 0)
            self._bars.update(self._grid, total=total)
        for note in open_data(grid[0].job.data)[0].notes if grid else ():
            self._say(f"{grid[0].job.data.data}: {note}", style="yellow")
        for one in grid:
            if one.damaged:
                self._say(f"{one.job.title}: {one.damaged}: run again", style="yellow")
            if one.stale:
                outcome = "kept as it is" if one.stored else "run again"
                why = one.stale[0] if one.stale == (UNRECORDED,) else f"code changed since ({', '.join(one.stale)})"
                self._say(f"{one.job.title}: {why}: {outcome}", style="yellow")
        reused = [one for one in grid if one.stored is not None]
        self.reused |= {one.job.key for one in reused}
        named = [(one.job.title, one.stored.record.created) for one in reused if one.stored is not None and one.asked]
        for title, created in named if len(named) <= MOST_REUSED else ():
            self._say(f"{title}: {reused_words(created)}")
        if len(named) > MOST_REUSED:
            self._say(f"{len(named):,} runs: reused, made earlier")

    def note(self, text: str) -> None:
        """Something that concerns no single job."""
        self._say(text, style="yellow")

    def started(self, job: Job) -> None:
        """A job starts to run."""
        self._running[job.key] = self._bars.add_task(job.title, total=100, note="")
        self._told[job.key] = time.monotonic()

    def progress(self, job: Job, fraction: float, text: str) -> None:
        """A running job is this far: its bar moves at most ten times a second, and a log gets a line of it every 30 s."""
        now = time.monotonic()
        terminal = self._console.is_terminal
        if job.key not in self._running or now - self._told[job.key] < (0.1 if terminal else REPORT_SECONDS):
            return  # a fast loop must not spend its time on drawing
        self._told[job.key] = now
        if terminal:
            self._bars.update(self._running[job.key], completed=round(100 * fraction), note=text)
        else:
            self._say(f"{job.title}: {100 * fraction:.0f} %, {text}")

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        """A job is stored: say what came of it."""
        if (bar := self._running.pop(planned.job.key, None)) is not None:
            self._bars.remove_task(bar)
        self._tally.finished(planned, stored)
        if self._grid is not None:
            note = self._tally.text(len(self._running) or 1) if self._console.is_terminal else ""
            self._bars.update(self._grid, advance=1, note=note)
        record = stored.record
        if record.status == "failed":
            tries = f" (the last of {len(record.attempts) + 1} attempts)" if record.attempts else ""
            self._say(f"failed {planned.job.title}: {record.error}{tries}", style="red")
            self._say(f"       the whole story: {stored.folder / 'log.txt'}")
        elif not reused and planned.asked:
            error = record.scores.get("mean")
            figure = "" if error is None else f"{error:.3f} px"
            seconds = record.fit_seconds or 0.0
            self._say(f"{planned.job.title}: {figure}, fitted in {seconds:.1f} s")
            for note in record.notes:
                self._say(f"       {note}", style="dim")

    def _say(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
