"""What a large folder of results costs: boards, comparisons, status, and a grid that is finished already.

    python scripts/bench_results.py --runs 10000

Makes a folder of that many runs (5 tasks, 20 seeds, the rest detectors; 291 images each, with the records of the published
board) and times whole processes on it, three times each: first without an index, then with one. Then it times a real
grid of `mean` by the other road: made in process, and recognised as finished. ``--keep FOLDER`` keeps the runs made.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmark.runs.bundle import Bundle  # noqa: E402
from benchmark.runs.store import Record, Store
from benchmark.structures import Annotations, Predictions

PUBLISHED = ROOT / "leaderboard" / "published"
TASKS = ("topleft", "topright", "bottomleft", "bottomright", "corner")
SEEDS = 20


def make(store: Store, runs: int) -> None:
    """Fill a folder of results: each task's answers are its annotations and an error that detector, image and seed share."""
    patterns = [run.record for run in Bundle(PUBLISHED / "topleft@1-tiny.bundle.zip").runs()]
    for task in TASKS:
        board = Bundle(PUBLISHED / f"{task}@1-tiny.bundle.zip")
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


def timed(*words: str) -> float:
    """Wall seconds of ``python -m benchmark`` with these words, its start included."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmark", *words], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return time.perf_counter() - start


def main() -> None:
    """Make the folder, time the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, default=None, help="folder to keep, or one made earlier")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch) / "results"
        if not folder.exists():
            start = time.perf_counter()
            make(Store(folder), args.runs)
            print(f"made {args.runs} runs in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
