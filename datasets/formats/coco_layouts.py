"""COCO keypoint files as other tools lay them out: a folder, or one annotation file.

Annotation files are looked for in ``annotations/``, beside the images (``train/_annotations.coco.json``) and in the
folder itself. They are told from other JSON files (results, settings) by what they hold, and from each other by the words
train, val (valid), test in their paths: ``person_keypoints_train2017.json`` is a train file. A single file is all there is.

Images are looked for in ``images/<split>/``, ``images/``, ``<split>/``, a folder called as the annotation file ends
(``train2017/``), beside the annotation file, in the folder itself, and at last anywhere below it
(`datasets.formats.image_paths`). Coordinates are COCO's, which are ours: an integer is the centre of its pixel.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.structures import UserError
from datasets.formats.coco import read_document
from datasets.formats.image_paths import image_paths
from datasets.formats.json_columns import read_json
from datasets.formats.reading import Reading, ReadOptions
from datasets.images import ImageFiles, sizes_of

_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LEVELS = 4  # folders above the annotations in which images may lie
_PATTERNS = ("annotations/*.json", "*.json", "*/_annotations*.json", "*/annotations*.json")


def sniff(path: Path) -> bool:
    """Whether this may be such data: any folder may, and any JSON file; `read` names what is missing.

    Args:
        path: A folder or file.
    """
    return path.is_dir() or path.suffix.lower() == ".json"


def read(path: Path, options: ReadOptions) -> Reading:
    """A folder or annotation file of another tool, as far divided as its files divide it.

    Args:
        path: The folder, or one annotation file, beside or above which the images lie.
        options: What the user said about it.

    Raises:
        UserError: Naming what is missing or wrong.
    """
    notes: list[str] = []
    if path.is_dir():
        root, files = path, annotation_files(path, notes)
    else:
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        files = {"all": (path, read_json(path))}
    root = _root_of_images(root, next(iter(files.values())))
    splits = {}
    own: dict[str, list[str]] = {}
    for name, (file, content) in files.items():
        document = read_document(content, str(file), options)
        annotations = document.annotations
        paths, renamed = image_paths(root, _places(root, file, name), annotations.file_names, str(file))
        own[name] = [*document.notes, *renamed]
        if (unsized := annotations.sizes[:, 0] == 0).any():
            sizes = annotations.sizes.copy()
            sizes[unsized] = sizes_of([paths[i] for i in unsized.nonzero()[0]], str(file))
            annotations = replace(annotations, sizes=sizes)
            own[name].append(f"{int(unsized.sum())} images without width and height: those of their files are used")
        splits[name] = (ImageFiles(paths, annotations.sizes, str(file)), annotations)
    everywhere = [note for note in next(iter(own.values())) if all(note in other for other in own.values())]
    notes += everywhere
    notes += [f"{name}: {note}" for name, found in own.items() for note in found if note not in everywhere]
    return Reading(splits, tuple(notes))


def _root_of_images(root: Path, first: tuple[Path, Any]) -> Path:
    """The folder or one of those above it, of which the first image's name is a path: ``images/val/a.jpg`` may be."""
    images = first[1].get("images") if type(first[1]) is dict else None
    name = images[0].get("file_name") if type(images) is list and images and type(images[0]) is dict else None
    if type(name) is str and name and not any((place / name).is_file() for place in _places(root, first[0], "all")):
        for above in list(root.resolve().parents)[:LEVELS]:
            if "/" in name and (above / name).is_file():
                return above
            if root.name == "annotations" and any((p / name).is_file() for p in _places(above, first[0], "all")):
                return above
    return root


def annotation_files(root: Path, notes: list[str]) -> dict[str, tuple[Path, Any]]:
    """Which annotation file is for which split.

    Args:
        root: The folder.
        notes: Gets a sentence on JSON files that are something else.

    Returns:
        ``train``, ``val`` and ``test`` as far as there are any, or ``all`` where there is one file -> the file and its
        document.

    Raises:
        UserError: Where there is none, none for train, or the names of several do not tell them apart.
    """
    every = _json_files(root)
    with_points = [path for path in every if "keypoint" in path.name.lower()]
    candidates = list(dict.fromkeys(with_points or every))
    documents: dict[Path, Any] = {}
    other = []
    for path in candidates:
        meant = len(candidates) == 1 or split_word(path.relative_to(root)) is not None
        try:
            document = read_json(path) if meant or _begins_as_an_object(path) else None
        except UserError:
            if meant:
                raise
            document = None
        if _holds_annotations(document) or (meant and not _holds_results(document)):
            documents[path] = document
        else:
            other.append(path.name)
    if not documents:
        what = f" ({', '.join(other)} {'are' if len(other) > 1 else 'is'} something else)" if other else ""
        raise UserError(
            f"{root}: holds no COCO keypoint annotations; expected {root / 'annotations'}/train.json and the like{what}"
        )
    if other:
        notes.append(f"{len(other)} JSON files that are no annotations left unread: {', '.join(other[:3])}")
    if len(documents) == 1:
        return {"all": next(iter(documents.items()))}
    named: dict[str, tuple[Path, Any]] = {}
    for path, document in documents.items():
        word = split_word(path.relative_to(root))
        if word is None or word in named:
            listed = ", ".join(str(p.relative_to(root)) for p in documents)
            raise UserError(
                f"{root}: cannot tell which of {listed} is train, val and test; keep one file for each, named so, or give "
                "one file as --data"
            )
        named[word] = (path, document)
    if "train" not in named:
        raise UserError(f"{root}: has {' and '.join(named)} annotations but none for train")
    return {name: named[name] for name in ("train", "val", "test") if name in named}


def may_hold_annotations(root: Path) -> bool:
    """Whether a path is a folder with a JSON file that may be of annotations, where these are looked for."""
    return root.is_dir() and any(map(_begins_as_an_object, _json_files(root)))


def _json_files(root: Path) -> list[Path]:
    return [
        path
        for pattern in _PATTERNS
        for path in sorted(root.glob(pattern))
        if path.is_file() and path.name != "card.json"
    ]


def _holds_annotations(document: Any) -> bool:
    return type(document) is dict and {"images", "annotations"} <= document.keys()


def _holds_results(document: Any) -> bool:
    """Whether a document is a list of predictions or detections."""
    return type(document) is list and bool(document) and type(document[0]) is dict and "image_id" in document[0]


def _begins_as_an_object(path: Path) -> bool:
    """Whether a JSON file may hold an object; a results file is a list."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return True  # reading it says what is wrong


def split_word(path: Path) -> str | None:
    """The split a path names: the last such word in its name, else in its folder's.

    Args:
        path: The path; nothing need be there.
    """
    for text in (path.stem, path.parent.name):
        words = [_WORDS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in _WORDS]
        if words:
            return words[-1]
    return None


def _places(root: Path, origin: Path, name: str) -> list[Path]:
    """The usual places of a split's images."""
    ending = origin.stem.rpartition("_")[2]
    own = [name, *(word for word, split_name in _WORDS.items() if split_name == name and word != name), ending]
    return [
        *(root / "images" / word for word in own),
        root / "images",
        *(root / word for word in own),
        *([origin.parent] if origin.parent.name != "annotations" else []),
        root,
    ]
