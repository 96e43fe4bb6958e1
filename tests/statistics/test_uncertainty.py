"""Intervals and paired tests against scipy's closed forms, then by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.statistics.uncertainty import (
    TIE,
    exact_interval,
    exact_share,
    interval,
    p_value,
    paired,
    power,
)
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


# One seed: the textbook.


def test_one_seed_is_students_interval_over_images() -> None:
    from scipy import stats

    errors = draw(1, 57)
    found = interval(errors)
    want = stats.ttest_1samp(errors[0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert found.mean == pytest.approx(errors.mean(), rel=1e-14)
    assert "this fitted model" in found.note
    assert "57 images" in found.method


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
    assert "fitted models" in found.note


# Several seeds: the cases where the annotations is one of the two parts alone.


def test_seeds_alone_is_students_interval_over_seed_means() -> None:
    """Every image alike within a seed: only s^2 / S is left, with S - 1 degrees of freedom."""
    from scipy import stats

    of_seed = np.array([1.0, 1.3, 0.8, 1.1])
    found = interval(np.repeat(of_seed[:, None], 30, axis=1))
    want = stats.ttest_1samp(of_seed, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert "this fitted model" not in found.note


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


def test_noise_is_not_counted_twice() -> None:
    """Images x seeds of independent noise: the interval is about Student's over seeds, not sqrt(2) times as wide."""
    rng = np.random.default_rng(5)
    ratio = []
    for _ in range(200):
        errors = 20 + rng.standard_normal((10, 200))
        found = interval(errors)
        ratio.append((found.high - found.low) / 2 / (2.262 * errors.mean(axis=1).std(ddof=1) / math.sqrt(10)))
    assert 1.0 <= np.median(ratio) < 1.1


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


@pytest.mark.parametrize(("seeds", "rows"), [(1, 8), (3, 3), (3, 8), (6, 8)])
def test_p_against_a_row_picked_as_the_best_is_right_on_average(seeds: int, rows: int) -> None:
    """Equal rows: of all the others, 5 % have a value below 5 % (standard error .3 points); plain values are too small."""
    rng = np.random.default_rng(seeds * rows)
    images = 30 if seeds == 1 else 4
    plain, corrected = [], []
    for _ in range(1500):
        if seeds == 1:
            errors = 20 + rng.standard_normal((rows, 1, images))
        else:  # every image alike: the spread of seeds is all there is
            errors = 20 + np.repeat(rng.standard_normal((rows, seeds, 1)), images, axis=2)
        best = int(errors.mean(axis=(1, 2)).argmin())
        for i in set(range(rows)) - {best}:
            plain.append(p_value(errors[i], errors[best]))
            corrected.append(p_value(errors[i], errors[best], rows))
    rate = float(np.mean(np.array(corrected) < 0.05))
    assert 0.035 < rate < 0.06
    assert np.mean(np.array(plain) < 0.05) > rate + 0.005
    assert (np.array(corrected) >= np.array(plain)).all()
    assert (np.array(corrected) <= np.minimum(1, np.array(plain) * max(rows / 2, 1)) * 1.001).all()


def test_p_of_a_pair_named_beforehand_and_far_out() -> None:
    a, b = draw(3, 40, 1), draw(3, 40, 2) + 0.2
    assert p_value(a, b, 2) == paired(a, b).p < p_value(a, b, 3) < p_value(a, b, 30)
    assert p_value(a, a, 30) == 1.0
    far = p_value(1000 + a[:1], b[:1], 30)
    assert 0 <= far < 1e-30


# Properties.


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_of_images_and_seeds_changes_nothing(errors: FloatArray, random: object) -> None:
    rng = np.random.default_rng(7)
    shuffled = errors[rng.permutation(len(errors))][:, rng.permutation(errors.shape[1])]
    a, b = interval(errors), interval(shuffled)
    assert (a.low, a.mean, a.high) == pytest.approx((b.low, b.mean, b.high), rel=1e-9, abs=1e-9)


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


@settings(max_examples=40, deadline=None)
@given(rows, st.floats(0.01, 100))
def test_pixels_scale(errors: FloatArray, factor: float) -> None:
    a, b = interval(errors), interval(errors * factor)
    assert (a.low * factor, a.high * factor) == pytest.approx((b.low, b.high), rel=1e-9, abs=1e-9)
    before = errors.copy()
    interval(errors)
    assert np.array_equal(errors, before)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_a_higher_level_is_wider_and_never_below_zero(errors: FloatArray) -> None:
    narrow, wide = interval(errors, 0.8), interval(errors, 0.99)
    assert 0 <= wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high


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


# What the notes say.


def test_notes_warn() -> None:
    assert "no error on any of 50 images" in interval(np.zeros((3, 50))).note
    few = np.zeros((1, 500))
    few[0, :4] = 7.0
    assert "about 4 of 500 images carry it" in interval(few).note
    assert "about 4 of 500 images carry it" in paired(few, np.zeros_like(few)).note
    assert interval(draw(3, 200)).note == ""
    assert interval(draw(3, 20)).note == ""  # few images, but each carries its share
    assert "same error on every image" in paired(few, few).note


def test_one_image_says_nothing() -> None:
    found = interval(np.array([[1.0], [2.0]]))
    assert (found.low, found.high) == (0.0, math.inf)
    other = paired(np.array([[1.0]]), np.array([[0.5]]))
    assert other.p == 1.0
    assert (other.low, other.high) == (-math.inf, math.inf)
    assert power(np.array([[1.0]]), np.array([[0.5]])).images is None


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros(5),
        np.zeros((0, 5)),
        np.zeros((5, 0)),
        np.full((1, 5), np.nan),
        np.full((1, 5), np.inf),
        -np.ones((1, 5)),
    ],
)
def test_what_are_not_errors_is_refused(broken: FloatArray) -> None:
    with pytest.raises(ValueError):
        interval(broken)


def test_rows_of_other_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"\(3, 5\) and \(2, 5\)"):
        paired(np.zeros((3, 5)), np.zeros((2, 5)))


# The share exactly right.


@pytest.mark.parametrize(("hits", "n"), [(0, 291), (1, 291), (145, 291), (290, 291), (291, 291), (3, 5), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_exact_interval_is_clopper_pearson(hits: int, n: int, level: float) -> None:
    from scipy import stats

    want = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    found = exact_interval(hits, n, level)
    assert (found.low, found.high) == pytest.approx((want.low, want.high), rel=1e-9, abs=1e-12)


def test_no_error_of_291_still_allows_one_percent() -> None:
    found = exact_interval(291, 291)
    assert "none of 291 wrong still allows 1.02 %" in found.note
    assert abs((1 - 0.0102) ** 291 - 0.05) < 0.001  # the definition of the limit


def test_shares_outside_zero_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="not a share"):
        exact_interval(5, 4)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        exact_share(np.full((1, 3), 2.0))


def test_exact_share_of_one_seed_is_clopper_pearson() -> None:
    hits = np.zeros((1, 50))
    hits[0, :31] = 1
    found, want = exact_share(hits), exact_interval(31, 50)
    assert (found.low, found.high) == (want.low, want.high)
    assert "this fitted model" in found.note


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(5, 60), st.integers(0, 2**31))
def test_an_image_with_another_seed_is_at_most_a_new_image(seeds: int, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = (rng.random((seeds, images)) < rng.random((1, images))).astype(np.float64)
    found = exact_share(hits)
    trials = images if hits.mean() in (0, 1) else hits.size
    narrowest = exact_interval(hits.mean() * trials, trials)
    assert 0 <= found.low <= narrowest.low + 1e-12
    assert narrowest.high - 1e-12 <= found.high <= 1
    assert found.low <= found.mean <= found.high


def test_all_right_with_many_seeds_is_no_more_than_its_images_allow() -> None:
    found = exact_share(np.ones((10, 291)))
    assert found.low == exact_interval(291, 291).low
    assert "none of 291 wrong" in found.note


def test_exact_share_widens_with_the_spread_of_seeds() -> None:
    agree = np.zeros((3, 100))
    agree[:, :80] = 1
    differ = np.zeros((3, 100))
    for seed, hits in enumerate((60, 80, 100)):
        differ[seed, :hits] = 1
    assert exact_share(differ).mean == pytest.approx(exact_share(agree).mean)
    assert exact_share(agree).low == pytest.approx(exact_interval(80, 100).low, rel=1e-9)
    assert exact_share(differ).low < exact_share(agree).low - 0.1


# Power.


def test_power_of_one_seed_is_the_textbook_number_of_images() -> None:
    """n = ((z(.975) + z(.8)) sd / difference)^2 for many images."""
    rng = np.random.default_rng(9)
    d = rng.standard_normal(1000)
    d = (d - d.mean()) / d.std(ddof=1) + 0.05
    found = power(20 + d[None], np.full((1, 1000), 20.0))
    assert found.images == pytest.approx((2.80159 / 0.05) ** 2, rel=0.01)
    assert found.seeds is None
    assert f"about {found.images:,} images would separate these two fitted models" in found.text
    assert "one seed cannot say" in found.text


def test_power_of_seeds_is_the_textbook_number() -> None:
    """Difference = 1 standard deviation of seeds and images that do not matter: n = 10 for a one-sample t test."""
    of_seed = np.array([-1.0, 0.0, 1.0]) + 1.0
    found = power(20 + np.repeat(of_seed[:, None], 400, axis=1), np.full((3, 400), 20.0))
    assert found.seeds == 10
    assert found.images is None
    assert "about 10 seeds would separate them" in found.text


def test_power_of_images_where_seeds_add_nothing_of_their_own() -> None:
    """Noise alone: more images shrink all of it, though every seed mean varies. n = delta^2 rest / (S difference^2)."""
    from scipy import optimize, stats

    rng = np.random.default_rng(3)
    noise = rng.standard_normal((4, 200))
    noise -= noise.mean(axis=0)  # nothing of the image's own
    of_seed = noise.mean(axis=1, keepdims=True)
    noise += of_seed * (0.5 / math.sqrt(200) / of_seed.std(ddof=1) - 1)  # seed means spread by half of what noise gives
    left = noise - noise.mean(axis=1, keepdims=True)
    rest = float((left**2).sum()) / (3 * 199)
    delta = optimize.brentq(lambda shift: stats.nct.sf(stats.t.ppf(0.975, 3), 3, shift) - 0.8, 1, 20)
    found = power(20.05 + noise, np.full((4, 200), 20.0))
    assert found.images == pytest.approx(delta**2 * rest / (4 * 0.05**2), rel=0.02)


def test_power_says_when_they_are_separated_already() -> None:
    a = draw(5, 200, 10)
    assert power(a, a + 5 + draw(5, 200, 11) / 10).text.startswith("already separated")


def test_importing_leaves_heavy_libraries_alone() -> None:
    import subprocess
    import sys

    code = (
        "import sys, benchmark.statistics.uncertainty, benchmark.statistics.tiers; print('scipy.stats' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
