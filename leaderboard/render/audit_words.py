"""What every check of the audit says, in words: `CHECKS`. A check without an entry fails a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from leaderboard.audit import NEAR, Check, Report
from leaderboard.render.words import listed, numbered


class Checked(NamedTuple):
    """A check of the audit in words.

    Attributes:
        title: What was checked.
        status: How it came out.
        detail: On how much, and what it is.
    """

    title: str
    status: str
    detail: str


def _pycocotools(runs: int, largest: float | None, where: str) -> str:
    size = "not a number" if largest is None else "0" if largest == 0 else f"{largest:.1e}"
    at = f" ({where})" if where else ""
    return (
        f"{numbered(runs, 'run')}: AP, AP50, AP75, AR computed again; largest difference {size}{at}, allowed {NEAR:g}"
    )


def _oracle_features(
    runs: int, marked: Sequence[str], exact_unmarked: Sequence[str], fitted_again: int, configurations: int
) -> str:
    return (
        f"{numbered(runs, 'run')}; marked: {_or_none(marked)}; exact on every image without a mark: "
        f"{_or_none(exact_unmarked)}; fitted again: {fitted_again} of {numbered(configurations, 'configuration')}"
    )


def _code(rows: int, changed: int, unknown: int) -> str:
    return (
        f"{numbered(rows, 'row')}: of {changed} the code has changed since they were run (they stand as they were run); "
        f"of {unknown} that cannot be told"
    )


def _overlap(data_sets: int, missing: Sequence[str], compared: bool) -> str:
    copies = ", nor one nearly the same" if compared else ""
    absent = f"; not on this machine: {listed(missing)}" if missing else ""
    return f"{numbered(data_sets, 'data set')}: no image in two splits or folds{copies}, the baseline is the mean of train{absent}"


CHECKS: dict[str, tuple[str, Callable[..., str]]] = {
    "records": ("records", lambda records: f"{numbered(records, 'record')} against the schema"),
    "keys": ("keys", lambda runs: f"{numbered(runs, 'run')}: the key is that of configuration and seed"),
    "provenance": ("provenance", lambda runs: f"{numbered(runs, 'run')}: when and on what machine it was made"),
    "annotations": ("one set of annotations a board", lambda boards: numbered(boards, "board")),
    "rescoring": (
        "re-scoring",
        lambda runs: f"{numbered(runs, 'run')}: stored predictions scored again give the stored scores to 1e-12",
    ),
    "pycocotools": ("AP by pycocotools", _pycocotools),
    "identities": (
        "identities",
        lambda runs: (
            f"{numbered(runs, 'run')}: mse = sqdist_avg / 2, dist_avg <= rms, mean <= rmse, median <= p95 <= max, "
            "shares in [0, 1]"
        ),
    ),
    "baseline": (
        "R2 through the baseline",
        lambda runs: (
            f"{numbered(runs, 'run')}: sqdist_r2 = 1 - mse / mse of the mean, dist_r2 likewise; the mean itself has 0"
        ),
    ),
    "counts": ("mean, exact and r2", lambda runs: f"{numbered(runs, 'run')}, counted again image by image"),
    "tied_scores": (
        "tied scores",
        lambda runs, marked: f"{numbered(runs, 'run')}; AP marked as tied: {_or_none(marked)}",
    ),
    "oracle_features": ("oracle features", _oracle_features),
    "code": ("code", _code),
    "overlap": ("split overlap", _overlap),
}
"""Check of the audit -> its title, and what makes its detail."""


def check(checked: Check) -> Checked:
    """A check in words."""
    title, detail = CHECKS[checked.code]
    return Checked(title, checked.status, detail(**checked.values))


def audit_summary(report: Report) -> str:
    """The outcome of an audit in a line."""
    counts = ", ".join(f"{number} {status}" for status, number in report.counts.items())
    return f"{report.folder}: {numbered(report.runs, 'run')} ({report.failures} of them failed runs); checks: {counts}"


def _or_none(names: Sequence[str]) -> str:
    return listed(names) or "none"
