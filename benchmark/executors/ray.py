"""The Ray executor: a task a run, on the cluster that ``RAY_ADDRESS`` names, or one of this machine (extra ``ray``).

Ray places tasks by what they ask for: CPUs (the threads of a run), memory and a share of a GPU (the detector's card). It
knows no limit on the time of a task and repeats one whose node is lost without saying so, so both are our wrapper's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from benchmark.executors.elsewhere import Rows, make, needs_of
from benchmark.executors.executor import Callback
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun
from benchmark.structures import UserError

WAIT_SECONDS = 1.0


def run(grid: Sequence[Planned], callback: Callback, config: GridConfig) -> list[FolderRun | None]:
    """Make the runs of a grid on a Ray cluster. See `benchmark.executors.executor.Executor`."""
    try:
        import ray
    except ImportError as error:
        raise UserError("executor ray: Ray is not installed; pip install 'keypoint-benchmark[ray]'") from error
    rows = Rows(grid, callback, config)
    if not rows.waiting:
        return rows.done
    own = not ray.is_initialized()
    if own:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    task = ray.remote(make)
    pending: dict[Any, int] = {}
    try:
        while rows.waiting or pending:
            while rows.waiting and len(pending) < _at_once(ray, grid, config):
                i = rows.waiting.popleft()
                needs = needs_of(grid[i].job)
                # A thing Ray does not know would wait for ever, so memory is only asked for where somebody has said it.
                asked = {"memory": needs.memory} if needs.memory else {}
                placed = task.options(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=0, **asked)
                pending[placed.remote(*rows.arguments(i))] = i
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=WAIT_SECONDS)
            for reference in ready:
                i = pending.pop(reference)
                try:
                    rows.arrived(i, ray.get(reference))
                except ray.exceptions.RayTaskError as error:  # our wrapper itself: nothing can be stored there
                    raise UserError(f"executor ray: {error.cause}") from error
                except ray.exceptions.OutOfMemoryError:
                    rows.lost(i, "memory", "Ray ended its process, for the memory of its machine was out")
                except ray.exceptions.RayError as error:
                    rows.lost(i, "lost", f"its machine or its process was lost ({type(error).__name__})")
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        if own:
            ray.shutdown()
    return rows.done


def _at_once(ray: Any, grid: Sequence[Planned], config: GridConfig) -> int:
    """Tasks to have handed out: as many as may run, and two that wait; so an error that stops leaves few behind."""
    if config.workers:
        return config.workers
    cpus = ray.cluster_resources().get("CPU", 1)
    return int(cpus // min(one.job.config.threads for one in grid)) + 2
