"""What the training loop itself costs: the share of a fit's time outside forward, backward and the optimiser's step.

    python scripts/bench_training.py                              # net3, heatmap, keypointrcnn
    python scripts/bench_training.py --detector resnet18 --epochs 4 --threads 2

Of the time from the first step to the last one's end, evaluations left out, it is the share spent neither in ``loss``
(the forward pass), nor in backward, nor in the optimiser: batches, schedules, checks, progress. Beside it stands the
share of the whole fit that evaluations take, nearly all of it forward passes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from benchmark.detector import Budget
from benchmark.registry import resolve
from datasets.dataset import Dataset
from datasets.load import load
from detectors import training


class Stopwatch:
    """Remembers (start, seconds) of every call of what it wraps; ``off`` while an evaluation runs."""

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[float, float]]] = {"evaluation": [], "step": [], "inside": []}
        self.off = False

    def wrap(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed: its calls count as ``kind``."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            was, start = self.off, time.perf_counter()
            self.off = was or kind == "evaluation"
            try:
                return function(*args, **kwargs)
            finally:
                self.off = was
                if not was:
                    self.calls[kind].append((start, time.perf_counter() - start))

        return timed

    def seconds(self, kind: str, since: float = 0.0) -> float:
        """The seconds of all calls of ``kind`` that began at ``since`` or later."""
        return sum(took for start, took in self.calls[kind] if start >= since)


def measure(name: str, data: Dataset, epochs: int) -> tuple[float, float, float]:
    """(milliseconds a step, share of them outside forward, backward and step, share of evaluations in the fit)."""
    detector, watch = resolve(name).build(), Stopwatch()
    if not isinstance(detector, training.TorchDetector):
        raise SystemExit(f"{name} is not trained by detectors.training")
    make = training._optimizer

    def watched(*args: Any) -> torch.optim.Optimizer:
        optimizer = make(*args)
        optimizer.step = watch.wrap("inside", optimizer.step)  # type: ignore[method-assign]
        return optimizer

    with ExitStack() as stack:
        for owner, attribute, new in (
            (detector, "loss", watch.wrap("inside", detector.loss)),
            (detector, "_measure", watch.wrap("evaluation", detector._measure)),
            (detector, "_step", watch.wrap("step", detector._step)),
            (torch.Tensor, "backward", watch.wrap("inside", torch.Tensor.backward)),
            (training, "_optimizer", watched),
        ):
            stack.enter_context(mock.patch.object(owner, attribute, new))
        start = time.perf_counter()
        detector.fit(data.train, data.val, seed=0, budget=Budget(epochs=epochs))
        end = time.perf_counter()
    first, last = watch.calls["step"][0][0], sum(watch.calls["step"][-1])
    between = sum(took for at, took in watch.calls["evaluation"] if first < at < last)
    steps = last - first - between
    share = 1 - watch.seconds("inside", since=first) / steps
    return 1000 * steps / len(watch.calls["step"]), share, watch.seconds("evaluation") / (end - start)


def main() -> None:
    """Print a row a detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", help="repeatable; default net3, heatmap and keypointrcnn")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        data = load("topleft", "tiny", root=Path(folder))
        print(f"{'detector':32} {'ms a step':>10} {'outside %':>10} {'evaluation %':>13}")
        for name in given.detector or ["net3", "heatmap", "keypointrcnn"]:
            milliseconds, share, evaluation = measure(name, data, given.epochs)
            print(f"{name:32} {milliseconds:10.2f} {100 * share:10.1f} {100 * evaluation:13.1f}", flush=True)


if __name__ == "__main__":
    main()
