"""Splits, subsets and folds: pinned, stratified, nested, and blind to the order of files."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.structures import UserError, image_digest
from datasets.sources import mnist_embedded
from datasets.splits import digests, draw, folds, split, subset
from datasets.tasks.build import PRESETS

PINNED = {
    "tiny": ((3, 7), (568, 141, 291), ["692df0687b5a4304", "8d8846777536835c", "693a8694a04c8663"]),
    "mnist5k": (range(10), (3500, 500, 1000), ["ef8d833ee440988d", "9d3e1640a1c6b9f5", "22b0c3b695bb2c91"]),
}


def names(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


@pytest.mark.parametrize("preset", PINNED)
def test_the_split_of_every_preset_is_pinned(preset: str) -> None:
    digits, sizes, expected = PINNED[preset]
    images, labels = mnist_embedded()
    chosen = np.isin(labels, list(digits))
    image_digests = digests(images[chosen])
    parts = split(image_digests, labels[chosen], sizes)
    assert [
        hashlib.sha256("".join(image_digests[i] for i in part).encode()).hexdigest()[:16] for part in parts
    ] == expected


def test_image_digest_is_pinned_and_knows_the_shape() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert image_digest(image) == hashlib.sha256(b"(2, 3)" + bytes(range(6))).hexdigest()
    assert image_digest(image) != image_digest(image.reshape(3, 2))
    assert image_digest(np.asfortranarray(image)) == image_digest(image)


labelled = st.lists(st.integers(0, 3), min_size=3, max_size=60).map(np.array)


@given(labelled, st.data())
def test_parts_are_disjoint_of_the_asked_sizes_and_stratified(labels: np.ndarray, data: st.DataObject) -> None:
    n = len(labels)
    first = data.draw(st.integers(0, n))
    second = data.draw(st.integers(0, n - first))
    parts = split(names(n), labels, [first, second, n - first - second])
    assert [len(part) for part in parts] == [first, second, n - first - second]
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    for label in np.unique(labels):
        share = (labels[parts[0]] == label).sum()
        assert abs(share - first * (labels == label).mean()) < 1


@given(labelled, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(labels: np.ndarray, number: int, random: object) -> None:
    n = len(labels)
    image_digests = names(n)
    shuffled = list(range(n))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    shuffled_digests = [image_digests[i] for i in shuffled]
    sizes = [n // 2, n // 4]
    for a, b in zip(
        split(image_digests, labels, sizes, number), split(shuffled_digests, labels[shuffled], sizes, number)
    ):
        assert [image_digests[i] for i in a] == [shuffled_digests[i] for i in b]
    size = max(1, n // 3)
    assert {image_digests[i] for i in subset(image_digests, labels, size, number)} == {
        shuffled_digests[i] for i in subset(shuffled_digests, labels[shuffled], size, number)
    }


def test_another_split_divides_the_same_digits_as_the_studies_say() -> None:
    """No test digit of split 1 is new to whoever developed on split 0, and of tiny-wide most were test digits there, too."""
    for preset, shared in (("tiny", 0), ("tiny-wide", 0.9)):
        developed, published = (
            [set(digests(images)) for images, _ in PRESETS[preset].parts(number)] for number in (0, 1)
        )
        assert published[2] <= set().union(*developed)
        assert len(published[2] & developed[2]) > shared * len(published[2])


def test_another_split_or_seed_is_another_choice() -> None:
    image_digests = names(100)
    assert set(split(image_digests, None, [50], 0)[0].tolist()) != set(split(image_digests, None, [50], 1)[0].tolist())
    assert set(subset(image_digests, None, 50, 0).tolist()) != set(subset(image_digests, None, 50, 1).tolist())


@given(labelled, st.integers(0, 3))
def test_subsets_are_nested_and_stratified(labels: np.ndarray, seed: int) -> None:
    n = len(labels)
    image_digests = names(n)
    before: set[int] = set()
    for size in range(1, n + 1):
        chosen = subset(image_digests, labels, size, seed)
        assert len(chosen) == size
        assert before < set(chosen.tolist())
        before = set(chosen.tolist())
        shares = np.bincount(labels[chosen], minlength=4)
        quotas = size * np.bincount(labels, minlength=4) / n
        assert np.abs(shares - quotas).max() < 2


@given(labelled, st.integers(2, 5))
def test_folds_answer_every_image_once_and_keep_parts_apart(labels: np.ndarray, k: int) -> None:
    n = len(labels)
    if n < k or n - -(-n // k) < 2:  # too few to learn from and to select by
        return
    parts = folds(names(n), labels, k)
    assert len(parts) == k
    assert sorted(np.concatenate([test for _, _, test in parts]).tolist()) == list(range(n))
    for train, val, test in parts:
        assert sorted([*train, *val, *test]) == list(range(n))
        assert min(len(train), len(val)) >= 1
        for label in np.unique(labels):
            assert abs((labels[test] == label).sum() - len(test) * (labels == label).mean()) < k


def test_what_cannot_be_divided_is_refused() -> None:
    for call in (
        lambda: split(names(5), None, [3, 3]),
        lambda: subset(names(5), None, 6, 0),
        lambda: subset(names(5), None, 0, 0),
        lambda: folds(names(5), None, 1),
        lambda: folds(names(2), None, 3),
    ):
        with pytest.raises(UserError):
            call()


def test_draws_are_pinned_and_even() -> None:
    assert draw("ab", "x", 4, 10).tolist() == draw("ab", "x", 4, 10).tolist()
    assert draw("ab", "x", 4, 2**62).tolist() != draw("ab", "y", 4, 2**62).tolist()
    counts = np.bincount(draw("ab", "x", 12_000, 12), minlength=12)
    assert counts.min() > 850  # 1000 expected, sd 30
    assert counts.max() < 1150


def test_every_fold_has_something_to_learn_from_and_to_select_by() -> None:
    with pytest.raises(UserError, match="too few"):
        folds(digests(np.zeros((3, 2, 2), dtype=np.uint8)), None, 2)
    for train, val, test in folds(digests(np.zeros((4, 2, 2), dtype=np.uint8)), None, 2):
        assert min(len(train), len(val), len(test)) >= 1
