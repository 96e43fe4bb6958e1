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

BLOCK = 1_000_000  # numbers in the largest array of a block: memory stays bounded
CACHED = 1 << 15  # numbers in an array that stays in a core's cache, which halves the time of what is done to it
BoolArray = NDArray[np.bool_]
Extents = tuple[FloatArray, FloatArray]  # smallest and largest x and y, (2, M) each


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
        ranking: (P,) int64, positions in ``detections`` by falling score over all images; equal scores by image id.
        instances: (M,) int64, rows of the annotations by image id.
        first: (N,) int64, where in ``instances`` those of an image begin.
        count: (N,) int64, how many instances an image has.
    """

    detections: IntArray
    owner: IntArray
    ranking: IntArray
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
    by_image = _stable_order(owner, n)
    falling = by_image[np.argsort(-scores[chosen[by_image]], kind="stable")]
    order = _stable_order(owner[falling], n)  # of what falls: by image, then falling score
    ranking = np.empty_like(order)
    ranking[order] = np.arange(len(order))
    chosen, owner = chosen[falling[order]], owner[falling[order]]
    if limit is not None and len(owner) > limit:
        kept = np.ones(len(owner), dtype=bool)
        kept[limit:] = owner[limit:] != owner[:-limit]
        chosen, owner = chosen[kept], owner[kept]
        ranking = (np.cumsum(kept) - 1)[ranking[kept[ranking]]]
    rank = np.empty(n, dtype=np.int64)
    rank[by_id] = np.arange(n)
    instances = np.flatnonzero(annotations.category_ids == category)
    image_rank = rank[annotations.index[instances]]
    count = np.bincount(image_rank, minlength=n)
    ordered = instances[_stable_order(image_rank, n)]
    return Group(chosen, owner, ranking, ordered, np.cumsum(count) - count, count)


def _stable_order(values: IntArray, n: int) -> IntArray:
    """What sorts whole numbers below ``n``, keeping the order of equals; numbers of 16 bits in a tenth of the time."""
    return np.argsort(values.astype(np.uint16) if n <= 2**16 else values, kind="stable")


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
    near = _near_pairs(annotations, predictions, members, float(lowest.min()))
    choices = np.bincount(near.detections, minlength=len(members.detections))
    rivals = np.bincount(near.instances, minlength=len(members.instances))
    contested = (choices[near.detections] > 1) | (rivals[near.instances] > 1)
    alone = near.take(~contested)
    taken = np.full((len(lowest), len(members.detections)), -1, dtype=np.int64)
    taken[:, alone.detections] = np.where(alone.oks >= lowest[:, None], members.instances[alone.instances], -1)
    if contested.any():
        neutral = ignored(annotations)
        for block in _blocks(members, near.take(contested), len(lowest)):
            _match_block(annotations, block, lowest, neutral, taken)
    return taken


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Q detections and instances of the same image that are similar enough to be matched.

    Attributes:
        detections: (Q,) int64 ascending, positions in the group's detections.
        instances: (Q,) int64, positions in the group's instances.
        oks: (Q,) float64.
    """

    detections: IntArray
    instances: IntArray
    oks: FloatArray

    def take(self, chosen: BoolArray | IntArray) -> _Pairs:
        """Some of the pairs, by position or by a (Q,) mask."""
        return _Pairs(self.detections[chosen], self.instances[chosen], self.oks[chosen])


def _near_pairs(annotations: Annotations, predictions: Predictions, members: Group, least: float) -> _Pairs:
    """The pairs with an OKS of at least ``least``, which is above 0.

    Most pairs of a crowded image are far apart, and the boxes around their keypoints tell, without an exponential a
    keypoint: where these are r px apart no keypoint is nearer, so OKS is at most exp(-r^2 / (2 * area * (2 * sigma)^2))
    with the largest sigma.
    """
    rows, k = members.instances, annotations.keypoints.shape[1]
    own = extents(predictions.keypoints, members.detections)
    of = extents(annotations.keypoints, rows, annotations.visible)
    reach = squared_reach(annotations, rows, least)
    reach[np.isinf(of[0][0])] = np.inf  # no keypoint is labelled: compared by the box that the file gives
    first, count = members.first[members.owner], members.count[members.owner]
    found = [_Pairs(rows[:0], rows[:0], annotations.areas[:0])]
    for part in _slices(count, CACHED):
        d = np.repeat(np.arange(part.start, part.stop), count[part])
        g = _ranges(first[part], count[part])
        for near in _pieces(np.flatnonzero(squared_gap(own, of, d, g) <= reach[g]), k):
            oks = similarity(predictions.keypoints[members.detections[d[near]]], annotations, rows[g[near]])
            found.append(_Pairs(d[near], g[near], oks).take(oks >= least))
    return _Pairs(*(np.concatenate([getattr(one, f) for one in found]) for f in ("detections", "instances", "oks")))


def _ranges(first: IntArray, count: IntArray) -> IntArray:
    """``first[0], first[0] + 1, ...``, ``count[0]`` numbers, then those of ``first[1]``, and so on."""
    end = np.cumsum(count)
    return np.repeat(first - (end - count), count) + np.arange(count.sum())


def _slices(count: IntArray, size: int) -> Iterator[slice]:
    """Cut positions with ``count`` things each into slices of up to ``size`` things, or of one position that has more."""
    end, begin = np.cumsum(count), 0
    while begin < len(end):
        done = end[begin - 1] if begin else 0
        stop = max(begin + 1, int(np.searchsorted(end, done + size, side="right")))
        yield slice(begin, stop)
        begin = stop


def _pieces(rows: IntArray, k: int) -> list[IntArray]:
    """Rows in pieces whose keypoints, k each, are few enough to stay in cache."""
    step = 1 + CACHED // k
    return [rows[i : i + step] for i in range(0, len(rows), step)]


def extents(points: FloatArray, rows: IntArray, visible: IntArray | None = None) -> Extents:
    """The smallest and the largest x and y of the labelled keypoints of some rows.

    Args:
        points: (M, K, 2) px.
        rows: (R,) int64, which of them.
        visible: (M, K) int64, 0 where a keypoint is not labelled; None: all are.

    Returns:
        (2, R) twice; infinite where none is labelled.
    """
    low, high = [np.zeros((2, 0))], [np.zeros((2, 0))]
    for piece in _pieces(rows, points.shape[1]):
        across = np.ascontiguousarray(points[piece].transpose(2, 1, 0))  # long rows are reduced many times faster
        smallest = largest = across
        if visible is not None and (hidden := visible[piece].T <= 0).any():
            smallest, largest = np.where(hidden, np.inf, across), np.where(hidden, -np.inf, across)
        low.append(smallest.min(axis=1))
        high.append(largest.max(axis=1))
    return np.concatenate(low, axis=1), np.concatenate(high, axis=1)


def squared_gap(own: Extents, of: Extents, d: IntArray, g: IntArray) -> FloatArray:
    """The squared distance of boxes, which no keypoints inside them go below.

    Args:
        own: Boxes of predicted keypoints, from `extents`.
        of: Boxes of annotated keypoints.
        d: (Q,) int64, which of the first.
        g: (Q,) int64, which of the second each is compared with.

    Returns:
        (Q,) float64, px^2.
    """
    gap = np.zeros(len(d))
    for axis in (0, 1):
        apart = np.maximum(own[0][axis][d] - of[1][axis][g], of[0][axis][g] - own[1][axis][d])
        gap += np.maximum(apart, 0.0) ** 2
    return gap


def squared_reach(annotations: Annotations, rows: IntArray, least: float) -> FloatArray:
    """The squared distance beyond which no keypoint has a similarity of ``least``, which is above 0.

    Returns:
        (R,) float64, px^2, larger than it need be by more than rounding can do.
    """
    widest = (2 * annotations.sigmas.max()) ** 2
    return -2 * np.log(least) * (annotations.areas[rows] + np.spacing(1)) * widest * (1 + 1e-9)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Block:
    """B images with up to D detections and G instances in contested pairs, padded with -1.

    Attributes:
        detections: (B, D) int64, positions in the group's detections.
        instances: (B, G) int64, rows of the annotations, the last of the file first: argmax prefers it among equals.
        oks: (B, D, G) float64, -1 where a detection and an instance are no contested pair.
    """

    detections: IntArray
    instances: IntArray
    oks: FloatArray


def _blocks(members: Group, pairs: _Pairs, thresholds: int) -> Iterator[_Block]:
    """The contested pairs of each image, images of like size together (sizes rounded up to powers of 2)."""
    n = len(members.count)
    image = members.owner[pairs.detections]
    detections, d = _renumbered(pairs.detections, len(members.detections))
    instances, g = _renumbered(pairs.instances, len(members.instances))
    of_image = np.stack(
        [
            np.bincount(image, minlength=n),
            np.bincount(members.owner[detections], minlength=n),
            np.bincount(np.repeat(np.arange(n), members.count)[instances], minlength=n),
        ]
    )
    first_pair, first_detection, first_instance = np.cumsum(of_image, axis=1) - of_image
    n_pairs, depths, widths = of_image
    row = d - first_detection[image]
    column = first_instance[image] + widths[image] - 1 - g
    images = np.flatnonzero(n_pairs)
    classes = np.ceil(np.log2(of_image[1:, images]))
    for size in np.unique(classes, axis=1).T:
        alike = images[(classes == size[:, None]).all(axis=0)]
        depth, width = int(depths[alike].max()), int(widths[alike].max())
        step = max(1, BLOCK // (width * max(thresholds, depth)))
        for part in (alike[i : i + step] for i in range(0, len(alike), step)):
            which = _ranges(first_pair[part], n_pairs[part])
            i, j, k = np.repeat(np.arange(len(part)), n_pairs[part]), row[which], column[which]
            block = _Block(
                np.full((len(part), depth), -1),
                np.full((len(part), width), -1),
                np.full((len(part), depth, width), -1.0),
            )
            block.detections[i, j] = pairs.detections[which]
            block.instances[i, k] = members.instances[pairs.instances[which]]
            block.oks[i, j, k] = pairs.oks[which]
            yield block


def _renumbered(values: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """``np.unique`` with its inverse, of whole numbers below ``n``, without sorting."""
    used = np.zeros(n, dtype=bool)
    used[values] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1)[values]


def _match_block(
    annotations: Annotations, block: _Block, lowest: FloatArray, neutral: BoolArray, taken: IntArray
) -> None:
    """Match the images of a block, writing into ``taken`` (T, P)."""
    images, depth, width = block.oks.shape
    shape = (images, len(lowest), width)
    ignorable = neutral[block.instances]
    crowd = np.broadcast_to(annotations.crowd[block.instances][:, None, :], shape)
    free = np.ones(shape, dtype=bool)
    preference = [~ignorable] if not ignorable.any() else [~ignorable, ignorable]
    for k in range(depth):
        oks = block.oks[:, k, None, :]
        near = (oks >= lowest[:, None]) & free
        undecided = np.ones(shape[:2], dtype=bool)
        for allowed in preference:
            value = np.where(near & allowed[:, None, :], oks, -1.0)
            best = value.argmax(axis=2)
            hit = undecided & (np.take_along_axis(value, best[:, :, None], axis=2)[:, :, 0] >= 0)
            i, t = np.nonzero(hit)
            j = best[i, t]
            free[i, t, j] = crowd[i, t, j]
            taken[t, block.detections[i, k]] = block.instances[i, j]
            undecided &= ~hit
