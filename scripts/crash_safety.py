"""What a grid loses when it is killed, when the disk is full, when files are cut off: nothing, and this counts it.

    python scripts/crash_safety.py [--kills 200] [--seed 0] [--only kills] [--only full-disk] ...

Real grids (mean and ridge on a few rectangles) run in processes of their own, which are killed (SIGKILL) at random moments,
or run into what is prepared for them. After each fault every run that is there is held against an undisturbed grid's, byte
by byte, without any code that wrote it; a run that was finished before must be finished after, and the next grid must go
on. Full disk and read-only folder need leave to mount a small tmpfs; they are skipped, in words, where there is none.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark import UserError
from benchmark.api import run_grid
from benchmark.conformance import rectangles
from benchmark.executors import attempt
from benchmark.executors.executor import Callback
from benchmark.runs import execute
from benchmark.runs.config import GridConfig
from benchmark.runs.plan import Planned, plan
from benchmark.runs.store import FolderRun, Store
from datasets.dataset import Dataset, DatasetCard
from datasets.formats import coco_folder

Counts = Counter[str]
DETECTORS = ("mean", "ridge")
SEEDS = 6


class Heard(Callback):
    """Counts what was made and what was there already, and keeps what was said."""

    def __init__(self) -> None:
        self.counts: Counts = Counter()
        self.notes: list[str] = []

    def planned(self, grid: Any) -> None:
        self.notes += [one.damaged for one in grid if one.damaged]

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
        self.counts["reused" if reused else "made"] += 1


class World:
    """A small data set, an undisturbed grid on it, and how to tell whether another one is whole."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        parts = [rectangles(count, seed=i) for i, count in enumerate((20, 6, 8), 1)]
        coco_folder.write(root / "data", Dataset(*parts, DatasetCard(task="made", data="made"), ""))
        run_grid(self.grid(root / "undisturbed"))
        self.expected = self.finished(root / "undisturbed")

    def grid(self, results: Path, **settings: Any) -> GridConfig:
        """The grid, in a folder of results."""
        given = {"detectors": DETECTORS, "data": str(self.root / "data"), "seeds": tuple(range(SEEDS)), "threads": 1}
        return GridConfig(**{**given, "results": str(results), **settings})

    def finished(self, results: Path) -> dict[str, bytes]:
        """Key -> its predictions, of every folder that counts as a run; AssertionError where one is half of itself."""
        found = {}
        for path in results.glob("[!_.]*/*/*/n*/seed*/[!.]*/run.json"):
            record = json.loads(path.read_bytes())
            assert record["status"] == "finished", f"{path}: {record['error']}"
            assert record["key"] == path.parent.name, path
            found[record["key"]] = (path.parent / "predictions.json").read_bytes()
            json.loads(found[record["key"]])
            assert (path.parent / "log.txt").is_file(), path
        return found

    def check(self, results: Path) -> dict[str, bytes]:
        """What is finished, each as the undisturbed grid has it, once those moved away are put back by looking for them."""
        store = Store(results)
        for one in plan(self.grid(results)):
            store.find(one.job.config, one.job.seed)
        there = self.finished(results)
        for key, content in there.items():
            assert content == self.expected[key], f"{results}: {key} is not as the undisturbed one"
        return there

    def goes_on(self, results: Path, **settings: Any) -> Heard:
        """The grid, made whole from whatever is there; AssertionError where it is not then."""
        heard = Heard()
        run_grid(self.grid(results, **settings), heard)
        assert self.check(results) == self.expected
        left = [path for path in results.rglob(".*") if path.is_dir() or path.name.count(".") > 2]
        assert not left, left
        return heard


def in_a_process(what: Callable[[], object]) -> int:
    """Run something in a forked process of its own group, which imports nothing again; returns its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        what()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def kills(world: World, count: int) -> Counts:
    """SIGKILL at random moments: of grids in one process and in two workers, of first runs and of runs that replace."""
    counts: Counts = Counter()
    results = world.root / "killed"
    seconds: dict[str, float] = {}
    before: set[str] = set()
    while counts["kills"] < count:
        workers = counts["kills"] % 10 == 9
        overwrite = len(before) == len(world.expected)
        if overwrite and world.random.random() < 0.5:
            shutil.rmtree(results)
            before, overwrite = set(), False
        settings: dict[str, Any] = {"overwrite": overwrite}
        if workers:
            settings |= {"executor": "process", "workers": 2}
        kind = "process" if workers else "local"
        if kind not in seconds:  # how long it takes to the end, so that moments are drawn from all of it
            began = time.monotonic()
            os.waitpid(in_a_process(partial(run_grid, world.grid(world.root / f"timed-{kind}", **settings))), 0)
            seconds[kind] = time.monotonic() - began
        pid = in_a_process(partial(run_grid, world.grid(results, **settings)))
        time.sleep(world.random.uniform(0, 1.1 * seconds[kind]))
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            counts["kills"] += 1
            counts[f"of them with {kind}"] += 1
            counts["of them while replacing"] += overwrite
        if workers:
            time.sleep(1.5)  # its workers notice that it is gone, and end
        counts["half-written left behind"] += len(list(results.glob("*/*/*/n*/seed*/.*")))
        there = world.check(results)
        assert not before - there.keys(), before - there.keys()
        counts["rows lost"] += len(before - there.keys())
        counts["rows finished at a kill"] += len(there)
        before = set(there)
        if counts["kills"] % 5 == 0:
            heard = world.goes_on(results)
            assert heard.counts["reused"] >= len(there)
            counts["grids that went on to the end"] += 1
            before = set(world.expected)
    return counts


def writers(world: World, together: int) -> Counts:
    """Several processes make the same grid in one folder at once, and then replace it at once."""
    counts: Counts = Counter()
    results = world.root / f"writers-{together}"
    for overwrite in (False, True, True):
        pids = [in_a_process(partial(run_grid, world.grid(results, overwrite=overwrite))) for _ in range(together)]
        counts["processes that failed"] += sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in pids)
        counts["rows lost"] += len(world.expected.keys() - world.check(results).keys())
        counts["grids"] += together
    world.goes_on(results)
    assert not counts["processes that failed"]
    assert not counts["rows lost"]
    return counts


def truncated(world: World, count: int) -> Counts:
    """Files cut off at random, of runs, annotations and data; the next grid says so and makes what is damaged again."""
    counts: Counts = Counter()
    results = world.root / "truncated"
    world.goes_on(results)
    for _ in range(count):
        files: dict[str, list[Path]] = {}
        for path in sorted(results.rglob("*.*")):
            if path.is_file() and path.name != "log.txt":
                files.setdefault("annotations" if path.parent.name == "_annotations" else path.name, []).append(path)
        kind = world.random.choice(sorted(files))
        path = world.random.choice(files[kind])
        if not (size := path.stat().st_size):
            continue
        os.truncate(path, world.random.choice([0, world.random.randrange(size), max(0, size - 2)]))
        heard = world.goes_on(results)
        counts[kind] += 1
        if kind != "annotations":
            counts["said"] += any(path.name in note for note in heard.notes)
            counts["made again"] += heard.counts["made"]
            assert heard.counts["made"] == 1, (path, heard.counts)
        else:
            assert heard.counts["made"] == 0, (path, heard.counts)
    assert counts["said"] == counts["made again"]
    return counts


def clock(world: World) -> Counts:
    """The clock of the machine goes back and forth by years between grids, and so do the times of files."""
    counts: Counts = Counter()
    results = world.root / "clock"
    for days in (0, -3000, 4000, -5000):

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(UTC) + timedelta(days=days)  # noqa: B023  # used within this round

        seeds = tuple(range(2 + counts["grids"]))
        for module in (execute, attempt):
            module.datetime = Shifted  # type: ignore[attr-defined]
        try:
            heard = Heard()
            run_grid(world.grid(results, seeds=seeds), heard)
        finally:
            for module in (execute, attempt):
                module.datetime = datetime  # type: ignore[attr-defined]
        for path in results.rglob("*"):
            stamp = time.time() + 86400 * days
            os.utime(path, (stamp, stamp))
        counts["grids"] += 1
        counts["rows made twice"] += heard.counts["made"] - len(DETECTORS) * (2 if counts["grids"] == 1 else 1)
        world.check(results)
    world.goes_on(results)
    return counts


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A tmpfs of this size; the function it hands out mounts it again with other options. OSError where it may not."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        raise OSError(done.stderr.strip())
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True) and None
    finally:
        subprocess.run(["umount", str(place)], check=True)


def full_disk(world: World, count: int) -> Counts:
    """Disks of random sizes that fill up in the middle of a grid, one process and two workers; then there is room."""
    counts: Counts = Counter()
    for i in range(count):
        place = world.root / f"full-{i}"
        pages = world.random.randrange(15, 55)  # 4 KiB each; the grid takes about 50
        settings = {"executor": "process", "workers": 2} if i % 5 == 4 else {}
        with small_disk(place, f"{4 * pages}k") as remount:
            try:
                run_grid(world.grid(place / "results", **settings))
                counts["grids that had room"] += 1
            except UserError as error:
                if "No space left" not in str(error):
                    raise
                counts["grids that filled the disk, and said so"] += 1
            before = world.finished(place / "results")
            counts["rows finished before"] += len(before)
            remount("size=64m")
            heard = world.goes_on(place / "results")
            counts["rows lost"] += max(0, len(before) - heard.counts["reused"])
    return counts


def read_only(world: World) -> Counts:
    """A folder that becomes read-only between grids, and one that was so from the start."""
    counts: Counts = Counter()
    with small_disk(world.root / "read-only", "64m") as remount:
        results = world.root / "read-only" / "results"
        run_grid(world.grid(results, seeds=(0, 1)))
        remount("ro")
        for seeds in ((0, 1), tuple(range(SEEDS))):
            try:
                run_grid(world.grid(results, seeds=seeds))
            except UserError as error:
                if str(results) not in str(error):
                    raise
                counts["grids refused, with the folder named"] += 1
        counts["rows lost"] += 2 * len(DETECTORS) - len(world.finished(results))
        remount("rw")
        world.goes_on(results)
    return counts


def main(
    kill: Annotated[
        int, typer.Option("--kills", help="How many kills; of files cut off a third, of disks a tenth.")
    ] = 200,
    seed: int = 0,
    only: Annotated[list[str] | None, typer.Option(help="Faults to try; default all.")] = None,
) -> None:
    """Print what each fault cost; the first loss ends it with what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), seed)
        faults: dict[str, Callable[[], Counts]] = {
            "kills": lambda: kills(world, kill),
            "two-writers": lambda: writers(world, 2),
            "four-writers": lambda: writers(world, 4),
            "truncated": lambda: truncated(world, max(4, kill // 3)),
            "clock": lambda: clock(world),
            "full-disk": lambda: full_disk(world, max(2, kill // 10)),
            "read-only": lambda: read_only(world),
        }
        for name, fault in faults.items():
            if only and name not in only:
                continue
            began = time.monotonic()
            try:
                counts = fault()
            except OSError as error:
                print(f"{name}: skipped, for it cannot be prepared here ({error})", flush=True)
                continue
            told = ", ".join(f"{count} {what}" for what, count in counts.items())
            print(f"{name}: {told} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    typer.run(main)
