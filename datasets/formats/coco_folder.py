"""A data set on disk: a folder of COCO keypoint files, written whole and checked when read.

    annotations/train.json  val.json  test.json     COCO keypoint annotations (https://cocodataset.org/#format-data)
    images/train/*.png      val/      test/
    card.json                                       what it is: task, version, source, sizes, sigmas, digest

Annotation files hold more than COCO asks for (labels, the training mean, sigmas, spacing), in places other readers
ignore. The digest is sha256 over the decoded pixels and the annotations of all three splits: not over the bytes of files,
which depend on a PNG library. Folders of other tools are read by `datasets.formats.coco_layouts`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datasets.formats.coco import read_annotations, annotations_to_json
from benchmark.structures import LabeledImages, Annotations, UserError
from datasets.images import ImageFiles, load, write_png
from datasets.splits import image_digest

SPLITS = ("train", "val", "test")
CONVENTION = "points (x, y) in pixels, origin top left, an integer is the centre of that pixel"


class Card(BaseModel):
    """``card.json``: what a folder holds and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    task: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    line: str = ""
    data: str = Field(default="", description="the preset or folder it was made from")
    split: int = Field(default=0, ge=0)
    images: dict[str, int] = Field(default_factory=dict, description="split -> number of images")
    keypoints: list[str] = Field(default_factory=list)
    sigmas: list[float] = Field(default_factory=list)
    spacing: list[float | None] | None = None
    rule: bool = Field(default=False, description="whether a rule on the image alone gives the answer")
    convention: str = CONVENTION
    digest: str = Field(default="", description="sha256 over decoded pixels and annotations")


@dataclass(frozen=True, eq=False)
class Folder:
    """Three splits, the card that describes them, and the digest of what they hold."""

    train: LabeledImages
    val: LabeledImages
    test: LabeledImages
    card: Card
    digest: str

    @property
    def splits(self) -> dict[str, LabeledImages]:
        """train, val and test by name."""
        return dict(zip(SPLITS, (self.train, self.val, self.test)))


def content_digest(parts: Mapping[str, LabeledImages]) -> str:
    """sha256, in hex, over every pixel and every annotation of the named splits."""
    h = hashlib.sha256()
    for name, data in parts.items():
        h.update(f"{name} {len(data)}\n".encode())
        for image in data.images:
            h.update(bytes.fromhex(image_digest(image)))
        h.update(bytes.fromhex(data.annotations.digest))
    return h.hexdigest()


def write_folder(path: Path, train: LabeledImages, val: LabeledImages, test: LabeledImages, card: Card) -> Folder:
    """Write three splits and their card; returns them as `read_folder` will, with the card completed.

    Written aside and renamed last, so that a folder with this name is whole. An earlier export at ``path`` is replaced;
    UserError where anything else is there. Images are all grey or all RGB.
    """
    _may_replace(path)
    given = dict(zip(SPLITS, (train, val, test)))
    if len({image.ndim for data in given.values() for image in data.images}) > 1:
        raise ValueError("grey and coloured images in one data set: make all of them RGB")
    parts = {name: replace(data, annotations=_png_names(data.annotations)) for name, data in given.items()}
    annotations = parts["test"].annotations
    digest = content_digest(parts)
    spacing = None if annotations.spacing is None else [None if q != q else q for q in annotations.spacing.tolist()]
    card = card.model_copy(
        update={
            "images": {name: len(data) for name, data in parts.items()},
            "keypoints": list(annotations.names),
            "sigmas": annotations.sigmas.tolist(),
            "spacing": spacing,
            "digest": digest,
        }
    )
    path = path.resolve()
    existed = path.exists()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        (aside / "annotations").mkdir(parents=True)
        for name, data in parts.items():
            folder = aside / "images" / name
            for parent in {PurePosixPath(file).parent for file in data.annotations.file_names}:
                (folder / parent).mkdir(parents=True, exist_ok=True)
            for file, image in zip(data.annotations.file_names, data.images):
                write_png(folder / file, image)
            _write_json(aside / "annotations" / f"{name}.json", json.dumps(annotations_to_json(data.annotations)))
        _write_json(aside / "card.json", card.model_dump_json(indent=1))
        _put(aside, path, existed)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Folder(parts["train"], parts["val"], parts["test"], card, digest)


def _write_json(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _may_replace(path: Path) -> None:
    """UserError unless nothing, an empty folder, or an earlier export is at ``path``."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path}: is a file; name a folder")
    there = {entry.name for entry in path.iterdir()}
    if there and not ("card.json" in there and there <= {"annotations", "images", "card.json"}):
        raise UserError(f"{path}: holds other things already; name a new or empty folder")


def _put(aside: Path, path: Path, existed: bool) -> None:
    """Give a finished folder its name. What stood there before goes; what another writer has put there meanwhile stays,
    since it holds the same and may be in use."""
    if existed:
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        with suppress(FileNotFoundError):
            path.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        aside.rename(path)
    except OSError:
        if not (path / "card.json").is_file():
            raise


def _png_names(annotations: Annotations) -> Annotations:
    """The same annotations with file names that end in .png, unique even where only the former endings differed."""
    if all(name.endswith(".png") for name in annotations.file_names) and len(set(annotations.file_names)) == len(annotations):
        return annotations
    return replace(annotations, file_names=tuple(f"{i:06d}.png" for i in range(1, len(annotations) + 1)))


def read_card(path: Path) -> Card:
    """The card at ``path``. UserError where it is not one."""
    try:
        return Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",) and type(first["input"]) is int and first["input"] > 1:
            raise UserError(
                f"{path}: is of format {first['input']}, and this version of keypoint-benchmark reads 1: use a newer one"
            ) from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(
            f"{path}: {where}: {first['msg']}; export again, or delete the card to read the folder without it"
        ) from error


def read_folder(path: Path | str, split: int = 0) -> Folder:
    """A COCO keypoint folder, ours (with a card, whose digest must hold) or another tool's, checked in full.

    split: how a folder with a single annotation file is divided. UserError, one line with file and entry, for anything
    missing, unreadable, inconsistent or changed since it was exported.
    """
    root = Path(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder")
    if not root.is_dir():
        raise UserError(f"{root}: is a file; give the folder that holds annotations and images")
    if not (root / "card.json").is_file():
        from datasets.formats.coco_layouts import read_foreign

        return read_foreign(root, split)
    card = read_card(root / "card.json")
    if split not in (0, card.split):
        raise UserError(f"{root}: holds split {card.split}, so there is no split {split}; leave --split out")
    parts = {}
    for name in SPLITS:
        origin = root / "annotations" / f"{name}.json"
        annotations = read_annotations(origin)
        paths = [root / "images" / name / file for file in annotations.file_names]
        parts[name] = (ImageFiles(paths, annotations.sizes, str(origin)), annotations)
    loaded = open_images(parts)
    digest = content_digest(loaded)
    if digest != card.digest:
        raise UserError(
            f"{root}: its content is not what card.json promises (digest {digest[:12]}, promised {card.digest[:12]}); "
            "export again, or delete the card to use the folder as it is"
        )
    return Folder(loaded["train"], loaded["val"], loaded["test"], card, digest)


def open_images(parts: Mapping[str, tuple[ImageFiles, Annotations]]) -> dict[str, LabeledImages]:
    """Data sets from files and annotations: every file checked, and decoded where all fit in memory."""
    images = load([pictures for pictures, _ in parts.values()])
    return {name: LabeledImages(found, annotations) for (name, (_, annotations)), found in zip(parts.items(), images)}
