"""Our own layout of a data set: a folder of COCO keypoint files, written whole and checked when read.

    annotations/train.json  val.json  test.json     COCO keypoint annotations (https://cocodataset.org/#format-data)
    images/train/*.png      val/      test/
    card.json                                       what it is: task, version, source, sizes, sigmas, digest

Annotation files hold more than COCO asks for (labels, the training mean, sigmas, spacing), in places other readers
ignore. The digest is sha256 over the decoded pixels and the annotations of all three splits: not over the bytes of files,
which depend on a PNG library.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from benchmark import files
from benchmark.structures import Annotations, UserError
from datasets.dataset import SPLITS, Dataset, DatasetCard, content_digest
from datasets.formats.coco import annotations_to_json, read_annotations, sigmas_in
from datasets.formats.image_paths import stems_of
from datasets.images import ImageFiles, open_splits, write_png


def sniff(root: Path) -> bool:
    """Whether a folder has our card.

    Args:
        root: The folder.
    """
    return (root / "card.json").is_file()


def read(root: Path, split: int = 0, sigmas: str = "") -> Dataset:
    """The data set of an exported folder.

    Args:
        root: The folder.
        split: 0, or the number of the division the folder holds.
        sigmas: A file of sigmas (see `datasets.formats.coco.sigmas_in`) that stand for the card's; they change the digest.

    Returns:
        Its three splits, card and digest.

    Raises:
        UserError: Where it is damaged, or changed since its card was written.
    """
    card = read_card(root / "card.json")
    if split not in (0, card.split):
        raise UserError(f"{root}: holds split {card.split}, so there is no split {split}; leave --split out")
    parts = {}
    for name in SPLITS:
        origin = root / "annotations" / f"{name}.json"
        annotations = read_annotations(origin)
        paths = [root / "images" / name / file for file in annotations.file_names]
        parts[name] = (ImageFiles(paths, annotations.sizes, str(origin)), annotations)
    loaded = open_splits(parts).splits
    digest = content_digest(loaded)
    if digest != card.digest:
        raise UserError(
            f"{root}: its content is not what card.json promises (digest {digest[:12]}, promised {card.digest[:12]}); "
            "export again, or delete the card to use the folder as it is"
        )
    if not sigmas:
        return Dataset(loaded["train"], loaded["val"], loaded["test"], card, digest)
    given = sigmas_in(sigmas, loaded["test"].annotations.keypoint_names)
    changed = {
        name: replace(data, annotations=replace(data.annotations, sigmas=given)) for name, data in loaded.items()
    }
    digest = content_digest(changed)
    card = card.model_copy(update={"sigmas": given.tolist(), "digest": digest})
    notes = (f"sigmas of {sigmas} are used",)
    return Dataset(changed["train"], changed["val"], changed["test"], card, digest, notes=notes)


def write(path: Path, dataset: Dataset) -> Dataset:
    """Write a data set; an earlier export at ``path`` is replaced.

    Args:
        path: A new or empty folder, or an earlier export.
        dataset: What to write; images are all grey or all RGB. Its digest may be "".

    Returns:
        The data set as `read` will give it, its card completed.

    Raises:
        UserError: Where something else is at ``path``, or it cannot be written.
        ValueError: Where some images are grey and others have colour.
    """
    _may_replace(path)
    if len({image.ndim for split in dataset.splits.values() for image in split.images}) > 1:
        raise ValueError("grey and coloured images in one data set: make all of them RGB")
    completed = described(dataset)

    def fill(folder: Path) -> None:
        for name, data in completed.splits.items():
            images = folder / "images" / name
            for parent in {PurePosixPath(file).parent for file in data.annotations.file_names}:
                (images / parent).mkdir(parents=True, exist_ok=True)
            for file, image in zip(data.annotations.file_names, data.images):
                write_png(images / file, image)
            document = json.dumps(annotations_to_json(data.annotations))
            files.write_text(folder / "annotations" / f"{name}.json", document)
        files.write_text(folder / "card.json", completed.card.model_dump_json(indent=1))

    files.write_folder(path.resolve(), fill, is_whole=sniff)
    return completed


def described(dataset: Dataset) -> Dataset:
    """A data set as `write` writes it and `read` gives it back: files called .png, card and digest completed.

    Args:
        dataset: Its digest may be "".
    """
    parts = {
        name: replace(data, annotations=_with_png_names(data.annotations)) for name, data in dataset.splits.items()
    }
    annotations = parts["test"].annotations
    digest = content_digest(parts)
    spacing = None if annotations.spacing is None else [None if q != q else q for q in annotations.spacing.tolist()]
    card = dataset.card.model_copy(
        update={
            "images": {name: len(data) for name, data in parts.items()},
            "keypoints": list(annotations.keypoint_names),
            "sigmas": annotations.sigmas.tolist(),
            "spacing": spacing,
            "digest": digest,
        }
    )
    return Dataset(parts["train"], parts["val"], parts["test"], card, digest)


def _may_replace(path: Path) -> None:
    """UserError unless nothing, an empty folder, or an earlier export is at ``path``."""
    there = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if not ("card.json" in there and there <= {"annotations", "images", "card.json"}):
        files.refuse_occupied(path)


def _with_png_names(annotations: Annotations) -> Annotations:
    """The same with file names that end in .png, unique even where only the former endings differed."""
    names = annotations.file_names
    if all(name.endswith(".png") for name in names) and len(set(names)) == len(annotations):
        return annotations
    return replace(annotations, file_names=tuple(f"{stem}.png" for stem in stems_of(names)))


def read_card(path: Path) -> DatasetCard:
    """The card in a file.

    Args:
        path: ``card.json`` of an exported folder.

    Raises:
        UserError: Where it is not one.
    """
    try:
        return DatasetCard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",) and type(first["input"]) is int:
            raise UserError(
                f"{path}: is of format {first['input']}, and this version of keypoint-benchmark reads 2: export again"
            ) from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(
            f"{path}: {where}: {first['msg']}; export again, or delete the card to read the folder without it"
        ) from error
