"""Which images of a folder to label next, and whether that promises more than choosing at random: ``suggest``.

What is chosen, and what has to be shown before a gain is promised, is `benchmark.statistics.next_labels`. Here images become its
numbers: thumbnails, the directions of their edges, and what detectors answer, in sides of the image. The trials repeat the
choice with labelled images: a quarter of them is held out, and of the others a sixth of all is chosen by looks, or drawn.
To begin them with labels would be nearer to what is asked for, and shows less: what was there already tells the same to both.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.detector import Budget, Progress, no_progress
from benchmark.framed import Framed
from benchmark.registry import named_for, resolve, spec_of
from benchmark.runs import facts
from benchmark.runs.execute import one_line
from benchmark.runs.store import Store, root_of
from benchmark.runs.threads import limited_threads
from benchmark.statistics.next_labels import Gain, gains_of, likeness, most_telling, spread
from benchmark.structures import (
    Annotations,
    FloatArray,
    Image,
    IntArray,
    LabeledImages,
    LazyImages,
    Picked,
    Prediction,
    UserError,
    image_digest,
)
from datasets.dataset import Dataset, pooled
from datasets.features import hog
from datasets.images import SUFFIXES, ImageFiles, sizes_of
from datasets.near_duplicates import SIDE, fingerprints

MOST = 4_000  # unlabelled images that are weighed against each other: memory and time grow with the square
CHUNK = 64  # images in memory at once
SAME = 0.9999  # correlation of thumbnails of images that may be the same, pixel by pixel
LEAST = 30  # labelled images, before trials are made: five chosen, seven held out
TRIALS = 40
RATIO = 16  # unlabelled images for each that is chosen, before a gain is promised: fewer leave little to choose
SUITE = "suggest"


@dataclass(frozen=True, eq=False)
class Member:
    """A detector that is asked.

    Attributes:
        name: Its specification.
        make: A fresh, unfitted one.
        budget: How long it learns.
        fitted: It, fitted on earlier labels; None: to be fitted on all labelled images.
    """

    name: str
    make: Callable[[], Framed]
    budget: Budget = field(default_factory=Budget)
    fitted: Framed | None = None


@dataclass(frozen=True)
class Suggestion:
    """An image to label.

    Attributes:
        file: Its name in the folder.
        told: The share of all that was unknown that it takes away, given those before it.
        stands_for: How many unlabelled images it is the most alike of all that are chosen or labelled, itself included.
        spread: px, how far detectors lie apart on it; None where fewer than two were asked.
        above: The share of the unlabelled images on which they lie less far apart; None likewise.
    """

    file: str
    told: float
    stands_for: int
    spread: float | None
    above: float | None

    @property
    def reason(self) -> str:
        """Why, in words."""
        like = f"stands for {self.stands_for} unlabelled images" if self.stands_for > 1 else "stands for itself alone"
        if self.spread is None or self.above is None:
            return like
        return f"{like}; detectors differ by {self.spread:.3g} px, more than on {100 * self.above:.0f} %"


@dataclass(frozen=True)
class Suggested:
    """What came of `suggest`.

    Attributes:
        suggestions: The images, the most telling first.
        labelled: How many labelled images there are.
        unlabelled: How many images there are to choose from.
        gains: Detector -> what the trials say; empty where none were made.
        untried: Why no trials were made; "" where they were.
        notes: What was left out, in sentences.
    """

    suggestions: tuple[Suggestion, ...]
    labelled: int
    unlabelled: int
    gains: Mapping[str, Gain]
    untried: str = ""
    notes: tuple[str, ...] = ()

    @property
    def gain_expected(self) -> bool:
        """Whether a gain is promised for any detector."""
        return any(gain.expected for gain in self.gains.values())

    @property
    def verdict(self) -> str:
        """What may be promised, in a sentence."""
        promised = [name for name, gain in self.gains.items() if gain.expected]
        if not promised:
            why = self.untried or "trials on your labels show none"
            return f"no gain expected ({why}): as many random images may do as well"
        rest = [name for name in self.gains if name not in promised]
        others = f"; no gain expected for {', '.join(rest)}" if rest else ""
        return f"gain expected for {', '.join(promised)}{others}"

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "gain_expected": self.gain_expected,
            "verdict": self.verdict,
            "labelled": self.labelled,
            "unlabelled": self.unlabelled,
            "gains": {name: asdict(gain) for name, gain in self.gains.items()},
            "notes": list(self.notes),
            "suggestions": [{**asdict(one), "reason": one.reason} for one in self.suggestions],
        }

    def as_csv(self) -> str:
        """A table: a header, and a row an image."""
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["file", "told", "stands_for", "spread_px", "reason"])
        for one in self.suggestions:
            apart = "" if one.spread is None else f"{one.spread:.6g}"
            table.writerow([one.file, f"{one.told:.6g}", one.stands_for, apart, one.reason])
        return out.getvalue()


def named_members(specifications: Sequence[str], device: str, threads: int) -> list[Member]:
    """Detectors by their specifications, to be fitted.

    Args:
        specifications: See `benchmark.registry.resolve`; one that is named twice counts once.
        device: auto, cpu or cuda.
        threads: Of every numeric library.

    Raises:
        UserError: For a name nobody knows.
    """
    return [Member(text, _maker(resolve(text).framed, device, threads)) for text in dict.fromkeys(specifications)]


def stored_members(folders: Sequence[Path], specifications: Sequence[str], device: str, threads: int) -> list[Member]:
    """The fitted detectors of some runs' folders.

    Args:
        folders: Of runs that were made with ``--save-weights``.
        specifications: What the user names: a detector file is loaded where it is among these alone.
        device: auto, cpu or cuda.
        threads: Of every numeric library.

    Raises:
        UserError: As `benchmark.predict.restored`.
    """
    from benchmark.predict import restored

    files = [text for text in specifications if resolve(text).entry.file is not None]
    members: dict[str, Member] = {}
    for folder in folders:
        name = Store(root_of(folder)).read(folder).record.config.name
        asked = next((text for text in files if resolve(text).entry.name == name), None)
        fitted, run, _ = restored(folder, device, asked)
        config = run.record.config
        spec = spec_of(named_for(config.name, run.record.facts.file, asked, run.place), config.parameters)
        fitted.threads = threads
        title = config.detector if config.detector not in members else f"{config.detector} ({run.record.key[:8]})"
        members[title] = Member(title, _maker(spec.framed, device, threads), Budget.parse(config.budget), fitted)
    return list(members.values())


def _maker(make: Callable[[], Framed], device: str, threads: int) -> Callable[[], Framed]:
    def made() -> Framed:
        detector = make()
        detector.device, detector.threads = facts.device(device), threads
        return detector

    return made


def suggest(
    dataset: Dataset,
    folder: Path,
    count: int,
    members: Sequence[Member],
    *,
    trials: int = TRIALS,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Suggested:
    """Choose the images of a folder to label next.

    Args:
        dataset: All that is labelled.
        folder: Of image files; those that are labelled already are left out.
        count: How many.
        members: Detectors that are asked.
        trials: Of the choice, on labelled images; 0: none, and no gain is promised.
        threads: Of every numeric library.
        progress: Is told how far it is.

    Returns:
        The images, and what may be promised of them.

    Raises:
        UserError: Where there is nothing to choose from, or a detector cannot answer.
    """
    labelled = pooled([part for part in dataset.splits.values() if len(part)])
    paths = image_paths(folder)
    notes: list[str] = []
    if len(paths) > MOST + len(labelled):
        notes.append(f"{MOST + len(labelled):,} of {len(paths):,} images, evenly spaced by name, are looked at")
        paths = [paths[i] for i in np.linspace(0, len(paths) - 1, MOST + len(labelled)).round().astype(int).tolist()]
    images = ImageFiles(paths, sizes_of(paths, str(folder)), str(folder))
    images.span = dataset.span
    progress(0.0, f"looking at {len(paths):,} images")
    new = _not_labelled(images, labelled.images)
    if len(new) < len(paths):
        notes.append(f"{len(paths) - len(new):,} images of {folder} are labelled already, and left out")
    if not len(new):
        raise UserError(f"images {folder}: every image is labelled already; name a folder with others")
    if count >= len(new):
        notes.append(f"there are no more than {len(new):,} images to choose from: all are named")
    files = [paths[i].name for i in new.tolist()]
    with limited_threads(threads):
        found = choose(labelled, Picked(images, new.tolist()), files, count, members, trials=trials, progress=progress)
    return replace(found, notes=tuple(notes))


def choose(
    labelled: LabeledImages,
    images: Sequence[Image],
    names: Sequence[str],
    count: int,
    members: Sequence[Member],
    *,
    trials: int = TRIALS,
    progress: Progress = no_progress,
) -> Suggested:
    """`suggest` for images that are at hand.

    Args:
        labelled: All that is labelled.
        images: N unlabelled images.
        names: What each is called.
        count: How many to choose.
        members: Detectors that are asked.
        trials: Of the choice, on labelled images.
        progress: Is told how far it is.
    """
    learned, why_not = _learnable(labelled)
    why_not = why_not or ("" if members else "no detector is asked")
    asked = () if why_not else members
    if not why_not and not trials:
        why_not = "no trials on your labels were asked for"
    elif not why_not and len(learned) < LEAST:
        why_not = f"{len(learned)} labelled images are too few for trials, which take {LEAST}"
    elif not why_not and len(images) < RATIO * count:
        why_not = f"{len(images):,} images leave little to choose where {count} are, and {RATIO} for each are wanted"
    trials = 0 if why_not else trials
    steps = max(1, len(asked) + 2 * len(asked) * trials)

    def told(before: int) -> Progress:
        return lambda done, text: progress((before + done) / steps, text)

    views = [np.concatenate(pair) for pair in zip(looks(labelled.images), looks(images))]
    apart = np.full(len(images), np.nan)
    if asked:
        fitted = _all_fitted(asked, labelled.take(learned), told(0))
        k = len(labelled.annotations.keypoint_names)
        of_known, of_new = (answers_of(fitted, some, k, told(len(asked))) for some in (labelled.images, images))
        apart = spread(of_new.points)
        views.append(np.concatenate([of_known.view, of_new.view]))
    gains: dict[str, Gain] = {}
    if trials:
        gains = trial_gains(labelled.take(learned), asked, trials, progress=told(len(asked)))
    alike = likeness(views)
    start, end = len(labelled), len(labelled) + len(images)
    chosen = most_telling(alike, range(start), range(start, end), count)
    groups = _most_alike(alike, start, chosen.order)
    suggestions = []
    for position, share in zip(chosen.order.tolist(), chosen.told.tolist()):
        own = float(apart[position - start])
        rest = apart[~np.isnan(apart)]
        suggestions.append(
            Suggestion(
                file=names[position - start],
                told=share,
                stands_for=groups[position],
                spread=None if np.isnan(own) else own,
                above=None if np.isnan(own) else float(np.mean(rest < own)),
            )
        )
    return Suggested(tuple(suggestions), len(labelled), len(images), gains, why_not)


def looks(images: Sequence[Image]) -> tuple[FloatArray, FloatArray]:
    """What images look like, small.

    Args:
        images: N arrays, uint8.

    Returns:
        (N, 1024) grey thumbnails of mean 0 and length 1, and (N, 324) histograms of their gradients.
    """
    thumbnails = fingerprints(images)[1].astype(np.float64)
    reach = np.maximum(np.abs(thumbnails).max(axis=1, keepdims=True), np.finfo(float).tiny)
    grey = np.round(127.5 * (1 + thumbnails / reach)).astype(np.uint8).reshape(-1, SIDE, SIDE)
    return thumbnails, hog(grey)


@dataclass(frozen=True, eq=False)
class Answered:
    """What detectors answer.

    Attributes:
        points: (D, N, K, 2) px, the surest instance of each image; NaN where a detector finds none.
        sides: (N,) px, the longer side of each image.
    """

    points: FloatArray
    sides: IntArray

    @property
    def view(self) -> FloatArray:
        """(N, D * K * 2) in sides of the image; where one is missing, the mean of the others."""
        relative = np.moveaxis(self.points / self.sides[:, None, None], 1, 0).reshape(len(self.sides), -1)
        known = ~np.isnan(relative)
        mean = np.where(known, relative, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        view: FloatArray = np.where(known, relative, mean)
        return view


def answers_of(
    fitted: Mapping[str, Framed], images: Sequence[Image], k: int, progress: Progress = no_progress
) -> Answered:
    """What fitted detectors answer; each image is decoded once for all of them.

    Args:
        fitted: Name -> detector.
        images: N arrays, uint8.
        k: Number of keypoints.
        progress: Is told how far it is.

    Raises:
        UserError: For a detector of other keypoints, or one that has to be told where to look.
    """
    parts: list[FloatArray] = [np.zeros((len(fitted), 0, k, 2))]
    sides: list[int] = []
    for begin in range(0, len(images), CHUNK):
        chunk = images[begin : begin + CHUNK]
        chunk = chunk if isinstance(chunk, np.ndarray) else [np.asarray(image) for image in chunk]
        sides += [max(image.shape[:2]) for image in chunk]
        parts.append(np.stack([_points(detector, chunk, k, name) for name, detector in fitted.items()]))
        progress(0, f"asking about {len(sides):,} of {len(images):,} images")
    return Answered(np.concatenate(parts, axis=1), np.array(sides, dtype=np.int64))


def _points(detector: Framed, images: Sequence[Image], k: int, name: str) -> FloatArray:
    """(N, K, 2) px."""
    if detector.needs_boxes:
        raise UserError(f"{name}: was fitted with boxes=truth, and unlabelled images have no boxes; leave it out")
    with _named(name, "cannot answer these images"):
        answers = detector.predict(images)
    points = answers if isinstance(answers, np.ndarray) else np.stack([_surest(one, k) for one in answers])
    if points.shape[1:] != (k, 2):
        raise UserError(f"{name}: answers {points.shape[1]} keypoints, and the labels have {k}; leave it out")
    return points


@contextmanager
def _named(name: str, what: str) -> Iterator[None]:
    """Whatever a detector raises, as one line that names it."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{name}: {what} ({one_line(error) or type(error).__name__}); leave it out") from error


def _surest(prediction: Prediction, k: int) -> FloatArray:
    if not len(prediction.scores):
        return np.full((k, 2), np.nan)
    surest: FloatArray = np.asarray(prediction.keypoints[int(np.argmax(prediction.scores))], dtype=np.float64)
    return surest


def fitted_on(
    members: Sequence[Member], part: LabeledImages, seed: int, progress: Progress = no_progress
) -> dict[str, Framed]:
    """Detectors fitted on all of some images: they are too few to spare any for selection.

    Args:
        members: Which.
        part: One instance an image.
        seed: Of each.
        progress: Is told how many are fitted.
    """
    fitted = {}
    for i, member in enumerate(members):
        progress(i, member.name)
        fitted[member.name] = member.make()
        with _named(member.name, f"cannot be fitted on {len(part)} images"):
            fitted[member.name].fit(part, part, seed=seed, budget=member.budget)
    return fitted


def _all_fitted(members: Sequence[Member], part: LabeledImages, progress: Progress) -> dict[str, Framed]:
    """The detectors that are asked: as they are stored, or fitted on all labelled images."""
    new = fitted_on([member for member in members if member.fitted is None], part, 0, progress)
    return {member.name: new[member.name] if member.fitted is None else member.fitted for member in members}


def trial_gains(
    labelled: LabeledImages, members: Sequence[Member], trials: int, *, progress: Progress = no_progress
) -> dict[str, Gain]:
    """What the choice would have gained on images whose labels are known.

    Args:
        labelled: One instance an image, at least `LEAST` images.
        members: Detectors; each is fitted twice a trial.
        trials: How many; what one holds out follows from its number alone.
        progress: Is told how many fits are done.

    Returns:
        Detector -> its gain.
    """
    if not isinstance(labelled.images, np.ndarray):  # decoded once, not at every fit
        labelled = LabeledImages([np.asarray(image) for image in labelled.images], labelled.annotations)
    seen, k = looks(labelled.images), len(labelled.annotations.keypoint_names)
    count = len(labelled) // 6
    errors = np.zeros((trials, 2, len(members)))
    for trial in range(trials):
        drawn = np.random.default_rng(trial).permutation(len(labelled))
        held, rest = held_out(labelled.annotations.groups, drawn)
        asked = labelled.take(held)
        order = most_telling(likeness([view[rest] for view in seen]), [], range(len(rest)), count).order
        for arm, added in enumerate((rest[order], rest[:count])):

            def told(
                done: float, text: str, before: int = (2 * trial + arm) * len(members), at: int = trial + 1
            ) -> None:
                progress(before + done, f"trial {at} of {trials}: {text}")

            fitted = fitted_on(members, labelled.take(added), trial, told)
            errors[trial, arm] = [mean_error(own, asked.points) for own in answers_of(fitted, asked.images, k).points]
    return gains_of(errors[:, 0].T, errors[:, 1].T, [member.name for member in members])


def held_out(groups: Sequence[str] | None, drawn: IntArray) -> tuple[IntArray, IntArray]:
    """Images divided for a trial: a quarter, and the others; no group lies in both.

    Args:
        groups: What each of N images was taken from, or None.
        drawn: (N,) int64, positions in random order.

    Returns:
        Positions held out, and the others, in that order. Of groups, as many as make a quarter, but for those that would make it more
        than half.
    """
    quarter = len(drawn) // 4
    if groups is None:
        return drawn[:quarter], drawn[quarter:]
    held = np.zeros(len(drawn), dtype=bool)
    for name in dict.fromkeys(groups[i] for i in drawn.tolist()):
        own = np.array([groups[i] == name for i in drawn.tolist()])
        if held.sum() < quarter and (held | own).sum() <= len(drawn) // 2:
            held |= own
    return (drawn[held], drawn[~held]) if held.any() else (drawn[:quarter], drawn[quarter:])


def mean_error(answers: FloatArray, points: FloatArray) -> float:
    """The mean distance over all keypoints that are labelled and answered.

    Args:
        answers: (N, K, 2) px, NaN where there is none.
        points: (N, K, 2) px, likewise.

    Returns:
        px; infinite where there is no such keypoint.
    """
    apart = np.linalg.norm(answers - points, axis=-1)
    known = ~np.isnan(apart)
    return float(apart[known].mean()) if known.any() else float("inf")


def _learnable(labelled: LabeledImages) -> tuple[IntArray, str]:
    """The images of one instance; and why detectors are not asked, where they are not."""
    annotations: Annotations = labelled.annotations
    counts = np.bincount(annotations.index, minlength=len(annotations))
    lone = np.flatnonzero((counts == 1) & (np.bincount(annotations.index, annotations.crowd, len(annotations)) == 0))
    if (counts > 1).any():
        return lone, f"{int((counts > 1).sum())} labelled images hold several instances, and trials take one an image"
    return lone, "" if len(lone) else "no labelled image holds an instance"


def _most_alike(alike: FloatArray, labelled: int, order: IntArray) -> dict[int, int]:
    """Chosen image -> how many unlabelled ones are more like it than like any other that is chosen or labelled."""
    known = np.concatenate([order, np.arange(labelled)])
    nearest = known[np.argmax(alike[labelled:, known], axis=1)]
    return {int(one): max(1, int((nearest == one).sum())) for one in order.tolist()}


def image_paths(folder: Path) -> list[Path]:
    """The image files of a folder, by name.

    Raises:
        UserError: Where there is none.
    """
    if not folder.is_dir():
        what = "is a file; name the folder it lies in" if folder.exists() else "there is no such folder"
        raise UserError(f"images {folder}: {what}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"images {folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    return paths


def _not_labelled(images: ImageFiles, labelled: Sequence[Image]) -> IntArray:
    """Positions of images that are not, pixel by pixel, among the labelled ones."""
    of_labelled, own = fingerprints(labelled)[1], fingerprints(images)[1]
    known: set[str] = set()
    kept: list[int] = []
    for i, row in enumerate(own @ of_labelled.T):
        flat = not own[i].any()
        candidates = np.flatnonzero((row >= SAME) | (flat & ~of_labelled.any(axis=1)))
        known |= {_digest(labelled, int(j)) for j in candidates}
        if not (len(candidates) and images.digest(i) in known):
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def _digest(images: Sequence[Image], i: int) -> str:
    return images.digest(i) if isinstance(images, LazyImages) else image_digest(images[i])
