"""Where in a folder of results something lies: names of folders, and the way from a run's folder to its results."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from benchmark import files
from benchmark.structures import UserError

LONGEST = 150  # bytes of a folder's name; file systems allow 255, and something is added while it is written


def slug(name: str) -> str:
    """A name as a folder name on any platform; different names stay different but for the characters replaced.

    A name too long for a file system is cut, and ends in 16 hex digits of its hash.
    """
    plain = re.sub(r"[^\w.+=,-]+", "@", name).strip(".") or "_"
    plain = f"@{plain}" if plain.startswith("_") else plain  # folders that begin with '_' hold no runs
    if len(plain.encode()) <= LONGEST:
        return plain
    return plain.encode()[: LONGEST - 17].decode(errors="ignore") + "@" + hashlib.sha256(name.encode()).hexdigest()[:16]


def results_folder(path: str | Path) -> Path:
    """The folder of results as a path.

    Raises:
        UserError: Where the name is empty, or something else is in its place.
    """
    if not str(path):
        raise UserError("results: the name is empty; name a folder")
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"results {folder}: is a file; name a folder")
    return folder


def root_of(folder: Path) -> Path:
    """The folder of results in which a run's folder lies.

    Raises:
        UserError: Where it is no run's, or lies in none.
    """
    if not (folder / "run.json").is_file():
        raise UserError(f"{folder}: is not the folder of a run (it holds no run.json)")
    for above in folder.resolve().parents:
        if (above / "_annotations").is_dir():
            return above
    raise UserError(
        f"{folder}: lies outside its results folder (no folder above it holds _annotations); give it in its place"
    )


def walk(root: Path, *, recover: bool) -> Iterator[tuple[str, list[str]]]:
    """The folders of a folder of results that may hold runs, in the order of their paths.

    Args:
        root: The folder of results.
        recover: Put back first what a killed process had moved away (`benchmark.files.recover`).

    Yields:
        ``<task>@<version>/<data>/<detector>``, and ``n<train>/seed<k>/<key>`` of each folder in it. Whether a
        ``run.json`` lies there is not looked at.
    """
    top = str(root)
    for task in _inner(top):
        if task[0] in "_.":
            continue
        for data in _inner(f"{top}/{task}"):
            for detector in _inner(f"{top}/{task}/{data}"):
                place = f"{task}/{data}/{detector}"
                names = []
                for size in _inner(f"{top}/{place}", "n"):
                    for seed in _inner(f"{top}/{place}/{size}", "seed"):
                        inner = _inner(f"{top}/{place}/{size}/{seed}")
                        if recover and (moved := [key for key in inner if key[0] == "." and key.endswith(".old")]):
                            for key in moved:
                                files.recover(root / place / size / seed / key[1:].partition(".")[0])
                            inner = _inner(f"{top}/{place}/{size}/{seed}")
                        names += [f"{size}/{seed}/{key}" for key in inner if key[0] != "."]
                if names:
                    yield place, names


def _inner(folder: str, begins: str = "") -> list[str]:
    """The names of the folders in a folder that begin so, sorted; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.startswith(begins) and entry.is_dir())
    except OSError:
        return []
