"""How much worse detectors are on corrupted images, from stored runs: a curve a corruption, and the mean over all.

The mean corruption error is the mean pixel error over all corruptions and severities; set against the training mean's it
is the share of that error which is left, as mCE is set against a reference network's (Hendrycks & Dietterich, ICLR 2019).
Its interval is over images, each with the mean of its errors over all corruptions, and over seeds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.runs.store import StoredRun
from benchmark.statistics.intervals import Interval, interval
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
        clean: Mean error on clean images, px.
        corrupted: Mean over corruptions and severities, px: the mean corruption error.
        span: Its 95 % interval; None where no image has an answer to everything.
        exact: Share exact over all of them; None where points lie on no lattice.
        curves: Corruption -> mean error px at severities 1 to 5.
        relative: ``corrupted`` over that of the training mean; None where that was not asked.
    """

    detector: str
    seeds: tuple[int, ...]
    clean: float
    corrupted: float
    span: Interval | None
    exact: float | None
    curves: Mapping[str, tuple[float, ...]]
    relative: float | None

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "detector": self.detector,
            "seeds": list(self.seeds),
            "clean_px": self.clean,
            "corrupted_px": self.corrupted,
            "interval": None if self.span is None else [self.span.low, self.span.high],
            "exact": self.exact,
            "relative": self.relative,
            "curves": {name: list(values) for name, values in self.curves.items()},
        }


def robustness_table(clean: Sequence[StoredRun], corrupted: Sequence[StoredRun]) -> list[Robustness]:
    """The table, least mean corruption error first.

    Args:
        clean: Finished runs.
        corrupted: The same fits, asked about corrupted images: all corruptions at all severities.

    Raises:
        UserError: Where there is nothing to show.
    """
    names = list(dict.fromkeys(run.record.config.detector for run in clean))
    rows = [row for name in names if (row := _row(name, clean, corrupted)) is not None]
    if not rows:
        raise UserError("no finished run was asked about corrupted images")
    floor = next((row.corrupted for row in rows if row.detector == BASELINE), None)
    if floor:
        rows = [Robustness(**{**vars(row), "relative": row.corrupted / floor}) for row in rows]
    return sorted(rows, key=lambda row: (row.corrupted, row.detector))


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
    )


def _over_kinds(runs: Sequence[StoredRun]) -> FloatArray:
    """(N,) px: each image's error, mean over the corruptions that leave it a point to ask about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an image without any is NaN, as it should be
        return np.asarray(np.nanmean([rescored(run).distances for run in runs], axis=0), dtype=np.float64)


def _metric(run: StoredRun, name: str) -> float | None:
    return rescored(run).metrics[name]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")
