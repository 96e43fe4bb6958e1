"""Small multiples (Tufte, 1983): one curve or a few in each of many panels with the same axes, so that none hides another.

Against training images a panel a detector, with its interval; against severity a panel a corruption, a line a detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaderboard.render.plots.kind import ROWS
from leaderboard.render.plots.parts import layered, log_scale, number
from leaderboard.render.plots.records import printable
from leaderboard.render.plots.specification import panels
from leaderboard.render.plots.theme import config

if TYPE_CHECKING:
    import altair as alt

TITLES = {
    "error": (
        "Error against training images",
        "square-root axis; a band is the 95 % interval of the mean, dashed the error of the training mean",
    ),
    "exact": ("Share exact against training images", "a band is the 95 % interval"),
    "corrupted": (
        "Error against severity of corruption",
        "square-root axis; severity 0: clean images, from which alone the detectors learned",
    ),
}
COLUMNS = {"error": 4, "exact": 4, "corrupted": 3}
SIZES = {"error": (136, 104), "exact": (136, 104), "corrupted": (190, 120)}
MOST = 1.4
"""So many times the training mean's error are shown; what is worse leaves its panel."""

SIZE, ERROR, SHARE, SEVERITY = "training images", "mean error, px", "share exact", "severity"


def curves(of: str, records: Sequence[dict[str, Any]], board: str) -> dict[str, Any]:
    """The specification of the panels, with their data.

    Args:
        of: ``error``, ``exact`` or ``corrupted``.
        records: ``panel``, ``place`` (of the panel), ``x``, ``value``; against training images ``low`` and ``high`` and, of
            errors, ``reference``; against severity ``row``, in the order of the records.
        board: Its title.
    """
    import altair as alt

    header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold", labelPadding=2)
    facet = alt.Facet(field="panel", type="nominal", sort=alt.EncodingSortField("place", op="min"), header=header)
    names = [printable(row) for row in dict.fromkeys(record.get("row", "") for record in records)]
    floor = max((record["reference"] for record in records if record.get("reference")), default=None)
    panel: Any = _corrupted(names) if of == "corrupted" else _learning(of, floor)
    made: dict[str, Any] = panel.facet(facet=facet, columns=COLUMNS[of], spacing=14).to_dict(
        context={"pre_transform": False}
    )
    title, reading = TITLES[of]
    made |= {
        "config": config("light"),
        "title": {"text": title, "subtitle": [printable(board), reading]},
        "description": f"{title}. {reading}",
        "datasets": {ROWS: [_printable(record) for record in records]},
    }
    width, height = SIZES[of]
    for part in panels(made):
        part.update({"width": width, "height": height})
    return made


def _learning(of: str, floor: float | None) -> alt.LayerChart:
    """One curve with its interval; one that is far worse than the training mean, which has ``floor`` px, leaves its panel."""
    import altair as alt

    base = alt.Chart()
    x = alt.X(**log_scale(SIZE, "x", pad=6))
    if of == "exact":
        scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1], labelOverlap=False)
        y = alt.Y(**number("value", SHARE, scale=scale, axis=axis))
        band = base.mark_area(opacity=0.25).encode(x=x, y=alt.Y(**number("low", SHARE)), y2=alt.Y2(field="high"))
        return layered(band, base.mark_line(strokeWidth=2).encode(x=x, y=y), _dots(base, x, y), shared=alt.Chart())
    # neither a logarithmic axis, on which there is no 0, nor an even one, on which all that matters lies at its foot
    axis = alt.Axis(values=[0, 0.25, 1, 2, 4, 8], labelExpr="format(datum.value, '~g')")
    top: dict[str, Any] = {} if floor is None else {"domain": [0, MOST * floor]}
    y = alt.Y(**number("value", ERROR, scale=alt.Scale(type="sqrt", nice=False, **top), axis=axis))
    band = base.mark_area(opacity=0.25, clip=True).encode(x=x, y=alt.Y(**number("low", ERROR)), y2=alt.Y2(field="high"))
    line = base.mark_line(strokeWidth=2, clip=True).encode(x=x, y=y)
    mean = base.mark_line(style="quiet-rule", strokeWidth=1).encode(x=x, y=alt.Y(**number("reference", ERROR)))
    return layered(mean, band, line, _dots(base, x, y, clip=True), shared=alt.Chart())


def _dots(base: alt.Chart, x: alt.X, y: alt.Y, *, clip: bool = False) -> alt.Chart:
    made: alt.Chart = base.mark_point(size=22, clip=clip).encode(x=x, y=y)
    return made


def _corrupted(names: list[str]) -> alt.LayerChart:
    """A line a detector, told apart by colour and by the sign of its points."""
    import altair as alt

    base = alt.Chart()
    x = alt.X(**number("x", SEVERITY, axis=alt.Axis(values=[0, 1, 2, 3, 4, 5], format="d", grid=False)))
    axis = alt.Axis(values=[0, 0.25, 1, 2.5, 5, 10, 20], labelExpr="format(datum.value, '~g')")
    y = alt.Y(**number("value", ERROR, scale=alt.Scale(type="sqrt", nice=False), axis=axis))
    legend = alt.Legend(title=None, orient="top", columns=4, symbolSize=60)
    # the same domain for both, so that they share one legend
    color = alt.Color(field="row", type="nominal", scale=alt.Scale(domain=names), legend=legend)
    shape = alt.Shape(field="row", type="nominal", scale=alt.Scale(domain=names), legend=legend)
    return layered(
        base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=color),
        base.mark_point(size=28).encode(x=x, y=y, color=color, shape=shape),
        shared=alt.Chart(),
    )


def _printable(record: dict[str, Any]) -> dict[str, Any]:
    return {name: printable(value) if isinstance(value, str) else value for name, value in record.items()}
