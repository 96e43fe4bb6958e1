"""The reference rows: the mean is the baseline, a rule is found only where it is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from baselines.mean import Mean
from baselines.rule import RULES, Rule, rule_points
from benchmark.detector import Budget
from benchmark.structures import UserError
from datasets.tasks.catalog import tasks

Digits = Callable[..., Any]
RULED = [name for name, card in tasks().items() if card.rule and card.canvas is None]


def test_mean_answers_the_training_mean_and_survives_storage(digits: Digits) -> None:
    train, val, test = digits("both")
    mean = Mean()
    mean.fit(train, val, seed=0, budget=Budget())
    answers = mean.predict(test.images)
    assert answers.shape == (len(test), 2, 2)
    for k in range(2):
        for axis in range(2):
            mean_of = sum(float(point[k, axis]) for point in train.points) / len(train)
            assert np.allclose(answers[:, k, axis], mean_of, rtol=0, atol=1e-12)
    copy = Mean()
    copy.restore(mean.state())
    assert np.array_equal(copy.predict(test.images), answers)
    assert mean.predict(test.images[:0]).shape == (0, 2, 2)


@pytest.mark.parametrize("task", RULED)
def test_rule_is_recognised_and_exact_wherever_a_card_says_there_is_one(task: str, digits: Digits) -> None:
    train, val, test = digits(task, 300)
    rule = Rule()
    rule.fit(train, val, seed=0, budget=Budget())
    assert np.abs(rule.predict(test.images) - test.points).max() < 1e-9
    copy = Rule()
    copy.restore(rule.state())
    assert np.array_equal(copy.predict(test.images), rule.predict(test.images))


def test_no_rule_where_the_point_depends_on_the_digit(digits: Digits) -> None:
    train, val, _ = digits("digit-dependent")
    with pytest.raises(UserError, match="no rule is known for this task"):
        Rule().fit(train, val, seed=0, budget=Budget())


def test_a_rule_that_is_asked_for_is_used_right_or_wrong(digits: Digits) -> None:
    train, val, test = digits("topleft-bold", 300)
    rule = Rule(target="topleft")
    rule.fit(train, val, seed=0, budget=Budget())
    error = np.hypot(*(rule.predict(test.images) - test.points)[:, 0].T)
    assert 0.02 < (error == 0).mean() < 0.3


def test_unknown_rules_and_a_wrong_number_of_them_are_refused(digits: Digits) -> None:
    with pytest.raises(UserError, match="unknown rule 'toplefft': did you mean 'topleft'"):
        Rule(target="toplefft")
    train, val, _ = digits("both")
    with pytest.raises(UserError, match="give 2 rules"):
        Rule(target="topleft").fit(train, val, seed=0, budget=Budget())


@pytest.mark.parametrize("name", RULES)
def test_rules_take_blank_images_and_colour(name: str) -> None:
    blank = np.zeros((1, 5, 9), dtype=np.uint8)
    assert rule_points(name, blank).tolist() == [[4.0, 2.0]]
    grey = np.random.default_rng(0).integers(0, 256, (3, 6, 7), dtype=np.uint8)
    assert np.array_equal(rule_points(name, grey), rule_points(name, np.repeat(grey[..., None], 3, axis=3)))
