"""YAML read safely, with the lines its values stand on.

A file may come from anybody: it is limited in size, no tag makes an object, and what aliases repeat is counted before it
is unfolded (nine lists of nine aliases each would otherwise be 9^9 values).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmark.structures import UserError

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000  # with aliases unfolded


def compose(path: Path) -> yaml.Node:
    """The one document of a file as nodes, which know their lines (``node.start_mark.line``, from 0).

    Raises:
        UserError: Naming the file, and the line where there is one, where it cannot be read, is no YAML, is empty, or is
            too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{path}: is larger than {MOST_BYTES >> 20} MiB, and no such file is")
    try:
        node = yaml.compose(content.decode("utf-8-sig"), yaml.SafeLoader)
        if node is not None and _unfolded(node, {}) > MOST_VALUES:
            raise UserError(f"{path}: holds more than {MOST_VALUES:,} values, and no such file does")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); give a YAML file") from error
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from error
    except RecursionError as error:
        raise UserError(f"{path}: is nested too deeply") from error
    if node is None:
        raise UserError(f"{path}: is empty")
    return node


def read_yaml(path: Path) -> Any:
    """What a file says, as plain values: text, numbers, booleans, dates, lists and mappings.

    Raises:
        UserError: As `compose`, and for a tag or a value that is none of these.
    """
    return plain(path, compose(path))


def plain(path: Path, node: yaml.Node) -> Any:
    """A node as a plain value.

    Args:
        path: The file, for errors.
        node: Of `compose`.

    Raises:
        UserError: Naming the line, where it holds a tag or a value that is not plain.
    """
    try:
        return yaml.SafeLoader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from error
    except (ValueError, RecursionError) as error:  # a 13th month; a number of thousands of digits
        raise UserError(f"{path}, line {node.start_mark.line + 1}: is not a value ({error})") from error


def _not_yaml(path: Path, error: yaml.YAMLError) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
    why = getattr(error, "problem", None) or error
    return UserError(f"{place}: is not YAML that is read here ({' '.join(str(why).split())})")


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds, each as often as it is named. Endless where it holds itself: then more than any limit."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # while it is counted: whoever meets it again holds itself
        if isinstance(node, yaml.SequenceNode):
            count = sum(_unfolded(one, known) for one in node.value)
        elif isinstance(node, yaml.MappingNode):
            count = sum(_unfolded(one, known) for pair in node.value for one in pair)
        else:
            count = 0
        known[id(node)] = 1 + count
    return known[id(node)]
