"""How every run gets its data: a preset or a folder, always through a COCO folder on disk.

A preset is exported once under ``root`` and read from there, its digest checked each time; a damaged copy is written
again. A path is read in place, by whichever of `datasets.formats` knows it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmark.structures import UserError
from benchmark.suggestions import unknown
from datasets import formats
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder
from datasets.formats.reading import ReadOptions
from datasets.inspect import Survey
from datasets.tasks.build import PRESETS, build, get_preset
from datasets.tasks.catalog import get_task

DEFAULT_TASK = "topleft"
ROOT = Path("results") / "_data"
MOST_SPLITS = 10_000


def presets() -> dict[str, str]:
    """Name of a preset -> what it is, in one line."""
    return {name: preset.summary for name, preset in PRESETS.items()}


def load(
    task: str | None = None,
    data: str = "tiny",
    *,
    split: int = 0,
    root: Path | None = None,
    options: ReadOptions | None = None,
    write: bool = True,
) -> Dataset:
    """The data of a task on a preset, or of a folder or file, which brings its own points.

    Args:
        task: A task's name; None is topleft.
        data: A preset's name, or the path of a folder or file.
        split: Which division of the images; 0 for development.
        root: Where presets are exported to; None is ``results/_data``.
        options: What the user says about a folder or file.
        write: False: a preset that is not under ``root`` yet is made in memory, and not exported.

    Raises:
        UserError: For an unknown task or preset, a folder that cannot be read, or an empty split.
    """
    _check_split(split)
    folder = _folder(data)
    if folder is None:
        dataset = _cached(task or DEFAULT_TASK, data, split, ROOT if root is None else root, write)
    else:
        dataset = _own_points(folder, task, split, options)
    for part, images in dataset.splits.items():
        if not len(images):
            raise UserError(f"{data}: its {part} split holds no image, and needs at least one")
    return dataset


def survey(
    task: str | None = None, data: str = "tiny", *, split: int = 0, options: ReadOptions | None = None
) -> Survey:
    """What `load` would give, as far divided as its files divide it, without decoding every image of a folder or file.

    Raises:
        UserError: As `load`.
    """
    folder = _folder(data)
    if folder is None:
        dataset = load(task, data, split=split, options=options)
        return Survey(dataset.name, dataset.splits, dataset.notes)
    if task is not None:
        raise UserError(f"{folder}: brings its own points; leave --task {task} out")
    if split:
        raise UserError(f"{folder}: is looked at undivided; leave --split out")
    return formats.survey(folder, options)


def _check_split(split: int) -> None:
    if not 0 <= split <= MOST_SPLITS:
        raise UserError(f"split {split}: give a whole number from 0 to {MOST_SPLITS}")


def _own_points(folder: Path, task: str | None, split: int, options: ReadOptions | None) -> Dataset:
    dataset = formats.read(folder, split, options)
    if task is not None and task != dataset.card.task:
        raise UserError(f"{folder}: brings its own points (it is {dataset.card.task!r}); leave --task {task} out")
    return dataset


def export(
    task: str | None,
    data: str,
    out: Path,
    *,
    split: int = 0,
    options: ReadOptions | None = None,
    form: str = "coco",
) -> str:
    """Write a data set as a COCO keypoint folder.

    Args:
        task: A task's name; None is topleft.
        data: A preset's name, or the path of a folder.
        out: A new or empty folder, or an earlier export.
        split: Which division of the images; 0 for development.
        options: What the user says about a folder or file.
        form: One of `datasets.formats.WRITERS`.

    Returns:
        A line for people that describes what was written.

    Raises:
        UserError: As `load`, or where ``out`` holds something else.
    """
    if form not in formats.WRITERS:
        raise unknown("format", form, formats.WRITERS)
    _check_split(split)
    folder = _folder(data)
    if form != "coco":
        dataset = load(task, data, split=split, options=options)
        lost = formats.WRITERS[form](out, dataset)
        counts = ", ".join(f"{len(part)} {name}" for name, part in dataset.splits.items())
        words = f"; it has no place for {', '.join(map(str, lost))}" if isinstance(lost, tuple) and lost else ""
        return f"{dataset.card.task} as {form}: {counts} images{words}"
    if folder is None:
        written = _write(task or DEFAULT_TASK, data, split, out)
    else:
        dataset = _own_points(folder, task, split, options)
        written = coco_folder.write(out, dataset)
    card = written.card
    counts = ", ".join(f"{count} {name}" for name, count in card.images.items())
    return f"{card.task}@{card.version} {card.data}, split {card.split}: {counts} images, digest {card.digest[:12]}"


def _folder(data: str) -> Path | None:
    """The folder that ``data`` means; None where it is a preset. UserError where it is neither."""
    if data in PRESETS:
        return None
    if not data.strip():
        raise UserError("data: the name is empty; give a preset or the path of a folder or file")
    path = Path(data)
    if path.exists() or "/" in data or "\\" in data or data.startswith("."):
        return path
    get_preset(data)
    return None


def _made(task: str, data: str, split: int) -> Dataset:
    """A preset, made anew; its digest is still to be taken."""
    card = get_task(task)
    parts = build(card, data, split)
    described = DatasetCard(
        task=card.name, version=card.version, summary=card.summary, data=data, split=split, rule=card.rule
    )
    return Dataset(*parts, described, digest="")


def _write(task: str, data: str, split: int, out: Path) -> Dataset:
    return coco_folder.write(out, _made(task, data, split))


def _cached(task: str, data: str, split: int, root: Path, write: bool) -> Dataset:
    """The exported preset under ``root``, written first where it is missing, damaged or says it is something else."""
    card = get_task(task)
    path = root / f"{card.name}@{card.version}-{data}-split{split}"
    if (path / "card.json").is_file():
        try:
            dataset = formats.read(path)
        except UserError:
            pass
        else:
            known = (dataset.card.task, dataset.card.version, dataset.card.data, dataset.card.split)
            if known == (card.name, card.version, data, split):
                return dataset
    if not write:
        return coco_folder.described(_made(task, data, split))
    if path.is_symlink():  # what it leads to is not ours to replace
        raise UserError(f"{path}: is a link to something that is not this data set; remove the link")
    if path.exists() and not (path / "card.json").is_file():
        shutil.rmtree(path, ignore_errors=True)  # a copy that lost its card
    return _write(task, data, split, path)
