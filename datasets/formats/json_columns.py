"""Reading JSON files of records: the text, the records, and their columns of numbers, each checked once.

Columns are checked as a whole, in C; only when something is wrong are they walked through, to name the entry. Entries
are counted from 0, as in the file's own lists.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.metrics.validation import MAX_ABS
from benchmark.structures import FloatArray, IntArray, UserError

Record = dict[str, Any]
Where = Callable[[int], str]


def read_json(path: Path | str) -> Any:
    """The JSON document in a file.

    Args:
        path: The file, UTF-8.

    Raises:
        UserError: Where it cannot be read, is not JSON, or gives a key of an object twice.
    """
    return parse_json(read_bytes(path), path)


def read_bytes(path: Path | str) -> bytes:
    """What is in a file.

    Args:
        path: The file.

    Raises:
        UserError: Where it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a name with a NUL in it
        raise UserError(f"{path!r}: is not a file name ({error})") from error


def parse_json(content: bytes, path: Path | str) -> Any:
    """`read_json` of a file whose content is at hand.

    Args:
        content: The content, UTF-8.
        path: The file, named in errors.

    Raises:
        UserError: See `read_json`.
    """
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); give a JSON file") from error
    repeated: list[tuple[Record, str]] = []

    def record(pairs: list[tuple[str, Any]]) -> Record:
        values = dict(pairs)
        if len(values) < len(pairs):  # Python's reader would keep the last value and drop the others without a word
            keys = [key for key, _ in pairs]
            repeated.append((values, next(key for i, key in enumerate(keys) if key in keys[:i])))
        return values

    try:
        document = json.loads(text, object_pairs_hook=record)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: line {error.lineno} column {error.colno}: is not JSON ({error.msg}); is the file whole?"
        ) from error
    except ValueError as error:  # a whole number of thousands of digits
        raise UserError(f"{path}: is not JSON this program reads ({error})") from error
    except RecursionError as error:
        raise UserError(f"{path}: is nested too deeply to be a COCO file") from error
    for node, key in repeated:
        if (place := _place(document, node)) is not None:
            raise UserError(f"{path}: {place}{shown(key)} is given twice in one object; keep the one that is meant")
    return document


def _place(document: Any, node: Record) -> str | None:
    """The way from the document to an object in it, in words that end with a colon; None where it is not in it."""
    waiting: list[tuple[Any, str]] = [(document, "")]
    while waiting:
        part, way = waiting.pop()
        if part is node:
            return f"{way[1:]}: " if way else ""
        if type(part) is list:
            waiting += [(value, f"{way} entry {i}") for i, value in enumerate(part) if type(value) in (dict, list)]
        elif type(part) is dict:
            waiting += [
                (value, f"{way} {json.dumps(key)[1:-1][:60]}")
                for key, value in part.items()
                if type(value) in (dict, list)
            ]
    return None


def records(value: Any, where: str) -> list[Record]:
    """A list of objects, checked.

    Args:
        value: What should be one.
        where: What it is called in errors.

    Returns:
        ``value`` itself.

    Raises:
        UserError: Where it is something else, naming the first entry that is no object.
    """
    if type(value) is not list:
        raise UserError(f"{where}: is {kind(value)} where a list was expected")
    for i, row in enumerate(value):
        if type(row) is not dict:
            raise UserError(f"{where}: entry {i} is {kind(row)} where an object was expected")
    return value


def column(rows: Sequence[Record], key: str, where: Where) -> list[Any]:
    """The values of a key in every record.

    Args:
        rows: The records.
        key: The key.
        where: Position of a record -> what it is called in errors; the same in all functions below.

    Raises:
        UserError: Naming the first record without it.
    """
    try:
        return [row[key] for row in rows]
    except KeyError:
        i = next(i for i, row in enumerate(rows) if key not in row)
        raise UserError(f"{where(i)}: has no {key!r}") from None


def whole_numbers(values: Sequence[Any], key: str, where: Where, low: int, high: int) -> IntArray:
    """A column of whole numbers, checked.

    Args:
        values: n JSON values; a float that is a whole number is one, a boolean is not.
        key: What the column is called in errors.
        where: See `column`.
        low: The smallest allowed.
        high: The largest allowed.

    Returns:
        (n,) int64.

    Raises:
        UserError: Naming the first entry that is something else.
    """
    if float in (kinds := set(map(type, values))):
        values = [int(v) if type(v) is float and v.is_integer() else v for v in values]
        kinds = set(map(type, values))
    if kinds <= {int}:
        try:
            array = np.array(values, dtype=np.int64)
        except OverflowError:
            array = np.array([low - 1])
        if ((array >= low) & (array <= high)).all():
            return array
    i, bad = next((i, v) for i, v in enumerate(values) if type(v) is not int or not low <= v <= high)
    raise UserError(f"{where(i)}: {key!r} is {shown(bad)} where a whole number from {low} to {high} was expected")


def real_numbers(
    values: Sequence[Any], key: str, where: Where, *, low: float = -MAX_ABS, high: float = MAX_ABS, above: bool = False
) -> FloatArray:
    """A column of finite numbers, checked.

    Args:
        values: n JSON values.
        key: What the column is called in errors.
        where: See `column`.
        low: The smallest allowed.
        high: The largest allowed.
        above: Whether ``low`` itself is not allowed.

    Returns:
        (n,) float64.

    Raises:
        UserError: Naming the first entry that is something else.
    """
    if set(map(type, values)) <= {int, float}:
        try:
            array = np.array(values, dtype=np.float64)
        except OverflowError:
            array = np.array([np.nan])
        if ((array > low if above else array >= low) & (array <= high)).all():
            return array
    for i, value in enumerate(values):
        if problem := not_real(value, low, high, above):
            raise UserError(f"{where(i)}: {key!r} {problem}")
    raise AssertionError("a column was refused and each of its values accepted")


def not_real(value: Any, low: float, high: float, above: bool = False) -> str:
    """What is wrong with a value that should be a finite number in range.

    Args:
        value: A JSON value.
        low: The smallest allowed.
        high: The largest allowed.
        above: Whether ``low`` itself is not allowed.

    Returns:
        The end of a sentence; "" where nothing is wrong.
    """
    if type(value) not in (int, float) or value != value or value in (np.inf, -np.inf):
        return f"is {shown(value)} where a finite number was expected"
    if value > high or value < low or (above and value == low):
        return f"is {shown(value)}, out of range: expected {'above' if above else 'from'} {low:g} to {high:g}"
    return ""


def tables(values: Sequence[Any], width: int, key: str, where: Where, meaning: str) -> FloatArray:
    """A column of lists of finite numbers, checked.

    Args:
        values: n JSON values.
        width: How many numbers each must hold.
        key: What the column is called in errors.
        where: See `column`.
        meaning: What the numbers are, for errors.

    Returns:
        (n, width) float64.

    Raises:
        UserError: Naming the first entry that is something else.
    """
    if set(map(type, values)) <= {list} and set(map(len, values)) <= {width}:
        flat = list(chain.from_iterable(values))
        if set(map(type, flat)) <= {int, float}:
            try:
                array = np.array(flat, dtype=np.float64).reshape(-1, width)
            except OverflowError:
                array = np.full((1, width), np.nan)
            if (np.abs(array) <= MAX_ABS).all():
                return array
    for i, row in enumerate(values):
        if type(row) is not list:
            raise UserError(
                f"{where(i)}: {key!r} is {kind(row)} where a list of {width} numbers ({meaning}) was expected"
            )
        if len(row) != width:
            raise UserError(f"{where(i)}: {key!r} has {len(row)} numbers where {width} ({meaning}) were expected")
        for j, value in enumerate(row):
            if problem := not_real(value, -MAX_ABS, MAX_ABS):
                raise UserError(f"{where(i)}: {key}[{j}] {problem}")
    raise AssertionError("a table was refused and each of its values accepted")


def kind(value: Any) -> str:
    """What a JSON value is, in words.

    Args:
        value: The value.
    """
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """A JSON value as an error shows it: on one line, and short.

    Args:
        value: The value.
    """
    if type(value) is int and value.bit_length() > 200:
        return f"a number of about {int(value.bit_length() * 0.30103)} digits"
    return json.dumps(value)[:60] if type(value) not in (dict, list) else kind(value)
