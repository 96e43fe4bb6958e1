"""HDF5 files of other tools, read as plain data.

A file may be truncated, damaged or made to harm. So nothing outside the file is read (external links and storage, virtual
datasets), nothing is unpickled, and no array is made that is larger than what is stored of it can be: a kilobyte never
asks for a terabyte. h5py is an optional dependency, imported where a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import UserError

MOST = 2 << 30  # bytes of one array, or of one image
EXPANSION = 1032  # times that deflate can make a byte at most (zlib's technical details)
SLACK = 1 << 20  # bytes that an array may have of which nothing is stored
MOST_TEXTS = 100_000
FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)


def h5py_for(path: Path) -> Any:
    """The package h5py.

    Args:
        path: What it is needed for, named in the error.

    Raises:
        UserError: Where it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"{path}: this needs the package h5py; pip install h5py") from error
    return h5py


class Hdf5:
    """An HDF5 file, open to be read. A context manager.

    Names are paths in it, as ``video0/video``. What is wrong with a part raises a `UserError` that names file and part.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Args:
            path: The file.

        Raises:
            UserError: Where h5py is not installed, or this is no HDF5 file or a damaged one.
        """
        self.path, self._h5py = path, h5py_for(path)
        try:
            self._file = self._h5py.File(path, "r")
        except FAULTS as error:
            raise UserError(f"{path}: is no HDF5 file, or a damaged one ({_pointer(path) or _words(error)})") from error

    def __enter__(self) -> Hdf5:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        with self._naming(name):
            return self._file.get(name) is not None

    def names(self) -> list[str]:
        """What lies at the top."""
        with self._naming("/"):
            return list(self._file)

    def array(self, name: str) -> NDArray[Any]:
        """A dataset, whole.

        Raises:
            UserError: Where there is none, or it is not to be read; see the module.
        """
        with self._naming(name):
            values: NDArray[Any] = np.asarray(self._dataset(name)[()])
        return values

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a dataset."""
        with self._naming(name):
            return tuple(int(n) for n in self._dataset(name, whole=False).shape)

    def row(self, name: str, i: int) -> NDArray[Any]:
        """One row of a dataset, which as a whole may be larger than memory."""
        with self._naming(name):
            values: NDArray[Any] = np.asarray(self._dataset(name, whole=False)[i])
        return values

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        with self._naming(name):
            dataset = self._dataset(name)
            if dataset.ndim != 1 or len(dataset) > MOST_TEXTS:
                raise UserError(f"{self.path}: {name} has the shape {dataset.shape} where a list of texts was expected")
            found, size = [], 0
            for i in range(len(dataset)):  # one by one: many entries may point to one long text
                found.append(as_text(dataset[i]))
                size += len(found[-1])
                if size > MOST:
                    raise UserError(f"{self.path}: {name} is too long")
        return found

    def text(self, name: str, key: str = "") -> str | None:
        """The text of an attribute, or of a dataset that is one text; None where there is no such thing."""
        value = self.attribute(name, key) if key else self.array(name) if name in self else None
        with self._naming(f"{name}: attribute {key}" if key else name):
            return None if value is None else as_text(value)

    def attribute(self, name: str, key: str) -> Any:
        """An attribute of a group or dataset; None where there is no such thing."""
        with self._naming(f"{name}: attribute {key}"):
            node = self._file.get(name)
            return None if node is None else node.attrs.get(key)

    def _dataset(self, name: str, whole: bool = True) -> Any:
        found = self._file.get(name)
        if not isinstance(found, self._h5py.Dataset):
            raise UserError(f"{self.path}: has no {name}")
        if found.file.filename != self._file.filename or found.external or found.is_virtual:
            raise UserError(f"{self.path}: {name} lies in another file, which is not read")
        size = found.nbytes if whole else found.nbytes // max(1, len(found))
        stored = min(found.id.get_storage_size(), self.path.stat().st_size)
        if size > MOST or (size > SLACK and found.nbytes > SLACK + EXPANSION * stored):
            raise UserError(f"{self.path}: {name} says it has {found.nbytes:,} bytes, of which {stored:,} are stored")
        return found

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            raise UserError(f"{self.path}: {name} cannot be read ({_words(error)})") from error


def as_text(value: Any) -> str:
    """A text that HDF5 stored as bytes, as text, or as an array of one of these.

    Raises:
        ValueError: Where it is none.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    if isinstance(value, np.void):
        value = value.tobytes()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").rstrip("\0")
    if isinstance(value, str):
        return str(value)
    raise ValueError(f"{type(value).__name__} where a text was expected")


def _pointer(path: Path) -> str:
    """What to do about a file that only says where Git LFS keeps it; "" where it is none."""
    try:
        with path.open("rb") as file:
            return (
                "it is a Git LFS pointer: git lfs pull fetches it" if file.read(20) == b"version https://git-" else ""
            )
    except OSError:
        return ""


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
