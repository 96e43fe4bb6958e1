"""What a reader of a format is asked, and what it gives: annotated images, as far divided as the files divide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from benchmark.structures import Annotations, Image
from datasets.images import ImageFiles

NO_GROUPS = "none"
"""As `ReadOptions.group_by`: what the files say of groups is ignored."""


class ReadOptions(BaseModel):
    """What a user may say about data that the files do not say themselves. Part of where a run's data is.

    Attributes:
        category: The one category that is read; "" where the files have one list of keypoints.
        sigmas: A JSON file of K numbers, or of keypoint name -> number; "" for the file's own, or the default.
        val: Share of the images that becomes val, where the files do not divide them; None: a fifth.
        test: Share that becomes test, likewise.
        group_by: A regular expression on file names, whose first group (or whole match) names an image's group, or a
            field of the image records; "" for the groups that the files give, if any; `NO_GROUPS` for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: str = ""
    sigmas: str = ""
    val: float | None = Field(default=None, gt=0, lt=1)
    test: float | None = Field(default=None, gt=0, lt=1)
    group_by: str = ""


@dataclass(frozen=True, eq=False)
class Reading:
    """What is in a folder or file, read and checked.

    Attributes:
        splits: ``train``, ``val`` and ``test`` as far as the files tell them apart; what they do not divide is ``all``. Of
            each the images, in the order of the annotations, and these.
        notes: What was mended, set aside or inferred, a sentence with a count each.
    """

    splits: Mapping[str, tuple[ImageFiles | Sequence[Image], Annotations]]
    notes: tuple[str, ...] = ()
