"""What was read and scored before, kept beside the results so that 10,000 runs make a board in seconds.

``_index/<signature>/<task>@<version>/<data>/<detector>.index``, a file for each detector's folder of runs, holds of each
run its record and its `Scores`, and the state (time, size, inode) of ``run.json`` and ``predictions.json`` when they were
read. A run is taken from the index where both files are still in that state, and is read and scored anew otherwise. So a
board is the same with an index, without one, and with half of one; deleting ``_index`` costs time alone.

Nothing is taken on trust:

- The signature is over the code that reads and scores, the versions it stands on, and the instruction set: whatever else
  made an index, it is another folder. Metrics that are not the suite's own are never kept.
- A state holds the time of the last change of the inode, which nobody can set: an index that was packed with results and
  unpacked elsewhere fits no file there.
- A file that changed within two seconds before it was read is not kept, for it could change again within one tick of the
  file system's clock.
- What is written is read back first, and kept only where it gives the very same record and scores.
- A file of the index that is cut off, or no such file, is none; one that cannot be written is not written.

``_index/<signature>/made/*.json`` hold what else takes longer to make than to read: what the tests of a board's rows gave
(`leaderboard.tested`) and the digests of code (`leaderboard.staleness`), each under a hash of all that it was made of,
states of files included, so that these cannot come from elsewhere either.

A file is a line of JSON (lengths and a checksum), then a JSON document in which equal values stand once, then the errors
of images as float64. Each is written whole and replaced, so of two processes the later one stands.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydantic
from pydantic_core import from_json

import datasets
from benchmark import files
from benchmark.metrics import Scores, metrics
from benchmark.runs.config import RunConfig
from benchmark.runs.cost import Cost
from benchmark.runs.facts import Facts, instruction_set
from benchmark.runs.record import Record
from benchmark.structures import FloatArray, UserError

FOLDER = "_index"
MADE = "made"
CLOCK = "clock"  # an empty file, written to ask the file system for its time
FORMAT = 1
YOUNG = 2_000_000_000  # nanoseconds; the coarsest clock of a file system in use ticks every two seconds
UNUSED = 30 * 86_400 * 1_000_000_000  # nanoseconds, after which the index of another signature goes
CODE = ("metrics", "runs", "structures.py", "suggestions.py", "files.py")  # of benchmark: what reads and scores
FORMATS = "formats"  # of datasets: likewise

_PARTS = tuple(field.name for field in fields(Scores) if field.name not in ("distances", "exact"))
_FIELDS = tuple(Record.model_fields)
_MODELS: Mapping[str, type[pydantic.BaseModel]] = {"config": RunConfig, "facts": Facts, "cost": Cost}
_AS_SCORED = -1  # in the place of the record's own scores: they are what scoring gives


class State(NamedTuple):
    """What differs where a file does: nanoseconds of its last change and of its inode's, bytes, number of the inode."""

    modified: int
    changed: int
    size: int
    inode: int


@dataclass
class Entry:
    """What is known of one run.

    Attributes:
        record: What its ``run.json`` says.
        record_state: The state of that file before it was read.
        scores: Of its predictions; None where these were not scored.
        answers_state: The state of ``predictions.json`` before it was read; None as above.
    """

    record: Record
    record_state: State
    scores: Scores | None = None
    answers_state: State | None = None


def state_of(path: str) -> State | None:
    """The state of a file; None where there is none."""
    try:
        known = os.stat(path)  # noqa: PTH116  # of 20,000 files, where a Path costs as much as the look
    except OSError:
        return None
    return State(known.st_mtime_ns, known.st_ctime_ns, known.st_size, known.st_ino)


def _states(entry: Entry) -> tuple[State, State | None]:
    return entry.record_state, entry.answers_state


class Shard:
    """What is known of the runs in one detector's folder.

    Attributes:
        place: ``<task>@<version>/<data>/<detector>``.
        new: Whether something is known that may not be written down.
    """

    def __init__(self, place: str, stored: dict[str, Entry]) -> None:
        self.place = place
        self.new = False
        self._stored = stored
        self._seen: dict[str, Entry] = {}

    def known(self, name: str, state: State) -> Entry | None:
        """What is known of a run.

        Args:
            name: ``n<train>/seed<k>/<key>``.
            state: Of its ``run.json`` now.
        """
        entry = self._seen.get(name) or self._stored.get(name)
        if entry is None or entry.record_state != state:
            return None
        self._seen[name] = entry
        return entry

    def learn(self, name: str, entry: Entry) -> Entry:
        """Remember a run whose record has been read; returns the entry."""
        self._seen[name] = entry
        self.new = True
        return entry

    def scored(self, entry: Entry, scores: Scores, state: State) -> None:
        """Remember how a run was scored whose ``predictions.json`` was in this state before it was read."""
        entry.scores, entry.answers_state = scores, state
        self.new = True

    def content(self, before: int) -> bytes | None:
        """What its file should hold; None where that is what it holds, or nothing can be kept.

        Args:
            before: Nanoseconds by the file system's clock; what has changed since is not kept.
        """
        kept = {}
        for name, entry in self._seen.items():
            if max(entry.record_state[:2]) >= before:
                continue
            young = entry.answers_state is not None and max(entry.answers_state[:2]) >= before
            kept[name] = Entry(entry.record, entry.record_state) if young else entry
        same = {name: _states(entry) for name, entry in kept.items()}
        if same == {name: _states(entry) for name, entry in self._stored.items()}:
            return None
        return encode(kept) if kept else None


class Index:
    """The index of a folder of results.

    Attributes:
        root: The folder of results.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._own = root / FOLDER / signature()
        self._usable = can_be_kept()
        self._shards: dict[str, Shard] = {}
        self._began = time.monotonic_ns()  # before anything was looked at

    def shard(self, place: str) -> Shard:
        """What is known of the runs of a detector's folder, by its path from the results."""
        if place not in self._shards:
            self._shards[place] = Shard(place, _read(self._path(place)) if self._usable else {})
        return self._shards[place]

    def save(self) -> None:
        """Write down what is new. Where that cannot be written, the next look at the results takes longer, and no more."""
        new = [shard for shard in self._shards.values() if shard.new]
        if not new or not self._usable:
            return
        with suppress(UserError, OSError):
            if not self._lies_within(self._own):
                return
            clock = self._own / CLOCK
            files.write_bytes(clock, b"")
            now = clock.stat().st_mtime_ns  # by the clock that stamps the results, which may be another machine's
            before = now - (time.monotonic_ns() - self._began) - YOUNG
            for shard in new:
                shard.new = False
                content, path = shard.content(before), self._path(shard.place)
                if content is not None and self._lies_within(path.parent):
                    files.write_bytes(path, content)
            _remove_unused(self._own, now)

    def recall(self, what: str, key: str) -> str | None:
        """What was made before, where it was made of just this; None where that is not known.

        Args:
            what: A name that can be a file's.
            key: A hash over all that it was made of, and over when and where that was written.
        """
        if not self._usable:
            return None
        try:
            said, _, text = self._path_of_made(what).read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return None
        return text if said == f"{key} {zlib.crc32(text.encode())}" else None

    def remember(self, what: str, key: str, text: str) -> None:
        """Write down what was made, in the place of what was before."""
        path = self._path_of_made(what)
        with suppress(UserError, OSError):
            if self._usable and self._lies_within(path.parent):
                files.write_bytes(path, f"{key} {zlib.crc32(text.encode())}\n{text}".encode())

    def _path_of_made(self, what: str) -> Path:
        return self._own / MADE / f"{what}.json"

    def _path(self, place: str) -> Path:
        return self._own / f"{place}.index"

    def _lies_within(self, path: Path) -> bool:
        """Whether no link leads from the results to elsewhere."""
        return path.resolve().is_relative_to(self.root.resolve())


def folders(root: Path) -> Iterator[Path]:
    """The folders of an index that files are written into."""
    for level in ("", "*/", "*/*/", "*/*/*/"):
        yield from root.glob(f"{FOLDER}/{level}")


@cache
def _code() -> str:
    """A hash over the files that decide what a record and its scores are."""
    benchmark, formats = Path(__file__).parents[1], Path(str(datasets.__file__)).parent / FORMATS
    digest = hashlib.sha256()
    for place in (*(benchmark / name for name in CODE), formats):
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def signature() -> str:
    """16 hex digits over all that decides what is read of a run, and how it is scored, but the run's own files."""
    decides = (
        FORMAT,
        _code(),
        list(metrics()),
        platform.python_version(),
        np.__version__,
        pydantic.VERSION,
        platform.machine(),
        instruction_set(),
    )
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]


def can_be_kept() -> bool:
    """Whether every metric is the suite's own: of others nobody can tell when their code has changed."""
    own = Path(__file__).parents[1] / "metrics"
    return all(Path(entry.origin.rpartition(":")[0]).parent == own for entry in metrics().values())


def encode(entries: Mapping[str, Entry]) -> bytes:
    """Entries as the content of a file; those that could not be read back as they are, are left out."""
    rows, arrays = _Values(), []
    for name, entry in entries.items():
        with suppress(TypeError, ValueError):  # numbers of a type that JSON does not have
            one = _Values()
            one.add(name, entry)
            blocks = _blocks(entry.scores)
            ((_, again),) = _decoded(one.document(), b"".join(blocks)).items()
            if _same(again, entry):
                rows.add(name, entry)
                arrays += blocks
    text = rows.document()
    body = text + b"".join(arrays)
    head = {"format": FORMAT, "text": len(text), "bytes": len(body), "crc32": zlib.crc32(body)}
    return json.dumps(head).encode() + b"\n" + body


def decode(content: bytes) -> dict[str, Entry]:
    """The entries in the content of a file; none where it is not whole, or no file of an index."""
    try:
        head, _, body = content.partition(b"\n")
        said = json.loads(head)
        if (said["format"], said["bytes"], said["crc32"]) != (FORMAT, len(body), zlib.crc32(body)):
            return {}
        return _decoded(body[: said["text"]], body[said["text"] :])
    except (ValueError, TypeError, LookupError, RecursionError, AttributeError):  # whatever stands there instead
        return {}


class _Values:
    """A document in which equal values stand once: ``{"values": [...], "runs": [[name, state, fields, ...], ...]}``."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._rows: list[str] = []

    def add(self, name: str, entry: Entry) -> None:
        """Add a run. TypeError or ValueError where it holds what JSON does not have."""
        record, scores = entry.record.model_dump(mode="json"), entry.scores
        of_record = [self._place(record[field]) for field in _FIELDS if field != "scores"]
        as_scored = scores is not None and json.dumps(record["scores"]) == json.dumps(scores.as_dict())
        own = _AS_SCORED if as_scored else self._place(record["scores"])
        row: list[Any] = [name, entry.record_state, of_record, own]
        if scores is not None:
            parts = [self._place(getattr(scores, part)) for part in _PARTS]
            row += [entry.answers_state, parts, len(scores.distances), len(scores.exact)]
        self._rows.append(json.dumps(row))

    def document(self) -> bytes:
        """The document."""
        return f'{{"values":[{",".join(self._values)}],"runs":[{",".join(self._rows)}]}}'.encode()

    def _place(self, value: Any) -> int:
        return self._values.setdefault(json.dumps(value), len(self._values))


def _blocks(scores: Scores | None) -> list[bytes]:
    """The arrays of scores as bytes."""
    return [] if scores is None else [np.asarray(a, dtype="<f8").tobytes() for a in (scores.distances, scores.exact)]


def _decoded(text: bytes, arrays: bytes) -> dict[str, Entry]:
    """The entries of a document and its arrays; any of the usual errors where they are none."""
    document = from_json(text)
    values = document["values"]
    models: dict[tuple[str, int], pydantic.BaseModel] = {}
    names = [field for field in _FIELDS if field != "scores"]
    modelled = [(names.index(name), name, model) for name, model in _MODELS.items()]
    numbers = np.frombuffer(arrays, dtype="<f8")
    entries, start = {}, 0
    for name, record_state, of_record, own, *scored in document["runs"]:
        scores, answers_state = None, None
        if scored:
            state, parts, *lengths = scored
            told = dict(zip(_PARTS, map(values.__getitem__, parts), strict=True))
            distances, exact = _taken(numbers, start, lengths)
            start += sum(lengths)
            scores, answers_state = Scores(**told, distances=distances, exact=exact), State(*state)
        given = dict(zip(names, map(values.__getitem__, of_record), strict=True))
        for at, field, model in modelled:
            place = of_record[at]
            if (field, place) not in models:  # one object for all the runs that share it
                models[field, place] = model.model_validate(values[place])
            given[field] = models[field, place]
        if own == _AS_SCORED and scores is None:
            raise ValueError("a record as scored, without scores")
        given["scores"] = values[own] if own != _AS_SCORED or scores is None else scores.as_dict()
        entries[name] = Entry(Record.model_validate(given), State(*record_state), scores, answers_state)
    return entries


def _taken(numbers: FloatArray, start: int, lengths: list[int]) -> list[FloatArray]:
    first, second = lengths
    end = start + first + second
    if min(first, second) < 0 or end > len(numbers):
        raise ValueError("its arrays are cut off")
    return [numbers[start : start + first], numbers[start + first : end]]


def _same(entry: Entry, other: Entry) -> bool:
    """Whether two entries are equal to the last bit, the types of numbers and the order of names included."""
    return _texts(entry) == _texts(other) and _blocks(entry.scores) == _blocks(other.scores)


def _texts(entry: Entry) -> tuple[str, ...]:
    scores = entry.scores
    parts = [] if scores is None else [repr(getattr(scores, part)) for part in _PARTS]
    return (repr(entry.record), repr(entry.record_state), repr(entry.answers_state), *parts)


def _read(path: Path) -> dict[str, Entry]:
    try:
        return decode(path.read_bytes()) if stat.S_ISREG(path.stat().st_mode) else {}
    except (OSError, ValueError):  # there is none, or no file can have such a name
        return {}


def _remove_unused(own: Path, now: int) -> None:
    """Remove the indexes of other signatures that nobody has written to for a month."""
    for folder in own.parent.iterdir():
        if folder != own and now - (folder / CLOCK).stat().st_mtime_ns > UNUSED and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
