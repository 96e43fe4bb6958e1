"""What to label next: the greedy choice and its variances by brute force, what it avoids, and when a gain is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from benchmark.statistics.next_labels import LEVEL, NOISE, gains_of, likeness, most_telling, spread
from benchmark.structures import FloatArray


def unknown(alike: FloatArray, known: list[int]) -> float:
    """The variance summed over all images, given some, by the textbook formula."""
    if not known:
        return float(np.trace(alike))
    inverse = np.linalg.inv(alike[np.ix_(known, known)] + NOISE * np.eye(len(known)))
    return float(np.trace(alike - alike[:, known] @ inverse @ alike[known]))


@given(st.integers(0, 1000), st.integers(0, 4))
def test_each_image_leaves_the_least_unknown_by_brute_force(seed: int, labelled: int) -> None:
    rng = np.random.default_rng(seed)
    alike = likeness([rng.normal(size=(12, 3)), rng.normal(size=(12, 2))])
    chosen = most_telling(alike, range(labelled), range(labelled, 12), 4)
    known, whole = list(range(labelled)), unknown(alike, list(range(labelled)))
    for best, told in zip(chosen.order.tolist(), chosen.told.tolist(), strict=True):
        left = {i: unknown(alike, [*known, i]) for i in range(labelled, 12) if i not in known}
        assert left[best] <= min(left.values()) + 1e-9
        assert told == pytest.approx((unknown(alike, known) - left[best]) / whole, abs=1e-9)
        known.append(best)


def test_likeness_is_a_covariance_that_units_do_not_change() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 5))
    alike = likeness([a, b])
    assert np.array_equal(np.diag(alike), np.ones(20))
    assert np.array_equal(alike, alike.T)
    assert np.linalg.eigvalsh(alike).min() > -1e-9
    assert likeness([1000 * a + 7, b]) == pytest.approx(alike)
    assert likeness([a, b, np.full((20, 2), 3.0)]) == pytest.approx(alike)  # a view in which all are alike says nothing
    assert np.array_equal(likeness([np.ones((4, 2))]), np.ones((4, 4)))


def test_of_many_frames_of_one_moment_one_is_taken_and_what_is_labelled_is_not() -> None:
    moments = np.repeat(np.arange(6) * 10.0, 30)[:, None]
    frames = moments + np.random.default_rng(0).normal(0, 0.01, (180, 1))
    chosen = most_telling(likeness([frames]), [0, 31], range(180), 4)
    assert sorted(moments[chosen.order, 0].tolist()) == [20, 30, 40, 50]


def test_an_odd_image_waits_for_what_is_like_many() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, (60, 2)), [[40.0, 40.0]]])
    chosen = most_telling(likeness([values]), [], range(61), 5)
    assert 60 not in chosen.order.tolist()


def test_no_more_are_named_than_there_are() -> None:
    alike = likeness([np.arange(5.0)[:, None]])
    assert sorted(most_telling(alike, [0], [1, 2, 4], 9).order.tolist()) == [1, 2, 4]
    assert most_telling(alike, [0, 1], [], 3).order.tolist() == []
    nothing_left = most_telling(np.zeros((3, 3)), [], range(3), 2)
    assert nothing_left.order.tolist() == [0, 1]
    assert np.array_equal(nothing_left.told, [0, 0])


def test_spread_is_the_distance_from_the_mean_answer() -> None:
    answers = np.array([[[[0.0, 0.0], [1.0, 1.0]]], [[[6.0, 8.0], [1.0, 1.0]]]])
    assert spread(answers) == pytest.approx([np.sqrt(25 / 2)])
    answers[1, 0, 0] = np.nan  # one detector alone says nothing of this keypoint
    assert np.array_equal(spread(answers), [0.0])
    assert np.isnan(spread(answers[:1])).all()


@given(st.integers(0, 1000))
def test_a_gain_is_promised_where_the_t_test_over_all_detectors_shows_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    random = rng.uniform(1, 2, (3, 20))
    chosen = random * (1 - rng.normal(0.02, 0.1, (3, 20)))
    relative = 1 - chosen / random
    p = ttest_1samp(relative.mean(axis=0), 0, alternative="greater").pvalue
    for name, own, a, b in zip("abc", relative, chosen, random, strict=True):
        gain = gains_of(chosen, random, "abc")[name]
        assert gain.expected == (p < 1 - LEVEL and own.mean() > 0)
        assert gain.share == pytest.approx(float(own.mean()))
        assert gain.wins == np.mean(a < b)


def test_ties_and_single_trials_promise_nothing() -> None:
    ones, zeros = np.ones((1, 10)), np.zeros((1, 10))
    same = gains_of(ones, ones, ["a"])["a"]
    assert (same.share, same.wins, same.expected) == (0, 0.5, False)
    assert not gains_of(ones[:, :1] / 2, ones[:, :1], ["a"])["a"].expected
    assert not gains_of(zeros, zeros, ["a"])["a"].expected
    assert gains_of(ones, zeros, ["a"])["a"].share == -1
    assert gains_of(ones / 2, ones, ["a"])["a"].expected
    nothing = np.full((1, 10), np.inf)
    assert gains_of(nothing, nothing, ["a"])["a"].share == 0
    assert gains_of(nothing, ones, ["a"])["a"].share == -1
    assert gains_of(ones, nothing, ["a"])["a"].share == 1
