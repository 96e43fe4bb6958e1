"""Arrays and objects as text that a browser unpacks: byte planes, gzip, base64.

The bytes of an array are sorted by their place in the number (all first bytes, then all second bytes), because bytes of
one place are alike and gzip then finds more. `assets/unpack.js` is the other side; browsers have gzip built in
(``DecompressionStream``). The same values give the same text: no time and no name stands in the header.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

CODES = "u3"
"""The ``dtype`` of whole numbers from 0 to 2^24 - 1, three bytes each."""

DTYPES = ("<f8", "<f4", "<i4", "<u4", "|u1", CODES)
"""Every ``dtype`` that both sides know."""


class Packed(TypedDict):
    """An array.

    Attributes:
        dtype: One of `DTYPES`, all little-endian.
        shape: Of the array, in C order.
        data: base64 of gzip of its byte planes.
    """

    dtype: str
    shape: list[int]
    data: str


def pack(array: NDArray[Any], dtype: str) -> Packed:
    """An array as text.

    Args:
        array: Any shape; its values must be those of ``dtype``.
        dtype: One of `DTYPES`.

    Raises:
        ValueError: For a value that ``dtype`` does not hold, or one that is not known.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    stored = np.ascontiguousarray(array, dtype="<u4" if dtype == CODES else dtype)
    if not np.array_equal(stored, array, equal_nan=stored.dtype.kind == "f"):
        raise ValueError(f"a value is not one of dtype {dtype}")
    if dtype == CODES and stored.size and int(stored.max()) >> 24:
        raise ValueError("a code needs more than 24 bits")
    planes = stored.reshape(-1).view(np.uint8).reshape(stored.size, stored.itemsize).T
    kept = planes[:3] if dtype == CODES else planes
    return Packed(dtype=dtype, shape=list(stored.shape), data=_text(kept.tobytes()))


def unpack(packed: Packed) -> NDArray[Any]:
    """The array of `pack`; codes as uint32."""
    dtype, shape = packed["dtype"], packed["shape"]
    size = math.prod(shape)
    numeric = np.dtype("<u4" if dtype == CODES else dtype)
    raw = np.frombuffer(gzip.decompress(base64.b64decode(packed["data"])), dtype=np.uint8)
    planes = np.zeros((numeric.itemsize, size), dtype=np.uint8)
    planes[: 3 if dtype == CODES else numeric.itemsize] = raw.reshape(-1, size) if size else 0
    return np.ascontiguousarray(planes.T).reshape(-1).view(numeric).reshape(shape)


def pack_object(value: Any) -> str:
    """A JSON-able object as text: base64 of gzip of its JSON."""
    return _text(json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=True).encode())


def unpack_object(text: str) -> Any:
    """The object of `pack_object`."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def _text(data: bytes) -> str:
    """base64 of gzip; its header names no system (byte 9), which Python versions fill in differently."""
    packed = gzip.compress(data, 9, mtime=0)
    return base64.b64encode(packed[:9] + b"\xff" + packed[10:]).decode("ascii")
