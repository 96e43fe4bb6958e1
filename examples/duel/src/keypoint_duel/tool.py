"""The protocol: a folder in COCO form in, a COCO results file out, a clock. See ``docs/duel.md``.

COMMAND fit FOLDER       learn from annotations/train.json and val.json, keep what is learned in model/
COMMAND predict FOLDER   answer annotations/test.json, whose images have no annotations, in results.json

Both lie in a folder of their own, which is gone when the detector is.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark import Budget, Card, Detector, LabeledImages, Prediction
from benchmark.structures import Annotations, Image, UserError
from benchmark.windows import Size
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import read_predictions
from datasets.images import write_png
from keypoint_duel.adapters.protocol import PROTOCOL
from keypoint_duel.clock import Took, ToolError, last_words, run_step

KEEP = "KEYPOINT_DUEL_KEEP"  # names a folder that keeps what tools were given and what they made
ANSWER_SECONDS = 1800.0  # for answering, start apart
UNREACHABLE = "http://127.0.0.1:9"  # a port that discards: whatever asks for the network there is refused at once
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
OFFLINE = dict.fromkeys(PROXIES, UNREACHABLE) | {
    "HF_HUB_OFFLINE": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "WANDB_MODE": "disabled",
}
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class Tool(Detector):
    """A detector that another program is; see the module. A subclass says which, by `command`.

    Every tool is shown whole images and may find any number of instances in one.

    Args:
        online: Whether it may use the network.
    """

    card = Card(multi_instance=True, has_confidence=True)
    budgets: ClassVar[tuple[str, ...]] = ("seconds",)
    partial_labels: ClassVar[bool] = True

    def __init__(self, online: bool = False) -> None:
        self.online = online
        self._folder = Path()
        self._known: Annotations | None = None
        self._answered = False

    def command(self) -> list[str]:
        """Program and arguments, to which the step and the folder are added. UserError where there is none."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What the tool is told beside the data: JSON-able."""
        return {}

    def shown_size(self, commonest: Size, asked: int) -> Size:
        """The images' own size, where none is asked for: tools resize by themselves."""
        return super().shown_size(commonest, asked) if asked else commonest

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        """Write the two splits, and have the tool learn until it is done or its time is over.

        Raises:
            UserError: Where the tool is not there.
            ToolError: Where it fails, or is stopped before it has saved anything.
        """
        command = self.command()
        folder = self._folder = Path(tempfile.mkdtemp(prefix="keypoint-duel-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        (folder / "model").mkdir()
        self._known, self._answered, self.notes, self.log = _bare(train.annotations), False, [], ""
        for name, data in (("train", train), ("val", val)):
            _write_split(folder, name, data)
        told = {"seconds": budget.seconds, "seed": seed, "threads": self.threads, "device": self.device}
        took = self._step(command, "fit", told, budget.seconds)
        note = f"ready after {took.start:.1f} s, then learned for {took.work:.1f} s"
        if took.stopped:
            note += ", when it was stopped: its time was over"
            if not any((folder / "model").iterdir()):
                self._keep()
                raise ToolError(
                    f"it was stopped at its budget of {budget.seconds:.3g} s before it had saved anything", self.log
                )
        self.notes = [*self._told_notes(), f"{note}; {took.memory / 2**20:,.0f} MiB of memory at most"]

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """Have the tool answer images.

        Raises:
            UserError: Where its results are none.
            ToolError: Where it fails.
        """
        if self._known is None:
            raise UserError("a tool answers in the process that has fitted it")
        if self._answered and len(images) == 1:  # the time for one image: the tool would be started for it
            raise UserError("a tool is not asked for single images")
        folder, count = self._folder, len(images)
        shutil.rmtree(folder / "images" / "test", ignore_errors=True)
        (folder / "results.json").unlink(missing_ok=True)
        sizes = np.array([image.shape[1::-1] for image in images], dtype=np.int64).reshape(count, 2)
        asked = replace(
            self._known,
            image_ids=np.arange(1, count + 1),
            file_names=tuple(f"{i:08d}.png" for i in range(1, count + 1)),
            sizes=sizes,
        )
        _write_split(folder, "test", LabeledImages(images, asked))
        took = self._step(self.command(), "predict", {"seconds": None, "threads": self.threads, "device": self.device})
        if not (folder / "results.json").is_file():
            raise ToolError("it answered nothing: there is no results.json", self.log)
        try:
            found = read_predictions(folder / "results.json", asked)
        except UserError as error:
            raise ToolError(str(error).replace(f"{folder}{os.sep}", ""), self.log) from error
        self.notes = [
            *dict.fromkeys([*self.notes, *self._told_notes()]),
            f"answered {count:,} images in {took.work:.1f} s, after {took.start:.1f} s of starting",
        ]
        self._answered = True
        self._keep()
        return [
            Prediction(found.keypoints[own], found.scores[own], found.category_ids[own])
            for own in (np.flatnonzero(found.image_ids == i) for i in range(1, count + 1))
        ]

    def _step(self, command: list[str], step: str, told: Mapping[str, Any], seconds: float | None = None) -> Took:
        folder = self._folder
        job = {"protocol": PROTOCOL, "step": step, **told, "settings": self.settings()}
        (folder / "job.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
        limit = ANSWER_SECONDS if step == "predict" else seconds
        try:
            took = run_step([*command, step, str(folder)], folder, limit, self._environment(), self.progress)
        except BaseException:
            self._keep()
            raise
        finally:
            self.log = last_words(folder)
        if took.stopped and step == "predict":
            raise ToolError(f"it had not answered within {ANSWER_SECONDS:g} s", self.log)
        return took

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        own |= dict.fromkeys(THREADS, str(self.threads))
        own |= {"PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "agg"}
        own["KEYPOINT_DUEL_PROCESS"] = str(os.getpid())
        return own if self.online else own | OFFLINE

    def _told_notes(self) -> list[str]:
        """What the tool says of itself: lines of ``notes.txt``."""
        file = self._folder / "notes.txt"
        return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []

    def _keep(self) -> None:
        """Copy the folder, but for the images, where somebody wants to look at it."""
        if place := os.environ.get(KEEP):
            kept = Path(place) / self._folder.name
            shutil.copytree(self._folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("images"))


def _bare(annotations: Annotations) -> Annotations:
    """What stays of annotations where nothing is known of any image: keypoints, categories, sigmas."""
    k = len(annotations.keypoint_names)
    known = annotations.known_category_ids
    return replace(
        annotations.take([]),
        index=np.zeros(0, dtype=np.int64),
        keypoints=np.zeros((0, k, 2)),
        categories=annotations.categories or _nameless(known.tolist()),
        labels=None,
        baseline=None,
        groups=None,
    )


def _nameless(ids: Sequence[int]) -> tuple[Any, ...]:
    from benchmark.structures import Category

    return tuple(Category(i, f"category {i}") for i in ids)


def _write_split(folder: Path, name: str, data: LabeledImages) -> None:
    """A split in COCO form: PNG images called by their ids, and an annotation file."""
    annotations = replace(
        data.annotations,
        file_names=tuple(f"{i:08d}.png" for i in data.annotations.image_ids.tolist()),
        labels=None,
        baseline=None,
        groups=None,
        categories=data.annotations.categories or _nameless(data.annotations.known_category_ids.tolist()),
    )
    images = folder / "images" / name
    images.mkdir(parents=True)
    for file, image in zip(annotations.file_names, data.images):
        write_png(images / file, np.asarray(image))
    (folder / "annotations").mkdir(exist_ok=True)
    document = json.dumps(annotations_to_json(annotations))
    (folder / "annotations" / f"{name}.json").write_text(document, encoding="utf-8")
