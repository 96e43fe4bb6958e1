"""The one registry of metrics: what each is called, in which unit, which way is better, and how it is computed.

A metric is one decorated function (see `benchmark.metrics.definitions`, where all of ours are)::

    @metric("p99", unit="px", better="lower", format=".2f", column=Column("p99 px", priority=6, order=45))
    def p99(errors: Errors) -> float:
        \"\"\"99th percentile of the pixel error, linearly interpolated.\"\"\"
        return float(np.percentile(errors.labelled_distances, 99))

With it the metric stands in `Scores`, `METRICS`, the tables of single keypoints and, where it has a `Column`, on the boards.
A metric that has no meaning for the data at hand raises `Undefined` with a code of `REASONS`; its value is then None.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from benchmark.suggestions import unknown

Need = Literal[
    "lattice", "baseline", "several_instances", "confidence", "several_keypoints", "photographs", "small_images"
]
Better = Literal["lower", "higher", ""]
OverSeeds = Literal["mean", "max"]
Compute = TypeVar("Compute", bound=Callable[..., float])

REASONS: dict[str, str] = {
    "no_pairs": "no labelled keypoint has a prediction",
    "no_boxes": "no instance with a labelled keypoint has a box",
    "no_pair_lengths": "no instance with a labelled keypoint has both keypoints of the pair",
    "no_sizes": "the sizes of the images are not given",
    "no_lattice": "the answers lie on no lattice",
    "no_baseline": "the mean of the training split is unknown",
    "no_spread": "the annotations do not vary about the training mean",
    "no_spread_x": "the annotations do not vary about the training mean in x",
    "no_spread_y": "the annotations do not vary about the training mean in y",
    "no_instances": "no instance counts",
    "no_predictions": "no prediction counts",
}
"""Why a value is None: a stable code for programs -> a sentence for people."""

RESERVED = frozenset(
    {"reasons", "flags", "keypoints", "labels", "taxonomy", "counts", "pair"}
)  # the other keys of `Scores.as_dict`
PERCENT = "%"


class Undefined(Exception):
    """Raised by a metric that has no meaning for the data at hand.

    Attributes:
        code: The reason, a key of `REASONS`.
    """

    def __init__(self, code: str) -> None:
        if code not in REASONS:
            raise ValueError(f"{code!r} is no reason: add it and its sentence to benchmark.metrics.registry.REASONS")
        super().__init__(REASONS[code])
        self.code = code


@dataclass(frozen=True)
class Column:
    """How a metric stands on a board.

    Attributes:
        heading: What stands above the column.
        priority: 0 is always shown; where a board is too wide, the column with the largest number leaves first.
        order: Columns stand in ascending order of it.
        only_for: It is shown only on boards of such data: ``several_instances``, ``several_keypoints``, ``photographs`` or
            ``small_images``, which all others are.
    """

    heading: str
    priority: int
    order: int
    only_for: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One metric of a table of scores.

    Attributes:
        name: Its key in tables, JSON and CSV.
        compute: The function: of `Errors` where ``per_keypoint``, otherwise of an `Evaluation`. Raises `Undefined` where the
            metric has no meaning.
        summary: What it is, in one sentence.
        unit: ``px``, ``share`` (0 to 1), ``instances``, or "" for a number without one.
        better: Which way is better; "" where neither is.
        format: How a figure is written: a format specification such as ``.3f``, or ``%`` for a share in per cent.
        needs: What of the data or the detector it needs. ``lattice``, ``baseline``: undefined without one.
            ``several_instances``, ``several_keypoints``, ``photographs``: left out of the table of data with one instance an
            image, one keypoint, or small images or a lattice; ``small_images``: of that of photographs. ``confidence``:
            depends on scores, and is flagged where these are tied.
        over_seeds: How the values of several seeds become one.
        column: Where it stands on a board; None: on none.
        applies: Whether data has this metric at all, of an `Evaluation`: of a dozen thresholds in pixels data has three. A
            table of other data holds no empty entry for it. None: all data has it.
        per_keypoint: Whether it depends on pixel errors alone, and so is also reported of every keypoint on its own.
        origin: The file and line that define it.
    """

    name: str
    compute: Callable[[Any], float]
    summary: str
    unit: str = ""
    better: Better = ""
    format: str = ".3f"
    needs: tuple[Need, ...] = ()
    over_seeds: OverSeeds = "mean"
    column: Column | None = None
    applies: Callable[[Any], bool] | None = None
    per_keypoint: bool = True
    origin: str = ""

    def text(self, value: float) -> str:
        """A value as the metric's ``format`` says, never as minus zero."""
        if self.format == PERCENT:
            return percent(value)
        written = f"{value + 0.0:{self.format}}"
        return written.lstrip("-") if not written.strip("-0.") else written


def percent(value: float) -> str:
    """A share as per cent with one decimal; 100 and 0 are written only where they are meant."""
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}"
    if 0 < value < 0.0001:
        return "<0.01"
    return f"{min(max(100 * value, 0.05), 99.9):.1f}" if value >= 0.0005 else f"{100 * value:.2g}"


_METRICS: dict[str, Metric] = {}


def metrics() -> Mapping[str, Metric]:
    """Every metric by its name, in the order of a table. A live view: metrics registered later appear in it."""
    return MappingProxyType(_METRICS)


def get_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UserError: Where there is none, with the nearest names.
    """
    if name not in _METRICS:
        raise unknown("metric", name, _METRICS)
    return _METRICS[name]


def board_metrics() -> tuple[Metric, ...]:
    """The metrics that have a column on the boards, from left to right."""
    shown = [(entry.column.order, entry) for entry in _METRICS.values() if entry.column is not None]
    return tuple(entry for _, entry in sorted(shown, key=lambda pair: pair[0]))


def register(entry: Metric) -> None:
    """Add a metric after those that are there.

    Raises:
        ValueError: Where its name is taken (both origins are named) or is that of another part of a table.
    """
    if entry.name in _METRICS:
        raise ValueError(
            f"metric {entry.name!r} is defined twice: in {_METRICS[entry.name].origin} and in {entry.origin}"
        )
    if entry.name in RESERVED or not entry.name:
        raise ValueError(f"a metric cannot be called {entry.name!r}: a table uses that name for something else")
    _METRICS[entry.name] = entry


def unregister(name: str) -> None:
    """Remove a metric, for tests that added one."""
    del _METRICS[name]


def metric(
    name: str,
    *,
    summary: str = "",
    unit: str = "",
    better: Better = "",
    format: str = ".3f",  # noqa: A002  (the word for it, and never the builtin here)
    needs: tuple[Need, ...] = (),
    over_seeds: OverSeeds = "mean",
    column: Column | None = None,
    applies: Callable[[Any], bool] | None = None,
    per_keypoint: bool = True,
) -> Callable[[Compute], Compute]:
    """A decorator that registers a function as a metric.

    Args:
        name: Its key in tables, JSON and CSV.
        summary: What it is, in one sentence; by default the first line of the function's docstring.
        unit: See `Metric`, as for all that follow.
        better: Which way is better.
        format: How a figure is written.
        needs: What of the data or the detector it needs.
        over_seeds: How the values of several seeds become one.
        column: Where it stands on a board.
        applies: Whether data has this metric at all.
        per_keypoint: True: the function takes `Errors`. False: it takes an `Evaluation`.

    Returns:
        The decorator; it returns the function unchanged.
    """

    def decorate(function: Compute) -> Compute:
        written = function.func if isinstance(function, partial) else function
        code = getattr(inspect.unwrap(written), "__code__", None)
        register(
            Metric(
                name=name,
                compute=function,
                summary=summary or (inspect.getdoc(function) or "").partition("\n")[0],
                unit=unit,
                better=better,
                format=format,
                needs=needs,
                over_seeds=over_seeds,
                column=column,
                applies=applies,
                per_keypoint=per_keypoint,
                origin=f"{code.co_filename}:{code.co_firstlineno}" if code else repr(written),
            )
        )
        return function

    return decorate
