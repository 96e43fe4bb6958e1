"""How plots look: Vega-Lite configurations, light and dark.

The colours of series are those of Okabe and Ito (2008), told apart with any colour vision; without black, and yellow last
on light paper, where it is hardly seen.
"""

from __future__ import annotations

from typing import Any

FONT = "Helvetica, Arial, sans-serif"

SERIES = {
    "light": ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E", "#B8A800"),
    "dark": ("#56B4E9", "#E69F00", "#2FBF93", "#CC79A7", "#F0E442", "#E8743B", "#A9A9A9", "#4C9BD6"),
}
"""Theme -> colours of series, in the order they are given."""

_INKS = {  # paper, ink, quieter ink, lines of the grid, what is in front
    "light": ("#ffffff", "#1b1b1b", "#5a5a5a", "#e4e4e4", "#1b1b1b"),
    "dark": ("#15181c", "#ececec", "#a9adb3", "#31363d", "#ececec"),
}

THEMES = tuple(_INKS)


def config(theme: str) -> dict[str, Any]:
    """The configuration of a theme.

    Args:
        theme: One of `THEMES`.

    Returns:
        What a specification has as ``config``.
    """
    paper, ink, quiet, grid, front = _INKS[theme]
    series = list(SERIES[theme])
    label = {"fontSize": 11, "limit": 190}
    return {
        "background": paper,
        "font": FONT,
        "padding": 12,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": ink,
            "subtitleColor": quiet,
            "fontSize": 15,
            "subtitleFontSize": 11.5,
            "subtitlePadding": 4,
            "offset": 14,
        },
        "axis": {
            "labelColor": quiet,
            "titleColor": ink,
            "titleFontWeight": "normal",
            "titleFontSize": 12,
            "labelFontSize": 11,
            "gridColor": grid,
            "domainColor": quiet,
            "tickColor": quiet,
            "labelLimit": 300,
            "labelSeparation": 6,
            "titlePadding": 8,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": quiet,
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "labelLimit": 200,
            "orient": "top",
            "direction": "horizontal",
            "columnPadding": 14,
            "title": None,
        },
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "labelLimit": 400},
        "range": {"category": series},
        "point": {"filled": True, "opacity": 0.9, "size": 60},
        "text": {"color": ink, **label},
        "bar": {"color": series[0]},
        "rule": {"color": quiet},
        "style": {
            "label": {"color": ink, **label},
            "halo": {"color": paper, "stroke": paper, "strokeWidth": 3, "strokeOpacity": 0.9, **label},
            "quiet-label": {"color": quiet, **label},
            "quiet-rule": {"color": quiet, "strokeDash": [3, 3], "opacity": 0.9},
            "interval": {"color": quiet, "opacity": 0.55, "strokeWidth": 1},
            "front": {"color": front, "opacity": 0.85},
            "aided-front": {"color": quiet, "strokeDash": [4, 3]},
            "reference": {"color": quiet},
            "seed": {"color": series[1], "opacity": 1},
        },
    }
