"""Files and folders written whole: aside first, renamed last, so that what has its name is never half of itself."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.structures import UserError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into a `UserError` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, with a final line break and Unix line ends on every platform.

    Characters that UTF-8 cannot hold are escaped. Folders above ``path`` are made.

    Raises:
        UserError: Where it cannot be written; an earlier file of that name then stays.
    """
    write_bytes(path, (text if text.endswith("\n") else text + "\n").encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole. See `write_text`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_folder(path: Path, fill: Callable[[Path], None], *, is_whole: Callable[[Path], bool]) -> None:
    """Write a folder whole, in the place of an earlier one.

    Args:
        path: The folder. What stood there before goes once the new one is complete.
        fill: Writes the content into the empty folder it is given.
        is_whole: Whether a folder is complete. Where another process has put one there meanwhile, that one stays, since
            it holds the same and may be in use.

    Raises:
        UserError: Where it cannot be written; what was there before then stays.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    with writing(path):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            fill(aside)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                with suppress(FileNotFoundError):
                    path.rename(old)
            try:
                aside.rename(path)
            except OSError:
                if not is_whole(path):
                    raise
        finally:
            recover(path)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)


def recover(path: Path) -> None:
    """Put back a folder that `write_folder` had moved away when it was interrupted between its two renames."""
    if path.exists() or not path.parent.is_dir():
        return
    for old in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.old")):
        with suppress(OSError):
            old.rename(path)
            return
