"""Our OKS evaluator beside pycocotools and faster-coco-eval: is it equal, and how much faster.

    python scripts/bench_oks.py                  # ratios of one run on two sizes of data
    python scripts/bench_oks.py --agree 5000     # largest difference over random awkward cases

Timed from in-memory annotations and predictions to the final AP and AR, the best of a few repetitions of ours and one of the
libraries'. "evaluation" leaves out what the libraries spend on indexing their dictionaries, the strictest comparison.
Seconds are of the processor, all threads, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import copy
import sys
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


def agree(count: int, first: int = 0) -> float:
    """The largest difference to either library over random cases; prints it, and the seed that gave it."""
    worst = {"pycocotools": (0.0, 0), "faster-coco-eval": (0.0, 0)}
    telling = 0
    for seed in range(first, first + count):
        annotations, predictions = scoring_cases.awkward(seed)
        mine = ours(annotations, predictions)
        telling += 0 < mine[0] < 1
        for name, theirs in zip(worst, scoring_oracles.both(annotations, predictions)):
            difference = float(np.abs(mine - np.array(theirs)).max())
            worst[name] = max(worst[name], (difference, seed))
    for name, (difference, seed) in worst.items():
        print(
            f"{name}: max abs difference {difference:.3g} (seed {seed}) over {count} cases, {telling} with 0 < AP < 1"
        )
    return max(difference for difference, _ in worst.values())


def compare(name: str, annotations: Annotations, predictions: Predictions) -> None:
    """Time the three on one set of data and print the ratios."""
    average_precision(annotations, predictions)
    fast, mine = seconds(lambda: ours(annotations, predictions), 7)
    document, results = scoring_oracles.documents(annotations, predictions)
    other = copy.deepcopy(document), copy.deepcopy(results)
    indexing, judge = seconds(lambda: scoring_oracles.pycocotools_judge(document, results, annotations.sigmas))
    evaluation, slow = seconds(lambda: scoring_oracles.pycocotools(judge))
    rival, quick = seconds(lambda: scoring_oracles.faster_coco_eval(*other, annotations.sigmas))
    difference = max(float(np.abs(mine - np.array(theirs)).max()) for theirs in (slow, quick))
    print(f"{name}: AP {mine[0]:.4f}, max abs difference {difference:.2g}")
    print(f"  ours                      {1000 * fast:9.1f} ms")
    for label, spent in (
        ("pycocotools", indexing + evaluation),
        ("pycocotools, evaluation", evaluation),
        ("faster-coco-eval", rival),
    ):
        print(f"  {label:25s} {1000 * spent:9.1f} ms   {spent / fast:6.0f} x ours")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agree", type=int, metavar="N", help="compare on N random cases instead of timing")
    parser.add_argument("--seed", type=int, default=0, help="the first of the random cases")
    options = parser.parse_args()
    if options.agree:
        return int(agree(options.agree, options.seed) > 1e-12)
    compare("10,000 images x 1 instance, 1 keypoint", *scoring_cases.single_instance(10_000))
    compare("1,000 images x 10 instances, 1 keypoint", *scoring_cases.crowded(1_000, 10, 1, 0))
    compare("1,000 images x 10 instances, 17 keypoints", *scoring_cases.crowded(1_000, 10, 17, 0))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
