"""The fits of a run: nested training subsets, and folds in which nobody answers an image it was fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.structures import UserError
from datasets.load import Splits, load
from datasets.material import Material
from datasets.splits import digests


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    root: Path = tmp_path_factory.mktemp("data")
    return load("topleft", "tiny", root=root)


def test_one_fit_on_the_splits_themselves(tiny: Splits) -> None:
    material = Material(tiny)
    (part,) = material.parts(material.n_train, seed=0)
    assert material.n_train == 568
    assert part.train.annotations.digest == tiny.train.annotations.digest
    assert part.test.annotations.digest == material.annotations.digest == tiny.test.annotations.digest


def test_learning_curves_share_images(tiny: Splits) -> None:
    material = Material(tiny)
    before: set[str] = set()
    for n in (10, 50, 100, 568):
        (part,) = material.parts(n, seed=3)
        found = set(digests(part.train.images))
        assert len(found) == n
        assert before < found
        assert abs((part.train.annotations.labels == 3).sum() - n / 2) <= 1
        assert part.test.annotations.digest == material.annotations.digest
        before = found
    (other,) = material.parts(50, seed=4)
    (same,) = material.parts(50, seed=3)
    assert set(digests(other.train.images)) != set(digests(same.train.images))


def test_folds_answer_every_image_once_by_a_fit_that_has_not_seen_it(tiny: Splits) -> None:
    material = Material(tiny, folds=5)
    parts = list(material.parts(material.n_train, seed=0))
    assert len(parts) == 5
    answered = np.concatenate([part.test.annotations.image_ids for part in parts])
    assert sorted(answered.tolist()) == material.annotations.image_ids.tolist() == list(range(1, 1001))
    for part in parts:
        learnt = {*digests(part.train.images), *digests(part.val.images)}
        assert not learnt & set(digests(part.test.images))
        assert len(part.train) == material.n_train
        positions = part.test.annotations.image_ids - 1
        assert np.array_equal(material.annotations.points[positions], part.test.points)
        assert material.annotations.baseline is not None
        mean = np.broadcast_to(part.train.points.mean(axis=0), (len(positions), 1, 2))
        np.testing.assert_allclose(material.annotations.baseline[positions], mean, rtol=1e-13)
    assert material.data == "tiny-folds5"
    everything = [digest for data in (tiny.train, tiny.val, tiny.test) for digest in digests(data.images)]
    assert list(digests(material.images)) == everything


def test_what_cannot_be_folded(tiny: Splits, tmp_path: Path) -> None:
    for folds in (-1, 1):
        with pytest.raises(UserError, match="folds"):
            Material(tiny, folds)
    with pytest.raises(UserError, match="one instance"):
        Material(load("topleft-several", "tiny", root=tmp_path), 5)
