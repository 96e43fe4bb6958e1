"""Intervals of one row against scipy's closed forms, then by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.statistics.intervals import exact_interval, exact_share, interval
from benchmark.statistics.notes import CODES, Note
from benchmark.structures import FloatArray

sizes = st.tuples(st.integers(1, 5), st.integers(2, 12))
pixels = st.floats(0, 40, allow_subnormal=False)
rows = sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=pixels))


def draw(seeds: int, images: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 1.0, images) * rng.uniform(0.5, 1.5, (seeds, images)) + rng.uniform(0, 0.5, (seeds, 1))


def test_one_seed_is_students_interval_over_images() -> None:
    from scipy import stats

    errors = draw(1, 57)
    found = interval(errors)
    want = stats.ttest_1samp(errors[0], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert found.mean == pytest.approx(errors.mean(), rel=1e-14)
    assert found.notes == (Note("fitted_models", {"models": 1}),)
    assert found.method == Note("student_t", {"seeds": 1, "images": 57})


# Several seeds: where the truth is one of the two parts alone.


def test_seeds_alone_is_students_interval_over_seed_means() -> None:
    """Every image alike within a seed: only s^2 / S is left, with S - 1 degrees of freedom."""
    from scipy import stats

    of_seed = np.array([1.0, 1.3, 0.8, 1.1])
    found = interval(np.repeat(of_seed[:, None], 30, axis=1))
    want = stats.ttest_1samp(of_seed, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert "fitted_models" not in [note.code for note in found.notes]


def test_noise_is_not_counted_twice() -> None:
    """Images x seeds of independent noise: the interval is about Student's over seeds, not sqrt(2) times as wide."""
    rng = np.random.default_rng(5)
    ratio = []
    for _ in range(200):
        errors = 20 + rng.standard_normal((10, 200))
        found = interval(errors)
        ratio.append((found.high - found.low) / 2 / (2.262 * errors.mean(axis=1).std(ddof=1) / math.sqrt(10)))
    assert 1.0 <= np.median(ratio) < 1.1


# Properties.


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_of_images_and_seeds_changes_nothing(errors: FloatArray, random: object) -> None:
    rng = np.random.default_rng(7)
    shuffled = errors[rng.permutation(len(errors))][:, rng.permutation(errors.shape[1])]
    a, b = interval(errors), interval(shuffled)
    assert (a.low, a.mean, a.high) == pytest.approx((b.low, b.mean, b.high), rel=1e-9, abs=1e-9)


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


# Notes.


def test_notes_warn() -> None:
    assert Note("no_error", {"images": 50}) in interval(np.zeros((3, 50))).notes
    few = np.zeros((1, 500))
    few[0, :4] = 7.0
    assert Note("few_images", {"carrying": pytest.approx(4.0), "images": 500}) in interval(few).notes
    assert interval(draw(3, 200)).notes == ()
    assert interval(draw(3, 20)).notes == ()  # few images, but each carries its share


def test_the_table_of_notes_lists_every_code() -> None:
    from benchmark.statistics import notes

    assert notes.__doc__ is not None
    listed = [line.split("``")[1] for line in notes.__doc__.splitlines() if line.startswith("``")]
    assert tuple(listed) == CODES
    with pytest.raises(ValueError, match="no note has the code 'no_such'"):
        Note("no_such")


def test_one_image_says_nothing() -> None:
    found = interval(np.array([[1.0], [2.0]]))
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.notes == (Note("one_image"),)


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
    (note,) = found.notes
    assert note.code == "none_wrong"
    assert note.values == {"images": 291, "limit": pytest.approx(0.01024, abs=1e-5), "level": 0.95}
    assert (1 - note.values["limit"]) ** 291 == pytest.approx(0.05)  # the definition of the limit
    assert exact_interval(0, 5).notes[0].code == "none_right"


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
    assert found.notes == (Note("fitted_models", {"models": 1}),)


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
    assert [note.code for note in found.notes] == ["effective_images", "none_wrong"]


def test_exact_share_widens_with_the_spread_of_seeds() -> None:
    agree = np.zeros((3, 100))
    agree[:, :80] = 1
    differ = np.zeros((3, 100))
    for seed, hits in enumerate((60, 80, 100)):
        differ[seed, :hits] = 1
    assert exact_share(differ).mean == pytest.approx(exact_share(agree).mean)
    assert exact_share(agree).low == pytest.approx(exact_interval(80, 100).low, rel=1e-9)
    assert exact_share(differ).low < exact_share(agree).low - 0.1


def test_a_share_without_variance_is_the_limit_of_shares_with_ever_less() -> None:
    """Two seeds, each right on the half the other is wrong on: every mean is the same, and so nothing is seen to vary."""
    hits = np.stack([np.tile([1.0, 0.0], 20), np.tile([0.0, 1.0], 20)])
    found = exact_share(hits)
    nearly = exact_share(np.abs(hits - 1e-9 * np.arange(40)))
    assert (found.low, found.high) == pytest.approx((nearly.low, nearly.high), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((exact_interval(40, 80).low, exact_interval(40, 80).high))
