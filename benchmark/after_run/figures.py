"""What there is to tell of a run: the same names and figures for every writer."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from benchmark.runs.store import StoredRun


def about(run: StoredRun) -> dict[str, Any]:
    """Which run it is, and how it came out: text and whole numbers, flat."""
    record, config = run.record, run.record.config
    return {
        "key": record.key,
        "status": record.status,
        "task": f"{config.task}@{config.version}",
        "data": config.data,
        "detector": config.detector,
        "n_train": config.n_train,
        "seed": record.seed,
        "budget": config.budget,
        "device": config.device,
        "created": record.created,
        "place": run.place,
        "error": record.error,
    }


def figures(run: StoredRun) -> dict[str, float]:
    """Every metric that has a value, and what the run cost; px, shares, seconds. Empty of a failed run."""
    record = run.record
    found = {name: value for name, value in record.scores.items() if type(value) in (int, float)}
    found |= {"fit_seconds": record.fit_seconds, "predict_ms": record.predict_ms, "n_parameters": record.n_parameters}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def history(run: StoredRun) -> list[tuple[int, dict[str, float]]]:
    """The training history: (epoch, figures by name) a row; the position where a row names no epoch."""
    rows = []
    for i, row in enumerate(run.history):
        values: dict[str, float] = {}
        for name, text in row.items():
            with suppress(TypeError, ValueError):
                values[name] = float(text)
        step = values.pop("epoch", float(i))
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        rows.append((int(step) if math.isfinite(step) else i, finite))
    return rows
