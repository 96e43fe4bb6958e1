"""The one container: nested training subsets, and folds in which nobody answers an image it was fitted on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.structures import Category, LabeledImages, UserError, mean_points
from datasets.dataset import (
    Dataset,
    DatasetCard,
    check_folds,
    content_digest,
    pooled,
    with_baseline,
)
from datasets.dataset import tests_of as pooled_tests  # pytest would take the name itself for a test
from datasets.load import load
from datasets.splits import digests


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root: Path = tmp_path_factory.mktemp("data")
    return load("topleft", "tiny", root=root)


def test_splits_by_name_and_the_name_of_the_data(tiny: Dataset) -> None:
    assert list(tiny.splits) == ["train", "val", "test"]
    assert tiny.splits["val"] is tiny.val
    assert tiny.name == "tiny"
    assert replace(tiny, card=tiny.card.model_copy(update={"split": 2})).name == "tiny-split2"
    assert replace(tiny, card=DatasetCard(task="mice")).name == "mice"
    assert content_digest(tiny.splits) == tiny.digest


def test_all_training_images_are_the_data_set_itself(tiny: Dataset) -> None:
    assert tiny.with_train(568, seed=3) is tiny
    assert pooled_tests((tiny,)) is tiny.test


def test_learning_curves_share_images(tiny: Dataset) -> None:
    smaller: set[str] = set()
    for n in (10, 50, 100, 568):
        part = tiny.with_train(n, seed=3)
        chosen = set(digests(part.train.images))
        assert len(chosen) == n
        assert smaller < chosen
        assert abs((part.train.annotations.labels == 3).sum() - n / 2) <= 1
        assert part.test is tiny.test
        assert part.digest == tiny.digest
        smaller = chosen
    other, same = tiny.with_train(50, seed=4), tiny.with_train(50, seed=3)
    assert set(digests(other.train.images)) != set(digests(same.train.images))
    for n in (0, 569):
        with pytest.raises(UserError, match="subset"):
            tiny.with_train(n, seed=0)


def test_folds_answer_every_image_once_by_a_fit_without_it(tiny: Dataset) -> None:
    folds = tiny.folds(5)
    assert len(folds) == 5
    answered = np.concatenate([fold.test.annotations.image_ids for fold in folds])
    assert sorted(answered.tolist()) == list(range(1, 1001))
    whole = pooled_tests(folds)
    assert whole.annotations.image_ids.tolist() == list(range(1, 1001))
    for fold in folds:
        fitted = {*digests(fold.train.images), *digests(fold.val.images)}
        assert not fitted & set(digests(fold.test.images))
        assert (len(fold.train), len(fold.val), len(fold.test)) == (640, 160, 200)
        assert (fold.digest, fold.card) == (tiny.digest, tiny.card)
        positions = fold.test.annotations.image_ids - 1
        assert np.array_equal(whole.points[positions], fold.test.points)
        assert whole.annotations.baseline is not None
        mean = np.broadcast_to(fold.train.points.mean(axis=0), (len(positions), 1, 2))
        np.testing.assert_allclose(whole.annotations.baseline[positions], mean, rtol=1e-13)
    everything = [digest for data in tiny.splits.values() for digest in digests(data.images)]
    assert list(digests(whole.images)) == everything


def test_folds_of_several_instances_have_no_baseline(tmp_path: Path) -> None:
    several = load("topleft-several", "tiny", root=tmp_path)
    whole = pooled_tests(several.folds(3))
    assert len(whole) == 1000
    assert whole.annotations.baseline is None
    assert len(whole.annotations.index) == sum(len(split.annotations.index) for split in several.splits.values())


def test_the_baseline_of_a_keypoint_is_the_mean_over_the_images_that_have_it(tiny: Dataset) -> None:
    visible = tiny.train.annotations.visible.copy()
    visible[::3] = 0
    holed = LabeledImages(tiny.train.images, replace(tiny.train.annotations, visible=visible))
    baseline = with_baseline(tiny.test, holed).annotations.baseline
    assert baseline is not None
    wanted = np.nanmean(np.where(visible[:, :, None] > 0, tiny.train.points, np.nan), axis=0)
    np.testing.assert_allclose(baseline, np.broadcast_to(wanted, baseline.shape), rtol=1e-12)


def test_a_keypoint_that_no_image_has_gets_the_mean_of_the_others() -> None:
    points = np.array([[[1.0, 2.0], [np.nan, np.nan]], [[3.0, 6.0], [np.nan, np.nan]]])
    assert mean_points(points).tolist() == [[2.0, 4.0], [2.0, 4.0]]
    assert mean_points(points[:, 1:]).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("k", [-1, 1])
def test_numbers_of_folds_that_are_none(tiny: Dataset, k: int) -> None:
    with pytest.raises(UserError, match="folds"):
        tiny.folds(k)
    with pytest.raises(UserError, match="folds"):
        check_folds(k)
    check_folds(0)
    check_folds(2)


def described(tiny: Dataset, *categories: Category, groups: bool = True) -> list[LabeledImages]:
    """A few images of each split, with groups, and each but the first with the first category only."""
    parts = []
    for i, split in enumerate(tiny.splits.values()):
        few = split.take([4, 0, 2])
        names = tuple(f"video {i}{j}" for j in range(3)) if groups or i else None
        few = replace(few, annotations=replace(few.annotations, groups=names, categories=categories[: 1 + (i == 0)]))
        parts.append(few)
    return parts


def test_pooled_images_are_numbered_anew_and_keep_what_is_known_of_them(tiny: Dataset) -> None:
    parts = described(tiny, Category(1, "digit"), Category(5, "letter"))
    whole = pooled(parts)
    annotations = whole.annotations
    assert annotations.image_ids.tolist() == list(range(1, 10))
    assert len(set(annotations.file_names)) == 9
    assert annotations.index.tolist() == list(range(9))
    assert annotations.baseline is None
    assert annotations.groups == tuple(f"video {i}{j}" for i in range(3) for j in range(3))
    assert annotations.categories == (Category(1, "digit"), Category(5, "letter"))
    assert np.array_equal(whole.points, np.concatenate([part.points for part in parts]))
    assert annotations.labels.tolist() == [v for part in parts for v in part.annotations.labels.tolist()]
    assert np.array_equal(whole.stack(), np.concatenate([part.stack() for part in parts]))


def test_what_not_all_parts_have_is_left_out(tiny: Dataset) -> None:
    whole = pooled(described(tiny, groups=False))
    assert whole.annotations.groups is None
    assert whole.annotations.categories == ()
    assert whole.annotations.known_category_ids.tolist() == [1]


def test_images_that_are_decoded_when_asked_for_are_chained(tiny: Dataset) -> None:
    parts = [replace(part, images=list(part.images)) for part in described(tiny, Category(1, "digit"))]
    whole = pooled(parts)
    expected = [image for part in parts for image in part.images]
    assert len(whole.images) == 9
    assert np.array_equal(whole.images[-1], expected[-1])
    assert np.array_equal(np.stack(whole.images[2:5]), np.stack(expected[2:5]))
    assert all(np.array_equal(a, b) for a, b in zip(whole.images, expected))
    assert np.array_equal(whole.take([8, 3]).images[0], expected[8])


def test_the_baseline_is_the_training_mean_where_there_is_one(tiny: Dataset) -> None:
    data = with_baseline(tiny.val, tiny.train)
    assert data.annotations.baseline is not None
    np.testing.assert_allclose(data.annotations.baseline[3, 0], tiny.train.points[:, 0].mean(axis=0), rtol=1e-13)
    assert np.ptp(data.annotations.baseline, axis=0).max() == 0
    none = tiny.train.take([])
    assert with_baseline(tiny.train, none) is tiny.train
    crowd = replace(tiny.train, annotations=replace(tiny.train.annotations, crowd=np.ones(568, dtype=bool)))
    assert with_baseline(tiny.val, crowd) is tiny.val


def test_a_card_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="title"):
        DatasetCard.model_validate({"task": "x", "title": "mine"})
