"""Published results: one file a board, holding everything that its figures are made of.

A bundle is a zip archive (``<task>@<version>-<data>.bundle.zip``) with

    manifest.json       the format, and the sha256 of every other member
    records.jsonl       a run a line: its record, history and log, and which arrays hold its answers
    annotations.jsonl   what the runs were scored against, a COCO document a line
    floor.json          the noise floor of the data's labels, where it is known (`benchmark.runs.label_floor`)
    submission.json     who submits the rows, and what they say of them (`benchmark.runs.submission`)
    arrays/<hash>.npy   answers, as numpy arrays named by the hash of their bytes: equal ones are kept once

Nothing in it is trusted: members have fixed names and limited sizes, every hash is compared before a byte is used, arrays
are read without pickles, and where an unpacked run is written to follows from its record alone. Fitted weights are not
part of it. The same runs make the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark import files
from benchmark.metrics.validation import first_problem
from benchmark.runs.label_floor import LabelFloor, read_label_floor
from benchmark.runs.store import FolderRun, Record, Results, Store, StoredRun, read_record, slug, verified_annotations
from benchmark.runs.submission import Submission, from_json
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco import annotations_to_json

SUFFIX = ".bundle.zip"
FORMAT = 1
MOST_BYTES = 1 << 31  # of all members together, unpacked
MOST_MEMBERS = 200_000
_ARRAY = re.compile(r"arrays/([0-9a-f]{32})\.npy")
_FILE = re.compile(r'File "(?:[^"\n]*[/\\])?([^"/\\\n]+)"')  # in a traceback
_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+([^\s'\"/\\]+)")  # an absolute path
_FIXED = ("manifest.json", "records.jsonl", "annotations.jsonl")
_FLOOR = "floor.json"
_SUBMISSION = "submission.json"
_OPTIONAL = (_FLOOR, _SUBMISSION)
COMPRESSION = zipfile.ZIP_LZMA  # a seventh smaller than deflated, and every Python's zipfile reads it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same runs make the same bytes
_FIELDS = {"image_ids": "<i8", "keypoints": "<f8", "scores": "<f8", "category_ids": "<i8"}


class _Line(BaseModel):
    """A line of ``records.jsonl``. arrays: field of the predictions -> name of an array; empty of a failed run."""

    model_config = ConfigDict(extra="forbid")

    record: dict[str, Any]
    arrays: dict[str, str] = {}
    history: str = ""
    log: str = ""


class BundleRun(StoredRun):
    """A run in a bundle."""

    def __init__(self, bundle: Bundle, record: Record, line: _Line) -> None:
        self._bundle, self.record, self._line = bundle, record, line
        self.place = f"{bundle.root}: {record.key}"

    @property
    def annotations(self) -> Annotations:
        """What it was scored against."""
        return self._bundle.annotations(self.record.annotations)

    @cached_property
    def predictions(self) -> Predictions:  # type: ignore[override]  # read once
        """What it answered, checked."""
        arrays = {field: self._bundle.array(name, _FIELDS[field]) for field, name in self._line.arrays.items()}
        if set(arrays) != set(_FIELDS):
            raise UserError(f"{self.place}: its predictions are not in the bundle; get it again")
        count, k = len(arrays["image_ids"]), len(self.annotations.keypoint_names)
        if arrays["keypoints"].size != 2 * k * count:
            raise UserError(f"{self.place}: its arrays do not fit together; get the bundle again")
        predictions = Predictions(**{**arrays, "keypoints": arrays["keypoints"].reshape(count, k, 2)})
        if problem := first_problem(predictions, self.annotations):
            row, words = problem
            raise UserError(f"{self.place}: prediction {row}: {words}")
        return predictions

    @property
    def history_text(self) -> str:
        """``history.csv``."""
        return self._line.history

    @property
    def log(self) -> str:
        """``log.txt``."""
        return self._line.log

    @property
    def fingerprint(self) -> Hashable:
        """Which arrays hold its answers, and so which answers they are."""
        return tuple(sorted(self._line.arrays.items()))


class Bundle(Results):
    """The runs in one bundle, read when they are asked for.

    Raises:
        UserError: Where the file is not a bundle, or not whole.
    """

    def __init__(self, path: Path | str) -> None:
        self.root = Path(path)
        try:
            with zipfile.ZipFile(self.root) as archive:
                self._check_members(archive)
                self._hashes = self._manifest(archive)
                self._text = {name: self._member(archive, name) for name in _FIXED[1:]}
                self._floor, self._submission = (
                    self._member(archive, name) if name in self._hashes else None for name in _OPTIONAL
                )
        except Exception as error:  # whatever the archive makes the reader raise
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{self.root}: is not a bundle that can be read ({why}); get it again") from error
        self._annotations: dict[str, Annotations] = {}

    def runs(self) -> Iterator[BundleRun]:
        """Every run, in the bundle's order."""
        yield from self._runs

    def label_floor(self, digest: str) -> LabelFloor | None:
        """The noise floor of the labels of the data of that digest; None where the bundle is of other data, or has none."""
        known = {run.record.config.data_digest for run in self._runs}
        if self._floor is None or digest not in known:
            return None
        return read_label_floor(self._floor, digest, f"{self.root}: {_FLOOR}")

    @property
    def submission(self) -> Submission | None:
        """Who submits its rows; None where nobody does. UserError where what is said is not what it should be."""
        return None if self._submission is None else from_json(self._submission, f"{self.root}: {_SUBMISSION}")

    def annotations(self, digest: str) -> Annotations:
        """The annotations of that digest.

        Raises:
            UserError: Where they are missing or not what they should be.
        """
        if digest not in self._annotations:
            if digest not in self._documents:
                raise UserError(f"{self.root}: does not hold the annotations {digest}; get it again")
            origin = f"{self.root}: annotations {digest}"
            self._annotations[digest] = verified_annotations(self._documents[digest], digest, origin)
        return self._annotations[digest]

    def array(self, name: str, kind: str) -> np.ndarray[Any, Any]:
        """An array of answers.

        Args:
            name: The hash it goes by.
            kind: The dtype it must have.

        Raises:
            UserError: Where it is missing, or not what its name promises.
        """
        member = f"arrays/{name}.npy"
        try:
            with zipfile.ZipFile(self.root) as archive:
                content = self._member(archive, member)
            array = _array(content, kind)
        except Exception as error:  # whatever the archive or the array's header makes the reader raise
            raise UserError(f"{self.root}: {member}: cannot be read ({error}); get the bundle again") from error
        if _array_name(content) != name:
            raise UserError(f"{self.root}: {member}: is not what its name promises; get the bundle again")
        return array

    @cached_property
    def _runs(self) -> list[BundleRun]:
        runs = []
        for i, text in enumerate(_lines(self._text["records.jsonl"])):
            origin = f"{self.root}: record {i}"
            try:
                line = _Line.model_validate_json(text)
            except ValidationError as error:
                raise UserError(
                    f"{origin}: is not a line of a bundle ({error.errors()[0]['msg']}); get it again"
                ) from error
            record = read_record(json.dumps(line.record), origin, "get it again")
            if record.key != record.config.key(record.seed):
                raise UserError(f"{origin}: its key {record.key} is not that of what was asked for; get it again")
            if not _names_no_path(record):
                raise UserError(
                    f"{origin}: names a path of the machine it was made on, and no bundle does; get it again"
                )
            runs.append(BundleRun(self, record, line))
        return runs

    @cached_property
    def _documents(self) -> dict[str, Any]:
        documents = {}
        for text in _lines(self._text["annotations.jsonl"]):
            try:
                entry = json.loads(text)
                documents[str(entry["digest"])] = entry["document"]
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise UserError(f"{self.root}: annotations.jsonl cannot be read ({error}); get it again") from error
        return documents

    @staticmethod
    def _check_members(archive: zipfile.ZipFile) -> None:
        """ValueError where the archive holds anything but the members of a bundle, or too much of it."""
        names = [info.filename for info in archive.infolist()]
        if strangers := [name for name in names if name not in (*_FIXED, *_OPTIONAL) and not _ARRAY.fullmatch(name)]:
            raise ValueError(f"{strangers[0][:80]!r} has no place in it")
        if len(set(names)) < len(names) or len(names) > MOST_MEMBERS:
            raise ValueError("a member is there twice, or there are too many")
        if missing := set(_FIXED) - set(names):
            raise ValueError(f"{min(missing)} is missing")
        if sum(info.file_size for info in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")

    def _manifest(self, archive: zipfile.ZipFile) -> dict[str, str]:
        document = json.loads(archive.read("manifest.json"))
        version = document.get("format") if isinstance(document, dict) else None
        if version != FORMAT:
            raise ValueError(f"it is of format {version!r}, and this version of keypoint-benchmark reads {FORMAT}")
        hashes = document.get("sha256")
        listed = set(archive.namelist()) - {"manifest.json"}
        if not isinstance(hashes, dict) or set(hashes) != listed:
            raise ValueError("its manifest does not list its members")
        return hashes

    def _member(self, archive: zipfile.ZipFile, name: str) -> bytes:
        content = archive.read(name)
        if hashlib.sha256(content).hexdigest() != self._hashes.get(name):
            raise ValueError(f"{name} is not what the manifest promises")
        return content


class Collection(Results):
    """The runs of a folder and of the bundles in it, together."""

    def __init__(self, root: Path, parts: Sequence[Results]) -> None:
        self.root, self.parts = root, list(parts)

    def runs(self) -> Iterator[StoredRun]:
        """Every run, a run that is in several parts once."""
        seen = set()
        for part in self.parts:
            for run in part.runs():
                if run.record.key not in seen:
                    seen.add(run.record.key)
                    yield run

    def label_floor(self, digest: str) -> LabelFloor | None:
        """The noise floor of the labels of the data of that digest, from the first part that has it; None where none has."""
        return next((floor for part in self.parts if (floor := part.label_floor(digest)) is not None), None)

    def save_index(self) -> None:
        """Write down what was read and scored of each part that has an index."""
        for part in self.parts:
            part.save_index()


def open_results(path: Path | str, *, indexed: bool = False) -> Results:
    """What a folder of results, a bundle, or a folder of bundles holds.

    Args:
        path: Which.
        indexed: See `Store`.

    Raises:
        UserError: Where there is nothing of the kind.
    """
    root = Path(path)
    if not str(path):
        raise UserError("results: the name is empty; name a folder")
    if root.is_file():
        if not zipfile.is_zipfile(root) and not root.name.endswith(SUFFIX):
            raise UserError(f"results {root}: is a file; name a folder or a bundle (*{SUFFIX})")
        return Bundle(root)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder; make a run first (python -m benchmark run)")
    bundles = [Bundle(file) for file in sorted(root.glob(f"*{SUFFIX}"))]
    store = Store(root, indexed=indexed)
    return Collection(root, [store, *bundles]) if bundles else store


def write_bundles(results: Results, folder: Path, homes: Mapping[str, Path] | None = None) -> list[Path]:
    """Write the runs of every board into a bundle of their own.

    Args:
        results: The runs.
        folder: Where to write; earlier bundles of the same boards are replaced.
        homes: By their key, the bundles in which runs are to stand that are kept apart from the others of their board.

    Returns:
        The files written.

    Raises:
        UserError: Where there are no runs, or the files of one cannot be read, or the folder not written.
    """
    boards: dict[tuple[str, int, str, int], list[StoredRun]] = {}
    for run in results.runs():
        config = run.record.config
        boards.setdefault((config.task, config.version, config.data_digest, config.folds), []).append(run)
    if not boards:
        raise UserError(f"{results.root}: holds no runs")
    own: set[Path] = set()
    bundles: dict[Path, list[StoredRun]] = {}
    for (task, version, digest, _), runs in boards.items():
        name = slug(f"{slug(task)}@{version}-{slug(runs[0].record.config.data)}")
        path = folder / f"{name}{SUFFIX}"
        if path in own:  # two folders of one name
            path = folder / f"{name}-{digest[:8]}{SUFFIX}"
        own.add(path)
        for run in runs:
            bundles.setdefault((homes or {}).get(run.record.key, path), []).append(run)
    for path, runs in bundles.items():
        files.write_bytes(path, _packed(runs, results.label_floor(runs[0].record.config.data_digest)))
    return list(bundles)


def write_bundle(path: Path, runs: Sequence[StoredRun], submission: Submission) -> None:
    """Write the runs of one board into a bundle that says who submits them.

    Raises:
        UserError: Where the files of a run cannot be read, or the bundle not written.
    """
    files.write_bytes(path, _packed(runs, None, submission))


def unpack(bundle: Bundle, store: Store) -> int:
    """Write the runs of a bundle into a folder of results, every one verified first.

    Returns:
        The number of runs written; one that is there already stays if it was made later, is finished where the bundle's
        has failed, or has its weights.

    Raises:
        UserError: Where one is not what it should be; nothing of the bundle is then written.
    """
    runs = list(bundle.runs())
    for run in runs:
        if run.record.status == "finished":
            _ = run.predictions
    written = 0
    for digest in {run.record.config.data_digest for run in runs}:
        floor = bundle.label_floor(digest)
        if floor is not None and store.label_floor(digest) is None:
            store.put_label_floor(floor)
    for run in runs:
        earlier = store.find(run.record.config, run.record.seed)
        if earlier is not None and not _replaces(run, earlier):
            continue
        if run.record.status == "finished":
            store.put_annotations(run.annotations)
        predictions = run.predictions if run.record.status == "finished" else None
        store.write(run.record, predictions=predictions, history=run.history_text, log=run.log)
        written += 1
    return written


def _replaces(run: BundleRun, earlier: FolderRun) -> bool:
    """Whether a run of a bundle takes the place of one that is there.

    Never does a failed one that of a finished one, nor any that of one whose fitted weights are kept: no bundle has them.
    """
    if earlier.record.status == "finished" and (run.record.status == "failed" or earlier.weights.is_file()):
        return False
    return run.record.created > earlier.record.created or earlier.record.status == "failed" != run.record.status


def _packed(runs: Sequence[StoredRun], floor: LabelFloor | None, submission: Submission | None = None) -> bytes:
    """The bytes of a bundle."""
    arrays: dict[str, bytes] = {}
    documents: dict[str, str] = {}
    lines = []
    for run in sorted(runs, key=_order):
        record = published(run.record)
        log = _FILE.sub(r'File "\1"', run.log)
        line: dict[str, Any] = {"record": record.model_dump(mode="json"), "history": run.history_text, "log": log}
        if record.status == "finished":
            predictions = run.predictions
            line["arrays"] = {}
            for field, kind in _FIELDS.items():
                content = io.BytesIO()
                flat = np.ascontiguousarray(getattr(predictions, field), dtype=kind).reshape(-1)
                np.lib.format.write_array(content, flat, version=(1, 0), allow_pickle=False)
                name = _array_name(content.getvalue())
                arrays[f"arrays/{name}.npy"] = content.getvalue()
                line["arrays"][field] = name
            if record.annotations not in documents:
                document = {"digest": record.annotations, "document": annotations_to_json(run.annotations)}
                documents[record.annotations] = _json(document)
        lines.append(_json(line))
    members = {
        "records.jsonl": "".join(line + "\n" for line in lines).encode(),
        "annotations.jsonl": "".join(text + "\n" for _, text in sorted(documents.items())).encode(),
        **({} if floor is None else {_FLOOR: floor.model_dump_json().encode()}),
        **({} if submission is None else {_SUBMISSION: submission.model_dump_json(indent=1).encode()}),
        **dict(sorted(arrays.items())),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    manifest = json.dumps({"format": FORMAT, "sha256": hashes}, indent=1).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, member in {"manifest.json": manifest, **members}.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.create_system, info.external_attr = COMPRESSION, 3, 0o644 << 16
            archive.writestr(info, member)
    return packed.getvalue()


def _lines(content: bytes) -> list[str]:
    """The lines of a member; bytes that are not UTF-8 make a line that no reader takes."""
    return content.decode(errors="replace").split("\n")[:-1]


def _order(run: StoredRun) -> tuple[Any, ...]:
    config = run.record.config
    return config.detector, config.n_train, config.budget, run.record.seed, run.record.key


def published(record: Record) -> Record:
    """The record as a bundle has it: without paths of the machine it was made on; of a detector's file its name stays."""
    file = Path(record.facts.file).name
    specification = re.sub(r"^.*?([^/\\]+\.py)", r"\1", record.specification) if file else record.specification
    options = {
        name: Path(str(value)).name if name == "sigmas" else value for name, value in record.facts.options.items()
    }
    facts = record.facts.model_copy(update={"file": file, "data": "", "options": options})
    error, attempts = _PATH.sub(r"\1", record.error), [_PATH.sub(r"\1", attempt) for attempt in record.attempts]
    told = {"facts": facts, "specification": specification, "error": error, "attempts": attempts, "digests": {}}
    return record.model_copy(update=told)


def _names_no_path(record: Record) -> bool:
    """Whether a record is as `published` leaves it: it must not send a reader to other files of this machine."""
    facts = record.facts
    named = [facts.file, str(facts.options.get("sigmas", ""))]
    return not facts.data and not any("/" in name or "\\" in name or name in (".", "..") for name in named)


def _array(content: bytes, kind: str) -> np.ndarray[Any, Any]:
    """A one-dimensional array of a known type from the bytes of a ``.npy`` file, no larger than they are."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another version of the format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != np.dtype(kind) or len(shape) != 1 or shape[0] * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"it holds {shape} numbers of type {dtype} in {len(content)} bytes")
    return np.frombuffer(content, dtype=dtype, offset=file.tell()).copy()


def _array_name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
