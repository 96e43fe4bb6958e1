"""What a page needs to draw plots: every kind's specification, without data, and the themes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import leaderboard.render.page
from leaderboard.render.plots.kinds import KINDS, load
from leaderboard.render.plots.specification import spec
from leaderboard.render.plots.theme import THEMES, config

LICENCE = Path(leaderboard.render.page.__file__).parent / "vendor" / "vega.LICENSE.txt"


@cache
def page_specs() -> dict[str, Any]:
    """A JSON-able object, to be left as it is: ``kinds`` in the order of the page, ``themes``, and the ``licence`` of what draws them."""
    return {
        "kinds": [_kind(name) for name in KINDS],
        "themes": {theme: config(theme) for theme in THEMES},
        "licence": LICENCE.read_text(encoding="utf-8"),
    }


def _kind(name: str) -> dict[str, Any]:
    kind = load(name)
    return {
        "name": kind.name,
        "title": kind.title,
        "reading": kind.reading + (f" {kind.key[0].upper()}{kind.key[1:]}." if kind.key else ""),
        "fields": [field._asdict() for field in kind.fields],
        "none": kind.none,
        "most": kind.most,
        "beside": kind.side_by_side,
        "variants": [
            {"name": variant, "title": title, "spec": spec(kind, variant)} for variant, title in kind.variants.items()
        ],
    }
