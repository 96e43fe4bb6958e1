"""The data of a run, from where a job says it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from benchmark.runs.config import DataReference
from benchmark.runs.store import StoredRun
from benchmark.structures import UserError
from datasets.dataset import Dataset, check_folds
from datasets.formats.reading import ReadOptions
from datasets.load import load
from datasets.near_duplicates import FOLD, MOST_COMPARED, WARNING, near_duplicates, note_on
from datasets.tasks.build import PRESETS

_opened: dict[DataReference, tuple[Dataset, tuple[Dataset, ...]]] = {}  # the last one: the jobs of a grid share it


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
        _opened[reference] = whole, _folds(whole, reference) if reference.folds else (whole,)
    return _opened[reference][1]


def open_whole(reference: DataReference) -> Dataset:
    """The data set of a reference before it is divided into folds; see `open_data`."""
    open_data(reference)
    return _opened[reference][0]


def _folds(whole: Dataset, reference: DataReference) -> tuple[Dataset, ...]:
    """The folds of a data set, with a note on near-duplicates between them where the data is the user's own."""
    folds = whole.folds(reference.folds)
    if reference.data in PRESETS or sum(len(fold.test) for fold in folds) > MOST_COMPARED:
        return folds
    pairs = near_duplicates({f"{FOLD} {i}": fold.test for i, fold in enumerate(folds)})
    others = [note for note in whole.notes if not note.startswith(WARNING)]  # about splits that folds do not keep
    notes = tuple(note for note in (*others, note_on(pairs)) if note)
    return tuple(replace(fold, notes=notes) for fold in folds)


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


def told_of(run: StoredRun, root: Path, *, sigmas: str | None = None) -> ReadOptions:
    """What was said about the data of a stored run when it was read.

    Args:
        run: The run.
        root: The folder of results, which a file of sigmas is recorded relative to.
        sigmas: Where that file is now; None: where it was.

    Raises:
        UserError: For a record whose options are none.
    """
    said = dict(run.record.facts.options)
    if sigmas or "sigmas" in said:
        said["sigmas"] = sigmas or str(root / str(said["sigmas"]))
    try:
        return ReadOptions.model_validate(said)
    except ValidationError as error:
        raise UserError(f"{run.place}: facts.options: {error.errors()[0]['msg']}") from error
