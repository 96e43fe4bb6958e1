"""Event files of TensorBoard, a folder a run: training history by epoch, and the scores. ``tensorboard --logdir FOLDER``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmark.after_run.figures import about, figures, history
from benchmark.runs.store import StoredRun, slug


def open_writer(folder: Path) -> Callable[[StoredRun], None]:
    """A writer of event files under a folder."""
    import tensorboard  # noqa: F401  # torch's error where it is missing names a dozen lines of its own
    from torch.utils.tensorboard import SummaryWriter

    def write(run: StoredRun) -> None:
        said = about(run)
        name = f"{said['task']}-{said['data']}/{said['detector']}-n{said['n_train']}-seed{said['seed']}-{said['key']}"
        with SummaryWriter(str(folder.joinpath(*map(slug, name.split("/", 1))))) as writer:
            for step, row in history(run):
                for column, value in row.items():
                    writer.add_scalar(f"history/{column}", value, step)
            for metric, value in figures(run).items():
                writer.add_scalar(f"scores/{metric}", value, 0)
            writer.add_text("run", "\n".join(f"    {key}: {value}" for key, value in said.items()))

    return write
