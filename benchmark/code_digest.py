"""Which code a detector's answers come from: a digest of every module its class reaches. A fact of a run, not its key.

Modules of the project's own packages for data and detectors are followed, a plugin's own package, and whatever else is
the user's: neither of the standard library, nor installed, nor the harness (a progress bar changes no answer). They are
found in the text (import statements, wherever they stand), among the values of loaded modules, and among the modules
that came in while the detector was loaded, fitted and asked.

A digest is over what the code does: comments, docstrings, the way lines are broken, where a project module is imported
from (it is followed) and the words of raised errors do not count, nor does the version of Python. So moving a file or rewording a
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
UNRECORDED = "its code was not recorded"  # instead of a file, where a run says nothing of its code


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
    waiting: list[tuple[str, Path | None]] = [(name, None) for name in (module, *also)]
    seen: set[tuple[str, Path | None]] = set()
    digests: dict[str, str] = {}
    while waiting:
        name, file = waiting.pop()
        if (name, file) in seen:
            continue
        seen.add((name, file))
        origin = file or _origin(name, top, folder)
        if origin is None:
            continue
        digests[_label(name, origin, folder)] = file_digest(origin)
        waiting += [(imported, None) for imported in _imported(name, origin)]
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
    if not then:
        return [UNRECORDED] if now else []
    current = dict(now)
    for label in then.keys() - now.keys():
        if folder is not None and (path := folder / label).is_file():
            current[label] = file_digest(path)
    changed = {label for label in then.keys() & current.keys() if then[label] != current[label]}
    # A file that is gone under its name and has come under another, with the same content, was moved: nothing has changed.
    gone = {label: then[label] for label in then.keys() - current.keys()}
    new = {label: current[label] for label in current.keys() - then.keys()}
    changed |= {label for label, digest in gone.items() if digest not in new.values()}
    changed |= {label for label, digest in new.items() if digest not in gone.values()}
    return sorted(changed)


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
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):  # nested too deeply
            content = b"".join(_tokens(_bare(ast.parse(content))))
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _bare(tree: ast.Module) -> ast.Module:
    """The tree without docstrings and the words of raised errors, and without where project modules are imported from."""

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
                # Imports count as what they bring in, in any order; what is not used brings in nothing.
                brought = [one for one in node.body if isinstance(one, (ast.Import, ast.ImportFrom))]
                used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
                kept = [text for one in brought for text in _brought(one, used)]
                rest = [one for one in node.body if one not in brought]
                node.body = [ast.Expr(ast.Constant(text)) for text in sorted(kept)] + rest
            return node

        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            if isinstance(node.exc, ast.Call):
                node.exc.args = [argument for argument in node.exc.args if not _is_text(argument)]
            return self.generic_visit(node)

    stripped = Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


def _brought(statement: ast.Import | ast.ImportFrom, used: set[str]) -> Iterator[str]:
    """What an import statement brings in under names that are used: of a project module without where it lies."""
    base = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
    relative = isinstance(statement, ast.ImportFrom) and statement.level > 0
    for alias in statement.names:
        bound = alias.asname or (alias.name if isinstance(statement, ast.ImportFrom) else alias.name.partition(".")[0])
        if bound not in used and alias.name != "*":
            continue
        source = base or alias.name
        moves = relative or source.partition(".")[0] in (*PROJECT, *HARNESS)
        if isinstance(statement, ast.Import):
            yield f"{'' if moves else alias.name} as {bound}"
        else:
            yield f"{'' if moves else base} {alias.name} as {bound}"


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text put together in place."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and type(node.value) is str)


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


def _origin(name: str, top: str, folder: Path | None) -> Path | None:
    """The file of a module that is followed; None for any other. Imports nothing."""
    head = name.partition(".")[0]
    if head in HARNESS or name in PROJECT or head in sys.builtin_module_names:
        return None
    loaded = sys.modules.get(name)
    if loaded is not None:
        origin = getattr(getattr(loaded, "__spec__", None), "origin", None) or getattr(loaded, "__file__", None)
    else:
        origin = _located_once(name) if head in PROJECT else _located(name, folder)
    if not isinstance(origin, str) or not os.path.isfile(origin):  # noqa: PTH113  # may be "built-in"
        return None
    path = Path(origin).resolve()
    return path if head in (top, *PROJECT) or is_users(path) else None


def _located(name: str, folder: Path | None = None) -> str | None:
    """The file of a module that is not loaded, found folder by folder: `importlib.util.find_spec` imports parents.

    Args:
        name: The module's.
        folder: That of a detector file, whose neighbours come first.
    """
    path: Sequence[str] | None = None
    if folder is not None and PathFinder.find_spec(name.partition(".")[0], [str(folder)]) is not None:
        path = [str(folder)]
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


def is_users(path: Path | None) -> bool:
    """Whether a file is the user's own: not of the standard library, and not installed."""
    if path is None:
        return False
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not path.resolve().is_relative_to(Path(os.__file__).resolve().parent)


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
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
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


def _mentioned(module: ModuleType) -> Iterator[tuple[str, Path | None]]:
    """The modules that the values of a loaded module come from, however they were brought in.

    One that is known by no name (loaded from a path) comes with its file.
    """
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            nameless = sys.modules.get(value.__name__) is not value
            if nameless and isinstance(file, str) and is_users(Path(file)) and Path(file).is_file():
                yield value.__name__, Path(file).resolve()
            else:
                yield value.__name__, None
        elif isinstance(origin := getattr(value, "__module__", None), str):
            file = getattr(getattr(value, "__code__", None), "co_filename", None)
            if origin not in sys.modules and isinstance(file, str) and is_users(Path(file)) and Path(file).is_file():
                yield origin, Path(file).resolve()
            else:
                yield origin, None


def _folder_of(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).absolute().parent if module.startswith(PLUGIN) and file else None


def _label(name: str, origin: Path, folder: Path | None) -> str:
    if folder is None or name.partition(".")[0] in PROJECT:
        return name
    return Path(os.path.relpath(origin, folder.resolve())).as_posix()
