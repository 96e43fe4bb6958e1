"""What a large folder of results costs: boards, comparisons, status, and a grid that is finished already.

    python scripts/bench_results.py --runs 10000

Makes a folder of that many runs (5 tasks, 20 seeds, the rest detectors; 291 images each, with the records of the published
board) and times whole processes on it, wall clock and processor: a board without an index (once), then the median of
three of a board and a comparison with one, of a board after one more run, and of the status. Then a real grid of `mean`
(``--grid`` runs): made in process, and recognised as finished. ``--keep FOLDER`` keeps the runs that were made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.runs.bundle import Bundle
from benchmark.runs.store import Record, Store
from benchmark.structures import Annotations, Predictions

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "studies"
TASKS = ("topleft", "topright", "bottomleft", "bottomright", "corner")
SEEDS = 20


def make(store: Store, runs: int) -> None:
    """Fill a folder of results: each task's answers are its annotations and an error that detector, image and seed share."""
    patterns = [run.record for run in Bundle(STUDIES / "ablations" / "runs" / "topleft@1-tiny.bundle.zip").runs()]
    for task in TASKS:
        board = Bundle(STUDIES / "extrema" / "runs" / f"{task}@1-tiny.bundle.zip")
        one = next(iter(board.runs()))
        digest = store.put_annotations(one.annotations)
        hard = np.random.default_rng(0).exponential(1.0, (len(one.annotations), 1, 1))
        for i in range(max(1, runs // len(TASKS) // SEEDS)):
            pattern = patterns[i % len(patterns)]
            repeat = {} if i < len(patterns) else {"repeat": i // len(patterns)}
            detector = pattern.config.detector + "".join(f":repeat={n}" for n in repeat.values())
            config = pattern.config.model_copy(
                update={
                    **one.record.config.model_dump(include={"task", "version", "data", "data_digest"}),
                    "detector": detector,
                    "parameters": {**pattern.config.parameters, **repeat},
                }
            )
            for seed in range(SEEDS):
                random = np.random.default_rng([i, seed])
                told = {"config": config, "seed": seed, "key": config.key(seed), "annotations": digest}
                record = pattern.model_copy(update={**told, "status": "finished", "error": "", "failure": ""})
                write(store, record, one.annotations, hard * random.normal(0, 0.02 * (5 + i), (len(hard), 1, 2)))


def write(store: Store, record: Record, annotations: Annotations, offsets: np.ndarray) -> None:
    """Store a run that answers each image with its annotation and an offset; every second one with whole pixels."""
    points = annotations.keypoints + offsets[annotations.index]
    store.write(
        record,
        predictions=Predictions(
            image_ids=annotations.image_ids[annotations.index],
            keypoints=np.round(points) if record.seed % 2 else points,
            scores=np.ones(len(points)),
            category_ids=annotations.category_ids,
        ),
        log="made by scripts/bench_results.py\n",
    )


def again(store: Store) -> None:
    """Store the first run anew."""
    run = next(store.runs())
    store.write(run.record, predictions=run.predictions, log=run.log)


def timed(*words: str) -> tuple[float, float]:
    """Wall and processor seconds of ``python -m benchmark`` with these words, its start included."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-m", "benchmark", *words], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, spent


def report(what: str, *words: str, times: int = 3, before: Callable[[], object] = lambda: None) -> None:
    """Print the median of some calls."""
    spent = []
    for _ in range(times):
        before()
        spent.append(timed(*words))
    wall, processor = (statistics.median(column) for column in zip(*spent, strict=True))
    print(f"{what:<44}{wall:8.2f} s wall{processor:8.2f} s processor", flush=True)


def main() -> None:
    """Make the folder, time the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--grid", type=int, default=0, metavar="RUNS", help="also a grid of so many runs of mean")
    parser.add_argument("--keep", type=Path, default=None, help="folder to keep, or one made earlier")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch) / "results"
        if not folder.exists():
            start = time.perf_counter()
            make(Store(folder), args.runs)
            print(f"made {args.runs} runs in {time.perf_counter() - start:.0f} s", flush=True)
        results = ("--results", str(folder))
        shutil.rmtree(folder / "_index", ignore_errors=True)
        report("status, no index", "status", *results)
        report("board, no index", "leaderboard", *results, times=1)
        report("board, index", "leaderboard", *results)
        report("board, index, one run new", "leaderboard", *results, before=lambda: again(Store(folder)))
        pair = [run.record.config.detector for run in islice(Store(folder).runs(), 0, 2 * SEEDS, SEEDS)]
        report("comparison, index", "compare", *pair, "--task", "bottomleft", *results)
        report("status, index", "status", *results)
        if args.grid:
            made = str(Path(scratch) / "grid")
            grid = ("run", "--detector", "mean", "--seeds", str(args.grid), "--results", made)
            report(f"grid of {args.grid} runs of mean, made", *grid, times=1)
            report(f"grid of {args.grid} runs of mean, finished", "status", *grid[1:])


if __name__ == "__main__":
    main()
