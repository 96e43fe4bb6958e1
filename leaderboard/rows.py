"""Rows of a board: all the seeds of one configuration, scored again from their stored predictions.

Where one row's code or settings changed between runs, the configuration with the newest run stands; the older ones are
counted, never averaged in. Over seeds: each metric is the mean of its values with each seed (so ``mean`` and ``exact``
are pooled, as every seed answers the same images), or its largest, as the metric says. A metric without a value in one
seed has none in the row.

A row holds figures and codes. What the codes mean in words stands in `leaderboard.render.words`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.metrics import Pair, Scores, metrics, score
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, StoredRun
from benchmark.statistics.groups import Groups
from benchmark.statistics.intervals import Interval, exact_share, interval
from benchmark.structures import Annotations, FloatArray, IntArray, UserError
from leaderboard.staleness import CodeState

ORACLE = "oracle_features"
STRUCTURED = "rule_structured"
EXTERNAL = "external"
TIED = "tied_scores"
FAILED = "failed_seeds"
UNTESTED = "untested"
NO_CATEGORIES = "no_categories"
GIVEN_BOXES = "given_boxes"
STALE = "code_changed"
AT_FLOOR = "label_floor"

MARKS = (ORACLE, STRUCTURED, EXTERNAL, GIVEN_BOXES, TIED, NO_CATEGORIES, AT_FLOOR, STALE, FAILED, UNTESTED)
"""Every mark a row can carry, in the order of the legend."""

Identity = tuple[str, int, str]
"""What makes two runs the same row: detector as named on the board, training images, budget."""


@dataclass(frozen=True, eq=False)
class BoardRow:
    """All the seeds of one configuration.

    Attributes:
        label: Unique on its board.
        config: What was asked for.
        record: That of its first finished run, or of its first run where none has finished.
        runs: The finished ones, by rising seed.
        scores: The table of each run in ``runs``.
        failures: Seed -> why it failed, in one line.
        metrics: Over seeds.
        errors: (S, N) float64 px, the mean error of each image; NaN where an image has nothing to average. Empty where
            its runs were scored against different annotations.
        exact: (S, N) float64, the share of each image's keypoints that is exact; NaN and empty as above.
        code: Whether its code has changed since it was run; None where it has none (predictions of another tool).
        marks: Codes out of `MARKS`.
        interval: Of the mean error; None where there is none.
        exact_interval: Of the share exact; None where there is none.
        position: 1-based place in the order of the board; None for a reference row.
        rank_low: The best rank it may have; None where it is not tested.
        rank_high: The worst rank it may have; None where it is not tested.
        untested: Why it is not tested: "unranked", "other_seeds_or_images", "too_few_answers"; "" where it is.
    """

    label: str
    config: RunConfig
    record: Record
    runs: tuple[StoredRun, ...]
    scores: tuple[Scores, ...]
    failures: dict[int, str]
    metrics: dict[str, float | None]
    errors: FloatArray
    exact: FloatArray
    code: CodeState | None = None
    marks: tuple[str, ...] = ()
    interval: Interval | None = None
    exact_interval: Interval | None = None
    position: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    untested: str = ""

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished."""
        return tuple(run.record.seed for run in self.runs)

    @property
    def error(self) -> str:
        """Why it failed, in one line; "" where every seed finished."""
        return next(iter(self.failures.values()), "")

    @cached_property
    def annotation_digests(self) -> tuple[str, ...]:
        """The digests of what its runs were scored against; one, unless something changed in between."""
        return tuple(dict.fromkeys(run.record.annotations for run in self.runs))

    @cached_property
    def worst(self) -> float:
        """Pixels: the largest error of any image with any seed; 0 where no image has one."""
        known = [table.distances[np.isfinite(table.distances)] for table in self.scores]
        return max((float(values.max()) for values in known if values.size), default=0.0)

    @cached_property
    def fit_seconds(self) -> float | None:
        """Mean over seeds."""
        return _mean([run.record.fit_seconds for run in self.runs])

    @cached_property
    def predict_ms(self) -> float | None:
        """Milliseconds an image, mean over seeds."""
        return _mean([run.record.predict_ms for run in self.runs])

    @cached_property
    def fit_ratio(self) -> float | None:
        """Fit seconds over those of a fixed piece of work on the same machine, mean over seeds: compares across machines."""
        known = [(run.record.fit_seconds, run.record.cost.reference_ms) for run in self.runs]
        ratios = [1000 * fit / reference for fit, reference in known if fit is not None and reference is not None]
        return _mean(ratios) if len(ratios) == len(known) else None

    def cost(self, name: str) -> float | None:
        """A figure of `benchmark.runs.cost.Cost`: mean over the seeds, of memory the most; None where a seed has none."""
        values = [getattr(run.record.cost, name) for run in self.runs]
        if None in values or not values:
            return None
        return float(max(values) if name.endswith("memory") else np.mean(values))

    @cached_property
    def n_parameters(self) -> int | None:
        """Learned parameters (the largest number, should seeds differ)."""
        return max((run.record.n_parameters for run in self.runs if run.record.n_parameters is not None), default=None)

    @cached_property
    def untrained(self) -> dict[str, float]:
        """Scores before any training, mean over the seeds that report them."""
        reports = [run.record.untrained for run in self.runs if run.record.untrained]
        names = dict.fromkeys(name for report in reports for name in report)
        return {name: float(np.mean([r[name] for r in reports if name in r])) for name in names}

    @cached_property
    def hardware(self) -> tuple[str, ...]:
        """The processors and instruction sets its runs were made on, sorted; of those that say so."""
        return tuple(sorted({run.record.facts.hardware for run in self.runs} - {""}))

    @cached_property
    def packages(self) -> dict[str, tuple[str, ...]]:
        """Library -> the versions its runs were made with, sorted."""
        known: dict[str, set[str]] = {}
        facts = {id(run.record.facts): run.record.facts for run in self.runs}  # from an index, seeds share theirs
        for made_with in facts.values():
            for name, version in made_with.packages.items():
                known.setdefault(name, set()).add(version)
        return {name: tuple(sorted(versions)) for name, versions in sorted(known.items())}

    def keypoint(self, name: str) -> dict[str, float | None]:
        """The pixel metrics of one keypoint, over seeds."""
        return over_seeds([table.keypoints[name] for table in self.scores])

    @cached_property
    def taxonomy(self) -> dict[str, float]:
        """Kind of error -> number of keypoints, mean over seeds."""
        names = self.scores[0].taxonomy if self.scores else {}
        return {kind: sum(table.taxonomy[kind] for table in self.scores) / len(self.scores) for kind in names}


_scored: dict[tuple[Hashable, str, bool, Pair | None], Scores] = {}


def rescored(run: StoredRun, pair: Pair | None = None) -> Scores:
    """The table of a finished run, from its stored predictions; each file is scored once a process, or once for an index.

    Args:
        run: Which.
        pair: Two keypoints whose distance errors are set against as well, where the run's annotations have both.

    Raises:
        UserError: Where they, or the annotations, cannot be read.
    """
    annotations = run.annotations  # read, and its digest checked, by every store, also where scores are known already
    has_both = pair is not None and len(set(pair) & set(annotations.keypoint_names)) == 2
    asked = pair if has_both else None
    key = (run.fingerprint, run.record.annotations, run.record.has_confidence, asked)
    if key not in _scored:
        known = run.known_scores if asked is None else None
        if known is None:
            known = score(annotations, run.predictions, has_scores=run.record.has_confidence, pair=asked)
            if asked is None:
                run.keep_scores(known)
        _scored[key] = known
    return _scored[key]


def over_seeds(tables: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The metrics of a row from those of its seeds; None where a seed has none.

    Args:
        tables: Metric -> value, one table a seed.

    Returns:
        Metric -> the mean or the largest of its values, as `benchmark.metrics.Metric.over_seeds` says.
    """
    if not tables:
        return {}
    registered = metrics()
    plain = [table.metrics if isinstance(table, Scores) else table for table in tables]
    shared = set(plain[0]).intersection(*plain[1:])
    names = [name for name in plain[0] if name in shared]
    values = np.array([[table[name] for table in plain] for name in names], dtype=np.float64)  # None becomes NaN
    if not names:
        return {}
    means, largest = values.mean(axis=1).tolist(), values.max(axis=1).tolist()
    return {
        name: None
        if mean != mean and any(table[name] is None for table in plain)  # NaN is looked into: it may be a metric's own
        else most
        if registered[name].over_seeds == "max"
        else mean
        for name, most, mean in zip(names, largest, means, strict=True)
    }


def newest(runs: Sequence[StoredRun]) -> tuple[dict[Identity, list[StoredRun]], int]:
    """The runs of each row, by rising seed, and how many older settings of a row were left out.

    Where a row was run with several settings (threads, parameters that its name does not show) or several states of its
    code, those of the newest run stand: seeds of different code are never averaged. A run that failed may not have come to
    import all that the others did, so of it only the files that both know are compared.

    Args:
        runs: The runs of one board.

    Returns:
        Row -> its runs; and the number of settings left out.
    """
    by_row: dict[Identity, list[StoredRun]] = {}
    for run in runs:
        config = run.record.config
        by_row.setdefault((config.detector, config.n_train, config.budget), []).append(run)
    shown, older = {}, 0
    for identity, of_row in by_row.items():
        settings: list[list[StoredRun]] = []
        latest_first = sorted(of_row, key=lambda r: (r.record.status == "finished", r.record.created), reverse=True)
        for run in latest_first:
            same = next((setting for setting in settings if _same_setting(setting[0].record, run.record)), None)
            if same is None:
                settings.append([run])
            else:
                same.append(run)
        last = max(settings, key=lambda setting: max(r.record.created for r in setting))
        shown[identity] = sorted(last, key=lambda r: r.record.seed)
        older += len(settings) - 1
    return shown, older


def _same_setting(record: Record, other: Record) -> bool:
    """Whether two runs are seeds of one setting: the same config, and the same code as far as both tell."""
    if record.config != other.config and record.config.digest != other.config.digest:
        return False
    code, theirs = record.facts.code, other.facts.code
    if "failed" in (record.status, other.status):
        return all(code[label] == theirs[label] for label in code.keys() & theirs.keys())
    return sorted(code.values()) == sorted(theirs.values())


def labels_of(identities: Iterable[Identity]) -> dict[Identity, str]:
    """A name a row, unique on its board.

    It shows the training images where rows differ in them (0: unknown, another tool's), and any budget but the recipe's.
    """
    known = list(identities)
    several = len({n for _, n, _ in known if n}) > 1
    labels = {
        (name, n, budget): name + (f" n{n}" if several and n else "") + ("" if budget == "recipe" else f" {budget}")
        for name, n, budget in known
    }
    taken = {label for (_, n, _), label in labels.items() if n}
    for identity in [identity for identity in labels if not identity[1]]:
        while labels[identity] in taken:
            labels[identity] += " (external)"
        taken.add(labels[identity])
    return labels


def make_row(label: str, runs: Sequence[StoredRun], code: CodeState | None, pair: Pair | None = None) -> BoardRow:
    """The row of some runs that differ in their seeds alone.

    Args:
        label: What it is called on its board.
        runs: At least one; those that failed, or cannot be read, become its failures.
        code: Whether its code has changed since.
        pair: See `rescored`.
    """
    done, tables, failures = [], [], {}
    for run in runs:
        if run.record.status == "failed":
            failures[run.record.seed] = run.record.error or "failed; its log.txt says more"
            continue
        try:
            tables.append(rescored(run, pair))
        except UserError as error:
            failures[run.record.seed] = str(error)
        else:
            done.append(run)
    record = (done or list(runs))[0].record
    carried = {
        ORACLE: any(run.record.oracle_features for run in done),
        STRUCTURED: record.rule_structured,
        EXTERNAL: record.external,
        TIED: any(table.flags["tied_scores"] for table in tables),
        GIVEN_BOXES: any(run.record.given_boxes for run in done),
        NO_CATEGORIES: not all(run.record.tells_categories for run in done),
        STALE: code is not None and code.status == "changed",
        FAILED: bool(done and failures),
    }
    empty = np.zeros((0, 0))
    same = len({run.record.annotations for run in done}) == 1
    errors = np.stack([table.distances for table in tables]) if same else empty
    if same and not tables[0].flags["multi_instance"]:
        errors = errors * _image_weights(done[0].annotations)
    exact = np.stack([table.exact for table in tables]) if same else empty
    known, lattice = answered(errors), answered(exact)
    annotations = done[0].annotations if done else None
    return BoardRow(
        label=label,
        config=record.config,
        record=record,
        runs=tuple(done),
        scores=tuple(tables),
        failures=failures,
        metrics=over_seeds(tables),
        errors=errors,
        exact=exact,
        code=code,
        marks=tuple(mark for mark in MARKS if carried.get(mark)),
        interval=interval(errors[:, known], groups=groups_of(annotations, known)) if len(known) else None,
        exact_interval=exact_share(exact[:, lattice], groups=groups_of(annotations, lattice)) if len(lattice) else None,
    )


def _image_weights(annotations: Annotations) -> FloatArray:
    """What an image's mean error counts for in the mean over keypoints, 1 on average: (N,) float64.

    All ones where images hold equally many labelled keypoints. With these weights the mean over images is the metric
    ``mean``, so ranks and intervals are about the figure that rows are ordered by.
    """
    labelled = np.bincount(annotations.index, (annotations.visible > 0).sum(axis=1), minlength=len(annotations))
    known = labelled[labelled > 0]
    if not len(known) or known.min() == known.max():
        return np.ones(len(annotations))
    return np.asarray(labelled / known.mean(), dtype=np.float64)


def answered(values: FloatArray) -> IntArray:
    """The positions of the columns (images) that have a value with every seed."""
    return np.flatnonzero(np.isfinite(values).all(axis=0)) if values.size else np.zeros(0, dtype=np.int64)


def groups_of(annotations: Annotations | None, images: IntArray) -> Groups | None:
    """The groups of some images, by their positions; None where the annotations name none, or each is alone in its own."""
    if annotations is None or annotations.groups is None:
        return None
    return Groups.of([annotations.groups[i] for i in images.tolist()])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
