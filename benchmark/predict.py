"""A fitted detector on new images or a video: from saved weights to a file of answers, and pictures of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import files, overlay
from benchmark.detector import Detector, Progress, no_progress
from benchmark.framed import Framed
from benchmark.registry import named_for, spec_of
from benchmark.runs import facts
from benchmark.runs.execute import answer, commonest_category
from benchmark.runs.plan import changed_since
from benchmark.runs.store import FolderRun, Store, root_of
from benchmark.runs.threads import limited_threads
from benchmark.structures import Annotations, Category, FloatArray, Image, Predictions, UserError
from datasets import formats, videos
from datasets.formats import prediction_files
from datasets.formats.answers import Answers
from datasets.formats.reading import ReadOptions
from datasets.images import BROKEN, SUFFIXES, Span, decode, lies

SCORE_OF = {"dlc": "likelihood"}  # what a format calls a score, where it has a word of its own
CHUNK, CHUNK_BYTES = 256, 1 << 28  # images that are in memory at once, and bytes of them: `framed.CHUNK`, or fewer


def restored(folder: Path, device: str = "auto", detector: str | None = None) -> tuple[Framed, FolderRun, list[str]]:
    """The fitted detector of a run's folder.

    Args:
        folder: The folder of a run that was made with ``--save-weights``.
        device: auto, cpu or cuda.
        detector: The detector, where it is the user's own file: a record does not say what code is run.

    Returns:
        The detector; its run; and the files whose code has changed since it was fitted.

    Raises:
        UserError: Where weights are missing or not its own, or the detector is not to be had any more.
    """
    root = root_of(folder)
    stored = Store(root).read(folder)
    if not stored.weights.is_file():
        raise UserError(f"{stored.weights}: there are no weights; make the run with --save-weights")
    config, record = stored.record.config, stored.record
    spec = spec_of(named_for(config.name, record.facts.file, detector, stored.place), config.parameters)
    fitted = spec.framed()
    fitted.device = facts.device(device)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        with limited_threads(config.threads):  # restoring may be fitting again
            fitted.restore(load_file(stored.weights))
    except SafetensorError as error:
        raise UserError(
            f"{stored.weights}: is not a safetensors file ({error}); make the run again with --overwrite"
        ) from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{stored.weights}: are not the weights of {config.detector!r} ({why}); make the run again with --overwrite"
        ) from error
    file = spec.entry.file
    code = spec.code(() if file else record.facts.code)
    changed = changed_since(record, code, file.absolute().parent if file else None)
    return fitted, stored, changed


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted detector, and what is known of the data it learned from.

    Attributes:
        detector: It.
        known: Annotations whose keypoints, categories and skeleton are those it answers.
        category: The category of its answers where it tells none apart.
        threads: Threads of every numeric library, as in its run.
        span: Of images of more than 8 bits, see `datasets.images.Span`.
        changed: Files whose code has changed since it was fitted.
        as_stored: Whether it learned from photographs as they are stored, though they say that they are to be turned.
    """

    detector: Detector
    known: Annotations
    category: int
    threads: int
    span: Span | None = None
    changed: tuple[str, ...] = ()
    as_stored: bool = False


@dataclass(frozen=True)
class Predicted:
    """What came of `predict_folder`.

    Attributes:
        out: The file of answers.
        form: Its format.
        images: How many images or frames were asked about.
        taken: Which these are, in words.
        instances: How many instances were found.
        index: Which id is which file, for a COCO file of images without annotations; None for any other.
        overlay: Where answers are drawn; None where they are not.
        turned: How many photographs say that they are to be turned (EXIF), and were, and their points with them, unless
            ``as_stored``.
        as_stored: Whether photographs were left as they are stored, as those were that the detector learned from.
        changed: See `Fitted`.
        lost: What the format has no place for.
        video: Whether frames of a video were asked about.
        confident: Whether scores tell answers apart; False where each of them is 1, as of a detector without confidences.
    """

    out: Path
    form: str
    images: int
    taken: str
    instances: int
    index: Path | None
    overlay: Path | None
    turned: int
    changed: tuple[str, ...]
    lost: tuple[str, ...]
    video: bool
    confident: bool
    as_stored: bool = False

    def __str__(self) -> str:
        parts = [f"{self.out}: points of {self.images} {'frames' if self.video else 'images'}, {self.taken}"]
        parts += [f"{self.index} says which id is which {'frame' if self.video else 'file'}"] if self.index else []
        parts += [f"{self.overlay} shows them"] if self.overlay else []
        if self.turned and self.as_stored:
            parts.append(
                f"{self.turned} of them left as they are stored though they say that they are to be turned (EXIF), for those "
                "were that the detector learned from"
            )
        elif self.turned:
            parts.append(f"{self.turned} of them turned upright, as their EXIF orientation says, and so are the points")
        if not self.confident:
            parts.append(f"the detector has no confidences, so every {SCORE_OF.get(self.form, 'score')} is 1")
        parts += [f"not kept: {', '.join(self.lost)}"] if self.lost else []
        if self.changed:
            parts.append(f"{', '.join(self.changed)} changed since it was fitted, so answers may differ")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}


def predict_folder(
    weights: Path,
    images: Path,
    out: Path,
    *,
    device: str = "auto",
    detector: str | None = None,
    split: int = 0,
    options: ReadOptions | None = None,
    form: str = "",
    drawn: Path | None = None,
    progress: Progress = no_progress,
) -> Predicted:
    """Answer a folder of images (sorted by name, ids from 1), the frames of a video, or the test split of a data set.

    Args:
        weights: The folder of a run that was made with ``--save-weights``, or an ONNX file that ``export-model`` wrote.
        images: The images, the video, or the data set.
        out: The file of answers. Beside a COCO file of anything but a data set, ``<out>.images.json`` says what each id is.
        device: auto, cpu or cuda.
        detector: The detector, where it is the user's own file.
        split: How a data set is divided where its files do not say; 0 for development.
        options: What the user says about a data set.
        form: Format of ``out``, see `datasets.formats.prediction_files`; "": its suffix says it.
        drawn: Where answers are drawn over what they are about: a folder, or a video file of a video; None: nowhere.
        progress: Is told how far it is, 0 to 1, and in words.

    Returns:
        What was written.

    Raises:
        UserError: For anything that cannot be read, answered or written.
    """
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file")
    chosen = prediction_files.form_of(out, form)
    is_video = images.suffix.lower() in videos.SUFFIXES and not images.is_dir()
    if drawn is not None:
        overlay.refuse(drawn, images, video=is_video)
    fitted = _fitted(weights, device, detector)
    is_data = not is_video and formats.is_data_set(images)
    if not is_data and (split or options not in (None, ReadOptions())):
        raise UserError(
            f"images {images}: holds no annotations, so nothing is divided or chosen; leave such options out"
        )
    with files.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    rate, turned = videos.RATE, 0
    again: Callable[[], Iterator[Image]]  # the images once more, to be drawn on
    if is_data:
        dataset = formats.read(images, split, options)
        test, total = dataset.test, len(dataset.train) + len(dataset.val) + len(dataset.test)
        taken = f"the test split of {images}, which has {total:,} in all"
        given, learned = len(test.annotations.keypoint_names), len(fitted.known.keypoint_names)
        if given != learned:
            raise UserError(f"{images}: has {given} keypoints, and the detector was fitted for {learned}")
        if chosen in prediction_files.NAMING_PLACES and not (images / test.annotations.file_names[0]).is_file():
            raise UserError(
                f"{out}: format {chosen} names images where they lie, and {images} does not lie there itself: give the folder of "
                "its images as --images"
            )
        answers = Answers(test.annotations, _answered(fitted, test.annotations, test.images), images)
        again = lambda: iter(test.images)  # noqa: E731
    elif is_video:
        film = videos.VideoFile.open(images)
        taken = f"those of {images}"
        rate, again = film.rate, film.frames
        answers = _in_chunks(fitted, film.frames(), None, film.count, images, progress)
    else:
        paths = _paths_of(images)
        below = sum(path.suffix.lower() in SUFFIXES for path in images.glob("*/*"))
        taken = f"those of {images}" + (f"; {below:,} in folders below it are left out" if below else "")
        if formats.may_hold_annotations(images):
            taken += "; annotations lie there, too: name their file to answer their test split alone"
        again = lambda: _decoded(paths, fitted)  # noqa: E731
        turned = sum(_lies(path) for path in paths)
        answers = _in_chunks(fitted, again(), [path.name for path in paths], len(paths), images, progress)
    index = out.with_suffix(".images.json") if chosen == "coco" and not is_data else None
    lost = prediction_files.write(out, answers, chosen)
    if index is not None:
        names = answers.annotations.file_names
        frames = [{"frame": i} if is_video else {} for i in range(len(names))]
        listed = [
            {"id": i, "file_name": images.name if is_video else name, **frame}
            for i, (name, frame) in enumerate(zip(names, frames), 1)
        ]
        files.write_text(index, json.dumps(listed, indent=1, ensure_ascii=False))
    if drawn is not None:
        overlay.write(drawn, again(), answers, rate, progress)
    scores = answers.predictions.scores
    return Predicted(
        out=out,
        form=chosen,
        images=len(answers.annotations),
        taken=taken,
        instances=len(scores),
        index=index,
        overlay=drawn,
        turned=turned,
        changed=fitted.changed,
        lost=lost,
        video=is_video,
        confident=not tells_nothing(scores),
        as_stored=fitted.as_stored,
    )


def tells_nothing(scores: FloatArray) -> bool:
    """Whether the scores of some answers, (M,), are what the suite gives a detector that has none: 1 each."""
    return len(scores) > 0 and bool((scores == 1).all())


def _fitted(weights: Path, device: str, detector: str | None) -> Fitted:
    """What a run's folder or an exported file holds."""
    if weights.suffix.lower() == ".onnx":
        from benchmark.exported.model import ExportedModel

        if detector:
            raise UserError(f"{weights}: holds its detector; leave --detector out")
        model = ExportedModel.open(weights)
        return Fitted(
            model,
            model.annotations,
            commonest_category(model.annotations),
            model.threads,
            model.span,
            (),
            model.about.as_stored,
        )
    own, run, changed = restored(weights, device, detector)
    config = run.record.config
    category = commonest_category(run.annotations)
    record = run.record
    return Fitted(own, run.annotations, category, config.threads, record.span, tuple(changed), record.as_stored)


def _in_chunks(
    fitted: Fitted, images: Iterator[Image], names: list[str] | None, count: int, source: Path, progress: Progress
) -> Answers:
    """Answers for images without annotations, ids from 1, a few in memory at a time.

    Args:
        fitted: What answers.
        images: The images.
        names: What each is called; None for frames of a video, of which ``count`` is only what its header says.
        count: How many there are; 0 where nobody knows.
        source: Where they are from.
        progress: Is told how far it is.
    """
    parts: list[Predictions] = []
    sizes: list[tuple[int, int]] = []
    chunk: list[Image] = []

    def flush() -> None:
        start = len(sizes)
        own = [(image.shape[1], image.shape[0]) for image in chunk]
        asked = _blank(own, _names(names, source, start, len(own)), fitted.known, start + 1)
        sizes.extend(own)
        parts.append(_answered(fitted, asked, chunk))
        chunk.clear()
        of = f" of {count}" if count else ""
        progress(min(1.0, len(sizes) / count) if count else 0.0, f"finding points: {len(sizes)}{of}")

    for image in images:
        chunk.append(image)
        if len(chunk) == CHUNK or sum(one.nbytes for one in chunk[:1]) * len(chunk) >= CHUNK_BYTES:
            flush()
    if chunk:
        flush()
    annotations = _blank(sizes, _names(names, source, 0, len(sizes)), fitted.known, 1)
    together = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("image_ids", "keypoints", "scores", "category_ids")
    ]
    return Answers(annotations, Predictions(*together), source, video=names is None)


def _names(names: list[str] | None, source: Path, start: int, count: int) -> list[str]:
    chosen = range(start, start + count)
    return [f"{source.name}/{i:06d}" if names is None else names[i] for i in chosen]


def _answered(fitted: Fitted, annotations: Annotations, images: Sequence[Image]) -> Predictions:
    """The answers for some images. UserError where the detector cannot answer them."""
    try:
        with limited_threads(
            fitted.threads
        ):  # as the run, or the same images would be answered otherwise in the last bits
            return answer(fitted.detector, annotations, images, fitted.category)[0]
    except UserError:
        raise
    except Exception as error:
        shapes = ", ".join(str(shape) for shape in sorted({image.shape for image in images})[:3])
        raise UserError(
            f"the detector cannot answer these images, of shape {shapes} ({' '.join(f'{type(error).__name__}: {error}'.split())}): give images "
            "of the size and colours it was fitted on"
        ) from error


def _paths_of(folder: Path) -> list[Path]:
    """The image files of a folder, by name."""
    if not folder.is_dir():
        kinds = ", ".join(sorted(videos.SUFFIXES)[:4])
        wanted = f"a folder of images, a video ({kinds}, ...), or annotated images"
        if not folder.exists():
            raise UserError(f"images {folder}: there is no such file or folder; name {wanted}")
        also = f", as {folder.parent}" if folder.suffix.lower() in SUFFIXES else ""
        raise UserError(f"images {folder}: is a file; name {wanted}{also}")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"images {folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    return paths


def _decoded(paths: Sequence[Path], fitted: Fitted) -> Iterator[Image]:
    """Image files, the way up that the detector learned from: mostly upright."""
    for path in paths:
        try:
            yield decode(path, span=fitted.span, turn=not fitted.as_stored)
        except BROKEN as error:
            raise _unreadable(path, error) from error


def _lies(path: Path) -> bool:
    try:
        return lies(path)
    except BROKEN as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> UserError:
    return UserError(f"{path}: is not an image that can be read ({error})")


def _blank(sizes: Sequence[tuple[int, int]], names: Sequence[str], like: Annotations, first: int) -> Annotations:
    """Images of which nothing is known but (width, height), with the keypoints that the detector was fitted for."""
    k = len(like.keypoint_names)
    return Annotations(
        image_ids=np.arange(first, first + len(sizes)),
        file_names=tuple(names),
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
        index=np.zeros(0, dtype=np.int64),
        keypoints=np.zeros((0, k, 2)),
        visible=np.zeros((0, k), dtype=np.int64),
        boxes=np.zeros((0, 4)),
        areas=np.zeros(0),
        crowd=np.zeros(0, dtype=bool),
        category_ids=np.zeros(0, dtype=np.int64),
        keypoint_names=like.keypoint_names,
        sigmas=like.sigmas,
        categories=tuple(Category(i, name) for i, name in _category_names(like).items()),
        skeleton=like.skeleton,
    )


def _category_names(like: Annotations) -> dict[int, str]:
    named = {category.id: category.name for category in like.categories}
    return {i: named.get(i, f"category {i}") for i in like.known_category_ids.tolist()}
