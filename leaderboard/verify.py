"""A submitted bundle, verified: what it says is checked without believing it, and a sample of its runs is made again.

Beyond the audit, which every folder of results stands (`leaderboard.audit`):

    submission    it says who submits it, under which licence, and what it learned from
    board         all its runs are of one board
    data          the data is made anew, or read where the verifier says it is: the digests of its content and of its test
                  annotations are those that the runs name
    names         no row is called as a detector on offer that it is not, nor marked otherwise than its detector
    environment   every run says with what it was made
    sample        some runs made again are identical or within their interval (`leaderboard.reproduce`)

Nothing of a bundle is run: a detector is one on offer by name, or one that the verifier names.
"""

from __future__ import annotations

import random
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.registry import entries, resolve, with_values
from benchmark.runs import facts
from benchmark.runs.bundle import Bundle, BundleRun
from benchmark.runs.config import DataReference, RunConfig
from benchmark.runs.data import open_data, open_whole, told_of
from benchmark.runs.store import Record
from benchmark.runs.submission import Submission
from benchmark.structures import UserError
from datasets.dataset import Dataset, tests_of
from datasets.formats.reading import ReadOptions
from datasets.tasks.build import PRESETS
from leaderboard.audit import Check, Status, audit
from leaderboard.reproduce import Reproduction, reproduce

CHECKS = ("submission", "board", "data", "names", "environment", "sample")
"""The codes of the checks that are not the audit's, in their order."""

SAMPLE = 2
"""Runs that are made again where nothing else is asked for."""

Watch = Callable[[str], None]
_OF_CARD = ("ranked", "rule_structured", "has_confidence")  # what a record says that its detector decides


@dataclass(frozen=True)
class Verification:
    """What came of it.

    Attributes:
        path: The bundle.
        submission: Who submits it; None where it does not say, or wrongly.
        rows: The rows, as boards name them.
        runs: How many runs it holds.
        seed: What drew the sample: with it the same is drawn again.
        checks: Those of `CHECKS` and of the audit.
        again: The runs that were made again.
    """

    path: Path
    submission: Submission | None
    rows: tuple[str, ...]
    runs: int
    seed: int
    checks: tuple[Check, ...]
    again: tuple[Reproduction, ...]

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.status == "failed" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "bundle": str(self.path),
            "failed": self.failed,
            "submission": None if self.submission is None else self.submission.model_dump(),
            "rows": list(self.rows),
            "runs": self.runs,
            "seed": self.seed,
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
            "again": [one.as_dict() for one in self.again],
        }


def verify(
    path: Path,
    scratch: Path,
    *,
    data: str | None = None,
    sigmas: str | None = None,
    detectors: Sequence[str] = (),
    sample: int = SAMPLE,
    seed: int | None = None,
    watch: Watch = lambda words: None,
) -> Verification:
    """Verify a bundle.

    Args:
        path: The bundle.
        scratch: A folder of results that the runs made again are written to.
        data: Where the data is that it was made on; None: it is made, where a preset is meant.
        sigmas: The file of sigmas the data was read with.
        detectors: Detectors of the verifier's own, files or classes, for rows that are not on offer by name.
        sample: How many runs to make again, at most.
        seed: Draws the sample; None: nobody can know beforehand which it is.
        watch: Is told what is being done.

    Raises:
        UserError: Where the file is no bundle that can be read whole, or a detector or data named here is none.
    """
    named = {resolve(text).entry.name: text for text in detectors}
    bundle = Bundle(path)
    runs = list(bundle.runs())
    for run in runs:
        if run.record.status == "finished":
            _ = run.predictions  # whatever is not what the manifest promises shows now
    drawn = secrets.randbits(32) if seed is None else seed
    watch("looking")
    submission, about = _submission(bundle, runs)
    parts, whole, same_data = _data(bundle, runs, data, sigmas)
    checks = [about, _board(runs), same_data, _names(runs, named), _environment(runs)]
    watch("auditing")
    known = [whole] if whole is not None and same_data.status == "passed" else []
    checks += audit(bundle, known=known).checks
    again: list[Reproduction] = []
    if any(check.status == "failed" for check in checks):
        checks.append(Check("sample", "not applicable", {"runs": 0, "of": len(runs), "failed_before": True}))
    else:
        again, made = _sample(bundle, runs, named, data if parts else None, sigmas, sample, drawn, scratch, watch)
        checks.append(made)
    rows = tuple(dict.fromkeys(run.record.config.detector for run in runs))
    return Verification(path, submission, rows, len(runs), drawn, tuple(checks), tuple(again))


def _submission(bundle: Bundle, runs: Sequence[BundleRun]) -> tuple[Submission | None, Check]:
    try:
        submission = bundle.submission
    except UserError as error:
        return None, Check("submission", "failed", problems=(str(error),))
    if submission is None:
        problem = f"{bundle.root}: does not say who submits it; make it with python -m benchmark submit"
        return None, Check("submission", "failed", problems=(problem,))
    if not submission.code and any(run.record.external or run.record.config.name not in entries() for run in runs):
        return submission, Check("submission", "noted", remarks=("no code is linked that made these rows",))
    return submission, Check("submission", "passed")


def _board(runs: Sequence[BundleRun]) -> Check:
    """One board, and every run finished."""
    boards = {(c.task, c.version, c.data, c.data_digest, c.split, c.folds) for c in (run.record.config for run in runs)}
    problems = [f"{run.title}: has failed" for run in runs if run.record.status != "finished"]
    if len(boards) != 1:
        problems.append(f"it holds runs of {len(boards)} boards; a submission is of one")
    return Check("board", "failed" if problems else "passed", {"runs": len(runs)}, tuple(problems))


def _data(
    bundle: Bundle, runs: Sequence[BundleRun], place: str | None, sigmas: str | None
) -> tuple[tuple[Dataset, ...], Dataset | None, Check]:
    """The data of the runs, made or read anew, whole and in its folds, and whether it is what they say it is."""
    config = runs[0].record.config if runs else None
    name = "" if config is None else _name(config)
    if config is None or not (place or name in PRESETS):
        remark = f"{name!r} is no preset, and where it lies was not said: give --data"
        return (), None, Check("data", "noted", {"data": name}, remarks=(remark,))
    preset = place is None
    options = ReadOptions() if preset else told_of(runs[0], bundle.root, sigmas=sigmas)
    reference = DataReference(
        task=config.task if preset else None,
        data=place or name,
        options=options,
        split=config.split,
        folds=config.folds,
        root=str(bundle.root / "_data"),
    )
    try:
        parts = open_data(reference, fresh=True, write=False)
    except UserError as error:
        if not preset:
            raise
        return (), None, Check("data", "failed", {"data": name}, (f"cannot be made: {error}",))
    card, digest = parts[0].card, parts[0].digest
    annotations = tests_of(parts).annotations.digest[:16]
    problems = []
    for run in runs:
        theirs, wrong = run.record.config, ""
        if (theirs.task, theirs.version) != (card.task, card.version):
            wrong = f"is of {theirs.task}@{theirs.version}, and the data of {card.task}@{card.version}"
        elif theirs.data_digest != digest:
            wrong = f"was made on other data (digest {theirs.data_digest[:12]}, and that is {digest[:12]})"
        elif run.record.annotations != annotations:
            wrong = "was scored against other annotations than those of the test images"
        if wrong:
            problems.append(f"{run.title}: {wrong}")
    status: Status = "failed" if problems else "passed"
    return parts, open_whole(reference), Check("data", status, {"data": name}, tuple(problems))


def _name(config: RunConfig) -> str:
    """The preset that a run's data is called after, without the numbers of split and folds."""
    name = config.data.removesuffix(f"-folds{config.folds}" if config.folds else "")
    return name.removesuffix(f"-split{config.split}" if config.split else "")


def _names(runs: Sequence[BundleRun], named: dict[str, str]) -> Check:
    """No row is called as something that it is not; one that is on offer by name has that detector's code and parameters."""
    offered = entries()
    plain = {_folded(name): name for name in offered}
    problems: dict[str, None] = {}
    for run in runs:
        record, config = run.record, run.record.config
        head = config.detector.partition(":")[0]
        words = ""
        if not config.detector.isascii() or not config.detector.isprintable():
            words = "has a name that is not plain ASCII, which may look like another"
        elif record.external:
            if taken := plain.get(_folded(head)):
                words = f"is made by another tool, and is called as the detector {taken!r} is"
        elif head != config.name:
            words = f"is shown as {head!r}, and its detector is {config.name!r}"
        elif config.name not in offered:
            if taken := plain.get(_folded(head)):
                words = f"is called almost as the detector {taken!r} is"
        elif record.facts.file:
            words = (
                f"comes from the file {record.facts.file}, and is called as the detector {config.name!r} on offer is"
            )
        elif record.facts.code and not {one.module for one in offered[config.name]} & record.facts.code.keys():
            words = f"was made with other code than that of the detector {config.name!r}"
        elif wrong := _misshown(record):
            words = wrong
        if words:
            problems[f"{config.detector}: {words}"] = None
    status: Status = "failed" if problems else "passed"
    return Check("names", status, {"rows": len({run.record.config.detector for run in runs})}, tuple(problems))


def _misshown(record: Record) -> str:
    """Why the name of a row is not that of its parameters, or its marks not those of its detector; "" where they are."""
    try:
        spec = resolve(with_values(record.config.name, record.config.parameters))
        card = spec.build().card
    except UserError as error:
        return f"has parameters that its detector does not take: {error}"
    if spec.name != record.config.detector:
        return f"has the parameters of {spec.name}"
    if wrong := [mark for mark in _OF_CARD if getattr(record, mark) != getattr(card, mark)]:
        return f"says otherwise than its detector of {', '.join(wrong)}"
    return ""


def _folded(name: str) -> str:
    """A name as people read it: width, case and separators do not tell two apart."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in plain if c.isalnum())


def _environment(runs: Sequence[BundleRun]) -> Check:
    """What every run of ours says of its machine and versions, and what is otherwise here."""
    here = facts.machine()
    own = [run for run in runs if not run.record.external]
    problems: list[str] = []
    remarks: dict[str, None] = {}
    for run in own:
        then = run.record.facts
        lacking = [name for name in ("python", "platform", "processor", "cores") if not getattr(then, name)]
        lacking += [f"version of {name}" for name in ("keypoint-benchmark", "numpy") if name not in then.packages]
        if lacking:
            problems.append(f"{run.title}: does not say {', '.join(lacking)}")
        pairs = {"processor": (then.processor, here.processor), "python": (then.python, here.python)}
        pairs |= {name: (version, here.packages.get(name, "none")) for name, version in sorted(then.packages.items())}
        for what, (theirs, ours) in pairs.items():
            if theirs != ours:
                remarks[f"{what}: {theirs}, and here {ours}"] = None
    status: Status = "failed" if problems else "not applicable" if not own else "noted" if remarks else "passed"
    return Check("environment", status, {"runs": len(own)}, tuple(problems), tuple(remarks))


def _sample(
    bundle: Bundle,
    runs: Sequence[BundleRun],
    named: dict[str, str],
    data: str | None,
    sigmas: str | None,
    most: int,
    seed: int,
    scratch: Path,
    watch: Watch,
) -> tuple[list[Reproduction], Check]:
    """Some of the runs, made again; which, nobody knew who made the bundle."""
    offered = entries()
    own = [run for run in runs if not run.record.external]
    able = [
        run
        for run in own
        if run.record.config.name in named or (run.record.config.name in offered and not run.record.facts.file)
    ]
    again, problems, remarks = [], [], []
    for run in random.Random(seed).sample(able, min(most, len(able))):
        watch(f"making again: {run.title}")
        try:
            made = reproduce(run, bundle, scratch, detector=named.get(run.record.config.name), data=data, sigmas=sigmas)
        except UserError as error:
            remarks.append(f"{run.title}: cannot be made here: {error}")
            continue
        again.append(replace(made, moved=()))
        if made.verdict in ("different", "failed"):
            problems.append(f"{run.title}: {made.verdict}{': ' + made.error if made.error else ''}")
    if len(able) < len(own):
        names = dict.fromkeys(run.record.config.name for run in own if run not in able)
        remarks.append(
            f"not on offer here: {', '.join(names)}; name the detector with --detector, if you trust its code"
        )
    if own and not again:
        remarks.append("no run was made again, so that figures are only what the predictions give")
    values = {"runs": len(again), "of": len(own), "failed_before": False}
    for verdict in ("identical", "within", "different", "failed"):
        values[verdict] = sum(one.verdict == verdict for one in again)
    status: Status = "failed" if problems else "not applicable" if not own else "noted" if remarks else "passed"
    return again, Check("sample", status, values, tuple(problems), tuple(remarks))
