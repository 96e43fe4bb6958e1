"""Training histories: the error and the loss on train and val, by epoch, of every seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import floor_line, floored, layered, log_scale, number, series, tooltips
from leaderboard.render.plots.records import order, printable
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

COLUMNS = {
    "train_px": ("pixel error", "train"),
    "val_px": ("pixel error", "val"),
    "loss": ("loss", "train"),
    "val_loss": ("loss", "val"),
}
"""Column of a history -> what it is of, and of which split."""

FIELDS = (
    Field("row", "row"),
    Field("seed", "seed", "d"),
    Field("quantity", "quantity"),
    Field("split", "split"),
    Field("epoch", "epoch", "~g"),
    Field("value", "value", ".4g"),
)


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record an epoch, seed and column of each row that trains for several epochs."""
    records: list[Record] = []
    for row in chosen:
        for run in row.runs:
            who = {"row": printable(row.label), "order": order(board, row), "seed": run.record.seed}
            records += [{**who, **point} for point in points(run.history)]
    return records


def points(history: Sequence[Mapping[str, str]]) -> Iterable[Record]:
    """The records of one run's history; none of a fit in one step."""
    if len(history) < 2:
        return
    for line in history:
        for column, (quantity, split) in COLUMNS.items():
            epoch, value = _number(line.get("epoch")), _number(line.get(column))
            if epoch is not None and value is not None and value >= 0:
                yield {"quantity": quantity, "split": split, "epoch": epoch, "value": value}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def chart(variant: str) -> alt.TopLevelMixin:
    """A panel for pixel errors and one for losses; a line a row, seed and split."""
    import altair as alt

    dash = alt.StrokeDash(
        field="split",
        type="nominal",
        scale=alt.Scale(domain=["val", "train"], range=[[1, 0], [2, 3]]),
        legend=alt.Legend(symbolType="stroke"),
    )
    lines = (
        alt.Chart()
        .mark_line(strokeWidth=1.6, point=False)
        .encode(
            x=alt.X(**number("epoch", "epoch")),
            y=alt.Y(**log_scale("", "value_shown", pad=8)),
            color=series(legend=alt.Legend(symbolType="stroke", columns=4)),
            strokeDash=dash,
            detail=alt.Detail(field="seed", type="nominal"),
            tooltip=tooltips(FIELDS[:4]),
        )
    )
    floor = floor_line("value", "", left=True, group=("quantity",))
    header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold")
    panel = alt.Facet(field="quantity", type="nominal", sort="descending", header=header)
    layers = layered(*floor, lines, shared=floored(alt.Chart(), "value", group=("quantity",)))
    panels = layers.facet(facet=panel, columns=2)
    drawn: alt.TopLevelMixin = panels.resolve_scale(y="independent")
    return drawn


KIND = Kind(
    name="history",
    title="Training histories",
    reading=(
        "Each line is a row and seed, epoch by epoch: the pixel error on the left, px, and its own loss on the right; solid on "
        "val, dotted on train. Axes are logarithmic, and exactly 0 is a line of its own."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    most=6,
    families=True,
    references="none",
    none="none of these rows trains for several epochs",
    size=(300, 260),
    side_by_side=2,
)
