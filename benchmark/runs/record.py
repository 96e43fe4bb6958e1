"""What is written of a run: ``run.json``, checked whenever it is read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.runs.config import RunConfig
from benchmark.runs.cost import Cost
from benchmark.runs.facts import Facts
from benchmark.structures import UserError

SCHEMA = 2


class Record(BaseModel):
    """``run.json``: one detector, fitted once with one seed, and scored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: Literal[2] = 2
    status: Literal["finished", "failed"]
    key: str
    config: RunConfig
    seed: int = Field(ge=0, le=2**32 - 1)
    specification: str = Field(default="", description="the detector as it was asked for")
    annotations: str = Field(
        pattern="^[0-9a-f]{16}$", description="digest of what it was scored against, a file in _annotations/"
    )
    summary: str = Field(default="", description="the detector in one line")
    reference: str = Field(default="", description="paper, formula or upstream file")
    has_confidence: bool = Field(default=False, description="whether the detector's scores carry confidence")
    tells_categories: bool = Field(default=True, description="whether it answers one of several categories by itself")
    ranked: bool = Field(default=True, description="False: shown for comparison, neither ranked nor tested")
    rule_structured: bool = Field(default=False, description="the network's structure is the rule of a task itself")
    oracle_features: bool = Field(
        default=False, description="a linear fit on its hand-made inputs is 99.9 % exact on train"
    )
    given_boxes: bool = Field(default=False, description="it was told where the test instances are (boxes=truth)")
    span: tuple[float, float] | None = Field(
        default=None, description="the values that became 0 and 255, of images of more than 8 bits"
    )
    as_stored: bool = Field(
        default=False,
        description="photographs that say they are to be turned (EXIF) were learned from as they are stored",
    )
    notes: list[str] = Field(default_factory=list, description="what its fit chose and set aside")
    external: bool = Field(default=False, description="predictions made by another tool")
    fit_seconds: float | None = Field(default=None, ge=0, le=1e9)
    predict_ms: float | None = Field(default=None, ge=0, le=1e12, description="milliseconds an image")
    n_parameters: int | None = Field(default=None, ge=0, le=2**53, description="number of learned parameters")
    cost: Cost = Field(default_factory=Cost, description="what else it cost")
    untrained: dict[str, float] = Field(
        default_factory=dict, description="scores before any training, where it reports them"
    )
    scores: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    failure: Literal["", "raised", "exited", "killed", "timeout", "memory", "lost"] = Field(
        default="", description="how it failed: by an error, its process ended or was ended, or its machine was lost"
    )
    attempts: list[str] = Field(default_factory=list, description="how earlier attempts at this run failed, in order")
    digests: dict[str, str] = Field(default_factory=dict, description="sha256 of the files written beside this one")
    created: str = ""
    facts: Facts = Field(default_factory=Facts)


class Damaged(UserError):
    """A record that is cut off or no record at all: the run does not count, and can be made again."""


def read_record(text: bytes | str, origin: str, mend: str = "delete the folder and run it again") -> Record:
    """A record from JSON text.

    Raises:
        Damaged: Naming ``origin`` and the field, where it is not one.
        UserError: Where it is of another schema.
    """
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("schema_version",) and type(first["input"]) is int:
            older = first["input"] < SCHEMA
            raise UserError(
                f"{origin}: is of schema {first['input']}, and this version of keypoint-benchmark reads {SCHEMA}: "
                + (
                    "run it again in another --results folder"
                    if older
                    else "use a newer version, or another --results folder"
                )
            ) from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Damaged(f"{origin}: {where}: {first['msg']}; {mend}") from error
