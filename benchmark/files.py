"""Files and folders written whole: aside first, renamed last, so that what has its name is never half of itself.

The name of what is aside says which process of which machine writes it. So several processes may write one folder, and
what a killed one has left behind is told from what is being written.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmark.structures import UserError

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_ASIDE = re.compile(r"\..+\.([0-9a-f]{8})-([0-9]+)-[0-9]+(\.old)?")
_count = itertools.count()


class Unwritable(UserError):
    """A file or folder that cannot be written: the disk is full, or read-only."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into an `Unwritable` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror or error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, with a final line break and Unix line ends on every platform.

    Characters that UTF-8 cannot hold are escaped. Folders above ``path`` are made.

    Raises:
        UserError: Where it cannot be written; an earlier file of that name then stays.
    """
    write_bytes(path, (text if text.endswith("\n") else text + "\n").encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole. See `write_text`."""
    aside = _aside(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_folder(
    path: Path, fill: Callable[[Path], None], *, is_whole: Callable[[Path], bool], sync: bool = False
) -> None:
    """Write a folder whole, in the place of an earlier one.

    Args:
        path: The folder. What stood there before goes once the new one is complete.
        fill: Writes the content into the empty folder it is given.
        is_whole: Whether a folder is complete. Where another process has put one there meanwhile, that one stays, since
            it holds the same and may be in use.
        sync: Wait until the content is on the disk before it gets its name, so that not even a power cut halves it.

    Raises:
        UserError: Where it cannot be written; what was there before then stays.
    """
    aside = _aside(path)
    old = aside.with_name(f"{aside.name}.old")
    with writing(path):
        aside.mkdir(parents=True)
        try:
            fill(aside)
            if sync:
                for entry in [*aside.iterdir(), aside]:
                    _sync(entry)
            if path.exists():
                with suppress(FileNotFoundError):
                    path.rename(old)
            try:
                aside.rename(path)
            except OSError:
                if not is_whole(path):
                    raise
            if sync:
                _sync(path.parent)
        finally:
            if old.exists() and not path.exists():
                with suppress(OSError):
                    old.rename(path)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)


def check_ending(path: Path, what: str, endings: Sequence[str], *, bare: bool = True) -> None:
    """Refuse a file to write whose name says another format than is written: asked before anything is made.

    Args:
        path: The file.
        what: What is written, in words.
        endings: Suffixes of that format, each with its dot and in lower case.
        bare: Whether a name without a suffix will do: where the format is known without it.

    Raises:
        UserError: Where the name has another suffix, or is a folder's.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file, as {path / f'file{endings[0]}'}")
    if path.suffix.lower() not in endings and (path.suffix or not bare):
        wanted = " or ".join([", ".join(endings[:-1]), endings[-1]] if len(endings) > 1 else endings)
        raise UserError(f"{path}: {what} ends in {wanted}")


def refuse_occupied(path: Path) -> None:
    """UserError unless nothing, or an empty folder, is at ``path``: what is there is not ours to replace."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; name a folder")
    if path.exists() and any(path.iterdir()):
        raise UserError(f"{path}: holds other things already; name a new or empty folder")


def recover(path: Path) -> None:
    """Put back a folder that `write_folder` had moved away when it was interrupted between its two renames."""
    if path.exists() or not path.parent.is_dir():
        return
    for old in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.old")):
        if _is_being_written(old.name):
            continue  # its writer is between the two renames, and about to do the second
        with suppress(OSError):
            old.rename(path)
            return


def sweep(folder: Path) -> int:
    """Remove what killed processes of this machine have left half-written in a folder; returns how much that was.

    What was moved away by `write_folder` and not yet replaced is put back first. What another machine is writing on a
    shared file system is left alone, for whether that one still runs is not known here.
    """
    swept = 0
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:
        return 0
    for name in names:
        if _ASIDE.fullmatch(name) is None or _is_being_written(name, elsewhere=True):
            continue
        leftover = folder / name
        if name.endswith(".old"):
            recover(folder / name[1:].rpartition(".old")[0].rpartition(".")[0])
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
        swept += 1
    return swept


def _aside(path: Path) -> Path:
    """Where something is written before it gets its name: a name no other process, or thread, writes to."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{next(_count)}")


def _is_being_written(name: str, *, elsewhere: bool = False) -> bool:
    """Whether the writer of what is aside under this name still runs; ``elsewhere`` is the answer for other machines."""
    match = _ASIDE.fullmatch(name)
    if match is None:
        return False
    if match.group(1) != _HOST:
        return elsewhere
    return psutil.pid_exists(int(match.group(2)))


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; where a system cannot, it is not waited for."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
