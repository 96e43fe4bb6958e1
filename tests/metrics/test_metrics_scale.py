"""Errors on any scale: relative to a pair of keypoints and to the image, and pixel thresholds that the data decides."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import crowded, single_instance

from benchmark.metrics import Scores, score
from benchmark.metrics.scale import STEPS, pixel_thresholds
from benchmark.structures import Annotations, Predictions, UserError

quick = settings(deadline=None, derandomize=True, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
PAIR = ("left_eye", "right_eye")
OF_PAIR = ("pck_pair@0.1", "pck_pair@0.2", "pck_pair@0.5", "nme_pair")


def faces(seed: int, images: int = 12, side: float = 100.0) -> tuple[Annotations, Predictions]:
    """Faces of five points with holes, some without both eyes, some with eyes in one place; one answer an image, or none."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(side, 540 - side, (images, 1, 2))
    keypoints = centre + rng.uniform(-side / 2, side / 2, (images, 5, 2))
    visible = rng.choice([0, 1, 2], (images, 5), p=[0.2, 0.2, 0.6])
    visible[:, 4] = 2
    same = rng.random(images) < 0.1
    keypoints[same, 1] = keypoints[same, 3]
    annotations = Annotations(
        image_ids=np.arange(1, images + 1),
        file_names=tuple(f"{i}.jpg" for i in range(images)),
        sizes=np.tile([[640, 480]], (images, 1)),
        index=np.arange(images),
        keypoints=keypoints,
        visible=visible,
        boxes=np.hstack([centre[:, 0] - side / 2, np.full((images, 2), side)]),
        areas=np.full(images, side**2),
        crowd=np.zeros(images, dtype=bool),
        category_ids=np.ones(images, dtype=np.int64),
        keypoint_names=("nose", "right_eye", "mouth", "left_eye", "chin"),
        sigmas=np.full(5, 0.05),
    )
    answered = np.flatnonzero(rng.random(images) < 0.9)
    points = keypoints[answered] + rng.normal(0, side / 8, (len(answered), 5, 2))
    return annotations, Predictions.of_category(annotations.image_ids[answered], points, rng.random(len(answered)), 1)


def counted_again(annotations: Annotations, predictions: Predictions) -> dict[str, float | None]:
    """The metrics of a pair, one keypoint at a time in plain Python, from their definitions."""
    answers = dict(zip(predictions.image_ids.tolist(), predictions.keypoints.tolist()))
    a, b = (annotations.keypoint_names.index(name) for name in PAIR)
    relative = []
    for i, image in enumerate(annotations.image_ids.tolist()):
        points, seen = annotations.keypoints[i].tolist(), annotations.visible[i].tolist()
        if not (seen[a] and seen[b]) or (length := math.dist(points[a], points[b])) < 1:
            continue
        for j, point in enumerate(points):
            if seen[j]:
                d = math.dist(answers[image][j], point) if image in answers else math.hypot(640, 480)
                relative.append(d / length)
    if not relative:
        return dict.fromkeys(OF_PAIR)
    shares = {f"pck_pair@{t:g}": sum(r <= t for r in relative) / len(relative) for t in (0.1, 0.2, 0.5)}
    return {**shares, "nme_pair": 100 * math.fsum(relative) / len(relative)}


def of_pair(scores: Scores) -> dict[str, float | None]:
    return {name: scores[name] for name in OF_PAIR}


@quick
@given(seeds, st.integers(1, 12))
def test_a_pair_s_metrics_are_those_of_a_count_in_plain_python(seed: int, images: int) -> None:
    annotations, predictions = faces(seed, images)
    have, want = of_pair(score(annotations, predictions, pair=PAIR)), counted_again(annotations, predictions)
    assert {name for name, value in have.items() if value is None} == {n for n, v in want.items() if v is None}
    assert {n: v for n, v in have.items() if v is not None} == pytest.approx(
        {n: v for n, v in want.items() if v is not None}, rel=1e-12
    )


def test_a_pair_by_hand() -> None:
    """Eyes 50 px apart: errors of 5, 10, 25 and 26 px are .1, .2, .5 and .52 of that; a second face has one eye alone."""
    annotations, _ = faces(0, 2)
    keypoints, visible = np.zeros((2, 5, 2)), np.array([[0, 2, 2, 1, 2], [2, 0, 2, 2, 2]])
    keypoints[0, 1], keypoints[0, 3] = (100.0, 100.0), (130.0, 140.0)
    known = replace(annotations, keypoints=keypoints, visible=visible)
    off = np.zeros((2, 5, 2))
    off[0, 1:, 0], off[1] = (5, 10, 25, 26), 400.0
    table = score(known, Predictions.of_category(known.image_ids, keypoints + off, np.ones(2), 1), pair=PAIR)
    shares = {"pck_pair@0.1": 0.25, "pck_pair@0.2": 0.5, "pck_pair@0.5": 0.75}
    assert of_pair(table) == pytest.approx({**shares, "nme_pair": 33.0}, rel=1e-12)
    assert table.keypoints["mouth"]["nme_pair"] == pytest.approx(20.0, rel=1e-12)
    assert table.keypoints["nose"]["nme_pair"] is None  # labelled in the face without a pair alone
    assert table.as_dict()["pair"] == {"keypoints": list(PAIR), "left_out": 1}


@quick
@given(seeds, st.sampled_from([1.0, 2.0, 8.0, 64.0]))
def test_relative_errors_do_not_depend_on_the_scale(seed: int, s: float) -> None:
    """All lengths times s, the image's included; no length is below a pixel before or after."""
    annotations, predictions = faces(seed)
    annotations = replace(annotations, keypoints=np.round(annotations.keypoints))
    large = score(
        replace(
            annotations,
            keypoints=annotations.keypoints * s,
            boxes=annotations.boxes * s,
            areas=annotations.areas * s**2,
            sizes=(annotations.sizes * s).astype(np.int64),
        ),
        replace(predictions, keypoints=predictions.keypoints * s),
        pair=PAIR,
    )
    plain = score(annotations, predictions, pair=PAIR)
    names = [name for name in plain if name.startswith(("pck_", "nme"))]
    assert len(names) == 11
    assert [large[name] for name in names] == pytest.approx([plain[name] for name in names], rel=1e-12)
    assert large.n_without_pair == plain.n_without_pair


@quick
@given(seeds, st.integers(1, 11))
def test_two_halves_make_the_whole(seed: int, cut: int) -> None:
    annotations, predictions = faces(seed)
    halves = []
    for part in (range(cut), range(cut, 12)):
        some = annotations.take(list(part))
        rows = np.isin(predictions.image_ids, some.image_ids)
        own = Predictions(*(values[rows] for values in vars(predictions).values()))
        has = of_pair(score(some, own, pair=PAIR))
        n = 0 if has["nme_pair"] is None else int((some.visible[paired(some)] > 0).sum())
        halves.append((n, has, score(some, own, pair=PAIR).n_without_pair))
    whole = score(annotations, predictions, pair=PAIR)
    assert whole.n_without_pair == sum(left_out for _, _, left_out in halves)
    if total := sum(n for n, _, _ in halves):
        for name in OF_PAIR:
            assert whole[name] == pytest.approx(sum(n * (has[name] or 0.0) for n, has, _ in halves) / total)


def paired(annotations: Annotations) -> np.ndarray:
    seen = (annotations.visible[:, [1, 3]] > 0).all(axis=1)
    return seen & (np.linalg.norm(annotations.keypoints[:, 1] - annotations.keypoints[:, 3], axis=1) >= 1)


@quick
@given(seeds)
def test_a_perfect_detector_has_one_and_nothing(seed: int) -> None:
    annotations, _ = faces(seed)
    perfect = Predictions.of_category(annotations.image_ids, annotations.keypoints.copy(), np.arange(12) / 12, 1)
    table = score(annotations, perfect, pair=PAIR)
    shares = {name: value for name, value in table.items() if name.startswith("pck")}
    assert len(shares) == 12  # three thresholds each: pixels, box, diagonal, pair
    if paired(annotations).any():
        assert set(shares.values()) == {1.0}
        assert (table["nme"], table["nme_pair"]) == (0.0, 0.0)


def test_instances_without_a_pair_are_left_out_and_counted() -> None:
    annotations, predictions = faces(3)
    assert 0 < score(annotations, predictions, pair=PAIR).n_without_pair == (~paired(annotations)).sum() < 12
    none = replace(annotations, visible=annotations.visible * np.array([1, 0, 1, 1, 1]))
    table = score(none, predictions, pair=PAIR)
    assert (table.n_without_pair, of_pair(table)) == (12, dict.fromkeys(OF_PAIR))
    assert table.reasons["nme_pair"] == "no instance with a labelled keypoint has both keypoints of the pair"


def test_matched_instances_have_the_lengths_of_their_own_pair() -> None:
    """Several instances an image, answered in a shuffled order: errors over each one's own distance."""
    annotations, _ = crowded(6, 4, 3, 5)
    rng = np.random.default_rng(0)
    order = rng.permutation(24)
    points = annotations.keypoints[order] + rng.normal(0, 0.3, (24, 3, 2))
    ids = annotations.image_ids[annotations.index[order]]
    table = score(annotations, Predictions.of_category(ids, points, rng.random(24), 1), pair=("p2", "p0"))
    assert table["recall"] == 1
    d = np.linalg.norm(points - annotations.keypoints[order], axis=2)
    length = np.linalg.norm(annotations.keypoints[order, 2] - annotations.keypoints[order, 0], axis=1)
    long = length >= 1
    relative = (d / length[:, None])[long]
    assert table.n_without_pair == 24 - long.sum() == 1
    assert table["nme_pair"] == pytest.approx(100 * relative.mean(), rel=1e-12)
    assert table["pck_pair@0.1"] == (relative <= 0.1).mean()


def test_no_pair_is_guessed_and_a_wrong_one_is_refused() -> None:
    annotations, predictions = faces(0)
    plain = score(annotations, predictions)
    assert "pair" not in plain.as_dict()
    assert not set(OF_PAIR) & set(plain)
    for pair, words in (
        (("left_eye", "rigth_eye"), "'rigth_eye' is no keypoint of these annotations: did you mean 'right_eye'"),
        (("nose", "nose"), "name two different keypoints"),
    ):
        with pytest.raises(UserError, match=words):
            score(annotations, predictions, pair=pair)


def test_the_image_s_diagonal_by_hand_and_where_its_size_is_unknown() -> None:
    """640 x 480 px: 1, 2 and 5 % of 800 px are 8, 16 and 40; an image without a size does not count."""
    annotations, _ = faces(0, 5)
    known = replace(annotations, keypoints=np.round(annotations.keypoints), visible=np.tile([0, 0, 0, 0, 2], (5, 1)))
    points = known.keypoints + np.array([8, 9, 17, 40, 400.0])[:, None, None] * np.array([1.0, 0.0])
    predictions = Predictions.of_category(known.image_ids, points, np.ones(5), 1)
    shares = [f"pck_diagonal@{share}" for share in (0.01, 0.02, 0.05)]
    assert [score(known, predictions)[name] for name in shares] == [0.2, 0.4, 0.8]
    sizes = known.sizes.copy()
    sizes[4] = 0
    assert [score(replace(known, sizes=sizes), predictions)[name] for name in shares] == [0.25, 0.5, 1.0]
    none = score(replace(known, sizes=sizes * 0), predictions)
    assert none["pck_box@0.2"] is not None  # that they are photographs is seen from how far boxes reach
    assert none.reasons["pck_diagonal@0.01"] == "the sizes of the images are not given"


@pytest.mark.parametrize(
    ("side", "thresholds"),
    [
        (100, (2, 5, 10)),
        (199, (5, 10, 20)),  # 9.95
        (140, (2, 5, 10)),  # 7 is nearer to 5 than to 10, as a ratio: 49 < 50
        (142, (5, 10, 20)),
        (400, (10, 20, 50)),
        (10, (1, 2, 5)),  # a tenth of 620 px is more; a twentieth of that, 3.1, is nearer to 2 than to 5: 9.61 < 10
    ],
)
def test_pixel_thresholds_are_steps_near_a_twentieth_of_the_boxes(side: float, thresholds: tuple[float, ...]) -> None:
    annotations, predictions = faces(1, side=100)
    boxes = annotations.boxes.copy()
    boxes[:, 2:] = side, side / 2
    known = replace(annotations, boxes=boxes, sizes=np.tile([[620, 480]], (12, 1)))
    table = score(known, predictions)
    assert [name for name in table if name.startswith("pck@")] == [f"pck@{t}" for t in thresholds]
    d = np.linalg.norm(predictions.keypoints - known.keypoints[predictions.image_ids - 1], axis=2)
    seen = known.visible[predictions.image_ids - 1] > 0
    found = [(d[seen] <= t).sum() / (known.visible > 0).sum() for t in thresholds]
    assert [table[f"pck@{t}"] for t in thresholds] == pytest.approx(found)


@quick
@given(st.floats(7, 1e5), st.floats(1, 100))
def test_thresholds_grow_with_the_data_and_come_of_nothing_else(side: float, more: float) -> None:
    annotations, _ = faces(1, 5)
    counted = np.ones(5, dtype=bool)

    def of(longer: float) -> tuple[float, ...]:
        boxes = annotations.boxes.copy()
        boxes[:, 2:] = longer
        return pixel_thresholds(replace(annotations, boxes=boxes), counted)

    low, middle, high = of(side)
    assert STEPS.index(low) + 2 == STEPS.index(middle) + 1 == STEPS.index(high)
    assert of(side * more)[1] >= middle
    size = max(side, 64.0)
    if size / 20 < STEPS[-2]:
        assert abs(math.log(middle / (size / 20))) == pytest.approx(
            min(abs(math.log(step / (size / 20))) for step in STEPS), abs=1e-9
        )
    assert pixel_thresholds(replace(annotations, visible=annotations.visible * 0), counted) == of(100.0)


def test_digits_and_lattices_keep_their_thresholds() -> None:
    annotations, predictions = single_instance(9, 2)
    digits = replace(annotations, spacing=None)
    lattice = replace(annotations, sizes=annotations.sizes * 100)
    for known in (annotations, digits, lattice):
        names = [name for name in score(known, predictions) if name.startswith(("pck", "nme", "auc"))]
        assert names == ["pck@0.5", "pck@1", "pck@2", "pck@3", "auc"]


def test_a_box_made_around_one_keypoint_says_nothing() -> None:
    annotations, predictions = faces(0)
    boxes = annotations.boxes.copy()
    boxes[:, 2:] = 6.0
    table = score(replace(annotations, boxes=boxes), predictions)
    assert (table["pck_box@0.1"], table["nme"]) == (None, None)
    assert table["pck_diagonal@0.05"] is not None
    assert "pck@5" in table
