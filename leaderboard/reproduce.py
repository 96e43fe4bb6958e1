"""A stored run made again, and what came of it: *identical*, *within its interval*, *different*, or *failed*.

identical   every prediction is the same to the bit
within      predictions differ, and not by more than chance makes such runs differ (see `_interval`):
              several seeds of the row are stored: the new mean error lies in the 95 % prediction interval for one more
              seed, mean +- t * s * sqrt(1 + 1/S): rounding otherwise is another draw, as another seed is
              one seed: the 95 % paired interval over images of the difference of the two runs' errors holds 0
different   they differ by more
failed      the run cannot be made any more

The new run is made with what was asked for then (parameters, seed, n, budget, device, threads), on data of the same
digest. Code is never loaded because a record names it: only a detector that is on offer by name, or one the user names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import stdtrit

from benchmark.code_digest import changed_files
from benchmark.detector import Budget, Progress, no_progress
from benchmark.registry import named_for, resolve, with_values
from benchmark.runs import facts
from benchmark.runs.bundle import Collection, open_results
from benchmark.runs.config import DataReference, Job
from benchmark.runs.data import open_data, told_of
from benchmark.runs.execute import execute
from benchmark.runs.plan import MAX_THREADS, whole
from benchmark.runs.store import FolderRun, Record, Results, Store, StoredRun, root_of
from benchmark.statistics.components import TIE
from benchmark.statistics.paired import paired
from benchmark.structures import FloatArray, Predictions, UserError
from datasets.formats.reading import ReadOptions
from datasets.tasks.build import PRESETS
from leaderboard.rows import rescored

Verdict = Literal["identical", "within", "different", "failed"]
LEVEL = 0.95
_FIELDS = ("image_ids", "keypoints", "scores", "category_ids")
_FACTS = ("processor", "instruction_set", "cores", "platform", "python", "commit")


@dataclass(frozen=True)
class Difference:
    """A fact of which the two runs differ.

    Attributes:
        fact: "processor", "package torch", "code baselines.forest", ...
        then: What it was; "" where it is not known.
        now: What it is.
    """

    fact: str
    then: str
    now: str


@dataclass(frozen=True)
class Moved:
    """A prediction that is elsewhere now, by the keypoint of it that moved most.

    Attributes:
        image_id: Of its image.
        file_name: Likewise.
        keypoint: Name of the keypoint.
        before: px, (x, y) as stored.
        after: px, (x, y) as made again.
        px: How far these are apart.
    """

    image_id: int
    file_name: str
    keypoint: str
    before: tuple[float, float]
    after: tuple[float, float]
    px: float


@dataclass(frozen=True)
class Chance:
    """What the two runs may differ by, by chance.

    Attributes:
        of: "seeds": `value` is the new mean error, and the interval is where one more seed of the row would lie;
            "images": `value` is the difference of the mean errors, now - then, and the interval is its paired one.
        value: px.
        low: px.
        high: px.
        seeds: How many seeds of the row are stored.
    """

    of: Literal["seeds", "images"]
    value: float
    low: float
    high: float
    seeds: int

    @property
    def holds(self) -> bool:
        """Whether the interval holds what it should: the new mean, or 0."""
        wanted = self.value if self.of == "seeds" else 0.0
        return self.low - TIE <= wanted <= self.high + TIE


@dataclass(frozen=True)
class Reproduction:
    """A run made again.

    Attributes:
        title: Which run.
        place: Where it is kept.
        verdict: See the module.
        then: px, the stored run's mean error; None where it has none.
        now: px, the new one's.
        chance: None where predictions are identical, or where there is no mean to compare.
        facts: What the two were made with, as far as it differs.
        moved: Predictions that moved, the farthest first.
        counts: Number of images in which the number of predictions differs.
        scores: Whether any confidence differs.
        error: Why it failed.
    """

    title: str
    place: str
    verdict: Verdict
    then: float | None = None
    now: float | None = None
    chance: Chance | None = None
    facts: tuple[Difference, ...] = ()
    moved: tuple[Moved, ...] = ()
    counts: int = 0
    scores: bool = False
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``moved`` holds every prediction that moved."""
        chance = None
        if self.chance is not None:
            low, high = (value if math.isfinite(value) else None for value in (self.chance.low, self.chance.high))
            chance = {**vars(self.chance), "low": low, "high": high}
        return {
            **vars(self),
            "chance": chance,
            "facts": [vars(one) for one in self.facts],
            "moved": [{**vars(one), "before": list(one.before), "after": list(one.after)} for one in self.moved],
        }


def stored_run(which: str, results: Path) -> tuple[StoredRun, Results]:
    """The run that a folder, a key or the beginning of one means, and what it is kept in.

    Args:
        which: The folder of a run, or a key's first hex digits (4 to 16) that no other run's key begins with.
        results: Where keys are looked up.

    Raises:
        UserError: Where there is none, or more than one.
    """
    folder = Path(which)
    if (folder / "run.json").is_file():
        store = Store(root_of(folder))
        return store.read(folder), store
    if not re.fullmatch("[0-9a-f]{4,16}", which):
        raise UserError(f"run {which!r}: give the folder of a run, or its key (4 to 16 of the hex digits are enough)")
    kept = open_results(results)
    parts = kept.parts if isinstance(kept, Collection) else [kept]
    found: dict[str, StoredRun] = {}
    for part in parts:
        for run in part.begins(which) if isinstance(part, Store) else part.runs():
            if run.record.key.startswith(which):
                found.setdefault(run.record.key, run)
    if not found:
        raise UserError(f"run {which}: {results.root} holds no run whose key begins so")
    if len(found) > 1:
        listed = ", ".join(f"{key} ({run.title})" for key, run in list(found.items())[:3])
        raise UserError(f"run {which}: {len(found)} keys begin so; give more of one: {listed}")
    return next(iter(found.values())), kept


def reproduce(
    run: StoredRun,
    results: Results,
    scratch: Path,
    *,
    detector: str | None = None,
    data: str | None = None,
    sigmas: str | None = None,
    progress: Progress = no_progress,
) -> Reproduction:
    """Make a run again, and compare.

    Args:
        run: The run.
        results: Where the other seeds of its row may be.
        scratch: A folder of results that the new run is written to.
        detector: The user's own detector file or class, where the run's is one.
        data: Where the data is; None: a preset, or where it was.
        sigmas: The file of sigmas the data was read with; None: where it was.
        progress: Is told how far it is.

    Raises:
        UserError: Where it cannot be made again: another tool's, failed, its data or its detector are not at hand.
    """
    record = run.record
    if record.external:
        raise UserError(f"{run.place}: holds predictions of another tool, which cannot be made here")
    if record.status != "finished":
        raise UserError(f"{run.place}: has failed ({record.error}), so there is nothing to reproduce; run it again")
    facts.device(record.config.device)
    Budget.parse(None if record.config.budget == "recipe" else record.config.budget)
    whole("threads", record.config.threads, 1, MAX_THREADS)
    before = run.predictions
    text = _specification(record, run, detector)
    reference = data_of(run, results, data, sigmas)
    job = Job(specification=text, data=reference, config=record.config, seed=record.seed, results=str(scratch))
    again = execute(job, progress)
    differing = _facts(record, again.record, resolve(text).version)
    if again.record.status != "finished":
        return Reproduction(run.title, run.place, "failed", facts=differing, error=again.record.error)
    after = again.predictions
    then, now = rescored(run).get("mean"), rescored(again).get("mean")
    if all(getattr(before, name).tobytes() == getattr(after, name).tobytes() for name in _FIELDS):
        return Reproduction(run.title, run.place, "identical", then, now, facts=differing)
    chance = _interval(run, again, results)
    moved, counts = _moved(run, before, after)
    same = len(before) == len(after) and np.array_equal(before.scores, after.scores)
    verdict: Verdict = "within" if chance is not None and chance.holds else "different"
    return Reproduction(run.title, run.place, verdict, then, now, chance, differing, moved, counts, not same)


def _specification(record: Record, run: StoredRun, detector: str | None) -> str:
    """The detector with the parameters of the run, in text. Nothing is loaded that the user has not named or installed."""
    named = named_for(record.config.name, record.facts.file, detector, run.place)
    return with_values(named, record.config.parameters)


def data_of(run: StoredRun, results: Results, data: str | None, sigmas: str | None) -> DataReference:
    """Where the data of a run is, its digest compared.

    Args:
        run: The run.
        results: What it is kept in.
        data: Where the user says it is now; None: a preset, or where it was.
        sigmas: The file of sigmas it was read with; None: where it was.

    Raises:
        UserError: Where it is not known, or is no longer what it was.
    """
    config, known = run.record.config, run.record.facts
    root = run.store.root if isinstance(run, FolderRun) else results.root
    name = config.data.removesuffix(f"-folds{config.folds}" if config.folds else "")
    name = name.removesuffix(f"-split{config.split}" if config.split else "")
    place = data or (str(root / known.data) if known.data else name)
    preset = place in PRESETS
    if not (data or known.data or preset):
        raise UserError(f"{run.place}: its data, {name!r}, is no preset, and where it lies is not known: give --data")
    reference = DataReference(
        task=config.task if preset else None,
        data=place,
        options=ReadOptions() if preset else told_of(run, root, sigmas=sigmas),
        split=config.split,
        folds=config.folds,
        root=str(root / "_data"),
    )
    digest = open_data(reference, fresh=True, write=False)[0].digest
    if digest != config.data_digest:
        raise UserError(
            f"data {place}: is not what {run.title} was made on (digest {digest[:12]}, and then {config.data_digest[:12]}); "
            "give that with --data"
        )
    return reference


def _interval(run: StoredRun, again: StoredRun, results: Results) -> Chance | None:
    """What chance explains; None where one of the runs has no mean error."""
    now = rescored(again).get("mean")
    seeds = [rescored(one).get("mean") for one in _row(run, results)]
    means = np.array([mean for mean in seeds if mean is not None])
    if now is None or not len(means):
        return None
    if len(means) > 1:
        half = (
            float(stdtrit(len(means) - 1, (1 + LEVEL) / 2)) * float(means.std(ddof=1)) * math.sqrt(1 + 1 / len(means))
        )
        return Chance("seeds", now, float(means.mean()) - half, float(means.mean()) + half, len(means))
    errors = np.stack([rescored(one).distances for one in (again, run)])
    errors = errors[:, np.isfinite(errors).all(axis=0)]
    if not errors.size:
        return None
    found = paired(errors[:1], errors[1:], LEVEL)
    return Chance("images", found.difference, found.low, found.high, 1)


def _row(run: StoredRun, results: Results) -> list[StoredRun]:
    """The run and the other seeds of its row: the same config, made with the same code."""
    kept: Sequence[StoredRun]
    if isinstance(run, FolderRun):
        kept = list(run.store.runs_of(run.store.folder(run.record.config, 0).parents[2]))
    else:
        kept = list(results.runs())
    digest, code = run.record.config.digest, sorted(run.record.facts.code.values())
    others = [
        one
        for one in kept
        if one.record.status == "finished"
        and one.record.config.digest == digest
        and one.record.seed != run.record.seed
        and sorted(one.record.facts.code.values()) == code
    ]
    return [run, *others]


def _facts(then: Record, now: Record, version: int) -> tuple[Difference, ...]:
    """What the two were made with, as far as it differs."""
    a, b = then.facts, now.facts
    found = [Difference(name, _shown(getattr(a, name)), _shown(getattr(b, name))) for name in _FACTS]
    packages = sorted(a.packages.keys() | b.packages.keys())
    found += [Difference(f"package {name}", a.packages.get(name, ""), b.packages.get(name, "")) for name in packages]
    found.append(Difference("detector version", str(then.config.detector_version), str(version)))
    found = [one for one in found if one.then != one.now]
    for label in changed_files(a.code, b.code):
        found.append(Difference(f"code {label}", a.code.get(label, ""), b.code.get(label, "")))
    return tuple(found)


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _moved(run: StoredRun, before: Predictions, after: Predictions) -> tuple[tuple[Moved, ...], int]:
    """The predictions that moved, and the number of images with more or fewer of them.

    Where an image has several, those of the two runs are paired so that all together move least.
    """
    annotations = run.annotations
    moved: list[Moved] = []
    counts = 0
    none = np.zeros((0, len(annotations.keypoint_names), 2))
    of_before, of_after = _by_image(before), _by_image(after)
    for image_id, file_name in zip(annotations.image_ids.tolist(), annotations.file_names):
        old, new = of_before.get(image_id, none), of_after.get(image_id, none)
        counts += len(old) != len(new)
        distances = np.linalg.norm(old[:, None] - new[None], axis=-1)
        for i, j in zip(*linear_sum_assignment(distances.mean(axis=-1))):
            k = int(distances[i, j].argmax())
            if (px := float(distances[i, j, k])) > 0:
                name = annotations.keypoint_names[k]
                moved.append(Moved(image_id, file_name, name, _point(old[i, k]), _point(new[j, k]), px))
    return tuple(sorted(moved, key=lambda one: (-one.px, one.image_id))), counts


def _by_image(predictions: Predictions) -> dict[int, FloatArray]:
    """Image id -> (P, K, 2) px."""
    order = np.argsort(predictions.image_ids, kind="stable")
    ids, starts = np.unique(predictions.image_ids[order], return_index=True)
    return dict(zip(ids.tolist(), np.split(predictions.keypoints[order], starts[1:]) if len(ids) else []))


def _point(point: FloatArray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
