"""How much worse detectors are on corrupted images, from stored runs: a curve a corruption, and the mean over all.

The mean corruption error is the mean pixel error over all corruptions and severities; set against the training mean's it
is the share of that error which is left, as mCE is set against a reference network's (Hendrycks & Dietterich, ICLR 2019).
Its interval is over images, each with the mean of its errors over all corruptions, and over seeds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.runs.store import StoredRun
from benchmark.statistics.groups import Groups
from benchmark.statistics.intervals import Interval, interval
from benchmark.statistics.paired import Paired, paired
from benchmark.structures import FloatArray, UserError
from leaderboard.rows import answered, groups_of, rescored

BASELINE = "mean"
BETWEEN = "~"


@dataclass(frozen=True, eq=False)
class Robustness:
    """A detector on clean and on corrupted images.

    Attributes:
        detector: As it was asked for.
        seeds: That were asked.
        clean: Mean error on clean images, px; NaN where nothing was found.
        corrupted: Mean over corruptions and severities, px: the mean corruption error. A severity that leaves no image a
            point, or at which nothing is found, does not count; NaN where none does.
        span: Its 95 % interval; None where no image has an answer to everything.
        exact: Share exact over those that leave points on their lattice; None where none does.
        curves: Corruption -> mean error px at severities 1 to 5, NaN where there is none.
        relative: ``corrupted`` over that of the training mean; None where that was not asked.
        errors: (S, N) float64 px, each image's error, mean over what leaves it a point; NaN where nothing does.
        groups: What each image was taken from; None where each stands alone.
    """

    detector: str
    seeds: tuple[int, ...]
    clean: float
    corrupted: float
    span: Interval | None
    exact: float | None
    curves: Mapping[str, tuple[float, ...]]
    relative: float | None
    errors: FloatArray
    groups: tuple[str, ...] | None

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "detector": self.detector,
            "seeds": list(self.seeds),
            "clean_px": _known(self.clean),
            "corrupted_px": _known(self.corrupted),
            "interval": None if self.span is None else [_known(self.span.low), _known(self.span.high)],
            "exact": self.exact,
            "relative": self.relative,
            "curves": {name: [_known(value) for value in values] for name, values in self.curves.items()},
        }


def robustness_table(clean: Sequence[StoredRun], corrupted: Sequence[StoredRun]) -> list[Robustness]:
    """The table, least mean corruption error first, of detectors that have answered all of it.

    Args:
        clean: Runs on clean images.
        corrupted: The same fits, asked about corrupted images: all corruptions at all severities.

    Raises:
        UserError: Where there is nothing to show.
    """
    failed = {run.record.config.detector for run in (*clean, *corrupted) if run.record.status == "failed"}
    clean = [run for run in clean if run.record.config.detector not in failed]
    names = list(dict.fromkeys(run.record.config.detector for run in clean))
    rows = [row for name in names if (row := _row(name, clean, corrupted)) is not None]
    if not rows:
        raise UserError("no finished run was asked about corrupted images")
    floor = next((row.corrupted for row in rows if row.detector == BASELINE), None)
    if floor and math.isfinite(floor):
        rows = [replace(row, relative=_known(row.corrupted / floor)) for row in rows]
    return sorted(rows, key=lambda row: (not math.isfinite(row.corrupted), row.corrupted, row.detector))


def compare_corrupted(a: Robustness, b: Robustness) -> Paired:
    """How two detectors' errors on corrupted images differ, a - b: on the seeds and images that both have.

    Raises:
        UserError: Where they share no seed, or no image.
    """
    seeds = [seed for seed in a.seeds if seed in b.seeds]
    tables = [row.errors[[row.seeds.index(seed) for seed in seeds]] for row in (a, b)]
    known = answered(np.concatenate(tables))
    if not len(known):
        raise UserError(f"{a.detector} and {b.detector} were not asked about the same corrupted images")
    first, second = (table[:, known] for table in tables)
    groups = None if a.groups is None else Groups.of([a.groups[i] for i in known.tolist()])
    return paired(first, second, groups=groups)


def _row(name: str, clean: Sequence[StoredRun], corrupted: Sequence[StoredRun]) -> Robustness | None:
    plain = [run for run in clean if run.record.config.detector == name]
    asked = [run for run in corrupted if run.record.config.detector == name]
    if not asked:
        return None
    seeds = sorted({run.record.seed for run in asked})
    by_kind: dict[str, dict[int, list[StoredRun]]] = {}
    for run in asked:
        kind, _, severity = run.record.config.data.rpartition(BETWEEN)[2].rpartition("-")
        by_kind.setdefault(kind, {}).setdefault(int(severity), []).append(run)
    curves = {
        kind: tuple(_mean([_metric(run, "mean") for run in runs]) for _, runs in sorted(levels.items()))
        for kind, levels in by_kind.items()
    }
    exact = [value for run in asked if (value := rescored(run).metrics.get("exact")) is not None]
    errors = np.stack([_over_kinds([run for run in asked if run.record.seed == seed]) for seed in seeds])
    known = answered(errors)
    groups = groups_of(asked[0].annotations, known)
    return Robustness(
        detector=name,
        seeds=tuple(seeds),
        clean=_mean([_metric(run, "mean") for run in plain]),
        corrupted=_mean([_mean(list(curve)) for curve in curves.values()]),
        span=interval(errors[:, known], groups=groups) if len(known) else None,
        exact=float(np.mean(exact)) if exact else None,
        curves=curves,
        relative=None,
        errors=errors,
        groups=asked[0].annotations.groups,
    )


def _over_kinds(runs: Sequence[StoredRun]) -> FloatArray:
    """(N,) px: each image's error, mean over the corruptions that leave it a point to ask about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an image without any is NaN, as it should be
        return np.asarray(np.nanmean([rescored(run).distances for run in runs], axis=0), dtype=np.float64)


def _metric(run: StoredRun, name: str) -> float | None:
    return rescored(run).metrics[name]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
