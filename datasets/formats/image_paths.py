r"""Which file of a folder an annotation file means by a name, as other tools and other systems write names.

A name is looked for as it is; then with ``\`` for ``/``, in another Unicode normalisation, and with ``%20`` for a blank;
then by its last part alone, where one file of the folder is called so. What was taken for what is counted.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from benchmark.structures import UserError
from datasets.images import SUFFIXES


def image_paths(
    root: Path, places: Sequence[Path], names: Sequence[str], origin: str
) -> tuple[list[Path], tuple[str, ...]]:
    """The image files of an annotation file.

    Args:
        root: The folder in which all images lie.
        places: Folders in it where they are looked for first, the likeliest first.
        names: N file names.
        origin: The annotation file, named in errors.

    Returns:
        N paths, and notes on names that are not those of the files.

    Raises:
        UserError: Naming the first that is nowhere, and how many are not.
    """
    place = next((p for p in places if (p / names[0]).is_file()), None)
    if place is not None:
        paths = [place / name for name in names]
        missing = [i for i, path in enumerate(paths) if not path.is_file()]
    else:
        paths, missing = [Path()] * len(names), list(range(len(names)))
    if not missing:
        return paths, ()
    files = _Files(root)
    notes: dict[str, int] = {}
    nowhere = []
    for i in missing:
        found, how = files.find(names[i])
        if found is None:
            nowhere.append((i, how))
        else:
            paths[i] = found
            notes[how] = notes.get(how, 0) + 1
    if nowhere:
        i, why = nowhere[0]
        tried = ", ".join(dict.fromkeys(str(p.relative_to(root)) + "/" for p in places if p.is_dir()))
        also = f"; {len(nowhere)} of {len(names)} images are missing" if len(nowhere) > 1 else ""
        raise UserError(
            f"{origin}: images entry {i}: there is no file {names[i]} in {root} (looked in {tried}){why}{also}"
        )
    return paths, tuple(f"{count} image files found {how}" for how, count in notes.items())


def images_below(
    root: Path, places: Sequence[Path], names: Sequence[Sequence[str]], origin: str
) -> tuple[list[Path | None], tuple[str, ...]]:
    """The image files of a tool that may call a file otherwise than it lies there; the few that are missing are left out.

    Args:
        root: The folder in or below which all images lie.
        places: Folders in it where they are looked for first, the likeliest first.
        names: N times the names that an image's file may have, the likeliest first.
        origin: The annotation file, named in errors.

    Returns:
        N paths, None for an image that is nowhere, and notes on names that are not those of the files and on what is missing.

    Raises:
        UserError: Where half of them or more are missing.
    """
    files = _Files(root)
    inside = ["/".join(place.relative_to(root).parts) for place in places]
    paths: list[Path | None] = []
    notes: dict[str, int] = {}
    nowhere = []
    for i, spellings in enumerate(names):
        found = next(
            (path for at in inside for name in spellings if (path := files.at(f"{at}/{name}" if at else name))), None
        )
        found = found or next(
            (place / name for place in places for name in spellings[:1] if _inside(place, name)), None
        )
        why = ""
        for name in spellings if found is None else ():
            found, how = files.find(name)
            if found is not None:
                notes[how] = notes.get(how, 0) + 1
                break
            why = why or how
        if found is None:
            nowhere.append((i, why))
        paths.append(found)
    words = [f"{count} image files found {how}" for how, count in notes.items()]
    if nowhere:
        i, why = nowhere[0]
        if 2 * len(nowhere) >= len(names):
            raise UserError(
                f"{origin}: there is no file {names[i][0][:200]} in {root}{why}; {len(nowhere)} of {len(names)} images "
                "are missing: put them beside the annotations, or into images/"
            )
        words.append(
            f"WARNING: {len(nowhere)} of {len(names)} images are missing and set aside, as {names[i][0][:200]}{why}"
        )
    return paths, tuple(words)


def stems_of(names: Sequence[str]) -> list[str]:
    """File names without their endings, as an export writes them; numbered where two would be one, or leave the folder."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    stems = [path.with_suffix("").as_posix() for path in paths]
    inside = not any(path.is_absolute() or ".." in path.parts for path in paths)
    return stems if inside and len(set(stems)) == len(stems) else [f"{i:06d}" for i in range(1, len(stems) + 1)]


def _inside(place: Path, name: str) -> bool:
    """Whether a folder holds a file: below a link, say, which a walk does not follow."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return False
    try:
        return (place / name).is_file()
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return False


def folder_names(groups: Sequence[str]) -> dict[str, str]:
    """A folder's name for each group, whatever characters are in the group's own."""
    names: dict[str, str] = {}
    for group in dict.fromkeys(groups):
        plain = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", group).strip(". ") or "frames"
        number, name = 1, plain
        while name.casefold() in {other.casefold() for other in names.values()}:
            number += 1
            name = f"{plain}-{number}"
        names[group] = name
    return names


class _Files:
    """The image files below a folder, by their names in several spellings."""

    def __init__(self, root: Path) -> None:
        self._relative: dict[str, Path] = {}
        self._by_path: dict[str, list[Path]] = {}
        self._by_plain_path: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        self._by_case: dict[str, list[Path]] = {}
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                if PurePosixPath(name).suffix.lower() in SUFFIXES:
                    path = Path(folder) / name
                    own = path.relative_to(root).as_posix().split("/")
                    self._relative["/".join(own)] = path
                    parts = [_plain(part) for part in own]
                    for start in range(len(parts)):
                        self._by_path.setdefault("/".join(own[start:]), []).append(path)
                        self._by_plain_path.setdefault("/".join(parts[start:]), []).append(path)
                    self._by_name.setdefault(parts[-1], []).append(path)
                    self._by_case.setdefault(parts[-1].casefold(), []).append(path)

    def at(self, name: str) -> Path | None:
        """The file of this very path, relative to the folder."""
        return self._relative.get(name)

    def find(self, name: str) -> tuple[Path | None, str]:
        """The file that a name means and how it was found, or None and what may be the matter."""
        slashes = name.replace("\\", "/")
        for spelled, files, how in (
            (name, self._by_path, "in another folder than the usual"),
            (slashes, self._by_path, "with \\ for /"),
            (_plain(slashes), self._by_plain_path, "in another Unicode normalisation"),
            (_plain(unquote(slashes)), self._by_plain_path, "with %-escapes for other characters"),
        ):
            found = files.get(spelled, [])
            if len(found) == 1:
                return found[0], how
        last = PurePosixPath(_plain(unquote(slashes))).name
        found = self._by_name.get(last, [])
        if len(found) == 1:
            return found[0], "by the last part of their names"
        if len(found) > 1:
            return None, f": {len(found)} files of other folders are called {last}"
        if self._by_case.get(last.casefold()):
            return None, f": {self._by_case[last.casefold()][0].name} differs in upper and lower case"
        return None, ""


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
