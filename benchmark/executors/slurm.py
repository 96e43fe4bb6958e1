"""The Slurm executor: array jobs by submitit, split where the cluster splits them (extra ``slurm``).

What ``sbatch`` reads from the environment holds (``SBATCH_PARTITION``, ``SBATCH_ACCOUNT``, ``SBATCH_QOS``). Slurm wants to
know how long a job may take, so ``--timeout`` must be given; the limit that ends a run is our wrapper's, and Slurm's lies
beyond it. A task that is preempted, or whose node fails, is requeued by Slurm; it makes only what is not stored yet.
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.executors.elsewhere import Needs, Rows, make, needs_of
from benchmark.executors.executor import Callback
from benchmark.runs import facts
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun
from benchmark.structures import UserError

MAX_ARRAY_SIZE = 1001  # Slurm's own default
LOOK_SECONDS = 30.0  # between two looks at the queue
START_MINUTES = 5  # for a task to import, and to read its data
STARTED_WITH = 2 * 2**30  # bytes beside a run's own: the task's process, and what its libraries take


class _Task:
    """A task that Slurm may requeue: it then begins again, and takes what is stored as it is."""

    def __call__(self, job: str, failures: list[str], folder: str) -> str:
        return make(job, failures, folder)

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit hands in again for a task that was preempted."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def run(
    grid: Sequence[Planned], callback: Callback, config: GridConfig, *, cluster: str | None = None
) -> list[FolderRun | None]:
    """Make the runs of a grid by Slurm. See `benchmark.executors.executor.Executor`.

    Args:
        grid: What is planned.
        callback: Is told how it goes.
        config: What was asked for; ``workers`` is how many tasks of an array run at once.
        cluster: submitit's: "local" are processes of this machine; None is Slurm.

    Raises:
        UserError: Where submitit or Slurm is not here, or no ``--timeout`` is given.
    """
    try:
        import submitit
    except ImportError as error:
        raise UserError("executor slurm: submitit is not installed; pip install 'keypoint-benchmark[slurm]'") from error
    if cluster is None and shutil.which("sbatch") is None:
        raise UserError("executor slurm: there is no sbatch here; run it where jobs are handed in")
    if config.timeout is None:
        raise UserError("executor slurm: Slurm wants to know how long a run may take; give --timeout")
    rows = Rows(grid, callback, config)
    if not rows.waiting:
        return rows.done
    executor = submitit.AutoExecutor(folder=Path(config.results) / "_slurm", cluster=cluster or "slurm")
    limit = max_array_size() if cluster is None else config.workers or facts.cores()
    logging.getLogger("submitit").setLevel(logging.ERROR)  # it warns at every look where Slurm keeps no accounts
    pending: dict[int, Any] = {}
    missing: set[int] = set()
    looked = time.monotonic()
    try:
        while rows.waiting or pending:
            if rows.waiting and (cluster is None or not pending):
                pending.update(_submit(executor, grid, rows, config, limit))
            for i, task in list(pending.items()):
                if task.done():
                    del pending[i]
                    _collect(submitit, rows, i, task)
            if cluster is None and time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                gone = _not_in_queue(pending)
                for i in gone & missing:
                    task = pending.pop(i)
                    rows.lost(i, "lost", f"its task left the queue without an answer (see {task.paths.stderr})")
                missing = gone
            time.sleep(0.1 if cluster else 2.0)
    finally:
        for task in pending.values():
            task.cancel(check=False)
    return rows.done


def _submit(executor: Any, grid: Sequence[Planned], rows: Rows, config: GridConfig, limit: int) -> dict[int, Any]:
    """Hand in one array: as many waiting jobs as the cluster takes at once and that need the same as the first."""
    needs = needs_of(grid[rows.waiting[0]].job)
    chosen = [i for i in rows.waiting if needs_of(grid[i].job) == needs][:limit]
    for i in chosen:
        rows.waiting.remove(i)
    executor.update_parameters(**_parameters(needs, config))
    arguments = [rows.arguments(i) for i in chosen]
    return dict(zip(chosen, executor.map_array(_Task(), *zip(*arguments))))


def _parameters(needs: Needs, config: GridConfig) -> dict[str, Any]:
    assert config.timeout is not None  # checked at the door
    attempts = config.retry + 1
    asked: dict[str, Any] = {
        "name": "keypoint-benchmark",
        "cpus_per_task": needs.cpus,
        "timeout_min": math.ceil(attempts * config.timeout / 60) + START_MINUTES,
        "slurm_additional_parameters": {"requeue": True},
    }
    if config.workers:
        asked["slurm_array_parallelism"] = config.workers
    if needs.memory:
        asked["mem_gb"] = math.ceil((needs.memory + STARTED_WITH) / 2**30)
    if needs.gpus:
        asked["gpus_per_node"] = math.ceil(needs.gpus)
    return asked


def _not_in_queue(pending: Mapping[int, Any]) -> set[int]:
    """The jobs whose tasks Slurm neither runs nor means to: without accounts it says no more about a task that was killed.

    One that has ended a moment ago is among them, while its answer is on its way; so only a second look decides.
    """
    try:
        words = ["squeue", "--noheader", "--array", "--format=%F_%K"]
        queue = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return set()
    return {i for i, task in pending.items() if task.job_id not in queue}


def _collect(submitit: Any, rows: Rows, i: int, task: Any) -> None:
    try:
        error = task.exception()
    except submitit.core.utils.UncompletedJobError as uncompleted:
        error = uncompleted
    if error is None:
        rows.arrived(i, task.result())
    elif isinstance(error, submitit.core.utils.FailedJobError) and "Traceback" in str(error):
        raise UserError(f"executor slurm: {str(error).strip().splitlines()[-1]}")  # our wrapper: nothing can be stored
    else:
        rows.lost(i, "lost", f"its task was lost (state {task.state}; see {task.paths.stderr})")


def max_array_size() -> int:
    """How many tasks an array may have on this cluster: one less than its MaxArraySize."""
    try:
        told = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        told = ""
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", told)
    return max(1, int(match.group(1)) - 1 if match else MAX_ARRAY_SIZE - 1)
