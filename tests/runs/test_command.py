"""The command executor writes jobs for any scheduler, and ``work`` makes them, each once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import UserError
from benchmark.api import run_grid
from benchmark.executors.command import chosen, read_jobs, work
from benchmark.executors.executor import Callback
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import plan
from benchmark.runs.store import Store

Grid = Callable[..., GridConfig]


def test_a_line_of_shell_makes_a_run(grid: Grid, tmp_path: Path) -> None:
    local = run_grid(grid("mean", "ridge", results=str(tmp_path / "local")))
    settings = grid("mean", "ridge", executor="command")
    assert run_grid(settings) == []
    (script,) = (tmp_path / "results" / "_jobs").glob("*.sh")
    lines = script.read_text().splitlines()
    assert len(lines) == 2
    done = subprocess.run(["sh", "-c", lines[1]], cwd="/", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [run.record.config.detector for run in Store(settings.results).runs()] == ["ridge"]
    (ridge,) = run_grid(settings)
    assert (ridge.folder / "predictions.json").read_bytes() == (local[1].folder / "predictions.json").read_bytes()


def test_a_requeued_task_makes_only_what_is_missing(grid: Grid, counting: str, tmp_path: Path) -> None:
    """Also where the jobs were planned to replace runs: those that are there again were made since."""
    log = tmp_path / "fits"

    def fits() -> int:
        return len(log.read_text().splitlines())

    text = f"{counting}:where={log}"
    run_grid(grid(text, seeds=(0, 1)))
    asked = plan(grid(text, seeds=(0, 1, 2), overwrite=True))
    jobs = [one.job for one in asked if one.asked]
    assert fits() == 2
    work(jobs[:2], Callback())
    assert fits() == 4
    assert [run.record.seed for run in work(jobs, Callback())] == [0, 1, 2]
    assert fits() == 5


def test_job_files_are_checked(grid: Grid, tmp_path: Path) -> None:
    jobs = [one.job for one in plan(grid("mean", seeds=range(5)))]
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(job.model_dump_json() + "\n" for job in jobs))
    assert read_jobs(path) == jobs
    assert chosen(jobs, None) == jobs
    assert chosen(jobs, "3") == jobs[3:4]
    assert chosen(jobs, "1-3") == jobs[1:4]
    for only in ("5", "3-1", "x", "-1", "2-9", ""):
        with pytest.raises(UserError, match="there are jobs 0 to 4"):
            chosen(jobs, only)
    path.write_text(path.read_text().replace(json.dumps(jobs[1].seed), '"one"', 1)[:-9])
    with pytest.raises(UserError, match=r"jobs\.jsonl:\d: is not a job"):
        read_jobs(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_jobs(tmp_path / "none.jsonl")
