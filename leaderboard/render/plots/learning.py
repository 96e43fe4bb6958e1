"""Learning curves: the error against the number of training images, of detectors that were trained on several numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import end_labels, floor_line, floored, layered, log_scale, number, series, tooltips
from leaderboard.render.plots.records import figures, printable
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

ERROR = "mean error, px"
MOST = 8  # detectors, those that come to the smallest error

FIELDS = (
    Field("row", "detector"),
    Field("n", "training images", ",d"),
    Field("mean", "mean error, px", ".4g"),
    Field("low", "from", ".4g"),
    Field("high", "to", ".4g"),
)


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a row of each detector (and budget) with several numbers of training images."""
    curves: dict[tuple[str, str], list[BoardRow]] = {}
    for row in chosen:
        if row.config.n_train and row.metrics.get("mean") is not None:
            curves.setdefault((row.config.detector, row.config.budget), []).append(row)
    several = [(of, made) for of, made in curves.items() if len({row.config.n_train for row in made}) > 1]
    records = []
    for place, ((detector, budget), made) in enumerate(several[:MOST]):
        name = printable(detector if budget == "recipe" else f"{detector} {budget}")
        for row in sorted(made, key=lambda row: row.config.n_train):
            shown = figures(board, row)
            limits = {key: shown[key] for key in ("mean", "low", "high", "reference")}
            records.append({"row": name, "order": place + 1, "n": row.config.n_train, **limits})
    return records


def chart(variant: str) -> alt.TopLevelMixin:
    """A line a detector through its rows and their intervals."""
    import altair as alt

    base = alt.Chart()
    color = series()
    x = alt.X(**log_scale("training images", "n", pad=14))
    y = alt.Y(**log_scale(ERROR, "mean_shown", pad=14, scale="y"))
    ends = base.transform_window(
        later="row_number()", groupby=["row"], sort=[alt.SortField("n", order="descending")], ignorePeers=True
    ).transform_filter("datum.later == 1")
    shared = floored(base, "mean", also=("low", "high"))
    return layered(
        *floor_line("mean", ERROR, left=True),
        base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(
            x=x, y=alt.Y(**number("low_shown", ERROR)), y2=alt.Y2(field="high_shown"), color=color
        ),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=color),
        base.mark_point(size=45).encode(x=x, y=y, color=color, tooltip=tooltips(FIELDS)),
        end_labels(ends, "mean_shown", ERROR, color, log=True),
        shared=shared.transform_joinaggregate(bottom="min(low_shown)", top="max(high_shown)", groupby=[]),
    )


KIND = Kind(
    name="learning",
    title="Error against training images",
    reading=(
        "Each line is a detector, trained on more and more images, with the interval of its mean error; both axes are "
        "logarithmic, and an error of exactly 0 stands on a line of its own."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    none="no detector was run with several numbers of training images (run --n 10 --n 100)",
)
