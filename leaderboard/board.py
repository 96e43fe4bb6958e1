"""Boards: which detector is best on one task and one data set, from what is stored.

A board holds the runs of one task, version and data content; `leaderboard.rows` makes its rows. Rows are ordered by
``mean``; ties within 1e-9 px by ``exact``, then by name. Rows on the same seeds and images are tested against each other,
which gives each an interval of ranks (`benchmark.statistics.ranks`), and the board a row to use
(`benchmark.statistics.advice`). Reference rows are neither ranked nor tested.

A board holds figures and codes, no sentences: those are made by `leaderboard.render`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmark.metrics import Pair
from benchmark.runs.label_floor import LabelFloor
from benchmark.runs.places import slug
from benchmark.runs.store import Results, StoredRun
from benchmark.statistics.advice import Advice
from benchmark.statistics.groups import Groups
from benchmark.statistics.ranks import Row, board_order, comparable_rows
from benchmark.structures import Annotations, UserError
from benchmark.suggestions import suggestion
from leaderboard.rows import (
    AT_FLOOR,
    MARKS,
    UNTESTED,
    BoardRow,
    groups_of,
    labels_of,
    make_row,
    newest,
)
from leaderboard.staleness import CodeNow
from leaderboard.tested import Separation, Tested, constant_errors, rows_to_test, tested_rows
from leaderboard.titles import title_of, told_apart

NEAR_FLOOR = 2.0
"""A row marked as at the noise floor has an interval that ends below so many times the floor's."""

NOTES = (
    "one_seed",
    "several_seeds",
    "few_images",
    "grouped",
    "none_wrong",
    "label_floor",
    "several_annotations",
    "several_settings",
    "several_processors",
    "several_versions",
    "multi_instance",
    "uneven_recall",
    "tested_images",
    "tested_seeds",
    "pair",
    "code_changed",
    "code_unknown",
    "older",
)
"""Every code a `Note` of a board can have; see `leaderboard.render.words` for what they say."""


@dataclass(frozen=True)
class Note:
    """Something to know of a whole board.

    Attributes:
        code: One of `NOTES`.
        values: The figures and names that belong to it.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Board:
    """The rows of one task, version and data content.

    Attributes:
        task: Name of the task.
        version: Of the task.
        data: What the newest run calls the data.
        digest: Of the data's content.
        folds: Number of folds; 0 for none.
        images: Number of test images.
        keypoints: Names of the keypoints.
        groups: Groups that the test images come in (videos, sessions, subjects), and how many these are worth; None where
            each image stands alone.
        multi_instance: Whether images may hold several instances, so that pixel metrics are over matched pairs.
        pair: Two keypoints whose distance some metrics are relative to; None: not asked for, or not on this board.
        rows: Ranked, best first.
        references: Unranked rows, best first.
        failed: Rows of which no seed finished.
        failure: Pixels; how bad a failure is on these images, for the tests (`failure_size`).
        advice: The row to use.
        unaided: The row to use among those without oracle features or the rule in their structure; None where the advised
            row is one of these, or there is none.
        separation: What would tell the best rows apart; None where they are told apart.
        notes: What a reader must know.
        apart: What tells it from the other boards of its task, version and data name; "" where there are none.
    """

    task: str
    version: int
    data: str
    digest: str
    folds: int
    images: int
    keypoints: tuple[str, ...]
    groups: Groups | None
    multi_instance: bool
    pair: Pair | None
    rows: tuple[BoardRow, ...]
    references: tuple[BoardRow, ...]
    failed: tuple[BoardRow, ...]
    failure: float
    advice: Advice
    unaided: Advice | None
    separation: Separation | None
    notes: tuple[Note, ...]
    apart: str = ""

    @property
    def title(self) -> str:
        """``topleft@1 on tiny``; ``topleft@1 on tiny (data 77219e42)`` where another board is called so, too."""
        return title_of(self.task, self.version, self.data) + (f" ({self.apart})" if self.apart else "")

    @property
    def finished(self) -> tuple[BoardRow, ...]:
        """The rows that have figures: ranked, then reference."""
        return (*self.rows, *self.references)

    @property
    def every(self) -> tuple[BoardRow, ...]:
        """All rows: ranked, reference, failed."""
        return (*self.finished, *self.failed)

    @property
    def marks(self) -> dict[str, int]:
        """Mark -> number of rows that carry it, in the order of the legend."""
        return {mark: n for mark in MARKS if (n := sum(mark in row.marks for row in self.every))}

    def row(self, label: str | None) -> BoardRow | None:
        """The finished row of that label."""
        return next((row for row in self.finished if row.label == label), None)


def boards(results: Results, task: str | None = None, data: str | None = None, pair: Pair | None = None) -> list[Board]:
    """Every board with runs of that task and data name, by task, version and data.

    Args:
        results: Where the runs are. One whose files cannot be read is a failed seed, with the reason.
        task: None for any.
        data: None for any.
        pair: Two keypoints; boards that have both hold the metrics relative to the distance between their labels as well.

    Raises:
        UserError: Where a record is broken.
    """
    with _without_looking_for_cycles():
        groups = by_board(results.runs(), task)
        chosen = [runs for runs in groups.values() if data is None or any(r.record.config.data == data for r in runs)]
        code = CodeNow(results)
        try:
            made = [_board(runs, results, code, pair) for runs in chosen]
        finally:  # also where it is interrupted: what is scored by then is not scored again
            results.save_index()
            code.save()
    made.sort(key=lambda board: (board.task, board.version, board.data, board.digest, board.folds))
    return told_apart(made)


@contextmanager
def _without_looking_for_cycles() -> Iterator[None]:
    """Records hold no cycles, and looking for some among a million values takes a sixth of the time of a large board."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def find_run(results: Results, detector: str, task: str, data: str, seed: int | None = None) -> StoredRun:
    """A finished run of a row: of the configuration its board shows, on the most training images.

    Args:
        results: Where the runs are.
        detector: The detector's name, or the label of its row.
        task: Name of the task.
        data: Name of the data.
        seed: Which; None for the lowest there is.

    Raises:
        UserError: Naming what there is, where there is none.
    """
    runs = [r for r in results.runs() if (r.record.config.task, r.record.config.data) == (task, data)]
    if not runs:
        raise UserError(f"{results.root}: holds no run of task {task} on data {data}; make one with: run --task {task}")
    return run_of_row(runs, detector, f"{task} on {data}", seed)


def run_of_row(runs: Sequence[StoredRun], detector: str, where: str, seed: int | None) -> StoredRun:
    """`find_run` among the runs of one board, which is called ``where`` in errors."""
    shown, _ = newest(runs)
    labels = labels_of(shown)
    rows = [i for i in shown if detector in (i[0], labels[i])]
    if not rows:
        raise UserError(f"{detector!r} has no run of {where}{suggestion(detector, sorted(labels.values()))}")
    finished = {i: [r for r in shown[i] if r.record.status == "finished"] for i in rows}
    best = max(rows, key=lambda i: (bool(finished[i]), i[1], i[2] == "recipe"))
    if not finished[best]:
        raise UserError(f"{detector!r} failed on {where}: {shown[best][0].record.error}")
    by_seed = {r.record.seed: r for r in finished[best]}
    if seed is None:
        return by_seed[min(by_seed)]
    if seed not in by_seed:
        known = ", ".join(map(str, sorted(by_seed)))
        raise UserError(f"{detector!r} has no finished run with seed {seed} of {where}; there are {known}")
    return by_seed[seed]


def by_board(runs: Iterable[StoredRun], task: str | None) -> dict[tuple[str, int, str, int], list[StoredRun]]:
    """The runs of each board: task, version, digest of the data, folds. In an order that is not that of files."""
    groups: dict[tuple[str, int, str, int], list[StoredRun]] = {}
    for run in sorted(runs, key=lambda run: (run.record.key, run.record.created, run.record.annotations)):
        config = run.record.config
        if task in (None, config.task):
            groups.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run)
    return groups


def _board(runs: Sequence[StoredRun], results: Results, code: CodeNow, pair: Pair | None) -> Board:
    shown, older = newest(runs)
    labels = labels_of(shown)
    made = [
        make_row(labels[identity], seeds, code.state(seeds[0].record, results.root), pair)
        for identity, seeds in shown.items()
    ]
    floor = results.label_floor(runs[0].record.config.data_digest)
    if floor is not None:
        made = [_at_floor(row, floor) for row in made]
    failed = sorted((row for row in made if not row.runs), key=lambda row: row.label)
    ordered = _ordered([row for row in made if row.runs])
    references = [row for row in ordered if not row.record.ranked]
    multi_instance = any(table.flags["multi_instance"] for row in ordered for table in row.scores)
    ranked = [replace(row, position=i + 1) for i, row in enumerate(r for r in ordered if r.record.ranked)]
    last = max(runs, key=lambda run: (run.record.created, run.record.config.data)).record
    annotations = next((row.runs[0].annotations for row in ordered), None)
    failure = failure_size(annotations, ordered)
    groups = groups_of(annotations, np.arange(len(annotations))) if annotations else None
    tests, tested_images = rows_to_test(ranked)
    name = f"{slug(last.config.task)}@{last.config.version}-{last.config.data_digest[:32]}-{last.config.folds}"
    tested = tested_rows(results, name, ranked, tests, failure)
    ranked = _with_ranks(ranked, tests, tested)
    advice, unaided = tested.advice, tested.unaided
    if uneven := multi_instance and len({row.metrics.get("recall") for row in ranked}) > 1:
        advice, unaided = Advice("untested", None, None, None), None
    rows = (*ranked, *(replace(row, untested="unranked") for row in references))
    return Board(
        task=last.config.task,
        version=last.config.version,
        data=last.config.data,
        digest=last.config.data_digest,
        folds=last.config.folds,
        images=len(annotations) if annotations else 0,
        keypoints=annotations.keypoint_names if annotations else (),
        groups=groups,
        multi_instance=multi_instance,
        pair=next((table.pair for row in ordered for table in row.scores if table.pair), None),
        rows=tuple(ranked),
        references=rows[len(ranked) :],
        failed=tuple(failed),
        failure=failure,
        advice=advice,
        unaided=unaided,
        separation=tested.separation,
        notes=_notes(rows, groups, multi_instance, uneven, tested_images, _tested_seeds(ranked, tests), older, floor),
    )


def _at_floor(row: BoardRow, floor: LabelFloor) -> BoardRow:
    """The row, marked where its mean error is not shown to be above the noise floor, and is shown to be near it.

    Their 95 % intervals meet, and the row's ends below `NEAR_FLOOR` times the floor: a wide interval meets anything.
    """
    if row.interval is None or row.interval.low > floor.floor.high or row.interval.high > NEAR_FLOOR * floor.floor.high:
        return row
    return replace(row, marks=tuple(mark for mark in MARKS if mark in (*row.marks, AT_FLOOR)))


def failure_size(annotations: Annotations | None, rows: Sequence[BoardRow]) -> float:
    """How bad a failure is on these images: what a predictor of the training mean costs on its worst image.

    It depends on the data alone, so neither one broken row nor the choice of rows moves it. Where the mean of the training
    split is unknown it is the median over rows of their largest errors. A row that has been seen to fail worse is charged
    with its own largest error (`benchmark.statistics.paired.added_failure`).

    Args:
        annotations: What the rows were scored against; None where no row is finished.
        rows: The finished rows.

    Returns:
        Pixels; 0 where nothing is known of failures.
    """
    constant = None if annotations is None else constant_errors(annotations)
    if constant is not None and np.isfinite(constant).any():
        return float(np.nanmax(constant))
    return float(np.median([row.worst for row in rows])) if rows else 0.0


def _ordered(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Best first by the rule of the board; rows that matched nothing, and so have no mean, last by name."""
    having = [(row, row.metrics["mean"]) for row in rows]
    known = [(row, mean) for row, mean in having if mean is not None]
    keys = [Row(row.label, np.array([[mean]]), (), "", row.metrics["exact"]) for row, mean in known]
    nothing = sorted((row for row, mean in having if mean is None), key=lambda row: row.label)
    return [*(known[i][0] for i in board_order(keys)), *nothing]


def _tested_seeds(ranked: Sequence[BoardRow], tests: Sequence[Row]) -> tuple[int, ...]:
    """The seeds that rows are tested on, where some of these rows have more; else none."""
    tested = [tests[i] for i in comparable_rows(tests)]
    had = {row.label: row.seeds for row in ranked}
    return tested[0].seeds if any(had[test.name] != test.seeds for test in tested) else ()


def _with_ranks(ranked: Sequence[BoardRow], tests: Sequence[Row], tested: Tested) -> list[BoardRow]:
    """The rows with the interval of their ranks, or why they have none."""
    intervals = {test.name: interval for test, interval in zip(tests, tested.intervals)}
    rows = []
    for row in ranked:
        interval = intervals.get(row.label)
        untested = (interval.untested or "") if interval else "too_few_answers"
        rows.append(
            replace(
                row,
                rank_low=interval.low if interval else None,
                rank_high=interval.high if interval else None,
                untested=untested,
                marks=(*row.marks, UNTESTED) if untested else row.marks,
            )
        )
    return rows


def _notes(
    rows: Sequence[BoardRow],
    groups: Groups | None,
    multi_instance: bool,
    uneven: bool,
    tested_images: int | None,
    tested_seeds: tuple[int, ...],
    older: int,
    floor: LabelFloor | None,
) -> tuple[Note, ...]:
    notes = []

    def add(code: str, applies: object, **values: Any) -> None:
        if applies:
            notes.append(Note(code, values))

    own = [row for row in rows if not row.record.external]
    add("one_seed", any(len(row.runs) == 1 for row in rows))
    add("several_seeds", any(len(row.runs) > 1 for row in rows))
    few = [row.label for row in rows if row.interval and any(n.code == "few_images" for n in row.interval.notes)]
    add("few_images", few, rows=few)
    if groups is not None:
        add("grouped", True, groups=len(groups), effective=groups.effective)
    limits = [n for row in rows if row.exact_interval for n in row.exact_interval.notes if n.code == "none_wrong"]
    add("none_wrong", limits, **(limits[0].values if limits else {}))
    if floor is not None:
        add("label_floor", True, **floor.model_dump(exclude={"data_digest"}))
    add("several_annotations", len({digest for row in rows for digest in row.annotation_digests}) > 1)
    add("several_settings", len({(row.config.device, row.config.threads) for row in own}) > 1)
    hardware = sorted({name for row in rows for name in row.hardware})
    mixed = sum(len(row.hardware) > 1 for row in rows)
    add("several_processors", len(hardware) > 1, processors=hardware, mixed_rows=mixed)
    versions = _versions(rows)
    mixed = sum(any(len(kinds) > 1 for kinds in row.packages.values()) for row in rows)
    add("several_versions", versions, packages=versions, mixed_rows=mixed)
    add("multi_instance", multi_instance)
    add("uneven_recall", uneven)
    add("tested_images", tested_images is not None, images=tested_images)
    add("tested_seeds", tested_seeds, seeds=list(tested_seeds))
    paired = next((table for row in rows for table in row.scores if table.pair), None)
    if paired is not None and paired.pair is not None:
        instances = paired.counts["instances"]
        add("pair", True, keypoints=list(paired.pair), left_out=paired.n_without_pair, instances=instances)
    changed = [row.code for row in own if row.code and row.code.status == "changed"]
    unrecorded = sum(not code.recorded for code in changed)
    add("code_changed", changed, rows=len(changed), of=len(own), unrecorded=unrecorded)
    unknown = sum(row.code is not None and row.code.status == "unknown" for row in own)
    add("code_unknown", unknown, rows=unknown)
    add("older", older, count=older)
    return tuple(notes)


def _versions(rows: Sequence[BoardRow]) -> dict[str, list[str]]:
    """The libraries of which rows were run with several versions, and these."""
    known: dict[str, set[str]] = {}
    for row in rows:
        for name, versions in row.packages.items():
            known.setdefault(name, set()).update(versions)
    return {name: sorted(versions) for name, versions in sorted(known.items()) if len(versions) > 1}
