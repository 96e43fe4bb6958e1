"""Images needed: laws that are known, coverage counted over worlds drawn from them, and what is not promised."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.statistics.groups import Groups
from benchmark.statistics.learning_curve import (
    WIDEST,
    LearningCurve,
    error_at,
    images_needed,
    learning_curve,
    reached,
    refusal,
)
from benchmark.statistics.power_laws import FARTHEST
from benchmark.structures import FloatArray

SIZES = (10, 20, 50, 100, 200, 568)
Law = Callable[[float], float]


def drawn(
    law: Law,
    rng: np.random.Generator,
    sizes: tuple[int, ...] = SIZES,
    seeds: int = 5,
    images: int = 80,
    noise: float = 0.03,
) -> dict[int, FloatArray]:
    """Errors whose mean over seeds and images is ``law(n)``: a seed's luck, an image's difficulty, and both together."""
    hard = rng.gamma(4, 0.25, images)
    return {
        n: np.maximum(law(n) * (1 + rng.normal(0, noise, (seeds, 1))), 0) * hard * rng.gamma(4, 0.25, (seeds, images))
        for n in sizes
    }


def exactly(law: Law, sizes: tuple[int, ...] = SIZES) -> LearningCurve:
    """The curve of a law without noise; the images differ, as they must for a test, but by nothing to speak of."""
    rng = np.random.default_rng(0)
    near = 1 + 1e-6 * rng.standard_normal((len(sizes), 3, 20))
    return learning_curve({n: law(n) * one / one.mean() for n, one in zip(sizes, near)})


def steep(n: float) -> float:
    return 10 * n**-0.5


@pytest.mark.parametrize("needed", [11, 33, 100, 137, 567])
def test_between_sizes_a_power_law_is_read_off_exactly(needed: int) -> None:
    answer = images_needed(exactly(steep), steep(needed) + 1e-9)
    assert (answer.images, answer.how, answer.reason) == (needed, "measured", None)
    assert answer.low is not None
    assert answer.high is not None
    assert needed - 1 <= answer.low <= needed <= answer.high <= needed + 1


def test_beyond_the_largest_size_a_law_without_a_floor_is_found_with_room_for_one() -> None:
    answer = images_needed(exactly(steep), steep(1000))
    assert answer.how == "foretold"
    assert answer.images is not None
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < 1000 < answer.high
    assert answer.images == pytest.approx(1000, rel=0.1)
    low, middle, high = error_at(exactly(steep), 1000)
    assert low < steep(1000) < high
    assert middle == pytest.approx(steep(1000), rel=0.05)
    assert 1000 - answer.low < answer.high - 1000  # a floor would be above, and nothing is below


def test_one_interval_is_the_other_turned_round() -> None:
    """The error foretold of n images reaches up to the target whose interval of images ends at n."""
    curve = learning_curve(drawn(steep, np.random.default_rng(3)))
    answer = images_needed(curve, steep(800))
    assert answer.low is not None
    assert answer.high is not None
    assert error_at(curve, answer.high)[2] == pytest.approx(steep(800), rel=0.01)
    assert error_at(curve, answer.low)[0] == pytest.approx(steep(800), rel=0.01)


def test_the_interval_between_sizes_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    answers = [images_needed(learning_curve(drawn(steep, rng, images=40)), steep(150)) for _ in range(100)]
    said = [one for one in answers if one.images is not None]
    held = [(one.low or 0) <= 150 <= (one.high or 0) for one in said]
    assert len(said) > 90
    assert np.mean(held) >= 0.91  # 95 %, less what 100 worlds may show


def test_what_is_foretold_holds_over_laws_of_many_kinds() -> None:
    """Each world draws its exponent, floor and late beginning; its sizes up to 200 foretell 568 and 800."""
    rng = np.random.default_rng(2)
    held, bounds = [], []
    for _ in range(80):
        exponent, floor, delay = (
            rng.uniform(0.2, 1.2),
            rng.choice([0, rng.uniform(0, 1)]),
            rng.choice([0, rng.uniform(0, 80)]),
        )

        def law(n: float, c: float = exponent, a: float = floor, d: float = delay) -> float:
            return float(3 * ((n + d) / (10 + d)) ** -c + a)

        curve = learning_curve(drawn(law, rng, SIZES[:-1], images=40))
        if refusal(curve) is None:
            low, _, high = error_at(curve, 568)
            held.append(low <= law(568) <= high)
            answer = images_needed(curve, law(800))
            if answer.images is not None and answer.high is not None:
                bounds.append((answer.low or 0) <= 800 <= answer.high)
            elif answer.reason is not None and answer.reason.values.get("low"):
                bounds.append(answer.reason.values["low"] <= 800)
    assert len(held) > 40
    assert np.mean(held) >= 0.9
    assert np.mean(bounds) >= 0.9


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.floats(0.1, 1.0), st.floats(0.0, 1.0))
def test_a_harder_target_never_needs_fewer(seed: int, exponent: float, floor: float) -> None:
    curve = learning_curve(drawn(lambda n: 5 * n**-exponent + floor, np.random.default_rng(seed), images=20))
    answers = [images_needed(curve, target) for target in np.geomspace(6, 0.05, 8)]
    said = [one for one in answers if one.images is not None]
    for easier, harder in pairwise(said):
        assert (easier.images or 0) <= (harder.images or 0)
        assert (easier.low or 0) <= (harder.low or 0)
        assert (easier.high or 0) <= (harder.high or 0)
    for one in said:
        assert one.images is not None
        assert one.high is not None
        assert (one.low or 10) <= one.images <= one.high <= FARTHEST * 568
        assert one.high <= WIDEST * (one.low or 10)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_units_do_not_matter(seed: int, times: float) -> None:
    values = drawn(steep, np.random.default_rng(seed), images=20)
    one = images_needed(learning_curve(values), steep(300))
    other = images_needed(learning_curve({n: times * table for n, table in values.items()}), times * steep(300))
    assert (one.how, one.reason and one.reason.code) == (other.how, other.reason and other.reason.code)
    for mine, theirs in ((one.images, other.images), (one.low, other.low), (one.high, other.high)):
        assert mine == theirs or abs((mine or 0) - (theirs or 0)) <= 1  # rounding, where it falls on a whole image


def test_a_smallest_size_that_reaches_the_target_is_an_upper_limit() -> None:
    answer = images_needed(exactly(steep), 5.0)
    assert (answer.images, answer.low, answer.high, answer.how) == (10, None, 10, "smallest")


def test_shares_are_read_off_with_room_for_failures_that_were_not_seen() -> None:
    rng = np.random.default_rng(4)

    def failures(n: int) -> FloatArray:
        return (rng.random((5, 300)) < 5 / n).astype(float)

    curve = learning_curve({n: failures(n) for n in SIZES}, share=True)
    answer = images_needed(curve, 0.05)
    assert answer.images == pytest.approx(100, rel=0.2)
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < 100 < answer.high
    right = learning_curve({n: np.zeros((5, 300)) for n in (10, 20)}, share=True)
    assert right.high[0] == pytest.approx(1 - 0.025 ** (1 / 300))  # Clopper and Pearson's, of 300 images and not 1,500
    assert images_needed(right, 0.05).how == "smallest"
    assert images_needed(right, 0.01).images is None  # none of 300 wrong still allows more than 1 %


def test_frames_of_one_video_count_as_one() -> None:
    values = drawn(steep, np.random.default_rng(5), images=40)
    repeated = {n: np.repeat(table, 10, axis=1) for n, table in values.items()}
    grouped = learning_curve(repeated, groups=Groups.of([f"v{i // 10}" for i in range(400)]))
    np.testing.assert_allclose(grouped.high, learning_curve(values).high)
    np.testing.assert_allclose(grouped.of_images, learning_curve(values).of_images)
    assert (learning_curve(repeated).high < grouped.high).all()


def flat(n: float) -> float:
    return 2.0


def rising(n: float) -> float:
    return 1 + n / 100


def late(n: float) -> float:
    return {10: 3.76, 20: 3.66, 50: 3.5, 100: 3.4}.get(int(n), 12.5 * n**-0.3)


def floored(n: float) -> float:
    return 1 + 30 / n


def slow(n: float) -> float:
    return 3 * n**-0.1


@pytest.mark.parametrize(
    ("law", "sizes", "target", "code"),
    [
        (steep, (10,), 1.0, "one_size"),
        (rising, SIZES, 1.0, "rises"),
        (steep, (10, 20, 50), 0.5, "few_sizes"),
        (flat, SIZES, 1.0, "no_fall"),
        (late, SIZES, 1.2, "not_foretold"),
        (floored, SIZES, 0.5, "floor"),
        (slow, SIZES, 0.5, "far"),
        (lambda n: 3 * n**-0.2, SIZES, 3 * 1500**-0.2, "wide"),
    ],
)
def test_what_is_not_promised_and_why(law: Law, sizes: tuple[int, ...], target: float, code: str) -> None:
    curve = learning_curve(drawn(law, np.random.default_rng(6), sizes, images=200, noise=0.01))
    answer = images_needed(curve, target)
    assert answer.reason is not None
    assert answer.reason.code == code
    assert (answer.images, answer.low, answer.high) == (None, None, None)


def test_a_law_that_no_power_law_is() -> None:
    answer = images_needed(exactly(lambda n: 4.0 if n < 100 else 2.0), 0.5)
    assert answer.reason is not None
    assert answer.reason.code == "misfit"


def test_one_seed_says_nothing() -> None:
    answer = images_needed(learning_curve(drawn(steep, np.random.default_rng(0), seeds=1)), 1.0)
    assert answer.reason is not None
    assert answer.reason.code == "one_seed"


def test_what_is_hidden_is_not_looked_at() -> None:
    """The part of a curve is the curve of the part."""
    values = drawn(steep, np.random.default_rng(7))
    part = learning_curve({n: values[n] for n in SIZES[:4]})
    cut = learning_curve(values).up_to(4)
    np.testing.assert_array_equal(cut.laws.weights, part.laws.weights)
    assert error_at(cut, 568) == error_at(part, 568)
    assert images_needed(cut, 0.7) == images_needed(part, 0.7)


def test_means_that_rise_by_chance_are_pooled() -> None:
    curve = exactly(lambda n: {10: 4.0, 20: 2.0, 50: 2.0001, 100: 1.0}[int(n)], (10, 20, 50, 100))
    assert reached(curve, 2.00005) == 20
    assert reached(curve, 1.5) == 67  # 50 * 2 ** (log(4 / 3) / log(2)) = 66.7


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: learning_curve({}), "a size at least"),
        (lambda: learning_curve({10: np.ones((2, 3)), 20: np.ones((1, 3))}), "same seeds and images"),
        (lambda: learning_curve({10: -np.ones((2, 3))}), "not negative"),
        (lambda: images_needed(exactly(steep), 0.0), "no target"),
    ],
)
def test_mistakes(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
