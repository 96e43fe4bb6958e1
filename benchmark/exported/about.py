"""What an exported file says of itself, as JSON in its metadata: all that its user must know, and how it was measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark.structures import Annotations, Category

KEY = "keypoint_benchmark"  # of the file's metadata
CONVENTION = "points are (x, y) in pixels of the input image; an integer is the centre of its pixel"
Name = Annotated[str, Field(max_length=1000)]
Place = Annotated[int, Field(ge=0, lt=100_000)]


class Parity(BaseModel):
    """How an exported graph answers beside its detector, on the same test images with the same threads.

    Attributes:
        images: How many test images were asked about.
        largest_px: The largest distance between the two answers for a keypoint.
        tolerance_px: What it had to be within.
        difference_px: Difference of the mean errors, graph less detector; None where no image is labelled.
        low_px: Lower end of its 95 % paired interval.
        high_px: Upper end.
        detector_ms: Processor milliseconds, of all threads, for one image asked alone.
        graph_ms: The same of the graph in onnxruntime.
        threads: Of both.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    images: int = Field(ge=1)
    largest_px: float = Field(ge=0)
    tolerance_px: float = Field(gt=0)
    difference_px: float | None
    low_px: float | None
    high_px: float | None
    detector_ms: float = Field(ge=0)
    graph_ms: float = Field(ge=0)
    threads: int = Field(ge=1)


class About(BaseModel):
    """What an exported file is.

    Attributes:
        form: Version of this description.
        convention: `CONVENTION`.
        detector: Its specification.
        run: Key of the run whose weights these are.
        height: px of the images it takes.
        width: px.
        colour: Whether it takes RGB; else grey.
        span: Which values of images of more than 8 bits became 0 and 255.
        as_stored: Whether photographs are looked at as they are stored, whatever their EXIF orientation says.
        keypoint_names: K names, in the order of its points.
        sigmas: K, COCO's.
        skeleton: Pairs of positions in these names.
        categories: COCO id and name of what it was fitted on.
        category: Id of what it finds.
        threads: Of the run.
        parity: What was measured.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    form: Literal[1] = 1
    convention: str = CONVENTION
    detector: Name
    run: Name
    height: int = Field(ge=1, le=1 << 16)
    width: int = Field(ge=1, le=1 << 16)
    colour: bool
    span: tuple[float, float] | None
    as_stored: bool = False
    keypoint_names: Annotated[list[Name], Field(min_length=1, max_length=100_000)]
    sigmas: list[Annotated[float, Field(gt=0)]]
    skeleton: list[tuple[Place, Place]]
    categories: list[tuple[int, Name]]
    category: int
    threads: int = Field(ge=1, le=1024)
    parity: Parity

    def annotations(self) -> Annotations:
        """Of no image, with the keypoints that it answers and one instance's worth of category: what predictions are of."""
        k = len(self.keypoint_names)
        nothing: dict[str, Any] = {
            "image_ids": np.zeros(0, dtype=np.int64),
            "file_names": (),
            "sizes": np.zeros((0, 2), dtype=np.int64),
            "index": np.zeros(0, dtype=np.int64),
            "keypoints": np.zeros((0, k, 2)),
            "visible": np.zeros((0, k), dtype=np.int64),
            "boxes": np.zeros((0, 4)),
            "areas": np.zeros(0),
            "crowd": np.zeros(0, dtype=bool),
            "category_ids": np.zeros(0, dtype=np.int64),
        }
        return Annotations(
            **nothing,
            keypoint_names=tuple(self.keypoint_names),
            sigmas=np.array(self.sigmas, dtype=np.float64),
            categories=tuple(Category(i, name) for i, name in self.categories),
            skeleton=tuple(self.skeleton),
        )
