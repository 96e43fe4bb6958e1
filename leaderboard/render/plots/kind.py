"""What a kind of plot is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from leaderboard.board import Board
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

Record = dict[str, Any]
"""One datum, JSON-able: field -> text, number, boolean or None."""

ROWS = "rows"
"""The named dataset that every specification reads."""

SETTING = "setting"
"""The named dataset of what the reader of a page has set: at most one record, ``{"tolerance": px}``."""


class Field(NamedTuple):
    """A field of the records that readers see, in tooltips and in the table of the data.

    Attributes:
        name: In the records.
        heading: What it is called.
        format: A d3 format for numbers; "" for text.
    """

    name: str
    heading: str
    format: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of plot.

    Attributes:
        name: Of the kind.
        title: Above the plot.
        reading: What is drawn and how to read it, in a sentence or two: the caption, and the text alternative.
        fields: What tooltips and tables show of a record.
        data: The records of some rows of a board; ``against`` is the row that others are compared with.
        chart: The specification, without size, data and theme, of a variant.
        variants: Variant -> what it is called; the first is the default. "" where there is but one.
        key: What its signs mean, for below the title of a file.
        most: How many of the best rows are drawn where none is chosen; None: all.
        families: Whether these are the best of each family first.
        references: Whether reference rows are drawn where none is chosen: "all", "baseline" (the training mean) or "none".
        none: Why there may be nothing to draw.
        size: (width, height) px of a panel in a file; a height of 0 is given by the number of rows.
        side_by_side: How many panels stand beside each other where there is room.
    """

    name: str
    title: str
    reading: str
    fields: tuple[Field, ...]
    data: Callable[[Board, Sequence[BoardRow], BoardRow | None], list[Record]]
    chart: Callable[[str], alt.TopLevelMixin]
    variants: dict[str, str]
    key: str = ""
    most: int | None = None
    families: bool = False
    references: str = "all"
    none: str = "no row has these figures"
    size: tuple[int, int] = (640, 400)
    side_by_side: int = 1
