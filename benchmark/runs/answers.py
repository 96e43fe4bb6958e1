"""Answers of fits to many versions of the same test images, in one small file.

Asked about images corrupted in 45 ways, a dozen detectors with three seeds give 1,600 runs. Each in a bundle of its own
they would take ten megabytes, of which hardly a tenth is what figures are made of. Here are, in a zip archive,

    answers.json        the format, what the images are called in each version, the fits, and the sha256 of the other members
    annotations.jsonl   what the answers are scored against, a COCO document a line
    keypoints.npy       (fits, versions, images, keypoints, 2), in hundredths of a pixel, the bytes of each number apart

A fit is the record of its run on clean images, whose bundle lies beside this file. Answers are rounded to that, which no
figure of a report shows; confidences are left out, so AP means nothing here. Nothing in the file is trusted, as in a bundle.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark import files
from benchmark.runs.bundle import published
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Results, StoredRun, verified_annotations
from benchmark.structures import Annotations, IntArray, Predictions, UserError
from datasets.formats.coco import annotations_to_json

SUFFIX = ".answers.zip"
PER_PIXEL = 100
"""Answers are rounded to one so many-th of a pixel."""

NO_ANSWER = -(1 << 31)
FARTHEST = 1e7  # px; what lies farther away is answered as if it lay there
MOST_BYTES = 1 << 30  # of all members together, unpacked
MEMBERS = ("answers.json", "annotations.jsonl", "keypoints.npy")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same answers make the same bytes


class Version(BaseModel):
    """A version of the test images: what it is called, its digest, and that of what answers are scored against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    data_digest: str
    annotations: str


class _Head(BaseModel):
    """``answers.json``."""

    model_config = ConfigDict(extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    versions: list[Version]
    fits: list[Record]
    sha256: dict[str, str]


class Answer(StoredRun):
    """What a fit answers to one version of the images: a run without a log, a history and confidences."""

    def __init__(self, origin: str, fit: Record, version: Version, at: IntArray, annotations: Annotations) -> None:
        config = config_of(fit.config, version)
        told = {"key": config.key(fit.seed), "config": config, "annotations": version.annotations}
        self.fit, self._at, self._annotations = fit, at, annotations
        self.record = fit.model_copy(update={**told, "has_confidence": False, "scores": {}, "untrained": {}})
        self.place = f"{origin}: {self.record.key}"

    @property
    def annotations(self) -> Annotations:
        """What it is scored against."""
        return self._annotations

    @property
    def predictions(self) -> Predictions:
        """What it answered, to a hundredth of a pixel, an instance an image."""
        known = (self._at != NO_ANSWER).all(axis=(1, 2))
        images = np.flatnonzero(known)
        return Predictions(
            image_ids=np.asarray(self._annotations.image_ids)[images],
            keypoints=self._at[images] / PER_PIXEL,
            scores=np.ones(len(images)),
            category_ids=np.full(len(images), self._annotations.category_ids[0], dtype=np.int64),
        )

    @property
    def history_text(self) -> str:
        """None is kept."""
        return ""

    @property
    def log(self) -> str:
        """None is kept."""
        return ""

    @property
    def fingerprint(self) -> Hashable:
        """The bytes of its answers."""
        return hashlib.sha256(self._at.tobytes()).hexdigest()


class Answers(Results):
    """The answers in one file.

    Raises:
        UserError: Where the file is none, or not whole.
    """

    def __init__(self, path: Path) -> None:
        self.root = path
        try:
            head, documents, at = _read(path)
            annotations = {
                version.annotations: verified_annotations(
                    documents[version.annotations], version.annotations, str(path)
                )
                for version in head.versions
            }
            if at.shape[:2] != (len(head.fits), len(head.versions)):
                raise ValueError("its answers do not fit together")
            for known in annotations.values():
                if at.shape[2:] != (len(known.image_ids), len(known.keypoint_names), 2):
                    raise ValueError("its answers are of other images")
            for fit in head.fits:
                if fit.key != fit.config.key(fit.seed) or published(fit) != fit:
                    raise ValueError(f"fit {fit.key} is not what its key promises")
        except Exception as error:  # whatever the archive makes the reader raise
            words = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise UserError(f"{path}: is not a file of answers that can be read ({words}); get it again") from error
        self.fits, self.versions = tuple(head.fits), tuple(head.versions)
        self._at, self._annotations = at, annotations

    def runs(self) -> Iterator[Answer]:
        """Every answer of every fit to every version."""
        for fit, by_version in zip(self.fits, self._at):
            for version, at in zip(self.versions, by_version):
                yield Answer(str(self.root), fit, version, at, self._annotations[version.annotations])


def config_of(clean: RunConfig, version: Version) -> RunConfig:
    """What a fit was asked about a version of its test images."""
    return clean.model_copy(update={"data": version.data, "data_digest": version.data_digest})


def write_answers(path: Path, answers: Sequence[tuple[Record, Sequence[StoredRun]]]) -> None:
    """Write the answers of some fits.

    Args:
        path: The file.
        answers: Of each fit the record of its run on clean images, and its runs on every version, all in the same order.

    Raises:
        UserError: Where there are none, or images hold several instances.
    """
    if not answers:
        raise UserError(f"{path}: there are no answers to write")
    ordered = sorted(answers, key=lambda one: (one[0].config.detector, one[0].config.n_train, one[0].seed))
    first = ordered[0][1]
    versions = [
        Version(
            data=run.record.config.data, data_digest=run.record.config.data_digest, annotations=run.record.annotations
        )
        for run in first
    ]
    at = np.stack([np.stack([_rounded(run) for run in runs]) for _, runs in ordered])
    documents = {run.record.annotations: annotations_to_json(run.annotations) for run in first}
    lines = [
        json.dumps({"digest": digest, "document": documents[digest]}, separators=(",", ":"))
        for digest in sorted(documents)
    ]
    planes = np.ascontiguousarray(np.moveaxis(at.astype("<i4").view("u1").reshape(*at.shape, 4), -1, 0))
    content = io.BytesIO()
    np.lib.format.write_array(content, planes, version=(1, 0), allow_pickle=False)
    members = {MEMBERS[1]: "".join(line + "\n" for line in lines).encode(), MEMBERS[2]: content.getvalue()}
    hashes = {name: hashlib.sha256(member).hexdigest() for name, member in members.items()}
    head = _Head(versions=versions, fits=[published(fit) for fit, _ in ordered], sha256=hashes)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        for name, member in {MEMBERS[0]: head.model_dump_json().encode(), **members}.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_LZMA, 3, 0o644 << 16
            archive.writestr(info, member)
    files.write_bytes(path, packed.getvalue())


def _rounded(run: StoredRun) -> IntArray:
    """(N, K, 2) int64, in hundredths of a pixel: the answer to each image, `NO_ANSWER` where there is none."""
    annotations, predictions = run.annotations, run.predictions
    place = {int(image): i for i, image in enumerate(annotations.image_ids)}
    at = np.full((len(annotations.image_ids), len(annotations.keypoint_names), 2), NO_ANSWER, dtype=np.int64)
    if len(set(predictions.image_ids.tolist())) < len(predictions.image_ids) or len(set(annotations.category_ids)) > 1:
        raise UserError(f"{run.place}: has several answers to an image, or categories; only one an image is kept")
    near = np.clip(predictions.keypoints, -FARTHEST, FARTHEST)
    at[[place[int(image)] for image in predictions.image_ids]] = np.round(near * PER_PIXEL).astype(np.int64)
    return at


def _read(path: Path) -> tuple[_Head, dict[str, Any], IntArray]:
    """The members of a file, each held against its hash."""
    with zipfile.ZipFile(path) as archive:
        if sorted(archive.namelist()) != sorted(MEMBERS):
            raise ValueError(f"it holds anything but {', '.join(MEMBERS)}")
        if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        head = _Head.model_validate_json(archive.read(MEMBERS[0]))
        content = {name: archive.read(name) for name in MEMBERS[1:]}
    for name, member in content.items():
        if hashlib.sha256(member).hexdigest() != head.sha256.get(name):
            raise ValueError(f"{name} is not what it promises")
    planes = np.lib.format.read_array(io.BytesIO(content[MEMBERS[2]]), allow_pickle=False)
    if planes.dtype != np.uint8 or planes.ndim != 6 or len(planes) != 4:
        raise ValueError("its answers are of another type")
    at = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view("<i4")[..., 0].astype(np.int64)
    entries = [json.loads(line) for line in content[MEMBERS[1]].decode().splitlines()]
    return head, {entry["digest"]: entry["document"] for entry in entries}, at
