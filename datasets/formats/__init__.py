"""Data sets on disk, whatever wrote them. A format is one module here, with `sniff` and `read`, and maybe `write`.

The first module of `FORMATS` whose ``sniff`` says yes reads. `coco_layouts` stands last: it takes whatever folder is left,
and says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmark.structures import UserError
from datasets.dataset import Dataset
from datasets.divide import divide
from datasets.formats import coco_folder, coco_layouts, deeplabcut, sleap, yolo_pose
from datasets.formats.reading import Reading, ReadOptions


class Format(Protocol):
    """What a module of this package offers for the files of another tool."""

    def sniff(self, path: Path, /) -> bool:
        """Whether a folder or file is of this format: quickly, from names and first bytes, and never with an error."""

    def read(self, path: Path, options: ReadOptions, /) -> Reading:
        """What is in it. UserError, one line with file and entry, for what is wrong."""


FORMATS: tuple[Format, ...] = (yolo_pose, sleap, deeplabcut, coco_layouts)
WRITERS: dict[str, Callable[[Path, Dataset], object]] = {
    "coco": coco_folder.write,
    "yolo-pose": yolo_pose.write,
    "slp": sleap.write,
    "dlc": deeplabcut.write,
}
"""Name of a format that is written -> its writer, which answers what is not kept; the first, ours, is the default."""


def is_data_set(path: Path) -> bool:
    """Whether a path holds annotations, and not images alone."""
    named = any(form.sniff(path) for form in FORMATS if form is not coco_layouts)
    return named or coco_folder.sniff(path) or path.suffix.lower() == ".json" or (path / "annotations").is_dir()


def read(path: Path | str, split: int = 0, options: ReadOptions | None = None) -> Dataset:
    """The data set in a folder or file, whatever wrote it, checked in full.

    Args:
        path: The folder or file.
        split: How images are divided where the files do not say; 0 for development.
        options: What the user says about it.

    Returns:
        Its three splits, card and digest.

    Raises:
        UserError: One line with file and entry, for anything missing, unreadable, inconsistent or changed since it was
            exported.
    """
    root = Path(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder")
    if coco_folder.sniff(root):
        return coco_folder.read(root, split)
    form = next((form for form in FORMATS if form.sniff(root)), None)
    if form is None:
        raise UserError(
            f"{root}: is a file; give the folder that holds annotations and images, or the annotation file of a tool known here"
        )
    chosen = options or ReadOptions()
    return divide(form.read(root, chosen), root, chosen, split)
