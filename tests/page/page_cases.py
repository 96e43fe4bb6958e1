"""Boards made in memory, for tests of the page: no file is written, so 200 of them cost little."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Results, StoredRun
from benchmark.structures import Annotations, Category, Predictions
from leaderboard.board import Board, boards

_NUMBERS = count()


class MadeRun(StoredRun):
    """A run in memory."""

    def __init__(self, record: Record, annotations: Annotations, predictions: Predictions | None) -> None:
        self.record, self.place, self._known = record, "made", (annotations, predictions)
        self._number = next(_NUMBERS)  # an id() is used again, and scores are remembered by it

    @property
    def annotations(self) -> Annotations:
        return self._known[0]

    @property
    def predictions(self) -> Predictions:
        assert self._known[1] is not None
        return self._known[1]

    @property
    def history_text(self) -> str:
        return "epoch,loss,word\n0,1.23456789,x\n1,nan,x\n2,0.5,x\n"

    @property
    def fingerprint(self) -> Any:
        return self._number


class Made(Results):
    """Runs in memory."""

    root = Path("made")

    def __init__(self, runs: list[MadeRun]) -> None:
        self._runs = runs

    def runs(self) -> Iterator[StoredRun]:
        return iter(self._runs)


def run(detector: str, seed: int, annotations: Annotations, predictions: Predictions | None, **fields: Any) -> MadeRun:
    config = RunConfig(
        task="made", version=1, data="dots", data_digest="d" * 64, n_train=9, detector=detector, name=detector
    )
    record = Record(
        status="finished" if predictions is not None else "failed",
        key=config.key(seed),
        config=config,
        seed=seed,
        annotations=annotations.digest[:16],
        **{"fit_seconds": 1.0, "predict_ms": 2.0, "created": "2026-01-01", **fields},
    )
    return MadeRun(record, annotations, predictions)


def annotated(n: int, k: int, instances: int = 1, seed: int = 0) -> Annotations:
    """n images of 28 x 28 px with labels, ``instances`` each (of two categories in turn), whole-pixel points."""
    rng = np.random.default_rng(seed)
    m = n * instances
    points = rng.integers(4, 24, (m, k, 2)).astype(np.float64)
    return Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i}.png" for i in range(n)),
        sizes=np.tile([28, 30], (n, 1)),
        index=np.repeat(np.arange(n), instances),
        keypoints=points,
        visible=np.full((m, k), 2),
        boxes=np.column_stack([points.min(axis=1) - 3, np.full((m, 2), 6.0)]),
        areas=np.full(m, 784.0),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.arange(m) % instances + 1,
        keypoint_names=tuple(f"<b>{j}" for j in range(k)),
        sigmas=np.full(k, 0.09),
        spacing=np.ones(k),
        labels=rng.integers(0, 4, n) if instances == 1 else None,
        baseline=np.full((n, k, 2), 13.25) if instances == 1 else None,
        categories=tuple(Category(c + 1, f"kind {c}") for c in range(instances)),
    )


def answering(
    annotations: Annotations, rng: np.random.Generator, spread: float, missed: float = 0.0, whole: bool = False
) -> Predictions:
    """Answers ``spread`` px off, a few by far; ``whole``: in whole pixels, mostly right."""
    shape = annotations.keypoints.shape
    offsets = rng.normal(0, spread, shape) * np.where(rng.random(shape[:2])[..., None] < 0.03, 12, 1)
    if whole:
        offsets = np.rint(offsets)
    kept = np.flatnonzero(rng.random(len(offsets)) >= missed)
    return Predictions(
        annotations.image_ids[annotations.index[kept]],
        (annotations.keypoints + offsets)[kept],
        rng.random(len(kept)),
        annotations.category_ids[kept],
    )


def filled(annotations: Annotations, missed: float = 0.0, rows: int = 7) -> Board:
    """Rows from good to bad, two alike, one deterministic, some on other seeds, a reference and a failure."""
    rng = np.random.default_rng(5)
    runs = []
    for i in range(rows):
        spread = (0.2, 0.28, 0.3, 0.3, 0.6, 0.9, 2.5)[i % 7]
        given = [answering(annotations, rng, spread, missed, whole=i in (1, 2)) for _ in range(4)]
        given = [given[0]] * 4 if i == 4 else given
        seeds = {5: (0, 1), 6: (0, 1, 2, 3)}.get(i, (0, 1, 2))
        runs += [run(f"row{i}", seed, annotations, given[seed]) for seed in seeds]
    runs += [
        run("twin", seed, annotations, answering(annotations, np.random.default_rng(5), 0.2, missed))
        for seed in (0, 1, 2)
    ]
    runs += [run("reference", 0, annotations, answering(annotations, rng, 5.0, missed), ranked=False)]
    runs += [run("broken", 0, annotations, None, error="ValueError: <i>nan</i>")]
    (board,) = boards(Made(runs))
    return board


def inaccessible(page: Any) -> list[str]:
    """What of a page, as it is now, no screen reader or keyboard can use, by the rules of axe-core; none is meant to be."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]
