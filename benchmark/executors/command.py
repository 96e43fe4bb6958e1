"""The command executor: a file of jobs and a line for each, for any scheduler there is.

It makes nothing itself. ``JOBS.jsonl`` holds the jobs, ``JOBS.sh`` one line each, which runs anywhere where this Python and
the folders are: by ``parallel < JOBS.sh``, or as an array job by ``python -m benchmark work JOBS.jsonl --only $INDEX``.
Once they are made, the same ``run`` without ``--executor command`` finds them and shows the board.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from benchmark import files
from benchmark.executors.attempt import Worker
from benchmark.executors.executor import Callback, begin
from benchmark.runs.config import GridConfig, Job
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Store
from benchmark.structures import UserError


def run(grid: Sequence[Planned], callback: Callback, config: GridConfig) -> list[FolderRun | None]:
    """Write the jobs of a grid to a file. See `benchmark.executors.executor.Executor`."""
    done = begin(grid, callback)
    jobs = [one.job for one, stored in zip(grid, done) if stored is None]
    if not jobs:
        return done
    lines = [job.model_dump_json() for job in jobs]
    name = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    path = Path(jobs[0].results) / "_jobs" / f"{name}.jsonl"
    files.write_text(path, "\n".join(lines))
    files.write_text(path.with_suffix(".sh"), "\n".join(command(path, i) for i in range(len(jobs))))
    callback.note(f"{len(jobs)} jobs in {path}, and a command for each in {path.with_suffix('.sh')}")
    return done


def command(path: Path, index: int) -> str:
    """A line of shell that makes one job of a file, from wherever it is run."""
    words = [sys.executable, "-m", "benchmark", "work", str(path), "--only", str(index)]
    return f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(words)}"


def read_jobs(path: Path) -> list[Job]:
    """The jobs in a file, a JSON line each.

    Raises:
        UserError: Naming the line that is not a job.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    jobs = []
    for number, line in enumerate(lines, 1):
        try:
            jobs.append(Job.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(f"{path}:{number}: is not a job ({where}: {first['msg']}); write the file anew") from error
    return jobs


def chosen(jobs: Sequence[Job], only: str | None) -> list[Job]:
    """The jobs asked for: ``3``, or ``3-7`` with both ends; all of them where nothing is said.

    Raises:
        UserError: Where there is no such job.
    """
    if only is None:
        return list(jobs)
    first, dash, last = only.partition("-")
    if first.isdigit() and (last.isdigit() if dash else True):
        start, stop = int(first), int(last or first)
        if start <= stop < len(jobs):
            return list(jobs[start : stop + 1])
    raise UserError(f"only {only!r}: there are jobs 0 to {len(jobs) - 1}; give one as 3, or several as 3-7")


def work(jobs: Sequence[Job], callback: Callback, on_error: str = "continue") -> list[FolderRun]:
    """Make jobs one after another, in a process that may end; what was made since they were planned is taken as it is.

    Args:
        jobs: From a file.
        callback: Is told how it goes.
        on_error: "stop": begin no further job after one has failed.

    Returns:
        The stored run of each that was made.
    """
    done = []
    with Worker() as worker:
        for job in jobs:
            callback.started(job)
            stored = worker.make(job, lambda *far, job=job: callback.progress(job, *far), Store(job.results))
            callback.finished(Planned(job), stored, reused=False)
            done.append(stored)
            if stored.record.status == "failed" and on_error == "stop":
                break
    return done
