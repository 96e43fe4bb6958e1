"""Data sets on disk, whatever wrote them. A format is one module here, with `sniff` and `read`, and maybe `write`.

The first module of `FORMATS` whose ``sniff`` says yes reads. `coco_layouts` stands last: it takes whatever folder is left,
and says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmark.structures import Annotations, UserError
from datasets.dataset import Dataset
from datasets.divide import divide, undivided
from datasets.formats import coco_folder, coco_layouts, cvat, deeplabcut, label_studio, sleap, yolo_pose
from datasets.formats.coco import read_document
from datasets.formats.json_columns import read_json
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import SUFFIXES
from datasets.inspect import Survey
from datasets.tasks import held_out


class Format(Protocol):
    """What a module of this package offers for the files of another tool."""

    def sniff(self, path: Path, /) -> bool:
        """Whether a folder or file is of this format: quickly, from names and first bytes, and never with an error."""

    def read(self, path: Path, options: ReadOptions, /) -> Reading:
        """What is in it. UserError, one line with file and entry, for what is wrong."""


FORMATS: tuple[Format, ...] = (yolo_pose, sleap, deeplabcut, cvat, label_studio, coco_layouts)
WRITERS: dict[str, Callable[[Path, Dataset], object]] = {
    "coco": coco_folder.write,
    "yolo-pose": yolo_pose.write,
    "slp": sleap.write,
    "dlc": deeplabcut.write,
}
"""Name of a format that is written -> its writer, which answers what is not kept; the first, ours, is the default."""


def is_data_set(path: Path) -> bool:
    """Whether a path is a data set, and not merely a folder of images, which may have annotations among them."""
    return (
        is_of_another_tool(path)
        or coco_folder.sniff(path)
        or path.suffix.lower() == ".json"
        or (path / "annotations").is_dir()
        or (coco_layouts.may_hold_annotations(path) and not any(p.suffix.lower() in SUFFIXES for p in path.iterdir()))
    )


def may_hold_annotations(folder: Path) -> bool:
    """Whether files that may be annotations of images lie in a folder."""
    return coco_layouts.may_hold_annotations(folder)


def is_of_another_tool(path: Path) -> bool:
    """Whether a path holds annotations that are not in COCO's form, or the secret that makes them."""
    return held_out.sniff(path) or any(form.sniff(path) for form in FORMATS if form is not coco_layouts)


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
        raise UserError(f"{root}: there is no such folder or file")
    chosen = options or ReadOptions()
    if held_out.sniff(root):
        if split or chosen != ReadOptions():
            raise UserError(
                f"{root}: is a held-out set, which its secret decides; leave --split and what describes data out"
            )
        return held_out.read(root)
    if coco_folder.sniff(root):
        return coco_folder.read(root, split, chosen.sigmas)
    return divide(_form_of(root).read(root, chosen), root, chosen, split)


def survey(path: Path | str, options: ReadOptions | None = None) -> Survey:
    """What is in a folder or file, as far divided as its files divide it; nothing is decoded but previews.

    Args:
        path: The folder or file.
        options: What the user says about it.

    Raises:
        UserError: As `read`.
    """
    root = Path(path)
    chosen = options or ReadOptions()
    if not root.exists() or coco_folder.sniff(root) or held_out.sniff(root):
        dataset = read(root, options=chosen)
        return Survey(dataset.name, dataset.splits, dataset.notes)
    parts, notes = undivided(_form_of(root).read(root, chosen), root, chosen)
    return Survey(root.resolve().name or "folder", parts, notes)


def read_labels(path: Path, options: ReadOptions | None = None) -> tuple[dict[str, Annotations], tuple[str, ...]]:
    """The annotations alone of a folder or file, as far divided as it divides them; COCO files need no images beside them.

    Args:
        path: The folder or file, of any format. A folder with our card is read whatever the card promises of its content.
        options: What the user says about it.

    Returns:
        Split -> annotations, and notes on what was mended.

    Raises:
        UserError: One line with file and entry, for anything missing, unreadable or inconsistent.
    """
    if not path.exists():
        raise UserError(f"labels {path}: there is no such file or folder")
    chosen = options or ReadOptions()
    form = _form_of(path)
    if form is not coco_layouts:
        reading = form.read(path, chosen)
        return {name: annotations for name, (_, annotations) in reading.splits.items()}, reading.notes
    notes: list[str] = []
    files = coco_layouts.annotation_files(path, notes) if path.is_dir() else {"all": (path, read_json(path))}
    documents = {name: read_document(content, str(file), chosen) for name, (file, content) in files.items()}
    notes += dict.fromkeys(note for document in documents.values() for note in document.notes)
    return {name: document.annotations for name, document in documents.items()}, tuple(notes)


def _form_of(path: Path) -> Format:
    """The format of a folder or file. UserError where none is known."""
    form = next((form for form in FORMATS if form.sniff(path)), None)
    if form is None and path.suffix.lower() == ".zip":
        raise UserError(f"{path}: is a zip file; unpack it, and give the folder")
    if form is None:
        raise UserError(
            f"{path}: is a file; give the folder that holds annotations and images, or the annotation file of a tool known here"
        )
    return form
