"""The data that stored runs were made on: results hold answers and annotations, never an image.

A preset is made again, or read where it was exported to; a user's own data is read where the run says it lies, or where
the user says it is now. Its digest has to be the run's.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.runs.config import DataReference
from benchmark.runs.data import open_data, told_of
from benchmark.runs.store import FolderRun, Results, StoredRun
from benchmark.structures import Image, UserError
from datasets.dataset import tests_of
from datasets.formats.reading import ReadOptions
from datasets.tasks.build import PRESETS


class DataMissing(UserError):
    """The data of a run is not at hand.

    Attributes:
        why: In a few words that name no place of this machine.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


def reference_of(
    run: StoredRun, results: Results, data: str | None = None, sigmas: str | None = None, *, fresh: bool = True
) -> DataReference:
    """Where the data of a stored run is, its digest compared with the run's.

    Args:
        run: The run.
        results: What it is kept in: presets may lie beside it, and its own data is found from there.
        data: Where the data is; None: a preset, or where it was.
        sigmas: The file of sigmas the data was read with; None: where it was.
        fresh: Read the data again, whatever an earlier call has read.

    Raises:
        UserError: Where it is not at hand, or has changed.
    """
    config, known = run.record.config, run.record.facts
    root = run.store.root if isinstance(run, FolderRun) else results.root
    name = config.data.removesuffix(f"-folds{config.folds}" if config.folds else "")
    name = name.removesuffix(f"-split{config.split}" if config.split else "")
    # no bundle of ours says where data lies: one that does was made by hand, and does not choose what is read here
    left = known.data if isinstance(run, FolderRun) else ""
    place = data or (str(root / left) if left else name)
    preset = place in PRESETS
    if not (data or left or preset):
        said = f"{run.place}: its data, {name!r}, is no preset, and where it lies is not known: give --data"
        raise DataMissing(said, "its runs do not say where their data lies")
    reference = DataReference(
        task=config.task if preset else None,
        data=place,
        options=ReadOptions() if preset else told_of(run, root, sigmas=sigmas),
        split=config.split,
        folds=config.folds,
        root=str(root / "_data"),
    )
    digest = open_data(reference, fresh=fresh, write=False)[0].digest
    if digest != config.data_digest:
        raise DataMissing(
            f"data {place}: is not what {run.title} was made on (digest {digest[:12]}, and then {config.data_digest[:12]}); "
            "give that with --data",
            "the data is not what it was when the runs were made",
        )
    return reference


def images_of(run: StoredRun, results: Results, data: str | None = None) -> Sequence[Image]:
    """The test images of a stored run, in the order of its annotations.

    Args:
        run: The run.
        results: What it is kept in.
        data: Where the data is; see `reference_of`.

    Returns:
        N arrays, uint8; files are decoded when one is asked for.

    Raises:
        UserError: Where the data is not at hand, or has changed.
    """
    return tests_of(open_data(reference_of(run, results, data, fresh=False), write=False)).images
