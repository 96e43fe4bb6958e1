"""Where finished runs live, and what is written of each.

``results/<task>@<version>/<data>/<detector>/n<train>/seed<k>/<key>/`` holds ``run.json`` (checked against `Record`),
``predictions.json`` (a COCO results file), ``history.csv`` and ``log.txt``, and ``heatmaps.safetensors`` where the
detector has heatmaps. A folder is written aside and renamed last,
so one with a ``run.json`` is whole. The annotations a run was scored against are kept once per digest in
``_annotations/``: a board can be scored again anywhere. The noise floor of labels, where it is known, is in ``_floors/``.
What boards have read and scored before is in ``_index/`` (`benchmark.runs.index`), which may be deleted at any time.
Nothing is pickled.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark import files
from benchmark.detector import HistoryRow
from benchmark.metrics import Scores
from benchmark.runs import index
from benchmark.runs.config import RunConfig
from benchmark.runs.heatmaps import FILE, LARGEST_FILE, Heatmaps, from_file, to_file
from benchmark.runs.label_floor import LabelFloor, read_label_floor
from benchmark.runs.places import results_folder as results_folder
from benchmark.runs.places import root_of as root_of
from benchmark.runs.places import slug as slug
from benchmark.runs.places import walk
from benchmark.runs.record import Damaged as Damaged
from benchmark.runs.record import Record as Record
from benchmark.runs.record import read_record as read_record
from benchmark.structures import Annotations, Predictions, UserError
from datasets.formats.coco import annotations_from_json, annotations_to_json
from datasets.formats.coco_results import read_predictions, write_predictions
from datasets.formats.json_columns import read_json


class StoredRun:
    """A finished or failed run that is kept somewhere: its record, and the rest on demand.

    Attributes:
        record: What ``run.json`` says.
        place: Where it is kept, for messages: a folder, or a bundle and the run's key.
    """

    record: Record
    place: str

    @property
    def annotations(self) -> Annotations:
        """What it was scored against. UserError where these cannot be read."""
        raise NotImplementedError

    @property
    def predictions(self) -> Predictions:
        """What it answered. UserError where these cannot be read."""
        raise NotImplementedError

    @property
    def history_text(self) -> str:
        """``history.csv``; "" where there is none."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """``log.txt``."""
        raise NotImplementedError

    @property
    def heatmaps(self) -> Heatmaps | None:
        """Heatmaps of some test images; None where none are kept. UserError where they cannot be read."""
        return None

    @property
    def fingerprint(self) -> Hashable:
        """Something that differs wherever the predictions do: where they are kept, and since when."""
        raise NotImplementedError

    @property
    def known_scores(self) -> Scores | None:
        """How its predictions, with this `fingerprint`, were scored before; None where that is not known."""
        return None

    def keep_scores(self, scores: Scores) -> None:
        """Remember how its predictions were scored, where the results can."""

    @property
    def history(self) -> list[dict[str, str]]:
        """The rows of ``history.csv``, as text."""
        return list(csv.DictReader(io.StringIO(self.history_text)))

    @property
    def title(self) -> str:
        """How a person would call it."""
        config = self.record.config
        return (
            f"{config.task}@{config.version}/{config.data} {config.detector} n{config.n_train} seed {self.record.seed}"
        )


class Results:
    """Runs that are kept somewhere: a folder (`Store`), a bundle, or several of them.

    Attributes:
        root: The folder or file.
    """

    root: Path

    def runs(self) -> Iterator[StoredRun]:
        """Every run, in an order that does not change. UserError where a record is broken."""
        raise NotImplementedError

    def label_floor(self, digest: str) -> LabelFloor | None:
        """The noise floor of the labels of the data of that digest; None where none is kept. UserError where it is broken."""
        return None

    def save_index(self) -> None:
        """Write down what was read and scored, where these results have an index."""

    def recall(self, what: str, key: str) -> str | None:
        """What was made of these results before, where they have an index that knows; see there."""
        return None

    def remember(self, what: str, key: str, text: str) -> None:
        """Write down what was made of these results, where they have an index."""


class FolderRun(StoredRun):
    """A run in a folder of its own."""

    def __init__(
        self, folder: Path | str, record: Record, store: Store, known: tuple[index.Shard, index.Entry] | None = None
    ) -> None:
        """A run.

        Args:
            folder: Where it lies.
            record: What its ``run.json`` says.
            store: The results it belongs to.
            known: What the index knows of it, where there is an index.
        """
        self.place, self.record, self.store = str(folder), record, store
        self._known = known

    @cached_property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(self.place)

    @property
    def annotations(self) -> Annotations:
        """What it was scored against."""
        return self.store.annotations(self.record.annotations)

    @cached_property
    def predictions(self) -> Predictions:  # type: ignore[override]  # read once
        """What it answered, checked."""
        _ = self._answers_state  # looked at before they are read
        return read_predictions(self.folder / "predictions.json", self.annotations, own=True)

    @property
    def history_text(self) -> str:
        """``history.csv``."""
        return self._text("history.csv")

    @property
    def log(self) -> str:
        """``log.txt``."""
        return self._text("log.txt")

    @property
    def heatmaps(self) -> Heatmaps | None:
        """Heatmaps of some test images, where its detector has them."""
        path, known = self.folder / FILE, self.record.digests.get(FILE)
        if known is None or not path.is_file():
            return None
        if path.stat().st_size > LARGEST_FILE or _sha256(path) != known:
            raise UserError(f"{path}: is not as it was written; run it again")
        return from_file(path.read_bytes(), str(path))

    @property
    def fingerprint(self) -> Hashable:
        """Where its predictions lie, and since when."""
        if self._answers_state is None:
            path = self.folder / "predictions.json"
            raise UserError(f"{path}: cannot be read (No such file or directory); run it again")
        return self.store.resolved_root, self.place, self._answers_state

    @cached_property
    def _answers_state(self) -> index.State | None:
        return index.state_of(f"{self.place}/predictions.json")

    @property
    def known_scores(self) -> Scores | None:
        """How its predictions were scored before, where the index knows these very files."""
        if self._known is None or self._known[1].answers_state != self._answers_state:
            return None
        return self._known[1].scores

    def keep_scores(self, scores: Scores) -> None:
        """Remember how its predictions were scored in the index, where there is one."""
        if self._known is not None and self._answers_state is not None:
            shard, entry = self._known
            shard.scored(entry, scores, self._answers_state)

    @property
    def identity(self) -> str:
        """16 hex digits over ``run.json``: another run of the same key has others. "" where it is gone."""
        try:
            return hashlib.sha256((self.folder / "run.json").read_bytes()).hexdigest()[:16]
        except OSError:
            return ""

    def problem(self, *, with_weights: bool = False) -> str:
        """What is wrong with the files beside the record, in words; "" where they are as they were written.

        Args:
            with_weights: Look at the weights, too.
        """
        wanted = [*(["weights.safetensors"] if with_weights else []), "predictions.json", "history.csv"]
        for name in wanted:
            known = self.record.digests.get(name)
            try:
                if known is None and name == "predictions.json":
                    _ = self.predictions  # of a run made before digests were written down
                elif known is not None and _sha256(self.folder / name) != known:
                    return f"{name} is not as it was written"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
            except UserError as error:
                return str(error)
        if with_weights and not self.weights.is_file():
            return "its weights were not saved"
        return ""

    @property
    def weights(self) -> Path:
        """Where its fitted weights are, if they were saved."""
        return self.folder / "weights.safetensors"

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


class Store(Results):
    """The folder of results."""

    def __init__(self, root: Path | str, *, indexed: bool = False) -> None:
        """The results in a folder.

        Args:
            root: The folder.
            indexed: Whether `runs` takes what was read and scored before from the index, and `save_index` writes it: for
                boards. Whoever examines what is stored, or makes it, reads the files.
        """
        self.root = Path(root)
        self._prefix = str(self.root / "_")[:-1]
        self._annotations: dict[str, Annotations] = {}
        self._last: tuple[RunConfig, Path] | None = None
        self._index = index.Index(self.root) if indexed else None

    @cached_property
    def resolved_root(self) -> str:
        """The folder as an absolute path without links."""
        return str(self.root.resolve())

    def folder(self, config: RunConfig, seed: int) -> Path:
        """Where the run of this config and seed lies, or will."""
        last = self._last
        if last is None or last[0] is not config:  # thousands of seeds in a row share one
            names = (f"{slug(config.task)}@{config.version}", slug(config.data), slug(config.detector))
            self._last = last = config, self.root.joinpath(*names, f"n{config.n_train}")
        return Path(f"{last[1]}/seed{seed}/{config.key(seed)}")

    def find(self, config: RunConfig, seed: int) -> FolderRun | None:
        """The stored run of this config and seed, finished or failed; None where there is none.

        Raises:
            Damaged: Where its record is cut off.
            UserError: Where its record is of another schema, or cannot be read.
        """
        folder = self.folder(config, seed)
        try:
            content = (folder / "run.json").read_bytes()
        except FileNotFoundError:
            files.recover(folder)
            return self.read(folder) if (folder / "run.json").is_file() else None
        except OSError:
            return self.read(folder)  # whose error says why
        return FolderRun(folder, read_record(content, str(folder / "run.json")), self)

    def sweep(self) -> int:
        """Remove what killed processes have left half-written here; returns how much that was."""
        swept = sum(files.sweep(folder) for folder in (self.root, self.root / "_annotations", self.root / "_data"))
        swept += sum(files.sweep(folder) for folder in index.folders(self.root))
        folders = [str(self.root)]
        for _ in ("task", "data", "detector", "n", "seed"):
            folders = [entry.path for folder in folders for entry in _folders(folder)]
        return swept + sum(files.sweep(Path(folder)) for folder in folders)

    def read(self, folder: Path) -> FolderRun:
        """The run in ``folder``.

        Raises:
            UserError: Where its record is not one.
        """
        path = folder / "run.json"
        try:
            return FolderRun(folder, read_record(path.read_bytes(), str(path)), self)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error

    def runs(self) -> Iterator[FolderRun]:
        """Every stored run, in the order of its path; a folder being written, or beginning with '_', is not one."""
        for place, names in walk(self.root, recover=True):
            shard = self._index.shard(place) if self._index is not None else None
            for name in names:
                if (run := self._listed(place, name, shard)) is not None:
                    yield run

    def readable(self, broken: Callable[[str], None]) -> Iterator[FolderRun]:
        """`runs` whose record can be read; of the others ``broken`` is told why. Nothing is written."""
        for place, names in walk(self.root, recover=False):
            shard = self._index.shard(place) if self._index is not None else None
            for name in names:
                try:
                    run = self._listed(place, name, shard)
                except UserError as error:
                    broken(str(error))
                else:
                    if run is not None:
                        yield run

    def _listed(self, place: str, name: str, shard: index.Shard | None) -> FolderRun | None:
        """The run in a folder; None where there is none. UserError where its record is broken."""
        folder = f"{self._prefix}{place}/{name}"  # text: of 10,000 runs, a Path costs as much as all the rest
        if (state := index.state_of(f"{folder}/run.json")) is None:
            return None
        if shard is None:
            return self.read(Path(folder))
        entry = shard.known(name, state) or shard.learn(name, index.Entry(self.read(Path(folder)).record, state))
        return FolderRun(folder, entry.record, self, (shard, entry))

    def save_index(self) -> None:
        """Write down what boards have read and scored, where this was asked for and can be done."""
        if self._index is not None:
            self._index.save()

    def recall(self, what: str, key: str) -> str | None:
        """What was made of these results before, where the index knows."""
        return self._index.recall(what, key) if self._index is not None else None

    def remember(self, what: str, key: str, text: str) -> None:
        """Write down what was made of these results, where there is an index."""
        if self._index is not None:
            self._index.remember(what, key, text)

    def begins(self, key: str) -> Iterator[FolderRun]:
        """The runs whose key begins so (hex digits)."""
        for path in sorted(self.root.glob(f"[!_.]*/*/*/n*/seed*/{key}*/run.json")):
            yield self.read(path.parent)

    def runs_of(self, folder: Path) -> Iterator[FolderRun]:
        """The runs in a detector's folder (``<task>@<version>/<data>/<detector>``), of every size and seed.

        One whose record is broken is left out.
        """
        for path in sorted(folder.glob("n*/seed*/[!.]*/run.json")):
            with suppress(UserError):
                yield self.read(path.parent)

    def write(
        self,
        record: Record,
        *,
        predictions: Predictions | None = None,
        history: Sequence[HistoryRow] | str = (),
        log: str = "",
        weights: Mapping[str, Any] | None = None,
        heatmaps: Heatmaps | None = None,
    ) -> FolderRun:
        """Store a run whole: written aside, renamed last, replacing an earlier run of the same key.

        Args:
            record: What becomes ``run.json``.
            predictions: What it answered; None of a failed run.
            history: A row an epoch, or the text of a ``history.csv``.
            log: What becomes ``log.txt``.
            weights: Named arrays of the fitted detector.
            heatmaps: Of some test images, where it has any.

        Raises:
            UserError: Where the folder cannot be written; what was stored before stays.
        """
        target = self.folder(record.config, record.seed)
        record = record.model_copy()

        if not target.parent.resolve().is_relative_to(self.root.resolve()):
            raise UserError(f"{target}: a link leads out of the folder of results; remove it")

        def fill(folder: Path) -> None:
            if predictions is not None:
                write_predictions(folder / "predictions.json", predictions, self.annotations(record.annotations))
            if text := history if isinstance(history, str) else _csv(history):
                (folder / "history.csv").write_text(text, encoding="utf-8", newline="")
            if weights is not None:
                from safetensors.numpy import save_file

                save_file(dict(weights), folder / "weights.safetensors")
            if heatmaps is not None:
                (folder / FILE).write_bytes(to_file(heatmaps))
            record.digests = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
            (folder / "log.txt").write_text(log, encoding="utf-8", errors="backslashreplace", newline="")
            (folder / "run.json").write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")

        files.write_folder(target, fill, is_whole=lambda folder: (folder / "run.json").is_file(), sync=True)
        return FolderRun(target, record, self)

    def put_annotations(self, annotations: Annotations, *, write: bool = True) -> str:
        """Keep annotations, once per digest; returns the digest. A copy that is damaged is written again.

        Args:
            annotations: What runs are scored against.
            write: False: they are known to this object alone, and nothing is written.
        """
        digest = annotations.digest[:16]
        try:
            self.annotations(digest)
        except UserError:
            if write:
                files.write_text(self._annotations_path(digest), json.dumps(annotations_to_json(annotations)))
        self._annotations[digest] = annotations
        return digest

    def annotations(self, digest: str) -> Annotations:
        """The annotations of that digest.

        Raises:
            UserError: Where they are missing or have been changed.
        """
        if digest not in self._annotations:
            path = self._annotations_path(digest)
            try:
                document = read_json(path)
            except UserError as error:
                raise UserError(f"{error} (the annotations of a stored run cannot be read; run it again)") from error
            self._annotations[digest] = verified_annotations(document, digest, str(path))
        return self._annotations[digest]

    def label_floor(self, digest: str) -> LabelFloor | None:
        """The noise floor of the labels of the data of that digest; None where none is kept."""
        path = self._floor_path(digest)
        return read_label_floor(path.read_bytes(), digest, path) if path.is_file() else None

    def put_label_floor(self, floor: LabelFloor) -> None:
        """Keep a noise floor, in the place of an earlier one of the same data."""
        files.write_text(self._floor_path(floor.data_digest), floor.model_dump_json(indent=1))

    def _floor_path(self, digest: str) -> Path:
        return self.root / "_floors" / f"{slug(digest)}.json"

    def _annotations_path(self, digest: str) -> Path:
        return self.root / "_annotations" / f"{digest}.json"


def verified_annotations(document: Any, digest: str, origin: str) -> Annotations:
    """Annotations from a stored document, whose content must have the digest it goes by.

    Raises:
        UserError: Where it is not what it should be.
    """
    annotations = annotations_from_json(document, origin)
    if annotations.digest[:16] != digest:
        raise UserError(f"{origin}: its content is not what its name promises; run again to restore it")
    return annotations


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _folders(folder: str) -> list[os.DirEntry[str]]:
    """The folders in a folder that may hold runs."""
    try:
        return [entry for entry in os.scandir(folder) if entry.name[0] not in "._" and entry.is_dir()]
    except OSError:
        return []


def _csv(history: Sequence[HistoryRow]) -> str:
    """A history as CSV, a column for every key that some row has."""
    if not history:
        return ""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
