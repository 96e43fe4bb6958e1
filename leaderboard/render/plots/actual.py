"""Predicted against annotated coordinates, by axis, with R2 about the mean of the training split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.metrics.evaluation import Evaluation
from benchmark.metrics.registry import Undefined
from leaderboard.board import Board
from leaderboard.render.plots.kind import Field, Kind, Record
from leaderboard.render.plots.parts import layered, number, tooltips
from leaderboard.render.plots.records import evaluations, order, printable
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    import altair as alt

ANNOTATED, PREDICTED = "annotated, px", "predicted, px"
POINTS = 1000
"""So many points of a panel are drawn at most, evenly chosen; R2 is of all."""

FIELDS = (
    Field("row", "row"),
    Field("axis", "axis"),
    Field("keypoint", "keypoint"),
    Field("image", "image"),
    Field("actual", "annotated, px", ".4~g"),
    Field("predicted", "predicted, px", ".4~g"),
)


def data(board: Board, chosen: Sequence[BoardRow], against: BoardRow | None) -> list[Record]:
    """A record a labelled keypoint, seed and axis of each row."""
    records: list[Record] = []
    for row in chosen:
        made = evaluations(row)
        for axis, letter in enumerate("xy"):
            values = [r2_of_axis(one, axis) for one in made]
            known = [value for value in values if value is not None]
            r2 = f", R² {sum(known) / len(known):.3f}" if values and len(known) == len(values) else ""
            points = [point for one in made for point in _points(one, axis)]
            drawn = min(len(points), POINTS)
            places = [i * (len(points) - 1) // max(drawn - 1, 1) for i in range(drawn)]
            panel = f"{printable(row.label)}: {letter}{r2}"
            records += [
                {
                    "panel": panel,
                    "place": 2 * order(board, row) + axis,
                    "row": printable(row.label),
                    "axis": letter,
                    **points[i],
                }
                for i in places
            ]
    return records


def r2_of_axis(evaluation: Evaluation, axis: int) -> float | None:
    """The mean over keypoints of 1 - SSE / SST on one axis; None where it has no meaning.

    Its mean over axes is the metric ``r2``.
    """
    errors = evaluation.errors
    if errors.from_baseline is None or not errors.any_labelled:
        return None
    try:
        residual, spread = errors.residual[:, axis], errors.spread[:, axis]
    except Undefined:
        return None
    return float(np.mean(1 - residual / spread)) if (spread > 0).all() else None


def _points(evaluation: Evaluation, axis: int) -> list[Record]:
    """What of an evaluation is drawn: every labelled keypoint that has an answer."""
    annotations, errors = evaluation.annotations, evaluation.errors
    known = errors.labelled & errors.answered[:, None]
    pairs, keypoints = np.nonzero(known)
    instances = evaluation.pairs.rows[pairs]
    actual = annotations.keypoints[instances, keypoints, axis]
    predicted = actual + errors.offsets[pairs, keypoints, axis]
    names = [printable(name) for name in annotations.keypoint_names]
    return [
        {
            "keypoint": names[keypoint],
            "image": printable(annotations.file_names[image]),
            "actual": was,
            "predicted": said,
        }
        for keypoint, image, was, said in zip(
            keypoints.tolist(), annotations.index[instances].tolist(), actual.tolist(), predicted.tolist()
        )
    ]


def chart(variant: str) -> alt.TopLevelMixin:
    """A panel a row and axis; a point on the line y = x is answered without an error."""
    import altair as alt

    x = alt.X(**number("actual", ANNOTATED, scale=alt.Scale(zero=False)))
    y = alt.Y(**number("predicted", PREDICTED, scale=alt.Scale(zero=False)))
    color = alt.Color(field="keypoint", type="nominal", legend=alt.Legend(symbolOpacity=1))
    points = alt.Chart().mark_point(size=22, opacity=0.45).encode(x=x, y=y, color=color, tooltip=tooltips(FIELDS))
    ends = alt.Chart().transform_aggregate(low="min(actual)", high="max(actual)", groupby=["panel"])
    same = ends.mark_rule(style="quiet-rule").encode(
        x=alt.X(**number("low", ANNOTATED)),
        y=alt.Y(**number("low", PREDICTED)),
        x2=alt.X2(field="high"),
        y2=alt.Y2(field="high"),
    )
    header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold")
    panel = alt.Facet(field="panel", type="nominal", sort=alt.EncodingSortField("place", op="min"), header=header)
    return layered(same, points, shared=alt.Chart()).facet(facet=panel, columns=2)


KIND = Kind(
    name="actual",
    title="Predicted against annotated coordinates",
    reading=(
        "Each point is a keypoint of a test image; on the dashed line it is predicted without an error. R² is 1 - SSE / SST "
        "about the mean of the training split, of all keypoints and seeds; what was not answered counts, and is not drawn."
    ),
    fields=FIELDS,
    data=data,
    chart=chart,
    variants={"": ""},
    most=1,
    references="baseline",
    none="no row has a labelled keypoint with an answer",
    size=(290, 290),
    side_by_side=2,
)
