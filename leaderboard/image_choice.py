"""Which test images are worth a look: where answers are worst, where rows disagree most, and some drawn at random.

Positions are those of the annotations, from 0. Everything here is a function of its arguments: the images drawn at random
are the same for every detector, on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.structures import Annotations, FloatArray, IntArray, Predictions


def worst(annotations: Annotations, errors: FloatArray, count: int) -> IntArray:
    """Positions of the images with the largest errors, the worst first.

    Images in which no instance was matched come before all others; images without an instance come last.

    Args:
        annotations: What is known of N images.
        errors: (N,) px, the mean error of each image; NaN where nothing was matched.
        count: How many.
    """
    has = np.bincount(annotations.index[~annotations.crowd], minlength=len(annotations)) > 0
    badness = np.where(np.isnan(errors), np.where(has, np.inf, -np.inf), errors)
    return np.argsort(-badness, kind="stable")[:count].astype(np.int64)


def at_random(images: int, count: int, without: IntArray | Sequence[int] = ()) -> IntArray:
    """Positions of images drawn at random, ascending.

    Args:
        images: How many there are, N.
        count: How many to draw at most.
        without: Positions that are not drawn.
    """
    order = np.random.default_rng(0).permutation(images)
    return np.sort(order[~np.isin(order, np.asarray(without, dtype=np.int64))][:count]).astype(np.int64)


def disputed(places: FloatArray, count: int) -> IntArray:
    """Positions of the images about which rows disagree most, the most disputed first.

    The dispute about an image is the mean distance of the rows' answers from their median, coordinate by coordinate: two
    camps far apart weigh more than one row that is far off.

    Args:
        places: (R, N, D) px, what each row says of each image; NaN where it says nothing. Of images with one instance D
            is K points' coordinates, otherwise the image's error (see `places_of`).
        count: How many.
    """
    return np.argsort(-dispute(places), kind="stable")[:count].astype(np.int64)


def dispute(places: FloatArray) -> FloatArray:
    """(N,) px: how far rows are apart about each image; 0 where fewer than two say anything. See `disputed`."""
    rows, images, columns = places.shape
    if rows < 2:
        return np.zeros(images)
    known = np.isfinite(places)
    some = known.any(axis=0, keepdims=True)
    median = np.nanmedian(np.where(some, places, 0.0), axis=0)
    off = np.where(known, places - median, 0.0)
    pairs = off.reshape(rows, images, -1, 2) if columns % 2 == 0 else off[..., None]
    told = known.reshape(rows, images, -1, pairs.shape[-1]).all(axis=-1)
    distances = np.sqrt((pairs**2).sum(axis=-1))
    return np.asarray(distances.sum(axis=(0, 2)) / np.maximum(told.sum(axis=(0, 2)), 1))


def places_of(annotations: Annotations, predictions: Predictions) -> FloatArray:
    """(N, 2 K) px: where one row puts the labelled keypoints of one-instance images; NaN where it has no answer.

    Args:
        annotations: Of N images with one instance each.
        predictions: Its answers; of several for an image the best-scored one, the first on ties.
    """
    order = {int(i): at for at, i in enumerate(annotations.image_ids.tolist())}
    places = np.full(annotations.keypoints.shape, np.nan)
    best = np.full(len(annotations), -np.inf)
    for row, image in enumerate(predictions.image_ids.tolist()):
        at = order[image]
        if predictions.scores[row] > best[at]:
            best[at], places[at] = predictions.scores[row], predictions.keypoints[row]
    places[annotations.visible == 0] = np.nan
    return places.reshape(len(annotations), -1)
