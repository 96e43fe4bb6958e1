"""Runs of MLflow, an experiment a board, in a database in a folder or where MLFLOW_TRACKING_URI says.

``mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`` shows them. It is SQLite because MLflow refuses its plain files
since version 3.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from benchmark.after_run.figures import about, figures, history
from benchmark.runs.store import StoredRun


def open_writer(folder: Path) -> Callable[[StoredRun], None]:
    """A writer of runs into a folder."""
    from mlflow.tracking import MlflowClient

    folder.mkdir(parents=True, exist_ok=True)
    elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
    client = MlflowClient(tracking_uri=elsewhere or f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}")
    artifacts = None if elsewhere else (folder / "artifacts").resolve().as_uri()

    def write(run: StoredRun) -> None:
        said = about(run)
        name = f"{said['task']} {said['data']}"
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name, artifacts)
        made = client.create_run(experiment, run_name=f"{said['detector']} seed {said['seed']}").info.run_id
        for key, value in {**said, **run.record.config.parameters}.items():
            client.log_param(made, _name(key), value)
        for step, row in history(run):
            for column, value in row.items():
                client.log_metric(made, _name(f"history/{column}"), value, step=step)
        for metric, value in figures(run).items():
            client.log_metric(made, _name(metric), value)
        client.set_terminated(made, "FINISHED" if said["status"] == "finished" else "FAILED")

    return write


def _name(name: str) -> str:
    """A name as MLflow takes it: pck@0.5 becomes pck_0.5."""
    return re.sub(r"[^\w .:/-]", "_", name)
