"""Data sets on disk. A format is one module here: ``sniff(path)`` says whether it is one, ``read(path, split)`` reads it.

The first module of `FORMATS` whose ``sniff`` says yes reads; the last takes whatever is left and says what is missing.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.structures import UserError
from datasets.dataset import Dataset
from datasets.formats import coco_folder, coco_layouts

FORMATS = (coco_folder, coco_layouts)


def read(path: Path | str, split: int = 0) -> Dataset:
    """The data set in a folder, whatever wrote it, checked in full.

    Args:
        path: The folder.
        split: How images are divided where the folder does not say; 0 for development.

    Raises:
        UserError: One line with file and entry, for anything missing, unreadable, inconsistent or changed since it was
            exported.
    """
    root = Path(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder")
    if not root.is_dir():
        raise UserError(f"{root}: is a file; give the folder that holds annotations and images")
    return next(one for one in FORMATS if one.sniff(root)).read(root, split)
