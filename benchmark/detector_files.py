"""Detector files: one ``.py`` given by its path, loaded so that it sees the files beside it, and only these.

Two detectors in two folders may each have an ``off.py``, and so may the working directory. While a detector file is the one
in use, the names of files beside it are found there first (after installed packages, so that a ``json.py`` hides nothing);
when another one is loaded, everything of the user's that came in meanwhile is forgotten, and the path is as it was. Files
beside it are compiled from their text, and nothing that comes in by another way leaves bytecode behind, which a change within
the same second would not outdate.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from benchmark.code_digest import HARNESS, PLUGIN, PROJECT, is_users
from benchmark.structures import UserError

_State = tuple[tuple[str, int, int], ...]


@dataclass
class _Session:
    """A detector file in use.

    Attributes:
        module: The name its module goes by.
        folder: Where it lies.
        before: The modules that were there before it, by name.
        path: ``sys.path`` as it was.
        dont_write_bytecode: ``sys.dont_write_bytecode`` as it was.
        hidden: Modules of the same names as files beside it, put away meanwhile.
    """

    module: str
    folder: Path
    before: frozenset[str]
    path: list[str]
    dont_write_bytecode: bool
    hidden: dict[str, ModuleType] = field(default_factory=dict)


_session: _Session | None = None
_loading: list[str] = []  # the module that is being executed


class _TextLoader(SourceFileLoader):
    """Compiles a file from its text."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)  # type: ignore[no-any-return]


class _Beside(MetaPathFinder):
    """Finds the files beside the detector file in use, and what lies in packages there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module beside the detector file; None for any other."""
        if _session is None:
            return None
        if path is None:
            head = fullname.partition(".")[0]
            if head in (*PROJECT, *HARNESS) or _installed(head):
                return None
            path = [str(_session.folder)]
        elif not any(Path(place).is_relative_to(_session.folder) for place in path):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _TextLoader(spec.loader.name, spec.loader.path)
        return spec


_finder = _Beside()


def module_name(path: Path) -> str:
    """The name that the module of a detector file goes by."""
    return f"{PLUGIN}{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def load(path: Path) -> ModuleType:
    """The module of a detector file, freshly executed. Whatever it raises comes through."""
    global _session
    if _loading:
        raise UserError(f"{path} is loaded by another detector file while that is loaded: import what it needs instead")
    leave()
    name = module_name(path)
    folder = path.absolute().parent
    beside = {entry.stem if entry.is_file() else entry.name for entry in folder.iterdir()}
    hidden = {
        loaded: module
        for loaded, module in list(sys.modules.items())
        if loaded.partition(".")[0] in beside and _may_go(loaded) and not _lies_in(module, folder)
    }
    for loaded in hidden:
        del sys.modules[loaded]
    _session = _Session(name, folder, frozenset(sys.modules), list(sys.path), sys.dont_write_bytecode, hidden)
    sys.dont_write_bytecode = True
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_loader(name, _TextLoader(name, str(path.absolute())))
    assert spec is not None  # a loader of a file always has a spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    assert spec.loader is not None
    _loading.append(name)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        leave()
        sys.modules.pop(name, None)
        raise
    finally:
        _loading.clear()
    return module


def leave() -> None:
    """Forget what the detector file in use brought in, and put back what was there before."""
    global _session
    if _session is None:
        return
    for name in arrived():
        sys.modules.pop(name, None)
    sys.modules.update(_session.hidden)
    sys.path[:] = _session.path
    sys.dont_write_bytecode = _session.dont_write_bytecode
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    _session = None


def in_use(module: str) -> bool:
    """Whether this module is that of the detector file in use."""
    return _session is not None and _session.module == module


def arrived() -> list[str]:
    """The user's own modules that came in since the detector file in use was loaded."""
    if _session is None:
        return []
    return [name for name in list(sys.modules) if name not in _session.before and _may_go(name)]


def state(path: Path) -> _State:
    """When the detector file in use and the files that came in with it were written: equal as long as none was since."""
    files = [str(path.absolute()), *(str(place) for name in arrived() for place in _places(sys.modules.get(name)))]
    states = []
    for file in sorted(set(files)):
        try:
            stat = Path(file).stat()
        except OSError:
            return ()
        if not Path(file).is_dir():
            states.append((file, stat.st_mtime_ns, stat.st_size))
    return tuple(states)


def _may_go(name: str) -> bool:
    """Whether a module is the user's own, and no detector file's: such a one may be imported anew."""
    if name.startswith(PLUGIN) or name == "__main__" or name.partition(".")[0] in (*PROJECT, *HARNESS):
        return False
    places = _places(sys.modules.get(name))
    return bool(places) and all(is_users(place) for place in places)


def _places(module: Any) -> list[Path]:
    """The file of a module, or the folders of a namespace package."""
    if isinstance(file := getattr(module, "__file__", None), str):
        return [Path(file)]
    try:
        return [Path(place) for place in getattr(module, "__path__", ())]
    except TypeError:
        return []


def _lies_in(module: ModuleType, folder: Path) -> bool:
    return any(place.absolute().is_relative_to(folder) for place in _places(module))


def _installed(head: str) -> bool:
    """Whether a top-level name is that of the standard library or of an installed package."""
    if head in sys.stdlib_module_names or head in sys.builtin_module_names:
        return True
    installed = [place for place in sys.path if place and not is_users(Path(place) / "x.py")]
    return PathFinder.find_spec(head, installed) is not None
