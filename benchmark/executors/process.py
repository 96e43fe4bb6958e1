"""The process executor: several workers on this machine, each a process that makes one job after another.

Threads are divided among them when the grid is planned, for their number is part of a run's key: ``workers`` defaults to
the cores divided by the threads of a run, and the threads to the cores divided by the workers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from benchmark.executors.attempt import Closed, Worker
from benchmark.executors.executor import Callback, begin
from benchmark.runs import facts
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import Planned
from benchmark.runs.store import FolderRun, Store

Event = Callable[[], None]


def run(grid: Sequence[Planned], callback: Callback, config: GridConfig) -> list[FolderRun | None]:
    """Make the runs of a grid in processes of this machine. See `benchmark.executors.executor.Executor`.

    A thread drives each worker; what it has to tell goes through a queue to this thread, where the callback is called.
    """
    done = begin(grid, callback)
    waiting = [i for i, stored in enumerate(done) if stored is None]
    if not waiting:
        return done
    cores = facts.cores() // grid[waiting[0]].job.config.threads
    count = min(config.workers or max(1, cores), len(waiting))
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    for i in waiting:
        jobs.put(i)
    stopped = threading.Event()
    workers = [Worker() for _ in range(count)]

    def finished(i: int, stored: FolderRun) -> None:
        done[i] = stored
        callback.finished(grid[i], stored, reused=False)

    def drive(worker: Worker) -> None:
        store = Store(grid[waiting[0]].job.results)
        try:
            with worker, suppress(queue.Empty, Closed):
                while not stopped.is_set():
                    i = jobs.get_nowait()
                    job = grid[i].job
                    events.put(partial(callback.started, job))
                    tell = partial(callback.progress, job)
                    stored = worker.make(job, lambda *far, tell=tell: events.put(partial(tell, *far)), store)
                    if stored.record.status == "failed" and config.on_error == "stop":
                        stopped.set()  # what runs now is finished, nothing more is begun
                    events.put(partial(finished, i, stored))
        except BaseException as error:
            stopped.set()
            events.put(error)
        finally:
            events.put(None)

    threads = [threading.Thread(target=drive, args=(worker,), daemon=True) for worker in workers]
    problem: BaseException | None = None
    try:
        for thread in threads:
            thread.start()
        running = count
        while running:
            event = events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                problem = problem or event
            else:
                event()
    except BaseException:  # Ctrl-C among them: what is running is not waited for
        stopped.set()
        for worker in workers:
            worker.interrupt()
        raise
    finally:
        for thread in threads:
            thread.join(timeout=10)
    if problem is not None:
        raise problem
    return done
