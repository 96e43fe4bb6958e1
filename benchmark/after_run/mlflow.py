"""Runs of MLflow in a folder, an experiment a board: ``mlflow ui --backend-store-uri FOLDER``; or where MLFLOW_TRACKING_URI says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmark.after_run.figures import about, figures, history
from benchmark.runs.store import StoredRun


def open_writer(folder: Path) -> Callable[[StoredRun], None]:
    """A writer of runs into a folder."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri())

    def write(run: StoredRun) -> None:
        said = about(run)
        name = f"{said['task']} {said['data']}"
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        made = client.create_run(experiment, run_name=f"{said['detector']} seed {said['seed']}").info.run_id
        for key, value in {**said, **run.record.config.parameters}.items():
            client.log_param(made, key, value)
        for step, row in history(run):
            for column, value in row.items():
                client.log_metric(made, f"history/{column}", value, step=step)
        for metric, value in figures(run).items():
            client.log_metric(made, metric, value)
        client.set_terminated(made, "FINISHED" if said["status"] == "finished" else "FAILED")

    return write
