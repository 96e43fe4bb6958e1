"""Bundles: what goes in comes out to the bit, the same runs make the same bytes, and nothing in one is trusted."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import UserError
from benchmark.api import run_grid
from benchmark.runs.bundle import Bundle, Collection, open_results, unpack, write_bundles
from benchmark.runs.config import GridConfig
from benchmark.runs.store import Store

Grid = Callable[..., GridConfig]


@pytest.fixture
def store(grid: Grid, counting: str) -> Store:
    """Two seeds of a detector of its own, one of a failing one, and the baseline."""
    run_grid(grid(counting, f"{counting}:flaw=fit", seeds=(0, 1)))
    return Store(grid().results)


@pytest.fixture
def bundle(store: Store, tmp_path: Path) -> Path:
    (path,) = write_bundles(store, tmp_path / "published")
    return path


def repacked(path: Path, change: Callable[[dict[str, bytes]], Any], *, rehash: bool = True) -> Path:
    """The bundle with changed members, as somebody would make it who knows the format."""
    import hashlib

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    if rehash:
        hashes = {n: hashlib.sha256(c).hexdigest() for n, c in members.items() if n != "manifest.json"}
        members["manifest.json"] = json.dumps({"format": 1, "sha256": hashes}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_bundle_holds_what_the_folders_held(store: Store, bundle: Path, tmp_path: Path) -> None:
    packed = {run.record.key: run for run in Bundle(bundle).runs()}
    stored = {run.record.key: run for run in store.runs()}
    assert packed.keys() == stored.keys()
    assert len(packed) == 5
    for key, run in stored.items():
        other = packed[key]
        assert other.record.scores == run.record.scores
        assert other.history_text == run.history_text
        if run.record.status == "finished":
            assert other.log == run.log
            for field in ("image_ids", "keypoints", "scores", "category_ids"):
                assert np.array_equal(getattr(other.predictions, field), getattr(run.predictions, field))
            assert other.annotations.digest == run.annotations.digest
    unpacked = Store(tmp_path / "unpacked")
    assert unpack(Bundle(bundle), unpacked) == 5
    assert unpack(Bundle(bundle), unpacked) == 0
    for run in store.runs():
        copy = unpacked.folder(run.record.config, run.record.seed)
        for name in ("predictions.json", "history.csv", "log.txt"):
            if (run.folder / name).exists() and run.record.status == "finished":
                assert (copy / name).read_bytes() == (run.folder / name).read_bytes()


def test_the_same_runs_make_the_same_bytes_and_hold_no_path(store: Store, bundle: Path, tmp_path: Path) -> None:
    (again,) = write_bundles(Store(store.root), tmp_path / "again")
    assert again.read_bytes() == bundle.read_bytes()
    unpacked = Store(tmp_path / "unpacked")
    unpack(Bundle(bundle), unpacked)
    (third,) = write_bundles(unpacked, tmp_path / "third")
    assert third.read_bytes() == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        records = archive.read("records.jsonl").decode()
    assert "Traceback" in records
    for place in (tmp_path, Path(sys.prefix), Path(__file__).parents[2]):
        assert str(place) not in records


def test_unpacking_takes_nothing_away(grid: Grid, counting: str, tmp_path: Path) -> None:
    """A failed run of a bundle, though later, does not replace a finished one; nor does any one whose weights are kept."""
    (finished,) = run_grid(grid(counting))
    later = finished.record.model_copy(update={"created": "2099-01-01T00:00:00+00:00"})
    other = Store(tmp_path / "other")
    other.put_annotations(finished.annotations)
    for record, predictions in ((later.model_copy(update={"status": "failed"}), None), (later, finished.predictions)):
        other.write(record, predictions=predictions)
        (path,) = write_bundles(other, tmp_path / "out")
        weights = finished.folder / "weights.safetensors"
        weights.write_bytes(b"fitted")
        before = (finished.folder / "run.json").read_bytes()
        assert unpack(Bundle(path), finished.store) == 0
        assert (finished.folder / "run.json").read_bytes() == before
        weights.unlink()


def test_a_folder_of_bundles_reads_as_a_folder_of_runs(store: Store, bundle: Path) -> None:
    for path in (bundle, bundle.parent):
        assert {run.record.key for run in open_results(path).runs()} == {run.record.key for run in store.runs()}
    write_bundles(store, store.root)
    both = open_results(store.root)
    assert isinstance(both, Collection)
    assert len(list(both.runs())) == 5
    with pytest.raises(UserError, match="there is no such folder"):
        open_results(bundle.parent / "nowhere")


def _edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], Any]:
    def change(members: dict[str, bytes]) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return change


def _swap_arrays(members: dict[str, bytes]) -> None:
    first, second = [name for name in members if name.startswith("arrays/")][:2]
    members[first], members[second] = members[second], members[first]


def _pickle(members: dict[str, bytes]) -> None:
    content = io.BytesIO()
    np.save(content, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for name in members:
        if name.startswith("arrays/"):
            members[name] = content.getvalue()


def _array(header: bytes) -> Callable[[dict[str, bytes]], Any]:
    """Every array replaced by another, under the name that its bytes have."""

    def change(members: dict[str, bytes]) -> None:
        import hashlib

        for name in [name for name in members if name.startswith("arrays/")]:
            del members[name]
        new = hashlib.sha256(header).hexdigest()[:32]
        members[f"arrays/{new}.npy"] = header
        lines = [json.loads(line) for line in members["records.jsonl"].decode().splitlines()]
        for line in lines:
            line["arrays"] = dict.fromkeys(line["arrays"], new) if "arrays" in line else {}
        members["records.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()

    return change


def _npy(header: str) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


HOSTILE = {
    "an array of an absurd size": _array(
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (35184372088832,)}\n")
    ),
    "a header cut short": _array(_npy("{'descr': '<f8', 'fortr")),
    "another archive for an array": _array(b"PK\x03\x04 no array"),
    "an absurd number": _edit("records.jsonl", b'"version":1', b'"version":1' + b"0" * 300),
    "an infinite number": _edit("records.jsonl", b'"predict_ms":', b'"fit_seconds":Infinity,"predict_ms":'),
    "bytes that are no text": lambda m: m.update({"records.jsonl": b"\xff\xfe\n"}),
    "a path that leaves": lambda m: m.update({"../../evil.py": b""}),
    "an absolute path": lambda m: m.update({"/etc/evil": b""}),
    "a stranger": lambda m: m.update({"run.py": b""}),
    "arrays exchanged": _swap_arrays,
    "a pickle": _pickle,
    "another key": _edit("records.jsonl", b'"seed":0', b'"seed":7'),
    "other annotations": _edit("annotations.jsonl", b'"width":28', b'"width":29'),
    "no records": lambda m: m.pop("records.jsonl"),
    "text for a record": lambda m: m.update({"records.jsonl": b"{}\n"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_a_bundle_is_refused_and_writes_nothing(bundle: Path, tmp_path: Path, name: str) -> None:
    repacked(bundle, HOSTILE[name])
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"get it again|get the bundle again|run again to restore it"):
        unpack(Bundle(bundle), Store(tmp_path / "unpacked"))
    assert set(tmp_path.rglob("*")) == before


def test_a_byte_changed_without_its_hash_is_noticed(bundle: Path, tmp_path: Path) -> None:
    repacked(bundle, _edit("records.jsonl", b'"mean":', b'"mean": '), rehash=False)
    with pytest.raises(UserError, match=r"records\.jsonl is not what the manifest promises"):
        Bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_a_file_that_is_no_archive_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.bundle.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not a bundle that can be read"):
        Bundle(path)


def test_a_bomb_is_refused_before_it_is_unpacked(bundle: Path) -> None:
    with zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("arrays/" + "0" * 32 + ".npy")
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(b"\0" * 1024)
        archive.infolist()[-1].file_size = 1 << 33  # what the directory will say
    with pytest.raises(UserError, match=r"unpacks to more than|does not list its members|get it again"):
        Bundle(bundle)
