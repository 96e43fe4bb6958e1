"""What the working notes this suite began with reported of their systems, beside our rows of the same: ``notes/reported.yaml``.

Their harness had faults, their images are others, and they fitted once; so these figures are neither ranked nor tested,
and no figure of a board is made of them. Pixels follow from scaled units: mean px = 14 x ``dist_avg``, and the root mean
square distance, rmse px = 14 x sqrt(2 x ``mse``), as ``mse`` is a mean over both coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmark.yaml_file import read_yaml
from leaderboard.board import Board
from leaderboard.rows import BoardRow

FILE = Path(__file__).parent / "notes" / "reported.yaml"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    task: str
    images: int = Field(description="of the validation split it was measured on")
    reported: dict[str, float] = Field(description="metric of this suite -> what the notes report, in scaled units")
    ours: tuple[str, ...] = Field(description="our rows of that system, the most alike first")
    faults: tuple[str, ...] = Field(min_length=1, description="codes, keys of the file's faults")
    file: str = Field(default="", description="of the repository, that holds the figures; empty: none does")


class _Notes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    data: str = Field(description="the preset whose boards they are shown beside")
    version: int = Field(description="of the tasks, likewise")
    px: float = Field(description="of a distance of 1 in scaled units")
    faults: dict[str, str]
    rows: tuple[_Row, ...]


@dataclass(frozen=True, eq=False)
class Reported:
    """A system of the notes, beside our row of it.

    Attributes:
        system: What the notes call it.
        images: How many images of the validation split it was measured on.
        figures: Metric -> what was reported, in scaled units; without what is known to be wrong.
        mean: px; None where no distance was reported.
        rmse: px; None where no squared error was reported.
        faults: What is known to be wrong with it, as sentences without a full stop.
        file: Of the public repository, that holds the figures; "" for none.
        ours: Our row of that system that is most alike; None where the board has none.
    """

    system: str
    images: int
    figures: Mapping[str, float]
    mean: float | None
    rmse: float | None
    faults: tuple[str, ...]
    file: str
    ours: BoardRow | None

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``ours`` is the label of a row."""
        return {
            "system": self.system,
            "images": self.images,
            "split": "validation",
            "figures": dict(self.figures),
            "mean_px": self.mean,
            "rmse_px": self.rmse,
            "faults": list(self.faults),
            "file": self.file,
            "ours": None if self.ours is None else self.ours.label,
        }


def source() -> str:
    """Where the figures are from."""
    return _notes().source


def reported(board: Board) -> list[Reported]:
    """What the notes reported of a board's task, in their order; empty for a board of other tasks or data."""
    notes = _notes()
    if (board.version, board.data) != (notes.version, notes.data):
        return []
    return [_reported(row, notes, board) for row in notes.rows if row.task == board.task]


def _reported(row: _Row, notes: _Notes, board: Board) -> Reported:
    distance, square = row.reported.get("dist_avg"), row.reported.get("mse")
    return Reported(
        system=row.system,
        images=row.images,
        figures=row.reported,
        mean=None if distance is None else notes.px * distance,
        rmse=None if square is None else notes.px * math.sqrt(2 * square),
        faults=tuple(notes.faults[code] for code in row.faults),
        file=row.file,
        ours=next((found for name in row.ours if (found := board.row(name)) is not None), None),
    )


@cache
def _notes() -> _Notes:
    return _Notes.model_validate(read_yaml(FILE))
