"""A JSON list of records that are all written alike, as columns of numbers, without an object a number.

Most of the time of scoring a file goes into Python objects: a list, an int and a float for everything in it, checked and
copied into arrays afterwards. But programs write records alike: the same keys in the same order, with the same
punctuation, so that only numbers and names differ. Such a text is taken apart by its bytes:

1. The first record is parsed as JSON. What stands between its values is its *glue*, as in ``], "score": ``.
2. Every record must have the same glue, byte for byte; it is overwritten by blanks and one comma, and a name by a 0.
3. What is left must be one flat list of JSON numbers, with as many between two pieces of glue as in the first record.

So a text that gives columns is proven to be a list of flat records, with no key twice, and its numbers are those that a
JSON parser reads. Any other text gives None, whether it is wrong or only written in another way, and is left to
`json_columns.read_json`, which says what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import FloatArray, IntArray

_BEGIN = re.compile(rb"\s*\[\s*(?=\{)")  # of the list
_END = re.compile(rb"(\s*(?:\]\s*)*\})\s*\]\s*\Z")
_VALUE_FOLLOWS = re.compile(rb'"\s*:\s*("|(?:\[\s*)*)')
_KEY_FOLLOWS = re.compile(rb"\s*(?:\]\s*)*,\s*\Z")
_RECORD_FOLLOWS = re.compile(rb"(\s*(?:\]\s*)*\}\s*),\s*\{\s*\Z")
_LONGEST = 200  # bytes; where more white space stands between two values, the text is not read here
PIECE = 1 << 18  # bytes parsed at once: they stay in cache
_BLANK, _QUOTE, _COMMA, _ZERO, _NINE = b' ",09'
_EXPONENT = list(b"eE")


@dataclass(frozen=True, eq=False)
class Columns:
    """N records, by key.

    Attributes:
        first: The first record, as JSON gives it.
        numbers: key -> (N, W) float64: the number of each record, or the W numbers of its list.
        texts: key -> N strings.
    """

    first: dict[str, Any]
    numbers: dict[str, FloatArray]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        """N."""
        lengths = [len(numbers) for numbers in self.numbers.values()] + [len(names) for names in self.texts.values()]
        return lengths[0]


@dataclass(frozen=True)
class _Glue:
    """What stands before the values of a key.

    Attributes:
        string: Which of a record's strings the key is.
        before: What stands between the value before and the key's quote.
        after: The key and what follows it up to its value, the quote of a name included.
    """

    string: int
    before: bytes
    after: bytes

    @property
    def named(self) -> bool:
        """Whether the values are strings."""
        return self.after.endswith(b'"')


def columns(text: bytes) -> Columns | None:
    """The columns of a JSON list of records.

    Args:
        text: The list, UTF-8.

    Returns:
        Its columns; None where it has fewer than two records, they are not all written alike, have other values than
        numbers, lists of numbers and strings without escapes, or the text is not JSON.
    """
    begin, end = _BEGIN.match(text), _END.search(text, max(0, len(text) - _LONGEST))
    rest = np.frombuffer(text, dtype=np.uint8).copy()
    quotes = np.concatenate(
        [np.flatnonzero(rest[i : i + PIECE] == _QUOTE) + i for i in range(0, len(rest), PIECE)]
        or [np.zeros(0, np.int64)]
    )
    if begin is None or end is None or len(quotes) % 2 or b"\\" in text:
        return None
    glues, per_record = _glues(text, quotes.reshape(-1, 2))
    if not glues or len(quotes) % (2 * per_record):
        return None
    strings = quotes.reshape(-1, per_record, 2)
    closing = glues[0].before.partition(b",")[0]  # how every record ends
    first = _record(text[begin.end() : int(strings[1, 0, 0]) - len(glues[0].before)] + closing)
    last = int(strings[-1, -1, 1]) if glues[-1].named else end.start()
    if first is None or len(first) != len(glues) or closing.split() != text[last : end.end(1)].split():
        return None
    before_values: list[IntArray] = []
    texts: dict[str, list[str]] = {}
    for key, glue in zip(first, glues):
        starts = strings[:, glue.string, 0] - len(glue.before)
        if not _overwrite(rest, starts[not before_values :], glue):
            return None
        before_values.append(starts + glue.before.index(b","))
        if glue.named:
            names = _names(text, rest, strings[:, glue.string + 1])
            if names is None:
                return None
            texts[key] = names
    rest[: int(strings[0, 0, 0]) + len(glues[0].after)] = _BLANK
    rest[last:] = _BLANK
    if glues[0].named:
        rest[int(strings[0, 1, 0])] = _ZERO
    places = np.stack(before_values, axis=1)
    commas = np.flatnonzero(rest[: places[1, 0] + 1] == _COMMA)  # of the first record, and the one behind it
    offsets = [0, *(np.searchsorted(commas, [*places[0, 1:], places[1, 0]]) + 1).tolist()]
    table = _table(rest, places, offsets)
    if table is None:
        return None
    values = {key: table[:, offsets[j] : offsets[j + 1]] for j, key in enumerate(first) if key not in texts}
    return Columns(first, values, texts)


def _glues(text: bytes, strings: IntArray) -> tuple[list[_Glue], int]:
    """What stands before each value, and how many strings a record has; [] where the text is no list of two flat records.

    Args:
        text: The list.
        strings: (S, 2) int64, where the quotes of each string are.
    """
    found: list[_Glue] = []
    value_end, j = 0, 0
    while j < len(strings):
        opening, closing = strings[j].tolist()
        between, named = text[max(value_end, opening - _LONGEST) : opening], bool(found) and found[-1].named
        if found and (before := _before(_RECORD_FOLLOWS, between, named)) is not None:
            return [replace(found[0], before=before), *found[1:]], j
        key_before = _before(_KEY_FOLLOWS, between, named) if found else b""
        after = _VALUE_FOLLOWS.match(text, closing)
        if key_before is None or after is None:
            break
        found.append(_Glue(j, key_before, text[opening : after.end()]))
        value_end, j = after.end(), j + 1
        if found[-1].named and j < len(strings):
            value_end, j = int(strings[j, 1]), j + 1
    return [], 0


def _before(pattern: re.Pattern[bytes], between: bytes, named: bool) -> bytes | None:
    """The glue at the end of what stands between two keys: all but numbers; of a name, all from its closing quote on."""
    match = pattern.search(between, int(named))
    if match is None or (named and match.start() > 1):
        return None
    return between if named else match[0]


def _record(text: bytes) -> dict[str, Any] | None:
    """The record in a text; None where it is none, or has a key twice."""
    pairs: list[list[tuple[str, Any]]] = []

    def kept(given: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(given)
        return dict(given)

    try:
        record = json.loads(text.decode(), object_pairs_hook=kept)
    except ValueError:
        return None
    return record if len(pairs) == 1 and len(record) == len(pairs[0]) else None


def _windows(found: NDArray[np.uint8], starts: IntArray, size: int) -> NDArray[np.void] | None:
    """A view of every ``size`` bytes of a text, by where they begin; None where one of ``starts`` goes beyond it."""
    if starts.min() < 0 or starts.max() + size > len(found):
        return None
    return np.ndarray((len(found) - size + 1,), dtype=f"V{size}", buffer=found, strides=(1,))


def _overwrite(rest: NDArray[np.uint8], starts: IntArray, glue: _Glue) -> bool:
    """Make blanks of a glue that begins at ``starts``, but for its comma; False where something else stands there."""
    glued = glue.before + glue.after
    windows = _windows(rest, starts, len(glued))
    if windows is None or (windows[starts].view(np.uint8).reshape(len(starts), -1) != list(glued)).any():
        return False
    left = bytearray(b" " * len(glued))
    if glue.before:
        left[glue.before.index(b",")] = _COMMA
    if glue.named:
        left[-1] = _ZERO
    windows[starts] = np.void(bytes(left))
    return True


def _names(text: bytes, rest: NDArray[np.uint8], quotes: IntArray) -> list[str] | None:
    """The strings between (N, 2) quotes, and blanks in their place in ``rest``; None where one is not JSON's."""
    begin, count = quotes[:, 0] + 1, quotes[:, 1] - quotes[:, 0] - 1
    inside = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
    if (rest[inside] < _BLANK).any():
        return None
    rest[inside] = _BLANK
    try:
        return [text[a:b].decode() for a, b in zip(begin.tolist(), quotes[:, 1].tolist())]
    except UnicodeDecodeError:
        return None


def _table(rest: NDArray[np.uint8], places: IntArray, offsets: list[int]) -> FloatArray | None:
    """(N, W) float64, the numbers of each record; None where a record has others, or something is no number.

    Args:
        rest: The text with numbers and commas alone; piece by piece, brackets are put around it.
        places: (N, J) int64, where the comma before each value is; that of the very first value is none.
        offsets: Where in the W numbers of a record those of each key begin, and W.
    """
    parse = _parser()
    n, width = len(places), offsets[-1]
    table = np.empty((n, width))
    wanted = np.tile(np.diff(offsets), n).reshape(n, -1)  # commas from that before each value to the next
    # Counted in bytes that is five times faster, and as sure: no count is below its due, and together they are as many
    # as there should be, so none can be 256 too large.
    counter = np.uint8 if wanted.max() < 256 else np.int64
    step = max(1, n * PIECE // len(rest))
    begin = 0
    for i in range(0, n, step):
        m = min(step, n - i)
        end = int(places[i + m, 0]) if i + m < n else len(rest) - 1
        piece = rest[begin : end + 1]
        inside = piece[1:-1]
        if inside.max() > _NINE and not np.isin(inside[inside > _NINE], _EXPONENT).all():
            return None
        piece[0], piece[-1] = b"[]"
        is_comma = (piece == _COMMA).view(np.uint8)
        is_comma[0] = 1  # before the first value, where the bracket is now
        starts = (places[i : i + m] - begin).ravel()
        starts[0] = 0
        counts = np.add.reduceat(is_comma, starts, dtype=counter)
        numbers = parse(piece) if (counts == wanted[i : i + m].ravel()).all() else None
        if numbers is None or len(numbers) != m * width:
            return None
        table[i : i + m] = numbers.reshape(m, width)
        begin = end
    return table


def _parser() -> Callable[[NDArray[np.uint8]], FloatArray | None]:
    """What reads a flat JSON list of numbers; its answer is None where the text is not one."""
    try:
        from simdjson import Parser
    except ImportError:  # there is no wheel of it for this Python or machine
        return _through_objects
    parser: Any = Parser()  # kept for all pieces: its memory is taken once

    def parse(text: NDArray[np.uint8]) -> FloatArray | None:
        try:
            return np.frombuffer(parser.parse(text).as_buffer(of_type="d"))
        except (ValueError, TypeError, RuntimeError):
            return None

    return parse


def _through_objects(text: NDArray[np.uint8]) -> FloatArray | None:
    """The numbers by way of Python's, through the parser that pydantic brings along."""
    from pydantic_core import from_json

    try:
        return np.array(from_json(text.tobytes(), allow_inf_nan=False), dtype=np.float64)
    except (ValueError, OverflowError):
        return None
