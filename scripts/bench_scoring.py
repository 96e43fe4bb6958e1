"""What the harness costs: reading and scoring one file, its memory, and a whole board.

    python scripts/bench_scoring.py

Seconds are of the processor, all threads, the best of three, so that other work on the machine does not count; imports
are left out. The board is made from stored runs as the command line makes it: every predictions file read and scored,
rows, intervals, rank intervals, the row to use, and what would separate the best.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "metrics"))

import scoring_cases

from benchmark.metrics import score
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Store
from benchmark.statistics.ranks import Row, rank_intervals
from benchmark.structures import Predictions
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import read_predictions, write_predictions
from leaderboard.board import boards
from leaderboard.external import score_files


def seconds(task: Callable[[], object], times: int = 3) -> float:
    """The least processor seconds of ``times`` runs."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        task()
        spent.append(time.process_time() - start)
    return min(spent)


def one_file(n: int, folder: Path) -> tuple[float, float, float]:
    """Seconds to read and score n one-point predictions with the whole table.

    Then the same with the file of annotations read too, and the most memory the first takes, in MB.
    """
    annotations, found = scoring_cases.single_instance(n)
    path, annotation_file = folder / f"{n}.json", folder / f"annotations{n}.json"
    write_predictions(path, found, annotations)
    annotation_file.write_text(json.dumps(annotations_to_json(annotations)))

    def task() -> None:
        score(annotations, read_predictions(path, annotations))

    spent, both = seconds(task), seconds(lambda: score_files(path, annotation_file))
    tracemalloc.start()
    task()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return spent, both, peak / 1e6


def stored(rows: int, images: int, seeds: int, folder: Path) -> Store:
    """A store of ``rows`` detectors, each 5 % worse than the one before, on the same images and seeds."""
    store = Store(folder)
    annotations = scoring_cases.single_instance(images)[0]
    digest = store.put_annotations(annotations)
    rng = np.random.default_rng(0)
    for i in range(rows):
        name = f"row{i:02}"
        made = RunConfig(task="made", version=1, data="dots", data_digest="0", n_train=1, detector=name, name=name)
        for seed in range(seeds):
            points = annotations.keypoints + rng.normal(0, 1.05**i, annotations.keypoints.shape)
            answers = Predictions.of_category(annotations.image_ids, points, rng.permutation(images) / images, 1)
            record = Record(
                status="finished", key=made.key(seed), config=made, seed=seed, annotations=digest, has_confidence=True,
                fit_seconds=1.0, predict_ms=1.0, scores=score(annotations, answers).as_dict(),
            )  # fmt: skip
            store.write(record, predictions=answers)
    return store


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    shape = options.rows, options.images, options.seeds
    with tempfile.TemporaryDirectory() as folder:
        for n in (10_000, 20_000, 40_000):
            spent, both, peak = one_file(n, Path(folder))
            print(
                f"{n:,} predictions: {spent:.3f} s to read and score, {both:.3f} s with the annotations's file; "
                f"{peak:.1f} MB, {1e6 * peak / n:.0f} bytes each"
            )
        store = stored(*shape, Path(folder) / "results")
        spent = seconds(lambda: boards(Store(store.root)), 1)  # once: a second time nothing would be scored
        print("{} rows x {:,} images x {} seeds: {:.2f} s from stored runs to the board".format(*shape, spent))
        (board,) = boards(store)
        made = [Row(row.label, row.errors, row.seeds, row.annotation_digests) for row in board.rows]
        ranking = seconds(lambda: rank_intervals(made, board.failure))
        print(f"of which the rank intervals of the rows: {ranking:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
