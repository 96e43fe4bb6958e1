"""Boards: which detector is best on one task and one data set, as a pure function of what is stored.

A board holds the runs of one task, version and data content; `leaderboard.rows` makes its rows. Rows are ranked by
``mean``; ties within 1e-9 px by ``exact``, then by name. Rows on the same seeds and images are tested against each other
and stand in tiers (`benchmark.statistics.tiers`). Reference rows are neither ranked nor tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np

from benchmark.metrics.oks import BoolArray
from benchmark.runs.store import Store, StoredRun
from benchmark.statistics.tiers import RULE, Row, board_order, place, recommend
from benchmark.statistics.uncertainty import TIE, p_value, power
from benchmark.structures import UserError
from leaderboard.rows import EXTERNAL, LEGEND, ORACLE, STRUCTURED, UNTESTED, BoardRow, labels_of, make_row, newest


@dataclass(frozen=True, eq=False)
class Board:
    """The rows of one task, version and data content.

    data: what the newest run calls it. digest: of its content. rows: ranked, best first. references: unranked. failed:
    rows of which no seed finished. notes: what a reader must know, in sentences. use: the recommendation, or "".
    """

    task: str
    version: int
    data: str
    digest: str
    folds: int
    images: int
    keypoints: tuple[str, ...]
    many: bool
    rows: tuple[BoardRow, ...]
    references: tuple[BoardRow, ...]
    failed: tuple[BoardRow, ...]
    use: str
    notes: tuple[str, ...]
    rule: str = RULE

    @property
    def title(self) -> str:
        """``topleft@1 on tiny``."""
        return f"{self.task}@{self.version} on {self.data}"

    @property
    def every(self) -> tuple[BoardRow, ...]:
        """All rows: ranked, reference, failed."""
        return (*self.rows, *self.references, *self.failed)

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks some row carries, in the order of the legend."""
        carried = {mark for row in self.every for mark in row.marks}
        return tuple(mark for mark in LEGEND if mark in carried)


def boards(store: Store, task: str | None = None, data: str | None = None) -> list[Board]:
    """Every board with runs of that task and data name (None: any), by task, version and data.

    Runs whose files cannot be read are failed seeds, with the reason; UserError only where a ``run.json`` is broken.
    """
    groups: dict[tuple[str, int, str, int], list[StoredRun]] = {}
    for run in store.runs():
        config = run.record.config
        if task in (None, config.task):
            groups.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run)
    chosen = [runs for runs in groups.values() if data is None or any(r.record.config.data == data for r in runs)]
    made = [_board(runs) for runs in chosen]
    return sorted(made, key=lambda board: (board.task, board.version, board.data, board.digest))


def find_run(store: Store, detector: str, task: str, data: str, seed: int | None = None) -> StoredRun:
    """A finished run of a row: of the recipe its board shows, on the most training images, with the lowest seed or ``seed``.

    UserError, naming what there is, where there is none.
    """
    runs = [r for r in store.runs() if (r.record.config.task, r.record.config.data) == (task, data)]
    if not runs:
        raise UserError(f"{store.root}: holds no run of task {task} on data {data}; make one with: run --task {task}")
    shown, _ = newest(runs)
    labels = labels_of(shown)
    rows = [i for i in shown if detector in (i[0], labels[i])]
    if not rows:
        raise UserError(f"{detector!r} has no run of {task} on {data}{nearest(detector, labels.values())}")
    finished = {i: [r for r in shown[i] if r.record.status == "finished"] for i in rows}
    best = max(rows, key=lambda i: (bool(finished[i]), i[1], i[2] == "recipe"))
    if not finished[best]:
        raise UserError(f"{detector!r} failed on {task}, {data}: {shown[best][0].record.error}")
    by_seed = {r.record.seed: r for r in finished[best]}
    if seed is None:
        return by_seed[min(by_seed)]
    if seed not in by_seed:
        known = ", ".join(map(str, sorted(by_seed)))
        raise UserError(f"{detector!r} has no finished run with seed {seed} on {task}, {data}; there are {known}")
    return by_seed[seed]


def nearest(word: str, known: Iterable[str]) -> str:
    """``: did you mean ...?`` or the list of what there is, to end an error with."""
    names = sorted(set(known))
    close = get_close_matches(word, names, n=3, cutoff=0.5)
    return ": did you mean " + " or ".join(map(repr, close)) + "?" if close else "; there are " + ", ".join(names)


def _board(runs: Sequence[StoredRun]) -> Board:
    shown, older = newest(runs)
    labels = labels_of(shown)
    made = [make_row(labels[identity], seeds) for identity, seeds in shown.items()]
    failed = sorted((row for row in made if not row.runs), key=lambda row: row.label)
    finished = [row for row in made if row.runs]
    ordered = _ordered(finished)
    ranked = [row for row in ordered if row.record.ranked]
    references = [row for row in ordered if not row.record.ranked]
    many = any(table.flags["multi_instance"] for row in finished for table in row.scores)
    ranked, use, tests = _placed(ranked)
    last = max(runs, key=lambda run: (run.record.created, run.record.config.data)).record
    annotations = next((row.runs[0].annotations for row in finished), None)
    return Board(
        task=last.config.task,
        version=last.config.version,
        data=last.config.data,
        digest=last.config.data_digest,
        folds=last.config.folds,
        images=len(annotations) if annotations else 0,
        keypoints=annotations.keypoint_names if annotations else (),
        many=many,
        rows=tuple(ranked),
        references=tuple(references),
        failed=tuple(failed),
        use=use,
        notes=_notes(ordered, many, older, tests),
    )


def _ordered(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Best first by the rule of the board; rows that matched nothing, and so have no mean, last by name."""
    having = [(row, row.metrics["mean"]) for row in rows]
    known = [(row, mean) for row, mean in having if mean is not None]
    keys = [Row(row.label, np.array([[mean]]), (), "", row.metrics["exact"]) for row, mean in known]
    nothing = sorted((row for row, mean in having if mean is None), key=lambda row: row.label)
    return [*(known[i][0] for i in board_order(keys)), *nothing]


def _placed(ranked: Sequence[BoardRow]) -> tuple[list[BoardRow], str, list[str]]:
    """The rows with rank and tier, the sentence that says which to use, and notes on the tests in sentences.

    Where images hold several instances a row may have matched none of an image's: rows are then tested on the images in
    which all of them matched some, and a row that matched in less than half of the images is left out.
    """
    answered = [np.isfinite(row.errors).all(axis=0) for row in ranked]
    most = max((int(known.sum()) for known in answered), default=0)
    fit = [row.errors.size > 0 and int(known.sum()) * 2 >= most > 0 for row, known in zip(ranked, answered)]
    shared: dict[tuple[str, ...], BoolArray] = {}
    for row, known, good in zip(ranked, answered, fit):
        if good:
            shared[row.annotation_digests] = np.asarray(known & shared.get(row.annotation_digests, known))
    chosen = [i for i, row in enumerate(ranked) if fit[i] and shared[row.annotation_digests].any()]
    tested = [
        Row(
            row.label,
            row.errors[:, shared[row.annotation_digests]],
            row.seeds,
            row.annotation_digests,
            row.metrics["exact"],
        )
        for row in (ranked[i] for i in chosen)
    ]
    places = dict(zip(chosen, place(tested)))
    rows = []
    for i, row in enumerate(ranked):
        found = places.get(i)
        why = found.why if found else "too few answers against one set of annotations: not tested"
        marks = row.marks if found and found.tier else (*row.marks, UNTESTED)
        rows.append(
            replace(
                row, rank=i + 1, tier=found.tier if found else None, p=found.p if found else None, why=why, marks=marks
            )
        )
    costs = {
        row.label: (row.fit_seconds, row.predict_ms)
        for row in rows
        if row.fit_seconds is not None and row.predict_ms is not None
    }
    by_label = {row.label: row for row in rows}
    standing = [by_label[row.name].tier for row in tested]
    use = ""
    if best := recommend(tested, standing, costs):
        use = f"Use {_described(by_label[best])}: the cheapest row of the top tier."
        plain = [i for i, row in enumerate(tested) if not {ORACLE, STRUCTURED} & set(by_label[row.name].marks)]
        other = recommend([tested[i] for i in plain], [standing[i] for i in plain], costs)
        if other and best not in (tested[i].name for i in plain):
            tier = by_label[other].tier
            use += f" Without oracle features or the rule in its structure: use {_described(by_label[other])}"
            use += "." if tier == 1 else f", of tier {tier}."
    limits = sorted({int(known.sum()) for known in shared.values() if not known.all()})
    notes = [_power(tested, standing)]
    if limits:
        notes.append(f"Rows are tested on the {limits[0]} images in which each of them matched an instance.")
    return rows, use, [note for note in notes if note]


def _power(tested: Sequence[Row], standing: Sequence[int | None]) -> str:
    """What would separate the two best rows that follow each other in one tier and are seen to differ; "" for none.

    They are to pass as the tiers ask it: at 5 % divided by what the correction for many rows costs this pair.
    """
    last: dict[int, int] = {}
    for i in board_order(tested):
        tier = standing[i]
        if tier is None:
            continue
        before, last[tier] = last.get(tier), i
        if before is None or tested[i].errors.mean() - tested[before].errors.mean() <= TIE:
            continue
        pair = tested[i].errors, tested[before].errors
        waited = sum(t is not None and t >= tier for t in standing)
        price = (waited - 1) * p_value(*pair, waited) / max(p_value(*pair), 1e-300)
        found = power(*pair, level=1 - 0.05 / max(price, 1.0))
        return f"Power: {tested[before].name} and {tested[i].name} (tier {tier}) as two of {waited} rows: {found.text}."
    return ""


def _described(row: BoardRow) -> str:
    cost = [] if row.fit_seconds is None else [f"{row.fit_seconds:.3g} s to fit"]
    cost += [] if row.predict_ms is None else [f"{row.predict_ms:.2g} ms an image"]
    marks = [mark for mark in row.marks if mark in (ORACLE, STRUCTURED, EXTERNAL)]
    return row.label + (f" ({', '.join(marks + cost)})" if marks or cost else "")


def _notes(rows: Sequence[BoardRow], many: bool, older: int, tests: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if any(len(row.runs) == 1 for row in rows):
        notes.append("± of a row with one seed covers other images alone: this fitted model.")
    if any(len(row.runs) > 1 for row in rows):
        notes.append("± of a row with several seeds covers other images and other seeds (95 %).")
    shaky = [row.label for row in rows if row.interval and "too narrow" in row.interval.note]
    if shaky:
        notes.append(f"Few images carry the error, so ± is likely too narrow: {', '.join(shaky)}.")
    perfect = [row for row in rows if row.metrics["exact"] == 1 and row.exact_interval]
    if perfect and perfect[0].exact_interval:
        notes.append(f"Exact 100 %: {perfect[0].exact_interval.note.split('; ')[-1]}.")
    if len({annotations for row in rows for annotations in row.annotation_digests}) > 1:
        notes.append("Rows were scored against more than one set of annotations: run the audit.")
    if len({(row.config.device, row.config.threads) for row in rows if not row.record.external}) > 1:
        notes.append("Rows ran on different devices or thread counts: their seconds do not compare.")
    if many:
        notes.append(
            "Several instances an image: pixel metrics are over matched pairs, ± and tests over images, and what was "
            "missed is in neither: see precision, recall, misses."
        )
    notes += tests
    if older:
        one = older == 1
        notes.append(
            f"{older} older recipe{'' if one else 's'} of these rows (other code, settings or threads) not shown."
        )
    return tuple(notes)
