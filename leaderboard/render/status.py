"""How far a grid or a folder of results is, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.code_digest import UNRECORDED
from leaderboard.render.printed import add, new_table, say
from leaderboard.render.words import numbered
from leaderboard.status import STATES, BoardStatus, GridStatus, JobStatus, counted
from leaderboard.titles import title_of

if TYPE_CHECKING:
    from rich.console import Console

MOST = 10  # runs named one by one, of each kind


def print_grid(status: GridStatus, console: Console, *, dry_run: bool = False) -> None:
    """Print a table a board, a row a configuration; then which runs are stale or failed, and what is to be made.

    Args:
        status: How far the grid is.
        console: Its width is used.
        dry_run: Say it as what ``run`` would do.
    """
    states = [state for state in STATES if state != "unneeded" or status.counts[state]]
    rows: dict[str, dict[tuple[str, ...], list[JobStatus]]] = {}
    for job in status.jobs:
        config = job.planned.job.config
        of_board = rows.setdefault(title_of(config.task, config.version, config.data), {})
        of_board.setdefault((config.detector, str(config.n_train), config.budget), []).append(job)
    for title, of_board in rows.items():
        cells = []
        for names, jobs in of_board.items():
            counts = counted(job.state for job in jobs)
            left = _left([j for j in jobs if j.to_make])
            cells.append([*names, *(str(counts[state] or "") for state in states), left])
        say(console, title, "bold")
        _print_table(["detector", "n", "budget", *states, "time left"], cells, console)
    for state, style in (("stale", "yellow"), ("failed", "red")):
        named = [job for job in status.jobs if job.state == state]
        for job in named[:MOST]:
            say(console, f"{state}: {job.planned.job.title}: {_why(job)}{'' if job.to_make else '; it stands'}", style)
        if len(named) > MOST:
            say(console, f"{state}: and {len(named) - MOST} more (--json has all)", style)
    counts, count = status.counts, len(status.to_make)
    stands = len(status.jobs) - count
    if dry_run:
        say(
            console,
            f"would make {count} of {numbered(len(status.jobs), 'run')}, and reuse {stands}; nothing was made",
            "bold",
        )
    else:
        parts = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        say(console, f"{numbered(len(status.jobs), 'run')} in {status.results}: {parts}", "bold")
    if count:
        say(console, f"to make: {count}; {_time_left(status)}")


def print_folder(boards: Sequence[BoardStatus], console: Console) -> None:
    """Print a table, a row a board."""
    rows = []
    for board in boards:
        states = [str(board.counts[state] or "") for state in ("done", "stale", "failed")]
        cells = [str(board.rows), str(sum(board.counts.values())), *states, duration(board.seconds), board.newest[:16]]
        rows.append([f"{board.task} on {board.data}", *cells])
    _print_table(["board", "rows", "runs", "done", "stale", "failed", "fits", "newest"], rows, console)
    if changed := sorted({file for board in boards for file in board.changed}):
        say(console, f"stale: code changed since ({', '.join(changed)}); run makes such runs again", "yellow")
    if unknown := sum(board.unknown for board in boards):
        whose = f"{numbered(unknown, 'run')}: {'its' if unknown == 1 else 'their'} code is not at hand"
        say(console, f"{whose}, so nobody can tell whether it has changed", "dim")


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table without the columns that are empty in every row, which leaves names the room they need."""
    kept = [i for i in range(len(headings)) if not rows or any(row[i] for row in rows)]
    table = new_table([headings[i] for i in kept])
    for row in rows:
        add(table, [row[i] for i in kept])
    console.print(table, highlight=False)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else "< 1 s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _left(jobs: Sequence[JobStatus]) -> str:
    """How long runs may take; "" where none is to be made or nothing is known of any."""
    known = [job.left for job in jobs if job.left is not None]
    if not known:
        return "unknown" if jobs else ""
    return f"about {duration(sum(known))}" + (" (rough)" if any(job.rough for job in jobs) else "")


def _time_left(status: GridStatus) -> str:
    """How long what is to be made may take, and of what nobody can tell."""
    parts = []
    if len(status.unknown) < len(status.to_make):
        rough = ", in part by runs on another number of images" if any(job.rough for job in status.to_make) else ""
        at_once = f", {status.workers} runs at once" if status.workers > 1 else ""
        parts.append(f"about {duration(status.seconds)} of fitting and predicting{at_once}, by past runs{rough}")
    if status.unknown:
        names = list(dict.fromkeys(job.planned.job.config.detector for job in status.unknown))
        some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        parts.append(f"of {len(status.unknown)} no past run tells how long they take ({some})")
    return "; ".join(parts)


def _why(job: JobStatus) -> str:
    if job.state == "failed":
        return job.planned.failed or job.planned.damaged
    files = job.planned.stale
    return files[0] if files == (UNRECORDED,) else f"code changed since ({', '.join(files)})"
