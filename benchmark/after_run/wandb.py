"""Runs of Weights & Biases, kept in a folder and sent nowhere unless WANDB_MODE=online says so; ``wandb sync`` sends them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from benchmark.after_run.figures import about, figures, history
from benchmark.runs.store import StoredRun

PROJECT = "keypoint-benchmark"


def open_writer(folder: Path) -> Callable[[StoredRun], None]:
    """A writer of runs into a folder."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    mode = cast(Literal["online", "offline", "disabled"], os.environ.get("WANDB_MODE", "offline"))

    def write(run: StoredRun) -> None:
        said = about(run)
        settings = wandb.Settings(silent=True, console="off")
        made = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=f"{said['detector']} seed {said['seed']}",
            group=f"{said['task']} {said['data']}",
            config={**said, "parameters": run.record.config.parameters},
            dir=str(folder),
            mode=mode,
            settings=settings,
        )
        for step, row in history(run):
            made.log(row, step=step)
        made.summary.update(figures(run))
        made.finish(exit_code=0 if said["status"] == "finished" else 1)

    return write
