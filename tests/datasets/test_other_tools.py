"""The same photographs as COCO, Label Studio and CVAT have them are the same annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from other_tools import folders_of_tools
from photographs import names_of

from datasets import formats


def test_the_same_annotations(tmp_path: Path) -> None:
    folders = folders_of_tools(tmp_path, two=0.4)
    theirs = formats.read(folders["coco"])
    for name in ("label-studio", "cvat"):
        ours = formats.read(folders[name])
        for split, part in theirs.splits.items():
            expected, known = part.annotations, ours.splits[split].annotations
            assert tuple(Path(file).name for file in known.file_names) == expected.file_names
            assert known.keypoint_names == tuple(names_of(4))
            assert known.categories[0].name == "figure"
            assert np.array_equal(known.index, expected.index)
            assert np.array_equal(known.visible, expected.visible)
            np.testing.assert_allclose(known.keypoints, expected.keypoints, atol=1e-9)
            np.testing.assert_allclose(known.boxes, expected.boxes, atol=1e-9)
            np.testing.assert_allclose(known.areas, expected.areas, atol=1e-9)
