"""Rank intervals as whiskers, and beside them the mean error with every seed's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import floor_line, floored, layered, log_scale, number, rows, tooltips
from leaderboard.render.plots.records import figures
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

RANK, ERROR = "rank", "mean error, px"

FIELDS = (
    Field("row", "row"),
    Field("rank", "rank"),
    Field("mean", "mean error, px", ".4g"),
    Field("low", "from", ".4g"),
    Field("high", "to", ".4g"),
    Field("means", "of each seed, px"),
)


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a row; ``seeds`` holds the mean error with each seed."""
    records = []
    for row in chosen:
        seeds = [table["mean"] for table in row.scores]
        records.append(
            {
                **figures(board, row),
                "position": row.position,
                "rank_low": row.rank_low,
                "rank_high": row.rank_high,
                "seeds": seeds,
                "means": ", ".join("–" if value is None else f"{value:.4g}" for value in seeds),
            }
        )
    return records


def chart(variant: str) -> alt.TopLevelMixin:
    """On the left the ranks that the tests leave open, on the right the figures."""
    import altair as alt

    y = alt.Y(
        field="row",
        type="nominal",
        sort=alt.EncodingSortField("order", op="min"),
        title=None,
        axis=alt.Axis(grid=True, domain=False, ticks=False),
    )
    hints = tooltips(FIELDS)
    ranks = alt.Axis(orient="top", tickMinStep=1, format="d", labelExpr="datum.value < 1 ? '' : datum.label")
    tested = rows().transform_calculate(
        left="datum.rank_low === null ? null : datum.rank_low - 0.35",
        right="datum.rank_high === null ? null : datum.rank_high + 0.35",
    )
    left = alt.layer(
        tested.mark_bar(height=5, cornerRadius=2, opacity=0.55).encode(
            x=alt.X(**number("left", RANK, scale=alt.Scale(zero=False, nice=False, padding=4), axis=ranks)),
            x2=alt.X2(field="right"),
            y=y,
            tooltip=hints,
        ),
        tested.transform_filter("datum.rank_low !== null")
        .mark_tick(style="label", thickness=2, height=9)
        .encode(x=alt.X(**number("position", RANK)), y=y, tooltip=hints),
    )
    own = alt.Y(
        field="row",
        type="nominal",
        sort=alt.EncodingSortField("order", op="min"),
        axis=alt.Axis(grid=True, labels=False, title=None, domain=False, ticks=False),
    )
    base = alt.Chart()
    on = log_scale(ERROR, "mean_shown", pad=10, orient="top")
    x, axis = alt.X(**on), on["axis"]
    dots = (
        base.transform_flatten(["seeds"])
        .transform_calculate(seed_shown="max(datum.seeds, datum.mean_floor)")
        .mark_point(style="seed", size=16)
    )
    right = layered(
        *floor_line("mean", ERROR, "x", below=True, axis=axis),
        base.mark_rule(strokeWidth=3, opacity=0.35).encode(
            x=alt.X(**number("low_shown", ERROR, axis=axis)), x2=alt.X2(field="high_shown"), y=own, tooltip=hints
        ),
        base.mark_tick(style="label", thickness=2, height=9).encode(x=x, y=own, tooltip=hints),
        dots.encode(x=alt.X(**number("seed_shown", ERROR, axis=axis)), y=own),
        shared=floored(base, "mean", also=("low", "high")),
    )
    drawn: alt.TopLevelMixin = alt.concat(left, right, columns=2, spacing=18).resolve_scale(y="shared")
    return drawn


KIND = Kind(
    name="ranks",
    title="Ranks, and the errors behind them",
    reading=(
        "On the left the ranks that paired tests leave open for each row, with its place in the order of means; on the right "
        "the mean error (tick), its interval (bar) and the mean of every seed (dots), on a logarithmic axis with a line for "
        "exactly 0. References have no rank."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    references="baseline",
    size=(260, 0),
    side_by_side=2,
)
