"""Boards as one JSON document, and its JSON Schema, which is published as ``leaderboard/leaderboard.schema.json``.

The models here say what the document holds: the schema is made of them and of the metric registry (`schema`), and a test
holds the published file against it and every board against the file. ``LEADERBOARD.json`` and ``leaderboard --json`` are
the rows alone: a list, each entry as ``#/$defs/Row`` of the schema says.

A reader may rely on a `NAME` that it knows: what is there keeps its meaning, and fields are only added. Where that cannot
be, the number in it rises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.metrics import metrics
from leaderboard.board import Board
from leaderboard.render.selection import ALL, Selection
from leaderboard.render.tables import as_dict, as_rows
from leaderboard.reported import reported, source

NAME = "keypoint-benchmark/leaderboard/1"
SCHEMA = Path(__file__).parents[1] / "leaderboard.schema.json"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Row(BaseModel):
    """A row of a board: all the seeds of one configuration. Every further field is a metric or a cost."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    detector: str = Field(description="the detector, with the parameters that are not its defaults")
    row: str = Field(description="unique on its board")
    task: str
    version: int = Field(description="of the task")
    data: str = Field(description="what the newest run calls the data")
    data_digest: str = Field(description="of the data's content")
    n_train: int | None = Field(description="training images; null where another tool was trained")
    budget: str = Field(description="recipe, or a limit such as 20epochs")
    status: Literal["finished", "failed"]
    ranked: bool = Field(description="false: a reference row, neither ranked nor tested")
    position: int | None = Field(description="place in the order of the board, from 1")
    rank: str | None = Field(description="3, or 3-5 where tests leave several open; null: not tested")
    rank_low: int | None = Field(description="the best rank it may have")
    rank_high: int | None = Field(description="the worst rank it may have")
    untested: Literal["", "unranked", "other_seeds_or_images", "too_few_answers"] = Field(
        description="why it has no rank"
    )
    advised: bool = Field(description="whether it is the row to use")
    seeds: list[int] = Field(description="those that finished")
    failed_seeds: list[int]
    error: str = Field(description="why it failed, in one line; empty where every seed finished")
    marks: list[str] = Field(description="codes, such as oracle_features")
    pair: str = Field(default="", description="two keypoints, whose distance the metrics of a pair are relative to")
    mean_low: float | None = Field(description="px; 95 % interval of the mean error; null: without a bound, or unknown")
    mean_high: float | None = Field(description="px")
    mean_interval: str | None = Field(description="its method, in words")
    exact_low: float | None = Field(description="share; 95 % interval of the share exact")
    exact_high: float | None = Field(description="share")
    exact_interval: str | None = Field(description="its method, in words")
    untrained_mean: float | None = Field(description="px, before any training")
    untrained_exact: float | None = Field(description="share, before any training")
    fit_seconds: float | None = Field(description="mean over seeds")
    predict_ms: float | None = Field(description="milliseconds an image, mean over seeds")
    n_parameters: int | None = Field(description="learned parameters")
    device: str
    threads: int
    processor: str
    instruction_set: str
    code: str = Field(description="current, changed or unknown since it was run; empty for another tool's predictions")
    changed_files: list[str]
    config: str = Field(description="16 hex digits over all that decides the outcome but the seed")
    name: str = Field(description="the detector without its parameters")
    detector_version: int
    parameters: dict[str, Any]
    annotations: str = Field(description="digest of what it was scored against")
    keypoints: dict[str, dict[str, float | None]] = Field(description="keypoint -> its pixel metrics")
    taxonomy: dict[str, float] = Field(description="kind of error -> number of keypoints, mean over seeds")


class Note(BaseModel):
    """Something to know of a board: a code, and the figures and names that belong to it."""

    model_config = ConfigDict(extra="allow")

    code: str


class Advice(_Closed):
    """The row to use."""

    code: Literal["shown", "not_shown", "no_better_than_mean", "one_row", "untested"]
    name: str | None = Field(description="the row to use, or the best where none is shown to be")
    leader: str | None
    margin: float | None = Field(description="px")
    qualifying: list[str]
    images_needed: int | None


class Separation(_Closed):
    """What would tell the leader from the next row that is seen to be worse, and not shown to be."""

    leader: str
    other: str
    rows: int
    code: str
    seeds: int | None
    images: int | None
    seeds_seen: int
    images_seen: int
    grouped: bool


class Reported(_Closed):
    """What the notes this suite began with reported of a system: neither ranked nor tested, with its faults."""

    system: str
    images: int
    split: Literal["validation"]
    figures: dict[str, float] = Field(description="metric -> figure, in scaled units (1 is 14 px)")
    mean_px: float | None
    rmse_px: float | None
    faults: list[str] = Field(min_length=1, description="what is known to be wrong with it")
    file: str = Field(description="of the public repository, that holds the figures; empty for none")
    ours: str | None = Field(description="the row of this board that is most alike")


class BoardDocument(_Closed):
    """One task, version and data content."""

    task: str
    version: int
    data: str
    data_digest: str
    folds: int = Field(description="0: none")
    images: int = Field(description="test images")
    keypoints: list[str]
    multi_instance: bool
    pair: tuple[str, str] | None
    failure: float = Field(description="px: how bad a failure is on these images, for the tests")
    marks: dict[str, int] = Field(description="mark -> number of rows that carry it")
    advice: Advice
    unaided: Advice | None = Field(description="among rows without oracle features or the rule in their structure")
    separation: Separation | None
    notes: list[Note]
    text: list[str] = Field(description="advice and notes, as sentences")
    rows: list[Row]
    reported: list[Reported]
    reported_source: str | None


class Leaderboard(_Closed):
    """Boards of keypoint-benchmark: figures scored from stored predictions, and what tests show of them."""

    schema_: Literal["keypoint-benchmark/leaderboard/1"] = Field(alias="schema")
    boards: list[BoardDocument]


def document(boards: Sequence[Board], selection: Selection = ALL) -> dict[str, Any]:
    """The boards as a JSON-able object.

    Args:
        boards: In the order they stand in it.
        selection: Which rows of them.
    """
    return {"schema": NAME, "boards": [_board(board, selection) for board in boards]}


def schema() -> dict[str, Any]:
    """The JSON Schema of `document`: that of the models, with every metric of the registry described."""
    made = Leaderboard.model_json_schema()
    described = {
        name: {
            "description": entry.summary + (f" ({entry.unit})" if entry.unit else ""),
            "type": ["number", "null"],
        }
        for name, entry in metrics().items()
    }
    made["$defs"]["Row"]["properties"] |= described
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text() -> str:
    """The published file."""
    return json.dumps(schema(), indent=1) + "\n"


def _board(board: Board, selection: Selection) -> dict[str, Any]:
    known = reported(board)
    return {
        **as_dict(board),
        "rows": as_rows(board, selection),
        "reported": [one.as_dict() for one in known],
        "reported_source": source() if known else None,
    }
