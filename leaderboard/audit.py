"""The audit: everything stored is checked against what must be true of it, independently of how it was made.

Each check passes, fails, notes something, or does not apply, and names the runs it failed on. `leaderboard.identities`
holds what must be true of one table; here are the checks of records, of boards and of the data. A check holds codes and
figures; `leaderboard.render.audit_words` says what was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.metrics import metrics
from benchmark.runs.data import told_of
from benchmark.runs.store import FolderRun, Results, Store, StoredRun
from benchmark.structures import UserError
from leaderboard.identities import baseline_metrics, broken, broken_with_baseline, differences, miscounted
from leaderboard.pycocotools_scores import pycocotools_scores
from leaderboard.rows import labels_of, newest, rescored
from leaderboard.staleness import CodeNow

if TYPE_CHECKING:
    from datasets.dataset import Dataset
    from datasets.formats.reading import ReadOptions

Status = Literal["passed", "failed", "noted", "not applicable"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "noted", "not applicable")
CHECKS = (
    "records",
    "keys",
    "provenance",
    "annotations",
    "rescoring",
    "pycocotools",
    "identities",
    "baseline",
    "counts",
    "tied_scores",
    "oracle_features",
    "code",
    "overlap",
)
"""The code of every check, in their order."""

NEAR = 1e-9
"""The largest difference between pycocotools' figures and ours that is rounding."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        code: One of `CHECKS`.
        status: "passed"; "failed"; "noted": nothing is wrong, and there is something to know (``remarks``); or "not
            applicable": there was nothing to look at.
        values: On how much, and other figures and names; see `leaderboard.render.audit_words.CHECKS`.
        problems: What is wrong, one a run (or board, or data set), with the figures.
        remarks: What is to be known, likewise.
    """

    code: str
    status: Status
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The checks of an audit.

    Attributes:
        folder: Of the results.
        runs: How many there are.
        failures: How many of them are failed runs.
        checks: In the order of `CHECKS`.
    """

    folder: Path
    runs: int
    failures: int
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.status == "failed" for check in self.checks)

    @property
    def counts(self) -> dict[Status, int]:
        """Number of checks of each status."""
        return {status: sum(check.status == status for check in self.checks) for status in STATUSES}

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "folder": str(self.folder),
            "runs": self.runs,
            "failed_runs": self.failures,
            "failed": self.failed,
            "checks": [
                {
                    "name": check.code,
                    "status": check.status,
                    "values": dict(check.values),
                    "problems": list(check.problems),
                    "remarks": list(check.remarks),
                }
                for check in self.checks
            ],
        }


def audit(results: Results, folders: Sequence[Path] = (), known: Sequence[Dataset] = ()) -> Report:
    """Check every stored run. Nothing is changed; whatever is broken becomes a problem of the report.

    Args:
        results: Where the runs are.
        folders: Folders or files of data sets, besides those under ``_data`` of the results and those that the runs
            name, in which to look for test images among the training images.
        known: Data sets that are at hand, likewise.
    """
    runs, records = _records(results)
    finished = [run for run in runs if run.record.status == "finished"]
    readable, rescoring = _rescoring(finished)
    data, unreadable = _data(runs, results.root, folders)
    data.update({dataset.digest: dataset for dataset in known})
    checks = (
        records,
        _keys(runs),
        _provenance(finished),
        _one_annotations(runs, data),
        rescoring,
        _pycocotools(readable),
        _identities(readable),
        _baselines(readable),
        _counts(readable),
        _tied(readable),
        _oracle(finished, data),
        _code(runs, results.root),
        _overlap(runs, data, unreadable),
    )
    return Report(results.root, len(runs), len(runs) - len(finished), checks)


def overlaps(splits: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], set[str]]:
    """The images that two splits share, by content.

    Args:
        splits: Split -> digests of its images.

    Returns:
        (split, split) -> digests, for the pairs that share any.
    """
    sets = {name: set(digests) for name, digests in splits.items()}
    pairs = {(a, b): sets[a] & sets[b] for a, b in combinations(sets, 2)}
    return {pair: shared for pair, shared in pairs.items() if shared}


def _records(results: Results) -> tuple[list[StoredRun], Check]:
    """Every run that can be read: in a folder of results, every ``run.json``, wherever it lies."""
    runs: list[StoredRun] = []
    problems = []
    if isinstance(results, Store):
        for path in sorted(results.root.rglob("run.json")):
            if any(part.startswith((".", "_")) for part in path.relative_to(results.root).parts[:-1]):
                continue
            try:
                runs.append(results.read(path.parent))
            except UserError as error:
                problems.append(str(error))
    else:
        try:
            runs += results.runs()
        except UserError as error:
            problems.append(str(error))
    return runs, _check("records", problems, runs or problems, records=len(runs) + len(problems))


def _keys(runs: Sequence[StoredRun]) -> Check:
    """A key is that of its configuration and seed, and the folder is where they say."""
    problems = []
    for run in runs:
        record = run.record
        key = record.config.key(record.seed)
        if record.key != key:
            problems.append(f"{run.title}: its key {record.key} is not its configuration's, {key}")
        elif isinstance(run, FolderRun):
            folder = run.store.folder(record.config, record.seed)
            if run.folder.resolve() != folder.resolve():
                problems.append(f"{run.title}: lies in {run.folder}, where its configuration does not put it")
    return _check("keys", problems, runs, runs=len(runs))


def _provenance(finished: Sequence[StoredRun]) -> Check:
    own = [run for run in finished if not run.record.external]
    problems = [
        f"{run.title}: does not say when or on what it was made"
        for run in own
        if not (run.record.created and run.record.facts.python)
    ]
    return _check("provenance", problems, own, runs=len(own))


def _one_annotations(runs: Sequence[StoredRun], data: Mapping[str, Dataset]) -> Check:
    """All rows of a board were scored against one set of annotations, and it is the test split of the data."""
    boards: dict[tuple[str, int, str, int], dict[str, list[StoredRun]]] = {}
    for run in runs:
        config = run.record.config
        board = (config.task, config.version, config.data_digest, config.folds)
        boards.setdefault(board, {}).setdefault(run.record.annotations, []).append(run)
    problems = []
    for (task, version, digest, folds), sets in boards.items():
        if len(sets) > 1:
            rarest = min(sets.values(), key=len)
            problems.append(
                f"{task}@{version}: {len(sets)} sets of annotations; the rarest is that of {rarest[0].title}"
            )
        dataset = data.get(digest)
        if dataset is not None and not folds and (other := set(sets) - {dataset.test.annotations.digest[:16]}):
            problems.append(f"{task}@{version}: annotations {min(other)} are not those of the data's test split")
    return _check("annotations", problems, boards, boards=len(boards))


def _rescoring(finished: Sequence[StoredRun]) -> tuple[list[StoredRun], Check]:
    """The runs that can be scored again, and whether that gives what is stored."""
    readable, problems = [], []
    for run in finished:
        try:
            again = rescored(run).as_dict()
        except UserError as error:
            problems.append(f"{run.title}: {error}")
            continue
        readable.append(run)
        if changed := differences(_comparable(run.record.scores, again), again):
            more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
            problems.append(f"{run.title}: {changed[0]}{more}")
    return readable, _check("rescoring", problems, finished, runs=len(finished))


def _comparable(stored: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """Stored scores without what may differ: sentences, and metrics that are not for such data any more."""
    apart = {"reasons", *(metrics().keys() - again.keys())}
    kept = {name: value for name, value in stored.items() if name not in apart}
    if isinstance(tables := kept.get("keypoints"), Mapping):
        kept["keypoints"] = {
            keypoint: {name: value for name, value in table.items() if name not in apart}
            if isinstance(table, Mapping)
            else table
            for keypoint, table in tables.items()
        }
    return kept


def _pycocotools(runs: Sequence[StoredRun]) -> Check:
    """AP and AR of every run, computed a second time by pycocotools from the stored predictions."""
    problems = []
    largest, where = 0.0, ""
    for run in runs:
        ours = rescored(run)
        for name, theirs in pycocotools_scores(run.annotations, run.predictions).items():
            own = ours.get(name)
            if own is None and theirs is None:
                continue
            gap = abs(own - theirs) if own is not None and theirs is not None else np.inf
            if gap > largest:
                largest, where = gap, f"{run.title}, {name}"
            if not gap <= NEAR:
                problems.append(f"{run.title}: {name} is {own!r}, and by pycocotools {theirs!r}")
    values = {"largest": largest if np.isfinite(largest) else None, "where": where}
    return _check("pycocotools", problems, runs, runs=len(runs), **values)


def _identities(runs: Sequence[StoredRun]) -> Check:
    problems = [f"{run.title}: {text}" for run in runs for text in broken(_stored_metrics(run))]
    return _check("identities", problems, runs, runs=len(runs))


def _baselines(runs: Sequence[StoredRun]) -> Check:
    """R2 against the table of the training mean."""
    known = {run.record.annotations: run for run in runs}
    tables = {digest: baseline_metrics(run.annotations) for digest, run in known.items()}
    having = [run for run in runs if tables[run.record.annotations] is not None]
    problems = []
    for run in having:
        if table := tables[run.record.annotations]:
            texts = broken_with_baseline(_stored_metrics(run), table, run.annotations)
            problems += [f"{run.title}: {text}" for text in texts]
    return _check("baseline", problems, having, runs=len(having))


def _counts(runs: Sequence[StoredRun]) -> Check:
    """`mean`, `exact` and `r2` of one-instance data, counted again image by image."""
    single = [run for run in runs if run.annotations.complete]
    problems = [
        f"{run.title}: {text}"
        for run in single
        for text in miscounted(_stored_metrics(run), run.annotations, run.predictions)
    ]
    return _check("counts", problems, single, runs=len(single))


def _tied(runs: Sequence[StoredRun]) -> Check:
    """Whether AP is marked as tied where, and only where, scores tie or carry nothing."""
    problems, marked = [], []
    for run in runs:
        scores = run.predictions.scores.tolist()
        tied = not run.record.has_confidence or len(set(scores)) < len(scores)
        if tied:
            marked.append(run.record.config.detector)
        if run.record.scores.get("flags", {}).get("tied_scores") != tied:
            problems.append(f"{run.title}: its AP is {'not ' if tied else ''}marked as tied, wrongly")
    return _check("tied_scores", problems, runs, runs=len(runs), marked=list(dict.fromkeys(marked)))


def _oracle(finished: Sequence[StoredRun], data: Mapping[str, Dataset]) -> Check:
    """Oracle features: the same for every seed that trained on all images, and as a linear fit says.

    The fit is made where the data and the detector's code are at hand.
    """
    largest: dict[tuple[str, str], int] = {}
    for run in finished:
        config = run.record.config
        board = (config.task, config.data_digest)
        largest[board] = max(largest.get(board, 0), config.n_train)
    by_config: dict[str, list[StoredRun]] = {}
    for run in finished:
        config = run.record.config
        if config.n_train == largest[config.task, config.data_digest]:
            by_config.setdefault(config.digest, []).append(run)
    problems, again = [], 0
    for seeds in by_config.values():
        marks = {run.record.oracle_features for run in seeds}
        if len(marks) > 1:
            problems.append(f"{seeds[0].title}: its seeds disagree on oracle features")
        elif (holds := _holds_the_answer(seeds[0], data)) is not None:
            again += 1
            if holds not in marks:
                problems.append(
                    f"{seeds[0].title}: is {'not ' if holds else ''}marked, and a linear fit says it should "
                    f"{'' if holds else 'not '}be"
                )
    marked = [run.record.config.detector for run in finished if run.record.oracle_features]
    unmarked = dict.fromkeys(
        run.record.config.detector
        for run in finished
        if run.record.scores.get("exact") == 1
        and not (
            run.record.oracle_features or not run.record.ranked or run.record.rule_structured or run.record.external
        )
    )
    return _check(
        "oracle_features",
        problems,
        finished,
        runs=len(finished),
        marked=list(dict.fromkeys(marked)),
        exact_unmarked=list(unmarked),
        fitted_again=again,
        configurations=len(by_config),
    )


def _holds_the_answer(run: StoredRun, data: Mapping[str, Dataset]) -> bool | None:
    """Whether a linear fit on the run's features holds the answer; None where its data or its code are not at hand."""
    from benchmark.registry import is_on_offer, resolve
    from benchmark.runs.execute import holds_the_answer
    from benchmark.runs.plan import changed_since

    config = run.record.config
    dataset = data.get(config.data_digest)
    if dataset is None or config.folds or config.n_train != len(dataset.train) or run.record.external:
        return None
    try:
        if not is_on_offer(config.detector):  # a record may come from anybody: no code is loaded because one says where
            return None
        spec = resolve(config.detector)
        if changed_since(run.record, spec.code(run.record.facts.code), None):
            return None
        return holds_the_answer(spec.build(), dataset.train)
    except UserError:
        return None


def _code(runs: Sequence[StoredRun], root: Path) -> Check:
    """The rows whose code has changed since they were run; they stand, and whoever reads them should know."""
    boards: dict[tuple[str, int, str, int], list[StoredRun]] = {}
    for run in runs:
        config = run.record.config
        boards.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run)
    now = CodeNow()
    rows = changed = unknown = 0
    remarks = []
    for members in boards.values():
        shown, _ = newest(members)
        labels = labels_of(shown)
        for identity, seeds in shown.items():
            record = seeds[0].record
            state = now.state(record, root)
            if state is None:
                continue
            rows += 1
            unknown += state.status == "unknown"
            if state.status == "changed":
                changed += 1
                where = f"{record.config.task}@{record.config.version}/{record.config.data} {labels[identity]}"
                remarks.append(f"{where}: {', '.join(state.files) if state.recorded else 'code not recorded'}")
    status: Status = "noted" if changed else "passed" if rows else "not applicable"
    values = {"rows": rows, "changed": changed, "unknown": unknown}
    return Check("code", status, values, remarks=tuple(sorted(remarks)))


def _data(runs: Sequence[StoredRun], root: Path, folders: Sequence[Path]) -> tuple[dict[str, Dataset], list[str]]:
    """The data sets of the runs, by digest, and what is wrong with those that cannot be read."""
    from datasets import formats
    from datasets.formats.coco_folder import read_card

    digests = {run.record.config.data_digest for run in runs}
    places, problems = _places(runs, root)
    known = {}
    exported = [path.parent for path in sorted((root / "_data").glob("*/card.json"))]
    for path, split, options in [*((path, 0, None) for path in (*exported, *folders)), *places]:
        try:
            if path in exported and read_card(path / "card.json").digest not in digests:
                continue
            dataset = formats.read(path, split, options)
        except UserError as error:
            problems.append(str(error))
        else:
            if dataset.digest in digests:
                known[dataset.digest] = dataset
    return known, problems


def _places(runs: Sequence[StoredRun], root: Path) -> tuple[list[tuple[Path, int, ReadOptions]], list[str]]:
    """Where the runs' own data is, as far as it is there, with split and options; and records that say it wrongly."""
    places: dict[tuple[Path, int, ReadOptions], None] = {}
    problems = []
    for run in runs:
        if not (where := run.record.facts.data):
            continue
        results = run.store.root if isinstance(run, FolderRun) else root
        try:
            options = told_of(run, results)
        except UserError as error:
            problems.append(str(error))
            continue
        if (results / where).exists() and (not options.sigmas or Path(options.sigmas).exists()):
            places[results / where, run.record.config.split, options] = None
    return sorted(places, key=str), problems


def _overlap(runs: Sequence[StoredRun], data: Mapping[str, Dataset], unreadable: Sequence[str]) -> Check:
    """No image of one split or fold, nor one nearly the same, is in another; the stored baseline is the mean of train."""
    from datasets.near_duplicates import FOLD, MOST_COMPARED, near_duplicates
    from datasets.splits import digests

    problems, compared = list(unreadable), True
    wanted = {(r.record.config.data_digest, r.record.config.folds): r for r in runs if not r.record.external}
    for (digest, folds), run in wanted.items():
        if digest not in data:
            continue
        splits = data[digest].splits
        parts = splits
        if folds:
            parts = {f"{FOLD} {i}": part.test for i, part in enumerate(data[digest].folds(folds))}
        for (a, b), shared in overlaps({name: digests(part.images) for name, part in parts.items()}).items():
            problems.append(f"{run.record.config.data}: {len(shared)} images of {a} are also in {b}")
        if sum(map(len, parts.values())) > MOST_COMPARED:
            compared = False
        elif alike := [pair for pair in near_duplicates(parts) if pair.correlation < 1]:
            first = alike[0]
            problems.append(
                f"{run.record.config.data}: {len(alike)} images of one split or fold are nearly the same as one of another, "
                f"as {first.names[0]} ({first.splits[0]}) and {first.names[1]} ({first.splits[1]})"
            )
        train, test = splits["train"].annotations, splits["test"].annotations
        if test.baseline is not None and train.complete:
            gap = float(np.abs(test.baseline - train.points.mean(axis=0)).max())
            if gap > NEAR:
                problems.append(f"{run.record.config.data}: the baseline is {gap:g} px off the mean of train")
    missing = [run.record.config.data for (digest, _), run in wanted.items() if digest not in data]
    at_hand = len({digest for digest, _ in wanted} & data.keys())
    values = {"data_sets": at_hand, "missing": list(dict.fromkeys(missing)), "compared": compared}
    return _check("overlap", problems, data or problems, **values)


def _check(code: str, problems: Sequence[str], concerned: object, **values: Any) -> Check:
    """A check of ``concerned``, whatever was looked at; where it is empty the check does not apply."""
    status: Status = "failed" if problems else "passed" if concerned else "not applicable"
    return Check(code, status, values, tuple(problems))


def _stored_metrics(run: StoredRun) -> Mapping[str, float | None]:
    """The numbers of ``run.json``: those are audited, not fresh ones."""
    return {
        name: value for name, value in run.record.scores.items() if value is None or isinstance(value, (int, float))
    }
