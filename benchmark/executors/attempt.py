"""One job made in a process that may be ended: our wrapper, the same on every engine.

A `Worker` is a child process (`benchmark.executors.worker`) that imports once and makes one job after another. Whatever
ends it in the middle of a job (a segmentation fault, the kernel where memory is out, ``os._exit``, a limit) costs that job
alone: its row says what happened, its log is what the process had printed, and a new process makes the next job.

Memory is the resident memory of the process and its children, looked at five times a second. A limit on address space
(RLIMIT_AS) would be exact, but CUDA and the allocators of numeric libraries reserve far more than they ever use.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Any, Literal

import psutil

from benchmark.detector import Progress, no_progress
from benchmark.files import Unwritable
from benchmark.runs import facts
from benchmark.runs.config import Job
from benchmark.runs.plan import made_meanwhile
from benchmark.runs.store import FolderRun, Record, Store
from benchmark.structures import UserError

LOOK_SECONDS = 0.2  # between two looks at a running job's memory and time
LAST_WORDS = 64 * 1024  # bytes of what a process has printed that go into the log of its failed run
DUMP_SECONDS = 0.3  # for the process to say where it hangs
# As multiprocessing's spawn: the same path, and the caller's main module is not run again.
BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv.pop()); from benchmark.executors.worker import main; main()"

Failure = Literal["raised", "exited", "killed", "timeout", "memory", "lost"]


class Closed(Exception):
    """The worker was closed while it made a job; nothing is stored of that."""


class _Ended(Exception):
    """The process ended, or was ended, in the middle of a job."""

    def __init__(self, failure: Failure, words: str) -> None:
        super().__init__(words)
        self.failure: Failure = failure


def attempts_at(
    job: Job, attempt: Callable[[Sequence[str]], FolderRun], store: Store, failures: Sequence[str] = ()
) -> FolderRun:
    """Make a job, again where it fails and may be tried again; a run that somebody has made meanwhile is taken.

    Args:
        job: What to make.
        attempt: Makes it once, and stores it whether it fails or not; is handed how earlier attempts failed.
        store: Where it is stored.
        failures: How attempts failed that were made elsewhere before.

    Returns:
        The stored run of the last attempt.
    """
    if (there := made_meanwhile(job, store)) is not None:
        return there
    while True:
        stored = attempt(failures)
        if stored.record.status == "finished" or len(failures) >= job.limits.retry:
            return stored
        failures = [*failures, stored.record.error]


def failed(
    job: Job,
    store: Store,
    failure: Failure,
    error: str,
    *,
    attempts: Sequence[str] = (),
    log: str = "",
    begun: Record | None = None,
) -> FolderRun:
    """Store the failed run of a job whose process could not do so itself.

    Args:
        job: The job.
        store: Where.
        failure: How it failed.
        error: The same in words.
        attempts: How earlier attempts failed.
        log: What it had printed.
        begun: The record as the process had begun it; without it the row says nothing of the detector but its name.
    """
    record = begun or Record(
        status="failed",
        key=job.key,
        config=job.config,
        seed=job.seed,
        specification=job.specification,
        annotations=job.annotations,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=facts.machine(),
    )
    told = {"failure": failure, "error": error, "attempts": list(attempts)}
    return store.write(
        record.model_copy(update=told), log=log + ("" if log.endswith("\n") or not log else "\n") + error
    )


class Worker:
    """A process that makes one job after another; started when it is needed, and again where it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._printed: IO[bytes] | None = None
        self._made = 0
        self._closed = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and let go of it."""
        self._closed = True
        self._end()

    def interrupt(self) -> None:
        """End the process from another thread; `make`, if it is running, raises `Closed`, and the row is not touched."""
        self._closed = True
        if (process := self._process) is not None:
            _kill(process)

    def make(
        self,
        job: Job,
        progress: Progress = no_progress,
        store: Store | None = None,
        failures: Sequence[str] = (),
    ) -> FolderRun:
        """Make a job within its limits, in as many attempts as it is given.

        Args:
            job: What to make.
            progress: Is told how far it is.
            store: The store of the job's results, where one is open already.
            failures: How attempts failed that were made elsewhere before.

        Returns:
            The stored run, which may have failed.

        Raises:
            UserError: Where no process can be started, or not even a failed run can be stored.
            Closed: Where the worker was closed meanwhile.
        """
        into = store or Store(job.results)
        return attempts_at(job, lambda earlier: self._attempt(job, progress, into, earlier), into, failures)

    def _attempt(self, job: Job, progress: Progress, store: Store, failures: Sequence[str]) -> FolderRun:
        begun: list[Record] = []
        fresh = self._made == 0
        try:
            return self._made_once(job, progress, store, failures, begun)
        except _Ended as end:
            log = self._end()
            if self._closed:
                raise Closed from end
            if end.failure == "memory" and not fresh:  # what earlier jobs had left in the process was counted, too
                return self._attempt(job, progress, store, failures)
            before = begun[-1] if begun else None
            return failed(job, store, end.failure, str(end), attempts=failures, log=log, begun=before)

    def _made_once(
        self, job: Job, progress: Progress, store: Store, failures: Sequence[str], begun: list[Record]
    ) -> FolderRun:
        self._start()
        self._send({"job": job.model_dump(mode="json"), "attempts": list(failures)})
        self._made += 1
        began = time.monotonic()
        while True:
            self._hold_to(job, time.monotonic() - began)
            try:
                reply = self._inbox.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if reply is None:
                raise self._ended()
            if "begun" in reply:
                begun.append(Record.model_validate(reply["begun"]))
            elif "progress" in reply:
                progress(*reply["progress"])
            elif "stored" in reply:
                self._pass_on()
                record = Record.model_validate(reply["stored"])
                return FolderRun(store.folder(job.config, job.seed), record, store)
            elif "unwritable" in reply:
                raise Unwritable(reply["unwritable"])
            elif "refused" in reply:
                before = begun[-1] if begun else None
                log = self._pass_on() + reply["log"]
                return failed(job, store, "raised", reply["refused"], attempts=failures, log=log, begun=before)

    def _hold_to(self, job: Job, seconds: float) -> None:
        """End the process where its job takes too much, or notice that it has ended."""
        assert self._process is not None
        limits = job.limits
        if limits.timeout is not None and seconds > limits.timeout:
            with suppress(OSError, AttributeError):
                self._process.send_signal(signal.SIGUSR1)
                time.sleep(DUMP_SECONDS)
            raise _Ended("timeout", f"it took more than {limits.timeout:g} s, which is its limit (--timeout)")
        if limits.max_memory is not None:
            used = _resident(self._process.pid)
            if used > limits.max_memory:
                words = f"it used {_mib(used)} of memory, and its limit is {_mib(limits.max_memory)} (--max-memory)"
                raise _Ended("memory", words)
        if self._process.poll() is not None and self._inbox.empty():
            time.sleep(DUMP_SECONDS)  # for its last words, which may be on their way
            if self._inbox.empty():  # a child of its own may hold the pipe open, so that no end of it is seen
                raise self._ended()

    def _ended(self) -> _Ended:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return _Ended("exited", "its process closed its standard output")
        if code >= 0:
            return _Ended("exited", f"its process ended with exit code {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        why = ", as the kernel does where memory is out" if name == "SIGKILL" else ""
        return _Ended("killed", f"its process was ended by {name}{why}")

    def _start(self) -> None:
        if self._closed:
            raise Closed
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _end
        self._inbox = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-c", BOOT, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for whoever started it; and so its children can be ended with it
        )
        threading.Thread(target=_listen, args=(self._process.stdout, self._inbox), daemon=True).start()
        if self._inbox.get() is None:
            words = " ".join(self._end().split())[-500:]
            if self._closed:
                raise Closed
            raise UserError(f"a worker could not be started: {words or 'it ended at once'}")

    def _send(self, words: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _pass_on(self) -> str:
        """What was printed since the last job: to stderr, as that of a detector in this process."""
        assert self._printed is not None
        text = self._last_words()
        if text:
            sys.stderr.write(text)
            os.ftruncate(self._printed.fileno(), 0)
            os.lseek(self._printed.fileno(), 0, os.SEEK_SET)  # the process writes at the same position
        return text

    def _last_words(self) -> str:
        assert self._printed is not None
        size = os.fstat(self._printed.fileno()).st_size
        start = max(0, size - LAST_WORDS)
        content = os.pread(self._printed.fileno(), size - start, start)
        return content.decode(errors="replace").replace("\0", "")

    def _end(self) -> str:
        """End the process and its children; returns what it had printed."""
        if self._process is None or self._printed is None:
            return ""
        _kill(self._process)
        self._process.wait()
        text = self._last_words()
        for pipe in (self._process.stdin, self._printed):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process = self._printed = None
        self._made = 0
        return text


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and whatever it has started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _listen(replies: IO[str], inbox: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    with suppress(ValueError, OSError), replies:
        for line in replies:
            inbox.put(json.loads(line))
    inbox.put(None)


def _resident(pid: int) -> int:
    """Bytes of resident memory of a process and its children; 0 where it is gone."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
