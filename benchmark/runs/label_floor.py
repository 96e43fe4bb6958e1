"""The noise floor of a data set's labels as it is stored beside results, so that every board of that data shows it.

``results/_floors/<digest of the data>.json``; a board stays a function of what is stored. It is written by ``run --labels``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.statistics.label_noise import Estimate
from benchmark.structures import UserError
from datasets.dataset import Dataset
from datasets.formats.reading import ReadOptions


class LabelFloor(BaseModel):
    """The mean error that a perfect detector would be measured to have (`benchmark.statistics.label_noise`).

    An estimate is value, low and high of its 95 % interval, px.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data_digest: str = Field(description="of the data whose labels they are")
    labels: str = Field(description="name of the other labels of its images")
    images: int = Field(ge=1, description="labelled twice")
    slips: int = Field(ge=0, description="points left out, where one of the two labels is a slip")
    floor: Estimate
    keypoints: dict[str, Estimate | None]


def label_floor(dataset: Dataset, other: str, options: ReadOptions) -> LabelFloor:
    """The floor by other labels of the same images.

    Args:
        dataset: What runs are scored against.
        other: The other labels, a folder or file.
        options: What the user said about the data.

    Raises:
        UserError: Where they cannot be compared, or too few images have a keypoint twice.
    """
    from datasets.agreement import compare_labels  # and scipy.optimize, for which no board waits

    found = compare_labels(dataset, other, options)
    if found.floor is None:
        lacking = [one.name for one in found.keypoints if one.noise.floor is None]
        raise UserError(
            f"labels {other}: no noise floor: fewer than two images have {', '.join(lacking[:3])} labelled in both; "
            "see inspect --labels"
        )
    return LabelFloor(
        data_digest=dataset.digest,
        labels=found.other,
        images=found.images,
        slips=sum(one.noise.slips for one in found.keypoints),
        floor=found.floor,
        keypoints={one.name: one.noise.floor for one in found.keypoints},
    )


def read_label_floor(text: str | bytes, digest: str, origin: Path | str) -> LabelFloor:
    """A floor from JSON text.

    Raises:
        UserError: Naming ``origin``, where it is none, or of other data.
    """
    try:
        floor = LabelFloor.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{origin}: {where}: {first['msg']}; delete it, and run with --labels to make it again"
        ) from error
    if floor.data_digest != digest:
        raise UserError(
            f"{origin}: is the noise floor of other data; delete it, and run with --labels to make it again"
        )
    return floor
