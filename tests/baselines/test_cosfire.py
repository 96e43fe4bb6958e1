"""COSFIRE, piece by piece against loops, then as a whole: it finds its own prototype wherever it is moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from baselines.cosfire import (
    RADII,
    Cosfire,
    _greedy,
    blurred_maximum,
    configure,
    gabor_bank,
    gabor_responses,
    make_filter,
    peaks,
    shifted,
)
from benchmark.detector import Budget
from benchmark.structures import LabeledImages

Digits = Callable[..., Any]


def test_bank_has_unit_kernels_without_mean_that_prefer_their_own_direction() -> None:
    bank = gabor_bank(8)
    assert len(bank) == 16
    for kernel in bank:
        assert abs(float(kernel.sum())) < 1e-4
        assert float((kernel**2).sum()) == pytest.approx(1, abs=1e-4)
    bars = np.zeros((2, 28, 28), dtype=np.uint8)
    bars[0, :, 13:15] = 255  # vertical
    bars[1, 13:15, :] = 255
    best = gabor_responses(bars, bank)[:, :8, 14, 14].argmax(axis=1)
    assert best.tolist() == [0, 4]  # a quarter turn apart


def test_no_ink_no_response() -> None:
    assert gabor_responses(np.zeros((2, 9, 7), dtype=np.uint8), gabor_bank(4)).max() == 0


@given(st.integers(0, 10_000), st.floats(0.3, 2.0), st.integers(1, 6), st.integers(1, 6))
def test_blurred_maximum_by_loops(seed: int, sigma: float, height: int, width: int) -> None:
    maps = np.random.default_rng(seed).random((2, height, width)).astype(np.float32)
    reach = int(np.ceil(2 * sigma))
    wanted = np.zeros_like(maps)
    for y in range(height):
        for x in range(width):
            wanted[:, y, x] = np.max(
                [
                    maps[:, v, u] * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2))
                    for v in range(max(0, y - reach), min(height, y + reach + 1))
                    for u in range(max(0, x - reach), min(width, x + reach + 1))
                ],
                axis=0,
            )
    assert np.allclose(blurred_maximum(maps, sigma), wanted, rtol=1e-5, atol=1e-6)


@given(st.integers(-7, 7), st.integers(-7, 7))
def test_shifted_by_loops(dx: int, dy: int) -> None:
    maps = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)
    moved = shifted(maps, dx, dy, -1.0)
    for y in range(4):
        for x in range(5):
            inside = 0 <= x + dx < 5 and 0 <= y + dy < 4
            assert (moved[:, y, x] == (maps[:, y + dy, x + dx] if inside else -1)).all()


def test_parts_lie_on_the_circles_where_the_ink_is_and_quiet_where_it_is_not() -> None:
    image = np.zeros((1, 40, 40), dtype=np.uint8)
    image[0, 19:21, 20:36] = 255  # a bar from the middle to the right
    parts, quiet = configure(gabor_responses(image, gabor_bank(8))[0], 20.0, 19.5)
    assert len(parts)
    assert len(quiet)
    for _, r, dx, dy in parts.tolist():
        assert abs(np.hypot(dx, dy) - RADII[r]) < 0.8
    far = parts[parts[:, 1] >= 2]
    assert len(far)
    assert (far[:, 2] > 0).all()
    assert (quiet[:, 0] < 0).sum() > (quiet[:, 0] > 3).sum()


@pytest.mark.parametrize("inhibition", [0.0, 2.0])
@pytest.mark.parametrize("by", [(0, 0), (3, -2), (-4, 5)])
def test_a_filter_finds_its_prototype_wherever_it_is_moved(
    by: tuple[int, int], inhibition: float, digits: Digits
) -> None:
    train, _, _ = digits("topleft", 8)
    bank = gabor_bank(8)
    roomy = np.zeros((8, 60, 60), dtype=np.uint8)
    roomy[:, 16:44, 16:44] = train.images
    moved = np.roll(roomy, by[::-1], axis=(1, 2))
    exact = 0
    for i, (x, y) in enumerate(train.points[:, 0] + 16):
        one = make_filter(gabor_responses(roomy[i : i + 1], bank)[0], x, y, inhibition)
        assert one is not None
        values, places = peaks(moved[i : i + 1], bank, [one])
        assert values[0, 0] >= -1e-4  # never less than at its own place, where it is 0
        exact += np.array_equal(places[0, 0], [x + by[0], y + by[1]])
    assert exact >= 4  # elsewhere in the same digit a neighbouring pixel may answer more


def test_a_keypoint_between_pixels_keeps_its_fraction(digits: Digits) -> None:
    train, val, _ = digits("center", 30)
    detector = Cosfire(prototypes=10)
    detector.fit(train, val, seed=0, budget=Budget())
    found = np.stack([p.keypoints[0, 0] for p in detector.predict(train.images)])
    assert {0.0, 0.5} == set((found % 1).ravel().tolist())


@given(st.integers(0, 10_000))
def test_greedy_order_is_the_best_next_filter_by_exhaustion(seed: int) -> None:
    random = np.random.default_rng(seed)
    values, points = random.normal(size=(4, 6)), random.normal(size=(6, 2))
    places = random.normal(size=(4, 6, 2))

    def error(some: list[int]) -> float:
        winner = values[some].argmax(axis=0)
        return float(np.hypot(*(places[some][winner, np.arange(6)] - points).T).mean())

    order = _greedy(values, places, points)
    assert sorted(order) == [0, 1, 2, 3]
    for i, added in enumerate(order):
        rest = [j for j in range(4) if j not in order[:i]]
        assert error(order[: i + 1]) == pytest.approx(min(error([*order[:i], j]) for j in rest))
        assert added in rest


def test_filters_kept_are_the_best_on_val_and_inhibition_helps(digits: Digits) -> None:
    train, val, test = digits("topleft", 141)
    errors = {}
    for inhibition in (0.0, 2.0):
        detector = Cosfire(prototypes=30, inhibition=inhibition)
        rows = detector.fit(train, val, seed=0, budget=Budget())
        on_val = np.stack([p.keypoints[0] for p in detector.predict(val.images)])
        error = float(np.hypot(*(on_val - val.points)[:, 0].T).mean())
        assert error == pytest.approx(min(row["val_px"] for row in rows), abs=1e-9)
        on_test = np.stack([p.keypoints[0] for p in detector.predict(test.images)])
        errors[inhibition] = float(np.hypot(*(on_test - test.points)[:, 0].T).mean())
    mean = float(np.hypot(*(train.points.mean(axis=0) - test.points)[:, 0].T).mean())
    assert errors[2.0] < errors[0.0]
    assert errors[2.0] < 0.85 * mean


def test_restored_it_answers_the_same_and_blank_images_teach_nothing(digits: Digits) -> None:
    train, val, test = digits("both", 30)
    detector, copy = Cosfire(prototypes=8), Cosfire(prototypes=8)
    detector.fit(train, val, seed=1, budget=Budget())
    copy.restore(load(save(dict(detector.state()))))
    for a, b in zip(detector.predict(test.images), copy.predict(test.images)):
        assert np.array_equal(a.keypoints, b.keypoints)
        assert np.array_equal(a.scores, b.scores)
    blank = LabeledImages(np.zeros((5, 28, 28), dtype=np.uint8), train.take(range(5)).annotations)
    assert detector.fit(blank, blank, seed=0, budget=Budget()) == []
    copy.restore(load(save(dict(detector.state()))))
    for one in (detector, copy):
        assert np.array_equal(one.predict(test.images)[0].keypoints[0], blank.points.mean(axis=0))
