"""The whole table against a second scorer in plain Python, one image, instance and keypoint at a time, on awkward data.

The rules are written down here once more, from the definitions of the metrics and the description of COCO's evaluation:
nothing of `benchmark.metrics` is used but the function under test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import awkward, single_instance

from benchmark.metrics import score
from benchmark.structures import Annotations, Predictions

Point = tuple[float, float]
EPSILON = float(np.spacing(1))


@dataclass
class Instance:
    image: int
    points: list[Point]
    labelled: list[bool]
    box: list[float]
    area: float
    crowd: bool
    category: int

    @property
    def ignored(self) -> bool:
        return self.crowd or not any(self.labelled)


@dataclass
class Answer:
    image_id: int
    points: list[Point]
    score: float
    category: int


def instances_of(annotations: Annotations) -> list[Instance]:
    return [
        Instance(
            int(annotations.index[m]),
            [tuple(p) for p in annotations.keypoints[m].tolist()],
            [v > 0 for v in annotations.visible[m].tolist()],
            annotations.boxes[m].tolist(),
            float(annotations.areas[m]),
            bool(annotations.crowd[m]),
            int(annotations.category_ids[m]),
        )
        for m in range(len(annotations.index))
    ]


def answers_of(predictions: Predictions) -> list[Answer]:
    return [
        Answer(i, [tuple(p) for p in points], s, c)
        for i, points, s, c in zip(
            predictions.image_ids.tolist(),
            predictions.keypoints.tolist(),
            predictions.scores.tolist(),
            predictions.category_ids.tolist(),
        )
    ]


def oks(answer: Answer, instance: Instance, sigmas: list[float]) -> float:
    terms = []
    for (px, py), (x, y), labelled, sigma in zip(answer.points, instance.points, instance.labelled, sigmas):
        dx, dy = px - x, py - y
        if not any(instance.labelled):
            left, top, width, height = instance.box
            dx = max(0.0, left - width - px) + max(0.0, px - (left + 2 * width))
            dy = max(0.0, top - height - py) + max(0.0, py - (top + 2 * height))
        elif not labelled:
            continue
        terms.append(math.exp(-((dx**2 + dy**2) / (2 * sigma) ** 2 / (instance.area + EPSILON) / 2)))
    return sum(terms) / len(terms)


def matched(answers: list[Answer], instances: list[Instance], sigmas: list[float]) -> dict[int, int]:
    """Answer -> instance of one image and category, as COCO's evaluator words it, at a similarity of .1."""
    order = sorted(range(len(instances)), key=lambda m: instances[m].ignored)
    taken: set[int] = set()
    choices = {}
    for p in sorted(range(len(answers)), key=lambda p: -answers[p].score):
        best, choice = 0.1, None
        for m in order:
            if m in taken and not instances[m].crowd:
                continue
            if choice is not None and not instances[choice].ignored and instances[m].ignored:
                break
            if (value := oks(answers[p], instances[m], sigmas)) < best:
                continue
            best, choice = value, m
        if choice is not None:
            taken.add(choice)
            choices[p] = choice
    return choices


def kind(at: Point, own: Instance, j: int, others: list[Instance], sigmas: list[float]) -> str:
    def similar(instance: Instance, k: int) -> float:
        (x, y), s = instance.points[k], sigmas[k]
        d2 = (at[0] - x) ** 2 + (at[1] - y) ** 2
        return math.exp(-d2 / (2 * (instance.area + EPSILON) * (2 * s) ** 2)) if instance.labelled[k] else -1.0

    kinds = {
        "jitter": similar(own, j),
        "inversion": max((similar(own, k) for k in range(len(sigmas)) if k != j), default=-1.0),
        "swap": max((similar(o, k) for o in others if not o.crowd for k in range(len(sigmas))), default=-1.0),
    }
    name = max(kinds, key=kinds.__getitem__)
    return name if kinds[name] >= 0.5 else "miss"


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def plain(
    annotations: Annotations, predictions: Predictions
) -> tuple[dict[str, Any], dict[str, int], list[tuple[Any, Any]]]:
    """Every pixel metric, misses, precision and recall; the taxonomy; mean distance and share exact of each image."""
    instances, answers, sigmas = instances_of(annotations), answers_of(predictions), annotations.sigmas.tolist()
    by_image = [[m for m, i in enumerate(instances) if i.image == n] for n in range(len(annotations))]
    one = all(len(own) <= 1 and not any(instances[m].crowd for m in own) for own in by_image)
    pairs: list[tuple[int, int | None]] = []
    spare = 0
    for n, image_id in enumerate(annotations.image_ids.tolist()):
        here = [p for p, a in enumerate(answers) if a.image_id == image_id]
        if one:
            asked = [m for m in by_image[n] if not instances[m].ignored]
            for own in asked:
                pairs.append((own, max(here, key=lambda p: answers[p].score, default=None)))
            if (
                asked or not by_image[n]
            ):  # nobody knows what there is to find of an instance without a labelled keypoint
                spare += max(0, len(here) - len(asked))
            continue
        for category in sorted({answers[p].category for p in here}):
            ps = [p for p in here if answers[p].category == category]
            ms = [m for m in by_image[n] if instances[m].category == category]
            links = matched([answers[p] for p in ps], [instances[m] for m in ms], sigmas)
            spare += len(ps) - len(links)
            pairs += [(ms[m], ps[p]) for p, m in links.items() if not instances[ms[m]].ignored]

    d, dx, dy, sx, sy, hits, whole = [], [], [], [], [], [], []
    of_image: list[tuple[list[float], list[float]]] = [([], []) for _ in range(len(annotations))]
    squares: dict[tuple[int, int], list[float]] = {}
    spreads: dict[tuple[int, int], list[float]] = {}
    b, kinds = [], dict.fromkeys(("exact", "jitter", "inversion", "swap", "miss"), 0)
    spacing = [math.nan] * len(sigmas) if annotations.spacing is None else annotations.spacing.tolist()
    for m, p in pairs:
        instance = instances[m]
        width, height = annotations.sizes[instance.image].tolist()
        own_hits = []
        for j, (x, y) in enumerate(instance.points):
            if not instance.labelled[j]:
                continue
            ex, ey = (width, height) if p is None else (answers[p].points[j][0] - x, answers[p].points[j][1] - y)
            d.append(math.sqrt(ex * ex + ey * ey))
            of_image[instance.image][0].append(d[-1])
            dx.append(abs(ex))
            dy.append(abs(ey))
            sx.append(abs(ex) * 2 / width)
            sy.append(abs(ey) * 2 / height)
            q = 1.0 if math.isnan(spacing[j]) else spacing[j]
            exact = p is not None and abs(ex) < q / 2 and abs(ey) < q / 2
            if not math.isnan(spacing[j]):
                own_hits.append(exact)
            if p is not None:
                others = [instances[o] for o in by_image[instance.image] if o != m]
                kinds["exact" if exact else kind(answers[p].points[j], instance, j, others, sigmas)] += 1
            if annotations.baseline is not None:
                bx, by = annotations.baseline[instance.image, j].tolist()
                b.append(math.hypot(x - bx, y - by))
                for axis, (e, s) in enumerate(((ex, x - bx), (ey, y - by))):
                    squares.setdefault((j, axis), []).append(e * e)
                    spreads.setdefault((j, axis), []).append(s * s)
        hits += own_hits
        of_image[instance.image][1].extend(own_hits)
        whole += [all(own_hits)] if own_hits else []
    counted = [i for i in instances if not i.ignored]
    answered = sum(p is not None for _, p in pairs)
    kinds["miss"] += sum(sum(i.labelled) for i in counted) - sum(kinds.values())
    table: dict[str, Any] = {
        "mean": mean(d), "median": quantile(d, 0.5) if d else None, "p95": quantile(d, 0.95) if d else None,
        "max": max(d, default=None), "rmse": math.sqrt(math.fsum(v * v for v in d) / len(d)) if d else None,
        "exact": mean(hits), "exact_all": mean(whole),
        **{f"pck@{t:g}": mean([v <= t for v in d]) for t in (0.5, 1, 2, 3)},
        "auc": mean([max(0.0, 1 - v / 3) for v in d]), "mae_x": mean(dx), "mae_y": mean(dy),
        "mse": mean([v * v for v in (*sx, *sy)]), "mae": mean([*sx, *sy]),
        "dist_avg": mean([math.hypot(*s) for s in zip(sx, sy)]), "sqdist_avg": mean([u * u + v * v for u, v in zip(sx, sy)]),
        "r2": mean([1 - math.fsum(squares[at]) / math.fsum(spreads[at]) for at in squares]),
        "sqdist_r2": 1 - math.fsum(v * v for v in d) / math.fsum(v * v for v in b) if b else None,
        "dist_r2": 1 - math.fsum(d) / math.fsum(b) if b else None,
        "misses": len(counted) - answered,
    }  # fmt: skip
    if not one:
        table["precision"] = answered / (answered + spare) if answered + spare else None
        table["recall"] = answered / len(counted) if counted else None
    return table, kinds, [(mean(distances), mean(shares)) for distances, shares in of_image]


def agree(annotations: Annotations, predictions: Predictions) -> dict[str, int]:
    scores = score(annotations, predictions)
    table, kinds, of_image = plain(annotations, predictions)
    assert set(table) <= set(scores)
    for name, value in table.items():
        assert (scores[name] is None) == (value is None), name
        assert value is None or scores[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert (name in scores.reasons) == (value is None), name
    assert scores.taxonomy == kinds
    for n, wanted in enumerate(of_image):
        for have, want in zip((scores.distances[n], scores.exact[n]), wanted):
            assert have == pytest.approx(math.nan if want is None else want, rel=1e-9, abs=1e-12, nan_ok=True)
    return kinds


def test_four_hundred_awkward_cases() -> None:
    """Crowds, unlabelled and hidden keypoints, several instances and categories, ties, areas of 0, any lattice."""
    total = dict.fromkeys(("exact", "jitter", "inversion", "swap", "miss"), 0)
    for seed in range(400):
        annotations, predictions = awkward(seed)
        rng = np.random.default_rng(seed)
        n, k = len(annotations), len(annotations.keypoint_names)
        if seed % 3:
            annotations = replace(
                annotations, spacing=rng.choice([0.5, 1.0, 3.0, np.nan], k), sizes=rng.integers(20, 90, (n, 2))
            )
        if seed % 2:
            annotations = replace(annotations, baseline=rng.uniform(0, 40, (n, k, 2)))
        for name, count in agree(annotations, predictions).items():
            total[name] += count
    assert min(total.values()) > 50, total


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_one_instance_an_image(seed: int) -> None:
    """Images without an answer, with several, unlabelled keypoints, images of other sizes."""
    rng = np.random.default_rng(seed)
    annotations, predictions = single_instance(int(rng.integers(1, 12)), int(rng.integers(1, 4)), seed, 1.5)
    n, k = len(annotations), len(annotations.keypoint_names)
    visible = rng.choice([0, 1, 2], (n, k), p=[0.2, 0.2, 0.6])
    visible[:, 0] = 2
    annotations = replace(annotations, visible=visible, sizes=rng.integers(20, 90, (n, 2)))
    rows = rng.integers(0, n, int(rng.integers(0, 2 * n)))
    scores = rng.integers(0, 3, len(rows)) / 3
    agree(
        annotations,
        Predictions.of_category(
            predictions.image_ids[rows], predictions.keypoints[rows] + rng.normal(0, 1, (len(rows), k, 2)), scores, 1
        ),
    )
