"""Small made stores: runs with known errors, written through `Store.write` as the runner writes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.code_digest import reached_code
from benchmark.metrics import score
from benchmark.registry import entries
from benchmark.runs.config import RunConfig
from benchmark.runs.facts import Facts
from benchmark.runs.store import FolderRun, Record, Store
from benchmark.structures import Annotations, FloatArray, Predictions


def made_annotations(n: int = 50, k: int = 1, instances: int = 1, seed: int = 0) -> Annotations:
    """n images of 28 x 28 px with ``instances`` each, whole-pixel points, the baseline of a training mean."""
    rng = np.random.default_rng(seed)
    m = n * instances
    points = rng.integers(4, 24, (m, k, 2)).astype(np.float64)
    return Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i:03d}.png" for i in range(1, n + 1)),
        sizes=np.full((n, 2), 28),
        index=np.repeat(np.arange(n), instances),
        keypoints=points,
        visible=np.full((m, k), 2),
        boxes=np.column_stack([points.min(axis=1) - 3, np.full((m, 2), 6.0)]),
        areas=np.full(m, 784.0),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.ones(m, dtype=np.int64),
        keypoint_names=tuple(f"p{j}" for j in range(k)),
        sigmas=np.full(k, 0.0455),
        spacing=np.ones(k),
        baseline=np.full((n, k, 2), 13.25) if instances == 1 else None,
    )


def answers(
    annotations: Annotations, offsets: FloatArray | float = 0.0, scores: FloatArray | None = None
) -> Predictions:
    """The annotated points moved by ``offsets`` (broadcast to (M, K, 2))."""
    moved = annotations.keypoints + np.asarray(offsets)
    confidence = np.ones(len(moved)) if scores is None else scores
    return Predictions.of_category(annotations.image_ids[annotations.index], moved, confidence, 1)


def code_of(name: str) -> dict[str, str]:
    """The code of a built-in detector as it is now; of any other name something made up."""
    return next((reached_code(entry.module) for entry in entries().get(name, [])), {"somewhere": "0"})


class Maker:
    """Puts runs into a store."""

    annotations = staticmethod(made_annotations)
    answers = staticmethod(answers)

    def __init__(self, root: Path) -> None:
        self.store = Store(root)

    def put(
        self,
        detector: str,
        annotations: Annotations,
        predictions: Predictions | None,
        seed: int = 0,
        *,
        created: str = "2026-01-01T00:00:00+00:00",
        config: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        **fields: Any,
    ) -> FolderRun:
        """Store a run; without predictions a failed one."""
        known: dict[str, Any] = {
            "task": "made",
            "version": 1,
            "data": "dots",
            "data_digest": "d" * 64,
            "n_train": 100,
            "detector": detector,
            "name": detector.partition(":")[0],
        }
        made = RunConfig(**{**known, **(config or {})})
        failed = predictions is None
        record = Record(
            status="failed" if failed else "finished",
            key=made.key(seed),
            config=made,
            seed=seed,
            annotations=self.store.put_annotations(annotations),
            created=created,
            facts=Facts(**{"python": "3.12", "code": code_of(made.name), **(facts or {})}),
            **{"fit_seconds": None if failed else 1.0, "predict_ms": None if failed else 0.5, **fields},
        )
        if predictions is not None:
            record.scores = score(annotations, predictions, has_scores=record.has_confidence).as_dict()
        return self.store.write(record, predictions=predictions)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "results")


@pytest.fixture
def annotations() -> Annotations:
    return made_annotations()


@pytest.fixture
def filled(maker: Maker) -> Store:
    """Three seeds of four rows (one of them leads, two are alike), two reference rows, a failed row."""
    rng = np.random.default_rng(7)
    annotations = made_annotations(200)
    n = len(annotations)
    for seed in range(3):
        for name, spread, cost in (("sharp", 0.3, 9.0), ("blunt", 1.5, 2.0), ("twin", 1.5, 1.0), ("wild", 6.0, 0.1)):
            noise = rng.normal(0, spread, (n, 1, 2))
            scores = rng.permutation(n) / n if name == "sharp" else None
            maker.put(
                name,
                annotations,
                answers(annotations, noise, scores),
                seed,
                fit_seconds=cost + seed,
                has_confidence=name == "sharp",
                n_parameters=1234 if name == "sharp" else None,
                untrained={"mean": 9.0, "exact": 0.02} if name == "sharp" else {},
            )
    assert annotations.baseline is not None
    maker.put("mean", annotations, answers(annotations, annotations.baseline - annotations.keypoints), ranked=False)
    maker.put("rule", annotations, answers(annotations), ranked=False)
    maker.put("broken", annotations, None, error="ValueError: loss is nan")
    return maker.store


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line; returns exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run
