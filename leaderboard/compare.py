"""Two rows on the same images and seeds: how much they differ, how sure that is, which images decide it, and what would.

The tests are those of the board (`benchmark.statistics.paired` with the size of a failure on its images, and ``power``), for one
comparison asked by itself. A paired interval is several times narrower than those of the two rows, because the images
that are hard for one are mostly hard for the other. `leaderboard.render.terminal` puts a comparison into words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.metrics import Pair
from benchmark.metrics.scale import pair_positions
from benchmark.runs.store import Results
from benchmark.statistics import notes as statistics
from benchmark.statistics.groups import Groups
from benchmark.statistics.paired import Paired, paired
from benchmark.statistics.power import Power, power
from benchmark.structures import Annotations, FloatArray, IntArray, UserError
from benchmark.suggestions import suggestion
from leaderboard.board import Board
from leaderboard.rows import BoardRow, groups_of, over_seeds
from leaderboard.tested import LEVEL
from leaderboard.which import boards_on


@dataclass(frozen=True)
class Note:
    """Something to know of a comparison.

    Attributes:
        code: "shared_seeds": the rows ran on different seeds, and were compared on those they share;
            "matched_images": images hold several instances, and those in which either matched none are left out.
        values: ``seeds``, or ``images`` (how many there are in all).
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DecidingImage:
    """An image that decides a comparison.

    Attributes:
        image_id: Its id in the annotations.
        file_name: Its file.
        a: Pixels, the error of row a, mean over seeds.
        b: Pixels, that of row b.
    """

    image_id: int
    file_name: str
    a: float
    b: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows ``a`` and ``b`` of a board.

    Attributes:
        board: The board's title.
        a: Label of the first row.
        b: Label of the second.
        seeds: Those that both ran with.
        images: (n,) int64, positions in the annotations of the images that both answered.
        image_ids: (n,) int64, their ids.
        file_names: Their files.
        errors_a: (S, n) float64 px.
        errors_b: (S, n) float64 px.
        result: The difference a - b, its interval and p value.
        power: What would separate the two.
        notes: What a reader must know.
        pair: Two keypoints whose distance metrics are relative to; None: not asked for.
        metrics_a: Metrics of the pair -> value of row a, over these seeds; not tested.
        metrics_b: Those of row b.
    """

    board: str
    a: str
    b: str
    seeds: tuple[int, ...]
    images: IntArray
    image_ids: IntArray
    file_names: tuple[str, ...]
    errors_a: FloatArray
    errors_b: FloatArray
    result: Paired
    power: Power
    notes: tuple[Note | statistics.Note, ...]
    pair: Pair | None = None
    metrics_a: Mapping[str, float | None] = field(default_factory=dict)
    metrics_b: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def better(self) -> str | None:
        """The row with the smaller mean error, where the difference is shown at 5 %; else None."""
        if self.result.p >= 1 - LEVEL:
            return None
        return self.a if self.result.difference < 0 else self.b

    @property
    def deciding(self) -> list[DecidingImage]:
        """The fewest images without which there is no difference, the largest contribution first."""
        of_a, of_b = self.errors_a.mean(axis=0), self.errors_b.mean(axis=0)
        return [
            DecidingImage(int(self.image_ids[i]), self.file_names[i], float(of_a[i]), float(of_b[i]))
            for i in self.result.images_that_decide.tolist()
        ]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``deciding`` holds every image that decides."""
        result = self.result
        low, high = (value if math.isfinite(value) else None for value in (result.low, result.high))
        return {
            "board": self.board,
            "a": self.a,
            "b": self.b,
            "seeds": list(self.seeds),
            "images": len(self.images),
            "mean_a": float(self.errors_a.mean()),
            "mean_b": float(self.errors_b.mean()),
            "difference": result.difference,
            "low": low,
            "high": high,
            "p": result.p,
            "better": self.better,
            "method": {"code": result.method.code, **result.method.values},
            "deciding": [vars(image) for image in self.deciding],
            "power": dict(vars(self.power)),
            "notes": [{"code": note.code, **note.values} for note in self.notes],
            **({"pair": list(self.pair)} if self.pair else {}),
            **{name: [value, self.metrics_b[name]] for name, value in self.metrics_a.items()},
        }


def compare(
    results: Results, a: str, b: str, task: str | None = None, data: str | None = None, pair: Pair | None = None
) -> Comparison:
    """Compare two rows of the board of a task and data.

    Args:
        results: Where the runs are.
        a: A row, by its detector's name or its label.
        b: Another.
        task: None where one board alone holds both.
        data: None where one board alone holds both; else as `leaderboard.which.on_data` takes it.
        pair: Two keypoints; metrics relative to the distance between their labels are told of both rows as well.

    Returns:
        The comparison; where the rows ran on different seeds, on those they share.

    Raises:
        UserError: Where no board, or more than one, holds both rows, or they share no seed or no annotations.
    """
    candidates, ambiguous = [], None
    for board in boards_on(results, task, data, pair):
        try:
            candidates.append((board, _row(board, a), _row(board, b)))
        except UserError as error:  # several rows on this board, but perhaps one on another
            ambiguous = error
    both = [(board, first, second) for board, first, second in candidates if first and second]
    if ambiguous is not None and not both:
        raise ambiguous
    asked = f"task {task or 'any'}, data {data or 'any'}"
    if not candidates:
        raise UserError(f"{results.root}: holds no run of {asked}")
    if not both:
        missing = next((name for name, side in ((a, 1), (b, 2)) if not any(row[side] for row in candidates)), b)
        for board, _, _ in candidates:
            for row in board.failed:
                if missing in (row.label, row.config.detector):
                    raise UserError(f"{missing!r} has failed on {board.title}: {row.error}")
        labels = sorted({row.label for board, _, _ in candidates for row in board.finished})
        if missing in labels:
            raise UserError(f"{a!r} and {b!r} are on no board together ({asked}): run both on one task and data")
        raise UserError(
            f"no board ({asked}) has a finished row {missing!r} beside the other{suggestion(missing, labels)}"
        )
    if len(both) > 1:
        names = ", ".join(board.title for board, _, _ in both)
        raise UserError(f"{a!r} and {b!r} are both on {len(both)} boards ({names}): choose with --task and --data")
    board, first, second = both[0]
    if first is None or second is None or first is second:
        raise UserError(f"{a!r} and {b!r} are the same row: name two")
    if pair is not None:
        pair_positions(pair, board.keypoints)  # says what is wrong with it
    return compare_rows(board, first, second)


@dataclass(frozen=True, eq=False)
class PairedErrors:
    """What two rows answered both, and their difference.

    Attributes:
        seeds: Those that both ran with.
        images: (n,) int64, positions in the annotations of the images that both answered.
        annotations: Theirs.
        groups: The groups of these images; None where each stands alone.
        errors_a: (S, n) float64 px.
        errors_b: (S, n) float64 px.
        result: The difference a - b, its interval and p value.
    """

    seeds: tuple[int, ...]
    images: IntArray
    annotations: Annotations
    groups: Groups | None
    errors_a: FloatArray
    errors_b: FloatArray
    result: Paired


def paired_errors(board: Board, a: BoardRow, b: BoardRow) -> PairedErrors:
    """The difference of two rows of one board, on the seeds and images they share.

    Raises:
        UserError: Where they share no seed, no annotations, or no answered image.
    """
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if not seeds:
        raise UserError(
            f"{a.label!r} ran with seeds {_listed(a.seeds)} and {b.label!r} with {_listed(b.seeds)}: give both the same"
        )
    if a.annotation_digests != b.annotation_digests or len(a.annotation_digests) != 1:
        raise UserError(f"{a.label!r} and {b.label!r} were scored against different annotations: run both again")
    errors_a = a.errors[[a.seeds.index(seed) for seed in seeds]]
    errors_b = b.errors[[b.seeds.index(seed) for seed in seeds]]
    both = np.isfinite(errors_a).all(axis=0) & np.isfinite(errors_b).all(axis=0)
    if not both.any():
        raise UserError(f"{a.label!r} and {b.label!r} answered no image in common")
    annotations = a.runs[0].annotations
    kept = np.flatnonzero(both)
    errors_a, errors_b = errors_a[:, kept], errors_b[:, kept]
    groups = groups_of(annotations, kept)
    result = paired(errors_a, errors_b, LEVEL, board.failure, groups)
    return PairedErrors(seeds, kept, annotations, groups, errors_a, errors_b, result)


def compare_rows(board: Board, a: BoardRow, b: BoardRow) -> Comparison:
    """Compare two rows of one board.

    Raises:
        UserError: Where they share no seed, no annotations, or no answered image.
    """
    both = paired_errors(board, a, b)
    seeds, kept, annotations, errors_a, errors_b = (
        both.seeds,
        both.images,
        both.annotations,
        both.errors_a,
        both.errors_b,
    )
    notes: list[Note | statistics.Note] = list(both.result.notes)
    if a.seeds != b.seeds:
        notes.append(Note("shared_seeds", {"seeds": list(seeds)}))
    if board.multi_instance:
        notes.append(Note("matched_images", {"images": len(annotations)}))
    return Comparison(
        board=board.title,
        a=a.label,
        b=b.label,
        seeds=seeds,
        images=kept,
        image_ids=annotations.image_ids[kept],
        file_names=tuple(annotations.file_names[i] for i in kept.tolist()),
        errors_a=errors_a,
        errors_b=errors_b,
        result=both.result,
        power=power(errors_a, errors_b, LEVEL, failure=board.failure, groups=both.groups),
        notes=tuple(notes),
        pair=board.pair,
        metrics_a=_of_pair(a, seeds),
        metrics_b=_of_pair(b, seeds),
    )


def _of_pair(row: BoardRow, seeds: tuple[int, ...]) -> dict[str, float | None]:
    """The metrics of the pair over some seeds of a row; empty where no pair was asked for."""
    tables = [table for seed, table in zip(row.seeds, row.scores) if seed in seeds and table.pair is not None]
    return {name: value for name, value in over_seeds(tables).items() if "_pair" in name}


def _row(board: Board, name: str) -> BoardRow | None:
    """The finished row of that label; else the detector's, if it has one row alone. UserError where it has several."""
    named = [row for row in board.finished if row.label == name]
    named = named or [row for row in board.finished if row.config.detector == name]
    if len(named) > 1:
        labels = ", ".join(repr(row.label) for row in named)
        raise UserError(f"{name!r} is several rows of {board.title}: choose one of {labels}")
    return named[0] if named else None


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
