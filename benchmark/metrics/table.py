"""The table of one row of a board: every registered metric of a set of predictions, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import benchmark.metrics.definitions  # noqa: F401  (registers the metrics)
from benchmark.metrics.evaluation import Evaluation
from benchmark.metrics.pixels import Errors
from benchmark.metrics.registry import REASONS, Metric, Undefined, metrics
from benchmark.metrics.scale import Pair
from benchmark.metrics.taxonomy import KINDS, kinds
from benchmark.metrics.validation import check_annotations, first_problem
from benchmark.structures import Annotations, FloatArray, Predictions, UserError

SAME_PIXEL_PX = 0.5  # on both axes: what the taxonomy calls exact where answers lie on no lattice


@dataclass(frozen=True, eq=False)
class Scores(Mapping[str, float | None]):
    """The table of one row: a mapping from metric name to a float, or None where the metric has no meaning.

    Attributes:
        metrics: What the mapping holds.
        reason_codes: metric -> why it is None, a key of `benchmark.metrics.registry.REASONS`.
        flags: ``tied_scores``: equal scores decide the AP, or the detector has none. ``multi_instance``: predictions are
            matched to instances by OKS.
        keypoints: keypoint name -> the metrics of pixel error of that keypoint alone.
        labels: keypoint name -> ``labelled``, in how many instances that count, and ``scored``, how many of these have a
            pixel error, which are fewer where instances are matched and some are missed.
        taxonomy: kind of error (see `benchmark.metrics.taxonomy`) -> number of keypoints.
        counts: images, instances (that count), predictions, spare (predictions that answer nothing).
        pair: the keypoints whose distance ``pck_pair`` and ``nme_pair`` are relative to; None: not asked for.
        n_without_pair: number of instances that these metrics leave out: the pair is not labelled in them, or within a
            pixel.
        distances: (N,) float64 px, mean over an image's labelled keypoints; NaN for an image that has nothing to average,
            which never happens with one instance an image.
        exact: (N,) float64, the share of an image's keypoints on a lattice that are exact; NaN where it has none.
    """

    metrics: dict[str, float | None]
    reason_codes: dict[str, str]
    flags: dict[str, bool]
    keypoints: dict[str, dict[str, float | None]]
    labels: dict[str, dict[str, int]]
    taxonomy: dict[str, int]
    counts: dict[str, int]
    distances: FloatArray = field(repr=False)
    exact: FloatArray = field(repr=False)
    pair: Pair | None = None
    n_without_pair: int = 0

    def __getitem__(self, name: str) -> float | None:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    @property
    def reasons(self) -> dict[str, str]:
        """Metric -> why it is None, in a sentence."""
        return {name: REASONS[code] for name, code in self.reason_codes.items()}

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able dict: the metrics by name, then reasons, flags, keypoints, labels, taxonomy, counts, any pair."""
        return {
            **self.metrics,
            "reasons": self.reasons,
            "flags": self.flags,
            "keypoints": self.keypoints,
            "labels": self.labels,
            "taxonomy": self.taxonomy,
            "counts": self.counts,
            **({"pair": {"keypoints": list(self.pair), "left_out": self.n_without_pair}} if self.pair else {}),
        }


def score(
    annotations: Annotations, predictions: Predictions, *, has_scores: bool = True, pair: Pair | None = None
) -> Scores:
    """Score predictions; see `benchmark.metrics.evaluation` for which prediction answers which instance.

    Args:
        annotations: What is known of the images. Not changed.
        predictions: What was predicted for them. Not changed.
        has_scores: Whether the detector's scores carry confidence; if not, AP is flagged as tied.
        pair: Names of two keypoints; errors are given relative to the distance between their labels as well (PCKh,
            interocular NME), over the instances that have both.

    Returns:
        The whole table.

    Raises:
        UserError: Where a keypoint of the pair is not one, a number is not finite or a prediction is not for these images.
    """
    check_annotations(annotations)
    if problem := first_problem(predictions, annotations):
        row, words = problem
        raise UserError(f"prediction {row}: {words}")
    evaluation = Evaluation(annotations, predictions, pair)
    errors, names = evaluation.errors, annotations.keypoint_names
    lacking = {
        need
        for need, lacks in (
            ("several_instances", evaluation.single_instance),
            ("several_keypoints", len(names) == 1),
            ("photographs", not evaluation.photographs),
            ("small_images", evaluation.photographs),
        )
        if lacks
    }
    values: dict[str, float | None] = {}
    reason_codes: dict[str, str] = {}
    for entry in metrics().values():
        if lacking.intersection(entry.needs) or (entry.applies is not None and not entry.applies(evaluation)):
            continue
        values[entry.name], code = _value(entry, errors, errors if entry.per_keypoint else evaluation)
        if code:
            reason_codes[entry.name] = code
    single = {entry.name: entry for entry in metrics().values() if entry.per_keypoint and entry.name in values}
    if len(names) == 1:  # the table of the only keypoint is the table of all of them
        keypoints = {names[0]: {name: values[name] for name in single}}
    else:
        keypoints = {name: _keypoint_values(errors.keypoint(j), single) for j, name in enumerate(names)}
    return Scores(
        metrics=values,
        reason_codes=reason_codes,
        flags={
            "tied_scores": not has_scores or len(np.unique(predictions.scores)) < len(predictions),
            "multi_instance": not evaluation.single_instance,
        },
        keypoints=keypoints,
        labels=_labels(evaluation),
        taxonomy=_taxonomy(evaluation),
        counts={
            "images": len(annotations),
            "instances": evaluation.n_instances,
            "predictions": len(predictions),
            "spare": evaluation.n_spare,
        },
        distances=evaluation.per_image(errors.distances, errors.labelled),
        exact=evaluation.per_image(errors.exact, errors.on_lattice),
        pair=pair,
        n_without_pair=evaluation.n_without_pair,
    )


def _value(entry: Metric, errors: Errors, argument: Errors | Evaluation) -> tuple[float | None, str]:
    """A metric's value and "", or None and the code of the reason."""
    if (entry.per_keypoint or "lattice" in entry.needs) and not errors.any_labelled:
        return None, "no_pairs"
    if "lattice" in entry.needs and not errors.any_on_lattice:
        return None, "no_lattice"
    if "baseline" in entry.needs and errors.from_baseline is None:
        return None, "no_baseline"
    try:
        return entry.compute(argument), ""
    except Undefined as undefined:
        return None, undefined.code


def _keypoint_values(errors: Errors, entries: Mapping[str, Metric]) -> dict[str, float | None]:
    return {name: _value(entry, errors, errors)[0] for name, entry in entries.items()}


def _labels(evaluation: Evaluation) -> dict[str, dict[str, int]]:
    """Keypoint -> in how many instances that count it is labelled, and how many of these have a pixel error."""
    annotations = evaluation.annotations
    labelled = (annotations.visible[evaluation.counted] > 0).sum(axis=0).tolist()
    scored = evaluation.errors.labelled.sum(axis=0).tolist()
    return {
        name: {"labelled": all_of_it, "scored": some}
        for name, all_of_it, some in zip(annotations.keypoint_names, labelled, scored)
    }


def _taxonomy(evaluation: Evaluation) -> dict[str, int]:
    """Kind of error -> number of labelled keypoints of instances that count."""
    annotations, errors, pairs = evaluation.annotations, evaluation.errors, evaluation.pairs
    answered = errors.answered
    same_pixel = (np.abs(errors.offsets) < SAME_PIXEL_PX).all(axis=2)
    exact = np.where(np.isnan(errors.spacing), same_pixel, errors.exact)[answered]
    points = evaluation.predictions.keypoints[pairs.answers[answered]]
    kind = kinds(annotations, pairs.rows[answered], points, exact)
    counts = np.bincount(kind[kind >= 0], minlength=len(KINDS))
    labelled = int((annotations.visible[evaluation.counted] > 0).sum())
    counts[KINDS.index("miss")] += labelled - counts.sum()
    return dict(zip(KINDS, counts.tolist()))
