"""What must hold between the numbers of one table, whatever was predicted.

The identities tie figures that are computed in different ways; the count is slow and independent, one image at a time,
for data with one instance an image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.metrics import score
from benchmark.structures import Annotations, Predictions

Metrics = Mapping[str, float | None]
TIGHT = 1e-12
LOOSE = 1e-9  # for differences of sums over many images, taken in another order


def broken(metrics: Metrics) -> list[str]:
    """The identities between the metrics of one table that do not hold, each as a sentence with its figures."""
    problems = []
    m = {name: value for name, value in metrics.items() if value is not None}
    if {"mse", "sqdist_avg"} <= m.keys() and not _same(m["mse"], m["sqdist_avg"] / 2, TIGHT):
        problems.append(f"mse {m['mse']!r} is not sqdist_avg / 2, {m['sqdist_avg'] / 2!r}")
    if {"dist_avg", "sqdist_avg"} <= m.keys() and m["dist_avg"] > math.sqrt(m["sqdist_avg"]) * (1 + TIGHT):
        problems.append(f"dist_avg {m['dist_avg']!r} is above its root mean square {math.sqrt(m['sqdist_avg'])!r}")
    for low, high in (("mean", "rmse"), ("median", "p95"), ("p95", "max"), ("mean", "max")):
        if {low, high} <= m.keys() and m[low] > m[high] * (1 + TIGHT):
            problems.append(f"{low} {m[low]!r} is above {high} {m[high]!r}")
    shares = [name for name in m if name.startswith(("pck", "exact", "ap", "ar", "auc", "precision", "recall"))]
    problems += [f"{name} {m[name]!r} is not a share" for name in shares if not -TIGHT <= m[name] <= 1 + TIGHT]
    return problems


def baseline_metrics(annotations: Annotations) -> Metrics | None:
    """The table of a predictor of the training mean; None where the mean is unknown or images hold several instances."""
    if annotations.baseline is None or not annotations.complete:
        return None
    return score(
        annotations,
        Predictions(annotations.image_ids, annotations.baseline, np.ones(len(annotations)), annotations.category_ids),
        has_scores=False,
    )


def broken_with_baseline(metrics: Metrics, baseline: Metrics, annotations: Annotations) -> list[str]:
    """R2 against the table of the baseline: 1 minus the ratio of ``mse``, and of ``dist_avg``; its own R2 are 0.

    They compare where all images are squares of one size, so that scaled errors are pixel errors times a constant.
    """
    problems = [
        f"the baseline itself has {name} {baseline[name]!r}, not 0"
        for name in ("r2", "sqdist_r2", "dist_r2")
        if not _same(baseline[name] or 0.0, 0.0, LOOSE)
    ]
    if len({side for size in annotations.sizes.tolist() for side in size}) > 1:
        return problems
    for name, part in (("sqdist_r2", "mse"), ("dist_r2", "dist_avg")):
        r2, own, base = metrics.get(name), metrics.get(part), baseline[part]
        if r2 is not None and own is not None and base and not _same(r2, 1 - own / base, LOOSE):
            problems.append(f"{name} {r2!r} is not 1 - {part} / {part} of the training mean, {1 - own / base!r}")
    return problems


def miscounted(metrics: Metrics, annotations: Annotations, predictions: Predictions) -> list[str]:
    """``mean``, ``exact`` and ``r2`` counted again, one image at a time; [] also where images hold several instances."""
    if not annotations.complete:
        return []
    best: dict[int, int] = {}
    for row, (image, confidence) in enumerate(zip(predictions.image_ids.tolist(), predictions.scores.tolist())):
        if image not in best or confidence > predictions.scores[best[image]]:
            best[image] = row
    distances, hits, squares, spreads = [], [], _Sums(), _Sums()
    spacing = (
        [math.nan] * len(annotations.keypoint_names) if annotations.spacing is None else annotations.spacing.tolist()
    )
    for i, (image, (width, height)) in enumerate(zip(annotations.image_ids.tolist(), annotations.sizes.tolist())):
        for j, (x, y) in enumerate(annotations.keypoints[i].tolist()):
            dx, dy = float(width), float(height)
            if image in best:
                px, py = predictions.keypoints[best[image], j].tolist()
                dx, dy = px - x, py - y
            distances.append(math.hypot(dx, dy))
            squares.add(j, dx, dy)
            if annotations.baseline is not None:
                bx, by = annotations.baseline[i, j].tolist()
                spreads.add(j, x - bx, y - by)
            if not math.isnan(spacing[j]):
                hits.append(image in best and abs(dx) < spacing[j] / 2 and abs(dy) < spacing[j] / 2)
    again: dict[str, float] = {"mean": math.fsum(distances) / len(distances)}
    if hits:
        again["exact"] = sum(hits) / len(hits)
    if annotations.baseline is not None and metrics.get("r2") is not None:
        again["r2"] = squares.r2(spreads)
    return [
        f"{name} is {metrics.get(name)!r}, and counted again {value!r}"
        for name, value in again.items()
        if not _same(math.inf if (known := metrics.get(name)) is None else known, value, LOOSE)
    ]


def differences(stored: Any, again: Any, at: str = "") -> list[str]:
    """Where two JSON documents differ by more than 1e-12 (relative above 1), each as a sentence.

    Args:
        stored: The first.
        again: The second; what it alone has is no difference, since metrics may be added.
        at: What stands before the names, for the recursion.
    """
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        return [
            text
            for key, value in stored.items()
            for text in (
                differences(value, again[key], f"{at}.{key}" if at else str(key))
                if key in again
                else [f"{at}.{key}".strip(".") + " is not scored any more"]
            )
        ]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (stored, again))
    if numbers and _same(float(stored), float(again), TIGHT):
        return []
    return [] if stored == again else [f"{at} is stored as {stored!r} and scored as {again!r}"]


class _Sums:
    """Sums of squares, a keypoint and axis each."""

    def __init__(self) -> None:
        self._squares: dict[tuple[int, int], list[float]] = {}

    def add(self, keypoint: int, dx: float, dy: float) -> None:
        for axis, value in enumerate((dx, dy)):
            self._squares.setdefault((keypoint, axis), []).append(value * value)

    def r2(self, total: _Sums) -> float:
        """The mean over keypoints and axes of one minus the ratio of the sums."""
        ratios = [1 - math.fsum(own) / math.fsum(total._squares[at]) for at, own in self._squares.items()]
        return math.fsum(ratios) / len(ratios)


def _same(a: float, b: float, tolerance: float) -> bool:
    return a == b or abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
