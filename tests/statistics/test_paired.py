"""Paired tests against scipy's closed forms and arithmetic by hand, then by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.statistics.components import TIE, Components, components
from benchmark.statistics.intervals import interval
from benchmark.statistics.notes import Note
from benchmark.statistics.paired import p_below, p_value, paired
from benchmark.statistics.power import power
from benchmark.structures import FloatArray

sizes = st.tuples(st.integers(1, 5), st.integers(2, 12))
pixels = st.floats(0, 40, allow_subnormal=False)
rows = sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=pixels))
pairs = sizes.flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=pixels), arrays(np.float64, shape, elements=pixels))
)


def draw(seeds: int, images: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 1.0, images) * rng.uniform(0.5, 1.5, (seeds, images)) + rng.uniform(0, 0.5, (seeds, 1))


def parts(values: FloatArray) -> tuple[FloatArray, ...]:
    """The five variances of ``values``, in the order of ``Components``."""
    of = components(values)
    return of.image_part, of.seed_part, of.image_variance, of.seed_variance, of.rest_variance


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_one_seed_is_the_paired_t_test(level: float) -> None:
    from scipy import stats

    a, b = draw(1, 80, 1), draw(1, 80, 2)
    want = stats.ttest_rel(a[0], b[0])
    found = paired(a, b, level)
    assert found.p == pytest.approx(want.pvalue, rel=1e-10)
    assert p_value(a, b) == found.p
    span = want.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((span.low, span.high), rel=1e-10)
    assert found.notes == (Note("fitted_models", {"models": 2}),)
    assert found.method == Note("student_t", {"seeds": 1, "images": 80})


def test_seeds_that_agree_are_images_alone() -> None:
    """A detector without chance in it: three seeds say what one says, and p is that of the one."""
    one, other = draw(1, 40, 3), draw(1, 40, 4)
    three, others = np.repeat(one, 3, axis=0), np.repeat(other, 3, axis=0)
    assert interval(three).low == pytest.approx(interval(one).low, rel=1e-12)
    assert interval(three).high == pytest.approx(interval(one).high, rel=1e-12)
    assert p_value(three, others) == pytest.approx(p_value(one, other), rel=1e-9)


def test_crossed_parts_are_the_mean_squares_of_a_two_way_layout() -> None:
    """By hand on a 3 x 4 table, without the module's own algebra: both parts, each with its own t."""
    from scipy import stats

    table = np.array([[1.0, 4.0, 2.0, 9.0], [2.0, 5.0, 1.0, 7.0], [0.0, 8.0, 3.0, 8.0]])
    seeds, images = table.shape
    grand = table.mean()
    square_images = seeds * sum((table[:, i].mean() - grand) ** 2 for i in range(images)) / (images - 1)
    square_seeds = images * sum((table[s].mean() - grand) ** 2 for s in range(seeds)) / (seeds - 1)
    square_rest = sum(
        (table[s, i] - table[s].mean() - table[:, i].mean() + grand) ** 2 for s in range(seeds) for i in range(images)
    ) / ((seeds - 1) * (images - 1))
    image_part, seed_part = (square_images - square_rest) / 12, square_seeds / 12
    assert seed_part == pytest.approx(np.var(table.mean(axis=1), ddof=1) / seeds)
    half = math.sqrt(stats.t.ppf(0.975, 3) ** 2 * image_part + stats.t.ppf(0.975, 2) ** 2 * seed_part)
    found = paired(table, np.zeros_like(table))
    assert found.high - found.difference == pytest.approx(half, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_p_value_is_the_level_at_which_the_interval_reaches_zero(pair: tuple[FloatArray, FloatArray]) -> None:
    found = paired(*pair)
    if 1e-9 < found.p < 1:
        edge = paired(*pair, level=1 - found.p)
        gap = min(abs(edge.low), abs(edge.high))
        assert gap <= 1e-5 * abs(found.difference)
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0) or abs(found.p - 0.05) < 1e-9


def test_p_values_stay_finite_far_out() -> None:
    rng = np.random.default_rng(6)
    a = 1000 + rng.standard_normal((3, 500)) * 1e-6
    for b in (np.zeros((3, 500)), rng.random((3, 500))):
        assert 0 <= p_value(a, b) < 1e-5
    assert p_value(a[:1], np.zeros((1, 500))) < 1e-100
    assert p_value(np.ones((3, 5)), np.zeros((3, 5))) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(2, 9), st.integers(0, 1000))
def test_a_batch_of_comparisons_is_each_of_them(seeds: int, images: int, seed: int) -> None:
    batch = np.random.default_rng(seed).standard_normal((5, seeds, images)) * 2
    batch[0] = 0.0
    batch[1] = 1.0
    together = components(batch).p_value()
    assert together == pytest.approx([float(components(one).p_value()) for one in batch], rel=1e-9)
    assert (together[0], together[1]) == (1.0, 0.0)


@pytest.mark.parametrize("images", [5, 4000])
def test_p_is_the_root_that_a_slow_search_finds_whatever_the_ratio_of_the_parts(images: int) -> None:
    """From seeds that matter a millionth of images to a million times as much, and from p near 1 to far out."""
    from scipy import optimize

    rng = np.random.default_rng(0)
    scale = np.geomspace(1e-3, 1e3, 25)[:, None, None]
    batch = scale * rng.standard_normal((25, 3, 1)) + rng.standard_normal((25, 3, images))
    batch += np.geomspace(1e-3, 1e4, 25)[rng.permutation(25)][:, None, None]
    parts = components(batch)
    for k, p in enumerate(parts.p_value()):
        alone = components(batch[k])

        def miss(log_p: float, alone: Components = alone) -> float:
            return float(alone.half_width(math.exp(log_p)) - abs(alone.mean))

        if p > 1e-200:
            assert math.log(p) == pytest.approx(optimize.brentq(miss, -500.0, 0.0), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("images", [5, 4000])
def test_p_is_1_where_the_means_are_equal_but_for_rounding_and_falls_from_there(images: int) -> None:
    """Across every size of a mean that floating point holds, without a jump where the ways of solving meet."""
    values = np.random.default_rng(0).standard_normal((3, images)) + np.array([[0.0], [0.3], [0.5]])
    values -= values.mean()
    sizes = np.geomspace(1e-160, 10, 700)
    p = np.array([float(Components(size, 3, images, *parts(values)).p_value()) for size in sizes])
    assert (p[sizes < 1e-17] == 1).all()
    assert (np.diff(p) <= 1e-11).all()
    assert (np.diff(p[sizes > 1e-6]) < 0).all()
    assert 0 < p[-1] < 0.01
    slope = (1 - p[sizes > 1e-9][:10]) / sizes[sizes > 1e-9][:10]
    assert slope == pytest.approx(slope[0], rel=1e-5)


def test_a_margin_is_a_shift() -> None:
    """One-sided, no difference of .3 px or more: the t test of the differences less .3 px, with 1,000 images and small errors."""
    from scipy import stats

    differences = np.random.default_rng(1).normal(0.2, 1.0, (1, 1, 1000))
    found = float(p_below(differences, failure=1e-3, margin=0.3)[0])
    want = stats.ttest_1samp(differences[0, 0], 0.3, alternative="less").pvalue
    assert found == pytest.approx(want, rel=0.25)
    assert found >= want * (1 - 1e-9)
    assert p_below(differences, failure=1.0, margin=0.1)[0] > 0.9


# The heavy-tail test beside Student's.


@settings(max_examples=40, deadline=None)
@given(pairs, st.floats(40, 200))
def test_with_the_size_of_a_failure_p_is_never_smaller_and_the_interval_never_narrower(
    pair: tuple[FloatArray, FloatArray], failure: float
) -> None:
    student, both = paired(*pair), paired(*pair, failure=failure)
    assert both.p >= student.p
    assert both.p == p_value(*pair, failure=failure)
    assert both.low <= student.low
    assert both.high >= student.high
    assert both.method.code == "student_t_tail"
    assert (both.p < 0.05) == (both.low > 0 or both.high < 0) or abs(both.p - 0.05) < 1e-6
    back = paired(pair[1], pair[0], failure=failure)
    assert (back.low, back.high, back.p) == pytest.approx((-both.high, -both.low, both.p), rel=1e-9)


def test_with_many_images_and_no_tail_both_tests_agree() -> None:
    rng = np.random.default_rng(2)
    a, b = 5 + rng.random((1, 300_000)), 5.0015 + rng.random((1, 300_000))
    student, both = paired(a, b), paired(a, b, failure=7.0)
    assert 0.001 < student.p < 0.2
    assert both.p == pytest.approx(student.p, rel=0.15)
    assert (both.low, both.high) == pytest.approx((student.low, student.high), abs=5e-5)


def test_a_row_without_a_failure_seen_is_not_shown_better_by_few_images() -> None:
    """Steady .1 px against none, 10 px failures: 4.4 failures' worth of images are needed, 440, however sure t is."""
    for images, shown in ((400, False), (480, True)):
        exact, steady = np.zeros((1, images)), 0.1 + np.linspace(-1e-3, 1e-3, images)[None]
        assert p_value(exact, steady) < 1e-100
        assert (p_value(exact, steady, failure=10.0) < 0.05) is shown


def test_a_row_may_fail_as_badly_as_it_has_been_seen_to() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.gamma(1.0, 1.0, (2, 1, 200))
    a[0, 0] = b[0, 0] = 9.0
    assert paired(a, b, failure=2.0).p == paired(a, b, failure=9.0).p < paired(a, b, failure=20.0).p


# Properties.


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_swapping_the_rows_turns_the_sign_alone(pair: tuple[FloatArray, FloatArray]) -> None:
    a, b = pair
    there, back = paired(a, b), paired(b, a)
    assert (there.difference, there.low, there.high) == (-back.difference, -back.high, -back.low)
    assert there.p == back.p
    assert there.images_that_decide.tolist() == back.images_that_decide.tolist()
    assert there.low <= there.difference <= there.high
    assert 0 <= there.p <= 1


@settings(max_examples=40, deadline=None)
@given(rows)
def test_a_row_cannot_be_told_from_itself(errors: FloatArray) -> None:
    found = paired(errors, errors.copy())
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert len(found.images_that_decide) == 0
    assert paired(errors, errors + TIE / 4).p == 1.0
    nothing = power(errors, errors)
    assert nothing.seeds is None
    assert nothing.images is None


def test_pairing_is_narrower() -> None:
    """Two rows that find the same images hard: the paired interval is several times narrower than a row's own."""
    rng = np.random.default_rng(8)
    hard = rng.gamma(1.0, 2.0, 300)
    a, b = (hard * rng.uniform(0.9, 1.1, (3, 300)) + 1 for _ in range(2))
    alone, together = interval(a), paired(a, b)
    assert (alone.high - alone.low) > 4 * (together.high - together.low)


# The images that decide.


def test_images_that_decide_are_the_fewest_without_which_the_difference_is_gone() -> None:
    a = np.zeros((2, 6))
    b = np.zeros((2, 6))
    a[:, 3], a[:, 1], a[:, 5], b[:, 0] = 9.0, 2.0, 0.5, 1.0
    found = paired(a, b)
    assert found.images_that_decide.tolist() == [3, 1]  # 10.5 in all: 9 do not reach it, 11 do
    assert paired(b, a).images_that_decide.tolist() == [3, 1]


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_without_the_images_that_decide_the_sign_is_gone(pair: tuple[FloatArray, FloatArray]) -> None:
    a, b = pair
    found = paired(a, b)
    if abs(found.difference) > 1e-6:
        of_image = (a - b).mean(axis=0) * math.copysign(1, found.difference)
        left = np.delete(of_image, found.images_that_decide)
        assert left.sum() <= 1e-9 * np.abs(of_image).sum()
        fewer = np.delete(of_image, found.images_that_decide[:-1])
        assert fewer.sum() > 0


def test_notes_warn() -> None:
    few = np.zeros((1, 500))
    few[0, :4] = 7.0
    warning = Note("few_images", {"carrying": pytest.approx(4.0), "images": 500})
    assert warning in paired(few, np.zeros_like(few)).notes
    assert warning not in paired(few, np.zeros_like(few), failure=7.0).notes
    assert Note("same_errors", {"images": 500}) in paired(few, few).notes


def test_one_image_says_nothing() -> None:
    other = paired(np.array([[1.0]]), np.array([[0.5]]), failure=3.0)
    assert other.p == 1.0
    assert (other.low, other.high) == (-math.inf, math.inf)
    assert Note("one_image") in other.notes


def test_rows_of_other_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"\(3, 5\) and \(2, 5\)"):
        paired(np.zeros((3, 5)), np.zeros((2, 5)))
