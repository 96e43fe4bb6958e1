"""Object keypoint similarity and COCO's greedy matching, on flat arrays.

``OKS = mean over labelled keypoints of exp(-d^2 / (2 * area * (2 * sigma)^2))`` (https://cocodataset.org/#keypoints-eval).
The operations, their order and the small number added to the area are those of pycocotools, so that comparisons with a
threshold fall the same way. What pycocotools does in loops over images, detections, thresholds and instances is done
here for all images at once: images of like size are padded to blocks (B, D, G) of B images, D detections and G
instances, and the only loop is over the rank of a detection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.structures import Annotations, FloatArray, IntArray, Predictions

BLOCK = 1_000_000  # numbers in the largest array of a block: memory stays bounded, and most of it in cache
BoolArray = NDArray[np.bool_]


def positions(annotations: Annotations, image_ids: IntArray) -> IntArray:
    """Where images stand in the annotations.

    Args:
        annotations: What is known of the images.
        image_ids: (P,) int64, each one of ``annotations.image_ids``.

    Returns:
        (P,) int64, the position of each in ``annotations.image_ids``.
    """
    order = np.argsort(annotations.image_ids, kind="stable")
    return order[np.searchsorted(annotations.image_ids[order], image_ids)]


def ignored(annotations: Annotations) -> BoolArray:
    """(M,) bool: instances that a detection may match at no gain and no cost, crowds and those without labelled keypoints."""
    return annotations.crowd | ~(annotations.visible > 0).any(axis=1)


def similarity(points: FloatArray, annotations: Annotations, rows: IntArray) -> FloatArray:
    """OKS of Q predicted instances with one annotated instance each.

    An instance without labelled keypoints is compared by the distance to its box, which is first enlarged by its own
    width and height on every side, as COCO does.

    Args:
        points: (Q, K, 2) float64, predicted keypoints, pixels (x, y).
        annotations: What is known of the images.
        rows: (Q,) int64, rows of the annotated instances.

    Returns:
        (Q,) float64, from 0 to 1.
    """
    labelled = annotations.visible[rows] > 0
    offsets = points - annotations.keypoints[rows]
    counts = labelled.sum(axis=1)
    if unlabelled := np.flatnonzero(counts == 0).tolist():
        corner, extent = annotations.boxes[rows[unlabelled], None, :2], annotations.boxes[rows[unlabelled], None, 2:]
        low, high, at = corner - extent, corner + extent * 2, points[unlabelled]
        offsets[unlabelled] = np.maximum(0.0, low - at) + np.maximum(0.0, at - high)
        labelled[unlabelled], counts[unlabelled] = True, labelled.shape[1]
    squares = offsets[:, :, 0] ** 2 + offsets[:, :, 1] ** 2
    area = (annotations.areas[rows] + np.spacing(1))[:, None]
    terms = np.exp(-(squares / (annotations.sigmas * 2) ** 2 / area / 2))
    return np.where(labelled, terms, 0.0).sum(axis=1) / counts  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Group:
    """The detections and instances of one category, sorted so that those of an image stand together.

    Attributes:
        detections: (P,) int64, rows of the predictions by image id, then falling score; equal scores keep their order.
        owner: (P,) int64, the rank by image id of each detection's image.
        instances: (M,) int64, rows of the annotations by image id.
        first: (N,) int64, where in ``instances`` those of an image begin.
        count: (N,) int64, how many instances an image has.
    """

    detections: IntArray
    owner: IntArray
    instances: IntArray
    first: IntArray
    count: IntArray


def group(
    annotations: Annotations, predictions: Predictions, scores: FloatArray, category: int, limit: int | None
) -> Group:
    """The detections and instances of one category.

    Args:
        annotations: What is known of the images.
        predictions: What was predicted for them.
        scores: (P,) float64, what ranks the predictions.
        category: A COCO category id.
        limit: How many of the best detections of an image are kept; None: all.
    """
    n = len(annotations)
    by_id = np.argsort(annotations.image_ids, kind="stable")
    chosen = np.flatnonzero(predictions.category_ids == category)
    owner = np.searchsorted(annotations.image_ids[by_id], predictions.image_ids[chosen])
    order = np.lexsort((-scores[chosen], owner))
    chosen, owner = chosen[order], owner[order]
    if limit is not None and len(owner) > limit:
        kept = np.ones(len(owner), dtype=bool)
        kept[limit:] = owner[limit:] != owner[:-limit]
        chosen, owner = chosen[kept], owner[kept]
    rank = np.empty(n, dtype=np.int64)
    rank[by_id] = np.arange(n)
    instances = np.flatnonzero(annotations.category_ids == category)
    image_rank = rank[annotations.index[instances]]
    order = np.argsort(image_rank, kind="stable")
    count = np.bincount(image_rank, minlength=n)
    return Group(chosen, owner, instances[order], np.cumsum(count) - count, count)


def match(annotations: Annotations, predictions: Predictions, members: Group, thresholds: FloatArray) -> IntArray:
    """Which instance each detection takes, as COCO's greedy matching has it.

    Detections choose in the order of their scores; each takes the most similar free instance at or above the threshold
    (of equals the last), an ignored one only where no other will do; a crowd can be taken any number of times.

    Args:
        annotations: What is known of the images.
        predictions: What was predicted for them.
        members: The P detections and the instances of one category.
        thresholds: (T,) float64, OKS.

    Returns:
        (T, P) int64, rows of the annotations; -1 where a detection takes none.
    """
    lowest = np.minimum(thresholds, 1 - 1e-10)
    if members.count.max(initial=0) <= 1:
        return _match_single(annotations, predictions, members, lowest)
    taken = np.full((len(lowest), len(members.detections)), -1, dtype=np.int64)
    neutral = ignored(annotations)
    for block in _blocks(members, len(lowest), annotations.keypoints.shape[1]):
        _match_block(annotations, predictions, members, block, lowest, neutral, taken)
    return taken


def _match_single(annotations: Annotations, predictions: Predictions, members: Group, lowest: FloatArray) -> IntArray:
    """`match` where no image has two instances: the first detection that is near enough has it."""
    some = np.flatnonzero(members.count[members.owner])
    taken = np.full((len(lowest), len(members.detections)), -1, dtype=np.int64)
    owner = members.owner[some]
    rows = members.instances[members.first[owner]]
    near = similarity(predictions.keypoints[members.detections[some]], annotations, rows) >= lowest[:, None]
    if (owner[1:] == owner[:-1]).any():
        starts = np.searchsorted(owner, owner)  # where the detections of the same image begin
        before: IntArray = np.cumsum(near, axis=1) - near
        near &= (before == before[:, starts]) | annotations.crowd[rows]
    taken[:, some] = np.where(near, rows, -1)
    return taken


@dataclass(frozen=True, eq=False)
class _Block:
    """B images with up to D detections and G instances, padded with -1.

    Attributes:
        detections: (B, D) int64, positions in the group's detections.
        instances: (B, G) int64, rows of the annotations, the last of the file first: argmax prefers it among equals.
    """

    detections: IntArray
    instances: IntArray


def _blocks(members: Group, thresholds: int, keypoints: int) -> Iterator[_Block]:
    """The images with both detections and instances, those of like size together (sizes rounded up to powers of 2)."""
    n = len(members.count)
    detected = np.bincount(members.owner, minlength=n)
    start = np.cumsum(detected) - detected
    images = np.flatnonzero((detected > 0) & (members.count > 0))
    classes = np.ceil(np.log2(np.stack([detected[images], members.count[images]], axis=1)))
    for size in np.unique(classes, axis=0):
        alike = images[(classes == size).all(axis=1)]
        d, g = int(detected[alike].max()), int(members.count[alike].max())
        step = max(1, BLOCK // (g * max(thresholds, d * keypoints)))
        for i in range(0, len(alike), step):
            part = alike[i : i + step]
            across = np.arange(d)
            detections = np.where(across < detected[part, None], start[part, None] + across, -1)
            back = members.count[part, None] - 1 - np.arange(g)
            at = members.instances[np.maximum(members.first[part, None] + back, 0)]
            yield _Block(detections, np.where(back >= 0, at, -1))


def _match_block(
    annotations: Annotations,
    predictions: Predictions,
    members: Group,
    block: _Block,
    lowest: FloatArray,
    neutral: BoolArray,
    taken: IntArray,
) -> None:
    """Match the images of a block, writing into ``taken`` (T, P)."""
    exists = (block.detections >= 0)[:, :, None] & (block.instances >= 0)[:, None, :]
    b, d, g = np.nonzero(exists)
    oks: FloatArray = np.full(exists.shape, -1.0)
    step = max(1, BLOCK // annotations.keypoints.shape[1])
    for part in (slice(at, at + step) for at in range(0, len(b), step)):  # one slice, but for images of absurd size
        pairs = b[part], d[part], g[part]
        which = members.detections[block.detections[pairs[:2]]]
        oks[pairs] = similarity(predictions.keypoints[which], annotations, block.instances[pairs[0], pairs[2]])
    images, depth, width = exists.shape[0], block.detections.shape[1], block.instances.shape[1]
    shape = (images, len(lowest), width)
    ignorable = neutral[block.instances]
    crowd = np.broadcast_to(annotations.crowd[block.instances][:, None, :], shape)
    free = np.ones(shape, dtype=bool)
    preference = [~ignorable] if not ignorable.any() else [~ignorable, ignorable]
    for k in range(depth):
        near = (oks[:, k, None, :] >= lowest[:, None]) & free
        undecided = np.ones(shape[:2], dtype=bool)
        for allowed in preference:
            value = np.where(near & allowed[:, None, :], oks[:, k, None, :], -1.0)
            best = value.argmax(axis=2)
            hit = undecided & (np.take_along_axis(value, best[:, :, None], axis=2)[:, :, 0] >= 0)
            i, t = np.nonzero(hit)
            j = best[i, t]
            free[i, t, j] = crowd[i, t, j]
            taken[t, block.detections[i, k]] = block.instances[i, j]
            undecided &= ~hit
