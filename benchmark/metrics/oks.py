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
    """(P,) the position in ``annotations.image_ids`` of each id; every id must be there."""
    order = np.argsort(annotations.image_ids, kind="stable")
    return order[np.searchsorted(annotations.image_ids[order], image_ids)]


def ignored(annotations: Annotations) -> BoolArray:
    """(M,) instances that a detection may match at no gain and no cost: crowds, and those without labelled keypoints."""
    return annotations.crowd | ~(annotations.visible > 0).any(axis=1)


def similarity(points: FloatArray, annotations: Annotations, rows: IntArray) -> FloatArray:
    """(Q,) OKS of the predicted keypoints ``points`` (Q, K, 2) px with the annotations's instances ``rows`` (Q,).

    An instance without labelled keypoints is compared by the distance to its box, doubled on every side, as COCO does.
    """
    labelled = annotations.visible[rows] > 0
    offsets = points - annotations.keypoints[rows]
    counts = labelled.sum(axis=1)
    if blank := np.flatnonzero(counts == 0).tolist():
        corner, extent = annotations.boxes[rows[blank], None, :2], annotations.boxes[rows[blank], None, 2:]
        low, high, at = corner - extent, corner + extent * 2, points[blank]
        offsets[blank] = np.maximum(0.0, low - at) + np.maximum(0.0, at - high)
        labelled[blank], counts[blank] = True, labelled.shape[1]
    squares = offsets[:, :, 0] ** 2 + offsets[:, :, 1] ** 2
    area = (annotations.areas[rows] + np.spacing(1))[:, None]
    terms = np.exp(-(squares / (annotations.sigmas * 2) ** 2 / area / 2))
    return np.where(labelled, terms, 0.0).sum(axis=1) / counts  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Group:
    """The detections and instances of one category, sorted so that those of an image stand together.

    detections: (P,) rows of the predictions by (image id, falling score); equal scores keep the order of the file.
    owner: (P,) rank by image id of each detection's image. instances: (M,) rows of the annotations by image id.
    first, count: (N,) where in ``instances`` an image's begin, and how many it has.
    """

    detections: IntArray
    owner: IntArray
    instances: IntArray
    first: IntArray
    count: IntArray


def group(
    annotations: Annotations, predictions: Predictions, scores: FloatArray, category: int, limit: int | None
) -> Group:
    """What there is of ``category``; at most the ``limit`` best detections of an image are kept."""
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
    home = rank[annotations.index[instances]]
    order = np.argsort(home, kind="stable")
    count = np.bincount(home, minlength=n)
    return Group(chosen, owner, instances[order], np.cumsum(count) - count, count)


def match(annotations: Annotations, predictions: Predictions, found: Group, thresholds: FloatArray) -> IntArray:
    """(T, P) the annotations's instance that each of the group's detections takes at each threshold, or -1.

    As COCO: detections choose in the order of their scores; each takes the most similar free instance at or above the
    threshold (of equals the last), an ignored one only where no other will do; a crowd can be taken any number of times.
    """
    floor = np.minimum(thresholds, 1 - 1e-10)
    if found.count.max(initial=0) <= 1:
        return _match_single(annotations, predictions, found, floor)
    taken = np.full((len(floor), len(found.detections)), -1, dtype=np.int64)
    no_matter = ignored(annotations)
    for block in _blocks(found, len(floor), annotations.keypoints.shape[1]):
        _match_block(annotations, predictions, found, block, floor, no_matter, taken)
    return taken


def _match_single(annotations: Annotations, predictions: Predictions, found: Group, floor: FloatArray) -> IntArray:
    """`match` where no image has two instances: the first detection that is near enough has it."""
    some = np.flatnonzero(found.count[found.owner])
    taken = np.full((len(floor), len(found.detections)), -1, dtype=np.int64)
    owner = found.owner[some]
    rows = found.instances[found.first[owner]]
    near = similarity(predictions.keypoints[found.detections[some]], annotations, rows) >= floor[:, None]
    if (owner[1:] == owner[:-1]).any():
        starts = np.searchsorted(owner, owner)  # where the detections of the same image begin
        before: IntArray = np.cumsum(near, axis=1) - near
        near &= (before == before[:, starts]) | annotations.crowd[rows]
    taken[:, some] = np.where(near, rows, -1)
    return taken


@dataclass(frozen=True, eq=False)
class _Block:
    """B images: their detections as positions in the group and their instances as rows of the annotations, padded with -1.

    detections: (B, D). instances: (B, G), the last of the file first, so that argmax prefers it among equals.
    """

    detections: IntArray
    instances: IntArray


def _blocks(found: Group, thresholds: int, keypoints: int) -> Iterator[_Block]:
    """The images with both detections and instances, those of like size together (sizes rounded up to powers of 2)."""
    n = len(found.count)
    many = np.bincount(found.owner, minlength=n)
    start = np.cumsum(many) - many
    images = np.flatnonzero((many > 0) & (found.count > 0))
    classes = np.ceil(np.log2(np.stack([many[images], found.count[images]], axis=1)))
    for size in np.unique(classes, axis=0):
        alike = images[(classes == size).all(axis=1)]
        d, g = int(many[alike].max()), int(found.count[alike].max())
        step = max(1, BLOCK // (g * max(thresholds, d * keypoints)))
        for i in range(0, len(alike), step):
            part = alike[i : i + step]
            across = np.arange(d)
            detections = np.where(across < many[part, None], start[part, None] + across, -1)
            back = found.count[part, None] - 1 - np.arange(g)
            at = found.instances[np.maximum(found.first[part, None] + back, 0)]
            yield _Block(detections, np.where(back >= 0, at, -1))


def _match_block(
    annotations: Annotations,
    predictions: Predictions,
    found: Group,
    block: _Block,
    floor: FloatArray,
    no_matter: BoolArray,
    taken: IntArray,
) -> None:
    """Match the images of a block, writing into ``taken`` (T, P)."""
    there = (block.detections >= 0)[:, :, None] & (block.instances >= 0)[:, None, :]
    b, d, g = np.nonzero(there)
    oks: FloatArray = np.full(there.shape, -1.0)
    step = max(1, BLOCK // annotations.keypoints.shape[1])
    for part in (slice(at, at + step) for at in range(0, len(b), step)):  # one slice, but for images of absurd size
        pairs = b[part], d[part], g[part]
        which = found.detections[block.detections[pairs[:2]]]
        oks[pairs] = similarity(predictions.keypoints[which], annotations, block.instances[pairs[0], pairs[2]])
    images, depth, width = there.shape[0], block.detections.shape[1], block.instances.shape[1]
    shape = (images, len(floor), width)
    light = no_matter[block.instances]
    crowd = np.broadcast_to(annotations.crowd[block.instances][:, None, :], shape)
    free = np.ones(shape, dtype=bool)
    ranks = [~light] if not light.any() else [~light, light]
    for k in range(depth):
        near = (oks[:, k, None, :] >= floor[:, None]) & free
        open_still = np.ones(shape[:2], dtype=bool)
        for allowed in ranks:
            value = np.where(near & allowed[:, None, :], oks[:, k, None, :], -1.0)
            best = value.argmax(axis=2)
            hit = open_still & (np.take_along_axis(value, best[:, :, None], axis=2)[:, :, 0] >= 0)
            i, t = np.nonzero(hit)
            j = best[i, t]
            free[i, t, j] = crowd[i, t, j]
            taken[t, block.detections[i, k]] = block.instances[i, j]
            open_still &= ~hit
