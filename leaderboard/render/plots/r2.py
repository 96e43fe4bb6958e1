"""``dist_r2`` against ``dist_avg``, the two figures of the notes that this project began with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import FEW, layered, number, tooltips
from leaderboard.render.plots.records import figures
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

FIELDS = (
    Field("row", "row"),
    Field("rank", "rank"),
    Field("dist_avg", "dist_avg", ".4g"),
    Field("dist_r2", "dist_r2", ".4f"),
    Field("mean", "mean error, px", ".4g"),
    Field("family", "family"),
)

APART = 0.05  # of the height of the plot: rows that are closer have one name
LEAST = -0.5  # worse rows stand at the lower edge, and the table says where they are


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a row that has both figures."""
    return [
        {**figures(board, row), "dist_avg": row.metrics["dist_avg"], "dist_r2": row.metrics["dist_r2"]}
        for row in chosen
        if row.metrics.get("dist_avg") is not None and row.metrics.get("dist_r2") is not None
    ]


def chart(variant: str) -> alt.TopLevelMixin:
    """A point a row; the best of several close ones has its name."""
    import altair as alt

    base = alt.Chart()
    x = alt.X(**number("dist_avg", "dist_avg (image spans -1 to 1)", scale=alt.Scale(padding=14, nice=False)))
    y = alt.Y(**number("dist_r2", "dist_r2", scale=alt.Scale(padding=14, nice=False, zero=False)))
    color = alt.Color(field="family", type="nominal")
    hints = tooltips(FIELDS)
    # Few rows have their name where there is room below the next better one. Of many, the first in each step of the
    # height has, if it is in the upper half of the step.
    named = (
        base.transform_calculate(down=f"(datum.highest - datum.dist_r2) / (datum.highest - datum.lowest) / {2 * APART}")
        .transform_calculate(step="floor(datum.down)")
        .transform_window(above="lag(down)", sort=[alt.SortField("down"), alt.SortField("order")], ignorePeers=True)
        .transform_filter(
            f"datum.count <= {FEW} ? !isValid(datum.above) || datum.down - datum.above > 0.3"
            " : datum.down - datum.step < 0.5 || datum.reference || datum.chosen"
        )
        .transform_window(
            nth="row_number()",
            groupby=["step"],
            sort=[*(alt.SortField(one, order="descending") for one in ("chosen", "reference")), alt.SortField("order")],
        )
        .transform_filter(f"datum.count <= {FEW} || datum.nth == 1")
    )
    text = alt.Text(field="row", type="nominal")
    shared = (
        base.transform_joinaggregate(count="count()", groupby=[])
        .transform_filter(f"datum.dist_r2 >= {LEAST}")
        .transform_joinaggregate(lowest="min(dist_r2)", highest="max(dist_r2)", groupby=[])
    )
    return layered(
        base.transform_filter("datum.reference")
        .mark_point(style="reference", shape="diamond", size=80)
        .encode(x=x, y=y, tooltip=hints),
        base.transform_filter("!datum.reference && datum.aided")
        .mark_point(filled=False, strokeWidth=1.8, size=55)
        .encode(x=x, y=y, color=color, tooltip=hints),
        base.transform_filter("!datum.reference && !datum.aided")
        .mark_point(size=60)
        .encode(x=x, y=y, color=color, tooltip=hints),
        named.mark_text(style="label", align="left", baseline="bottom", dx=6, dy=-3).encode(x=x, y=y, text=text),
        shared=shared,
    )


KIND = Kind(
    name="r2",
    title="dist_r2 against dist_avg",
    reading=(
        "Each point is a row: dist_avg is its mean distance where an image spans -1 to 1, dist_r2 is 1 - its summed distance "
        "over that of the training mean, so 1 is perfect and 0 is no better than the training mean. Rows below "
        f"{LEAST:g} are in the table alone."
    ),
    key="hollow: with oracle features or the rule in its structure; diamond: reference",
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    none="no row has dist_r2, which needs the mean of the training split",
)
