"""Metrics of pixel error over matched (prediction, instance) pairs.

All are taken over the labelled keypoints of all pairs, each weighing the same, so for fully labelled data a mean is the
mean over keypoints. Three R2 are told apart, all against the same baseline (the mean of the training split): per axis
(``r2``), pooled over squared distances (``sqdist_r2``) and over distances (``dist_r2``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.oks import BoolArray
from benchmark.structures import FloatArray

PCK_PX = (0.5, 1.0, 2.0, 3.0)
AUC_PX = 3.0
NO_SPREAD_PX = 1e-9  # a root mean square below this is rounding, not spread

DISTANCES = ("mean", "median", "p95", "max", "rmse")
SHARES = ("exact", *(f"pck@{t:g}" for t in PCK_PX), "auc")
SCALED = ("mse", "mae", "dist_avg", "sqdist_avg")
RELATIVE = ("r2", "sqdist_r2", "dist_r2")
PIXEL_METRICS = (*DISTANCES, *SHARES, "mae_x", "mae_y", *SCALED, *RELATIVE)


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of R pairs.

    offsets: (R, K, 2) px, prediction minus annotations; (W, H) of the image where there is no prediction.
    labelled: (R, K) keypoints that count. answered: (R,) False where there is no prediction.
    sizes: (R, 2) width and height of the image. spacing: (K,) px, NaN for a keypoint on no lattice.
    from_baseline: (R, K, 2) px, annotations minus the baseline, or None.
    """

    offsets: FloatArray
    labelled: BoolArray
    answered: BoolArray
    sizes: FloatArray
    spacing: FloatArray
    from_baseline: FloatArray | None

    @property
    def distances(self) -> FloatArray:
        """(R, K) px."""
        return distance(self.offsets)

    @property
    def exact(self) -> BoolArray:
        """(R, K) whether prediction and annotations are less than half the spacing apart on both axes."""
        with np.errstate(invalid="ignore"):
            near = (np.abs(self.offsets) < self.spacing[:, None] / 2).all(axis=2)
        return near & self.answered[:, None]

    @property
    def on_lattice(self) -> BoolArray:
        """(R, K) labelled keypoints for which exact has a meaning."""
        return self.labelled & ~np.isnan(self.spacing)

    def keypoint(self, j: int) -> Errors:
        """The errors of keypoint ``j`` alone."""
        one = slice(j, j + 1)
        base = None if self.from_baseline is None else self.from_baseline[:, one]
        return Errors(self.offsets[:, one], self.labelled[:, one], self.answered, self.sizes, self.spacing[one], base)


def distance(offsets: FloatArray) -> FloatArray:
    """Euclidean length over the last axis."""
    return np.sqrt(offsets[..., 0] ** 2 + offsets[..., 1] ** 2)  # type: ignore[no-any-return]


def pixel_metrics(errors: Errors) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every metric of `PIXEL_METRICS`, and for those that are None the reason."""
    counted = errors.labelled
    if not counted.any():
        return dict.fromkeys(PIXEL_METRICS), dict.fromkeys(PIXEL_METRICS, "no labelled keypoint has a prediction")
    offsets = errors.offsets[counted]
    d = distance(offsets)
    across = np.abs(offsets)
    scaled = across * 2 / np.broadcast_to(errors.sizes[:, None, :], errors.offsets.shape)[counted]
    length = distance(scaled)
    values: dict[str, float | None] = {
        "mean": _mean(d),
        "median": float(np.median(d)),
        "p95": float(np.percentile(d, 95)),
        "max": float(d.max()),
        "rmse": float(np.sqrt(np.mean(d**2))),
        "exact": None,
        **{f"pck@{t:g}": _mean(d <= t) for t in PCK_PX},
        "auc": _mean(np.maximum(0.0, 1 - d / AUC_PX)),
        "mae_x": _mean(across[:, 0]),
        "mae_y": _mean(across[:, 1]),
        "mse": _mean(scaled**2),
        "mae": _mean(scaled),
        "dist_avg": _mean(length),
        "sqdist_avg": _mean(length**2),
    }
    reasons = {}
    if (lattice := errors.on_lattice).any():
        values["exact"] = _mean(errors.exact[lattice])
    else:
        reasons["exact"] = "the answers lie on no lattice"
    relative, why = _relative(errors, d)
    return {**values, **relative}, {**reasons, **why}


def _relative(errors: Errors, d: FloatArray) -> tuple[dict[str, float | None], dict[str, str]]:
    """The three R2, ``d`` being the distances of the labelled keypoints."""
    if errors.from_baseline is None:
        return dict.fromkeys(RELATIVE), dict.fromkeys(RELATIVE, "the mean of the training split is unknown")
    counted = errors.labelled[:, :, None]
    used = counted.any(axis=(0, 2))
    residual = np.where(counted, errors.offsets**2, 0.0).sum(axis=0)[used]
    total = np.where(counted, errors.from_baseline**2, 0.0).sum(axis=0)[used]
    b = distance(errors.from_baseline[errors.labelled])
    values: dict[str, float | None] = dict.fromkeys(RELATIVE)
    reasons = {}
    flat = total <= errors.labelled.sum(axis=0)[used, None] * NO_SPREAD_PX**2
    if flat.any():
        axis = "xy"[int(np.argwhere(flat)[0, 1])]
        reasons["r2"] = f"the annotations does not vary about the training mean in {axis}"
    else:
        values["r2"] = _mean(1 - residual / total)
    if flat.all():
        reasons["sqdist_r2"] = reasons["dist_r2"] = "the annotations does not vary about the training mean"
    else:
        values["sqdist_r2"] = float(1 - np.sum(d**2) / np.sum(b**2))
        values["dist_r2"] = float(1 - d.sum() / b.sum())
    return values, reasons


def _mean(values: FloatArray | BoolArray) -> float:
    return float(np.mean(values))
