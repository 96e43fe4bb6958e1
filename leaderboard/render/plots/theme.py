"""How plots look: Vega-Lite configurations, light and dark.

The colours are those of the page (`leaderboard/render/page/assets/page.css`, which a test holds): for series those of Okabe
and Ito (2008), told apart with any colour vision, made darker or lighter where they would hardly be seen.
"""

from __future__ import annotations

from typing import Any

FONT = "Helvetica, Arial, sans-serif"

SERIES = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b8a900", "#1b1f24"),
    "dark": ("#3a9bd9", "#ec7a2b", "#1fbf92", "#d993bb", "#f0b429", "#8accf5", "#f0e442", "#e4e8ec"),
}
"""Theme -> colours of series, in the order they are given."""

INKS = {
    "light": {"paper": "#ffffff", "ink": "#1b1f24", "faint": "#5f6871", "line": "#dfe3e8"},
    "dark": {"paper": "#14171b", "ink": "#e4e8ec", "faint": "#9aa4ae", "line": "#2f353c"},
}
"""Theme -> what everything else is drawn in."""

THEMES = tuple(INKS)


def config(theme: str) -> dict[str, Any]:
    """The configuration of a theme.

    Args:
        theme: One of `THEMES`.

    Returns:
        What a specification has as ``config``.
    """
    paper, ink, quiet, grid = (INKS[theme][name] for name in ("paper", "ink", "faint", "line"))
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
            "front": {"color": ink, "opacity": 0.85},
            "aided-front": {"color": quiet, "strokeDash": [4, 3]},
            "reference": {"color": quiet},
            "seed": {"color": series[1], "opacity": 1},
        },
    }
