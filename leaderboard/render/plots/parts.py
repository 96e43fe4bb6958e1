"""Pieces that several kinds of plot are put together from: axes, values of 0 on logarithmic axes, names at the ends of lines.

All of it is Vega-Lite transforms, so a page that hands other records to the same specification needs none of it again.
Charts that Altair's own signatures do not tell apart are `Any`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.statistics.components import TIE
from leaderboard.render.plots.kind import ROWS, Field

if TYPE_CHECKING:
    import altair as alt

FEW = 12
"""So many points may all have their name beside them."""

LOG_TICKS = "[" + ", ".join(f"{digit}e{power}" for power in range(-9, 10) for digit in (1, 2, 5)) + "]"

NARROW = 6
"""An axis whose ends are less than so many times apart would hold one or two of these ticks, so it has even steps."""


def log_ticks(scale: str) -> str:
    """The expression of ticks of a logarithmic axis: at 1, 2 and 5, or in even steps where that would be too few.

    Args:
        scale: Name of the scale; "" where it is one of many panels and has none that is known.
    """
    if not scale:
        return LOG_TICKS
    low, high = f"domain('{scale}')[0]", f"domain('{scale}')[1]"
    power = f"pow(10, floor(log({high} - {low}) / LN10))"
    step = f"({power} * (({high} - {low}) / {power} < 2 ? 0.2 : ({high} - {low}) / {power} < 5 ? 0.5 : 1))"
    even = f"sequence(ceil({low} / {step}) * {step}, {high}, {step})"
    return f"{high} > {low} && {high} < {NARROW} * {low} ? {even} : {LOG_TICKS}"


ZERO = f"<= {TIE:g}"
"""An error that is told apart from none by rounding alone is none."""


def rows() -> alt.Chart:
    """A chart of the records."""
    import altair as alt

    return alt.Chart(alt.NamedData(ROWS))


def layered(*layers: alt.Chart, shared: alt.Chart) -> alt.LayerChart:
    """Layers over the same records: charts without data of their own.

    Args:
        *layers: From the lowest up.
        shared: What it transforms comes before the transforms of the layers.
    """
    import altair as alt

    whole: Any = alt.layer(*layers, data=alt.NamedData(ROWS))
    whole.transform = shared.transform
    made: alt.LayerChart = whole
    return made


def tooltips(fields: Sequence[Field]) -> list[alt.Tooltip]:
    """What is shown of a record under the pointer."""
    import altair as alt

    return [
        alt.Tooltip(field=field.name, type="quantitative", title=field.heading, format=field.format)
        if field.format
        else alt.Tooltip(field=field.name, type="nominal", title=field.heading)
        for field in fields
    ]


def number(name: str, title: str, **options: Any) -> dict[str, Any]:
    """A quantitative encoding of a field, as keywords of a channel; layers on one axis give it the same title."""
    return {"field": name, "type": "quantitative", "title": title, **options}


def log_scale(
    title: str, name: str, *, pad: float = 12, scale: str = "", floor: bool = False, **options: Any
) -> dict[str, Any]:
    """A quantitative encoding on a logarithmic axis with ticks at 1, 2 and 5, as keywords of a channel.

    Args:
        title: Of the axis.
        name: The field.
        pad: px between the outermost values and the ends of the axis.
        scale: Name of the scale, where it is known (`log_ticks`).
        floor: Whether it is a vertical axis of that scale where values of 0 may stand at a floor: below that is no number.
        **options: Of the axis.
    """
    import altair as alt

    if floor:
        options["labelExpr"] = f"scale('{scale}', datum.value) > height - {pad + 1:g} ? '' : datum.label"
    axis = alt.Axis(
        values=alt.ExprRef(log_ticks(scale)),
        format="~g",
        labelOverlap="greedy",
        **options,
    )
    return number(name, title, scale=alt.Scale(type="log", nice=False, padding=pad), axis=axis)


def floored(chart: alt.Chart, name: str, *, group: Sequence[str] = (), also: Sequence[str] = ()) -> alt.Chart:
    """The chart with what a logarithmic axis can show of a field: ``<name>_shown``, and ``<name>_zero`` where it is 0.

    What is 0 (to rounding) is shown at a floor, half a decade below the decade of the least other value; `floor_line`
    marks it. Limits of an interval lower the floor as well, by a decade below their value at most, and are cut there.

    Args:
        chart: Of records with the field.
        name: The field.
        group: Fields whose values have a floor each.
        also: The limits of its interval, the lower first, which get a ``_shown`` too.
    """
    positive, least, floor = f"{name}_positive", f"{name}_least", f"{name}_floor"
    value = f"datum.{name}"
    if also:
        value = f"isValid(datum.{also[0]}) ? min({value}, max(datum.{also[0]}, {value} / 10)) : {value}"
    shown: dict[str, Any] = {f"{field}_shown": f"max(datum.{field}, datum.{floor})" for field in also}
    lowest: dict[str, Any] = {least: f"min({positive})"}
    return (
        chart.transform_calculate(**{positive: f"datum.{name} {ZERO} ? null : {value}"})
        .transform_joinaggregate(**lowest, groupby=list(group))
        .transform_calculate(
            **{
                floor: f"isValid(datum.{least}) ? pow(10, floor(log(datum.{least}) / LN10) - 0.5) : 0.001",
                f"{name}_zero": f"datum.{name} {ZERO}",
            }
        )
        .transform_calculate(**{f"{name}_shown": f"datum.{name}_zero ? datum.{floor} : datum.{name}", **shown})
    )


def floor_line(
    name: str,
    title: str,
    channel: str = "y",
    *,
    below: bool = False,
    left: bool = False,
    group: Sequence[str] = (),
    **options: Any,
) -> list[Any]:
    """Layers that mark the floor of a floored field, where any value is 0: a dashed line, and what it means.

    Args:
        name: The field; the layers are over a chart that has it floored.
        title: Of its axis.
        channel: Of its axis: "x" or "y".
        below: Whether the words stand below the plot, for an axis "x" on top.
        left: Whether the words stand at the left end of the line, and not at the right one.
        group: Fields whose values have a floor each.
        **options: Of the encoding, where other layers set them.
    """
    import altair as alt

    at = (
        alt.Chart()
        .transform_filter(f"datum.{name}_zero")
        .transform_aggregate(floor=f"min({name}_floor)", groupby=list(group))
    )
    line = at.mark_rule(style="quiet-rule")
    if channel == "y":
        words = at.mark_text(
            style="quiet-label", text="exactly 0", align="left" if left else "right", baseline="bottom", dy=-3
        )
        y = alt.Y(**number("floor", title, **options))
        return [line.encode(y=y), words.encode(y=y, x=alt.value(0 if left else "width"))]
    end: Any = "height" if below else 0
    placed: dict[str, Any] = {"baseline": "top", "dy": 5} if below else {"baseline": "bottom", "dy": -4}
    words = at.mark_text(style="quiet-label", text="exactly 0", align="center", **placed)
    x = alt.X(**number("floor", title, **options))
    return [line.encode(x=x), words.encode(x=x, y=alt.value(end))]


def series(name: str = "row", legend: alt.Legend | None = None) -> alt.Color:
    """Colours of lines by the best rows first; without a legend where lines have their name at their end."""
    import altair as alt

    return alt.Color(field=name, type="nominal", sort=alt.EncodingSortField("order", op="min"), legend=legend)


def end_labels(ends: alt.Chart, y: str, title: str, color: alt.Color, *, log: bool = False) -> Any:
    """Names right of the ends of lines, the lower ones moved down where they would stand on each other.

    Args:
        ends: A record a line, with ``row``, ``order``, the field y, and ``bottom`` and ``top``, the ends of the axis.
        y: Where the line ends.
        title: Of the axis.
        color: That of the lines.
        log: Whether the axis is logarithmic.
    """
    import altair as alt

    def along(value: str) -> str:
        return f"log({value})" if log else value

    label = "datum.lowest - datum.gap * datum.place"
    spread = (
        ends.transform_calculate(gap=f"0.037 * ({along('datum.top')} - {along('datum.bottom')})")
        .transform_window(
            place="row_number()",
            sort=[alt.SortField(y, order="descending"), alt.SortField("order")],
            ignorePeers=True,
        )
        .transform_calculate(key=f"{along(f'datum.{y}')} + datum.gap * datum.place")
        .transform_window(
            lowest="min(key)",
            frame=[None, 0],
            sort=[alt.SortField("place")],
            ignorePeers=True,
        )
        .transform_calculate(label_y=f"exp({label})" if log else label)
    )
    return spread.mark_text(align="left", baseline="middle", dx=7).encode(
        x=alt.value("width"),
        y=alt.Y(**number("label_y", title)),
        text=alt.Text(field="row", type="nominal"),
        color=color,
    )
