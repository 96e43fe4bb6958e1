"""The plugin is found by its entry point, passes the conformance check, and finds a centroid."""

from __future__ import annotations

import numpy as np
from keypoint_blob import Blob

from benchmark.conformance import check
from benchmark.registry import resolve


def test_the_entry_point_is_found() -> None:
    assert resolve("blob:threshold=10").cls is Blob


def test_it_conforms() -> None:
    failed = [step for step in check("blob") if step.problem]
    assert not failed, failed


def test_the_centroid_of_one_pixel_is_that_pixel() -> None:
    image = np.zeros((9, 7), dtype=np.uint8)
    image[2, 5] = 255
    assert Blob().centroids([image]).tolist() == [[5.0, 2.0]]
