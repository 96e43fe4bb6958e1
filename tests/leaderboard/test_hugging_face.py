"""Evaluation results for Hugging Face, read again by its own library."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from benchmark.runs.store import Store
from leaderboard.board import boards
from leaderboard.render.hugging_face import as_yaml


def test_its_own_library_reads_every_figure(filled: Store) -> None:
    (board,) = boards(filled)
    for row in board.finished:
        document = yaml.safe_load(as_yaml(board, row, "me/model", "https://example.org"))
        name, results = model_index_to_eval_results(document["model-index"])
        assert name == "me/model"
        read = {one.metric_type: one.metric_value for one in results}
        assert read == {metric: value for metric, value in row.metrics.items() if value is not None}
        first = results[0]
        assert (first.task_type, first.dataset_type, first.dataset_revision) == (
            "keypoint-detection",
            "made@1",
            board.digest,
        )
        assert (first.source_url, first.dataset_split) == ("https://example.org", "test")
        assert first.dataset_args["seeds"] == list(row.seeds)  # type: ignore[index]


@pytest.mark.parametrize("name", ["a: b", "- x", "!!python/object:os.system x", "{a", "<b>", "'", "\x07\u2028", "yes"])
def test_names_are_text_whatever_they_hold(maker: Any, name: str) -> None:
    annotations = maker.annotations()
    maker.put("x", annotations, maker.answers(annotations), config={"data": name, "detector": name})
    (board,) = boards(maker.store)
    text = as_yaml(board, board.rows[0], name, "https://example.org")
    (index,) = yaml.safe_load(text)["model-index"]
    assert index["name"] == index["results"][0]["dataset"]["config"] == name
    assert text.isascii()
