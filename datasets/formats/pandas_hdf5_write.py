"""A table of numbers in the layout of pandas' ``to_hdf(format="fixed")``, written through h5py alone.

``pandas.read_hdf`` reads it, and so does `pandas_hdf5`, which describes the layout. What PyTables adds to say what its
nodes are (CLASS, VERSION, FLAVOR) is written as it writes it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.structures import FloatArray
from datasets.formats.hdf5 import h5py_for

NODE = {"CLASS": "ARRAY", "FLAVOR": "numpy", "TITLE": "", "VERSION": "2.4"}
NONE = b"N."  # a name that is None, pickled, as PyTables keeps it


def table_bytes(
    path: Path,
    key: str,
    rows: Sequence[str] | Sequence[int],
    levels: Sequence[str],
    columns: Sequence[tuple[str, ...]],
    values: FloatArray,
) -> bytes:
    """An HDF5 file with one table.

    Args:
        path: What the file will be, named in errors.
        key: The table's name.
        rows: R labels, all texts or all numbers.
        levels: L names of the levels of columns.
        columns: C labels of L texts.
        values: (R, C) float64.

    Returns:
        The content of the file.

    Raises:
        UserError: Where h5py is not installed.
    """
    h5py = h5py_for(path)
    content = io.BytesIO()
    with h5py.File(content, "w", libver=("earliest", "v108")) as file:
        _say(file, h5py, CLASS="GROUP", PYTABLES_FORMAT_VERSION="2.1", TITLE="", VERSION="1.0")
        group = file.create_group(key)
        _say(
            group, h5py, CLASS="GROUP", TITLE="", VERSION="1.0", pandas_type="frame", encoding="UTF-8", errors="strict"
        )
        group.attrs["ndim"], group.attrs["nblocks"] = np.int64(2), np.int64(1)
        for axis in ("axis0", "block0_items"):
            _say(group, h5py, **{f"{axis}_variety": "multi"})
            group.attrs[f"{axis}_nlevels"] = np.int64(len(levels))
            for i, name in enumerate(levels):
                texts = sorted({column[i] for column in columns})
                codes = np.array([texts.index(column[i]) for column in columns], dtype=_code_type(len(texts)))
                level = _labels(group, h5py, f"{axis}_level{i}", texts, name)
                _say(level, h5py, **{f"{axis}_name{name}": name})
                _array(group, h5py, f"{axis}_label{i}", codes)
        _say(group, h5py, axis1_variety="regular")
        _labels(group, h5py, "axis1", rows, None)
        _array(group, h5py, "block0_values", np.ascontiguousarray(values))
    return content.getvalue()


def _code_type(count: int) -> str:
    return "i1" if count < 1 << 7 else "i2" if count < 1 << 15 else "i4"


def _labels(group: Any, h5py: Any, place: str, labels: Sequence[str] | Sequence[int], name: str | None) -> Any:
    if labels and isinstance(labels[0], str):
        array = _array(group, h5py, place, np.array([str(label).encode() for label in labels], dtype=np.bytes_))
        _say(array, h5py, kind="string", nan_rep="")
    else:
        array = _array(group, h5py, place, np.array(labels, dtype=np.int64))
        _say(array, h5py, kind="integer")
    _say(array, h5py, name=name if name is not None else NONE)
    return array


def _array(group: Any, h5py: Any, place: str, values: Any) -> Any:
    array = group.create_dataset(place, data=values)
    _say(array, h5py, **NODE)
    flag = h5py.h5t.STD_B8LE  # a truth value, as PyTables stores one
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    h5py.h5a.create(array.id, b"transposed", flag, space).write(np.array(1, dtype=np.uint8), mtype=flag)
    return array


def _say(node: Any, h5py: Any, **told: str | bytes) -> None:
    """Texts as attributes of UTF-8, and bytes as such of ASCII: PyTables reads the one as text and the other as a pickle."""
    for name, value in told.items():
        content = value if isinstance(value, bytes) else value.encode()
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(max(1, len(content)))
        kind.set_cset(h5py.h5t.CSET_ASCII if isinstance(value, bytes) else h5py.h5t.CSET_UTF8)
        space = h5py.h5s.create(h5py.h5s.SCALAR if content else h5py.h5s.NULL)
        attribute = h5py.h5a.create(node.id, name.encode(), kind, space)
        if content:
            attribute.write(np.array(content), mtype=kind)
