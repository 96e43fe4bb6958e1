"""Whether the code of a stored run has changed since it was made, told without importing any detector.

To find what a module reaches, a hundred files are parsed; so what the project's own reach is kept in the index of the
results (`benchmark.runs.index`), under the state of all of them.

The digests that a run recorded (`benchmark.runs.facts.Facts.code`) are compared with those of the same files now, as
`benchmark.runs.plan` does before it makes a run again.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.code_digest import PROJECT, reached_code
from benchmark.registry import entries
from benchmark.runs.index import state_of
from benchmark.runs.plan import changed_since
from benchmark.runs.store import Record, Results

MEMORY = "code"


def _is_own(module: str) -> bool:
    return module.partition(".")[0] in PROJECT


def _state_of_project() -> str:
    """A hash over the state of every module of the project's that a detector's answers may come from."""
    digest = hashlib.sha256(repr((sys.version, sys.path)).encode())
    for name in PROJECT:
        found = importlib.util.find_spec(name)
        for folder in sorted(found.submodule_search_locations or () if found else ()):
            for path in sorted(glob.glob(f"{glob.escape(folder)}/**/*.py", recursive=True)):  # noqa: PTH207  # of hundreds
                digest.update(repr((path, state_of(path))).encode())
    return digest.hexdigest()


def _reached_before(results: Results, key: str) -> dict[str, dict[str, str]]:
    text = results.recall(MEMORY, key)
    known: dict[str, dict[str, str]] = {} if text is None else json.loads(text)
    return known


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system takes
        return False


@dataclass(frozen=True)
class CodeState:
    """Whether a row's code has changed since it was run.

    Attributes:
        status: "current", "changed", or "unknown" where that cannot be told: its file or name is not at hand.
        files: The labels of the files that changed.
        recorded: Whether the run says what code it was made with. A built-in that does not was made before runs did, and
            counts as changed.
    """

    status: Literal["current", "changed", "unknown"]
    files: tuple[str, ...] = ()
    recorded: bool = True


class CodeNow:
    """The code as it is now, looked up once for all the rows of some boards."""

    def __init__(self, results: Results | None = None) -> None:
        """Look up what names are on offer; imports no detector.

        Args:
            results: Whose index may know what the project's modules reach, so that none of these is parsed.
        """
        self._results = results or Results()
        self._modules = {name: {entry.module for entry in offers} for name, offers in entries().items()}
        self._key = _state_of_project()
        self._reached = _reached_before(self._results, self._key)
        self._known = len(self._reached)

    def save(self) -> None:
        """Write down what was found, where the results have an index."""
        own = {name: found for name, found in self._reached.items() if all(map(_is_own, (name, *found)))}
        if len(own) > self._known:
            self._results.remember(MEMORY, self._key, json.dumps(own))

    def state(self, record: Record, root: Path) -> CodeState | None:
        """Whether the code of a run has changed; None for predictions of another tool.

        Args:
            record: The run's.
            root: The folder of results, to which the place of a detector's file is relative.
        """
        if record.external:
            return None
        module = "" if record.facts.file else self._module_of(record)
        if not record.facts.code:
            built_in = module.partition(".")[0] in PROJECT
            return CodeState("changed" if built_in else "unknown", recorded=False)
        if record.facts.file:
            if not _is_file(root / record.facts.file):
                return CodeState("unknown")
            now = self._project_modules(record.facts.code)
        elif module:
            now = self._code_of(module, record.facts.code)
        else:
            now = {}
        if not now and not record.facts.file:
            return CodeState("unknown")
        folder = (root / record.facts.file).parent if record.facts.file else None
        files = changed_since(record, now, folder)
        return CodeState("changed" if files else "current", tuple(files))

    def _module_of(self, record: Record) -> str:
        """The module that defines the detector; "" where its name is not on offer, or twice."""
        asked = re.fullmatch(r"([\w.]+):[\w.]+(:\w+=.*)?", record.specification, re.DOTALL)
        if asked and asked[1] not in self._modules:
            return asked[1]
        offered = self._modules.get(record.config.name, set())
        return next(iter(offered)) if len(offered) == 1 else ""

    def _code_of(self, module: str, recorded: Mapping[str, str]) -> dict[str, str]:
        """What a module reaches. Of a plugin's, which is not imported here, what came in as it ran is looked up by name."""
        if module.partition(".")[0] in PROJECT:
            return self._reach(module)
        return reached_code(module, recorded) if self._reach(module) else {}

    def _project_modules(self, recorded: Mapping[str, str]) -> dict[str, str]:
        """The modules of the project among what a detector file reached; the files beside it are looked up by path."""
        modules = [label for label in recorded if label.partition(".")[0] in PROJECT and not label.endswith(".py")]
        return {label: digest for label in modules if (digest := self._reach(label).get(label))}

    def _reach(self, module: str) -> dict[str, str]:
        if module not in self._reached:
            self._reached[module] = reached_code(module)
        return self._reached[module]
