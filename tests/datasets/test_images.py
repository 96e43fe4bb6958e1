"""Image files that are decoded when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.structures import Picked, image_digest
from datasets.images import ImageFiles, decode
from datasets.splits import digests


def test_what_is_had_of_lazily_decoded_images_is_that_of_the_decoded_ones(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    paths = []
    for i in range(5):
        coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{i}.{'jpg' if i % 2 else 'png'}")
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(paths[-1])
    files = ImageFiles(paths, np.array([[320, 240]] * 5), "here")
    expected = tuple(image_digest(decode(path)) for path in paths)
    chosen = Picked(files, [4, 1, 1])
    assert digests(files) == digests(files) == digests([decode(path) for path in paths]) == expected
    assert digests(chosen) == tuple(expected[i] for i in (4, 1, 1))
    files.rgb = True
    assert digests(files) == expected  # these have colours already, and another reading is hashed anew
    for i in range(5):
        small, whole = (
            np.asarray(Image.fromarray(image).convert("L").resize((16, 16), Image.Resampling.BOX), dtype=float)
            for image in (files.preview(i), files[i])
        )
        assert np.abs(small - whole).mean() < 4
        assert chosen.preview(0).shape == files.preview(4).shape
    assert files.preview(1).size < files[1].size / 3 / 3
