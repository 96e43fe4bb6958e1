"""Our OKS evaluator beside pycocotools, faster-coco-eval and hotcoco: is it equal, and how much faster.

    python scripts/bench_oks.py                  # ratios of one run on four sizes of data, evaluation alone
    python scripts/bench_oks.py --files          # the same from two files to the figures, beside hotcoco
    python scripts/bench_oks.py --agree 5000     # largest difference over random awkward cases

Timed from in-memory annotations and predictions to the final AP and AR, the best of a few repetitions of ours and hotcoco's
and one of the others'. "evaluation" leaves out what the libraries spend on indexing their dictionaries, the strictest
comparison. Seconds are of the processor, all threads, so that other work on the machine does not count; wall seconds stand
beside them for hotcoco, which evaluates in several threads (RAYON_NUM_THREADS=1 for one) and is timed alternately with ours.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "metrics")]

import scoring_cases  # noqa: E402  (on the path since the line above)
import scoring_oracles  # noqa: E402

from benchmark.metrics import average_precision  # noqa: E402
from benchmark.structures import Annotations, Predictions  # noqa: E402
from datasets.formats.coco import annotations_to_json, read_annotations  # noqa: E402
from datasets.formats.coco_results import read_predictions, write_predictions  # noqa: E402


def ours(annotations: Annotations, predictions: Predictions) -> np.ndarray[Any, Any]:
    """AP, AP50, AP75, AR as the libraries write them: -1 for none."""
    own = average_precision(annotations, predictions)
    return np.array([-1.0 if value is None else value for value in (own.ap, own.ap50, own.ap75, own.ar)])


def seconds(task: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """The least processor seconds of ``times`` runs, and what the last returned."""
    best = float("inf")
    answer = None
    for _ in range(times):
        start = time.process_time()
        answer = task()
        best = min(best, time.process_time() - start)
    return best, answer


def beside(first: Callable[[], Any], second: Callable[[], Any], times: int = 7) -> tuple[list[float], list[float]]:
    """The least processor seconds of each of two tasks, made alternately, and their least wall seconds."""
    spent = np.full((2, 2, times), np.inf)
    for i in range(times):
        for j, task in enumerate((first, second)):
            start = time.process_time(), time.perf_counter()
            task()
            spent[:, j, i] = time.process_time() - start[0], time.perf_counter() - start[1]
    processor, wall = spent.min(axis=2).tolist()
    return processor, wall


def agree(count: int, first: int = 0) -> float:
    """The largest difference to any library over random cases; prints it, and the seed that gave it."""
    worst = {"pycocotools": (0.0, 0), "faster-coco-eval": (0.0, 0), "hotcoco": (0.0, 0)}
    telling = 0
    for seed in range(first, first + count):
        annotations, predictions = scoring_cases.awkward(seed)
        mine = ours(annotations, predictions)
        telling += 0 < mine[0] < 1
        for name, theirs in zip(worst, scoring_oracles.every(annotations, predictions)):
            difference = float(np.abs(mine - np.array(theirs)).max())
            worst[name] = max(worst[name], (difference, seed))
    for name, (difference, seed) in worst.items():
        print(
            f"{name}: max abs difference {difference:.3g} (seed {seed}) over {count} cases, {telling} with 0 < AP < 1"
        )
    return max(difference for difference, _ in worst.values())


def compare(name: str, annotations: Annotations, predictions: Predictions) -> None:
    """Time the four on one set of data and print the ratios."""
    average_precision(annotations, predictions)
    fast, mine = seconds(lambda: ours(annotations, predictions), 7)
    document, results = scoring_oracles.documents(annotations, predictions)
    other = copy.deepcopy(document), copy.deepcopy(results)
    indexing, judge = seconds(lambda: scoring_oracles.pycocotools_judge(document, results, annotations.sigmas))
    evaluation, slow = seconds(lambda: scoring_oracles.pycocotools(judge))
    rival, quick = seconds(lambda: scoring_oracles.faster_coco_eval(*other, annotations.sigmas))
    fastest = scoring_oracles.hotcoco_judge(*scoring_oracles.documents(annotations, predictions), annotations.sigmas)
    answers = slow, quick, scoring_oracles.hotcoco(fastest)
    difference = max(float(np.abs(mine - np.array(theirs)).max()) for theirs in answers)
    print(f"{name}: AP {mine[0]:.4f}, max abs difference {difference:.2g}")
    print(f"  ours                      {1000 * fast:9.1f} ms")
    for label, spent in (
        ("pycocotools", indexing + evaluation),
        ("pycocotools, evaluation", evaluation),
        ("faster-coco-eval", rival),
    ):
        print(f"  {label:25s} {1000 * spent:9.1f} ms   {spent / fast:6.0f} x ours")
    tell(*beside(lambda: ours(annotations, predictions), lambda: scoring_oracles.hotcoco(fastest)))


def from_files(name: str, annotations: Annotations, predictions: Predictions) -> None:
    """Time ours and hotcoco from the two files to the four figures and print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        known, found = Path(folder) / "annotations.json", Path(folder) / "results.json"
        known.write_text(json.dumps(annotations_to_json(annotations)))
        write_predictions(found, predictions, annotations)

        def own() -> np.ndarray[Any, Any]:
            read = read_annotations(known)
            return ours(read, read_predictions(found, read))

        def theirs() -> scoring_oracles.Four:
            return scoring_oracles.hotcoco(scoring_oracles.hotcoco_judge(str(known), str(found), annotations.sigmas))

        difference = float(np.abs(own() - np.array(theirs())).max())
        megabytes = (known.stat().st_size + found.stat().st_size) / 1e6
        print(f"{name}, {megabytes:.1f} MB of files: max abs difference {difference:.2g}")
        tell(*beside(own, theirs))


def tell(processor: list[float], wall: list[float]) -> None:
    """Print the seconds of ours and of hotcoco, and their ratio."""
    for kind, (mine, theirs) in (("processor", processor), ("wall", wall)):
        label = f"hotcoco, {kind}"
        print(f"  {label:25s} {1000 * theirs:9.1f} ms   {theirs / mine:6.2f} x ours, {1000 * mine:.1f} ms")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agree", type=int, metavar="N", help="compare on N random cases instead of timing")
    parser.add_argument("--files", action="store_true", help="from files to figures, beside hotcoco")
    parser.add_argument("--seed", type=int, default=0, help="the first of the random cases")
    options = parser.parse_args()
    if options.agree:
        return int(agree(options.agree, options.seed) > 1e-12)
    for name, case in (
        ("10,000 images x 1 instance, 1 keypoint", scoring_cases.single_instance(10_000)),
        ("1,000 images x 10 instances, 1 keypoint", scoring_cases.crowded(1_000, 10, 1, 0)),
        ("1,000 images x 10 instances, 17 keypoints", scoring_cases.crowded(1_000, 10, 17, 0)),
        ("5,000 images x 2 instances, 17 keypoints", scoring_cases.crowded(5_000, 2, 17, 0)),
    ):
        (from_files if options.files else compare)(name, *case)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
