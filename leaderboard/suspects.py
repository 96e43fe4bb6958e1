"""Likely wrong labels of a data set, from its stored out-of-fold runs: gathered, weighed, put in order.

Runs over folds answer every image by a fit that has not seen it. Seeds of a detector are one voice, their median. The
statistics are `benchmark.statistics.label_errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark.registry import entries
from benchmark.runs.store import Results, StoredRun
from benchmark.statistics.label_errors import ENOUGH, LEVEL, LabelErrors, find_label_errors
from benchmark.structures import Annotations, FloatArray, IntArray, Predictions
from leaderboard.rows import labels_of, newest

MOVED = "moved"
EXCHANGED = "exchanged"
WHOLE = "whole instance moved"


@dataclass(frozen=True)
class Suspect:
    """Labels of an instance that are likely wrong, for one reason.

    Attributes:
        split: Of the image.
        image: Its file name.
        instance: The row of the instance in the split's annotations, from 0.
        kind: `MOVED` (one label), `EXCHANGED` (two keypoints' labels) or `WHOLE` (most labels, by about the same).
        keypoints: Names of the keypoints.
        evidence: -log10 of the p value (of the label that says most): 3 is one right label of 1,000.
        distance: px, mean from the labels to the proposed places.
        distance_after: px, the same once the two labels are exchanged; None of another kind.
        labels: (x, y) px of each keypoint as it is labelled.
        proposed: (x, y) px of each, where the answers agree it is.
        against: The detectors that speak against the labels by themselves.
        answers: Detector -> (x, y) px of each keypoint, or None where it has no answer.
        position: Of the image among all (train, val, test).
    """

    split: str
    image: str
    instance: int
    kind: str
    keypoints: tuple[str, ...]
    evidence: float
    distance: float
    distance_after: float | None
    labels: tuple[tuple[float, float], ...]
    proposed: tuple[tuple[float, float], ...]
    against: tuple[str, ...]
    answers: dict[str, tuple[tuple[float, float] | None, ...]]
    position: int


@dataclass(frozen=True)
class Power:
    """What would be found of one keypoint.

    Attributes:
        keypoint: Its name.
        judged: Labels that were judged.
        seen_from: px, the shift that is found four times of five; None where none is, or nothing was judged.
        exchanges_seen: Share (0 to 1) of exchanges with another keypoint's label that would be found; None where there are
            none.
    """

    keypoint: str
    judged: int
    seen_from: float | None
    exchanges_seen: float | None


@dataclass(frozen=True)
class Suspects:
    """All that `suspects` finds.

    Attributes:
        detectors: Detector -> its median error of the judged labels, px.
        families: Of the detectors, as far as known.
        level: The share of false ones that is accepted among those found.
        judged: Labels that were judged.
        labelled: Labels in all.
        found: Likely wrong labels, the most evident first.
        power: One a keypoint.
        inflation: How much more the answers depart from the labels together than independent detectors would.
        enough: Labels of a keypoint from which on it is judged.
    """

    detectors: dict[str, float | None]
    families: tuple[str, ...]
    level: float
    judged: int
    labelled: int
    found: list[Suspect]
    power: list[Power]
    inflation: float
    enough: int = ENOUGH

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        document = asdict(self)
        for one in document["found"]:
            del one["position"]
        return document


def out_of_fold_runs(results: Results, digest: str, only: Sequence[str] = ()) -> dict[str, list[StoredRun]]:
    """The finished out-of-fold runs of a data set: detector -> its seeds, of its newest setting on the most images.

    Reference rows (the training mean, a rule) say nothing of labels and are left out.

    Args:
        results: Where runs are.
        digest: Of the data's content.
        only: Keys of runs; empty: all.
    """
    runs = [
        run
        for run in results.runs()
        if run.record.config.data_digest == digest
        and run.record.config.folds
        and run.record.status == "finished"
        and run.record.ranked
        and (not only or run.record.key in only)
    ]
    shown, _ = newest(runs)
    labels = labels_of(shown)
    fullest = {name: max(n for other, n, _ in shown if other == name) for name, _, _ in shown}
    return {labels[identity]: seeds for identity, seeds in shown.items() if identity[1] == fullest[identity[0]]}


def find_suspects(
    runs: dict[str, list[StoredRun]], annotations: Annotations, starts: dict[str, int]
) -> tuple[Suspects, LabelErrors]:
    """Weigh every label of a data set against its out-of-fold runs.

    Args:
        runs: Detector -> its seeds; see `out_of_fold_runs`.
        annotations: Of all images of the data set; see `datasets.dataset.pooled`.
        starts: Split -> the position of its first image among all.

    Returns:
        What was found, and the evidence for each of the M instances and K keypoints.
    """
    labels = np.where((annotations.visible > 0)[..., None], annotations.keypoints, np.nan)
    labels[annotations.crowd] = np.nan
    answers = np.stack([_median([answers_for(annotations, run.predictions) for run in own]) for own in runs.values()])
    sizes = annotations.sizes[annotations.index].max(axis=1, initial=1).astype(np.float64)
    diagonals = np.maximum(np.hypot(annotations.boxes[:, 2], annotations.boxes[:, 3]), 1.0)
    errors = find_label_errors(answers, labels, [sizes, diagonals])
    names, k = list(runs), len(annotations.keypoint_names)
    judged = ~np.isnan(errors.evidence)
    typical = np.where(judged, np.hypot(*np.moveaxis(answers - labels, -1, 0)), np.nan)
    known = {name: typical[i][~np.isnan(typical[i])] for i, name in enumerate(names)}
    catalog = entries()
    families = {
        catalog[run.record.config.name][0].family
        for own in runs.values()
        for run in own[:1]
        if run.record.config.name in catalog
    }
    found = Suspects(
        detectors={name: round(float(np.median(own)), 3) if len(own) else None for name, own in known.items()},
        families=tuple(sorted(families)),
        level=LEVEL,
        judged=int(judged.sum()),
        labelled=int((~np.isnan(labels).any(axis=-1)).sum()),
        found=_suspects(errors, answers, labels, annotations, starts, names),
        power=[
            Power(
                annotations.keypoint_names[j],
                int(judged[:, j].sum()),
                _or_none(errors.seen_from[j]),
                _or_none(errors.swaps_seen[j]),
            )
            for j in range(k)
        ],
        inflation=round(errors.inflation, 3),
    )
    return found, errors


def answers_for(annotations: Annotations, predictions: Predictions) -> FloatArray:
    """What a run answers for each annotated instance: (M, K, 2) float64 px, NaN where it has no answer.

    Where no image holds more than one instance, its best scored prediction. Otherwise predictions choose in the order of
    their scores, each the nearest free instance (by the median distance of its labelled keypoints, which one wrong label
    hardly moves) no farther away than the instance's box is long.
    """
    matched = np.full(annotations.keypoints.shape, np.nan)
    counted = np.flatnonzero((annotations.visible > 0).any(axis=1) & ~annotations.crowd)
    position = {image_id: i for i, image_id in enumerate(annotations.image_ids.tolist())}
    image = np.array([position[i] for i in predictions.image_ids.tolist()], dtype=np.int64)
    order = np.lexsort((-predictions.scores, image))
    alone = len(np.unique(annotations.index[counted])) == len(counted)
    limits = np.searchsorted(image[order], [annotations.index[counted], annotations.index[counted] + 1])
    firsts = np.unique(annotations.index[counted], return_index=True)[1]
    if alone:
        some = limits[0] < limits[1]
        matched[counted[some]] = predictions.keypoints[order[limits[0][some]]]
        return matched
    for first, last in zip(firsts.tolist(), [*firsts.tolist()[1:], len(counted)]):
        free = counted[first:last].tolist()
        for answer in order[limits[0][first] : limits[1][first]].tolist():
            away = [_distance(predictions.keypoints[answer], annotations, row) for row in free]
            if away and min(away) <= 1.0:
                matched[free.pop(int(np.argmin(away)))] = predictions.keypoints[answer]
    return matched


def _distance(points: FloatArray, annotations: Annotations, row: int) -> float:
    """The median distance of labelled keypoints, over the diagonal of the instance's box."""
    own = annotations.visible[row] > 0
    away = np.hypot(*(points - annotations.keypoints[row])[own].T)
    return float(np.median(away) / max(np.hypot(*annotations.boxes[row, 2:]), 1.0))


def _median(seeds: Sequence[FloatArray]) -> FloatArray:
    """The median over seeds, of those that have an answer."""
    stacked = np.stack(seeds)
    none = np.isnan(stacked).all(axis=0)
    median: FloatArray = np.nanmedian(np.where(none, 0.0, stacked), axis=0)
    return np.where(none, np.nan, median)


def _suspects(
    errors: LabelErrors,
    answers: FloatArray,
    labels: FloatArray,
    annotations: Annotations,
    starts: dict[str, int],
    names: Sequence[str],
) -> list[Suspect]:
    found = []
    first_rows = {split: int(np.searchsorted(annotations.index, start)) for split, start in starts.items()}

    def add(row: int, keypoints: list[int], kind: str) -> None:
        at = int(annotations.index[row])
        split = max((name for name in starts if starts[name] <= at), key=lambda name: starts[name])
        own, places = labels[row, keypoints], errors.proposed[row, keypoints]
        after = _mean_distance(own[::-1], places) if kind == EXCHANGED else None
        found.append(
            Suspect(
                split=split,
                image=annotations.file_names[at].partition("-")[2],
                instance=row - first_rows[split],
                kind=kind,
                keypoints=tuple(annotations.keypoint_names[j] for j in keypoints),
                evidence=round(float(errors.evidence[row, keypoints].max() / np.log(10)), 2),
                distance=_mean_distance(own, places),
                distance_after=after,
                labels=_pairs(own),
                proposed=_pairs(places),
                against=tuple(name for i, name in enumerate(names) if errors.against[i, row, keypoints].any()),
                answers={
                    name: tuple(None if np.isnan(x) else _pairs(np.array([[x, y]]))[0] for x, y in one[row, keypoints])
                    for name, one in zip(names, answers)
                },
                position=at,
            )
        )

    for row in np.flatnonzero(errors.flagged.any(axis=1)).tolist():
        left = np.flatnonzero(errors.flagged[row]).tolist()
        for j in list(left):
            other = int(errors.partner[row, j])
            if j in left and other > j:
                add(row, [j, other], EXCHANGED)
                left = [i for i in left if i not in (j, other)]
        if errors.whole[row]:
            add(row, left, WHOLE)
        else:
            for j in left:
                add(row, [j], MOVED)
    return sorted(found, key=lambda one: (-one.evidence, one.position, one.keypoints))


def _mean_distance(a: FloatArray, b: FloatArray) -> float:
    return round(float(np.hypot(*(a - b).T).mean()), 2)


def _pairs(points: FloatArray) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


def starts_of(lengths: dict[str, int]) -> dict[str, int]:
    """Split -> the position of its first image among all, from split -> its number of images."""
    starts: IntArray = np.cumsum([0, *lengths.values()])
    return dict(zip(lengths, starts.tolist()))
