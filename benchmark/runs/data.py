"""The data of a run, from where a job says it is."""

from __future__ import annotations

from pathlib import Path

from benchmark.runs.config import DataReference
from benchmark.structures import UserError
from datasets.dataset import Dataset, check_folds
from datasets.load import load

_opened: dict[DataReference, tuple[Dataset, ...]] = {}  # the last one: the jobs of a grid share it


def open_data(reference: DataReference, *, fresh: bool = False, write: bool = True) -> tuple[Dataset, ...]:
    """The data set of a reference, or one a fold; read once for all jobs of a grid.

    Args:
        reference: Where the data is.
        fresh: Read it again, whatever an earlier call has read: files may have changed.
        write: False: a preset that is not exported yet is made in memory.

    Raises:
        UserError: For what cannot be had.
    """
    if fresh or reference not in _opened:
        check_folds(reference.folds)
        whole = load(
            reference.task,
            reference.data,
            split=reference.split,
            root=Path(reference.root),
            options=reference.options,
            write=write,
        )
        _opened.clear()
        _opened[reference] = whole.folds(reference.folds) if reference.folds else (whole,)
    return _opened[reference]


def verified_data(reference: DataReference, digest: str) -> tuple[Dataset, ...]:
    """`open_data`, whose content must have this digest.

    Raises:
        UserError: Where the data is not what the run was planned on.
    """
    for fresh in (False, True):
        parts = open_data(reference, fresh=fresh)
        if parts[0].digest == digest:
            return parts
    raise UserError(
        f"data {reference.data}: has changed since the run was planned (digest {parts[0].digest[:12]}, planned on "
        f"{digest[:12]}); run again"
    )
