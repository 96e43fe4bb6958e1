"""Held-out sets: what a secret does to digits, what its files promise, and that nothing of it can be told beforehand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.structures import UserError
from datasets import formats
from datasets.sources import mnist_embedded
from datasets.splits import digests
from datasets.tasks import held_out
from datasets.tasks.build import build
from datasets.tasks.catalog import get_task
from datasets.tasks.targets import target_points
from datasets.tasks.variation import AWAY, _varied, vary

IMAGES = mnist_embedded()[0]

# What a secret makes: other figures mean another `held_out.VARIANT`, or revealed sets could not be made any more.
PINNED = {
    "topleft": "4be67440bfbeb758",
    "topleft-several": "0c7852699ff3f78e",
}


@pytest.fixture(scope="module")
def made() -> held_out.HeldOut:
    return held_out.commit("topleft", "tiny")


@pytest.fixture
def secret(made: held_out.HeldOut, tmp_path: Path) -> Path:
    held_out.write(made, tmp_path / "secret.json")
    return tmp_path / "secret.json"


@pytest.mark.parametrize("task", PINNED)
def test_a_secret_makes_the_same_data_for_ever(task: str) -> None:
    assert held_out._made(task, "tiny", "5e" * 32).digest[:16] == PINNED[task]


def by_loops(image: np.ndarray, lean: int, climb: int, light: int) -> dict[tuple[int, int], int]:
    """(x, y) -> value: rows shifted, then columns, pixel by pixel in fractions; where the ink is put comes later."""
    height, width = image.shape
    ink = {}
    for y in range(height):
        for x in range(width):
            if image[y, x]:
                at = x + int(np.floor(lean * (y - (height - 1) / 2) / height))
                ink[at, y + int(np.floor(climb * (at - (width - 1) / 2) / width))] = -(-int(image[y, x]) * light // 256)
    return ink


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 4999), st.integers(-6, 6), st.integers(-4, 4), st.integers(160, 256),
    st.integers(-AWAY, AWAY), st.integers(-AWAY, AWAY),
)  # fmt: skip
def test_a_varied_digit_is_that_of_loops_and_lies_inside(
    i: int, lean: int, climb: int, light: int, dx: int, dy: int
) -> None:
    image = IMAGES[i] if i % 5 else np.random.default_rng(i).integers(0, 2, (28, 28)).astype(np.uint8)
    varied = _varied(image, lean, climb, light, dx, dy)
    assert np.count_nonzero(varied) == np.count_nonzero(image)  # no ink lost, none on other ink
    if not i % 5:
        return  # noise over the whole image is sheared less
    wanted = by_loops(image, lean, climb, light)
    y, x = np.nonzero(varied)
    corner = np.array(list(wanted)).min(axis=0)
    found = {
        (int(a - x.min() + corner[0]), int(b - y.min() + corner[1])): int(v) for a, b, v in zip(x, y, varied[y, x])
    }
    assert found == wanted
    before_y, before_x = np.nonzero(image)
    for now, before, d, length in ((x, before_x, dx, np.ptp(x)), (y, before_y, dy, np.ptp(y))):
        assert now.min() == min(max(before.min() + d, 0), 27 - length)


def test_another_key_makes_other_images_and_none_is_public() -> None:
    images = IMAGES
    public = set(digests(images))
    parts = {key: build(get_task("topleft"), "tiny", key, varied=True) for key in (7, 2**256 - 1)}
    for train, val, test in parts.values():
        assert [len(part) for part in (train, val, test)] == [568, 141, 291]
        assert not public & {digest for part in (train, val, test) for digest in digests(part.images)}
        assert np.array_equal(test.points, target_points("topleft", np.asarray(test.images)))
        assert set(test.annotations.labels.tolist()) == {3, 7}  # type: ignore[union-attr]
    a, b = (set(digests(part[2].images)) for part in parts.values())
    assert not a & b


def test_the_same_digit_is_in_one_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variation taken out the splits are disjoint digits, and other ones for every key."""
    from datasets.tasks import build as module

    monkeypatch.setattr(module, "vary", lambda images, number: images)
    tests = []
    for key in (7, 2**256 - 1):
        parts = [set(digests(part.images)) for part in build(get_task("topleft"), "tiny", key, varied=True)]
        assert len(set.union(*parts)) == 1000
        tests.append(parts[2])
    assert 40 < len(tests[0] & tests[1]) < 140  # by chance 291 * 291 / 1000 = 85


def test_a_commitment_is_over_secret_salt_and_all_that_is_said(made: held_out.HeldOut) -> None:
    said = {
        "variant": 1, "task": "topleft", "version": 1, "data": "tiny", "images": {"train": 568, "val": 141, "test": 291},
        "data_digest": made.data_digest, "secret": made.secret, "salt": made.salt,
    }  # fmt: skip
    text = "keypoint-benchmark held-out set\n" + json.dumps(said, sort_keys=True)
    assert made.commitment == hashlib.sha256(text.encode()).hexdigest()
    other = held_out.commit("topleft", "tiny")
    assert len({made.secret, other.secret, made.salt, other.salt}) == 4
    assert {len(str(one)) for one in (made.secret, made.salt)} == {64}
    published = made.public.text()
    assert str(made.secret) not in published
    assert str(made.salt) not in published


def test_its_file_is_the_owners_alone_and_never_overwritten(
    made: held_out.HeldOut, secret: Path, tmp_path: Path
) -> None:
    assert secret.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="never overwritten"):
        held_out.write(made, secret)
    secret.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        held_out.read(secret)
    held_out.write(made.revealed, tmp_path / "revealed.json")
    (tmp_path / "revealed.json").chmod(0o644)
    assert held_out.read(tmp_path / "revealed.json").digest == made.data_digest


def test_it_is_read_as_any_data_set_is(made: held_out.HeldOut, secret: Path) -> None:
    dataset = formats.read(secret)
    assert dataset.name == made.name == f"tiny-heldout-{made.commitment[:8]}"
    assert (dataset.card.task, dataset.card.version, dataset.digest) == ("topleft", 1, made.data_digest)
    assert formats.survey(secret).name == made.name
    with pytest.raises(UserError, match="leave --split"):
        formats.read(secret, 1)
    with pytest.raises(UserError, match="leave --split"):
        formats.read(secret, 0, formats.ReadOptions(val=0.1))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("task", "topright", "not that of its secret"),
        ("data", "mnist5k", "not that of its secret"),
        ("version", 2, "not that of its secret"),
        ("data_digest", "0" * 64, "not that of its secret"),
        ("secret", "0" * 64, "not that of its secret"),
        ("salt", "0" * 64, "not that of its secret"),
        ("commitment", "0" * 64, "not that of its secret"),
        ("secret", "short", "secret: "),
        ("held_out", "committed", "does not fit"),
        ("extra", 1, "extra"),
    ],
)
def test_whatever_is_altered_is_found(secret: Path, field: str, value: object, words: str) -> None:
    secret.write_text(json.dumps({**json.loads(secret.read_text()), field: value}))
    with pytest.raises(UserError, match=words):
        held_out.read(secret)


def rehashed(made: held_out.HeldOut, **update: object) -> held_out.HeldOut:
    changed = made.model_copy(update=update)
    return changed.model_copy(update={"commitment": changed.hashed})


def test_one_that_cannot_be_made_here_is_said_so(made: held_out.HeldOut, tmp_path: Path) -> None:
    for name, update, words in (
        ("a", {"data_digest": "0" * 64}, "makes other data here"),
        ("b", {"variant": 2}, "use the version it was made with"),
        ("c", {"task": "../x"}, "does not have"),
        ("d", {"data": "/etc"}, "does not have"),
    ):
        held_out.write(rehashed(made, **update), tmp_path / f"{name}.json")
        with pytest.raises(UserError, match=words):
            held_out.read(tmp_path / f"{name}.json")
    held_out.write(made.public, tmp_path / "commitment.json")
    with pytest.raises(UserError, match="has no pictures"):
        held_out.read(tmp_path / "commitment.json")


def test_other_json_is_none(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    assert not held_out.sniff(tmp_path / "coco.json")
    assert not held_out.sniff(tmp_path / "missing.json")
    assert not held_out.sniff(tmp_path)


def test_an_image_without_ink_stays_so() -> None:
    assert not vary(np.zeros((1, 28, 28), dtype=np.uint8), 1).any()
