"""The audit: everything stored is checked against what must be true of it, independently of how it was made.

Each check passes, fails, or does not apply, and names the runs it failed on. `leaderboard.identities` holds what must be
true of one table; here are the checks of files, of boards and of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.runs.store import Store, StoredRun
from benchmark.structures import UserError
from leaderboard.identities import baseline_metrics, broken, broken_with_baseline, differences, miscounted
from leaderboard.rows import rescored

if TYPE_CHECKING:
    from rich.console import Console

    from datasets.dataset import Dataset

Status = Literal["passed", "failed", "not applicable"]
SHOWN = 8


@dataclass(frozen=True)
class Check:
    """What was checked, on how much, and what is wrong, an entry a run (or board, or folder)."""

    name: str
    status: Status
    detail: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The checks of an audit."""

    folder: Path
    runs: int
    failures: int
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.status == "failed" for check in self.checks)

    @property
    def summary(self) -> str:
        """The outcome in a line."""
        count = {
            status: sum(c.status == status for c in self.checks) for status in ("passed", "failed", "not applicable")
        }
        counts = ", ".join(f"{number} {status}" for status, number in count.items())
        return f"{self.folder}: {self.runs} runs ({self.failures} of them failed runs); checks: {counts}"

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "folder": str(self.folder),
            "runs": self.runs,
            "failed_runs": self.failures,
            "failed": self.failed,
            "checks": [
                {"name": c.name, "status": c.status, "detail": c.detail, "problems": list(c.problems)}
                for c in self.checks
            ],
        }

    def render(self, console: Console) -> None:
        """Print it: a paragraph a check, with the first problems of each that failed, as wide as the console."""
        from rich.table import Table
        from rich.text import Text

        styles = {"passed": "green", "failed": "bold red", "not applicable": "dim"}
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in self.checks:
            table.add_row(Text(check.status, styles[check.status]), Text(f"{check.name}: {check.detail}"))
            for problem in check.problems[:SHOWN]:
                table.add_row("", Text(f"- {problem}", "red"))
            if len(check.problems) > SHOWN:
                table.add_row("", Text(f"- and {len(check.problems) - SHOWN} more (--json has all)", "dim"))
        console.print(table)
        console.print(self.summary, style="bold", highlight=False, markup=False)

    def markdown(self) -> str:
        """The same as a markdown document."""
        lines = ["# Audit", "", self.summary, "", "| check | outcome | on |", "| :-- | :-- | :-- |"]
        lines += [f"| {c.name} | {c.status} | {c.detail} |".replace("\n", " ") for c in self.checks]
        for check in self.checks:
            if check.problems:
                lines += ["", f"## {check.name}", "", *(f"- {problem}" for problem in check.problems)]
        return "\n".join(lines) + "\n"


def audit(store: Store, folders: Sequence[Path] = ()) -> Report:
    """Check every stored run.

    folders: COCO keypoint folders of data sets, besides those under ``_data`` of the results, in which to look for test
    images among the training images. Nothing is changed; whatever is broken becomes a problem of the report.
    """
    runs, records = _records(store)
    finished = [run for run in runs if run.record.status == "finished"]
    readable, rescoring = _rescoring(finished)
    data, unreadable = _data({run.record.config.data_digest for run in runs}, store.root, folders)
    checks = (
        records,
        _places(runs),
        _provenance(finished),
        _one_annotations(runs, data),
        rescoring,
        _identities(readable),
        _baselines(readable),
        _counts(readable),
        _tied(readable),
        _oracle(finished, data),
        _overlap(runs, data, unreadable),
    )
    return Report(store.root, len(runs), len(runs) - len(finished), checks)


def overlaps(splits: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], set[str]]:
    """The images that two splits share, by content: (split, split) -> digests, for the pairs that share any."""
    sets = {name: set(digests) for name, digests in splits.items()}
    pairs = {(a, b): sets[a] & sets[b] for a, b in combinations(sets, 2)}
    return {pair: shared for pair, shared in pairs.items() if shared}


def _records(store: Store) -> tuple[list[StoredRun], Check]:
    """Every run whose ``run.json`` is one, wherever it lies."""
    runs, problems = [], []
    for path in sorted(store.root.rglob("run.json")):
        if any(part.startswith((".", "_")) for part in path.relative_to(store.root).parts[:-1]):
            continue
        try:
            runs.append(store.read(path.parent))
        except UserError as error:
            problems.append(str(error))
    return runs, _check(
        "records", f"{len(runs) + len(problems)} run.json against their schema", problems, runs or problems
    )


def _places(runs: Sequence[StoredRun]) -> Check:
    """A key is that of its recipe and seed, and the folder is where they say."""
    problems = []
    for run in runs:
        record = run.record
        if record.key != record.config.key(record.seed):
            problems.append(f"{_name(run)}: its key {record.key} is not its recipe's, {record.config.key(record.seed)}")
        elif run.folder.resolve() != run.store.folder(record.config, record.seed).resolve():
            problems.append(f"{_name(run)}: lies in {run.folder}, where its recipe does not put it")
    return _check("keys", f"{_number(runs, 'run')}: the key is that of recipe and seed", problems, runs)


def _provenance(finished: Sequence[StoredRun]) -> Check:
    own = [run for run in finished if not run.record.external]
    problems = [
        f"{_name(run)}: does not say when or on what it was made"
        for run in own
        if not (run.record.created and run.record.facts.python)
    ]
    return _check("provenance", f"{_number(own, 'run')}: when and on what machine it was made", problems, own)


def _one_annotations(runs: Sequence[StoredRun], data: Mapping[str, Dataset]) -> Check:
    """All rows of a board were scored against one set of annotations, and it is the test split of the data."""
    groups: dict[tuple[str, int, str, int], dict[str, list[StoredRun]]] = {}
    for run in runs:
        config = run.record.config
        board = (config.task, config.version, config.data_digest, config.folds)
        groups.setdefault(board, {}).setdefault(run.record.annotations, []).append(run)
    problems = []
    for (task, version, digest, folds), annotation_digests in groups.items():
        if len(annotation_digests) > 1:
            least = min(annotation_digests.values(), key=len)
            problems.append(
                f"{task}@{version}: {len(annotation_digests)} annotation_digests; the rarest is that of {_name(least[0])}"
            )
        folder = data.get(digest)
        if (
            folder is not None
            and not folds
            and (other := set(annotation_digests) - {folder.test.annotations.digest[:16]})
        ):
            problems.append(f"{task}@{version}: annotations {min(other)} is not that of the data's test split")
    return _check("one set of annotations a board", f"{_number(groups, 'board')}", problems, groups)


def _rescoring(finished: Sequence[StoredRun]) -> tuple[list[StoredRun], Check]:
    """The runs that can be scored again, and whether that gives what is stored."""
    readable, problems = [], []
    for run in finished:
        try:
            again = rescored(run).as_dict()
        except UserError as error:
            problems.append(f"{_name(run)}: {error}")
            continue
        readable.append(run)
        if found := differences(run.record.scores, again):
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            problems.append(f"{_name(run)}: {found[0]}{more}")
    detail = f"{_number(finished, 'run')}: predictions.json scored again equals run.json to 1e-12"
    return readable, _check("re-scoring", detail, problems, finished)


def _identities(runs: Sequence[StoredRun]) -> Check:
    problems = [f"{_name(run)}: {words}" for run in runs for words in broken(_stored_metrics(run))]
    detail = f"{_number(runs, 'run')}: mse = sqdist_avg / 2, dist_avg <= rms, mean <= rmse, median <= p95 <= max, shares in [0, 1]"
    return _check("identities", detail, problems, runs)


def _baselines(runs: Sequence[StoredRun]) -> Check:
    """R2 against the table of the training mean."""
    known = {run.record.annotations: run for run in runs}
    tables = {digest: baseline_metrics(run.annotations) for digest, run in known.items()}
    having = [run for run in runs if tables[run.record.annotations] is not None]
    problems = []
    for run in having:
        if table := tables[run.record.annotations]:
            problems += [
                f"{_name(run)}: {words}" for words in broken_with_baseline(_stored_metrics(run), table, run.annotations)
            ]
    detail = f"{_number(having, 'run')}: sqdist_r2 = 1 - mse / mse of the mean, dist_r2 likewise; the mean itself has 0"
    return _check("R2 through the baseline", detail, problems, having)


def _counts(runs: Sequence[StoredRun]) -> Check:
    single = [run for run in runs if run.annotations.single_instance]
    problems = [
        f"{_name(run)}: {words}"
        for run in single
        for words in miscounted(_stored_metrics(run), run.annotations, run.predictions)
    ]
    return _check("mean, exact and r2", f"{_number(single, 'run')}, counted again image by image", problems, single)


def _tied(runs: Sequence[StoredRun]) -> Check:
    """Whether AP is marked as tied where, and only where, scores tie or carry nothing."""
    problems, marked = [], []
    for run in runs:
        scores = run.predictions.scores.tolist()
        tied = not run.record.has_confidence or len(set(scores)) < len(scores)
        if tied:
            marked.append(run.record.config.detector)
        if run.record.scores.get("flags", {}).get("tied_scores") != tied:
            problems.append(f"{_name(run)}: its AP is {'not ' if tied else ''}marked as tied, wrongly")
    names = ", ".join(dict.fromkeys(marked))
    return _check("tied scores", f"{_number(runs, 'run')}; AP marked as tied: {names or 'none'}", problems, runs)


def _oracle(finished: Sequence[StoredRun], data: Mapping[str, Dataset]) -> Check:
    """Whether the features hold the answer is the same for every seed that trained on all images, and is what a linear
    fit on them says where the data and the detector's code are at hand."""
    largest: dict[tuple[str, str], int] = {}
    for run in finished:
        config = run.record.config
        board = (config.task, config.data_digest)
        largest[board] = max(largest.get(board, 0), config.n_train)
    seen: dict[str, list[StoredRun]] = {}
    for run in finished:
        config = run.record.config
        if config.n_train == largest[config.task, config.data_digest]:
            seen.setdefault(config.digest, []).append(run)
    problems, again = [], 0
    for seeds in seen.values():
        marks = {run.record.oracle_features for run in seeds}
        if len(marks) > 1:
            problems.append(f"{_name(seeds[0])}: its seeds disagree on oracle features")
        elif (holds := _fitted(seeds[0], data)) is not None:
            again += 1
            if holds not in marks:
                problems.append(
                    f"{_name(seeds[0])}: is {'not ' if holds else ''}marked, and a linear fit says it should "
                    f"{'' if holds else 'not '}be"
                )
    marked = [run.record.config.detector for run in finished if run.record.oracle_features]
    names = ", ".join(dict.fromkeys(marked))
    unmarked = dict.fromkeys(
        run.record.config.detector
        for run in finished
        if run.record.scores.get("exact") == 1
        and not (
            run.record.oracle_features or not run.record.ranked or run.record.rule_structured or run.record.external
        )
    )
    detail = (
        f"{_number(finished, 'run')}; marked: {names or 'none'}; exact on every image without a mark: "
        f"{', '.join(unmarked) or 'none'}; fitted again: {again} of {_number(seen, 'recipe')}"
    )
    return _check("oracle features", detail, problems, finished)


def _fitted(run: StoredRun, data: Mapping[str, Dataset]) -> bool | None:
    """Whether a linear fit on the run's features holds the answer; None where its data or its code are not at hand."""
    from benchmark.registry import resolve
    from benchmark.runs.execute import holds_the_answer
    from benchmark.runs.plan import changed_since

    config = run.record.config
    folder = data.get(config.data_digest)
    if folder is None or config.folds or config.n_train != len(folder.train) or run.record.external:
        return None
    try:
        spec = resolve(config.detector)
        return (
            holds_the_answer(spec.build(), folder.train)
            if not changed_since(run.record, spec.code(), run.store.root)
            else None
        )
    except UserError:
        return None


def _data(digests: set[str], root: Path, folders: Sequence[Path]) -> tuple[dict[str, Dataset], list[str]]:
    """The data sets of the runs, by digest, and what is wrong with those that cannot be read."""
    from datasets import formats
    from datasets.formats.coco_folder import read_card

    found, problems = {}, []
    exported = [path.parent for path in sorted((root / "_data").glob("*/card.json"))]
    for path in [*exported, *folders]:
        try:
            if path in exported and read_card(path / "card.json").digest not in digests:
                continue
            folder = formats.read(path)
        except UserError as error:
            problems.append(str(error))
        else:
            if folder.digest in digests:
                found[folder.digest] = folder
    return found, problems


def _overlap(runs: Sequence[StoredRun], data: Mapping[str, Dataset], problems: list[str]) -> Check:
    """No image of one split is found in another, by its pixels; the stored baseline is the mean of the training split."""
    from datasets.splits import digests

    wanted = {run.record.config.data_digest: run for run in runs if not run.record.external}
    for digest, run in wanted.items():
        if digest not in data:
            continue
        splits = data[digest].splits
        for (a, b), shared in overlaps({name: digests(part.images) for name, part in splits.items()}).items():
            problems.append(f"{run.record.config.data}: {len(shared)} images of {a} are also in {b}")
        train, test = splits["train"].annotations, splits["test"].annotations
        if test.baseline is not None and train.single_instance:
            gap = float(np.abs(test.baseline - train.points.mean(axis=0)).max())
            if gap > 1e-9:
                problems.append(f"{run.record.config.data}: the baseline is {gap:g} px off the mean of train")
    missing = [run.record.config.data for digest, run in wanted.items() if digest not in data]
    detail = (
        f"{_number(wanted.keys() & data.keys(), 'data set')}: no image in two splits, the baseline is the mean of train"
    )
    detail += f"; not found on this machine: {', '.join(dict.fromkeys(missing))}" if missing else ""
    return _check("split overlap", detail, problems, data or problems)


def _check(name: str, detail: str, problems: Sequence[str], concerned: object) -> Check:
    """``concerned``: whatever was looked at; where it is empty the check does not apply."""
    status: Status = "failed" if problems else "passed" if concerned else "not applicable"
    return Check(name, status, detail, tuple(problems))


def _stored_metrics(run: StoredRun) -> Mapping[str, float | None]:
    """The numbers of ``run.json``: those are audited, not fresh ones."""
    return {
        name: value for name, value in run.record.scores.items() if value is None or isinstance(value, (int, float))
    }


def _number(concerned: Sized, noun: str) -> str:
    return f"{len(concerned)} {noun}" + ("" if len(concerned) == 1 else "s")


def _name(run: StoredRun) -> str:
    config = run.record.config
    return f"{config.task}@{config.version}/{config.data} {config.detector} n{config.n_train} seed {run.record.seed}"
