"""COCO keypoint folders as other tools lay them out.

Annotation files are looked for in ``annotations/``, beside the images (``train/_annotations.coco.json``) and in the
folder itself, and told apart by the words train, val (valid), test in their paths: ``person_keypoints_train2017.json`` is a
train file. A single file is all there is.

Images are looked for in ``images/<split>/``, ``images/``, ``<split>/``, a folder called as the annotation file ends
(``train2017/``), beside the annotation file, and in the folder itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.structures import Annotations, UserError
from datasets.formats.coco import read_annotations
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import ImageFiles

_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_IGNORED = ("card.json", "package.json")


def sniff(root: Path) -> bool:
    """Whether this may be such a folder: any folder may; `read` names what is missing.

    Args:
        root: The folder.
    """
    return root.is_dir()


def read(root: Path, options: ReadOptions) -> Reading:
    """The folder of another tool, as far divided as its files divide it.

    Args:
        root: The folder.
        options: What the user said about it.

    Raises:
        UserError: Naming what is missing or wrong.
    """
    parts = {}
    for name, path in annotation_files(root).items():
        annotations = read_annotations(path)
        paths = _image_paths(root, path, name, annotations)
        parts[name] = (ImageFiles(paths, annotations.sizes, str(path)), annotations)
    return Reading(parts)


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
