"""Executors: who makes the runs of a grid, one file each; and the one loader that finds them by name.

Like those of detectors the catalog is a literal that imports nothing, and a plugin offers its own in the group
``keypoint_benchmark.executors``. Whatever the executor, a job is made by `benchmark.executors.attempt`, so that a limit on
time or memory, a further attempt and a failed row mean the same everywhere. All that they assume is one file system: each
sees the folders of data and of results under the same paths.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from benchmark.structures import UserError
from benchmark.suggestions import unknown

if TYPE_CHECKING:
    from benchmark.executors.executor import Executor

GROUP = "keypoint_benchmark.executors"
CATALOG = {
    "local": "benchmark.executors.local:run",
    "process": "benchmark.executors.process:run",
    "command": "benchmark.executors.command:run",
    "ray": "benchmark.executors.ray:run",
    "slurm": "benchmark.executors.slurm:run",
}


def find(name: str) -> Executor:
    """The executor of that name.

    Raises:
        UserError: For a name nobody or more than one offers, or where it cannot be imported.
    """
    offered = {one: [target] for one, target in CATALOG.items()}
    for point in entry_points(group=GROUP):
        offered.setdefault(point.name, []).append(point.value)
    if name not in offered:
        raise unknown("executor", name, offered)
    if len(offered[name]) > 1:
        raise UserError(f"executor {name!r} is offered twice: " + " and ".join(offered[name]))
    module, _, attribute = offered[name][0].partition(":")
    try:
        found: Executor = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"executor {name!r} ({offered[name][0]}) cannot be loaded: {error}") from error
    return found
