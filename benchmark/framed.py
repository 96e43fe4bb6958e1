"""Any detector on any keypoint data: what stands between real images and a detector that wants easy ones.

A detector of one instance an image wants exactly one in each, and images of one size it can afford; real data has
photographs of several sizes, images with none or several instances, and instances with unlabelled keypoints. `Framed`
wraps a detector: it is shown windows (`benchmark.windows`), each with one instance, and its answers are mapped back.

    boxes=image      the window is the whole image; chosen where no training image holds several instances
    boxes=truth      a window about each annotated box, of test images too: the row is marked "given boxes"
    boxes=detected   a window about each box that a box detector finds, which learns from the same training images

A detector of several instances is shown whole images, smaller where they are large. ``size`` is the longer side of what
is shown, in px; by default the images' own up to the detector's `Detector.longest_side`. Where nothing is to be done, as
on 28 x 28 digits, data and answers pass through untouched, to the last bit.
"""

from __future__ import annotations

import importlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, overload

import numpy as np

from benchmark import memory
from benchmark.colour import coloured
from benchmark.detector import Budget, Card, Detector, HistoryRow, Progress
from benchmark.structures import Annotations, FloatArray, Image, IntArray, LabeledImages, Prediction, UserError
from benchmark.windows import Size, Window, canvas_for_boxes

Source = Literal["image", "truth", "detected"]
SOURCES: tuple[Source, ...] = ("image", "truth", "detected")
CHUNK = 256  # images answered at a time
BOX_CHUNK = 64  # the same, of images with boxes
KEPT = 1 << 29  # bytes of windows that are kept in memory; more are cut out anew at each access
SMALL, SMALL_SET = 1 << 12, 1 << 24  # pixels of an image and of all images that fit whatever is done with them
BOX_STEPS = 240  # that a box detector learns for at least, where no budget says otherwise
BOX_STEP_IMAGES = 4  # and a step for so many training images: two passes at its batch of 8
BOX_SHARE = 0.3  # of the progress of a fit, and of its budget in seconds, where a box detector learns first
LEAST_SECONDS = 0.001  # of a budget, where there is nothing left of it: a detector takes one step


@dataclass(frozen=True, eq=False)
class Boxes:
    """Where a detector is to look in one image.

    Attributes:
        boxes: (M, 4) float64 x, y, width, height in px.
        scores: (M,) float64, how sure it is that there is an instance; 1 for annotated ones.
        category_ids: (M,) int64, COCO category ids.
    """

    boxes: FloatArray
    scores: FloatArray
    category_ids: IntArray


def annotated_boxes(annotations: Annotations) -> list[Boxes]:
    """The boxes of each image's instances that count: no crowds, and a keypoint is labelled."""
    rows = np.flatnonzero(_counted(annotations))
    owners = annotations.index[rows]
    parts = []
    for i in range(len(annotations)):
        own = rows[slice(*np.searchsorted(owners, [i, i + 1]))]
        parts.append(Boxes(annotations.boxes[own], np.ones(len(own)), annotations.category_ids[own]))
    return parts


class Framed(Detector):
    """A detector that is shown windows of images; see the module.

    Args:
        detector: The detector, unfitted.
        size: px, the longer side of what it is shown; 0 for the default.
        boxes: One of `SOURCES`; "" for the default.

    Attributes:
        detector: The wrapped one.
        notes: What `fit` chose and set aside, in sentences.
        needs_boxes: Whether `predict_boxes` is to be asked instead of `predict`: once fitted with ``boxes=truth``.
        shared_seconds: Seconds that a box detector took to fit, where an earlier detector of this grid has paid for it.
    """

    def __init__(self, detector: Detector, *, size: int = 0, boxes: str = "") -> None:
        self.detector, self._longest, self._asked = detector, size, boxes
        self.notes: list[str] = []
        self.shared_seconds = 0.0
        self._source: Source = "image"
        self._canvas: Size | None = None  # None: not fitted yet
        self._colour = False
        self._boxes: Framed | None = None
        self._progress: Progress = detector.progress

    # What is the detector's own.

    @property
    def card(self) -> Card:  # type: ignore[override]
        """The detector's."""
        return self.detector.card

    @property
    def needs_boxes(self) -> bool:
        """Whether it answers where it is told to look."""
        return self._source == "truth"

    @property
    def n_parameters(self) -> int | None:  # type: ignore[override]
        """The detector's, and those of the box detector."""
        own = self.detector.n_parameters
        return own if self._boxes is None else (own or 0) + (self._boxes.n_parameters or 0)

    @property
    def pretraining_images(self) -> Sequence[Image]:  # type: ignore[override]
        """The detector's."""
        return self.detector.pretraining_images

    def handmade_features(self, images: Sequence[Image]) -> FloatArray | None:
        """The detector's."""
        return self.detector.handmade_features(images)

    # Learning.

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> list[HistoryRow]:
        """Fit the detector on windows of the images; see `Detector.fit`.

        Raises:
            UserError: Where no training image has what it learns from.
        """
        inner, started = self.detector, time.perf_counter()
        inner.device, inner.threads, inner.progress = self.device, self.threads, self.progress
        self.notes = []
        self._source = self._chosen_source(train.annotations)
        usable = self._usable(train, "training"), self._usable(val, "val")
        self._colour = usable[0].images[0].ndim == 3
        self._canvas = self._chosen_canvas(usable[0].annotations)
        shown = [self._shown(data) for data in usable]
        count, pixels = len(shown[0]), math.prod(self._canvas)
        if pixels > SMALL or pixels * count > SMALL_SET:
            mend = "give a smaller size=, or fewer images with --n"
            memory.require(inner.memory(shown[0]), f"this detector on {count} images", mend)
        if self._source == "detected":
            inner.progress = lambda fraction, text: self.progress(BOX_SHARE + (1 - BOX_SHARE) * fraction, text)
            self._boxes = self._fitted_boxes(train, val, seed, budget)
        if budget.seconds is not None:  # images were made ready, and boxes found, by the same clock
            spent = time.perf_counter() - started + self.shared_seconds
            budget = Budget(seconds=max(budget.seconds - spent, LEAST_SECONDS))
        rows = list(inner.fit(shown[0], shown[1], seed=seed, budget=budget) or [])
        self.notes += inner.notes
        return rows

    def _chosen_source(self, annotations: Annotations) -> Source:
        if self.card.multi_instance:
            return "image"
        counts = np.bincount(annotations.index[~annotations.crowd], minlength=len(annotations))
        several = int((counts > 1).sum())
        if self._asked == "image" and several:
            raise UserError(f"boxes=image needs one instance an image, and {several} training images hold several")
        if self._asked or not several:
            return cast(Source, self._asked or "image")
        self.notes.append(
            f"{several} training images hold several instances: boxes=detected is used (boxes=truth takes annotated ones)"
        )
        return "detected"

    def _usable(self, data: LabeledImages, name: str) -> LabeledImages:
        """The images that the detector can learn from; those set aside are counted in ``notes``."""
        annotations = data.annotations
        if self.card.multi_instance or (annotations.complete and self._source == "image"):
            return data
        rows = self._learnable(annotations)
        if self._source != "image":
            if not rows.any() and name == "training":
                raise UserError("no training image has an instance with a labelled keypoint")
            return data
        kept = np.flatnonzero(np.bincount(annotations.index[rows], minlength=len(data)) == 1)
        if len(kept) < len(data):
            what = "a labelled keypoint" if self.detector.partial_labels else "a fully labelled instance"
            self.notes.append(f"{len(data) - len(kept)} of {len(data)} {name} images without {what} were set aside")
        if not len(kept) and name == "training":
            raise UserError("no training image has what it learns from: an instance with labelled keypoints")
        return _with_rows(data.take(kept), self._learnable(annotations.take(kept)))

    def _learnable(self, annotations: Annotations) -> Any:
        """(M,) bool: the instances that the detector can learn from."""
        labelled = annotations.visible > 0
        enough = labelled.any(axis=1) if self.detector.partial_labels else labelled.all(axis=1)
        return enough & ~annotations.crowd

    def _chosen_canvas(self, annotations: Annotations) -> Size:
        """The size of what is shown."""
        if self._source != "image":
            boxes = annotations.boxes[self._learnable(annotations)]
            canvas = canvas_for_boxes(boxes, self._longest or self.detector.longest_side, exactly=bool(self._longest))
            self.notes.append(f"crops of boxes are shown at {canvas[1]} x {canvas[0]} px")
            return canvas
        sizes = Counter((int(height), int(width)) for width, height in annotations.sizes.tolist())
        commonest = min(sizes.items(), key=lambda item: (-item[1], item[0]))[0]
        canvas = self.detector.shown_size(commonest, self._longest or self.detector.wanted_side(annotations))
        if set(sizes) != {canvas}:
            self.notes.append(f"images are shown at {canvas[1]} x {canvas[0]} px")
        return canvas

    def _shown(self, data: LabeledImages) -> LabeledImages:
        """Windows of the images, and what is known of each in its own pixels; the data itself where nothing changes."""
        annotations, canvas = data.annotations, cast(Size, self._canvas)
        if self._source == "image":
            if (annotations.sizes == canvas[::-1]).all():
                return data
            owners, rows = np.arange(len(data)), np.arange(len(annotations.index))
            index = annotations.index
            windows = [Window.whole((int(h), int(w)), canvas) for w, h in annotations.sizes.tolist()]
        else:
            rows = np.flatnonzero(self._learnable(annotations))
            owners, index = annotations.index[rows], np.arange(len(rows))
            windows = [Window.around(box, canvas) for box in annotations.boxes[rows]]
        images = _kept(_WindowImages(data.images, owners, windows, self._colour))
        return LabeledImages(images, _in_windows(annotations, owners, windows, rows, index))

    def _fitted_boxes(self, train: LabeledImages, val: LabeledImages, seed: int, budget: Budget) -> Framed:
        """The box detector, fitted on these images; the last few are kept, for the next detector of a grid."""
        key = (
            train.annotations.digest,
            val.annotations.digest,
            len(train),
            seed,
            str(budget),
            self.device,
            self.threads,
        )
        if key not in _fitted:
            finder = _box_detector()
            finder.device, finder.threads = self.device, self.threads
            finder.progress = lambda fraction, text: self.progress(BOX_SHARE * fraction, f"boxes: {text}")
            started = time.perf_counter()
            length = budget if budget.kind else Budget(steps=max(BOX_STEPS, len(train) // BOX_STEP_IMAGES))
            if budget.seconds is not None:
                length = Budget(seconds=BOX_SHARE * budget.seconds)
            finder.fit(_corners(train), _corners(val), seed=seed, budget=length)
            while len(_fitted) >= 2:
                _fitted.pop(next(iter(_fitted)))
            _fitted[key] = (finder, time.perf_counter() - started)
            self.shared_seconds = 0.0
        else:
            self.shared_seconds = _fitted[key][1]
        return _fitted[key][0]

    # Answering.

    def predict(self, images: Sequence[Image]) -> FloatArray | Sequence[Prediction]:
        """Answers in pixels of the images as they came; see `Detector.predict`.

        Raises:
            UserError: Where it was fitted on given boxes, and there are none.
        """
        if self._source == "truth":
            raise UserError(
                "it was fitted with boxes=truth, so it needs to be given boxes: give a data set, or fit with boxes=detected"
            )
        if self._source == "detected":
            return self.predict_boxes(images, self.found_boxes(images))
        canvas = self._canvas
        whole = isinstance(images, np.ndarray) and images.shape[1:3] == canvas and (images.ndim == 4) == self._colour
        if canvas is None or whole or not len(images):
            return self.detector.predict(images)
        parts: list[FloatArray | Sequence[Prediction]] = []
        for start in range(0, len(images), CHUNK):
            chunk = [np.asarray(image) for image in images[start : start + CHUNK]]
            windows = [Window.whole((image.shape[0], image.shape[1]), canvas) for image in chunk]
            shown = _kept(_WindowImages(chunk, np.arange(len(chunk)), windows, self._colour))
            parts.append(_mapped_back(self.detector.predict(shown), windows))
            self.progress(min(1.0, (start + CHUNK) / len(images)), "predicting")
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.concatenate(cast(list[FloatArray], parts))
        return [prediction for part in parts for prediction in cast(Sequence[Prediction], part)]

    def view(self, size: Size) -> tuple[Window, bool]:
        """How the fitted detector is shown an image, where it is shown whole images.

        Args:
            size: (height, width) px of the image.

        Returns:
            Its window, and whether it is shown in colour.

        Raises:
            UserError: Where it is shown crops of boxes.
        """
        if self._source != "image" or self._canvas is None:
            raise UserError(f"it is shown crops of boxes (boxes={self._source}), not whole images")
        return Window.whole(size, self._canvas), self._colour

    def heatmaps(self, images: Sequence[Image]) -> FloatArray | None:
        """The detector's, cut to the images as they came; None where it has none, or is shown boxes."""
        canvas = self._canvas
        if self._source != "image" or canvas is None or not len(images):
            return None
        whole = [np.asarray(image) for image in images]
        windows = [Window.whole((image.shape[0], image.shape[1]), canvas) for image in whole]
        maps = self.detector.heatmaps(_kept(_WindowImages(whole, np.arange(len(whole)), windows, self._colour)))
        if maps is None or all(image.shape[:2] == canvas for image in whole):
            return maps
        return np.stack([window.of_image(own, image.shape) for own, window, image in zip(maps, windows, whole)])

    def found_boxes(self, images: Sequence[Image]) -> list[Boxes]:
        """What the box detector finds in each image."""
        found = []
        for one in cast(Sequence[Prediction], cast(Framed, self._boxes).predict(images)):
            low, high = one.keypoints[:, 0] + 0.5, one.keypoints[:, 1] + 0.5
            ids = np.ones(len(low), dtype=np.int64) if one.category_ids is None else one.category_ids
            found.append(Boxes(np.concatenate([low, high - low], axis=1), one.scores, ids))
        return found

    def predict_boxes(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Prediction]:
        """The instance in each box, in pixels of the images as they came.

        Args:
            images: N arrays, uint8.
            boxes: Where to look in each; an instance's score is its box's times the detector's own.

        Returns:
            N predictions of as many instances as boxes, less those in which the detector finds nothing.
        """
        canvas = cast(Size, self._canvas)
        answers: list[Prediction] = []
        for start in range(0, len(images), BOX_CHUNK):
            chunk, own = images[start : start + BOX_CHUNK], boxes[start : start + BOX_CHUNK]
            owners = np.repeat(np.arange(len(own)), [len(one.boxes) for one in own])
            windows = [Window.around(box, canvas) for one in own for box in one.boxes]
            shown = _kept(_WindowImages(chunk, owners, windows, self._colour))
            within = _mapped_back(self.detector.predict(shown), windows) if windows else []
            found = iter(_as_predictions(within))
            answers += [_together([next(found) for _ in one.boxes], one) for one in own]
            self.progress(min(1.0, (start + BOX_CHUNK) / len(images)), "predicting")
        return answers

    # Remembering.

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The detector's state, and how it is shown images as ``framing`` and ``boxes.*``."""
        framing = np.array([SOURCES.index(self._source), *cast(Size, self._canvas), self._colour], dtype=np.int64)
        boxes = {} if self._boxes is None else {f"boxes.{name}": v for name, v in self._boxes.state().items()}
        return {**self.detector.state(), **boxes, "framing": framing}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become the fitted detector whose ``state()`` this was."""
        own = {name: v for name, v in state.items() if name != "framing" and not name.startswith("boxes.")}
        self.detector.device, self.detector.threads = self.device, self.threads
        self.detector.restore(own)
        source, height, width, colour = np.asarray(state["framing"]).tolist()
        self._source, self._canvas, self._colour = SOURCES[source], (height, width), bool(colour)
        if self._source == "detected":
            self._boxes = _box_detector()
            self._boxes.device, self._boxes.threads = self.device, self.threads
            self._boxes.restore({n.removeprefix("boxes."): v for n, v in state.items() if n.startswith("boxes.")})


_fitted: dict[
    tuple[Any, ...], tuple[Framed, float]
] = {}  # box detectors and the seconds they took: detectors share them


def _box_detector() -> Framed:
    """The box detector that the catalog of networks names, unfitted."""
    module, _, name = importlib.import_module("detectors").BOXES.partition(":")
    return Framed(getattr(importlib.import_module(module), name)())


def _counted(annotations: Annotations) -> Any:
    """(M,) bool: the instances that count, as COCO's scoring has it."""
    return (annotations.visible > 0).any(axis=1) & ~annotations.crowd


def _with_rows(data: LabeledImages, kept: Any) -> LabeledImages:
    """The same images with some of their instances alone."""
    names = ("index", "keypoints", "visible", "boxes", "areas", "crowd", "category_ids")
    chosen: dict[str, Any] = {name: getattr(data.annotations, name)[kept] for name in names}
    return LabeledImages(data.images, replace(data.annotations, **chosen))


def _corners(data: LabeledImages) -> LabeledImages:
    """Images whose instances have two keypoints, the outermost pixels of their boxes."""
    annotations = data.annotations
    low, high = annotations.boxes[:, :2] - 0.5, annotations.boxes[:, :2] + annotations.boxes[:, 2:] - 0.5
    return LabeledImages(
        data.images,
        replace(
            annotations,
            keypoints=np.stack([low, high], axis=1),
            visible=np.full((len(low), 2), 2),
            keypoint_names=("top left", "bottom right"),
            sigmas=np.full(2, 0.05),
            spacing=None,
            baseline=None,
            skeleton=(),
            flip_pairs=(),
        ),
    )


def _in_windows(
    annotations: Annotations, owners: IntArray, windows: Sequence[Window], rows: IntArray, index: IntArray
) -> Annotations:
    """What is known of windows: ids from 1, and instances in their pixels.

    Args:
        annotations: Of the images.
        owners: (W,) the image of each window.
        windows: W windows.
        rows: (M,) the instances that are kept.
        index: (M,) the window of each.
    """
    keypoints = annotations.keypoints[rows].copy()
    boxes, areas = annotations.boxes[rows].copy(), annotations.areas[rows].copy()
    for m, i in enumerate(index.tolist()):
        keypoints[m] = windows[i].to_canvas(keypoints[m])
        boxes[m] = windows[i].boxes_to_canvas(boxes[m])
        areas[m] *= windows[i].scale ** 2
    keypoints[annotations.visible[rows] == 0] = 0.0
    canvas = windows[0].canvas if windows else (1, 1)
    return replace(
        annotations,
        image_ids=np.arange(1, len(owners) + 1),
        file_names=tuple(f"{i}-{annotations.file_names[owner]}" for i, owner in enumerate(owners.tolist())),
        sizes=np.tile(np.array(canvas[::-1]), (len(owners), 1)),
        index=index,
        keypoints=keypoints,
        visible=annotations.visible[rows],
        boxes=boxes,
        areas=areas,
        crowd=annotations.crowd[rows],
        category_ids=annotations.category_ids[rows],
        spacing=None,
        labels=None if annotations.labels is None else annotations.labels[owners],
        baseline=None,
        groups=None if annotations.groups is None else tuple(annotations.groups[i] for i in owners.tolist()),
    )


class _WindowImages(Sequence[Image]):
    """Windows of images, cut out when they are asked for; an image that several windows show is decoded once for them."""

    def __init__(self, images: Sequence[Image], owners: IntArray, windows: Sequence[Window], colour: bool) -> None:
        self._images, self._owners, self._windows, self._colour = images, owners, list(windows), colour
        self._last: tuple[int, Image] | None = None

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def bytes(self) -> int:
        """Of all windows."""
        return sum(math.prod(window.canvas) for window in self._windows) * (3 if self._colour else 1)

    @overload
    def __getitem__(self, i: int) -> Image: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Image]: ...
    def __getitem__(self, i: int | slice) -> Image | Sequence[Image]:
        if isinstance(i, slice):
            return _WindowImages(self._images, self._owners[i], self._windows[i], self._colour)
        owner = int(self._owners[i])
        if self._last is None or self._last[0] != owner:
            self._last = (owner, np.asarray(self._images[owner]))
        return self._windows[i].render(coloured(self._last[1], self._colour))

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))


def _kept(images: _WindowImages) -> Sequence[Image]:
    """The windows as one array where that takes little memory."""
    if not len(images) or images.bytes > KEPT:
        return images
    return cast(Sequence[Image], np.stack(list(images)))


def _mapped_back(
    answers: FloatArray | Sequence[Prediction], windows: Sequence[Window]
) -> FloatArray | Sequence[Prediction]:
    """A detector's answers for windows, in pixels of the images."""
    if isinstance(answers, np.ndarray):
        if len(answers) != len(windows):
            raise ValueError(f"predict answered {len(answers)} images where {len(windows)} were asked")
        return np.stack([window.to_image(points) for window, points in zip(windows, answers)])
    return [
        Prediction(window.to_image(np.asarray(one.keypoints, dtype=np.float64)), one.scores, one.category_ids)
        for window, one in zip(windows, answers, strict=True)
    ]


def _as_predictions(answers: FloatArray | Sequence[Prediction]) -> Sequence[Prediction]:
    if isinstance(answers, np.ndarray):
        return [Prediction(points[None], np.ones(1)) for points in answers]
    return answers


def _together(within: Sequence[Prediction], boxes: Boxes) -> Prediction:
    """The best answer of each box of an image as one prediction; a box without an answer has none."""
    points, scores, categories = [], [], []
    for one, score, category in zip(within, boxes.scores.tolist(), boxes.category_ids.tolist()):
        if len(one.keypoints):
            best = int(np.argmax(one.scores))
            points.append(one.keypoints[best])
            scores.append(score * float(one.scores[best]))
            categories.append(category)
    if not points:
        return Prediction(np.zeros((0, 0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64))
    return Prediction(np.stack(points), np.array(scores), np.array(categories, dtype=np.int64))
