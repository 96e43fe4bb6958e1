"""Names of detectors: where they come from, and the one loader that turns a name into an object.

Three origins, one loader: the literal catalogs of ``baselines`` and ``detectors`` (importing nothing), entry points in
the group ``keypoint_benchmark.detectors``, and files or ``package.module:Class`` given by the user. A specification is
``name``, ``name:key=value,key=value``, ``./file.py`` or ``package.module:Class``, the latter two with parameters too.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pydantic import Field

from benchmark import detector_files
from benchmark.code_digest import DIGITS, PROJECT, reached_code
from benchmark.detector import Card, Detector, parameters
from benchmark.framed import Framed, Source
from benchmark.structures import UserError
from benchmark.suggestions import suggestion, unknown
from benchmark.yaml_file import read_yaml

GROUP = "keypoint_benchmark.detectors"
CATALOGS = ("baselines", "detectors")
SUITES = Path(__file__).parent / "suites"


class _Required(TypedDict):
    target: str
    summary: str


class CatalogRow(_Required, total=False):
    """A built-in's row in a catalog.

    ``target`` is "module:Class", ``summary`` a line for the list, ``params`` what the name sets, ``family`` a kind of
    detector, ``several`` whether it answers several instances an image by itself, and ``ablation`` what is essential to
    the row, where that is another thing than to its class.
    """

    params: dict[str, Any]
    several: bool
    family: str
    ablation: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A name somebody offered, not yet imported.

    Attributes:
        name: What it is called.
        target: Where its class is, "module:Class".
        origin: Who offers it, in words.
        summary: What it is, in a line.
        family: What kind of detector.
        several: Whether it answers several instances an image by itself; None where its class would have to be loaded.
        params: Parameters that this name sets.
        ablation: What is essential to it, where that is another thing than to its class.
        file: The detector file it was read from; None for any other.
        code: Of a detector file: what it reached when it was loaded (another may have taken its neighbours' names since).
    """

    name: str
    target: str
    origin: str
    summary: str = ""
    family: str = "plugin"
    several: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    ablation: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The module that defines its class."""
        return self.target.partition(":")[0]

    def load(self) -> type[Detector]:
        """Import the class.

        Raises:
            UserError: With the reason, where that fails.
        """
        if self.target in _registered_classes:
            return _registered_classes[self.target]
        module, _, attribute = self.target.partition(":")
        try:
            loaded = getattr(importlib.import_module(module), attribute)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(f"detector {self.name!r} ({self.origin}) cannot be loaded: {_why(error)}") from error
        return _checked(loaded, self.name, self.origin)


@dataclass(frozen=True)
class Spec:
    """A detector chosen for a run: its entry and the values of all its parameters."""

    entry: Entry
    cls: type[Detector]
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The row's name on a board: the entry's, with the parameters that were given and differ from its own."""
        own = self._defaults
        shown = [f"{k}={_text(v)}" for k, v in self.given.items() if k not in own or v != own[k]]
        return self.entry.name + (":" + ",".join(shown) if shown else "")

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        known = parameters(self.cls)
        own = {name: one.default for name, one in known.items() if one.default is not one.empty}
        given = {**own, **self.entry.params}
        # 1 for a float is 1.0, as it is when it is given in text: one value has one key.
        return {
            name: float(value) if type(value) is int and str(known[name].annotation) in ("float", str(float)) else value
            for name, value in given.items()
        }

    @property
    def ablated(self) -> str:
        """The specification of this detector without what it calls essential; "" where it names nothing."""
        without = {**self.given, **(self.entry.ablation or self.cls.card.ablation)}
        named = ",".join(f"{key}={_text(value)}" for key, value in without.items())
        return f"{self.entry.name}:{named}" if without != self.given else ""

    @property
    def values(self) -> dict[str, Any]:
        """Every parameter with the value it will have."""
        return {**self._defaults, **self.given}

    def framed(self) -> Framed:
        """A fresh, unfitted detector behind what shows it images: what runs. UserError as `build`."""
        size, boxes = self.given.get("size", 0), self.given.get("boxes", "")
        return Framed(self.build(), size=size, boxes=boxes)

    def build(self) -> Detector:
        """A fresh, unfitted detector. UserError where it refuses its parameters."""
        try:
            own = parameters(self.cls)
            return self.cls(**{name: value for name, value in self.values.items() if name in own})
        except UserError:
            raise
        except (ValueError, TypeError) as error:
            raise UserError(f"detector {self.entry.name!r} refuses its parameters: {error}") from error
        except Exception as error:
            raise UserError(f"detector {self.entry.name!r} cannot be made: {_why(error)}") from error

    def code(self, also: Iterable[str] = ()) -> dict[str, str]:
        """Digest of every module its answers come from; see `benchmark.code_digest.reached_code`.

        Of a class that was typed into a session, which has no file, it is over the class's own text.

        Args:
            also: Names of further modules to follow: of a stored run, the labels of what it reached.
        """
        module = self.cls.__module__
        if self.entry.code and not detector_files.in_use(module):
            return dict(self.entry.code)  # another detector file may have taken its neighbours' names since
        if detector_files.in_use(module):
            loaded = detector_files.arrived()
        else:  # of a package, what of it has been imported so far, by whatever import
            top = module.partition(".")[0]
            loaded = [] if top in PROJECT else [one for one in list(sys.modules) if one.partition(".")[0] == top]
        reached = reached_code(module, [*also, *loaded])
        return reached or {module: _digest_of_class(self.cls)}

    @property
    def version(self) -> int:
        """The version that the detector declares."""
        return self.cls.card.version


_registered: dict[str, list[Entry]] = {}
_registered_classes: dict[str, type[Detector]] = {}
_files: dict[
    str, tuple[tuple[tuple[str, int, int], ...], Entry, type[Detector]]
] = {}  # likewise -> what it was loaded as


def register(name: str) -> Any:
    """Class decorator for plugins: offer a detector under ``name``. A name taken twice is refused when it is used."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
        raise ValueError(f"detector name {name!r}: use letters, digits, '.', '_', '+', '-'")

    def remember(cls: type[Detector]) -> type[Detector]:
        _checked(cls, name, cls.__module__)
        where = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
        target = f"{cls.__module__}:{cls.__qualname__}"
        entry = Entry(name, target, f"@register in {where}", summary_of(cls))
        kept = [e for e in _registered.get(name, []) if e.origin != entry.origin or e.target != target]
        _registered[name] = [*kept, entry]
        _registered_classes[target] = cls
        return cls

    return remember


def _digest_of_class(cls: type[Detector]) -> str:
    """16 hex digits over the text of a class, or where that is not to be had over the code of its methods."""
    try:
        text = inspect.getsource(cls).encode()
    except (OSError, TypeError):
        methods = [value.__code__ for value in vars(cls).values() if inspect.isfunction(value)]
        text = repr([(code.co_code, code.co_consts, code.co_names) for code in methods]).encode()
    return hashlib.sha256(text).hexdigest()[:DIGITS]


def summary_of(cls: type[Detector]) -> str:
    """The first line of a class's docstring."""
    return next(iter((cls.__doc__ or "").strip().splitlines()), "")


def entries() -> dict[str, list[Entry]]:
    """Every name on offer with its offers (more than one is a conflict); imports no detector."""
    offered: dict[str, list[Entry]] = {}
    for package in CATALOGS:
        catalog: dict[str, CatalogRow] = importlib.import_module(package).CATALOG
        for name, row in catalog.items():
            entry = Entry(
                name,
                row["target"],
                f"built in, {row['target']}",
                row["summary"],
                row.get("family", package),
                row.get("several", False),
                row.get("params", {}),
                row.get("ablation", {}),
            )
            offered.setdefault(name, []).append(entry)
    for point in entry_points(group=GROUP):
        origin = f"entry point of {point.dist.name if point.dist else '?'} ({point.value})"
        offered.setdefault(point.name, []).append(Entry(point.name, point.value, origin, f"plugin {point.value}"))
    for name, offers in _registered.items():
        known = {e.target for e in offered.get(name, [])}
        offered.setdefault(name, []).extend(e for e in offers if e.target not in known)
    return offered


def suites() -> dict[str, list[str]]:
    """Named sets of detector specifications, ``default`` among them: the grid files in ``benchmark/suites``."""
    return {path.stem: _members(path) for path in sorted(SUITES.glob("*.yaml"))}


def suite(name: str) -> list[str]:
    """The detectors of a suite. UserError, suggesting the nearest, where there is none of that name."""
    known = {path.stem: path for path in sorted(SUITES.glob("*.yaml"))}
    if name not in known:
        raise unknown("suite", name, known)
    return _members(known[name])


def _members(path: Path) -> list[str]:
    members: list[str] = read_yaml(path)["detectors"]
    return members


def resolve(text: str) -> Spec:
    """The detector that a specification names, with its parameters checked against their annotations.

    Args:
        text: ``name``, ``name:key=value,key=value``, ``./file.py`` or ``package.module:Class``.

    Raises:
        UserError: For an unknown name (suggesting the nearest), a name offered twice, a plugin that cannot be imported,
            an unknown parameter or a value of the wrong type.
    """
    head, settings = _split(text)
    entry, cls = _find(head)
    known = {**parameters(cls), **dict.fromkeys(framing_parameters(cls))}
    given: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in known:
            raise UserError(f"detector {entry.name!r} has no parameter {key!r}{suggestion(key, known, 'it takes')}")
        given[key] = _typed(entry.name, cls, key, value)
    order = {key: given[key] for key in known if key in given}
    spec = Spec(entry, cls, order)
    for key, value in spec.values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise UserError(
                f"detector {entry.name!r}, parameter {key}={value}: cannot be stored with a run; "
                "use finite numbers, text, booleans, or lists of these"
            ) from None
    return spec


def framing_parameters(cls: type[Detector]) -> dict[str, Any]:
    """The parameters that `benchmark.framed` adds to a detector's own, with their types.

    Args:
        cls: The detector.

    Returns:
        ``size`` and ``boxes``, as far as the detector has none of that name and has a use for them.
    """
    added = {"size": Annotated[int, Field(ge=8, le=4096)]} | ({} if cls.card.multi_instance else {"boxes": Source})
    return {name: kind for name, kind in added.items() if name not in parameters(cls)}


def is_on_offer(text: str) -> bool:
    """Whether a specification is of a detector that is built in, installed or registered: no file, and no module.

    Raises:
        UserError: Where it is none.
    """
    return _split(text)[0] in entries()


def named_for(name: str, file: str, asked: str | None, origin: str) -> str:
    """What to load as the detector of a stored run: a name on offer, or what the user names.

    A record may come from anybody, and loading a detector runs code. So nothing is loaded because a record says where it is.

    Args:
        name: What the run's detector is called.
        file: The detector file it came from, as the record has it; "" for one that is offered by name.
        asked: What the user names.
        origin: The run, named in errors.

    Raises:
        UserError: Where the user has to name it, or names another.
    """
    if asked is None and (file or name not in entries()):
        what = f"the file {file}" if file else f"{name!r}, which is not on offer here"
        raise UserError(f"{origin}: its detector is {what}: name it with --detector, if you trust its code")
    found = resolve(asked or name).entry.name
    if found != name:
        raise UserError(f"detector {asked}: is {found!r}, and the run's is {name!r}")
    return asked or name


def spec_of(named: str, parameters_of_run: Mapping[str, Any]) -> Spec:
    """The detector of a stored run, with the parameters it had.

    Args:
        named: What to load; see `named_for`.
        parameters_of_run: The value of every parameter.

    Raises:
        UserError: Where it cannot be loaded.
    """
    entry, cls = _find(_split(named)[0])
    return Spec(entry, cls, dict(parameters_of_run))


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """The specification of the same detector whose parameters have these values.

    Args:
        text: A specification; its own parameters do not count.
        values: The value of every parameter, as a stored run knows them.

    Raises:
        UserError: As `resolve`.
    """
    head, _ = _split(text)
    own = resolve(head).values
    named = ",".join(f"{key}={_text(value)}" for key, value in values.items() if key not in own or own[key] != value)
    return f"{head}:{named}" if named else head


def _split(text: str) -> tuple[str, dict[str, str]]:
    """``head`` and its ``key=value`` pairs; a value may hold '+' and ':' but neither ',' nor '='."""
    match = re.match(r"^(.*?)(?::(\w+=.*))?$", text.strip(), re.DOTALL)
    head, tail = (match.group(1), match.group(2)) if match else (text, None)
    settings: dict[str, str] = {}
    for part in (tail or "").split(",") if tail else ():
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise UserError(f"detector {text!r}: write parameters as name:key=value,key=value (at {part!r})")
        if key.strip() in settings:
            raise UserError(f"detector {text!r}: parameter {key.strip()!r} is given twice")
        settings[key.strip()] = value.strip()
    if not head:
        raise UserError(f"detector {text!r} has no name")
    return head, settings


def _find(head: str) -> tuple[Entry, type[Detector]]:
    offers = entries().get(head, [])
    if len(offers) > 1:
        raise UserError(f"detector {head!r} is offered twice: by " + " and by ".join(e.origin for e in offers))
    if offers:
        return offers[0], offers[0].load()
    if head.endswith(".py") or "/" in head:
        return _from_file(Path(head))
    name, colon, rest = head.partition(":")
    if colon and name in entries():
        raise UserError(f"detector {head!r}: write parameters as {name}:key=value (at {rest!r})")
    if re.fullmatch(r"[\w.]+:[\w.]+", head):
        entry = Entry(head.rpartition(":")[2].lower(), head, head)
        if (others := entries().get(entry.name)) and others[0].target != head:
            raise UserError(
                f"detector {head!r} is called as {entry.name!r} is ({others[0].origin}): give the class another name"
            )
        return entry, entry.load()
    raise unknown("detector", head, entries())


def _from_file(path: Path) -> tuple[Entry, type[Detector]]:
    """The one detector a file defines (or the one it registers), whatever it is called."""
    if not path.is_file():
        problem = "is a folder; name a .py file in it" if path.is_dir() else "does not exist"
        raise UserError(f"detector file {path} {problem}")
    if path.suffix != ".py":
        raise UserError(f"detector file {path} is not a Python file")
    name = detector_files.module_name(path)
    if name in _files and detector_files.in_use(name):
        state, entry, cls = _files[name]
        if state == detector_files.state(path) and entry.target in _registered_classes:
            return replace(entry, file=path), cls
    for module in [name, *(gone for gone in _files if not Path(str(_file_of(gone))).is_file())]:
        _forget(module)  # what an earlier text of this file registered: in a notebook it may have been edited since
    try:
        detector_files.load(path)
    except UserError as error:
        raise UserError(f"detector file {path} cannot be loaded: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"detector file {path} cannot be loaded: {_why(error)}") from error
    entry, cls = _offered(name, path)
    entry = replace(entry, code=reached_code(name, detector_files.arrived()))
    _files[name] = (detector_files.state(path), entry, cls)
    return entry, cls


def _file_of(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


def _offered(name: str, path: Path) -> tuple[Entry, type[Detector]]:
    """The detector that a loaded file registers, or the only one it defines."""
    for offers in list(_registered.values()):
        for entry in offers:
            if entry.module == name:
                rivals = [e for e in entries()[entry.name] if e.target != entry.target]
                if rivals:
                    _forget(name)
                    raise UserError(
                        f"detector {entry.name!r} is offered twice: by {path} and by {rivals[0].origin}; rename one"
                    )
                return replace(entry, file=path), _registered_classes[entry.target]
    own = [
        value
        for value in vars(sys.modules[name]).values()
        if isinstance(value, type) and issubclass(value, Detector) and value.__module__ == name
    ]
    if len(own) != 1:
        raise UserError(f"detector file {path} defines {len(own)} detectors: mark the one to use with @register(name)")
    target = f"{name}:{own[0].__qualname__}"
    _registered_classes[target] = _checked(own[0], path.stem, str(path))
    if path.stem in entries():
        raise UserError(
            f"detector file {path} is called as {path.stem!r} is ({entries()[path.stem][0].origin}): rename it, or give "
            "the class another name with @register(name)"
        )
    return Entry(path.stem, target, str(path), summary_of(own[0]), file=path), own[0]


def _forget(module: str) -> None:
    """Take back what a plugin's module has registered."""
    for name, offers in list(_registered.items()):
        kept = [e for e in offers if e.target.partition(":")[0] != module]
        if kept:
            _registered[name] = kept
        else:
            del _registered[name]


def _checked(loaded: Any, name: str, origin: str) -> type[Detector]:
    if not (isinstance(loaded, type) and issubclass(loaded, Detector)):
        raise UserError(
            f"detector {name!r} ({origin}) is not a class with fit and predict derived from benchmark.Detector: {loaded!r}"
        )
    missing = [method for method in ("fit", "predict") if getattr(loaded, method) is getattr(Detector, method)]
    if missing:
        raise UserError(f"detector {name!r} ({origin}) defines no {' and no '.join(missing)}")
    if not isinstance(loaded.card, Card):
        raise UserError(f"detector {name!r} ({origin}): its card is not a benchmark.Card")
    return loaded


def _typed(name: str, cls: type[Detector], key: str, value: str) -> Any:
    """``value`` as the type that the parameter is annotated with; UserError says which type was meant."""
    import typing

    from pydantic import TypeAdapter, ValidationError

    try:
        hints = {**typing.get_type_hints(cls.__init__), **framing_parameters(cls)}
    except Exception as error:  # annotations are a plugin's code, evaluated here for the first time
        raise UserError(f"detector {name!r}: the types of its parameters cannot be read: {_why(error)}") from error
    if key not in hints:
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    try:
        return TypeAdapter(hints[key]).validate_strings(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"detector {name!r}, parameter {key}={value}: {reason[:1].lower()}{reason[1:]}") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    return str(value)


def _why(error: BaseException) -> str:
    """An error as a line: type, words, and where in the plugin it was raised (the import machinery is not a place)."""
    ours = (__file__, importlib.__file__, "<")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}".replace("\n", " ")
