"""Task cards: what each one produces is pinned, and its points are where its images show."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from benchmark.structures import Category, LabeledImages, UserError
from datasets.sources import mnist_embedded
from datasets.splits import digests
from datasets.tasks.build import PRESETS, build, get_preset, ink_boxes, label
from datasets.tasks.catalog import get_task, tasks
from datasets.tasks.scenes import Canvas, compose, scaled
from datasets.tasks.targets import target_points

# A changed figure means that a card produces other data: give that card a new version, then pin it anew.
PINNED = {
    "topleft@1": "dee47bc1165de19f",
    "topleft-bold@1": "2f8fa0e63ea0d33d",
    "topright@1": "65a76753bbeff1e5",
    "bottomleft@1": "4039a85b00092299",
    "bottomright@1": "df1b3418ad191c81",
    "corner@1": "c5fb16796f8a73e7",
    "center@1": "c57e81eedb8b002f",
    "both@1": "6cefe1a30c302239",
    "centroid@1": "2d423a609b63f2f1",
    "digit-dependent@1": "132c3bd495a92931",
    "all-digits@1": "374a77e0275bac97",
    "topleft-canvas@1": "a61f83c4fd3ca1c7",
    "center-canvas@1": "7acd1a7d458f5cda",
    "topleft-specks@1": "c5e9a5791885ce33",
    "topleft-several@1": "3b1013e33828ee6c",
    "extremes@1": "452e7bfa9eec5e12",
    "noisy-labels@1": "85009f0f152e0a1a",
    "moved@1": "17cbff46caaa73ed",
    "scattered@1": "5d5b37b532335c7d",
}


def content(parts: tuple[LabeledImages, ...]) -> str:
    """sha256 over pixels, points, owners and training means, in plain bytes."""
    h = hashlib.sha256()
    for data in parts:
        annotations = data.annotations
        arrays = [
            data.stack(),
            annotations.index,
            annotations.keypoints,
            annotations.boxes,
            annotations.areas,
            annotations.labels,
            annotations.baseline,
        ]
        for array in arrays:
            h.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return h.hexdigest()[:16]


def data_for(name: str) -> str:
    return "mnist5k" if name == "all-digits" else "tiny"


def test_every_card_is_pinned_and_no_other() -> None:
    assert set(PINNED) == {f"{card.name}@{card.version}" for card in tasks().values()}


@pytest.mark.parametrize("name", tasks())
def test_what_a_card_produces_is_pinned(name: str) -> None:
    card = get_task(name)
    assert (f"{name}@{card.version}", content(build(card, data_for(name)))) in PINNED.items()


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [("tiny", (568, 141, 291)), ("mnist5k", (3500, 500, 1000)), ("tiny-wide", (568, 141, 4291))],
)
def test_presets_have_their_sizes_and_share_no_image(preset: str, sizes: tuple[int, ...]) -> None:
    parts = build(get_task("topleft"), preset)
    assert tuple(map(len, parts)) == sizes
    image_digests = [digest for data in parts for digest in digests(data.images)]
    assert len(set(image_digests)) == len(image_digests) == sum(sizes)


def test_tiny_wide_trains_on_what_tiny_trains_on_and_tests_on_all_the_rest() -> None:
    tiny, wide = build(get_task("topleft"), "tiny"), build(get_task("topleft"), "tiny-wide")
    assert np.array_equal(tiny[0].stack(), wide[0].stack())
    assert np.array_equal(tiny[1].stack(), wide[1].stack())
    assert set(digests(tiny[2].images)) < set(digests(wide[2].images))


@pytest.mark.parametrize("name", ["topleft", "both"])
def test_tiny_moved_trains_on_what_tiny_trains_on_and_tests_on_the_rest_elsewhere(name: str) -> None:
    wide, moved = build(get_task(name), "tiny-wide"), build(get_task(name), "tiny-moved")
    assert wide[0].annotations.digest == moved[0].annotations.digest
    assert np.array_equal(wide[1].stack(), moved[1].stack())
    assert moved[2].stack().shape == (4291, 40, 40)
    np.testing.assert_array_equal(target_points(name, moved[2].stack()), moved[2].points)
    shift = moved[2].points - wide[2].points
    assert (shift == shift[:, :1]).all()
    assert [(v.min(), v.max()) for v in (shift[..., 0], shift[..., 1])] == [(0, 12), (0, 12)]


def test_another_split_is_other_images() -> None:
    first, second = (build(get_task("topleft"), "tiny", j)[2] for j in (0, 1))
    shared = set(digests(first.images)) & set(digests(second.images))
    assert 40 < len(shared) < 140  # 291 of 1,000 twice: 85 expected


@pytest.mark.parametrize("name", ["topleft", "center", "both", "centroid"])
def test_the_baseline_is_the_mean_of_the_training_points(name: str) -> None:
    train, val, test = build(get_task(name), "tiny")
    mean = np.repeat(train.points.mean(axis=0)[None], len(test), axis=0)
    assert test.annotations.baseline is not None
    np.testing.assert_allclose(test.annotations.baseline, mean, rtol=1e-14)
    assert val.annotations.baseline is not None
    assert np.array_equal(val.annotations.baseline[0], test.annotations.baseline[0])
    assert train.annotations.baseline is None


@pytest.mark.parametrize("name", tasks())
def test_annotations_are_whole_and_inside_the_image(name: str) -> None:
    card = get_task(name)
    for data in build(card, data_for(name)):
        annotations = data.annotations
        assert annotations.single_instance is (card.canvas is None or card.canvas.most == 1)
        assert np.array_equal(annotations.sizes, [image.shape[::-1] for image in data.images])
        assert (annotations.keypoints >= 0).all()
        assert (annotations.keypoints <= annotations.sizes[annotations.index][:, None] - 1).all()
        low, high = annotations.boxes[:, None, :2], annotations.boxes[:, None, :2] + annotations.boxes[:, None, 2:]
        at = annotations.keypoints + 0.5  # a box counts from the edge of the first pixel, a point from its centre
        noise = 2 if card.label_noise else 0
        assert ((at > low - noise) & (at < high + noise)).all()
        assert (annotations.boxes[:, :2] >= 0).all()
        assert (high[:, 0] <= annotations.sizes[annotations.index]).all()
        scales = set(card.canvas.scales if card.canvas else (1.0,))
        assert set(annotations.areas.tolist()) == {784.0 * scale**2 for scale in scales}
        assert set(annotations.sigmas.tolist()) == {0.0455}
        assert annotations.keypoint_names == card.points.keypoints
        assert annotations.image_ids.tolist() == list(range(1, len(data) + 1))
        if annotations.spacing is None:
            assert name == "centroid"
        else:
            assert len(annotations.spacing) == len(annotations.keypoint_names)


@pytest.mark.parametrize("name", [n for n, card in tasks().items() if card.rule])
def test_a_card_that_offers_the_rule_has_images_that_give_the_answer(name: str) -> None:
    card = get_task(name)
    for data in build(card, "tiny"):
        np.testing.assert_array_equal(target_points(card.target, data.stack()), data.points)


@pytest.mark.parametrize("name", [n for n, card in tasks().items() if not card.rule])
def test_the_oracle_of_a_card_is_exact_on_every_test_image(name: str) -> None:
    """Where images alone do not give the answer, they do together with what the card says the oracle is told."""
    card = get_task(name)
    _, _, test = build(card, data_for(name))
    _, _, (digits, labels) = PRESETS[data_for(name)].parts(0)
    if card.digits:
        kept = np.isin(labels, card.digits)
        digits, labels = digits[kept], labels[kept]
    if "told the digit" in card.oracle:
        found = target_points(card.target, test.stack(), test.annotations.labels)
    elif "told which (" in card.oracle:
        found = target_points(card.oracle.partition("target=")[2].rstrip(")"), test.stack())
    elif "specks" in card.oracle:
        assert card.canvas is not None
        found = target_points(card.target, compose(digits, digests(digits), replace(card.canvas, specks=0)).images)
    else:
        assert "told which ink is its own" in card.oracle
        assert card.canvas is not None
        scenes = compose(digits, digests(digits), card.canvas)
        alone = np.zeros((len(scenes.index), card.canvas.side, card.canvas.side), np.uint8)
        for layer, which, (x, y), scale in zip(alone, scenes.source, scenes.offsets, scenes.scales):
            digit = scaled(digits[which][None], scale)[0]
            layer[y : y + len(digit), x : x + len(digit[0])] = digit
        found = target_points(card.target, alone)
    np.testing.assert_array_equal(found, test.annotations.keypoints)


def test_moved_learns_in_two_quarters_and_is_asked_in_the_two_others() -> None:
    train, val, test = build(get_task("moved"), "tiny")
    for data, quarters in ((train, {0, 3}), (val, {0, 3}), (test, {1, 2})):
        boxes = data.annotations.boxes
        first, last = boxes[:, :2] // 40, (boxes[:, :2] + boxes[:, 2:] - 1) // 40
        np.testing.assert_array_equal(first, last)  # no digit lies across
        assert set((first @ [1, 2]).tolist()) == quarters


def test_the_noise_of_labels_is_in_train_and_val_alone_and_as_large_as_it_says() -> None:
    noisy, clean = build(get_task("noisy-labels"), "tiny"), build(get_task("topleft"), "tiny")
    assert noisy[2].annotations.keypoints.tolist() == clean[2].annotations.keypoints.tolist()
    for theirs, ours in zip(noisy[:2], clean[:2]):
        assert np.array_equal(theirs.stack(), ours.stack())
        off = theirs.points - ours.points
        assert set(off.ravel().tolist()) == {-2, -1, 0, 1, 2}
        assert off.std() == pytest.approx(1, abs=0.1)
        assert abs(off.mean()) < 0.15
    _, _, moved = build(get_task("noisy-labels"), "tiny-moved")
    np.testing.assert_array_equal(target_points("topleft", moved.stack()), moved.points)


def test_scattered_digits_never_cover_each_other_and_some_touch() -> None:
    images, _ = mnist_embedded()
    images = images[::25]
    canvas = get_task("scattered").canvas
    assert canvas is not None
    scenes = compose(images, digests(images), canvas)
    owners = np.zeros(scenes.images.shape, np.int64)
    for n, (i, which, (x, y), scale) in enumerate(
        zip(scenes.index, scenes.source, scenes.offsets, scenes.scales), start=1
    ):
        digit = scaled(images[which][None], scale)[0]
        under = owners[i, y : y + len(digit), x : x + len(digit[0])]
        assert not (under[digit > 0] > 0).any()
        under[digit > 0] = n
    np.testing.assert_array_equal(owners > 0, scenes.images > 0)
    beside = (owners[:, :, 1:] != owners[:, :, :-1]) & (owners[:, :, 1:] > 0) & (owners[:, :, :-1] > 0)
    assert 0 < beside.any(axis=(1, 2)).mean() < 0.5
    counts = np.bincount(scenes.index)
    assert (counts.min(), counts.max()) == (1, 6)
    assert set(scenes.scales.tolist()) == set(canvas.scales)


def test_every_card_says_what_it_probes_and_who_is_exact() -> None:
    assert all(card.probes and card.oracle for card in tasks().values())


def test_digit_dependent_leaves_other_digits_out_and_all_digits_wants_them_all() -> None:
    parts = build(get_task("digit-dependent"), "mnist5k")
    assert tuple(map(len, parts)) == (700, 100, 200)
    assert {label for data in parts for label in data.annotations.labels.tolist()} == {3, 7}  # type: ignore[union-attr]
    with pytest.raises(UserError, match="mnist5k has all ten"):
        build(get_task("all-digits"), "tiny")


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'topleft'"):
        get_task("top-left")
    with pytest.raises(UserError, match=r"did you mean 'mnist5k'.*COCO keypoint folder"):
        get_preset("mnist5")
    assert all(preset.summary for preset in PRESETS.values())
    assert all(card.summary for card in tasks().values())


def test_a_blank_digit_is_refused() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 3, 3] = 9
    with pytest.raises(UserError, match="position 1"):
        label(get_task("topleft"), images, np.array([3, 7]))


def test_the_category_is_called_digit_and_no_digest_knows_its_name() -> None:
    for data in build(get_task("topleft-several"), "tiny"):
        assert data.annotations.categories == (Category(1, "digit"),)
        assert replace(data.annotations, categories=()).digest == data.annotations.digest


def test_ink_boxes_are_the_outer_edges_of_pixels() -> None:
    image = np.zeros((1, 6, 6), np.uint8)
    image[0, 2:4, 1:5] = 200
    assert ink_boxes(image).tolist() == [[1, 2, 4, 2]]


@pytest.mark.parametrize("canvas", [Canvas(40), Canvas(28), Canvas(64, most=4), Canvas(56, most=2)])
def test_scenes_hold_their_digits_where_they_say_and_nothing_else(canvas: Canvas) -> None:
    images, _ = mnist_embedded()
    images = images[::50]
    scenes = compose(images, digests(images), canvas)
    assert scenes.images.shape == (100, canvas.side, canvas.side)
    again = np.zeros_like(scenes.images)
    for i, j, (x, y) in zip(scenes.index, scenes.source, scenes.offsets):
        assert not again[i, y : y + 28, x : x + 28].any()  # digits never overlap
        again[i, y : y + 28, x : x + 28] = images[j]
    assert np.array_equal(again, scenes.images)
    assert np.array_equal(np.unique(scenes.index), np.arange(100))
    counts = np.bincount(scenes.index)
    assert counts.min() == 1
    assert counts.max() == canvas.most
    assert np.array_equal(scenes.source[np.searchsorted(scenes.index, np.arange(100))], np.arange(100))


def test_places_are_spread_over_the_canvas_and_follow_content_and_split() -> None:
    images, _ = mnist_embedded()
    images = images[::10]
    image_digests = digests(images)
    first = compose(images, image_digests, Canvas(40))
    assert set(first.offsets.ravel().tolist()) == set(range(13))
    backwards = compose(images[::-1], image_digests[::-1], Canvas(40))
    assert np.array_equal(backwards.images[::-1], first.images)
    assert not np.array_equal(compose(images, image_digests, Canvas(40), 1).images, first.images)


def test_specks_are_as_many_as_asked_for_and_leave_digits_alone() -> None:
    images, _ = mnist_embedded()
    images = images[::50]
    clean, noisy = (compose(images, digests(images), Canvas(40, specks=count)).images for count in (0, 20))
    assert ((clean > 0) <= (noisy == clean)).all()
    assert ((noisy != clean).sum(axis=(1, 2)) == 20).all()


def test_specks_hide_the_rule() -> None:
    _, _, test = build(get_task("topleft-specks"), "tiny")
    wrong = (target_points("topleft", test.stack()) != test.points).any(axis=(1, 2))
    assert wrong.mean() > 0.8


def test_a_canvas_too_small_is_refused() -> None:
    images, _ = mnist_embedded()
    small = (
        Canvas(27),
        Canvas(55, most=2),
        Canvas(64, most=5),
        Canvas(40, cells=(0,)),
        Canvas(80, most=3, cells=(0, 3)),
    )
    for canvas in (*small, Canvas(55, scales=(1.0, 2.0), open=True), Canvas(64, scales=(2.0,))):
        with pytest.raises(ValueError, match="cannot hold"):
            compose(images[:1], digests(images[:1]), canvas)
