"""A fitted detector as an ONNX file, written only where it answers as the detector does, on the test images.

The graph holds the whole road: bytes of an image in, pixels of that image out. What is measured is measured on the file's
own bytes in onnxruntime: the largest distance between its answers and the detector's, the paired interval of the difference
of their mean errors, and the processor milliseconds of both for an image asked alone. Images are shown in the one size that the file
takes; a test image of another size is letterboxed to it first, for both.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import files
from benchmark.colour import coloured
from benchmark.detector import Progress, no_progress
from benchmark.exported.about import KEY, About, Parity
from benchmark.exported.model import BATCH, ask, one_line, packages, session_of
from benchmark.framed import Framed
from benchmark.predict import restored
from benchmark.runs.data import open_data
from benchmark.runs.execute import commonest_category
from benchmark.runs.store import FolderRun
from benchmark.runs.threads import limited_threads
from benchmark.statistics.groups import Groups
from benchmark.statistics.paired import paired
from benchmark.structures import FloatArray, Image, LabeledImages, Picked, Prediction, UserError
from benchmark.windows import Size, Window
from datasets.dataset import tests_of
from leaderboard.run_data import reference_of

TOLERANCE = 0.01  # px
MOST = 500  # test images that are asked about, evenly spaced
MOST_TIMED, TIMED_SECONDS = 30, 3.0  # images that are asked one by one, to be timed
ALONE = 3  # of these that are asked one by one as well: a graph must take any number
LATEST = 18  # version of ONNX's operations, which runtimes of 2023 have


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        out: It.
        about: What it says of itself, and what was measured.
        bytes: Its size.
        changed: Files whose code has changed since the detector was fitted.
    """

    out: Path
    about: About
    bytes: int
    changed: tuple[str, ...]

    def __str__(self) -> str:
        about, parity = self.about, self.about.parity
        kind = "RGB" if about.colour else "grey"
        parts = [f"{self.out}: {about.detector} for {kind} images of {about.width} x {about.height} px"]
        moved = f"at most {parity.largest_px:.2g} px from the detector's answers on {parity.images} test images"
        if parity.difference_px is not None and parity.low_px is not None and parity.high_px is not None:
            moved += (
                f", mean error changed by {parity.difference_px:+.2g} px [{parity.low_px:+.2g}, {parity.high_px:+.2g}]"
            )
        parts.append(moved)
        parts.append(f"{parity.graph_ms:.3g} processor ms an image, the detector {parity.detector_ms:.3g}")
        if self.changed:
            parts.append(f"{', '.join(self.changed)} changed since it was fitted")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        return {
            "out": str(self.out),
            "bytes": self.bytes,
            "changed": list(self.changed),
            **self.about.model_dump(mode="json"),
        }


def export_model(
    weights: Path,
    out: Path,
    *,
    size: Size | None = None,
    data: str | None = None,
    detector: str | None = None,
    tolerance: float = TOLERANCE,
    progress: Progress = no_progress,
) -> Exported:
    """Write the fitted detector of a run as an ONNX file.

    Args:
        weights: The folder of a run that was made with ``--save-weights``.
        out: The file.
        size: (height, width) px of the images that it is to take; None: that of most test images.
        data: Where the run's data is now; None: a preset, or where it was.
        detector: The detector, where it is the user's own file.
        tolerance: px, within which every keypoint of every test image has to be.
        progress: Is told how far it is.

    Returns:
        What was written.

    Raises:
        UserError: Where weights or data are missing, the detector is no graph, or the graph answers otherwise; nothing is
            written then.
    """
    files.check_ending(out, "an exported model", (".onnx",), bare=False)
    if not 0 < tolerance < np.inf:
        raise UserError(f"tolerance {tolerance}: is a distance above 0, in px")
    onnx, *_ = packages("onnx", "onnxruntime", "onnxscript")
    fitted, run, changed = restored(weights, "cpu", detector)
    title, config = run.record.config.detector, run.record.config
    if (network := fitted.detector.graph()) is None:
        raise UserError(f"{title}: cannot be exported: it is not one network from pixels to the points of one instance")
    progress(0.1, "reading the test images")
    images = _Sized(_some(_tests(run, data)), size)
    progress(0.2, "exporting")
    content = _graph(fitted, network, title, images)
    with _quiet():
        try:
            session = session_of(content, config.threads)
        except Exception as error:
            raise UserError(
                f"{title}: cannot be exported: onnxruntime cannot run its graph ({one_line(error)})"
            ) from error
    with limited_threads(config.threads):
        parity = _parity(fitted, session, images, title, tolerance, config.threads, progress)
    known = run.annotations
    about = About(
        detector=title,
        run=run.record.key,
        height=images.size[0],
        width=images.size[1],
        colour=images.colour,
        span=run.record.span,
        as_stored=run.record.as_stored,
        keypoint_names=list(known.keypoint_names),
        sigmas=known.sigmas.tolist(),
        skeleton=list(known.skeleton),
        categories=[(category.id, category.name) for category in known.categories],
        category=commonest_category(known),
        threads=config.threads,
        parity=parity,
    )
    model = onnx.load_from_string(content)
    model.metadata_props.add(key=KEY, value=json.dumps(about.model_dump(mode="json")))
    model.doc_string = f"{title}: uint8 images to {about.convention}"
    written = model.SerializeToString()
    files.write_bytes(out, written)
    return Exported(out, about, len(written), tuple(changed))


class _Sized:
    """Test images in one size and colour: what a graph of that size is asked about.

    Attributes:
        size: (height, width) px.
        colour: Whether they are RGB.
    """

    def __init__(self, test: LabeledImages, size: Size | None) -> None:
        self._test = test
        sizes = Counter((int(height), int(width)) for width, height in test.annotations.sizes.tolist())
        self.size = size or min(sizes.items(), key=lambda item: (-item[1], item[0]))[0]
        self.colour = np.asarray(test.images[0]).ndim == 3

    def __len__(self) -> int:
        return len(self._test)

    def __getitem__(self, i: int) -> Image:
        image = np.asarray(self._test.images[i])
        return self._window(i).render(coloured(image, self.colour))

    def _window(self, i: int) -> Window:
        width, height = self._test.annotations.sizes[i].tolist()
        return Window.whole((int(height), int(width)), self.size)

    def points(self) -> FloatArray | None:
        """(N, K, 2) px of these images, NaN where nothing is labelled; None where images hold other than one instance."""
        if not self._test.annotations.single_instance:
            return None
        points = self._test.annotations.points
        return np.stack([self._window(i).to_canvas(own) for i, own in enumerate(points)])

    @property
    def groups(self) -> Groups | None:
        """Which of them belong together."""
        names = self._test.annotations.groups
        return None if names is None else Groups.of(names)


def _tests(run: FolderRun, data: str | None) -> LabeledImages:
    reference = reference_of(run, run.store, data, fresh=False)
    test = tests_of(open_data(reference, write=False))
    if not len(test):
        raise UserError(f"{run.place}: its data has no test image, so parity cannot be measured")
    return test


def _some(test: LabeledImages) -> LabeledImages:
    """At most `MOST` of them, evenly spaced."""
    if len(test) <= MOST:
        return test
    chosen = np.unique(np.linspace(0, len(test) - 1, MOST).astype(int)).tolist()
    images = test.images[chosen] if isinstance(test.images, np.ndarray) else Picked(test.images, chosen)
    return LabeledImages(images, test.annotations.take(chosen))


def _graph(fitted: Framed, network: Any, title: str, images: _Sized) -> bytes:
    """The graph as an ONNX file. UserError where the detector is none, or none that can be written."""
    import torch

    from benchmark.exported.graph import WholeGraph

    window, colour = fitted.view(images.size)
    if colour != images.colour:
        raise UserError(
            f"{title}: cannot be exported: it learned from {'RGB' if colour else 'grey'} images, and these differ"
        )
    whole = WholeGraph(network, window, images.size, colour).eval()
    example = torch.from_numpy(np.stack([images[i % len(images)] for i in range(2)]))
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                whole,
                (example,),
                input_names=["images"],
                output_names=["points", "scores"],
                dynamic_shapes=({0: torch.export.Dim("images", min=1)},),
                opset_version=LATEST,
                dynamo=True,
                verbose=False,
            )
            model = program.model_proto  # type: ignore[union-attr]
    except Exception as error:
        cause = error.__cause__ or error
        words = one_line(f"{type(cause).__name__}: {cause}")
        raise UserError(f"{title}: cannot be exported: its network is not one graph ({words})") from error
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise UserError(f"{title}: cannot be exported: its network takes a fixed number of images only")
    content: bytes = model.SerializeToString()
    return content


def _parity(
    fitted: Framed,
    session: Any,
    images: _Sized,
    title: str,
    tolerance: float,
    threads: int,
    progress: Progress,
) -> Parity:
    """How the graph answers beside the detector. UserError where they differ by more than ``tolerance`` px."""
    said, found = [], []
    for start in range(0, len(images), BATCH):
        batch = np.stack([images[i] for i in range(start, min(start + BATCH, len(images)))])
        said.append(_points(fitted.predict(list(batch))))
        found.append(ask(session, batch)[0])
        progress(0.6 + 0.3 * start / len(images), f"comparing: {start + len(batch)} of {len(images)} images")
    theirs, ours = np.concatenate(said), np.concatenate(found)
    alone = np.concatenate([ask(session, images[i][None])[0] for i in range(min(ALONE, len(images)))])
    away = np.linalg.norm(ours - theirs, axis=-1)
    largest = max(float(away.max()), float(np.linalg.norm(alone - theirs[: len(alone)], axis=-1).max()))
    if not largest <= tolerance:  # NaN is refused as well
        count = int((~(away <= tolerance)).any(axis=1).sum())
        raise UserError(
            f"{title}: not exported: the graph answers up to {largest:.3g} px elsewhere than the detector, beyond "
            f"{tolerance:g} px in {count} of {len(images)} test images"
        )
    progress(0.9, "timing")
    first = [images[i][None] for i in range(min(8, len(images)))]
    detector_ms = _processor_ms(lambda i: fitted.predict(list(first[i])), len(first))
    graph_ms = _processor_ms(lambda i: ask(session, first[i]), len(first))
    labels = images.points()
    difference: tuple[float | None, ...] = (None, None, None)
    if labels is not None and (rows := np.flatnonzero(np.isfinite(labels).any(axis=(1, 2)))).size:
        errors = [np.nanmean(np.linalg.norm(own - labels, axis=-1)[rows], axis=1)[None] for own in (ours, theirs)]
        result = paired(errors[0], errors[1], groups=None if images.groups is None else images.groups.take(rows))
        ends = (result.difference, result.low, result.high)
        difference = tuple(float(value) if np.isfinite(value) else None for value in ends)
    return Parity(
        images=len(images),
        largest_px=largest,
        tolerance_px=tolerance,
        difference_px=difference[0],
        low_px=difference[1],
        high_px=difference[2],
        detector_ms=detector_ms,
        graph_ms=graph_ms,
        threads=threads,
    )


def _processor_ms(ask_one: Callable[[int], object], count: int) -> float:
    """Processor milliseconds for one image asked alone: a median, which a busy machine changes little."""
    took, begun = [], time.perf_counter()
    for i in range(MOST_TIMED + 1):
        started = time.process_time()
        ask_one(i % count)
        took.append(time.process_time() - started)
        if len(took) > 1 and time.perf_counter() - begun > TIMED_SECONDS:
            break
    return 1000 * float(np.median(took[1:]))  # the first warms up


def _points(answers: FloatArray | Any) -> FloatArray:
    """(N, K, 2) of a detector of one instance an image."""
    if isinstance(answers, np.ndarray):
        return answers
    best: list[Prediction] = list(answers)
    return np.stack([one.keypoints[0] for one in best])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what exporters print, warn or log."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
