"""What a row of a page opens to: its card, parameters, environment, training histories, keypoints and costs.

All of it is read off the stored records; nothing is computed but means over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmark.runs.cost import Cost
from benchmark.runs.store import StoredRun
from leaderboard.rows import BoardRow

DIGITS = 5  # of a training history, which is drawn and not computed with
MOST_EPOCHS = 400  # of a history; longer ones are thinned out evenly


def cost_of(row: BoardRow) -> dict[str, float | None]:
    """What a row cost: fit seconds, milliseconds an image, their ratio to a fixed piece of work, memory, energy."""
    return {
        "fit_seconds": row.fit_seconds,
        "predict_ms": row.predict_ms,
        "fit_ratio": row.fit_ratio,
        **{name: row.cost(name) for name in Cost.model_fields},
    }


def details(row: BoardRow, keypoints: Sequence[str]) -> dict[str, Any]:
    """Everything about a row that its figures do not say, as a JSON-able object.

    Args:
        row: Which; a failed one has no figures of keypoints.
        keypoints: Names of the board's keypoints.
    """
    record, facts = row.record, row.record.facts
    return {
        "card": {
            "summary": record.summary,
            "reference": record.reference,
            "version": row.config.detector_version,
            "has_confidence": record.has_confidence,
            "tells_categories": record.tells_categories,
            "rule_structured": record.rule_structured,
            "oracle_features": record.oracle_features,
            "given_boxes": record.given_boxes,
            "external": record.external,
        },
        "specification": record.specification or row.config.detector,
        "parameters": _plain(row.config.parameters),
        "config": {
            "digest": row.config.digest,
            "n_train": row.config.n_train or None,
            "budget": row.config.budget,
            "split": row.config.split,
            "folds": row.config.folds,
            "device": row.config.device,
            "threads": row.config.threads,
        },
        "environment": {
            "hardware": list(row.hardware),
            "packages": {name: list(versions) for name, versions in row.packages.items()},
            "python": facts.python,
            "platform": facts.platform,
            "cores": facts.cores,
            "commit": facts.commit,
            "code": dict(facts.code),
            "code_status": "" if row.code is None else row.code.status,
            "changed_files": [] if row.code is None else list(row.code.files),
        },
        "notes": list(dict.fromkeys(note for run in row.runs for note in run.record.notes)),
        "untrained": row.untrained,
        "runs": [_run(run) for run in row.runs],
        "failures": [{"seed": seed, "error": error} for seed, error in sorted(row.failures.items())],
        "history": [history(run) for run in row.runs],
        "keypoints": {name: row.keypoint(name) for name in keypoints if row.runs and name in row.scores[0].keypoints},
        "labels": row.scores[0].labels if row.scores else {},
        "taxonomy": row.taxonomy,
    }


def history(run: StoredRun) -> dict[str, list[float | None]]:
    """The training history of a run by columns, each value to `DIGITS` digits; empty where it has none.

    Columns that hold no number are left out; a history of more than `MOST_EPOCHS` rows is thinned out, its last row kept.
    """
    rows = run.history
    every = max(1, math.ceil(len(rows) / MOST_EPOCHS))
    chosen = [row for i, row in enumerate(rows) if (len(rows) - 1 - i) % every == 0]
    columns = {name: [_number(row.get(name)) for row in chosen] for name in (rows[0] if rows else {}) if name}
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _run(run: StoredRun) -> dict[str, Any]:
    record = run.record
    return {
        "seed": record.seed,
        "key": record.key,
        "created": record.created,
        "fit_seconds": record.fit_seconds,
        "predict_ms": record.predict_ms,
        "hardware": record.facts.hardware,
        "annotations": record.annotations,
        "digests": dict(record.digests),
        "attempts": list(record.attempts),
    }


def _plain(value: Any) -> Any:
    """A value of a record as strict JSON has it: a number that is not finite becomes its name."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
