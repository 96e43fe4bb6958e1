"""Ray and Slurm: the same bits as in this process, and every row there when a node is killed midway.

They start clusters, which takes longer than all other tests of this folder; ``pytest -m engines`` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmark import UserError, executors
from benchmark.api import run_grid
from benchmark.executors import slurm
from benchmark.executors.elsewhere import Needs, Rows, needs_of
from benchmark.executors.executor import Callback
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import Planned, plan
from benchmark.runs.store import FolderRun

Grid = Callable[..., GridConfig]
DETECTORS = ("mean", "ridge", "forest:trees=2")


def predictions(runs: Sequence[FolderRun]) -> dict[str, bytes]:
    assert {run.record.status for run in runs} == {"finished"}, [run.record.error for run in runs]
    return {run.record.key: (run.folder / "predictions.json").read_bytes() for run in runs}


class Counts(Callback):
    """Calls something after so many rows."""

    def __init__(self, after: int, then: Callable[[], object]) -> None:
        self.left, self.then = after, then

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        self.left -= 1
        if not self.left:
            self.then()


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_with_two_nodes_one_killed_midway(grid: Grid, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from ray.cluster_utils import Cluster

    settings: dict[str, Any] = {"seeds": tuple(range(20))}
    local = predictions(run_grid(grid(*DETECTORS, **settings, results=str(tmp_path / "local"))))
    assert len(local) == 60
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        assert ray.cluster_resources()["CPU"] == 2
        kill = Counts(15, lambda: cluster.remove_node(node, allow_graceful=False))
        runs = run_grid(grid(*DETECTORS, **settings, executor="ray", retry=2), kill)
        assert kill.left < 0
        assert len(runs) == 60
        assert predictions(runs) == local
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_slurm_by_submitit_s_local_executor(grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="the extra 'slurm' is not installed")
    seeds = tuple(range(20))
    local = predictions(run_grid(grid(*DETECTORS, seeds=seeds, results=str(tmp_path / "local"))))
    assert len(local) == 60
    monkeypatch.setattr(executors, "find", lambda name: partial(slurm.run, cluster="local"))
    runs = run_grid(grid(*DETECTORS, seeds=seeds, executor="slurm", workers=2, timeout=300.0))
    assert predictions(runs) == local


def test_a_lost_task_waits_for_another_attempt_and_then_its_row_has_failed(grid: Grid) -> None:
    planned = plan(grid("mean", "ridge", retry=1))
    rows = Rows(planned, Callback(), grid("mean"))
    assert list(rows.waiting) == [0, 1]
    i = rows.waiting.popleft()
    rows.lost(i, "lost", "its node went down")
    assert list(rows.waiting) == [1, 0]
    assert rows.done[0] is None
    job, failures, _ = rows.arguments(0)
    assert (job, failures) == (planned[0].job.model_dump_json(), ["its node went down"])
    rows.lost(0, "lost", "and again")
    assert (row := rows.done[0]) is not None
    assert (row.record.status, row.record.failure) == ("failed", "lost")
    assert (row.record.error, row.record.attempts) == ("and again", ["its node went down"])


def test_a_job_asks_for_its_threads_its_memory_and_what_its_card_says(
    grid: Grid, counting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark import registry

    (job,) = [one.job for one in plan(grid(counting, threads=3)) if one.asked]
    assert needs_of(job) == Needs(3, 0.0, None)
    text = Path(counting).read_text()
    card = "class Counting(Detector):\n    from benchmark import Card\n    card = Card(needs=('gpu:0.25', 'memory:8GiB'))\n"
    Path(counting).write_text(text.replace("class Counting(Detector):\n", card))
    registry._registered.clear()
    on_gpu = job.model_copy(update={"config": job.config.model_copy(update={"device": "cuda"})})
    assert needs_of(on_gpu) == Needs(3, 0.25, 8 * 2**30)
    with pytest.raises(UserError, match="needs a GPU"):
        plan(grid(counting))


class _Cluster:
    """Stands for submitit and its executor: notes what it is handed, and says that each task is lost or made."""

    def __init__(self) -> None:
        self.arrays: list[list[int]] = []
        self.parameters: list[dict[str, Any]] = []

    def update_parameters(self, **parameters: Any) -> None:
        self.parameters.append(parameters)

    def map_array(self, task: Any, jobs: Sequence[str], *rest: Any) -> list[str]:
        self.arrays.append([len(job) for job in jobs])
        return list(jobs)


def test_arrays_are_split_where_the_cluster_splits_them(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = grid("mean", seeds=tuple(range(7)), executor="slurm", timeout=90.0, retry=1, workers=2)
    planned = plan(settings)
    rows = Rows(planned, Callback(), settings)
    cluster = _Cluster()
    handed: dict[int, Any] = {}
    while rows.waiting:
        handed |= slurm._submit(cluster, planned, rows, settings, 3)
    assert [len(array) for array in cluster.arrays] == [3, 3, 1]
    assert list(handed) == list(range(7))
    asked = cluster.parameters[0]
    assert (asked["cpus_per_task"], asked["timeout_min"], asked["slurm_array_parallelism"]) == (1, 3 + 5, 2)


def test_the_size_of_an_array_is_the_cluster_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "scontrol"
    tool.write_text("#!/bin/sh\necho 'MaxArraySize            = 101'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert slurm.max_array_size() == 100
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.max_array_size() == 1000


def test_engines_that_are_not_here_say_so(grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'keypoint-benchmark\[ray\]'"):
        run_grid(grid("mean", executor="ray"))
    monkeypatch.setitem(sys.modules, "submitit", type(sys)("submitit"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no sbatch here"):
        run_grid(grid("mean", executor="slurm"))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'keypoint-benchmark\[slurm\]'"):
        run_grid(grid("mean", executor="slurm"))
