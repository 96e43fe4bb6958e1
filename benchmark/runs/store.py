"""Where finished runs live, and what is written of each.

``results/<task>@<version>/<data>/<detector>/n<train>/seed<k>/<key>/`` holds ``run.json`` (checked against `Record`),
``predictions.json`` (a COCO results file), ``history.csv`` and ``log.txt``. A folder is written aside and renamed last,
so one with a ``run.json`` is whole. The annotations a run was scored against is kept once per hash in ``_annotations/``: a board
can be scored again anywhere. Nothing is pickled.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.detector import HistoryRow
from datasets.formats.coco import annotations_from_json, annotations_to_json
from datasets.formats.coco_results import read_predictions, write_predictions
from benchmark.structures import Predictions, Annotations, UserError

LONGEST = 150  # bytes of a folder's name; file systems allow 255, and something is added while it is written


class RunConfig(BaseModel):
    """Everything that decides the outcome of a run but its seed: two runs of one recipe are two seeds of one row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    version: int
    data: str
    data_digest: str
    folds: int = 0
    n_train: int
    detector: str
    target: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    source: str
    budget: str = "recipe"
    device: str = "cpu"
    threads: int = 1

    @property
    def digest(self) -> str:
        """16 hex digits over every field that decides the outcome (names shown to people are left out)."""
        decides = self.model_dump(mode="json", exclude={"detector", "data"})
        if self.target.startswith("_plugin_"):  # a plugin file's module is named after its path; its source is keyed
            decides["target"] = self.target.partition(":")[2]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def key(self, seed: int) -> str:
        """The run's name: 16 hex digits over the recipe and the seed."""
        return hashlib.sha256(f"{self.digest} seed {seed}".encode()).hexdigest()[:16]


class Record(BaseModel):
    """``run.json``: one detector, fitted once with one seed, and scored."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    status: Literal["finished", "failed"]
    key: str
    recipe: RunConfig
    seed: int
    annotations: str = Field(description="digest of the annotations it was scored against, a file in _annotations/")
    line: str = Field(default="", description="the detector in one line")
    source: str = Field(default="", description="paper, formula or upstream file")
    scored: bool = Field(default=False, description="whether the detector's scores carry confidence")
    reference: bool = Field(default=False, description="an unranked reference row")
    rule_structured: bool = Field(default=False, description="the network's structure is the rule of a task itself")
    oracle: bool = Field(default=False, description="a linear fit on its hand-made inputs is 99.9 % exact on train")
    external: bool = Field(default=False, description="predictions made by another tool")
    fit_seconds: float | None = None
    predict_ms: float | None = Field(default=None, description="milliseconds an image")
    weights: int | None = Field(default=None, description="number of learned parameters")
    untrained: dict[str, float] = Field(
        default_factory=dict, description="scores before any training, where it reports them"
    )
    scores: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    created: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """A run on disk: its record, and its files on demand."""

    folder: Path
    record: Record
    store: Store

    @cached_property
    def annotations(self) -> Annotations:
        """What it was scored against."""
        return self.store.annotations(self.record.annotations)

    @cached_property
    def predictions(self) -> Predictions:
        """What it answered."""
        return read_predictions(self.folder / "predictions.json", self.annotations, own=True)

    @property
    def history(self) -> list[dict[str, str]]:
        """The rows of ``history.csv``, as text."""
        path = self.folder / "history.csv"
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


class Store:
    """The folder of results."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._annotations: dict[str, Annotations] = {}

    def folder(self, recipe: RunConfig, seed: int) -> Path:
        """Where the run of this recipe and seed lies, or will."""
        return (
            self.root
            / f"{slug(recipe.task)}@{recipe.version}"
            / slug(recipe.data)
            / slug(recipe.detector)
            / f"n{recipe.n_train}"
            / f"seed{seed}"
            / recipe.key(seed)
        )

    def find(self, recipe: RunConfig, seed: int) -> Stored | None:
        """The stored run of this recipe and seed, finished or failed; None where there is none."""
        folder = self.folder(recipe, seed)
        return self.read(folder) if (folder / "run.json").is_file() else None

    def read(self, folder: Path) -> Stored:
        """The run in ``folder``. UserError where its record is not one."""
        path = folder / "run.json"
        try:
            return Stored(folder, Record.model_validate_json(path.read_bytes()), self)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            first = error.errors()[0]
            if first["loc"] == ("schema_version",) and type(first["input"]) is int and first["input"] > 1:
                raise UserError(
                    f"{path}: is of schema {first['input']}, and this version of keypoint-benchmark reads 1: "
                    "use a newer version, or another --results folder"
                ) from error
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise UserError(f"{path}: {where}: {first['msg']}; delete the folder and run it again") from error

    def runs(self) -> Iterator[Stored]:
        """Every stored run, in the order of its path. Folders being written, and those beginning with '_', are not runs."""
        if not self.root.is_dir():
            return
        for path in sorted(self.root.glob("[!_.]*/*/*/n*/seed*/[!.]*/run.json")):
            yield self.read(path.parent)

    def write(
        self,
        record: Record,
        *,
        predictions: Predictions | None = None,
        history: Sequence[HistoryRow] = (),
        log: str = "",
        weights: Mapping[str, Any] | None = None,
    ) -> Stored:
        """Store a run whole: written aside, renamed last, replacing an earlier run of the same key.

        UserError where the folder cannot be written; what was stored before stays.
        """
        folder = self.folder(record.recipe, record.seed)
        aside = folder.with_name(f".{folder.name}.{os.getpid()}")
        with writing(folder):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            try:
                if predictions is not None:
                    write_predictions(aside / "predictions.json", predictions, self.annotations(record.annotations))
                if history:
                    columns = list(dict.fromkeys(key for row in history for key in row))
                    with (aside / "history.csv").open("w", newline="", encoding="utf-8") as file:
                        writer = csv.DictWriter(file, columns, lineterminator="\n")
                        writer.writeheader()
                        writer.writerows(history)
                if weights is not None:
                    from safetensors.numpy import save_file

                    save_file(dict(weights), aside / "weights.safetensors")
                (aside / "log.txt").write_text(log, encoding="utf-8", errors="backslashreplace")
                (aside / "run.json").write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
                if folder.exists():
                    old = folder.with_name(f".{folder.name}.old")
                    shutil.rmtree(old, ignore_errors=True)
                    folder.rename(old)
                    aside.rename(folder)
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    aside.rename(folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return Stored(folder, record, self)

    def put_annotations(self, annotations: Annotations) -> str:
        """Keep a set of annotations, once per digest; returns the digest. A copy that is damaged is written again."""
        digest = annotations.digest[:16]
        path = self._annotations_path(digest)
        try:
            self.annotations(digest)
        except UserError:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_name(f".{path.name}.{os.getpid()}")
                aside.write_text(json.dumps(annotations_to_json(annotations)), encoding="utf-8")
                aside.replace(path)
        self._annotations[digest] = annotations
        return digest

    def annotations(self, digest: str) -> Annotations:
        """The annotations of that digest. UserError where it is missing or has been changed."""
        if digest not in self._annotations:
            path = self._annotations_path(digest)
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: the annotations of a stored run cannot be read ({error}); run it again") from error
            annotations = annotations_from_json(document, str(path))
            if annotations.digest[:16] != digest:
                raise UserError(f"{path}: its content is not what its name promises; run again to restore it")
            self._annotations[digest] = annotations
        return self._annotations[digest]

    def _annotations_path(self, digest: str) -> Path:
        return self.root / "_annotations" / f"{digest}.json"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """UserError, naming ``path``, where what is done inside cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def slug(name: str) -> str:
    """A name as a folder name on any platform; different names stay different but for the characters replaced.

    A name too long for a file system is cut, and ends in 16 hex digits of its hash.
    """
    plain = re.sub(r"[^\w.+=,-]+", "@", name).strip(".") or "_"
    if len(plain.encode()) <= LONGEST:
        return plain
    return plain.encode()[: LONGEST - 17].decode(errors="ignore") + "@" + hashlib.sha256(name.encode()).hexdigest()[:16]
