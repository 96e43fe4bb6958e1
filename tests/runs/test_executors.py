"""Executors: the same bits from each, one row for each failure, limits that hold, and workers that import once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import UserError, executors
from benchmark.api import grid_config, run_grid
from benchmark.executors.executor import Callback
from benchmark.runs import facts
from benchmark.runs.config import GridConfig, Job
from benchmark.runs.limits import seconds, size
from benchmark.runs.plan import Planned, plan
from benchmark.runs.store import FolderRun, Store

Grid = Callable[..., GridConfig]

FLAWED = """
import ctypes, os, signal, sys, time
import numpy as np
from benchmark import Detector, register

@register("flawed")
class Flawed(Detector):
    def __init__(self, flaw: str = "", where: str = "") -> None:
        self.flaw, self.where = flaw, where

    def fit(self, train, val, *, seed, budget):
        print("printed before the end")
        if self.where:
            with open(self.where, "a") as file:
                file.write(f"{os.getpid()}\\n")
            if self.flaw == "once" and len(open(self.where).readlines()) == 1:
                os._exit(3)
        if self.flaw == "segfault":
            ctypes.string_at(0)
        if self.flaw == "os._exit":
            os._exit(7)
        if self.flaw == "sys.exit":
            sys.exit(7)
        if self.flaw == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.flaw == "raise":
            raise RuntimeError("no luck")
        if self.flaw == "hang":
            time.sleep(600)
        if self.flaw == "orphan" and os.fork() == 0:
            time.sleep(600)  # it holds every pipe of its parent open
        if self.flaw == "orphan":
            os._exit(7)
        if self.flaw == "memory":
            self.hoard = [np.ones(2**26)]  # 512 MiB, touched
            time.sleep(600)
        self.point = train.points.mean(axis=0)

    def predict(self, images):
        return np.repeat(self.point[None], len(images), axis=0)
"""


@pytest.fixture
def flawed(tmp_path: Path) -> str:
    """A detector file that fails as its parameter says."""
    path = tmp_path / "flawed.py"
    path.write_text(FLAWED)
    return str(path)


class Ears(Callback):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def started(self, job: Job) -> None:
        self.events.append(("started", job.key))

    def progress(self, job: Job, fraction: float, text: str) -> None:
        self.events.append(("progress", job.key))

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        self.events.append(("reused" if reused else "finished", planned.job.key))


def predictions(runs: list[FolderRun]) -> dict[str, bytes]:
    return {run.record.key: (run.folder / "predictions.json").read_bytes() for run in runs}


def test_whatever_ends_a_process_costs_one_row(grid: Grid, flawed: str) -> None:
    """Segmentation fault, exits, kill -9, a hang: each is a failed row with reason and log, and the rest is made."""
    words = {
        "segfault": ("killed", "SIGSEGV"),
        "os._exit": ("exited", "exit code 7"),
        "sys.exit": ("raised", "SystemExit: 7"),
        "kill": ("killed", "SIGKILL, as the kernel does where memory is out"),
        "raise": ("raised", "RuntimeError: no luck"),
        "hang": ("timeout", "took more than 5 s"),
        "orphan": ("exited", "exit code 7"),
    }
    asked = [f"{flawed}:flaw={flaw}" for flaw in words] + [flawed, "mean"]
    began = time.monotonic()
    ears = Ears()
    settings = {"executor": "process", "workers": 2, "timeout": 5.0}
    runs = run_grid(grid(*asked, **settings), ears)
    assert time.monotonic() - began < 60
    assert len(runs) == len(asked)
    for (flaw, (failure, error)), run in zip(words.items(), runs):
        record = run.record
        assert (record.status, record.failure) == ("failed", failure), flaw
        assert error in record.error
        assert record.config.detector == f"flawed:flaw={flaw}"
        assert record.annotations
        assert run.log
        if failure not in ("raised",):
            assert "printed before the end" in run.log
        assert Store(grid().results).read(run.folder).record == record
    assert "in fit" in runs[5].log  # where it hung
    assert "Segmentation fault" in runs[0].log
    assert [run.record.status for run in runs[-2:]] == ["finished"] * 2
    assert sorted(key for what, key in ears.events if what == "started") == sorted(
        key for what, key in ears.events if what == "finished"
    )


def test_limits_hold_with_the_local_executor_too(grid: Grid, flawed: str) -> None:
    large, good = run_grid(grid(f"{flawed}:flaw=memory", flawed, max_memory=400 * 2**20))
    assert (large.record.failure, good.record.status) == ("memory", "finished")
    assert "its limit is 400 MiB" in large.record.error


@pytest.mark.parametrize("executor", ["local", "process"])
def test_a_run_that_failed_is_tried_again_and_its_attempts_are_told(
    grid: Grid, flawed: str, tmp_path: Path, executor: str
) -> None:
    log = tmp_path / "fits"
    (run,) = run_grid(grid(f"{flawed}:flaw=raise,where={log}", executor=executor, retry=2))
    assert len(log.read_text().splitlines()) == 3
    assert run.record.attempts == ["RuntimeError: no luck"] * 2
    assert run.record.status == "failed"


def test_a_run_that_succeeds_at_the_second_attempt_is_finished(grid: Grid, flawed: str, tmp_path: Path) -> None:
    log = tmp_path / "fits"
    (run,) = run_grid(grid(f"{flawed}:flaw=once,where={log}", executor="process", retry=5))
    assert run.record.status == "finished"
    assert run.record.attempts == ["its process ended with exit code 3"]
    first, second = log.read_text().split()
    assert first != second


def test_every_executor_gives_the_same_bytes_and_imports_once_a_worker(grid: Grid, flawed: str, tmp_path: Path) -> None:
    log = tmp_path / "fits"
    asked = ["mean", "ridge", "forest:trees=2", flawed]
    before = predictions(run_grid(grid(*asked, seeds=(0, 1), results=str(tmp_path / "local"))))
    asked[-1] = f"{flawed}:where={log}"
    ears = Ears()
    settings = {"executor": "process", "workers": 2, "results": str(tmp_path / "process")}
    runs = run_grid(grid(*asked, seeds=(0, 1, 2), **settings), ears)
    detectors = [run.record.config.detector for run in runs[::3]]
    assert detectors == ["mean", "ridge", "forest:trees=2", f"flawed:where={log}"]
    assert [run.record.seed for run in runs] == [0, 1, 2] * 4
    after = predictions(runs)
    assert len(before.keys() & after.keys()) == 6
    assert {key: after[key] for key in before if key in after} == {key: before[key] for key in before if key in after}
    assert len({key for what, key in ears.events if what == "started"}) == 12
    pids = log.read_text().split()
    assert len(pids) == 3
    assert len(set(pids)) <= 2  # a worker imports once
    assert str(os.getpid()) not in pids
    assert run_grid(grid(*asked, seeds=(0, 1, 2), **settings), again := Ears())
    assert {what for what, _ in again.events} == {"reused"}


@pytest.mark.parametrize("executor", ["local", "process"])
def test_stopping_at_an_error_begins_nothing_more(grid: Grid, flawed: str, executor: str) -> None:
    settings = {"executor": executor, "workers": 1, "on_error": "stop"}
    runs = run_grid(grid(flawed, f"{flawed}:flaw=raise", f"{flawed}:flaw=raise", seeds=(0, 1), **settings))
    assert [run.record.status for run in runs] == ["finished", "finished", "failed"]


def test_threads_are_divided_before_keys_are_made(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "cores", lambda: 8)

    def threads(**settings: Any) -> set[int]:
        return {one.job.config.threads for one in plan(grid("mean", **{"threads": None, **settings}))}

    assert threads() == {8}
    assert threads(executor="process", workers=2) == {4}
    assert threads(executor="process", workers=20) == {1}
    assert threads(executor="process", workers=2, threads=3) == {3}


def test_neither_executor_nor_limits_are_part_of_a_key(grid: Grid) -> None:
    keys = {
        one.job.key
        for settings in (
            {},
            {"executor": "process"},
            {"timeout": 5.0, "max_memory": 10, "retry": 3, "on_error": "stop"},
        )
        for one in plan(grid("mean", **settings))
    }
    assert len(keys) == 1


def test_an_interruption_ends_the_workers_and_touches_no_row(grid: Grid, flawed: str, tmp_path: Path) -> None:
    log = tmp_path / "fits"

    class Interrupts(Callback):
        def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
            while not log.exists():
                time.sleep(0.05)
            raise KeyboardInterrupt

    asked = grid(f"{flawed}:flaw=hang,where={log}", "mean", executor="process", workers=2)
    with pytest.raises(KeyboardInterrupt):
        run_grid(asked, Interrupts())
    assert {run.record.config.detector for run in Store(asked.results).runs()} == {"mean"}
    for pid in log.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def test_a_worker_ends_when_its_maker_is_killed(grid: Grid, flawed: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    log = tmp_path / "fits"
    asked = grid(f"{flawed}:flaw=hang,where={log}", executor="process", workers=1)
    code = f"from benchmark.api import *; run_grid(GridConfig.model_validate_json({asked.model_dump_json()!r}))"
    maker = subprocess.Popen([sys.executable, "-c", code])
    while not log.exists() or not log.read_text().endswith("\n"):
        assert maker.poll() is None
        time.sleep(0.05)
    maker.kill()
    maker.wait()
    (pid,) = log.read_text().split()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its maker")


def test_names_and_limits_are_refused_with_the_mend(grid: Grid) -> None:
    with pytest.raises(UserError, match="unknown executor 'proces': did you mean 'process'"):
        run_grid(grid("mean", executor="proces"))
    with pytest.raises(UserError, match="add --executor process"):
        run_grid(grid("mean", workers=2))
    for name, value in (("timeout", "soon"), ("timeout", "0s"), ("max_memory", "4"), ("retry", -1), ("on_error", "go")):
        with pytest.raises(UserError, match=name):
            grid_config("mean", **{name: value})
    settings = grid_config("mean", timeout="1.5min", max_memory="2GiB", retry=2)
    assert (settings.timeout, settings.max_memory, settings.limits.retry) == (90.0, 2 * 2**30, 2)


def test_times_and_sizes_are_read() -> None:
    assert [seconds(text) for text in ("600", "90s", "10min", "2h", "1d", 5)] == [600, 90, 600, 7200, 86400, 5]
    assert [size(text) for text in ("500MB", "4GiB", "1.5 kib", 7)] == [500 * 10**6, 4 * 2**30, 1536, 7]


def test_a_plugin_offers_an_executor(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    def offered(group: str) -> list[EntryPoint]:
        return [EntryPoint("mine", "benchmark.executors.local:run", group)]

    monkeypatch.setattr(executors, "entry_points", offered)
    (run,) = run_grid(grid("mean", executor="mine"))
    assert run.record.status == "finished"
    monkeypatch.setitem(executors.CATALOG, "mine", "benchmark.executors.process:run")
    with pytest.raises(UserError, match="offered twice"):
        run_grid(grid("mean", executor="mine"))


@pytest.mark.parametrize("settings", [{"executor": "process"}, {"timeout": 60.0}])
def test_a_detector_of_this_session_alone_is_not_handed_to_another_process(
    grid: Grid, settings: dict[str, Any]
) -> None:
    scope: dict[str, Any] = {"__name__": "typed"}
    exec(FLAWED, scope)
    assert plan(grid("flawed"))
    with pytest.raises(UserError, match="known to this process alone"):
        plan(grid("flawed", **settings))
