"""From a plan to stored runs: fit on train, answer the test images, score, store. One key is never run twice.

A plan is a grid of detectors x training sizes x seeds on one task and one data set. Its runs are independent: a
detector that fails costs its own row, and an interruption leaves every finished run intact.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmark.runs import environment as env
from benchmark.detector import Budget, Detector, HistoryRow, Progress
from benchmark.registry import Spec, resolve
from benchmark.metrics import score
from benchmark.runs.store import RunConfig, Record, Store, Stored
from benchmark.structures import (
    FloatArray,
    Image,
    LabeledImages,
    Part,
    Picked,
    Prediction,
    Predictions,
    Annotations,
    UserError,
)

ORACLE_EXACT = 0.999
MAX_SEED = 2**32 - 1  # the largest that every library takes
MAX_THREADS = 1024


class Material(Protocol):
    """What the runner needs of a loaded data set; ``datasets.material`` makes it."""

    @property
    def task(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def data(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def n_train(self) -> int: ...
    @property
    def annotations(self) -> Annotations: ...
    @property
    def folds(self) -> int: ...
    @property
    def plural(self) -> str:
        """The first image without exactly one fully labelled instance, in words; "" where every image has one."""
        ...

    def parts(self, n: int, seed: int) -> Iterator[Part]:
        """The fits of a run on ``n`` training images (nested in n, the same for every detector of a seed)."""
        ...


@dataclass(frozen=True)
class Job:
    """One run to make: a detector, a training size and a seed."""

    spec: Spec
    recipe: RunConfig
    seed: int

    @property
    def title(self) -> str:
        """How a person would call it."""
        return f"{self.spec.name} seed {self.seed}" + (f" n{self.recipe.n_train}")


class Callback:
    """Is told how a plan goes. This one says nothing; the command line has one that draws bars."""

    def planned(self, jobs: Sequence[Job]) -> None:
        """The whole plan, before it starts."""

    def started(self, job: Job) -> None:
        """A job starts to run."""

    def progress(self, fraction: float, text: str) -> None:
        """The running job is this far (0 to 1)."""

    def finished(self, job: Job, stored: Stored, *, reused: bool) -> None:
        """A job is stored, now (``reused`` False) or earlier."""


@dataclass(frozen=True)
class Plan:
    """What to run, checked in full before anything runs."""

    material: Material
    jobs: tuple[Job, ...]
    device: str
    threads: int
    save_weights: bool = False
    overwrite: bool = False


def plan(
    material: Material,
    detectors: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    sizes: Sequence[int] = (),
    budget: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    save_weights: bool = False,
) -> Plan:
    """Resolve every name and check every setting, before the first second of computing is spent. Raises UserError."""
    spent = Budget.parse(budget)
    where = env.device(device)
    workers = env.cores() if threads is None else whole("threads", threads, 1, MAX_THREADS)
    if not seeds:
        raise UserError("seeds: there is none; give at least one")
    if not detectors:
        raise UserError("detectors: there is none; name at least one")
    if save_weights and material.folds:
        raise UserError("save-weights: a run over folds has as many fits as folds; leave one of the two out")
    for seed in seeds:
        whole("seed", seed, 0, MAX_SEED)
    for n in sizes:
        if not 1 <= whole("n", n, 1) <= material.n_train:
            raise UserError(
                f"n {n}: {material.data} has {material.n_train} training images, so give 1 to {material.n_train}"
            )
    specs = [resolve(text) for text in detectors]
    for spec in specs:
        spec.build()  # a refused parameter shows now, not after an hour
        if "gpu" in spec.cls.card.needs and where == "cpu":
            raise UserError(f"detector {spec.name!r} needs a GPU, and runs would be made on {where}: leave it out")
        if spec.cls.card.instances == "one" and (where_not := material.plural):
            raise UserError(
                f"detector {spec.name!r} answers one instance an image, and in {material.data} {where_not}: correct "
                "the data, or choose a detector for several (python -m benchmark list detectors)"
            )
    jobs: dict[str, Job] = {}
    for spec in specs:
        for n in sizes or (material.n_train,):
            recipe = RunConfig(
                task=material.task,
                version=material.version,
                data=material.data,
                data_digest=material.digest,
                folds=material.folds,
                n_train=n,
                detector=spec.name,
                target=f"{spec.cls.__module__}:{spec.cls.__qualname__}",
                parameters=dict(spec.values),
                source=spec.source,
                budget=str(spent if spent.kind in spec.cls.budgets else Budget()),
                device=where,
                threads=workers,
            )
            for seed in seeds:
                jobs.setdefault(recipe.key(seed), Job(spec, recipe, seed))
    return Plan(material, tuple(jobs.values()), where, workers, save_weights, overwrite)


def execute(todo: Plan, store: Store, callback: Callback | None = None) -> list[Stored]:
    """Run what is not stored yet, in the plan's order; returns every stored run of the plan, failed ones included."""
    watch = callback or Callback()
    watch.planned(todo.jobs)
    store.put_annotations(todo.material.annotations)
    done = []
    for job in todo.jobs:
        earlier = None if todo.overwrite else store.find(job.recipe, job.seed)
        if earlier is not None and _reusable(earlier, todo.save_weights):
            watch.finished(job, earlier, reused=True)
            done.append(earlier)
            continue
        watch.started(job)
        stored = run_job(job, todo, store, watch)
        watch.finished(job, stored, reused=False)
        done.append(stored)
    return done


def _reusable(stored: Stored, with_weights: bool) -> bool:
    """Whether a stored run can stand for a new one: finished, with predictions that can be read, and weights if wanted."""
    if stored.record.status != "finished" or (with_weights and not (stored.folder / "weights.safetensors").is_file()):
        return False
    try:
        _ = stored.predictions
    except UserError:
        return False
    return True


def run_job(job: Job, todo: Plan, store: Store, watch: Callback) -> Stored:
    """Fit, predict, score and store one job. Whatever the detector raises becomes a failed record with its traceback."""
    annotations = todo.material.annotations
    card = job.spec.build().card  # the object's: a parameter may make a network one whose structure is the rule
    record = Record(
        status="failed",
        key=job.recipe.key(job.seed),
        recipe=job.recipe,
        seed=job.seed,
        annotations=store.put_annotations(annotations),
        line=job.spec.entry.line or next(iter((job.spec.cls.__doc__ or "").strip().splitlines()), ""),
        source=card.source,
        scored=card.scores,
        reference=card.reference,
        rule_structured=card.rule_structured,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=env.environment(),
    )
    try:
        with _threads(todo.threads):
            outcome = _run_parts(job, todo, watch)
        scores = score(annotations, outcome.predictions, has_scores=card.scores).as_dict()
        before = {}
        if outcome.untrained is not None:
            before = score(annotations, outcome.untrained, has_scores=card.scores).as_dict()
    except (Exception, SystemExit) as error:  # SystemExit too: a detector that exits costs its own row, not the others
        words = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
        record.error = words if isinstance(error, UserError) else f"{type(error).__name__}: {words}".rstrip(": ")
        return store.write(record, log=traceback.format_exc())
    record = record.model_copy(update={**outcome.facts, "status": "finished"})
    record.scores = scores
    record.untrained = {name: before[name] for name in ("mean", "exact") if before.get(name) is not None}
    log = f"{job.title}: fitted in {record.fit_seconds:.2f} s, {record.predict_ms:.3f} ms an image\n"
    return store.write(
        record, predictions=outcome.predictions, history=outcome.history, log=log, weights=outcome.weights
    )


@dataclass
class _Outcome:
    predictions: Predictions
    untrained: Predictions | None
    history: list[HistoryRow]
    weights: dict[str, Any] | None
    facts: dict[str, Any]


def _run_parts(job: Job, todo: Plan, watch: Callback) -> _Outcome:
    """Every fit of a run (one, or one a fold), and their answers together."""
    answers, before = [], []
    history: list[HistoryRow] = []
    weights: dict[str, Any] | None = None
    fit_seconds = predict_seconds = 0.0
    oracle = True
    count = 0
    folds = max(1, todo.material.folds)
    budget = Budget.parse("" if job.recipe.budget == str(Budget()) else job.recipe.budget)
    every = todo.material.parts(todo.material.n_train, job.seed)
    for i, (part, all_of_it) in enumerate(zip(todo.material.parts(job.recipe.n_train, job.seed), every)):
        train, val = _frozen(part.train), _frozen(part.val)
        images = _frozen(part.test).images
        detector = _fresh(job, todo)
        detector.progress = _share_of(watch, i, folds)
        if detector.card.untrained:
            ignorant = _fresh(job, todo)
            ignorant.fit(train, val, seed=job.seed, budget=Budget(epochs=0))
            before.append(answer(ignorant, part.test.annotations, images))
        started = time.perf_counter()
        rows = detector.fit(train, val, seed=job.seed, budget=budget) or []
        fit_seconds += time.perf_counter() - started
        _refuse_test_images(detector.pretraining_images, images)
        watch.progress((i + 1) / folds, "predicting")
        started = time.perf_counter()
        answers.append(answer(detector, part.test.annotations, images))
        predict_seconds += time.perf_counter() - started
        if not all(isinstance(row, Mapping) for row in rows):
            raise TypeError("fit returned a history that is not a list of rows, each a dict of numbers")
        history += [{"fold": float(i), **row} for row in rows] if todo.material.folds else list(rows)
        oracle = oracle and holds_the_answer(detector, all_of_it.train)
        count = int(detector.weights or 0)
        if todo.save_weights:
            weights = {str(name): np.asarray(array) for name, array in detector.state().items()}
            if odd := [name for name, array in weights.items() if array.dtype.kind not in "biuf"]:
                raise TypeError(f"state() holds {odd[0]!r} of type {weights[odd[0]].dtype}, not an array of numbers")
    facts = {
        "fit_seconds": fit_seconds,
        "predict_ms": 1000 * predict_seconds / max(1, len(todo.material.annotations)),
        "oracle": oracle,
        "weights": count or None,
    }
    return _Outcome(_joined(answers), _joined(before) if before else None, history, weights, facts)


def _share_of(watch: Callback, part: int, parts: int) -> Progress:
    """Progress of one fit as progress of the whole run."""
    return lambda fraction, text: watch.progress((part + fraction) / parts, text)


def _fresh(job: Job, todo: Plan) -> Detector:
    detector = job.spec.build()
    detector.device, detector.threads = todo.device, todo.threads
    return detector


def _refuse_test_images(pretraining_images: Sequence[Image], test: Sequence[Image]) -> None:
    """UserError where a detector has learned from an image that it is asked about."""
    known = {(image.shape, image.tobytes()) for image in pretraining_images}
    if known and (count := sum((image.shape, image.tobytes()) in known for image in test)):
        raise UserError(f"it learned from other images, and {count} of them are in the test split: choose other data")


def answer(detector: Detector, annotations: Annotations, images: Sequence[Image]) -> Predictions:
    """What the detector says of the test images, checked: shapes (N, K, 2), every number finite.

    ``annotations`` gives ids and K alone; a detector sees nothing of it. Raises ValueError where an answer is not one.
    """
    said = detector.predict(images)
    n, k = len(images), len(annotations.names)
    if isinstance(said, np.ndarray):
        if said.shape != (n, k, 2):
            raise ValueError(f"predict answered an array of shape {said.shape} where {(n, k, 2)} was expected")
        said = [Prediction(points[None], np.ones(1)) for points in np.asarray(said, dtype=np.float64)]
    if len(said) != n:
        raise ValueError(f"predict answered {len(said)} images where {n} were asked")
    ids: list[int] = []
    points: list[FloatArray] = [np.zeros((0, k, 2))]
    scores: list[FloatArray] = [np.zeros(0)]
    for image_id, prediction in zip(annotations.image_ids.tolist(), said):
        found = np.asarray(prediction.keypoints, dtype=np.float64).reshape(-1, k, 2)
        confidence = np.asarray(prediction.scores, dtype=np.float64).reshape(-1)
        if len(found) != len(confidence):
            raise ValueError(f"image {image_id}: {len(found)} instances but {len(confidence)} scores")
        if not (np.isfinite(found).all() and np.isfinite(confidence).all()):
            raise ValueError(f"image {image_id}: the answer holds a value that is not finite")
        ids += [image_id] * len(found)
        points.append(found)
        scores.append(confidence)
    return Predictions(np.array(ids, dtype=np.int64), np.concatenate(points), np.concatenate(scores))


def holds_the_answer(detector: Detector, train: LabeledImages) -> bool:
    """Whether a linear fit on the detector's hand-made inputs is at least 99.9 % exact on train: *oracle features*.

    ``train``: the full training split, whatever subset was learned from. With as many inputs as images any fit is exact and
    says nothing, so nothing is marked then.
    """
    features = detector.handmade_features(train.images)
    spacing = train.annotations.spacing
    if features is None or spacing is None or not train.annotations.single_instance or np.isnan(spacing).all():
        return False
    inputs = np.column_stack([features, np.ones(len(features))])
    if np.linalg.matrix_rank(inputs) >= len(inputs):
        return False
    target = train.points.reshape(len(train), -1)
    fitted, *_ = np.linalg.lstsq(inputs, target, rcond=None)
    error = np.abs(inputs @ fitted - target).reshape(train.points.shape)
    lattice = ~np.isnan(spacing)
    right = (error[:, lattice] < spacing[lattice, None] / 2).all(axis=(1, 2))
    return bool(right.mean() >= ORACLE_EXACT)


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """The answers of all folds, in the order of the image ids."""
    ids = np.concatenate([p.image_ids for p in parts])
    order = np.argsort(ids, kind="stable")
    return Predictions(
        ids[order],
        np.concatenate([p.keypoints for p in parts])[order],
        np.concatenate([p.scores for p in parts])[order],
    )


def _frozen(data: LabeledImages) -> LabeledImages:
    """The same data with images that cannot be written to: no detector changes what the next one sees."""
    if not isinstance(data.images, np.ndarray):
        return LabeledImages(_ReadOnly(data.images, range(len(data))), data.annotations)
    images = data.images.view()
    images.flags.writeable = False
    return LabeledImages(images, data.annotations)


class _ReadOnly(Picked):
    """Images that cannot be written to, each decoded when it is asked for."""

    def __getitem__(self, i: Any) -> Any:
        found = super().__getitem__(i)
        return _ReadOnly(found, range(len(found))) if isinstance(i, slice) else _locked(found)

    def __iter__(self) -> Iterator[Image]:
        return map(_locked, super().__iter__())


def _locked(image: Image) -> Image:
    view = image.view()
    view.flags.writeable = False
    return view


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run with this many threads in every numeric library: the count changes results, so it is set and keyed."""
    from threadpoolctl import threadpool_limits

    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    if torch:
        torch.set_num_threads(count)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


def results_folder(path: str | Path) -> Path:
    """The folder of results as a path; UserError where something else is in its place."""
    if not str(path):
        raise UserError("results: the name is empty; name a folder")
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"results {folder}: is a file; name a folder")
    return folder


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` if it is a whole number from ``low`` to ``high``; UserError naming it otherwise."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and low <= value <= (high or value):
        return int(value)
    raise UserError(f"{name} {value!r}: give a whole number " + (f"from {low} to {high}" if high else f"from {low}"))
