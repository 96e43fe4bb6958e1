"""The index: a board with it is the board without it, whatever happens to the files and to the index."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.metrics import Undefined, metric
from benchmark.metrics.registry import unregister
from benchmark.runs import index
from benchmark.runs.store import Store
from benchmark.structures import UserError
from leaderboard import rows, tested
from leaderboard.board import boards
from leaderboard.render.tables import as_dict, as_rows, frame

ROOT = Path(__file__).parents[2]
TICK = 0.011  # seconds; a file system's clock on Linux ticks every 4 ms or less


@pytest.fixture(autouse=True)
def young_files_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for two seconds; `test_what_is_young_is_not_kept` is about these."""
    monkeypatch.setattr(index, "YOUNG", -10 * 10**9)


@pytest.fixture
def scorings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every predictions file that is scored."""
    calls: list[int] = []
    real = rows.score

    def counted(*given: object, **more: object) -> object:
        calls.append(1)
        return real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "score", counted)
    return calls


def look(root: Path, *, indexed: bool) -> str:
    """All that boards say, to the last bit, as a new process would find it; or what is wrong."""
    rows._scored.clear()
    try:
        return repr([(as_dict(board), as_rows(board)) for board in boards(Store(root, indexed=indexed))])
    except UserError as error:
        return str(error)


def shards(root: Path) -> list[Path]:
    return sorted((root / "_index").rglob("*.index"))


def fill(make, detectors: int = 3, seeds: int = 2) -> None:  # type: ignore[no-untyped-def]
    known = make.annotations(6, k=2)
    for i in range(detectors):
        for seed in range(seeds):
            offsets = np.random.default_rng([i, seed]).normal(0, 1 + i, (6, 2, 2))
            make.put(f"d{i}", known, make.answers(known, offsets), seed)


def test_what_is_known_is_neither_read_nor_scored_again(make, tmp_path, scorings, monkeypatch) -> None:
    fill(make)
    plain = look(make.store.root, indexed=False)
    assert len(scorings) == 6
    assert look(make.store.root, indexed=True) == plain
    assert len(scorings) == 12
    monkeypatch.setattr(Store, "read", None)  # no record is parsed either
    assert look(make.store.root, indexed=True) == plain
    assert len(scorings) == 12


def test_one_new_run_costs_one_scoring(make, scorings) -> None:
    fill(make)
    look(make.store.root, indexed=True)
    known = make.annotations(6, k=2)
    make.put("d0", known, make.answers(known, 2.0), 7)
    scorings.clear()
    shown = look(make.store.root, indexed=True)
    assert len(scorings) == 1
    assert shown == look(make.store.root, indexed=False)


@pytest.fixture
def tests_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every board whose rows are tested."""
    calls: list[int] = []
    real = tested.rank_intervals

    def counted(*given: object) -> object:
        calls.append(1)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(tested, "rank_intervals", counted)
    return calls


def test_rows_of_an_unchanged_board_are_not_tested_again(make, tests_made) -> None:
    fill(make)
    plain = look(make.store.root, indexed=False)
    assert look(make.store.root, indexed=True) == plain
    tests_made.clear()
    assert look(make.store.root, indexed=True) == plain
    assert tests_made == []


def test_whatever_tests_stand_on_has_them_made_again(make, tests_made, monkeypatch) -> None:
    fill(make)
    look(make.store.root, indexed=True)
    known = make.annotations(6, k=2)
    changes: list[Callable[[], object]] = [
        lambda: make.put("d0", known, make.answers(known, 2.0), 1),
        lambda: make.put("d9", known, make.answers(known, 2.0), 0),
        lambda: monkeypatch.setattr(tested, "_code", lambda: "other code"),
        lambda: monkeypatch.setattr(tested, "LEVEL", 0.9),
    ]
    for change in changes:
        change()
        tests_made.clear()
        shown = look(make.store.root, indexed=True)
        assert len(tests_made) == 1
        assert shown == look(make.store.root, indexed=False)
        assert shown == look(make.store.root, indexed=True)
        assert len(tests_made) == 2


def test_tests_that_came_with_the_results_are_not_believed(make, tmp_path, tests_made) -> None:
    """Somebody else's folder of results, unpacked here: its files lie elsewhere and since another moment."""
    fill(make)
    look(make.store.root, indexed=True)
    copy = tmp_path / "copy"
    shutil.copytree(make.store.root, copy)
    tests_made.clear()
    look(copy, indexed=True)
    assert len(tests_made) == 1


def test_tests_that_are_not_whole_are_made_again(make, tests_made) -> None:
    fill(make)
    plain = look(make.store.root, indexed=True)
    (kept,) = (make.store.root / "_index").rglob("tests of *.json")
    content = kept.read_bytes()
    for changed in (content[:-3], content.replace(b'"low":1', b'"low":2'), b"", b"\xff"):
        kept.write_bytes(changed)
        tests_made.clear()
        assert look(make.store.root, indexed=True) == plain
        assert len(tests_made) == 1


Act = Callable[[Path, int], None]


def _overwrite_in_place(folder: Path, number: int) -> None:
    path = folder / "predictions.json"
    if path.is_file():
        text = path.read_text()
        at = text.find('"keypoints": [') + len('"keypoints": [')
        path.write_text(text[:at] + str(number % 10) + text[at + 1 :])  # as long as before, mostly


def _with_its_old_time(folder: Path, number: int) -> None:
    path = folder / "predictions.json"
    if path.is_file():
        before = path.stat()
        _overwrite_in_place(folder, number)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _cut_answers(folder: Path, number: int) -> None:
    path = folder / "predictions.json"
    if path.is_file():
        path.write_bytes(path.read_bytes()[: number * 7])


def _cut_record(folder: Path, number: int) -> None:
    path = folder / "run.json"
    path.write_bytes(path.read_bytes()[: number * 20])


def _without_answers(folder: Path, number: int) -> None:
    (folder / "predictions.json").unlink(missing_ok=True)


def _gone(folder: Path, number: int) -> None:
    shutil.rmtree(folder)


def _unpacked_elsewhere(folder: Path, number: int) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)


def _index_cut(folder: Path, number: int) -> None:
    for path in shards(folder.parents[5]):
        path.write_bytes(path.read_bytes()[: -number - 1])


def _index_changed(folder: Path, number: int) -> None:
    for path in shards(folder.parents[5]):
        content = bytearray(path.read_bytes())
        content[-number - 1] ^= 1
        path.write_bytes(content)


ACTS: tuple[Act, ...] = (
    _overwrite_in_place,
    _with_its_old_time,
    _cut_answers,
    _cut_record,
    _without_answers,
    _gone,
    _unpacked_elsewhere,
    _index_cut,
    _index_changed,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["add", "replace", *ACTS]), st.integers(0, 5), st.integers(0, 40)), max_size=5)
)
def test_a_board_is_the_same_with_and_without(maker_of, tmp_path_factory, acts) -> None:
    make = maker_of(tmp_path_factory.mktemp("made") / "results")
    fill(make)
    known = make.annotations(6, k=2)
    assert look(make.store.root, indexed=True) == look(make.store.root, indexed=False)
    for act, which, number in acts:
        time.sleep(TICK)
        folders = sorted(path.parent for path in make.store.root.glob("[!_]*/*/*/*/*/*/run.json"))
        if isinstance(act, str):
            name, seed = f"d{which}", (number if act == "add" else number % 2)
            make.put(name, known, None if number == 3 else make.answers(known, number / 10), seed)
        elif folders:
            act(folders[which % len(folders)], number)
        assert look(make.store.root, indexed=True) == look(make.store.root, indexed=False)
        assert look(make.store.root, indexed=True) == look(make.store.root, indexed=False)


@pytest.fixture
def make(maker):  # type: ignore[no-untyped-def]
    """Puts runs into a folder of results."""
    return maker


@pytest.fixture
def maker_of(maker):  # type: ignore[no-untyped-def]
    """Makes a maker of a folder."""
    return type(maker)


def test_what_is_young_is_not_kept(make, monkeypatch) -> None:
    fill(make)
    monkeypatch.setattr(index, "YOUNG", 2 * 10**9)
    look(make.store.root, indexed=True)
    assert shards(make.store.root) == []


def test_another_state_of_the_code_has_another_index(make, monkeypatch, scorings) -> None:
    fill(make)
    look(make.store.root, indexed=True)
    scorings.clear()
    for change in ("FORMAT", "_code"):
        with monkeypatch.context() as changed:
            changed.setattr(index, change, 99 if change == "FORMAT" else lambda: "other code")
            look(make.store.root, indexed=True)
    assert len(scorings) == 12


def test_a_metric_of_somebody_else_is_never_kept(make, scorings) -> None:
    fill(make)
    look(make.store.root, indexed=True)

    @metric("theirs", unit="px")
    def theirs(errors: object) -> float:
        """A metric whose code nobody watches."""
        raise Undefined("no_pairs")

    try:
        scorings.clear()
        assert "theirs" in look(make.store.root, indexed=True)
        look(make.store.root, indexed=True)
        assert len(scorings) == 12
    finally:
        unregister("theirs")


def test_what_decides_scores_is_part_of_the_signature() -> None:
    """Every module of ours that scoring and reading import lies where `index` looks for changes."""
    waiting = ["benchmark/metrics/__init__.py", "benchmark/metrics/table.py", "datasets/formats/coco_results.py"]
    seen: set[str] = set()
    while waiting:
        if (place := waiting.pop()) in seen:
            continue
        seen.add(place)
        for statement in ast.walk(ast.parse((ROOT / place).read_text(encoding="utf-8"))):
            if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(("benchmark", "datasets")):
                module = str(statement.module).replace(".", "/")
                names = [f"{module}.py", *(f"{module}/{name.name}.py" for name in statement.names)]
                waiting += [name for name in names if (ROOT / name).is_file()]
    pixels = ("benchmark/colour.py", "datasets/images.py")  # how images are decoded, which no score sees
    watched = (*(f"benchmark/{name}" for name in index.CODE), "datasets/formats", *pixels)
    assert len(seen) > 12
    assert [place for place in seen if not place.startswith(watched)] == []


def test_a_folder_that_cannot_be_written_works(make, monkeypatch) -> None:
    fill(make)
    plain = look(make.store.root, indexed=False)
    (make.store.root / "_index").write_text("in the way")
    assert look(make.store.root, indexed=True) == plain


def test_a_link_out_of_the_results_is_not_followed(make, tmp_path) -> None:
    fill(make)
    outside = tmp_path / "outside"
    outside.mkdir()
    (make.store.root / "_index").symlink_to(outside)
    assert look(make.store.root, indexed=True) == look(make.store.root, indexed=False)
    assert list(outside.iterdir()) == []


def test_two_processes_write_one_index(make) -> None:
    fill(make, detectors=4)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from benchmark.runs import index; index.YOUNG = -10**10\n"
        "from benchmark.runs.store import Store; from leaderboard.board import boards\n"
        f"for _ in range(5): boards(Store({str(make.store.root)!r}, indexed=True))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    for _ in range(5):
        look(make.store.root, indexed=True)
    assert [process.wait(60) for process in both] == [0, 0]
    assert look(make.store.root, indexed=True) == look(make.store.root, indexed=False)
    assert list((make.store.root / "_index").rglob(".*")) == []


def test_what_a_killed_process_left_is_swept(make) -> None:
    fill(make)
    look(make.store.root, indexed=True)
    own = shards(make.store.root)[0]
    host = index.files._HOST
    (own.parent / f".{own.name}.{host}-999999999-0").write_text("half")
    assert make.store.sweep() == 1


def test_the_index_of_another_signature_goes_after_a_month(make) -> None:
    fill(make)
    for name, days in (("old", 40), ("new", 3)):
        clock = make.store.root / "_index" / name / "clock"
        clock.parent.mkdir(parents=True)
        clock.write_text("")
        os.utime(clock, (time.time() - days * 86400,) * 2)
    look(make.store.root, indexed=True)
    assert sorted(path.name for path in (make.store.root / "_index").iterdir()) == sorted(["new", index.signature()])


def test_csv_is_what_pandas_writes(make) -> None:
    fill(make)
    make.put("broken", make.annotations(6, k=2), None, 0)
    made = boards(make.store)
    table = frame(made)
    for name in ("seeds", "failed_seeds", "marks", "changed_files"):
        table[name] = [" ".join(map(str, values)) for values in table[name]]
    from leaderboard.render.tables import as_csv

    assert as_csv([row for one in made for row in as_rows(one)]) == table.to_csv(index=False, lineterminator="\n")
