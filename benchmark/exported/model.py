"""An exported file back: an ONNX graph in onnxruntime, as a detector that is fitted already.

The file is data: it is read into memory and nothing outside of it is opened, and the graph has the runtime's own
operations alone. What it says of itself is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmark.colour import coloured
from benchmark.detector import Detector
from benchmark.exported.about import KEY, About
from benchmark.structures import Annotations, FloatArray, Image, Prediction, UserError

BATCH = 32


def packages(*names: str) -> list[Any]:
    """Packages of the extra ``onnx``. UserError where one is not installed."""
    import importlib

    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise UserError(f"ONNX needs the package {error.name}: pip install {' '.join(names)}") from error


def session_of(content: bytes, threads: int) -> Any:
    """A session of onnxruntime on the processor; whatever that raises where it cannot run the graph."""
    (runtime,) = packages("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class ExportedModel(Detector):
    """An exported graph.

    Args:
        session: See `session_of`.
        about: What the file says of itself.
        place: The file, named in errors.
    """

    def __init__(self, session: Any, about: About, place: str) -> None:
        self._session, self.about, self._place = session, about, place
        self.threads = about.threads

    @classmethod
    def open(cls, path: Path) -> ExportedModel:
        """The graph in a file that ``export-model`` wrote.

        Raises:
            UserError: Where there is none, it is damaged, or something else wrote it; where onnxruntime is not installed.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        packages("onnxruntime")
        try:
            told = session_of(content, 1).get_modelmeta().custom_metadata_map.get(KEY)
        except Exception as error:
            raise UserError(f"{path}: is no ONNX file that onnxruntime can run ({one_line(error)})") from error
        if told is None:
            raise UserError(f"{path}: was not written by export-model, so what it answers is not known")
        try:
            about = About.model_validate_json(told)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(f"{path}: what it says of itself is damaged ({where}: {first['msg']})") from error
        if len(about.sigmas) != len(about.keypoint_names):
            raise UserError(f"{path}: names {len(about.keypoint_names)} keypoints and {len(about.sigmas)} sigmas")
        return cls(session_of(content, about.threads), about, str(path))

    @property
    def annotations(self) -> Annotations:
        """See `About.annotations`."""
        return self.about.annotations()

    @property
    def span(self) -> tuple[float, float] | None:
        """See `About.span`."""
        return self.about.span

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """One instance an image; see `Detector.predict`.

        Raises:
            UserError: Where an image is of another size than the graph's.
        """
        wanted = (self.about.height, self.about.width)
        if other := next((image.shape for image in images if image.shape[:2] != wanted), None):
            raise UserError(
                f"{self._place}: takes images of {wanted[1]} x {wanted[0]} px, and one is {other[1]} x {other[0]}: export the "
                f"run again with --size {other[1]}x{other[0]}"
            )
        answers: list[Prediction] = []
        for start in range(0, len(images), BATCH):
            batch = np.stack([coloured(np.asarray(one), self.about.colour) for one in images[start : start + BATCH]])
            points, scores = ask(self._session, batch)
            answers += [Prediction(points[i : i + 1], scores[i : i + 1]) for i in range(len(points))]
        return answers


def ask(session: Any, images: Image) -> tuple[FloatArray, FloatArray]:
    """The answers of a graph.

    Args:
        session: See `session_of`.
        images: (N, H, W) or (N, H, W, 3) uint8, of its size.

    Returns:
        (N, K, 2) float64 px, and (N,) float64 confidences.
    """
    points, scores = session.run(["points", "scores"], {"images": np.ascontiguousarray(images)})
    return points, scores


def one_line(error: object) -> str:
    """The words of an error on one line, not too long and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())[:300]
