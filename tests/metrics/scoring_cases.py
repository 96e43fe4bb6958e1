"""Random annotations and predictions for tests, fuzzing and benchmarks of the metrics."""

from __future__ import annotations

import numpy as np

from benchmark.structures import Annotations, FloatArray, Predictions


def made_annotations(
    keypoints: FloatArray,
    *,
    index: FloatArray | None = None,
    images: int | None = None,
    side: int = 28,
    spacing: float | None = 1.0,
    baseline: FloatArray | None = None,
    area: float = 784.0,
    sigma: float = 0.0455,
) -> Annotations:
    """Annotations of (M, K, 2) points, one instance an image unless ``index`` says otherwise, all labelled."""
    m, k = keypoints.shape[:2]
    n = m if images is None else images
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    return Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i:05d}.png" for i in range(n)),
        sizes=np.full((n, 2), side),
        index=np.arange(m) if index is None else np.asarray(index, dtype=np.int64),
        keypoints=np.asarray(keypoints, dtype=np.float64),
        visible=np.full((m, k), 2),
        boxes=np.hstack([low - 3, high - low + 6]),
        areas=np.full(m, area),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.ones(m, dtype=np.int64),
        keypoint_names=tuple(f"p{j}" for j in range(k)),
        sigmas=np.full(k, sigma),
        spacing=None if spacing is None else np.full(k, spacing),
        baseline=baseline,
    )


def single_instance(n: int = 50, k: int = 1, seed: int = 0, noise: float = 1.0) -> tuple[Annotations, Predictions]:
    """One instance an image on whole pixels, a baseline, and predictions with normal errors and distinct scores."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 28, (n, k, 2)).astype(float)
    baseline = np.broadcast_to(rng.uniform(8, 20, (k, 2)), points.shape).copy()
    annotations = made_annotations(points, baseline=baseline)
    scores = rng.permutation(n) / n
    return annotations, Predictions.of_category(
        annotations.image_ids.copy(), points + rng.normal(0, noise, points.shape), scores, 1
    )


def crowded(images: int, instances: int, k: int, seed: int, noise: float = 1.0) -> tuple[Annotations, Predictions]:
    """``instances`` an image, each predicted once, in a shuffled order."""
    rng = np.random.default_rng(seed)
    m = images * instances
    points = rng.uniform(0, 100, (m, 1, 2)) + rng.uniform(-10, 10, (m, k, 2))
    annotations = made_annotations(points, index=np.repeat(np.arange(images), instances), images=images, side=128)
    order = rng.permutation(m)
    predictions = Predictions.of_category(
        annotations.image_ids[annotations.index[order]],
        points[order] + rng.normal(0, noise, points.shape),
        rng.random(m),
        1,
    )
    return annotations, predictions


def awkward(seed: int) -> tuple[Annotations, Predictions]:
    """A small case with all that COCO's rules have an opinion on.

    Ties of scores and of similarity, crowds, instances without labelled keypoints, hidden and unlabelled keypoints,
    1 to 17 keypoints, empty images, images without detections, more than 20 detections, up to three categories (one may
    be crowds only), areas of 0, unsorted image ids, twin instances.
    """
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 18))
    n = int(rng.integers(1, 7))
    most = int(rng.choice([1, 1, 2, 4, 8]))
    index = np.sort(rng.integers(0, n, int(rng.integers(1, n * most + 1))))
    if most == 1:
        index = np.unique(index)
    m = len(index)
    lattice = bool(rng.random() < 0.4)
    points = rng.uniform(0, 40, (m, 1, 2)) + rng.uniform(-8, 8, (m, k, 2))
    if lattice:
        points = np.round(points / 4) * 4
    twins = np.flatnonzero(rng.random(m) < 0.2)
    points[twins] = points[np.maximum(twins - 1, 0)]
    visible = rng.choice([0, 1, 2], (m, k), p=[0.2, 0.2, 0.6])
    visible[rng.random(m) < 0.15] = 0
    low, high = points.min(axis=1), points.max(axis=1)
    categories = rng.integers(1, int(rng.integers(1, 4)) + 1, m)
    crowd = rng.random(m) < rng.choice([0, 0.3])
    if rng.random() < 0.2:
        crowd |= categories == 2
    ids = rng.permutation(np.arange(1, n + 1)) * int(rng.integers(1, 5))
    annotations = Annotations(
        image_ids=ids,
        file_names=tuple(f"{i}.png" for i in range(n)),
        sizes=np.full((n, 2), 64),
        index=index,
        keypoints=points,
        visible=visible,
        boxes=np.hstack([low - 1, high - low + 2]),
        areas=np.where(rng.random(m) < 0.05, 0.0, rng.choice([100.0, 784.0, 4000.0], m)),
        crowd=crowd,
        category_ids=categories,
        keypoint_names=tuple(f"p{j}" for j in range(k)),
        sigmas=rng.uniform(0.02, 0.2, k),
    )
    p = int(rng.integers(1, 2 + 3 * m)) if rng.random() < 0.9 else 60
    near = rng.integers(0, m, p)
    step = rng.normal(0, rng.choice([0.0, 0.5, 3.0, 10.0], (p, 1, 1)), (p, k, 2))
    keypoints = points[near] + (np.round(step) if lattice else step)
    scores = rng.integers(0, 4, p) / 4 if rng.random() < 0.5 else rng.random(p)
    stray = rng.random(p) < 0.15
    image_ids = np.where(stray, rng.choice(ids, p), ids[index[near]])
    predicted_categories = np.where(rng.random(p) < 0.1, rng.choice(categories, p), categories[near])
    return annotations, Predictions(image_ids, keypoints, scores, predicted_categories)
