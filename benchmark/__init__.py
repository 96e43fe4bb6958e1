"""A benchmark suite for keypoint detection: which way of finding a point works, how sure we are, what it costs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any


def _find_packages() -> None:
    """Put the sibling packages first on the path: from a wheel they lie in ``_bundled``, else beside this package.

    A wheel with a top-level ``datasets`` would overwrite Hugging Face's, so ours are nested and found by path.
    """
    here = Path(__file__).resolve().parent
    packages = here / "_bundled" if (here / "_bundled").is_dir() else here.parent
    for name in ("datasets", "baselines", "detectors", "leaderboard"):
        loaded = sys.modules.get(name)
        origin = getattr(loaded, "__file__", None)
        if loaded is not None and (origin is None or Path(origin).resolve().parent.parent != packages):
            raise ImportError(
                f"another package named {name!r} is already imported from {origin}: import benchmark first, "
                "or use the two in separate processes"
            )
    if sys.path[:1] != [str(packages)]:
        sys.path.insert(0, str(packages))


_find_packages()

from benchmark.detector import Budget, Card, Detector, HistoryRow  # noqa: E402
from benchmark.registry import register  # noqa: E402
from benchmark.structures import (  # noqa: E402
    Annotations,
    Category,
    LabeledImages,
    Prediction,
    Predictions,
    UserError,
)

if TYPE_CHECKING:
    from benchmark.api import leaderboard, run

__version__ = "0.2.0"
__all__ = [
    "Annotations",
    "Budget",
    "Card",
    "Category",
    "Detector",
    "HistoryRow",
    "LabeledImages",
    "Prediction",
    "Predictions",
    "UserError",
    "__version__",
    "leaderboard",
    "register",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in (
        "run",
        "leaderboard",
    ):  # late, and by name: they stand above all packages, and the core imports nothing above
        return getattr(importlib.import_module("benchmark.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
