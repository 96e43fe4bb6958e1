"""Which code a detector's answers come from: a digest of every module its class reaches. A fact of a run, not its key.

Modules of the project's own packages for data and detectors are followed, a plugin's own package, and whatever else is
the user's: neither of the standard library, nor installed, nor the harness (a progress bar changes no answer). They are
found in the text (import statements, wherever they stand), among the values of loaded modules, and among the modules
that came in while the detector was loaded, fitted and asked.

A digest is over what the code does: comments, docstrings, the way lines are broken, import statements (what they bring in
is followed) and the words of raised errors do not count, nor does the version of Python. So moving a file or rewording a
message makes no stored run stale.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

PROJECT = ("baselines", "detectors", "datasets")
HARNESS = ("benchmark", "leaderboard")
PLUGIN = "_plugin_"  # how the module of a detector file is named; see `benchmark.registry`
DIGITS = 16


def reached_code(module: str, also: Iterable[str] = ()) -> dict[str, str]:
    """Digest of every module whose code a detector of ``module`` may run.

    Args:
        module: Name of the module that defines the detector; it need not be imported.
        also: Names of further modules to begin with: those that came in while it ran.

    Returns:
        Label -> 16 hex digits. The label is the module's name, or for a detector file and what lies about it the path
        relative to its folder.
    """
    top = module.partition(".")[0]
    folder = _folder_of(module)
    waiting, seen, digests = [module, *also], set(), {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        origin = _origin(name, top)
        if origin is None:
            continue
        digests[_label(name, origin, folder)] = file_digest(origin)
        waiting += _imported(name, origin)
        if name.partition(".")[0] not in PROJECT and (loaded := sys.modules.get(name)) is not None:
            waiting += _mentioned(loaded)
    return dict(sorted(digests.items()))


def changed_files(then: Mapping[str, str], now: Mapping[str, str], folder: Path | None = None) -> list[str]:
    """The labels of files that differ between a stored run and now; empty where the code is the same.

    Args:
        then: What `reached_code` said when the run was made.
        now: What it says now.
        folder: The folder of the detector's file, if it has one: files that came in while the run was made (and so are
            not found by looking at the code alone) are looked up there.
    """
    current = dict(now)
    for label in then.keys() - now.keys():
        if folder is not None and (path := folder / label).is_file():
            current[label] = file_digest(path)
    moved = set(then.values()) & set(current.values())
    labels = then.keys() | current.keys()
    changed = [label for label in labels if then.get(label) != current.get(label)]
    # A file under another name, with the same content on both sides, was moved: nothing has changed.
    return sorted(
        label for label in changed if not {one for one in (then.get(label), current.get(label)) if one} <= moved
    )


def file_digest(path: Path) -> str:
    """16 hex digits over the code in a file; over its bytes where it is not Python that can be parsed."""
    try:
        state = path.stat()
    except OSError:
        return ""
    return _digest_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _digest_of(path: Path, mtime: int, size: int) -> str:
    content = path.read_bytes()
    if path.suffix == ".py":
        with suppress(SyntaxError, ValueError):
            content = b"".join(_tokens(_bare(ast.parse(content))))
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _bare(tree: ast.Module) -> ast.Module:
    """The tree without docstrings, import statements and the words of raised errors."""

    class Strip(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0] if node.body else None
                if (
                    isinstance(first, ast.Expr)
                    and isinstance(first.value, ast.Constant)
                    and type(first.value.value) is str
                ):
                    del node.body[0]
            return node

        def visit_Import(self, node: ast.Import) -> None:
            return None

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            return None

        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            if isinstance(node.exc, ast.Call):
                node.exc.args = [
                    a for a in node.exc.args if not isinstance(a, (ast.Constant, ast.JoinedStr, ast.BinOp))
                ]
            return self.generic_visit(node)

    stripped = Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


def _tokens(node: object) -> Iterator[bytes]:
    """A tree as bytes that are the same under every Python: names of nodes and of the fields that hold something."""
    if isinstance(node, ast.AST):
        yield type(node).__name__.encode() + b"("
        for name, value in ast.iter_fields(node):
            if value is None or value == [] or name in ("ctx", "kind", "type_comment", "type_params", "type_ignores"):
                continue
            yield name.encode() + b"="
            yield from _tokens(value)
        yield b")"
    elif isinstance(node, list):
        yield b"["
        for value in node:
            yield from _tokens(value)
        yield b"]"
    else:
        yield f"{type(node).__name__}:{node!r};".encode(errors="backslashreplace")


def _origin(name: str, top: str) -> Path | None:
    """The file of a module that is followed; None for any other. Imports nothing."""
    head = name.partition(".")[0]
    if head in HARNESS or name in PROJECT or head in sys.builtin_module_names:
        return None
    loaded = sys.modules.get(name)
    if loaded is not None:
        origin = getattr(getattr(loaded, "__spec__", None), "origin", None) or getattr(loaded, "__file__", None)
    else:
        origin = _located_once(name) if head in PROJECT else _located(name)
    if not isinstance(origin, str) or not os.path.isfile(origin):  # noqa: PTH113  # may be "built-in"
        return None
    path = Path(origin).resolve()
    return path if head in (top, *PROJECT) or _is_users(path) else None


def _located(name: str) -> str | None:
    """The file of a module that is not loaded, found folder by folder: `importlib.util.find_spec` imports parents."""
    path: Sequence[str] | None = None
    spec = None
    for part in reversed(list(_with_parents(name))):
        try:
            spec = PathFinder.find_spec(part, path)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec.origin if spec else None


_located_once = lru_cache(maxsize=4096)(_located)  # the project's own files do not come and go while it runs


def _is_users(path: Path | None) -> bool:
    """Whether a file is the user's own: not of the standard library, and not installed."""
    if path is None:
        return False
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not path.is_relative_to(Path(os.__file__).resolve().parent)


def _imported(name: str, origin: Path) -> list[str]:
    """The modules that the import statements of a file name, whether or not they exist."""
    try:
        state = origin.stat()
    except OSError:
        return []
    return _imports_of(name, origin, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _imports_of(name: str, origin: Path, mtime: int, size: int) -> list[str]:
    try:
        tree = ast.parse(origin.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    package = name if origin.name == "__init__.py" else name.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, package)
                except ImportError:
                    continue
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                names.append(node.args[0].value)
    parents = [part for wanted in names for part in _with_parents(wanted)]
    return [wanted for wanted in dict.fromkeys(parents) if wanted]


def _with_parents(name: str) -> Iterator[str]:
    """``a.b.c``, ``a.b``, ``a``: importing the first runs all of them. Catalogs and empty packages cost nothing."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _mentioned(module: ModuleType) -> Iterator[str]:
    """The modules that the values of a loaded module come from, however they were brought in."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value.__name__
        elif isinstance(origin := getattr(value, "__module__", None), str):
            yield origin


def _folder_of(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    return Path(file).resolve().parent if module.startswith(PLUGIN) and file else None


def _label(name: str, origin: Path, folder: Path | None) -> str:
    if folder is None or name.partition(".")[0] in PROJECT:
        return name
    return Path(os.path.relpath(origin, folder)).as_posix()
