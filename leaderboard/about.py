"""All that is known of a name: a detector, a task, a preset of data or a suite. Figures and words, to be printed or read."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path
from typing import Any

from benchmark.detector import Detector, parameters
from benchmark.registry import SUITES, Spec, entries, resolve, suites
from benchmark.structures import UserError
from benchmark.suggestions import unknown
from datasets.load import presets
from datasets.tasks.catalog import Task, tasks
from leaderboard.expected import expectation, expected

PROGRAM = "python -m benchmark"
FRAMING = {
    "size": "px of the longer side that images are shown at; default as it likes",
    "boxes": "where there are several instances an image: truth (it is told where the instances of test images are) or detected",
}
"""The parameters that every detector has from `benchmark.framed`, as far as it has a use for them."""

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|Examples|Note|References):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+)(?: \([^)]*\))?: (.*(?:\n {8}.*)*)", re.MULTILINE)


def about(name: str) -> list[dict[str, Any]]:
    """What is known of a name, a JSON-able object for everything that is called so.

    Args:
        name: Of a detector, with parameters or not (a specification, as ``run --detector`` takes it), of a task, of a preset
            or of a suite.

    Returns:
        At least one object; ``kind`` is detector, task, data or suite.

    Raises:
        UserError: Where nothing is called so, with the nearest names; where a detector cannot be loaded.
    """
    found = [_task(tasks()[name])] if name in tasks() else []
    found += [_data(name)] if name in presets() else []
    found += [_suite(name)] if name in suites() else []
    if name in entries() or not found:
        if name not in entries() and Path(name).exists() and not name.endswith(".py"):
            raise UserError(f"{name}: is a folder or file; {PROGRAM} inspect {name} says what is in it")
        if name not in entries() and not re.search(r"[:/]|\.py$", name):
            raise unknown("name", name, (*entries(), *tasks(), *presets(), *suites()))
        found.insert(0, _detector(resolve(name)))
    return found


def _detector(spec: Spec) -> dict[str, Any]:
    cls, entry = spec.cls, spec.entry
    known = expected().get(spec.name)
    told = expectation()
    board = {"task": told["task"], "data": told["data"], "images": told["images"], "study": "studies/topleft"}
    added = [] if cls.card.multi_instance else ["boxes"]
    framing = [name for name in ("size", *added) if name not in parameters(cls)]
    return {
        "kind": "detector",
        "name": spec.name,
        "what it is": entry.summary,
        "family": entry.family,
        "description": description(cls),
        "reference": cls.card.reference,
        "origin": entry.origin,
        "version": cls.card.version,
        "ranked": cls.card.ranked,
        "several instances": cls.card.multi_instance,
        "confidences": cls.card.has_confidence,
        "partly labelled": cls.partial_labels,
        "rule-structured": cls.card.rule_structured,
        "budgets": list(cls.budgets),
        "needs": list(cls.card.needs),
        "weights": cls.state is not Detector.state,
        "parameters": [_parameter(spec, name) for name in parameters(cls)]
        + [{"name": name, "value": None, "choices": [], "what it is": FRAMING[name]} for name in framing],
        "without its essential part": spec.ablated,
        "published": None if known is None else {**known, **board},
        "example": f"{PROGRAM} run --detector {spec.name}",
    }


def _parameter(spec: Spec, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": spec.values.get(name),
        "choices": _choices(spec.cls, name),
        "what it is": meaning(spec.cls, name),
    }


def _choices(cls: type[Detector], name: str) -> list[Any]:
    """The values of a parameter that is annotated with a `Literal`; none of any other."""
    try:
        kind = typing.get_type_hints(cls.__init__).get(name)
    except Exception:  # a plugin's annotations are its own code
        return []
    return list(typing.get_args(kind)) if typing.get_origin(kind) is typing.Literal else []


def description(cls: type[Detector]) -> str:
    """The docstring of a detector without its first line and its sections, a paragraph a line."""
    text = _SECTION.split(inspect.cleandoc(cls.__doc__ or ""))[0]
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n".join(_plain(part) for part in paragraphs[1:] if part)


def meaning(cls: type[Detector], name: str) -> str:
    """What a parameter is, as the docstring of the class that introduces it says; "" where none does."""
    for one in cls.__mro__:
        own = vars(one).get(name)
        if isinstance(own, property) and own.__doc__:
            return _plain(own.__doc__.strip().splitlines()[0])
        for doc in (one.__doc__, getattr(vars(one).get("__init__"), "__doc__", None)):
            said = {key: " ".join(text.split()) for key, text in _ENTRY.findall(inspect.cleandoc(doc or ""))}
            if name in said and not said[name].startswith("See `TorchDetector`"):
                return _plain(said[name])
    return ""


def _plain(text: str) -> str:
    """Words of a docstring without its markup of code."""
    return re.sub(r"``([^`]*)``|`([^`]*)`", r"\1\2", text)


def _task(card: Task) -> dict[str, Any]:
    return {
        "kind": "task",
        "name": card.name,
        "what it is": card.summary,
        "what it probes": card.probes,
        "version": card.version,
        "keypoints": list(card.points.keypoints),
        "spacing": list(card.points.spacing),
        "exact": card.oracle,
        "digits": None if card.digits is None else list(card.digits),
        "canvas": None if card.canvas is None else card.canvas.side,
        "label noise": card.label_noise,
        "example": f"{PROGRAM} run --task {card.name}",
    }


def _data(name: str) -> dict[str, Any]:
    example = f"{PROGRAM} run --data {name}"
    return {"kind": "data", "name": name, "what it is": presets()[name], "example": example}


def _suite(name: str) -> dict[str, Any]:
    lines = (SUITES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    return {
        "kind": "suite",
        "name": name,
        "what it is": _plain(" ".join(said)),
        "detectors": suites()[name],
        "example": f"{PROGRAM} run --suite {name}",
    }
