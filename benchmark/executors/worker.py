"""The process that makes one job after another, started by `benchmark.executors.attempt` and ended by it.

It imports once, and keeps the data of the last job open. Jobs come in on its standard input, a JSON line each; what it
says goes out on its standard output likewise. A detector sees neither: its standard input is empty, and what it prints
goes to a file that becomes the log of the run, should the process end in the middle of it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn, TextIO

from benchmark.files import Unwritable
from benchmark.runs.config import Job
from benchmark.runs.execute import execute, one_line
from benchmark.runs.store import Record, Store

PROGRESS_SECONDS = 0.1  # between two words about a running job: a fast loop must not spend its time on telling

Say = Callable[[Mapping[str, Any]], None]


def main() -> None:
    """Make jobs until the standard input ends; if that is in the middle of one, its maker is gone, and so is this."""
    jobs = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)  # asked for before a job that takes too long is ended: where it hung

    def say(words: Mapping[str, Any]) -> None:
        try:
            replies.write(json.dumps(words) + "\n")
            replies.flush()
        except OSError:  # nobody listens any more; raised in the middle of a fit, it would be the detector's failure
            _leave()

    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs, waiting), daemon=True).start()
    say({"ready": os.getpid()})
    stores: dict[str, Store] = {}
    while (line := waiting.get()) is not None:
        asked = json.loads(line)
        _make(Job.model_validate(asked["job"]), asked["attempts"], stores, say)


def _make(job: Job, attempts: list[str], stores: dict[str, Store], say: Say) -> None:
    told = 0.0

    def progress(fraction: float, text: str) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= PROGRESS_SECONDS:
            told = now
            say({"progress": [float(fraction), str(text)]})

    def begun(record: Record) -> None:
        say({"begun": record.model_dump(mode="json")})

    try:
        store = stores.setdefault(job.results, Store(job.results))
        stored = execute(job, progress, store, attempts=attempts, begun=begun)
    except Unwritable as error:  # the next job's result could not be stored either, nor this one's failure
        say({"unwritable": one_line(error)})
    except (Exception, SystemExit) as error:
        say({"refused": one_line(error) or type(error).__name__, "log": traceback.format_exc()})
    else:
        say({"stored": stored.record.model_dump(mode="json")})
    sys.stderr.flush()


def _listen(jobs: TextIO, waiting: queue.SimpleQueue[str | None]) -> None:
    for line in jobs:
        waiting.put(line)
    waiting.put(None)
    # Whoever asked is gone. Given a moment an idle process ends by itself, and a busy one is ended here.
    time.sleep(1)
    _leave()


def _leave() -> NoReturn:
    """End this process and what it has started, at once: whoever asked for the job is gone."""
    with suppress(AttributeError, OSError):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
