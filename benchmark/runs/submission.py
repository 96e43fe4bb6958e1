"""Who submits rows, and what they say of them: a small file beside the runs, kept in their bundle.

A person writes it as YAML, and ``python -m benchmark submit --about FILE`` puts it into the bundle as ``submission.json``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from benchmark.yaml_file import read_yaml

MOST_BYTES = 1 << 16


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a control character or a line break")
    if text != text.strip():
        raise ValueError("begins or ends with a space")
    return text


def _link(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s<>\"'()]+", text):
        raise ValueError("is not a link that begins with https://")
    return text


Line = Annotated[str, AfterValidator(_printable)]


class Submission(BaseModel):
    """What is said of submitted rows. All of it is shown to people, and none of it decides a figure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line = Field(min_length=1, max_length=100, description="who answers for the rows")
    contact: Line = Field(default="", max_length=200, description="where questions go; may be left out")
    license: Line = Field(
        min_length=1,
        max_length=60,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.+ -]*$",
        description="of the rows, figures and predictions: an SPDX identifier such as CC-BY-4.0",
    )
    code: Annotated[Line, AfterValidator(_link)] = Field(
        default="", max_length=300, description="a link to what made them; may be left out"
    )
    training_data: Line = Field(
        min_length=1, max_length=500, description="what it learned from, pretraining included, in a sentence"
    )


def read_about(path: Path) -> Submission:
    """What a YAML file says of rows.

    Raises:
        UserError: Naming the file and the entry that is missing or wrong.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: give entries, as name: and license: ({_fields()})")
    return _checked(content, str(path))


def from_json(content: bytes, origin: str) -> Submission:
    """What a bundle says of its rows.

    Raises:
        UserError: Naming ``origin`` and the entry that is missing or wrong.
    """
    import json

    try:
        read = json.loads(content[: MOST_BYTES + 1])
    except (ValueError, RecursionError) as error:
        raise UserError(f"{origin}: is not JSON that is read here ({error}); get it again") from error
    return _checked(read, origin)


def _checked(content: Any, origin: str) -> Submission:
    try:
        return Submission.model_validate(content)
    except ValidationError as error:
        errors = error.errors()
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])  # a misspelt name first
        where = ".".join(map(str, first["loc"])) or "the file"
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{origin}: there is no entry {where!r}{suggestion(where, Submission.model_fields)}"
            ) from error
        if first["type"] == "missing":
            raise UserError(f"{origin}: {where} is missing: {Submission.model_fields[where].description}") from error
        why = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{origin}: {where}: {why[:1].lower()}{why[1:]}") from error


def _fields() -> str:
    return "; ".join(f"{name}: {field.description}" for name, field in Submission.model_fields.items())
