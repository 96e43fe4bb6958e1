"""Grid files: what ``run`` is asked for, written down. ``run --grid FILE``, ``run --grid FILE --dry-run``, ``status --grid FILE``.

    detectors: [mean, forest, "net3:lr=0.01", ./blob.py]   # fields of `GridConfig`: one value or a list, as from Python
    suite: heads                                           # the detectors of a suite as well
    task: [topleft, corner]                                # a list of tasks, or of data: a grid for each
    n: [100, 568]
    seeds: 3
    category: hand                                         # what is said about a folder (`ReadOptions`) stands beside them

A file is one such mapping, or a list of them: a study. Paths are relative to the file. Suites are such files, too, which
name detectors alone. The settings are those of the models, so that a field added there may stand in a file at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

import yaml

from benchmark.registry import resolve, suite
from benchmark.runs.config import SETTINGS, GridConfig
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from benchmark.yaml_file import compose, plain
from datasets.tasks.build import PRESETS

ENTRIES = (*SETTINGS, "suite")
"""What may stand in a file; ``-`` may be written for ``_``, as flags are."""

PRODUCT = ("task", "data", "suite")  # one or a list of names; of the first two, a grid for each
MOST_GRIDS = 1000
_DECIMAL = re.compile(r"[-+]?(0|[1-9]\d*)")

Make = Callable[..., GridConfig]
"""From settings, loosely given, to a grid: `benchmark.api.grid_config`."""


@dataclass(frozen=True)
class FileGrid:
    """A grid that a file asks for.

    Attributes:
        config: What is asked for.
        file: The file.
        line: The line on which the grid begins, from 1.
        lines: Setting -> the lines of its value, or of each value of a list.
    """

    config: GridConfig
    file: Path
    line: int
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def located(self, error: UserError) -> UserError:
        """What is wrong with the grid, with the line of the setting that it is about, or else of the grid."""
        return UserError(f"{self.file}, line {self._line_of(str(error))}: {error}")

    def _line_of(self, message: str) -> int:
        for text, line in zip(self.config.detectors, self.lines.get("detectors", ())):
            try:
                resolve(text)
            except UserError as error:
                if str(error) == message:
                    return line
        about = re.match(r"(?:unknown )?([\w-]+) ?(\w*)", message)
        named, value = (about[1].replace("-", "_"), about[2]) if about else ("", "")
        for name in (named, f"{named}s"):
            if name in self.lines:
                given = getattr(self.config, name, None)
                pairs = zip(given, self.lines[name]) if isinstance(given, tuple) else ()
                return next((line for one, line in pairs if str(one) == value), self.lines[name][0])
        if "data" in self.lines and message.startswith(self.config.data):
            return self.lines["data"][0]
        return self.line


def read_grids(path: Path, make: Make, instead: Mapping[str, Any], otherwise: Mapping[str, Any]) -> list[FileGrid]:
    """The grids of a file.

    Args:
        path: The file.
        make: Makes a grid of settings.
        instead: Settings that take the place of what the file says, as from the command line; of ``options`` single ones.
        otherwise: Settings that stand where it says nothing.

    Raises:
        UserError: With file and line, for what is no setting, is given twice or is not a value of it.
    """
    every = (grid for mapping in _mappings(path) for grid in _grids(path, mapping, make, instead, otherwise))
    grids = list(islice(every, MOST_GRIDS + 1))
    if len(grids) > MOST_GRIDS:
        raise UserError(f"{path}: asks for more than {MOST_GRIDS:,} grids (each task with each data is one)")
    if len({grid.config.results for grid in grids}) > 1:
        last = next(grid for grid in grids if grid.config.results != grids[0].config.results)
        line = last.lines.get("results", (last.line,))[0]
        raise UserError(f"{path}, line {line}: results: the grids of a file have one folder of results; name one")
    return grids


def _mappings(path: Path) -> list[yaml.MappingNode]:
    """The grids of a file as nodes."""
    node = compose(path)
    nodes = node.value if _is_list(node) else [node]
    for one in nodes:
        if not isinstance(one, yaml.MappingNode) or one.tag != "tag:yaml.org,2002:map":
            raise UserError(f"{_at(path, one)}: is not a grid; write settings as 'detectors: [mean, forest]'")
    if not nodes:
        raise UserError(f"{path}: holds no grid; write settings as 'detectors: [mean, forest]'")
    return list(nodes)


def _grids(
    path: Path, mapping: yaml.MappingNode, make: Make, instead: Mapping[str, Any], otherwise: Mapping[str, Any]
) -> Iterator[FileGrid]:
    """The grids of a mapping, one for each of its tasks and data."""
    values, lines = _settings(path, mapping, make)
    begins = mapping.start_mark.line + 1
    members = [text for i, name in enumerate(values.pop("suite", ())) for text in _suite(path, name, lines["suite"][i])]
    if "detectors" in values or members:
        values["detectors"] = [*(_beside(path, text) for text in _listed(values.get("detectors", []))), *members]
    for name in {"results", "sigmas", "labels"} & values.keys():
        if values[name]:
            values[name] = str(path.parent / values[name])
    values = {**otherwise, **values, **instead}
    lines = {name: found for name, found in lines.items() if name not in instead}
    varied = [name for name in ("task", "data") if name in lines]
    for chosen in product(*(enumerate(values[name]) for name in varied)):
        places: dict[str, tuple[int, Any]] = dict(zip(varied, chosen))
        given = values | {name: value for name, (_, value) in places.items()}
        if "data" in varied:
            given["data"] = _data(path, given["data"])
        here = lines | {name: (lines[name][i],) for name, (i, _) in places.items()}
        try:
            yield FileGrid(make(**given), path, begins, here)
        except UserError as error:
            raise UserError(f"{path}, line {begins}: {error}") from error


def _settings(path: Path, mapping: yaml.MappingNode, make: Make) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """What a mapping sets, each value checked by itself, and the lines of it; task, data and suite are lists."""
    values: dict[str, Any] = {}
    lines: dict[str, tuple[int, ...]] = {}
    for key, node in mapping.value:
        name = str(key.value).replace("-", "_") if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        if name not in ENTRIES:
            raise UserError(f"{_at(path, key)}: {name[:60]}: no such setting{suggestion(name, ENTRIES)}")
        if name in values:
            raise UserError(f"{_at(path, key)}: {name} is given twice in one grid, first on line {lines[name][0]}")
        parts = node.value if _is_list(node) else [node]
        if not parts:
            raise UserError(f"{_at(path, node)}: {name} is an empty list; give at least one, or leave it out")
        found = [_scalar(path, name, one) for one in parts]
        several = _is_list(node) and name not in PRODUCT
        for one, part in zip(found, parts):
            _check(_at(path, part), name, [one] if several else one, make)
        values[name] = found if several or name in PRODUCT else found[0]
        lines[name] = tuple(part.start_mark.line + 1 for part in parts)
    return values, lines


def _scalar(path: Path, name: str, node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise UserError(f"{_at(path, node)}: {name}: give one value, or a list of values")
    whole = node.tag == "tag:yaml.org,2002:int"
    if whole and not (_DECIMAL.fullmatch(node.value) and len(node.value) <= 20):  # 010 would be 8, and 1:30 would be 90
        raise UserError(f"{_at(path, node)}: {name} {node.value[:40]!r}: write a whole number in decimal digits")
    value = plain(path, node)
    if isinstance(value, str) and not value.isprintable():
        raise UserError(f"{_at(path, node)}: {name}: holds a character that cannot be printed")
    return value


def _check(place: str, name: str, value: Any, make: Make) -> None:
    """UserError with the place, where a setting refuses a value whatever the other settings are."""
    try:
        if name != "suite":
            make(**{"detectors": "mean", name: value})
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _suite(path: Path, name: Any, line: int) -> list[str]:
    try:
        return suite(str(name))
    except UserError as error:
        raise UserError(f"{path}, line {line}: {error}") from error


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _beside(path: Path, specification: str) -> str:
    """A specification whose detector file is relative to the grid file."""
    head = re.sub(r":\w+=.*", "", specification, flags=re.DOTALL)
    return str(path.parent / specification) if head.endswith(".py") or "/" in head else specification


def _data(path: Path, data: str) -> str:
    """A preset, or a path relative to the grid file."""
    beside = path.parent / data
    return str(beside) if data not in PRESETS and (beside.exists() or re.search(r"[/\\]|^\.", data)) else data


def _is_list(node: yaml.Node) -> bool:
    """Whether a node is a plain list, and not one that a tag makes something else."""
    return isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq"


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"
