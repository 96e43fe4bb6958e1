"""Writers after a run: what they are told, and that none of them can cost a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmark import after_run, api
from benchmark.after_run import CATALOG, AfterRun, find
from benchmark.after_run.figures import about, figures, history
from benchmark.executors.command import read_jobs, work
from benchmark.executors.executor import Callback
from benchmark.runs.config import GridConfig
from benchmark.runs.store import StoredRun
from benchmark.structures import UserError

Grid = Callable[..., GridConfig]


class Notes(Callback):
    """Remembers notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_a_run_that_is_made_and_none_for_one_that_was_stored(grid: Grid, counting: str, tmp_path: Path) -> None:
    failing = counting + ":flaw=fit"
    asked = grid(counting, failing, seeds=(0, 1), after_run=("jsonl",))
    done = api.run_grid(asked)
    written = lines(tmp_path / "results" / "_after_run" / "jsonl" / "runs.jsonl")
    assert len(written) == 5  # the training mean of the baseline, too
    by_key = {line["key"]: line for line in written}
    for run in done:
        line = by_key[run.record.key]
        assert line["status"] == run.record.status
        assert line["figures"].get("mean") == run.record.scores.get("mean")
        assert ("no luck at all" in line["error"]) == (line["status"] == "failed")
    api.run_grid(grid(counting, seeds=(0, 1), after_run=("jsonl",)))
    assert len(lines(tmp_path / "results" / "_after_run" / "jsonl" / "runs.jsonl")) == 5


def test_the_folder_may_be_named_and_runs_made_elsewhere_are_told_there(grid: Grid, tmp_path: Path) -> None:
    asked = grid("mean", after_run=(f"jsonl:{tmp_path / 'there'}",), executor="command")
    api.run_grid(asked)
    assert not (tmp_path / "there" / "runs.jsonl").exists()
    (jobs,) = (tmp_path / "results" / "_jobs").glob("*.jsonl")
    work(read_jobs(jobs), AfterRun(Callback()))
    assert len(lines(tmp_path / "there" / "runs.jsonl")) == 1


def test_a_writer_that_fails_costs_a_message_once_and_no_run(
    grid: Grid, counting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def breaks(folder: Path) -> Callable[[StoredRun], None]:
        def write(run: StoredRun) -> None:
            told.append(run.record.key)
            raise SystemExit("server\nis away")

        return write

    module = ModuleType("broken_writer")
    module.open_writer = breaks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken_writer", module)
    monkeypatch.setitem(CATALOG, "broken", "broken_writer:open_writer")
    notes = Notes()
    done = api.run_grid(grid(counting, seeds=(0, 1, 2), after_run=("broken",)), notes)
    assert [run.record.status for run in done] == ["finished"] * 3
    assert len(told) == 4
    assert notes.notes == ["after-run broken: SystemExit: server is away (the run is kept)"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_package_that_is_missing_is_said_before_the_first_run(
    grid: Grid, counting: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=f"^after-run {name}: needs the package {name}, .*: pip install {name}$"):
        api.run_grid(grid(counting, after_run=(name,)))
    assert not list((tmp_path / "results").glob("made@1")) if (tmp_path / "results").exists() else True


def test_names_are_looked_up_as_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'jsonl'"):
        find("json", str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be opened"):
        find(f"jsonl:{tmp_path / 'file'}", str(tmp_path))
    twice = SimpleNamespace(name="jsonl", value="other:open_writer")
    monkeypatch.setattr(after_run, "entry_points", lambda group: [twice] if group == after_run.GROUP else [])
    with pytest.raises(UserError, match="offered twice"):
        find("jsonl", str(tmp_path))


@pytest.fixture
def stored(grid: Grid, counting: str) -> StoredRun:
    """A finished run with a history of one epoch."""
    return api.run_grid(grid(counting))[0]


def test_what_is_told(stored: StoredRun) -> None:
    assert figures(stored)["mean"] == stored.record.scores["mean"]
    assert all(isinstance(value, float) for value in figures(stored).values())
    assert history(stored) == [(0, {"val_px": 2.5})]
    assert about(stored)["detector"] == stored.record.config.detector


def test_tensorboard_reads_what_is_written(stored: StoredRun, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    find(f"tensorboard:{tmp_path / 'tb'}", "")(stored)
    (file,) = (tmp_path / "tb").rglob("events.*")
    events = EventAccumulator(str(file.parent)).Reload()
    assert events.Scalars("history/val_px")[0].value == 2.5
    assert events.Scalars("scores/mean")[0].value == pytest.approx(stored.record.scores["mean"], rel=1e-6)


def test_weights_and_biases_is_offline_unless_asked(
    stored: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []

    class Run:
        summary = SimpleNamespace(update=lambda values: calls.append(("summary", values)))

        def log(self, row: dict[str, float], step: int) -> None:
            calls.append(("log", (row, step)))

        def finish(self, exit_code: int) -> None:
            calls.append(("finish", exit_code))

    def init(**settings: Any) -> Run:
        calls.append(("init", settings))
        return Run()

    fake = ModuleType("wandb")
    fake.init, fake.Settings = init, SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    find(f"wandb:{tmp_path / 'wb'}", "")(stored)
    told = dict(calls)
    assert (told["init"]["mode"], told["init"]["dir"]) == ("offline", str(tmp_path / "wb"))
    assert told["log"] == ({"val_px": 2.5}, 0)
    assert told["summary"]["mean"] == stored.record.scores["mean"]
    assert told["finish"] == 0


def test_mlflow_gets_names_it_takes(stored: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics: dict[str, float] = {}
    ended: list[str] = []

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            assert tracking_uri == f"sqlite:///{tmp_path / 'ml' / 'mlflow.db'}"

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifacts: str) -> str:
            return "1"

        def create_run(self, experiment: str, run_name: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(run_id="r"))

        def log_param(self, run: str, name: str, value: Any) -> None:
            pass

        def log_metric(self, run: str, name: str, value: float, step: int = 0) -> None:
            metrics[name] = value

        def set_terminated(self, run: str, status: str) -> None:
            ended.append(status)

    package, module = ModuleType("mlflow"), ModuleType("mlflow.tracking")
    module.MlflowClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    find(f"mlflow:{tmp_path / 'ml'}", "")(stored)
    assert ended == ["FINISHED"]
    assert metrics["mean"] == stored.record.scores["mean"]
    assert metrics["history/val_px"] == 2.5
    assert not any("@" in name for name in metrics)
