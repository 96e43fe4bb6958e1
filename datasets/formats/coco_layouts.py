"""COCO keypoint folders as other tools lay them out, read as train, val and test.

Annotation files are looked for in ``annotations/``, beside the images (``train/_annotations.coco.json``) and in the
folder itself, and told apart by the words train, val (valid), test in their paths: ``person_keypoints_train2017.json`` is a
train file. What is missing is made, deterministically by image content:

    train, val, test    used as they are
    train, val          val becomes the test split (COCO's own custom); a fifth of train becomes val
    train, test         a fifth of train becomes val
    one file            60 / 20 / 20 %

Images are looked for in ``images/<split>/``, ``images/``, ``<split>/``, a folder called as the annotation file ends
(``train2017/``), beside the annotation file, and in the folder itself.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from benchmark.structures import Annotations, LabeledImages, UserError
from datasets import splits
from datasets.dataset import Dataset, DatasetCard, content_digest, with_baseline
from datasets.formats.coco import read_annotations
from datasets.images import ImageFiles, open_splits

_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_IGNORED = ("card.json", "package.json")


def sniff(root: Path) -> bool:
    """Whether this may be such a folder: any folder may; `read` names what is missing.

    Args:
        root: The folder.
    """
    return root.is_dir()


def read(root: Path, split: int = 0) -> Dataset:
    """The folder of another tool as three splits.

    Args:
        root: The folder.
        split: Which division of the images, where the folder does not bring its own.

    Returns:
        Three splits; val and test know the training mean.

    Raises:
        UserError: Naming what is missing or wrong.
    """
    files = annotation_files(root)
    parts = {}
    for name, path in files.items():
        annotations = read_annotations(path)
        paths = _image_paths(root, path, name, annotations)
        parts[name] = (ImageFiles(paths, annotations.sizes, str(path)), annotations)
    names = {annotations.keypoint_names for _, annotations in parts.values()}
    if len(names) > 1:
        listed = "; ".join(f"{files[name]}: {', '.join(one.keypoint_names)}" for name, (_, one) in parts.items())
        raise UserError(f"{root}: its files have different keypoints ({listed})")
    _refuse_contradictions(root, {files[name]: annotations for name, (_, annotations) in parts.items()})
    loaded = open_splits(parts)
    if split and len(loaded) == 3:
        raise UserError(f"{root}: brings its own train, val and test, so there is no split {split}; leave --split out")
    train, val, test = _three(loaded, root, split)
    val, test = (data if data.annotations.baseline is not None else with_baseline(data, train) for data in (val, test))
    digest = content_digest({"train": train, "val": val, "test": test})
    title = root.resolve().name or "folder"
    return Dataset(train, val, test, DatasetCard(task=title, data=title, split=split, digest=digest), digest)


def _refuse_contradictions(root: Path, annotations: dict[Path, Annotations]) -> None:
    """UserError where the files of one folder give one keypoint two sigmas, or one category id two names."""
    first, known = next(iter(annotations.items()))
    names = {category.id: category.name for category in known.categories}
    for path, other in annotations.items():
        if not np.array_equal(other.sigmas, known.sigmas):
            raise UserError(f"{root}: {first.name} and {path.name} give other sigmas; give both the same")
        for category in other.categories:
            if names.setdefault(category.id, category.name) != category.name:
                raise UserError(
                    f"{root}: category {category.id} is {names[category.id]!r} in one file and {category.name!r} in "
                    f"{path.name}; give it one name"
                )


def annotation_files(root: Path) -> dict[str, Path]:
    """Which annotation file is for which split.

    Args:
        root: The folder.

    Returns:
        ``train``, ``val`` and ``test`` as far as there are any, or ``all`` where there is one file -> the file.

    Raises:
        UserError: Where there is none, none for train, or the names of several do not tell them apart.
    """
    candidates = [
        path
        for pattern in ("annotations/*.json", "*.json", "*/_annotations*.json")
        for path in sorted(root.glob(pattern))
        if path.name not in _IGNORED and path.is_file()
    ]
    with_points = [path for path in candidates if "keypoint" in path.name.lower()]
    candidates = list(dict.fromkeys(with_points or candidates))
    if not candidates:
        raise UserError(
            f"{root}: holds no COCO keypoint annotations; expected {root / 'annotations'}/train.json and the like"
        )
    if len(candidates) == 1:
        return {"all": candidates[0]}
    named: dict[str, Path] = {}
    for path in candidates:
        word = _split_word(path.relative_to(root))
        if word is None or word in named:
            listed = ", ".join(str(p.relative_to(root)) for p in candidates)
            raise UserError(
                f"{root}: cannot tell which of {listed} is train, val and test; keep one file for each, named so"
            )
        named[word] = path
    if "train" not in named:
        raise UserError(f"{root}: has {' and '.join(named)} annotations but none for train")
    return {name: named[name] for name in ("train", "val", "test") if name in named}


def _split_word(path: Path) -> str | None:
    """The split a path names: the last such word in its name, else in its folder's."""
    for text in (path.stem, path.parent.name):
        words = [_WORDS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in _WORDS]
        if words:
            return words[-1]
    return None


def _image_paths(root: Path, origin: Path, name: str, annotations: Annotations) -> list[Path]:
    """Each image's file, in the first of the usual places that has the split's first image."""
    ending = origin.stem.rpartition("_")[2]
    own = [name, *(word for word, split_name in _WORDS.items() if split_name == name and word != name), ending]
    places = [
        *(root / "images" / word for word in own),
        root / "images",
        *(root / word for word in own),
        *([origin.parent] if origin.parent.name != "annotations" else []),
        root,
    ]
    first = annotations.file_names[0]
    place = next((p for p in places if (p / first).is_file()), None)
    if place is None:
        tried = ", ".join(dict.fromkeys(str(p.relative_to(root)) + "/" for p in places if p.is_dir()))
        raise UserError(f"{origin}: images entry 0: there is no file {first} in {root} (looked in {tried})")
    return [place / file for file in annotations.file_names]


def _three(
    loaded: dict[str, LabeledImages], root: Path, number: int
) -> tuple[LabeledImages, LabeledImages, LabeledImages]:
    """Train, val and test of a folder that may lack some."""
    if len(loaded) == 3:
        return loaded["train"], loaded["val"], loaded["test"]
    whole = loaded["all"] if "all" in loaded else loaded["train"]
    n = len(whole)
    val_size = max(1, n // 5)
    sizes = [n - val_size, val_size] if "all" not in loaded else [n - 2 * val_size, val_size, val_size]
    if min(sizes) < 1:
        raise UserError(f"{root}: {n} images are too few to be divided into train, val and test")
    cut = splits.split(splits.digests(whole.images), whole.annotations.labels, sizes, number)
    train, val, *test = (whole.take(part) for part in cut)
    return train, val, test[0] if test else loaded.get("test", loaded.get("val", val))
