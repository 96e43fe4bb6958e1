"""Data sets on disk. A format is one module here: ``sniff(path)`` says whether it is one, ``read(path, split)`` reads it.

The first module of `FORMATS` whose ``sniff`` says yes reads. `coco_layouts` stands last: it takes whatever folder is left,
and says what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from benchmark.structures import UserError
from datasets.dataset import Dataset
from datasets.formats import coco_folder, coco_layouts


class Format(Protocol):
    """What a module of this package offers."""

    def sniff(self, root: Path, /) -> bool:
        """Whether a folder is of this format."""

    def read(self, root: Path, split: int = 0, /) -> Dataset:
        """The data set in such a folder."""


FORMATS: tuple[Format, ...] = (coco_folder, coco_layouts)


def is_data_set(path: Path) -> bool:
    """Whether a folder holds annotations, and not images alone."""
    return coco_folder.sniff(path) or (path / "annotations").is_dir()


def read(path: Path | str, split: int = 0) -> Dataset:
    """The data set in a folder, whatever wrote it, checked in full.

    Args:
        path: The folder.
        split: How images are divided where the folder does not say; 0 for development.

    Returns:
        Its three splits, card and digest.

    Raises:
        UserError: One line with file and entry, for anything missing, unreadable, inconsistent or changed since it was
            exported.
    """
    root = Path(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder")
    if not root.is_dir():
        raise UserError(f"{root}: is a file; give the folder that holds annotations and images")
    return next(form for form in FORMATS if form.sniff(root)).read(root, split)
