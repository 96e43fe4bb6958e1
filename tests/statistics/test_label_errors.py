"""Likely wrong labels from made out-of-fold answers: what is planted is found, what is clean is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from benchmark.statistics.label_errors import LabelErrors, _benjamini_hochberg, find_label_errors
from benchmark.structures import FloatArray

SCALES = np.array([1.0, 2.0, 3.0])
WORLDS = ("normal", "t3", "mixed")


def errors(rng: np.random.Generator, shape: tuple[int, ...], world: str) -> FloatArray:
    """Unit errors (..., 2): normal; Student's t with 3 degrees of freedom; or normal with 8 % eight times as large."""
    drawn = rng.normal(size=shape)
    if world == "t3":
        drawn /= np.sqrt(rng.chisquare(3, (*shape[:-1], 1)) / 3)
    if world == "mixed":
        drawn *= np.where(rng.random((*shape[:-1], 1)) < 0.08, 8.0, 1.0)
    return drawn


def clean(
    seed: int, world: str = "normal", *, m: int = 100, k: int = 4, shared: float = 0.3, d: int = 3
) -> tuple[FloatArray, FloatArray]:
    """Answers (D, M, K, 2) and right labels; ``shared`` of the errors' variance is common to all detectors."""
    rng = np.random.default_rng(seed)
    figure = np.array([[0, 0], [60, 0], [0, 60], [60, 60], [30, 30.0]])[:k]
    labels = figure + rng.uniform(0, 200, (m, 1, 2)) + rng.normal(0, 4, (m, k, 2))
    own, common = errors(rng, (d, m, k, 2), world), errors(rng, (m, k, 2), world)
    noise = np.sqrt(1 - shared) * own + np.sqrt(shared) * common
    return labels + SCALES[:d, None, None, None] * noise, labels


def plant(labels: FloatArray, seed: int, move: float) -> tuple[FloatArray, FloatArray, dict[tuple[int, int], int]]:
    """5 % of the labels made wrong in turn by an exchange and a move; which; and the partners of those exchanged."""
    rng = np.random.default_rng(1000 + seed)
    wrong, partners, made = np.zeros(labels.shape[:2], dtype=bool), dict[tuple[int, int], int](), labels.copy()
    for turn, row in enumerate(rng.permutation(len(labels)).tolist()):
        if wrong.sum() >= 0.05 * wrong.size:
            break
        i, j = rng.choice(labels.shape[1], 2, replace=False).tolist()
        if turn % 2:
            made[row, [i, j]] = made[row, [j, i]]
            wrong[row, [i, j]] = True
            partners |= {(row, i): j, (row, j): i}
        else:
            angle = rng.uniform(0, 2 * np.pi)
            made[row, i] += move * np.array([np.cos(angle), np.sin(angle)])
            wrong[row, i] = True
    return made, wrong, partners


def first_found(found: LabelErrors, count: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-np.nan_to_num(found.evidence), axis=None)[:count]
    return np.unravel_index(order, found.evidence.shape)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_clean_labels_raise_no_alarm(world: str, shared: float) -> None:
    """At a rate of 5 % four or more alarms in 30 data sets have a chance of 6 %; of these very sets fewer have one."""
    alarms = sum(find_label_errors(*clean(seed, world, m=80, shared=shared)).flagged.any() for seed in range(30))
    assert alarms <= 3


@pytest.mark.parametrize("world", WORLDS)
def test_planted_errors_are_the_first_found(world: str) -> None:
    right = found_right = found_all = planted = 0
    for seed in range(6):
        answers, labels = clean(seed, world)
        made, wrong, partners = plant(labels, seed, move=50.0)
        found = find_label_errors(answers, made)
        right += int(wrong[first_found(found, int(wrong.sum()))].sum())
        planted += int(wrong.sum())
        found_right += int((found.flagged & wrong).sum())
        found_all += int(found.flagged.sum())
        for (row, i), j in partners.items():
            if found.flagged[row, i] and world == "normal":
                assert found.partner[row, i] == j
        assert not found.whole.any()
    assert right >= 0.9 * planted
    assert found_right >= 0.9 * found_all
    assert found_right >= (0.9 if world != "mixed" else 0.2) * planted


def test_the_proposed_place_is_near_the_right_one_and_the_precise_detector_counts_most() -> None:
    answers, labels = clean(3)
    made, wrong, _ = plant(labels, 3, move=50.0)
    found = find_label_errors(answers, made)
    away = np.hypot(*(found.proposed - labels)[wrong].T)
    assert np.median(away) < 1.5
    assert away.max() < 10
    assert found.against[:, wrong].sum(axis=0).min() >= 2


@pytest.mark.parametrize("d", [2, 4])
def test_detectors_that_err_alike_are_one_voice_and_its_evidence_is_exponential(d: int) -> None:
    """Of one detector with Student's t, T is exponential with mean (nu + 2) / nu; of independent ones with mean 1."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(0, 100, (4000, 1, 2))
    error = rng.normal(size=labels.shape) / np.sqrt(rng.chisquare(4, (4000, 1, 1)) / 4)
    found = find_label_errors(np.stack([labels + 3 * error] * d), labels)
    assert found.inflation == pytest.approx(6 / 4, rel=0.12)
    assert np.quantile(found.evidence, 0.99) == pytest.approx(-np.log(0.01), rel=0.1)  # -log p of right labels
    independent = labels + 3 * rng.normal(size=(d, *labels.shape))
    assert find_label_errors(independent, labels).inflation == pytest.approx(1.0, abs=0.15)


def test_the_best_place_is_the_one_an_optimiser_finds() -> None:
    """The evidence against the worst label, from the definition: every detector's t density, maximised by scipy."""
    answers, labels = clean(5, "t3", m=60, k=1)
    labels[7] += [25.0, 0.0]
    found = find_label_errors(answers, labels)
    keep = ~found.flagged[:, 0]
    assert (~keep).nonzero()[0].tolist() == [7]
    centre, scale, nu = [], [], []
    for own in (answers - labels)[:, keep, 0]:
        middle = np.median(own, axis=0)
        spread = np.median(abs(own - middle), axis=0)
        squares = (((own - middle) / spread) ** 2).sum(axis=1)
        half = np.quantile(squares, 0.5)

        def gap(v: float, tail: float, squares: FloatArray = squares, half: float = half) -> float:
            return float(((1 - tail) ** (-2 / v) - 1) / (2 ** (2 / v) - 1) - np.quantile(squares, tail) / half)

        tails = [tail for tail in (0.9, 0.95, 0.98) if gap(30, tail) < 0]  # heavier than that of 30 degrees of freedom
        freedom = min(optimize.brentq(gap, 1, 30, args=(tail,)) if gap(1, tail) > 0 else 1.0 for tail in tails)
        centre.append(middle)
        nu.append(freedom)
        scale.append(np.maximum(spread * np.sqrt(half / freedom / (2 ** (2 / freedom) - 1)), 0.5))

    signs = np.sign((answers - labels)[:, keep, 0] - np.array(centre)[:, None]).reshape(3, -1)
    weights = 1 / np.maximum(np.sin(np.pi / 2 * signs @ signs.T / signs.shape[1]), 0).sum(axis=1)

    def log_likelihood(place: FloatArray) -> float:
        return sum(
            w * stats.multivariate_t(np.array(c), np.diag(s**2), df=v).logpdf(p - place)
            for p, c, s, v, w in zip(answers[:, 7, 0], centre, scale, nu, weights)
        )

    best = max(
        (optimize.minimize(lambda c: -log_likelihood(c), start, tol=1e-10) for start in answers[:, 7, 0]),
        key=lambda result: -result.fun,
    )
    np.testing.assert_allclose(found.proposed[7, 0], best.x, atol=0.05)
    evidence = (-best.fun - log_likelihood(labels[7, 0])) / found.inflation
    assert found.evidence[7, 0] == pytest.approx(evidence, rel=0.01)


def test_one_detector_that_fails_alone_is_no_evidence_however_far_it_is() -> None:
    answers, labels = clean(8, m=200, k=2, d=2, shared=0.0)
    answers[0, 5, 0] += [300.0, 0.0]
    answers[1, 5, 0] = labels[5, 0]
    answers[1, :, :] += np.array([[20.0, -20.0]]) * np.random.default_rng(0).normal(size=(200, 2, 1))  # hardly knows
    found = find_label_errors(answers, labels)
    assert not found.flagged.any()
    assert found.evidence[5, 0] < np.log(20)


def test_many_detectors_that_err_alike_do_not_outvote_a_precise_one_that_fails_now_and_then() -> None:
    """Where the precise one fails, five of one kind lie together off the label, as they always do."""
    alarms = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = rng.uniform(0, 300, (200, 2, 2))
        alike = labels + 8 * rng.normal(size=labels.shape)
        precise = labels + 0.5 * rng.normal(size=labels.shape)
        precise += np.where(rng.random((200, 2, 1)) < 0.02, rng.uniform(-60, 60, labels.shape), 0.0)
        answers = np.stack([*(alike + 2 * rng.normal(size=(5, *labels.shape))), precise])
        alarms += find_label_errors(answers, labels).flagged.any()
    assert alarms <= 1


def test_a_precise_detector_at_the_label_vetoes_two_others_that_agree() -> None:
    answers, labels = clean(0, m=200, k=1, shared=0.0)
    answers[1:, 5] = labels[5] + [20.0, 0.0]
    answers[:, 6] = labels[6] + [20.0, 0.0]
    found = find_label_errors(answers, labels)
    assert found.flagged[6, 0]
    assert not found.flagged[5, 0]


def test_detectors_that_disagree_say_nothing_however_far_they_are() -> None:
    answers, labels = clean(1, m=200, k=1, shared=0.0)
    answers[:, 5, 0] = labels[5, 0] + np.array([[100.0, 0], [-100, 50], [0, -100]])
    assert not find_label_errors(answers, labels).flagged.any()


def test_a_moved_instance_is_named_as_one() -> None:
    answers, labels = clean(2, m=100)
    labels[4] += [40.0, -30.0]
    labels[9, 1] += [40.0, -30.0]
    found = find_label_errors(answers, labels)
    assert found.whole.nonzero()[0].tolist() == [4]
    assert found.flagged[4].all()
    assert found.flagged[9].tolist() == [False, True, False, False]


def test_holes_and_missing_answers_are_not_judged_and_change_nothing_else() -> None:
    answers, labels = clean(4, m=60)
    labels[10, 2] = np.nan
    answers[:2, 11, 1] = np.nan  # one answer is none
    answers[0, 12, 1] = np.nan
    labels[20:, 3] = np.nan
    labels[0, 3] = np.nan  # 19 labels left: too few
    labels[13, 0] += 50
    answers[0, 13, 0] = np.nan  # two remain, and agree
    found = find_label_errors(answers, labels)
    judged = ~np.isnan(found.evidence)
    assert judged.sum(axis=0).tolist() == [60, 59, 59, 0]
    assert judged[12, 1]
    assert found.flagged.nonzero()[0].tolist() == [13]
    assert found.against[:, 13, 0].tolist() == [False, True, True]
    assert np.isnan(found.seen_from).tolist() == [False, False, False, True]


def test_nothing_to_judge_is_no_error() -> None:
    answers, labels = clean(4, m=60)
    for few in (find_label_errors(answers[:1], labels), find_label_errors(answers[:, :5], labels[:5])):
        assert not few.flagged.any()
        assert np.isnan(few.evidence).all()
    empty = find_label_errors(np.zeros((2, 0, 3, 2)), np.zeros((0, 3, 2)))
    assert empty.flagged.shape == (0, 3)


def test_errors_that_grow_with_the_instance_are_measured_in_its_size() -> None:
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(np.log(20), np.log(2000), 300))
    labels = rng.uniform(0, 1, (300, 1, 2)) * sizes[:, None, None]
    answers = labels + 0.03 * sizes[:, None, None] * rng.normal(size=(3, 300, 1, 2))
    small = int(np.argmin(sizes))
    labels[small] += 0.5 * sizes[small]
    assert find_label_errors(answers, labels, [sizes]).flagged.nonzero()[0].tolist() == [small]
    assert not find_label_errors(answers, labels).flagged.any()  # 10 px are nothing where errors reach 60


def test_what_is_said_to_be_seen_is_seen() -> None:
    answers, labels = clean(6, "t3", m=120, k=3)
    found = find_label_errors(answers, labels)
    rng = np.random.default_rng(1)
    for factor, low, high in ((0.4, 0.0, 0.3), (1.0, 0.55, 0.95), (2.0, 0.85, 1.0)):
        seen = []
        for row in rng.choice(120, 12, replace=False).tolist():
            made, angle = labels.copy(), rng.uniform(0, 2 * np.pi)
            made[row, 1] += factor * found.seen_from[1] * np.array([np.cos(angle), np.sin(angle)])
            seen.append(find_label_errors(answers, made).flagged[row, 1])
        assert low <= np.mean(seen) <= high
    assert (found.swaps_seen > 0.9).all()  # 60 px apart


def test_the_found_are_those_of_benjamini_and_hochberg() -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(size=80), rng.uniform(0, 0.004, 20)]).reshape(25, 4)
    judged = rng.random((25, 4)) < 0.9
    expected = np.zeros((25, 4), dtype=bool)
    expected[judged] = stats.false_discovery_control(p[judged]) <= 0.05
    np.testing.assert_array_equal(_benjamini_hochberg(np.where(judged, np.log(p), np.nan), judged), expected)
    assert expected.sum() > 10
