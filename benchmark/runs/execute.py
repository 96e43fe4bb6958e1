"""One job made: fit on train, answer the test images, score, store. All that a worker needs.

What a detector cannot change is taken from it: the images it is handed are read-only, the test annotations stay here, and
an answer that is not finite, or of the wrong shape, is a failed run with its reason. A run that fails costs itself alone.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.detector import Budget, Detector, HistoryRow, Progress, no_progress
from benchmark.framed import Framed, annotated_boxes
from benchmark.metrics import score
from benchmark.registry import Spec, resolve, summary_of
from benchmark.runs import facts
from benchmark.runs.config import Job
from benchmark.runs.cost import Cost, Spent, measured, reference_ms, single_ms
from benchmark.runs.data import verified_data
from benchmark.runs.heatmaps import Heatmaps, as_bytes, joined, sampled
from benchmark.runs.store import FolderRun, Record, Store
from benchmark.runs.threads import limited_threads
from benchmark.structures import (
    Annotations,
    FloatArray,
    Image,
    IntArray,
    LabeledImages,
    Picked,
    Prediction,
    Predictions,
    UserError,
)
from datasets.dataset import Dataset, tests_of
from datasets.tasks.build import PRESETS

ORACLE_EXACT = 0.999


def execute(
    job: Job,
    progress: Progress = no_progress,
    store: Store | None = None,
    *,
    attempts: Sequence[str] = (),
    begun: Callable[[Record], None] = lambda record: None,
) -> FolderRun:
    """Make one run and store it. Whatever the detector raises becomes a failed record with its traceback.

    Args:
        job: What to make.
        progress: Is told how far the run is, 0 to 1, and in words.
        store: The store of the job's results, where one is open already.
        attempts: How earlier attempts at it failed.
        begun: Is handed the record as it is before the detector runs, for whoever must store it should this process end.

    Returns:
        The stored run.

    Raises:
        UserError: Where the job itself cannot be made: its data has changed, its results cannot be written.
    """
    store = store or Store(job.results)
    folds = verified_data(job.data, job.config.data_digest)
    spec = resolve(job.specification)
    annotations = tests_of(folds).annotations
    card = spec.build().card  # the object's: a parameter may make a network one whose structure is the rule
    code = spec.code()  # now, before the detector or anybody else can change a file
    record = Record(
        status="failed",
        key=job.key,
        config=job.config,
        seed=job.seed,
        specification=job.specification,
        annotations=store.put_annotations(annotations),
        summary=spec.entry.summary or summary_of(spec.cls),
        reference=card.reference,
        has_confidence=card.has_confidence,
        ranked=card.ranked,
        rule_structured=card.rule_structured,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=facts.machine(),
        span=folds[0].span,
        as_stored=folds[0].as_stored,
        attempts=list(attempts),
    )
    begun(record)
    try:
        with limited_threads(job.config.threads):
            reference = reference_ms(job.config.threads)
            outcome = _fit_and_answer(job, spec, folds, progress)
        scores = score(annotations, outcome.predictions, has_scores=card.has_confidence).as_dict()
        untrained: Mapping[str, Any] = {}
        if outcome.untrained is not None:
            untrained = score(annotations, outcome.untrained, has_scores=card.has_confidence).as_dict()
    except (Exception, SystemExit) as error:  # SystemExit too: a detector that exits costs its own row, not the others
        words = one_line(error)
        record.error = words if isinstance(error, UserError) else f"{type(error).__name__}: {words}".rstrip(": ")
        record.failure = "memory" if isinstance(error, MemoryError) else "raised"
        record.facts = _with_code(record.facts, spec, code, job, store)
        return store.write(record, log=traceback.format_exc())
    record.status = "finished"
    record.fit_seconds, record.predict_ms = outcome.fit_seconds, 1000 * outcome.predict_seconds / len(annotations)
    record.oracle_features, record.n_parameters = outcome.oracle_features, outcome.n_parameters
    record.cost = outcome.cost(reference)
    record.tells_categories, record.given_boxes = outcome.tells_categories, outcome.given_boxes
    record.notes = outcome.notes
    record.scores = scores
    record.untrained = {name: untrained[name] for name in ("mean", "exact") if untrained.get(name) is not None}
    record.facts = _with_code(record.facts, spec, code, job, store)
    log = "".join(f"{note}\n" for note in outcome.notes)
    log += f"{job.title}: fitted in {record.fit_seconds:.2f} s, {record.predict_ms:.3f} ms an image\n"
    log += outcome.log
    return store.write(
        record,
        predictions=outcome.predictions,
        history=outcome.history,
        log=log,
        weights=outcome.weights,
        heatmaps=joined(outcome.heatmaps),
    )


def one_line(error: object) -> str:
    """The words of an error on one line, without characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())


def _with_code(known: facts.Facts, spec: Spec, code: dict[str, str], job: Job, store: Store) -> facts.Facts:
    """The facts with what was run: the code, reached before and imported while it ran, and where its file and data lie."""
    file = _place(spec.entry.file, store) if spec.entry.file is not None else ""
    folder = Path(job.data.data)
    data = _place(folder, store) if folder.exists() and job.data.data not in PRESETS else ""
    options = job.data.options.model_dump(exclude_defaults=True) if data else {}
    if "sigmas" in options:
        options["sigmas"] = _place(Path(options["sigmas"]), store)
    update = {"code": {**spec.code(), **code}, "file": file, "data": data, "options": options}
    return known.model_copy(update=update)


def _place(path: Path, store: Store) -> str:
    """Where something lies, relative to the folder of results, so that both may be moved together."""
    try:
        return Path(os.path.relpath(path.resolve(), store.root.resolve())).as_posix()
    except ValueError:  # another drive
        return str(path.resolve())


@dataclass
class _Outcome:
    """What came of all the fits of a run."""

    predictions: Predictions
    untrained: Predictions | None
    history: list[HistoryRow] = field(default_factory=list)
    weights: dict[str, Any] | None = None
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    oracle_features: bool = True
    n_parameters: int | None = None
    tells_categories: bool = True
    given_boxes: bool = False
    notes: list[str] = field(default_factory=list)
    log: str = ""
    fits: list[Spent] = field(default_factory=list)
    single_ms: float | None = None
    heatmaps: list[Heatmaps] = field(default_factory=list)

    def cost(self, reference: float) -> Cost:
        """What its fits took together; of memory the most that any of them took."""

        def joined(name: str, join: Callable[[list[Any]], Any]) -> Any:
            values = [getattr(spent, name) for spent in self.fits]
            return None if None in values else join(values)

        return Cost(
            fit_processor_seconds=joined("processor_seconds", sum),
            single_ms=self.single_ms,
            peak_memory=joined("peak_memory", max),
            gpu_memory=joined("gpu_memory", max),
            energy=joined("energy", sum),
            reference_ms=reference,
        )


def _fit_and_answer(job: Job, spec: Spec, folds: Sequence[Dataset], progress: Progress) -> _Outcome:
    """Every fit of a run (one, or one a fold), and their answers together."""
    answers: list[Predictions] = []
    untrained: list[Predictions] = []
    nothing = np.zeros(0)
    outcome = _Outcome(Predictions.of_category(nothing.astype(int), nothing, nothing, 1), None)
    budget = Budget.parse(job.config.budget)
    asked = np.concatenate([whole.test.annotations.image_ids for whole in folds])
    looked_at = sampled(np.sort(asked) if len(folds) > 1 else asked)
    for i, whole in enumerate(folds):
        part = whole.with_train(job.config.n_train, job.seed)
        train, val = frozen(part.train), frozen(part.val)
        images = frozen(part.test).images
        category = commonest_category(part.train.annotations, part.test.annotations)
        detector = _fresh(job, spec)
        detector.progress = _share_of(progress, i, len(folds))
        if detector.card.untrained:
            before_training = _fresh(job, spec)
            before_training.fit(train, val, seed=job.seed, budget=Budget(epochs=0))
            untrained.append(answer(before_training, part.test.annotations, images, category)[0])
        with measured() as spent:
            rows = detector.fit(train, val, seed=job.seed, budget=budget) or []
        outcome.fits.append(spent)
        outcome.fit_seconds += spent.seconds + detector.shared_seconds
        outcome.given_boxes |= detector.needs_boxes
        _refuse_test_images(detector.pretraining_images, images)
        progress((i + 1) / len(folds), "predicting")
        started = time.perf_counter()
        predictions, tells_categories = answer(detector, part.test.annotations, images, category)
        outcome.predict_seconds += time.perf_counter() - started
        answers.append(predictions)
        outcome.notes = list(dict.fromkeys([*outcome.notes, *detector.notes, *detector.detector.notes]))
        outcome.log += detector.detector.log
        if not i:
            outcome.single_ms = _single_ms(detector, part.test, images, category)
        try:
            outcome.heatmaps += _heatmaps(detector, part.test.annotations, images, looked_at)
        except Exception as error:  # the run stands: no score depends on them
            outcome.notes.append(f"its heatmaps are not kept ({one_line(error)})")
        outcome.tells_categories &= tells_categories
        if not all(isinstance(row, Mapping) and all(isinstance(v, Real) for v in row.values()) for row in rows):
            raise TypeError("fit returned a history that is not a list of rows, each a dict of numbers")
        outcome.history += [{"fold": float(i), **row} for row in rows] if len(folds) > 1 else list(rows)
        outcome.oracle_features = outcome.oracle_features and holds_the_answer(detector, whole.train)
        outcome.n_parameters = int(detector.n_parameters or 0) or None
        if job.save_weights:
            outcome.weights = _weights_of(detector)
    outcome.predictions = _joined(answers)
    outcome.untrained = _joined(untrained) if untrained else None
    return outcome


def _single_ms(detector: Detector, test: LabeledImages, images: Sequence[Image], category: int) -> float | None:
    """Milliseconds for one image asked alone; None where the detector cannot be asked so."""

    def ask(i: int) -> None:
        answer(detector, test.annotations.take([i]), [images[i]], category)

    try:
        return single_ms(ask, len(images))
    except Exception:  # the run stands, whatever its detector thinks of a single image
        return None


def _heatmaps(
    detector: Detector, annotations: Annotations, images: Sequence[Image], looked_at: IntArray
) -> list[Heatmaps]:
    """The detector's heatmaps of those of some images that are looked at: one value, or none where it has none."""
    rows = np.flatnonzero(np.isin(annotations.image_ids, looked_at))
    maps = detector.heatmaps([images[int(i)] for i in rows]) if len(rows) else None
    if maps is None:
        return []
    if maps.shape[:2] != (len(rows), len(annotations.keypoint_names)):
        raise ValueError(f"of shape {maps.shape} for {len(rows)} images of {len(annotations.keypoint_names)} keypoints")
    return [Heatmaps(annotations.image_ids[rows], as_bytes(maps))]


def _weights_of(detector: Detector) -> dict[str, Any]:
    weights = {str(name): np.asarray(array) for name, array in detector.state().items()}
    if odd := [name for name, array in weights.items() if array.dtype.kind not in "biuf"]:
        raise TypeError(f"state() holds {odd[0]!r} of type {weights[odd[0]].dtype}, not an array of numbers")
    return weights


def _share_of(progress: Progress, part: int, parts: int) -> Progress:
    """Progress of one fit as progress of the whole run."""
    return lambda fraction, text: progress((part + fraction) / parts, text)


def _fresh(job: Job, spec: Spec) -> Framed:
    detector = spec.framed()
    detector.device, detector.threads = job.config.device, job.config.threads
    return detector


def _refuse_test_images(pretraining_images: Sequence[Image], test: Sequence[Image]) -> None:
    """UserError where a detector has learned from an image that it is asked about."""
    known = {(image.shape, image.tobytes()) for image in pretraining_images}
    if known and (count := sum((image.shape, image.tobytes()) in known for image in test)):
        raise UserError(f"it learned from other images, and {count} of them are in the test split: choose other data")


def commonest_category(learned: Annotations, asked: Annotations | None = None) -> int:
    """What is answered by a detector that tells no categories apart.

    Args:
        learned: Annotations it has learned from.
        asked: Annotations of the images that it is asked about, whose categories alone are answers; None: any.

    Returns:
        The category id that most instances have, the lowest on ties; the lowest known one where none has any.
    """
    known = (asked or learned).known_category_ids
    ids, counts = np.unique(learned.category_ids[np.isin(learned.category_ids, known)], return_counts=True)
    return int(ids[np.argmax(counts)]) if len(ids) else int(known[0])


def answer(
    detector: Detector, annotations: Annotations, images: Sequence[Image], category: int
) -> tuple[Predictions, bool]:
    """What a detector says of the test images, checked: shapes, and every number finite.

    Args:
        detector: A fitted detector; it is handed the images alone, and where it was fitted with boxes=truth the boxes.
        annotations: Of these images; ids and K are taken from them, and nothing else.
        images: N images.
        category: The category of what a detector finds that tells no categories apart.

    Returns:
        The predictions, and whether the detector tells categories apart, or has only one to tell.

    Raises:
        ValueError: Where an answer is not one.
    """
    answers: FloatArray | Sequence[Prediction]
    if isinstance(detector, Framed) and detector.needs_boxes:
        answers = detector.predict_boxes(images, annotated_boxes(annotations))
    else:
        answers = detector.predict(images)
    n, k = len(images), len(annotations.keypoint_names)
    if isinstance(answers, np.ndarray):
        if answers.shape != (n, k, 2):
            raise ValueError(f"predict answered an array of shape {answers.shape} where {(n, k, 2)} was expected")
        answers = [Prediction(points[None], np.ones(1)) for points in np.asarray(answers, dtype=np.float64)]
    if len(answers) != n:
        raise ValueError(f"predict answered {len(answers)} images where {n} were asked")
    ids: list[int] = []
    points: list[FloatArray] = [np.zeros((0, k, 2))]
    scores: list[FloatArray] = [np.zeros(0)]
    categories: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    for image_id, prediction in zip(annotations.image_ids.tolist(), answers):
        instances = np.asarray(prediction.keypoints, dtype=np.float64)
        confidence = np.asarray(prediction.scores, dtype=np.float64)
        count = len(instances)
        if instances.size == 0 and count == 0:
            instances = instances.reshape(0, k, 2)
        if instances.shape != (count, k, 2) or confidence.shape != (len(confidence),):
            raise ValueError(
                f"image {image_id}: keypoints of shape {instances.shape} and scores of shape {confidence.shape} where "
                f"(M, {k}, 2) and (M,) were expected"
            )
        if count != len(confidence):
            raise ValueError(f"image {image_id}: {count} instances but {len(confidence)} scores")
        if not (np.isfinite(instances).all() and np.isfinite(confidence).all()):
            raise ValueError(f"image {image_id}: the answer holds a value that is not finite")
        told = np.full(count, category) if prediction.category_ids is None else np.asarray(prediction.category_ids)
        if told.shape != (count,) or (told != told.astype(np.int64)).any():
            raise ValueError(
                f"image {image_id}: category ids {told.tolist()} where {count} whole numbers were expected"
            )
        ids += [image_id] * count
        points.append(instances)
        scores.append(confidence)
        categories.append(told.astype(np.int64))
    tells = len(annotations.known_category_ids) == 1 or all(
        one.category_ids is not None or not len(one.keypoints) for one in answers
    )
    return (
        Predictions(
            np.array(ids, dtype=np.int64), np.concatenate(points), np.concatenate(scores), np.concatenate(categories)
        ),
        tells,
    )


def holds_the_answer(detector: Detector, train: LabeledImages) -> bool:
    """Whether a linear fit on the detector's hand-made inputs is at least 99.9 % exact on train: *oracle features*.

    Args:
        detector: Fitted or not.
        train: The full training split, whatever subset was learned from. With as many inputs as images any fit is exact
            and says nothing, so the answer is no then.
    """
    spacing = train.annotations.spacing
    if spacing is None or not train.annotations.complete or np.isnan(spacing).all():
        return False
    features = detector.handmade_features(train.images)
    if features is None:
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
        np.concatenate([p.category_ids for p in parts])[order],
    )


def frozen(data: LabeledImages) -> LabeledImages:
    """The same data with images that cannot be written to: no detector changes what the next one sees."""
    if not isinstance(data.images, np.ndarray):
        return LabeledImages(_ReadOnly(data.images, range(len(data))), data.annotations)
    images = data.images.view()
    images.flags.writeable = False
    return LabeledImages(images, data.annotations)


class _ReadOnly(Picked):
    """Images that cannot be written to, each decoded when it is asked for."""

    def __getitem__(self, i: Any) -> Any:
        picked = super().__getitem__(i)
        return _ReadOnly(picked, range(len(picked))) if isinstance(i, slice) else _locked(picked)

    def __iter__(self) -> Iterator[Image]:
        return map(_locked, super().__iter__())


def _locked(image: Image) -> Image:
    view = image.view()
    view.flags.writeable = False
    return view
