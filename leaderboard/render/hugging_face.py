"""Rows of a board as Hugging Face's evaluation results: the ``model-index`` of a model card's YAML header.

https://huggingface.co/docs/hub/model-cards#evaluation-results. Paste it into the header of a model's ``README.md``; the
hub shows the figures beside the model. The revision is the digest of the data.
"""

from __future__ import annotations

from typing import Any

import yaml

from benchmark.metrics import metrics
from leaderboard.board import Board
from leaderboard.rows import BoardRow

TASK = "keypoint-detection"  # as the hub calls it


def model_index(board: Board, row: BoardRow, model: str, source: str = "") -> dict[str, Any]:
    """A row as a model index.

    Args:
        board: Its board.
        row: A finished one.
        model: What the model is called on the hub.
        source: A link to where the figures are published; "" for none.

    Returns:
        What the YAML says, every metric that has a value included; seeds, images and digest of the data beside them.
    """
    config = row.config
    dataset = {
        "name": f"{board.task}@{board.version} on {board.data}",
        "type": f"{board.task}@{board.version}",
        "config": board.data,
        "split": f"{board.folds} folds" if board.folds else "test",
        "revision": board.digest,
        "args": {
            "images": board.images,
            "keypoints": list(board.keypoints),
            "training_images": config.n_train,
            "seeds": list(row.seeds),
        },
    }
    measured = [
        {
            "type": name,
            "name": metrics()[name].summary if name in metrics() else name,
            "value": value,
            "args": {"unit": metrics()[name].unit} if name in metrics() and metrics()[name].unit else {},
        }
        for name, value in row.metrics.items()
        if value is not None
    ]
    result: dict[str, Any] = {
        "task": {"type": TASK, "name": "Keypoint Detection"},
        "dataset": dataset,
        "metrics": [{key: value for key, value in one.items() if value != {}} for one in measured],
    }
    if source:  # the hub takes no source without a link
        result["source"] = {"name": f"keypoint-benchmark: {row.label}", "url": source}
    return {"model-index": [{"name": model, "results": [result]}]}


def as_yaml(board: Board, row: BoardRow, model: str, source: str = "") -> str:
    """`model_index` as YAML text; names are quoted where YAML would read something else in them."""
    text: str = yaml.safe_dump(
        model_index(board, row, model, source), sort_keys=False, allow_unicode=False, width=10_000
    )
    return text
