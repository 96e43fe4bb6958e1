"""Every metric of the table, in its order.

A metric is added here, by one decorated function (a PCK threshold by an entry of a table), and nowhere else.

Metrics of pixel error take `Errors` and are also reported of every keypoint on its own; all others take an `Evaluation`.
Three R2 are told apart, all against the same baseline (the mean of the training split): per axis (``r2``), pooled over
squared distances (``sqdist_r2``) and over distances (``dist_r2``). AP and AR are COCO's
(https://cocodataset.org/#keypoints-eval).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmark.metrics.evaluation import Evaluation
from benchmark.metrics.oks import BoolArray
from benchmark.metrics.pixels import Errors
from benchmark.metrics.registry import PERCENT, Column, Undefined, metric
from benchmark.metrics.scale import SMALL_THRESHOLDS, STEPS
from benchmark.structures import FloatArray

PCK = (*SMALL_THRESHOLDS, *(step for step in STEPS if step not in SMALL_THRESHOLDS))  # px; data has a few of them
PCK_COLUMNS: dict[float, Column | None] = {  # px -> its column on boards, or none, where it is not the usual one
    1.0: Column("PCK@1 %", priority=5, order=40),
    3.0: None,
}
PCK_BOX: dict[float, Column | None] = {  # share of the box's longer side -> its column
    0.05: Column("PCK@.05 box %", priority=2, order=42, only_for=("photographs",)),
    0.1: Column("PCK@.1 box %", priority=9, order=43, only_for=("photographs",)),
    0.2: None,
}
PCK_DIAGONAL = (0.01, 0.02, 0.05)  # shares of the image's diagonal
PCK_PAIR = {  # share of the distance between a pair of keypoints -> its column
    0.1: Column("PCK@.1 pair %", priority=9, order=44),
    0.2: Column("PCK@.2 pair %", priority=2, order=44),
    0.5: Column("PCK@.5 pair %", priority=2, order=44),
}
AUC_PX = 3.0
NO_SPREAD_PX = 1e-9  # a root mean square below this is rounding, not spread


def _mean(values: FloatArray | BoolArray) -> float:
    return float(np.mean(values))


# Distances between prediction and annotation.


@metric("mean", unit="px", better="lower", column=Column("mean px", priority=0, order=10))
def mean(errors: Errors) -> float:
    """Mean pixel error."""
    return _mean(errors.labelled_distances)


@metric(
    "median", unit="px", better="lower", column=Column("median px", priority=1, order=12, only_for=("photographs",))
)
def median(errors: Errors) -> float:
    """Median pixel error."""
    return float(np.median(errors.labelled_distances))


@metric("p95", unit="px", better="lower", format=".2f", column=Column("p95 px", priority=6, order=50))
def p95(errors: Errors) -> float:
    """95th percentile of the pixel error, linearly interpolated."""
    return float(np.percentile(errors.labelled_distances, 95))


@metric("max", unit="px", better="lower", format=".2f", over_seeds="max")
def largest(errors: Errors) -> float:
    """Largest pixel error."""
    return float(errors.labelled_distances.max())


@metric("rmse", unit="px", better="lower")
def rmse(errors: Errors) -> float:
    """Root mean square of the pixel error."""
    return float(np.sqrt(np.mean(errors.labelled_distances**2)))


# Shares of keypoints.


@metric(
    "exact",
    unit="share",
    better="higher",
    format=PERCENT,
    needs=("lattice",),
    column=Column("exact %", priority=1, order=20),
)
def exact(errors: Errors) -> float:
    """Share of keypoints within half the answer spacing on both axes."""
    return _mean(errors.exact[errors.on_lattice])


def _pck(errors: Errors, threshold: float) -> float:
    """PCK in pixels: the share of labelled keypoints with d <= threshold (px). Yang and Ramanan 2013, without its box."""
    return _mean(errors.labelled_distances <= threshold)


def _has_threshold(evaluation: Evaluation, threshold: float) -> bool:
    return threshold in evaluation.pixel_thresholds


for _threshold in sorted(PCK):
    _usual = Column(f"PCK@{_threshold:g} px %", priority=4, order=41, only_for=("photographs",))
    metric(
        f"pck@{_threshold:g}",
        summary=f"Share of keypoints with a pixel error of at most {_threshold:g} px.",
        unit="share",
        better="higher",
        format=PERCENT,
        column=PCK_COLUMNS.get(_threshold, _usual),
        applies=partial(_has_threshold, threshold=_threshold),
    )(partial(_pck, threshold=_threshold))


# Errors relative to a length of the instance, for images that are no digits. PCK: Yang and Ramanan, "Articulated Human
# Detection with Flexible Mixtures of Parts" (TPAMI 2013). NME: Sagonas et al., "300 Faces in-the-Wild" (ICCVW 2013).


def _pck_box(errors: Errors, share: float) -> float:
    """PCK by the box: the share of labelled keypoints with d / max(w, h) <= share, w x h px the instance's box."""
    return _mean(errors.relative(errors.box_lengths[:, 0], "no_boxes") <= share)


for _share, _column in PCK_BOX.items():
    metric(
        f"pck_box@{_share:g}",
        summary=f"Share of keypoints with an error of at most {_share:g} of the longer side of the instance's box.",
        unit="share",
        better="higher",
        format=PERCENT,
        needs=("photographs",),
        column=_column,
    )(partial(_pck_box, share=_share))


@metric(
    "nme",
    better="lower",
    format=".2f",
    needs=("photographs",),
    column=Column("NME %", priority=3, order=46, only_for=("photographs",)),
)
def nme(errors: Errors) -> float:
    """Mean error over the square root of the area of the instance's box, in per cent.

    100 * mean(d / sqrt(w * h)), w x h px the box; Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face
    Alignment problem?" (ICCV 2017).
    """
    return 100 * _mean(errors.relative(errors.box_lengths[:, 1], "no_boxes"))


def _is_of_photographs(evaluation: Evaluation) -> bool:
    return evaluation.photographs


def _pck_diagonal(errors: Errors, share: float) -> float:
    """PCK by the image: the share of labelled keypoints with d / hypot(W, H) <= share, W x H px the image.

    After Ham et al., "Proposal Flow" (CVPR 2016), who divide by max(W, H).
    """
    return _mean(errors.relative(np.hypot(errors.sizes[:, 0], errors.sizes[:, 1]), "no_sizes") <= share)


for _share in PCK_DIAGONAL:
    metric(
        f"pck_diagonal@{_share:g}",
        summary=f"Share of keypoints with an error of at most {_share:g} of the image's diagonal.",
        unit="share",
        better="higher",
        format=PERCENT,
        applies=_is_of_photographs,
    )(partial(_pck_diagonal, share=_share))


# Errors relative to the distance between two keypoints that the user names, on whatever images.


def _has_pair(evaluation: Evaluation) -> bool:
    return evaluation.pair is not None


def _of_pair(errors: Errors) -> FloatArray:
    """(L,) errors over the distance between the pair's labels."""
    if errors.pair_lengths is None:
        raise ValueError("no pair was asked for")
    return errors.relative(errors.pair_lengths, "no_pair_lengths")


def _pck_pair(errors: Errors, share: float) -> float:
    """PCK by a pair: the share of labelled keypoints with d / |a - b| <= share, a and b the labels of the pair, px.

    With the ends of the head segment it is PCKh (Andriluka et al., "2D Human Pose Estimation: New Benchmark", CVPR 2014,
    who take .6 of the diagonal of MPII's head box for that segment, which COCO files do not hold); with left shoulder and
    right hip it is PDJ (Sapp and Taskar, "MODEC", CVPR 2013).
    """
    return _mean(_of_pair(errors) <= share)


for _share, _column in PCK_PAIR.items():
    metric(
        f"pck_pair@{_share:g}",
        summary=f"Share of keypoints with an error of at most {_share:g} of the distance between the pair's labels.",
        unit="share",
        better="higher",
        format=PERCENT,
        column=_column,
        applies=_has_pair,
    )(partial(_pck_pair, share=_share))


@metric(
    "nme_pair",
    better="lower",
    format=".2f",
    column=Column("NME pair %", priority=2, order=47),
    applies=_has_pair,
)
def nme_pair(errors: Errors) -> float:
    """Mean error over the distance between the pair's labels, in per cent.

    100 * mean(d / |a - b|), a and b px; with the outer corners of the eyes it is the interocular NME of Sagonas et al.
    (ICCVW 2013).
    """
    return 100 * _mean(_of_pair(errors))


@metric("auc", unit="share", better="higher", needs=("small_images",))
def auc(errors: Errors) -> float:
    """Mean of max(0, 1 - d / 3 px): the area under the curve of PCK from 0 to 3 px."""
    return _mean(np.maximum(0.0, 1 - errors.labelled_distances / AUC_PX))


# Errors of each axis, and errors on the scale of the notes this project began with.


@metric("mae_x", unit="px", better="lower")
def mae_x(errors: Errors) -> float:
    """Mean absolute error in x."""
    return _mean(errors.labelled_absolute[:, 0])


@metric("mae_y", unit="px", better="lower")
def mae_y(errors: Errors) -> float:
    """Mean absolute error in y."""
    return _mean(errors.labelled_absolute[:, 1])


@metric("mse", better="lower", format=".4g")
def mse(errors: Errors) -> float:
    """Mean squared error of the coordinates, errors times 2 / W and 2 / H."""
    return _mean(errors.labelled_scaled**2)


@metric("mae", better="lower", format=".4g")
def mae(errors: Errors) -> float:
    """Mean absolute error of the coordinates, errors times 2 / W and 2 / H."""
    return _mean(errors.labelled_scaled)


@metric("dist_avg", better="lower", format=".4g")
def dist_avg(errors: Errors) -> float:
    """Mean distance, errors times 2 / W and 2 / H."""
    return _mean(errors.labelled_scaled_distances)


@metric("sqdist_avg", better="lower", format=".4g")
def sqdist_avg(errors: Errors) -> float:
    """Mean squared distance, errors times 2 / W and 2 / H."""
    return _mean(errors.labelled_scaled_distances**2)


# Relative to the baseline.


def _require_spread(errors: Errors, every_axis: bool) -> None:
    """Raise `Undefined` where the annotations vary on no axis, or, with ``every_axis``, not on all of them."""
    flat = errors.spread <= errors.labelled.sum(axis=0)[errors.used, None] * NO_SPREAD_PX**2
    if every_axis and flat.any():
        raise Undefined("no_spread_" + "xy"[int(np.argwhere(flat)[0, 1])])
    if flat.all():
        raise Undefined("no_spread")


@metric("r2", better="higher", needs=("baseline",), column=Column("r2", priority=11, order=60))
def r2(errors: Errors) -> float:
    """Mean over keypoints and axes of 1 - SSE / SST, SST about the training mean."""
    _require_spread(errors, every_axis=True)
    return _mean(1 - errors.residual / errors.spread)


@metric("sqdist_r2", better="higher", needs=("baseline",), column=Column("sqdist_r2", priority=9, order=70))
def sqdist_r2(errors: Errors) -> float:
    """1 - sum of squared distances / sum of squared distances of the training mean."""
    _require_spread(errors, every_axis=False)
    return float(1 - np.sum(errors.labelled_distances**2) / np.sum(errors.labelled_baseline_distances**2))


@metric("dist_r2", better="higher", needs=("baseline",), column=Column("dist_r2", priority=12, order=80))
def dist_r2(errors: Errors) -> float:
    """1 - sum of distances / sum of distances of the training mean."""
    _require_spread(errors, every_axis=False)
    return float(1 - errors.labelled_distances.sum() / errors.labelled_baseline_distances.sum())


# Of whole instances, and of detection.


@metric(
    "exact_all",
    unit="share",
    better="higher",
    format=PERCENT,
    needs=("lattice",),
    column=Column("all exact %", priority=7, order=30, only_for=("several_keypoints",)),
    per_keypoint=False,
)
def exact_all(evaluation: Evaluation) -> float:
    """Share of instances all of whose keypoints are exact."""
    errors = evaluation.errors
    lattice = errors.on_lattice
    return _mean(np.asarray((errors.exact | ~lattice).all(axis=1))[lattice.any(axis=1)])


def _defined(value: float | None) -> float:
    if value is None:
        raise Undefined("no_instances")
    return value


@metric("ap", better="higher", needs=("confidence",), column=Column("AP", priority=8, order=90), per_keypoint=False)
def ap(evaluation: Evaluation) -> float:
    """COCO keypoint AP: mean over the OKS thresholds .50 to .95."""
    return _defined(evaluation.average_precision.ap)


@metric("ap50", better="higher", needs=("confidence",), per_keypoint=False)
def ap50(evaluation: Evaluation) -> float:
    """COCO keypoint AP at an OKS of .50."""
    return _defined(evaluation.average_precision.ap50)


@metric("ap75", better="higher", needs=("confidence",), per_keypoint=False)
def ap75(evaluation: Evaluation) -> float:
    """COCO keypoint AP at an OKS of .75."""
    return _defined(evaluation.average_precision.ap75)


@metric("ar", better="higher", per_keypoint=False)
def ar(evaluation: Evaluation) -> float:
    """COCO keypoint AR: recall averaged over the OKS thresholds .50 to .95."""
    return _defined(evaluation.average_precision.ar)


@metric("ap_constant", better="higher", per_keypoint=False)
def ap_constant(evaluation: Evaluation) -> float:
    """COCO keypoint AP with every score set to 1."""
    return _defined(evaluation.constant_average_precision.ap)


@metric(
    "misses",
    unit="instances",
    better="lower",
    format=".4g",
    column=Column("misses", priority=13, order=120, only_for=("several_instances",)),
    per_keypoint=False,
)
def misses(evaluation: Evaluation) -> float:
    """Number of instances without a prediction."""
    return float(evaluation.n_instances - evaluation.n_answered)


@metric(
    "precision",
    unit="share",
    better="higher",
    needs=("several_instances",),
    column=Column("precision", priority=7, order=100),
    per_keypoint=False,
)
def precision(evaluation: Evaluation) -> float:
    """Share of predictions that match an instance, at an OKS of .1."""
    if not evaluation.n_answered + evaluation.n_spare:
        raise Undefined("no_predictions")
    return evaluation.n_answered / (evaluation.n_answered + evaluation.n_spare)


@metric(
    "recall",
    unit="share",
    better="higher",
    needs=("several_instances",),
    column=Column("recall", priority=4, order=110),
    per_keypoint=False,
)
def recall(evaluation: Evaluation) -> float:
    """Share of instances that a prediction matches, at an OKS of .1."""
    if not evaluation.n_instances:
        raise Undefined("no_instances")
    return evaluation.n_answered / evaluation.n_instances
