"""What the training loop itself costs, and what a fit costs beside that of another commit.

    python scripts/bench_training.py                              # net3, heatmap, keypointrcnn
    python scripts/bench_training.py --detector resnet18 --epochs 4 --threads 2
    python scripts/bench_training.py --against 94300c6 --detector keypointrcnn --seeds 2 --threads 1

The first is the share of a fit's time outside forward, backward and the optimiser's step. Of the time from the first step
to the last one's end, evaluations left out, it is the share spent neither in ``loss``
(the forward pass), nor in backward, nor in the optimiser: batches, schedules, checks, progress. Beside it stands the
share of the whole fit that evaluations take, nearly all of it forward passes.

With ``--against`` each detector is run as the command line runs it, recipe and all, seed by seed and in turns by that
commit's code and by what lies here, so that both meet the same machine at the same hour. Seconds are the processor's; the
ratio of their sums is held against ``TARGETS``, and a detector above its own makes the script fail.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
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

HERE = Path(__file__).parents[1]
TARGETS = {"keypointrcnn": 0.5}  # of the processor seconds of 94300c6, the commit before it was made faster


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


def unpack(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder."""
    made = subprocess.run(["git", "-C", str(HERE), "archive", commit], capture_output=True, check=False)
    if made.returncode:
        raise SystemExit(f"--against {commit}: {made.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")


def newest_fit(code: Path, results: Path, name: str, seeds: int, given: argparse.Namespace) -> dict[str, float]:
    """Run a detector for so many seeds, of which all but the last are stored: seconds, mean px and exact of the last."""
    words = f"run --detector {name} --data {given.data} --split {given.split} --seeds {seeds} --threads {given.threads}"
    command = [sys.executable, "-m", "benchmark", *words.split(), "--results", str(results)]
    done = subprocess.run(
        command, cwd=code, env=os.environ | {"PYTHONPATH": str(code)}, capture_output=True, text=True, check=False
    )
    records = [json.loads(path.read_text()) for path in results.rglob("run.json")]
    found = [record for record in records if record["seed"] == seeds - 1 and record["specification"] == name]
    if not found or found[0]["status"] != "finished":
        raise SystemExit(f"{name} of {code} was not run: {done.stderr[-2000:]}")
    (record,) = found
    return {
        "seconds": record["cost"]["fit_processor_seconds"],
        "mean": record["scores"]["mean"],
        "exact": record["scores"]["exact"],
    }


def compare(names: list[str], given: argparse.Namespace) -> bool:
    """Print a row a fit and a ratio a detector; whether every ratio is within its target."""
    met = True
    with tempfile.TemporaryDirectory() as folder:
        then, root = Path(folder, "then"), Path(folder)
        unpack(given.against, then)
        print(f"{'detector':24} {'seed':>4} {'code':>10} {'processor s':>12} {'mean px':>9} {'exact %':>8}")
        for name in names:
            sums = dict.fromkeys(("then", "now"), 0.0)
            for seed in range(given.seeds):
                for which, code in (("then", then), ("now", HERE)):
                    fit = newest_fit(code, root / f"results-{which}", name, seed + 1, given)
                    sums[which] += fit["seconds"]
                    row = f"{fit['seconds']:12.1f} {fit['mean']:9.3f} {100 * fit['exact']:8.2f}"
                    print(f"{name:24} {seed:4} {given.against if which == 'then' else 'here':>10} {row}", flush=True)
            ratio, target = sums["now"] / sums["then"], TARGETS.get(name)
            print(f"{name}: {ratio:.2f} of the time" + (f", target {target}" if target else ""), flush=True)
            met &= target is None or ratio <= target
    return met


def main() -> None:
    """Print a row a detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", help="repeatable; default net3, heatmap and keypointrcnn")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--against", metavar="COMMIT", help="compare whole fits with this commit's")
    parser.add_argument("--seeds", type=int, default=2, help="fits of each code, with --against")
    parser.add_argument("--data", default="tiny", help="with --against; tiny-wide has more test images")
    parser.add_argument("--split", type=int, default=0, help="with --against; others than 0 are for publishing")
    given = parser.parse_args()
    if given.against:
        raise SystemExit(not compare(given.detector or list(TARGETS), given))
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        data = load("topleft", "tiny", root=Path(folder))
        print(f"{'detector':32} {'ms a step':>10} {'outside %':>10} {'evaluation %':>13}")
        for name in given.detector or ["net3", "heatmap", "keypointrcnn"]:
            milliseconds, share, evaluation = measure(name, data, given.epochs)
            print(f"{name:32} {milliseconds:10.2f} {100 * share:10.1f} {100 * evaluation:13.1f}", flush=True)


if __name__ == "__main__":
    main()
