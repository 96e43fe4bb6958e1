"""Tables that pandas wrote to HDF5, read without pandas' own reader, which unpickles what it finds and so runs any code.

Both of its layouts are read, the one that `to_hdf` writes by default (``fixed``) and the ``table`` of earlier DeepLabCut
projects, as pandas' ``io/pytables.py`` describes them:

    fixed    axis0 (columns) and axis1 (rows), each as axis or as axis_level<i> and axis_label<i> where it has several
             levels; block<i>_items, the columns of a block; block<i>_values, (rows, columns)
    table    one dataset ``table`` with ``index`` and values_block_<i>, whose columns are a pickled list in an attribute

Of that pickle only lists, tuples, texts and numbers are taken.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.structures import FloatArray, UserError
from datasets.formats.hdf5 import FAULTS, Hdf5, as_text

Label = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PandasTable:
    """A table of numbers.

    Attributes:
        rows: R labels, of one text a level.
        columns: C labels, likewise.
        values: (R, C) float64.
    """

    rows: list[Label]
    columns: list[Label]
    values: FloatArray


def read_pandas(path: Path) -> PandasTable:
    """The one table in a file.

    Raises:
        UserError: One line with the file, where it holds no table, or one with other values than numbers.
    """
    with Hdf5(path) as file:
        tables = [name for name in file.names() if file.attribute(name, "pandas_type") is not None]
        if len(tables) != 1:
            raise UserError(f"{path}: holds {len(tables)} tables of pandas where one was expected")
        name = tables[0]
        try:
            return _of_table(file, name) if f"{name}/table" in file else _of_fixed(file, name)
        except (*FAULTS, IndexError, pickle.UnpicklingError, EOFError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{path}: {name} is no table of pandas that can be read ({why}); give its CSV") from error


def _of_fixed(file: Hdf5, name: str) -> PandasTable:
    columns, rows = _axis(file, f"{name}/axis0"), _axis(file, f"{name}/axis1")
    values = np.full((len(rows), len(columns)), np.nan)
    place = {label: i for i, label in enumerate(columns)}
    for i in range(int(file.attribute(name, "nblocks"))):
        items = _axis(file, f"{name}/block{i}_items")
        block = file.array(f"{name}/block{i}_values")
        own = np.array([place[item] for item in items], dtype=np.int64)
        values[:, own] = _numbers(block if file.attribute(f"{name}/block{i}_values", "transposed") else block.T)
    return PandasTable(rows, columns, values)


def _axis(file: Hdf5, name: str) -> list[Label]:
    group, own = name.rsplit("/", 1)
    count = file.attribute(group, f"{own}_nlevels")
    if count is None:
        return [(text,) for text in _labels(file, name)]
    levels = []
    for i in range(int(count)):
        texts, codes = _labels(file, f"{name}_level{i}"), file.array(f"{name}_label{i}").astype(np.int64)
        levels.append(["" if code < 0 else texts[code] for code in codes.tolist()])
    return list(zip(*levels, strict=True))


def _labels(file: Hdf5, name: str) -> list[str]:
    values = file.array(name)
    if values.dtype.kind not in "SUiu":
        raise ValueError(f"{name} holds pickled objects")
    return [as_text(value) if values.dtype.kind in "SU" else str(value) for value in values]


def _of_table(file: Hdf5, name: str) -> PandasTable:
    table = file.array(f"{name}/table")
    fields = [field for field in table.dtype.names or () if field != "index"]
    columns: list[Label] = []
    parts = []
    for field in fields:
        listed = _plain(file.attribute(f"{name}/table", f"{field}_kind"))
        columns += [tuple(map(str, one)) if isinstance(one, tuple) else (str(one),) for one in listed]
        parts.append(_numbers(table[field].reshape(len(table), -1)))
    values = np.hstack(parts)
    if values.shape[1] != len(columns):
        raise ValueError(f"{values.shape[1]} columns and {len(columns)} names")
    rows: list[Label] = [(as_text(one) if isinstance(one, bytes) else str(one),) for one in table["index"].tolist()]
    return PandasTable(rows, columns, values)


def _numbers(values: Any) -> FloatArray:
    if values.dtype.kind not in "fiu":
        raise ValueError(f"it holds {values.dtype} where numbers were expected")
    numbers: FloatArray = values.astype(np.float64)
    return numbers


def _plain(pickled: Any) -> list[Any]:
    """What a pickle of lists, tuples, texts and numbers holds."""
    content = pickled.tobytes() if isinstance(pickled, (np.void, np.ndarray)) else bytes(pickled)
    found = _PlainUnpickler(io.BytesIO(content)).load()
    if not isinstance(found, list):
        raise ValueError(f"{type(found).__name__} where a list of columns was expected")
    return found


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names another file")
