"""Error against cost: what a smaller error costs, and the Pareto front, the rows that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.statistics.components import TIE
from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import FEW, floor_line, floored, layered, log_scale, number, tooltips
from leaderboard.render.plots.records import figures
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

ERROR = "mean error, px"
FAR = "1e300"
APART = 0.06  # of the height of the plot: rows of a front that are closer have one name
EDGE = 0.25  # of the width: names of rows this near to the left edge go to the right

COSTS = {"fit": ("fit_seconds", "seconds to fit"), "ms": ("predict_ms", "milliseconds an image, to predict")}

FIELDS = (
    Field("row", "row"),
    Field("rank", "rank"),
    Field("mean", "mean error, px", ".4g"),
    Field("low", "from", ".4g"),
    Field("high", "to", ".4g"),
    Field("fit_seconds", "seconds to fit", ".3g"),
    Field("predict_ms", "ms an image", ".3g"),
    Field("family", "family"),
)


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a row."""
    return [figures(board, row) for row in chosen if row.metrics.get("mean") is not None]


def chart(variant: str) -> alt.TopLevelMixin:
    """A point a row, its interval, and two fronts: of all ranked rows, and of those without help."""
    import altair as alt

    cost, title = COSTS[variant]
    shown, along, base = f"{cost}_shown", _along(cost), alt.Chart()
    x = alt.X(**log_scale(title, shown, pad=24, scale="x"))
    y = alt.Y(**log_scale(ERROR, "mean_shown", pad=24, scale="y", floor=True))
    color = alt.Color(field="family", type="nominal")
    text = alt.Text(field="row", type="nominal")
    hints = tooltips(FIELDS)

    def points(which: str, **how: Any) -> Any:
        return base.transform_filter(which).mark_point(**how).encode(x=x, y=y, tooltip=hints)

    def line(name: str, style: str, width: float) -> Any:
        of_front = base.transform_filter(f"datum.{name}")
        drawn = of_front.mark_line(interpolate="step-after", style=style, strokeWidth=width)
        return drawn.encode(x=x, y=y, order=alt.Order(field=shown, type="quantitative"))

    def names(which: str) -> list[Any]:
        """No row stands left of and below one on a front, so there is its name; the best of several close ones has it."""
        of_front = (
            base.transform_filter(which)
            .transform_window(after="lead(log_error)", sort=along, ignorePeers=True)
            .transform_filter(
                f"!isValid(datum.after) || datum.log_error - datum.after > {APART} * (datum.highest - datum.lowest)"
            )
        )
        at_left = f"datum.log_cost - datum.cheapest < {EDGE} * (datum.dearest - datum.cheapest)"
        layers = []
        places: dict[str, dict[str, Any]] = {
            f"!({at_left})": {"align": "right", "dx": -6, "dy": 5},
            at_left: {"align": "left", "dx": -4, "dy": 7},
        }
        for where, placed in places.items():
            for style in ("halo", "label"):
                drawn = of_front.transform_filter(where).mark_text(style=style, baseline="top", **placed)
                layers.append(drawn.encode(x=x, y=y, text=text))
        return layers

    others = f"!(datum.front || datum.plain_front) && (datum.reference || datum.chosen || datum.count <= {FEW})"
    beside = base.transform_filter(others).mark_text(style="quiet-label", align="left", baseline="bottom", dx=6, dy=-4)
    return layered(
        *floor_line("mean", ERROR),
        *floor_line(cost, title, "x"),
        base.mark_rule(style="interval").encode(
            x=x, y=alt.Y(**number("low_shown", ERROR)), y2=alt.Y2(field="high_shown")
        ),
        line("front && datum.helped > 0", "aided-front", 1.2),
        line("plain_front", "front", 1.5),
        points("datum.reference", style="reference", shape="diamond", size=80),
        points("!datum.reference && datum.aided", filled=False, strokeWidth=1.8, size=55).encode(color=color),
        points("!datum.reference && !datum.aided", size=60).encode(color=color),
        beside.encode(x=x, y=y, text=text),
        *names("datum.front && !datum.plain_front"),
        *names("datum.plain_front"),
        shared=_with_fronts(base, cost),
    )


def _along(cost: str) -> list[alt.SortField | dict[str, str]]:
    """Rising cost; of equal ones the better first."""
    import altair as alt

    return [alt.SortField(cost), alt.SortField("mean"), alt.SortField("order")]


def _with_fronts(whole: alt.Chart, cost: str) -> alt.Chart:
    """The chart with what its layers read: floors, who is on which front, and how far errors and costs reach."""
    whole = whole.transform_filter(f"isValid(datum.mean) && isValid(datum.{cost})")
    whole = floored(floored(whole, cost), "mean", also=("low", "high"))
    whole = whole.transform_joinaggregate(count="count()", helped="sum(aided)", groupby=[])
    for name, counts in (("front", "!datum.reference"), ("plain_front", "!datum.reference && !datum.aided")):
        whole = (  # along rising cost: whether no row before is as good
            whole.transform_calculate(eligible=f"{counts} ? datum.mean : {FAR}")
            .transform_window(best="min(eligible)", frame=[None, 0], sort=_along(cost), ignorePeers=True)
            .transform_window(before="lag(best)", sort=_along(cost), ignorePeers=True)
            .transform_calculate(
                **{name: f"{counts} && (!isValid(datum.before) || datum.mean < datum.before - {TIE:g})"},
            )
        )
    logs = {"log_error": "log(datum.mean_shown)", "log_cost": f"log(datum.{cost}_shown)"}
    return whole.transform_calculate(**logs).transform_joinaggregate(
        lowest="min(log_error)",
        highest="max(log_error)",
        cheapest="min(log_cost)",
        dearest="max(log_cost)",
        groupby=[],
    )


KIND = Kind(
    name="cost",
    title="Error against cost",
    reading=(
        "Each point is a row with the interval of its mean error; both axes are logarithmic, and an error of exactly 0 stands "
        "on a line of its own. The solid line joins the rows without oracle features or the rule in their structure that no "
        "other such row beats in both error and cost; the dashed line counts all ranked rows."
    ),
    fields=FIELDS,
    key="hollow: with oracle features or the rule in its structure; diamond: reference",
    data=data,
    chart=chart,
    variants={"fit": "seconds to fit", "ms": "milliseconds an image"},
)
