"""A JSON line a run, added to ``runs.jsonl``: for a script, ``jq`` or ``tail -f``. Needs nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from benchmark.after_run.figures import about, figures
from benchmark.runs.store import StoredRun


def open_writer(folder: Path) -> Callable[[StoredRun], None]:
    """A writer of ``runs.jsonl`` in a folder; each line is written at once, so that several processes may share it."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(run: StoredRun) -> None:
        line = json.dumps({**about(run), "figures": figures(run)}, allow_nan=False) + "\n"
        descriptor = os.open(folder / "runs.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    return write
