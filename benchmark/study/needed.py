"""Learning curves in a report: errors by the number of training images, and how many of these reach a target."""

from __future__ import annotations

from typing import Any

from benchmark.metrics.registry import percent
from benchmark.structures import UserError
from benchmark.study.evidence import Evidence
from benchmark.study.study_file import Curves, NeededTable, On
from leaderboard.images_needed import DetectorNeeds, Target, needs_on
from leaderboard.render.columns import NONE
from leaderboard.render.images_needed import interval, number
from leaderboard.render.markdown import table
from leaderboard.robustness import BASELINE


def needed_table(asked: NeededTable, evidence: Evidence) -> list[str]:
    """The lines of the table: a row a detector, best first."""
    by_px = _needs(evidence, asked.rows, Target(asked.px), asked)
    by_share = {one.detector: one for one in _needs(evidence, asked.rows, Target(asked.exact / 100, exact=True), asked)}
    sizes = sorted({n for one in by_px for n in one.sizes})
    headings = [
        "detector",
        *(f"{n:,}" for n in sizes),
        "seeds",
        f"images for {asked.px:g} px",
        f"images for {asked.exact:g} % exact",
    ]
    cells = []
    for one in by_px:
        mean = {n: f"{value:.2f}" for n, (value, _, _) in zip(one.sizes, one.figures)}
        share = by_share[one.detector]
        exact = {n: percent(value) for n, (value, _, _) in zip(share.sizes, share.figures)}
        errors = [f"{mean[n]}, {exact.get(n, NONE)} %" if n in mean else NONE for n in sizes]
        seeds = str(one.curve.seeds) if one.curve else NONE
        cells.append([one.detector, *errors, seeds, said(one), said(share)])
    return [
        "Mean error in px and share exact by the number of training images, and how many images reach a target "
        "(95 % interval):",
        "",
        *table(headings, cells, names=(0, len(headings) - 2, len(headings) - 1)),
    ]


def said(one: DetectorNeeds) -> str:
    """How many images, with the interval; or why that cannot be said."""
    span = interval(one.needed, one.sizes[-1])
    return span if one.needed.reason else f"{number(one.needed)} ({span})"


def needed_said(evidence: Evidence, row: str, px: float | None = None, exact: float | None = None) -> str:
    """The same of one detector, for prose.

    Raises:
        UserError: Where not one of the two targets is named, or there is no such detector.
    """
    if (px is None) == (exact is None):
        raise UserError("needed: name one target, as needed('ROW', px=1) or needed('ROW', exact=99)")
    target = Target(px) if px is not None else Target((exact or 0) / 100, exact=True)
    (one,) = _needs(evidence, (row,), target, On())
    return said(one)


def learning_records(asked: Curves, evidence: Evidence) -> list[dict[str, Any]]:
    """A record a detector and number of training images: px, or the share exact, with its interval."""
    exact = asked.of == "exact"
    found = {one.detector: one for one in _needs(evidence, asked.rows, Target(0.5, exact=exact), asked)}
    board = evidence.board(asked)
    floor = {row.config.n_train: row.metrics.get("mean") for row in board.finished if row.config.detector == BASELINE}
    return [
        {"panel": name, "place": place, "x": n, "value": value, "low": low, "high": high, "reference": floor.get(n)}
        for place, name in enumerate(name for name in asked.rows if name in found)
        for n, (value, low, high) in zip(found[name].sizes, found[name].figures)
    ]


def _needs(evidence: Evidence, names: tuple[str, ...], target: Target, on: On) -> list[DetectorNeeds]:
    """What detectors need, each of whose rows is noted as looked at."""
    board = evidence.board(on)
    known = {row.config.detector for row in board.finished}
    for name in names:
        if name not in known:
            evidence.rows(name, on)  # says what it may have meant
    found = needs_on(board, names, target)
    detectors = {one.detector for one in found}
    evidence.rows([row.label for row in board.finished if row.config.detector in detectors], on)
    return found
