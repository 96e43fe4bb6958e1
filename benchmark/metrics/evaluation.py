"""What metrics are computed from: which prediction answers which instance, their pixel errors, and COCO's AP.

Which prediction answers which instance:

- *One instance an image, or none*: the best scored prediction of an image (of equals the first in the file) is its answer,
  whatever its category: AP counts categories, pixel errors do not. No prediction is an error of (W, H) px, never exact,
  never a dropped row. Where an image has no instance, what is predicted for it answers nothing.
- *Several*: COCO's greedy matching by falling score within an image and category at an OKS of at least .1, the
  threshold of the error analysis of Ronchi and Perona (ICCV 2017). Pixel metrics are over the matched pairs; precision,
  recall and misses stand beside them. Crowds and unlabelled instances neither gain nor cost.

AP and AR are COCO's in both cases (`average_precision`), and see every prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.metrics.average_precision import AveragePrecision, average_precision
from benchmark.metrics.oks import BoolArray, group, ignored, match, positions
from benchmark.metrics.pixels import SHORTEST, Errors
from benchmark.metrics.scale import Pair, pair_lengths, photographs, pixel_thresholds
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions, UserError

MATCH_OKS = 0.1


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which prediction answers which instance.

    Attributes:
        rows: (R,) int64, instances as rows of the annotations.
        answers: (R,) int64, the row of the prediction that answers each; -1 where none does.
        n_spare: The number of predictions that answer nothing, those on crowds and unlabelled instances not counted.
    """

    rows: IntArray
    answers: IntArray
    n_spare: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One set of predictions beside the annotations they answer. Everything derived is computed once, when asked for.

    Attributes:
        annotations: What is known of the images.
        predictions: What was predicted for them, checked.
        pair: Two keypoints whose distance errors are set against as well; None: against none.
    """

    annotations: Annotations
    predictions: Predictions
    pair: Pair | None = None

    @cached_property
    def counted(self) -> BoolArray:
        """(M,) bool: the instances that count, which crowds and instances without labelled keypoints do not."""
        return ~ignored(self.annotations)

    @cached_property
    def single_instance(self) -> bool:
        """Whether every image has exactly one instance, none of them a crowd; of some, no keypoint may be labelled."""
        return self.annotations.single_instance

    @cached_property
    def photographs(self) -> bool:
        """Whether pixels alone mean little; see `benchmark.metrics.scale`."""
        return photographs(self.annotations)

    @cached_property
    def pixel_thresholds(self) -> tuple[float, ...]:
        """The thresholds of PCK in pixels, which the annotations decide."""
        return pixel_thresholds(self.annotations, self.counted)

    @cached_property
    def pair_lengths(self) -> FloatArray | None:
        """(M,) px: the distance between the labels of `pair`, NaN where one is not labelled; None without a pair."""
        return None if self.pair is None else pair_lengths(self.annotations, self.pair)

    @cached_property
    def n_without_pair(self) -> int:
        """The number of instances that count, and have no `pair` of at least a pixel to set errors against."""
        lengths = self.pair_lengths
        return 0 if lengths is None else int((self.counted & ~(lengths >= SHORTEST)).sum())

    @cached_property
    def at_most_one(self) -> bool:
        """Whether no image has more than one instance, none of them a crowd. One without a labelled keypoint asks nothing."""
        alone = len(np.unique(self.annotations.index)) == len(self.annotations.index)
        return bool(alone and not self.annotations.crowd.any())

    @cached_property
    def pairs(self) -> Pairs:
        """Which prediction answers which instance; see the module."""
        match_instances = _best_scored if self.at_most_one else _matched
        return match_instances(self.annotations, self.predictions)

    @cached_property
    def errors(self) -> Errors:
        """The pixel errors of `pairs`."""
        annotations, rows, answers = self.annotations, self.pairs.rows, self.pairs.answers
        image = annotations.index[rows]
        answered = answers >= 0
        sizes = annotations.sizes[image].astype(np.float64)
        if (unknown := ~answered & (sizes < 1).any(axis=1)).any():
            name = annotations.image_ids[image[int(np.argmax(unknown))]]
            raise UserError(
                f"image {name} has no prediction, and its error is the image's size, which is not given: give width and height"
            )
        offsets = np.broadcast_to(sizes[:, None, :], annotations.keypoints[rows].shape).copy()
        offsets[answered] = self.predictions.keypoints[answers[answered]] - annotations.keypoints[rows[answered]]
        spacing, baseline = annotations.spacing, annotations.baseline
        return Errors(
            offsets=offsets,
            labelled=annotations.visible[rows] > 0,
            answered=answered,
            sizes=sizes,
            spacing=np.full(len(annotations.keypoint_names), np.nan) if spacing is None else spacing,
            from_baseline=None if baseline is None else annotations.keypoints[rows] - baseline[image],
            boxes=annotations.boxes[rows, 2:],
            pair_lengths=None if self.pair_lengths is None else self.pair_lengths[rows],
        )

    @cached_property
    def n_instances(self) -> int:
        """The number of instances that count."""
        return int(self.counted.sum())

    @cached_property
    def n_answered(self) -> int:
        """The number of instances that a prediction answers."""
        return int((self.pairs.answers >= 0).sum())

    @property
    def n_spare(self) -> int:
        """The number of predictions that answer nothing."""
        return self.pairs.n_spare

    @cached_property
    def average_precision(self) -> AveragePrecision:
        """COCO's AP and AR, ranked by the predictions' own scores."""
        return average_precision(self.annotations, self.predictions)

    @cached_property
    def constant_average_precision(self) -> AveragePrecision:
        """COCO's AP and AR with every score set to 1."""
        return average_precision(self.annotations, self.predictions, np.ones(len(self.predictions)))

    def per_image(self, values: FloatArray | BoolArray, counted: BoolArray) -> FloatArray:
        """The mean over an image's keypoints that count.

        Args:
            values: (R, K), one a pair and keypoint.
            counted: (R, K) bool, which of them count.

        Returns:
            (N,) float64, NaN for an image where none does.
        """
        image, n = self.annotations.index[self.pairs.rows], len(self.annotations)
        total = np.bincount(image, np.where(counted, values, 0.0).sum(axis=1), minlength=n)
        number = np.bincount(image, counted.sum(axis=1), minlength=n)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / number, dtype=np.float64)


def _best_scored(annotations: Annotations, predictions: Predictions) -> Pairs:
    """Every instance that counts, answered by the best scored prediction of its image; no image has two."""
    image = positions(annotations, predictions.image_ids)
    order = np.lexsort((-predictions.scores, image))
    owners, first = np.unique(image[order], return_index=True)
    best = np.full(len(annotations), -1, dtype=np.int64)
    best[owners] = order[first]
    counted = ~ignored(annotations)
    answers = best[annotations.index[counted]]
    unasked = np.isin(image, annotations.index[~counted])  # neither right nor wrong: nobody knows what there is to find
    return Pairs(np.flatnonzero(counted), answers, int((~unasked).sum()) - int((answers >= 0).sum()))


def _matched(annotations: Annotations, predictions: Predictions) -> Pairs:
    """The instances that COCO's matching gives a prediction, and that prediction."""
    neutral = ignored(annotations)
    rows, answers, n_spare = [], [], 0
    for category in np.unique(predictions.category_ids).tolist():
        members = group(annotations, predictions, predictions.scores, category, None)
        taken = match(annotations, predictions, members, np.array([MATCH_OKS]))[0]
        good = (taken >= 0) & ~neutral[taken] if len(neutral) else np.zeros(len(taken), dtype=bool)
        rows.append(taken[good])
        answers.append(members.detections[good])
        n_spare += int((taken < 0).sum())
    empty = [np.zeros(0, dtype=np.int64)]
    every, answered = np.concatenate(rows or empty), np.concatenate(answers or empty)
    order = np.argsort(every)
    return Pairs(every[order], answered[order], n_spare)
