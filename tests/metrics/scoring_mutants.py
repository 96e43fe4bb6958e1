"""Broken, hostile and merely changed versions of a JSON document, for fuzzing what reads it."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

HOSTILE: tuple[Any, ...] = (
    float("nan"),
    float("inf"),
    float("-inf"),
    1e308,
    -1e308,
    1e10,
    10**400,
    2**63,
    -1,
    0,
    1,
    1.5,
    "1",
    "NaN",
    "",
    None,
    True,
    False,
    [],
    {},
    [[1.0]],
    {"x": 1},
    "\x00\n",
)


def mutant(document: Any, rng: random.Random) -> bytes:
    """One to three changes to a copy of ``document``, and now and then to its text."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = rng.choice(CHANGES)(changed, rng)
    try:
        text = json.dumps(changed)
    except ValueError:  # Python refuses to write whole numbers of thousands of digits
        text = "[" + "9" * 5000 + "]"
    if rng.random() < 0.25:
        return rng.choice(SPOILS)(text, rng)
    return text.encode()


def values_in(document: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in the document."""
    places = []
    stack = [document]
    while stack:
        node = stack.pop()
        keys = range(len(node)) if isinstance(node, list) else list(node) if isinstance(node, dict) else ()
        for key in keys:
            places.append((node, key))
            stack.append(node[key])
    return places


def _replace(document: Any, rng: random.Random) -> Any:
    if spots := values_in(document):
        node, key = rng.choice(spots)
        node[key] = copy.deepcopy(rng.choice(HOSTILE))
        return document
    return copy.deepcopy(rng.choice(HOSTILE))


def _nudge(document: Any, rng: random.Random) -> Any:
    """Change a number for another of its kind."""
    spots = [(n, k) for n, k in values_in(document) if type(n[k]) in (int, float)]
    if spots:
        node, key = rng.choice(spots)
        if type(node[key]) is int:
            node[key] += rng.choice((-1, 1, 2))
        else:
            node[key] = rng.choice((-node[key], node[key] + rng.gauss(0, 2), node[key] * 1e6, 1e-320, node[key] + 1e-9))
    return document


def _remove(document: Any, rng: random.Random) -> Any:
    if spots := values_in(document):
        node, key = rng.choice(spots)
        del node[key]
    return document


def _insert(document: Any, rng: random.Random) -> Any:
    spots = [n[k] for n, k in values_in(document) if isinstance(n[k], list | dict)]
    node = rng.choice([*spots, document])
    if isinstance(node, list):
        node.insert(rng.randint(0, len(node)), copy.deepcopy(rng.choice(HOSTILE)))
    elif isinstance(node, dict):
        node[rng.choice(("extra", "score", "bbox", "id"))] = copy.deepcopy(rng.choice(HOSTILE))
    return document


def _repeat(document: Any, rng: random.Random) -> Any:
    """An entry twice: exactly, or with another score."""
    if isinstance(document, list) and document:
        entry = copy.deepcopy(rng.choice(document))
        if isinstance(entry, dict) and rng.random() < 0.7:
            entry["score"] = rng.choice((-1.0, 0.0, 0.5, 1.0, 2.0))
        document.insert(rng.randint(0, len(document)), entry)
    return document


def _exchange(document: Any, rng: random.Random) -> Any:
    """Two entries, or two values of one list, in each other's place."""
    lists = [document, *(n[k] for n, k in values_in(document))]
    lists = [v for v in lists if isinstance(v, list) and len(v) > 1]
    if lists:
        node = rng.choice(lists)
        i, j = rng.sample(range(len(node)), 2)
        node[i], node[j] = node[j], node[i]
    return document


def _wrap(document: Any, rng: random.Random) -> Any:
    return rng.choice(([document], {"annotations": document}, {"predictions": document}, [], {}, None))


CHANGES = (_replace, _replace, _nudge, _nudge, _remove, _insert, _repeat, _exchange, _wrap)


def _cut(text: str, rng: random.Random) -> bytes:
    return text[: rng.randint(0, max(0, len(text) - 1))].encode()


def _flip(text: str, rng: random.Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _type_in(text: str, rng: random.Random) -> bytes:
    at = rng.randint(0, len(text))
    scrap = rng.choice(("NaN", "Infinity", "1e999", "-", ",", "[", "}", '"', "9" * 5000, "\ufeff", "//", "null"))
    return (text[:at] + scrap + text[at:]).encode()


def _bury(text: str, rng: random.Random) -> bytes:
    depth = rng.choice((10, 100_000))
    return ("[" * depth + text + "]" * depth).encode()


SPOILS = (_cut, _cut, _flip, _flip, _type_in, _type_in, _bury)
