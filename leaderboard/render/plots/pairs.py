"""Paired differences of all rows from one row, each with its interval: what is shown to be better or worse than that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.structures import UserError
from leaderboard.board import Board
from leaderboard.compare import paired_errors
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import number, rows, tooltips
from leaderboard.render.plots.records import finite, order, printable
from leaderboard.rows import BoardRow
from leaderboard.tested import LEVEL

if TYPE_CHECKING:
    import altair as alt

FIELDS = (
    Field("row", "row"),
    Field("difference", "difference, px", "+.4g"),
    Field("low", "from", "+.4g"),
    Field("high", "to", "+.4g"),
    Field("p", "p", ".3g"),
    Field("shown", "shown"),
)

SHOWN = ("better", "not told apart", "worse")
TITLE = "difference of mean error, px (left: better)"
LINEAR = 0.02  # px: nearer to 0 the axis is linear, further away logarithmic


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a row on the same seeds and images as ``against``: the difference of its mean error, and the interval."""
    records = []
    for row in chosen:
        if against is None or row is against:
            continue
        try:
            result = paired_errors(board, row, against).result
        except UserError:  # other seeds or annotations: not to be compared
            continue
        open_ = result.p >= 1 - LEVEL
        records.append(
            {
                "row": printable(row.label),
                "order": order(board, row),
                "against": printable(against.label),
                "difference": result.difference,
                "low": finite(result.low),
                "high": finite(result.high),
                "p": result.p,
                "shown": "not told apart" if open_ else "better" if result.difference < 0 else "worse",
            }
        )
    return records


def chart(variant: str) -> alt.TopLevelMixin:
    """A whisker a row about its difference; the row they are compared with is the line at 0."""
    import altair as alt

    ticks = [float(f"{digit}e{power}") for power in range(-1, 6) for digit in (1, 3)]
    axis = alt.Axis(
        values=[*(-tick for tick in reversed(ticks)), 0, *ticks],
        labelExpr="format(datum.value, '~g')",
        labelOverlap="greedy",
        orient="top",
    )
    scale = alt.Scale(type="symlog", constant=LINEAR, nice=False, padding=10)
    x = alt.X(**number("difference", TITLE, scale=scale, axis=axis))
    y = alt.Y(field="row", type="nominal", sort=alt.EncodingSortField("order", op="min"), title=None)
    color = alt.Color(
        field="shown",
        type="nominal",
        scale=alt.Scale(domain=list(SHOWN), range=["#009E73", "#8C8C8C", "#D55E00"]),
        legend=alt.Legend(),
    )
    base, hints = rows(), tooltips(FIELDS)
    return alt.layer(
        base.transform_aggregate(zero="count()", groupby=[])
        .transform_calculate(zero="0")
        .mark_rule(style="quiet-rule")
        .encode(x=alt.X(**number("zero", TITLE))),
        base.mark_rule(strokeWidth=2, opacity=0.75).encode(
            x=alt.X(**number("low", TITLE)), x2=alt.X2(field="high"), y=y, color=color, tooltip=hints
        ),
        base.mark_point(size=45, opacity=1).encode(x=x, y=y, color=color, tooltip=hints),
    )


KIND = Kind(
    name="pairs",
    title="Difference from one row",
    reading=(
        f"Each row's mean error less that of the chosen row, on the same images and seeds, with its {100 * LEVEL:.0f} % interval, "
        f"which allows for a failure that was not seen. Within {LINEAR:g} px of 0 the axis is linear, further away logarithmic. "
        "Each comparison stands by itself; the ranks of the board are corrected for their number."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    none="no other row ran on the seeds and images of the row to compare with",
    size=(440, 0),
)
