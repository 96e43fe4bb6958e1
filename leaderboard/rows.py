"""Rows of a board: all the seeds of one recipe, scored again from their stored predictions.

Where one row's code or settings changed between runs, the recipe with the newest run stands; the older ones are
counted, never averaged in. Over seeds: each metric is the mean of its values with each seed (so ``mean`` and ``exact``
are pooled, as every seed answers the same images), ``max`` the largest of any seed. A metric without a value in one
seed has none in the row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.metrics import Scores, score
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, StoredRun
from benchmark.statistics.uncertainty import Interval, exact_share, interval
from benchmark.structures import FloatArray, UserError

ORACLE = "oracle features"
STRUCTURED = "rule-structured"
EXTERNAL = "external"
TIED = "tied scores"
FAILED = "failed seeds"
UNTESTED = "not tested"

LEGEND: dict[str, tuple[str, str]] = {
    ORACLE: ("o", "oracle features: a linear fit on its hand-made inputs is at least 99.9 % exact on train"),
    STRUCTURED: ("r", "rule-structured: the network's structure is the rule of a task itself"),
    EXTERNAL: ("e", "external: predictions made by another tool"),
    TIED: ("t", "tied scores: it has no confidence, or equal ones, so its AP changes with the order of the images"),
    FAILED: ("f", "failed seeds: some seeds failed; the figures are those of the others"),
    UNTESTED: (
        "s",
        "not tested: made with other seeds than most rows, scored against another annotations, or too few answers",
    ),
}

Identity = tuple[str, int, str]
"""What makes two runs the same row: detector as named on the board, training images, budget."""


@dataclass(frozen=True, eq=False)
class BoardRow:
    """All the seeds of one recipe.

    label: unique on its board. runs: the finished ones by rising seed, of which ``scores`` holds the tables.
    failures: seed -> why, in one line. metrics: over seeds. errors, exact: (S, N) px and shares, an image a column, NaN
    where an image has nothing to average. tier, p: None where untested, and ``why`` says so.
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
    marks: tuple[str, ...] = ()
    interval: Interval | None = None
    exact_interval: Interval | None = None
    rank: int | None = None
    tier: int | None = None
    p: float | None = None
    why: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished."""
        return tuple(run.record.seed for run in self.runs)

    @property
    def error(self) -> str:
        """Why it failed, in one line; "" where every seed finished."""
        return next(iter(self.failures.values()), "")

    @property
    def annotation_digests(self) -> tuple[str, ...]:
        """The digests of what its runs were scored against; one, unless something changed in between."""
        return tuple(dict.fromkeys(run.record.annotations for run in self.runs))

    @property
    def fit_seconds(self) -> float | None:
        """Mean over seeds."""
        return _mean([run.record.fit_seconds for run in self.runs])

    @property
    def predict_ms(self) -> float | None:
        """Milliseconds an image, mean over seeds."""
        return _mean([run.record.predict_ms for run in self.runs])

    @property
    def n_parameters(self) -> int | None:
        """Learned parameters (the largest number, should seeds differ)."""
        return max((run.record.n_parameters for run in self.runs if run.record.n_parameters is not None), default=None)

    @property
    def untrained(self) -> dict[str, float]:
        """Scores before any training, mean over the seeds that report them."""
        reports = [run.record.untrained for run in self.runs if run.record.untrained]
        names = dict.fromkeys(name for report in reports for name in report)
        return {name: float(np.mean([r[name] for r in reports if name in r])) for name in names}


_scored: dict[tuple[Hashable, str, bool], Scores] = {}


def rescored(run: StoredRun) -> Scores:
    """The table of a finished run, from its stored predictions; each file is scored once a process.

    UserError where they, or the annotations, cannot be read.
    """
    annotations = run.annotations  # read, and its digest checked, by every store, also where scores are known already
    key = (run.fingerprint, run.record.annotations, run.record.has_confidence)
    if key not in _scored:
        _scored[key] = score(annotations, run.predictions, has_scores=run.record.has_confidence)
    return _scored[key]


def over_seeds(tables: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The metrics of a row from those of its seeds: the mean of each, of ``max`` the largest; None where one has none."""
    if not tables:
        return {}
    names = [name for name in tables[0] if all(name in table for table in tables)]
    found: dict[str, float | None] = {}
    for name in names:
        values = [table[name] for table in tables]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            found[name] = None
        else:
            found[name] = max(known) if name == "max" else float(np.mean(known))
    return found


def newest(runs: Sequence[StoredRun]) -> tuple[dict[Identity, list[StoredRun]], int]:
    """The runs of each row, by rising seed, and how many older settings of a row were left out.

    Where a row was run with several settings (threads, parameters that its name does not show) or several states of its
    code, those of the newest run stand: seeds of different code are never averaged.
    """
    by_row: dict[Identity, dict[str, list[StoredRun]]] = {}
    for run in runs:
        config = run.record.config
        identity = (config.detector, config.n_train, config.budget)
        setting = f"{config.digest} {sorted(run.record.facts.code.values())}"
        by_row.setdefault(identity, {}).setdefault(setting, []).append(run)
    shown, older = {}, 0
    for identity, settings in by_row.items():
        last = max(settings, key=lambda setting: (max(r.record.created for r in settings[setting]), setting))
        shown[identity] = sorted(settings[last], key=lambda r: r.record.seed)
        older += len(settings) - 1
    return shown, older


def labels_of(identities: Iterable[Identity]) -> dict[Identity, str]:
    """A name a row, unique on its board: training images where rows differ in them (0: unknown, another tool's), and any
    budget but the recipe's."""
    known = list(identities)
    several = len({n for _, n, _ in known if n}) > 1
    labels = {
        (name, n, budget): name + (f" n{n}" if several and n else "") + ("" if budget == "recipe" else f" {budget}")
        for name, n, budget in known
    }
    ours = {label for (_, n, _), label in labels.items() if n}
    return {i: f"{label} (external)" if not i[1] and label in ours else label for i, label in labels.items()}


def make_row(label: str, runs: Sequence[StoredRun]) -> BoardRow:
    done, tables, failures = [], [], {}
    for run in runs:
        if run.record.status == "failed":
            failures[run.record.seed] = run.record.error or "failed; its log.txt says more"
            continue
        try:
            tables.append(rescored(run))
        except UserError as error:
            failures[run.record.seed] = str(error)
        else:
            done.append(run)
    record = (done or list(runs))[0].record
    marks = [
        mark
        for mark, holds in (
            (ORACLE, any(run.record.oracle_features for run in done)),
            (STRUCTURED, record.rule_structured),
            (EXTERNAL, record.external),
            (TIED, any(table.flags["tied_scores"] for table in tables)),
            (FAILED, bool(done and failures)),
        )
        if holds
    ]
    empty = np.zeros((0, 0))
    same = len({run.record.annotations for run in done}) == 1
    errors = np.stack([table.distances for table in tables]) if same else empty
    exact = np.stack([table.exact for table in tables]) if same else empty
    known, lattice = complete(errors), complete(exact)
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
        marks=tuple(marks),
        interval=interval(known) if known.size else None,
        exact_interval=exact_share(lattice) if lattice.size else None,
    )


def complete(values: FloatArray) -> FloatArray:
    """The columns (images) that have a value with every seed."""
    return values[:, np.isfinite(values).all(axis=0)] if values.size else values


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
