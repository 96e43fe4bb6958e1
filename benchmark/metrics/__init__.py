"""One harness scores everything: every metric of a row, and COCO AP and AR by an evaluator of our own.

`benchmark.metrics.definitions` holds all metrics; adding one there is all it takes.
"""

from typing import TYPE_CHECKING

from benchmark.metrics.average_precision import AveragePrecision, average_precision
from benchmark.metrics.evaluation import Evaluation
from benchmark.metrics.pixels import Errors
from benchmark.metrics.registry import Column, Metric, Undefined, board_metrics, get_metric, metric, metrics
from benchmark.metrics.scale import Pair
from benchmark.metrics.table import Scores, score

METRICS: tuple[str, ...]
"""The names of all metrics, in the order of a table."""

__all__ = [
    "METRICS",
    "AveragePrecision",
    "Column",
    "Errors",
    "Evaluation",
    "Metric",
    "Pair",
    "Scores",
    "Undefined",
    "average_precision",
    "board_metrics",
    "get_metric",
    "metric",
    "metrics",
    "score",
]


if not TYPE_CHECKING:  # a type checker would take it to define every name

    def __getattr__(name: str) -> tuple[str, ...]:
        """``METRICS``, made when it is asked for: a metric registered later is among its names."""
        if name == "METRICS":
            return tuple(metrics())
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
