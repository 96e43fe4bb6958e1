"""PCK at any distance: the cumulative distribution of the error of each row (Yang and Ramanan, TPAMI 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.statistics.components import TIE
from leaderboard.board import Board
from leaderboard.render.plots.kind import SETTING, Field, Kind, Record
from leaderboard.render.plots.parts import end_labels, number, rows, series, tooltips
from leaderboard.render.plots.records import evaluations, order, printable
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

STEPS = 240  # of a curve, closer near 0
ERROR, SHARE = "error, px (square-root axis)", "share of keypoints within"

FIELDS = (Field("row", "row"), Field("error", "within, px", ".3~f"), Field("share", "share of keypoints", ".1%"))


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """Records along the curve of each row: the share of its keypoints, over seeds, whose error is no larger."""
    errors = {row.label: evaluations(row) for row in chosen}
    thresholds = sorted({t for made in errors.values() for one in made for t in one.pixel_thresholds})
    places = (
        sorted({thresholds[-1] * i * i / STEPS**2 for i in range(STEPS + 1)} | set(thresholds)) if thresholds else []
    )
    records = []
    for row in chosen:
        seeds = [np.sort(one.errors.labelled_distances) for one in errors[row.label] if one.errors.any_labelled]
        if not seeds:
            continue
        for within in places:
            shares = [float(np.searchsorted(known, within or TIE, side="right")) / len(known) for known in seeds]
            records.append(
                {
                    "row": printable(row.label),
                    "order": order(board, row),
                    "error": within,
                    "share": sum(shares) / len(shares),
                    "listed": within in thresholds,
                }
            )
    return records


def chart(variant: str) -> alt.TopLevelMixin:
    """A step line a row, its name at the end; and the tolerance that the reader of a page has set."""
    import altair as alt

    base = rows()
    color = series()
    ticks = "[0, " + ", ".join(f"{digit}e{power}" for power in range(-2, 5) for digit in (1, 2, 5)) + ", 3]"
    axis = alt.Axis(values=alt.ExprRef(ticks), labelExpr="format(datum.value, '~g')", labelOverlap="greedy")
    x = alt.X(**number("error", ERROR, scale=alt.Scale(type="sqrt", nice=False), axis=axis))
    share = alt.Scale(domain=[0, 1])
    y = alt.Y(**number("share", SHARE, scale=share, axis=alt.Axis(format="%")))
    lines = base.mark_line(interpolate="step-after", strokeWidth=2).encode(x=x, y=y, color=color)
    ends = base.transform_aggregate(share="max(share)", order="min(order)", groupby=["row"]).transform_calculate(
        bottom="0", top="1"
    )
    at_thresholds = base.transform_filter("datum.listed").mark_point(size=28, opacity=1)
    near = at_thresholds.encode(x=x, y=y, color=color, tooltip=tooltips(FIELDS))
    asked = alt.Chart(alt.NamedData(SETTING)).transform_calculate(words="format(datum.tolerance, '~r') + ' px'")
    at = alt.X(**number("tolerance", ERROR))
    return alt.layer(
        asked.mark_rule(style="quiet-rule").encode(x=at),
        asked.mark_text(style="quiet-label", baseline="bottom", dy=-3).encode(
            x=at, y=alt.value(0), text=alt.Text(field="words", type="nominal")
        ),
        lines,
        near,
        end_labels(ends, "share", SHARE, color),
    )


KIND = Kind(
    name="pck",
    title="Share of keypoints within a distance (PCK)",
    reading=(
        "Each line is a row: how large a share of its keypoints is at most so far from the annotation. Higher and further left "
        "is better; where a line begins above 0, that share is without any error. Dots are the thresholds of the board."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    most=7,
    families=True,
    references="baseline",
)
