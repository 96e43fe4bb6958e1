"""scikit-learn on feature sets: the same numbers as scikit-learn itself, exact where it can be, no pickles."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import ElasticNet as SkElasticNet
from sklearn.linear_model import Lasso as SkLasso
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as SkRidge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVR

from baselines.scikit import LASSO_ALPHA, Forest, Lasso, Linear, Perceptron, Ridge
from benchmark.detector import Budget, Detector
from benchmark.registry import resolve
from benchmark.runs.execute import holds_the_answer
from benchmark.structures import FloatArray, LabeledImages, UserError
from datasets.features import features

Digits = Callable[..., Any]

# name -> scikit-learn's own model of one output; two-output models are given the columns one at a time too.
THEIRS: dict[str, Callable[[], Any]] = {
    "linear": LinearRegression,
    "ridge:alpha=3": lambda: SkRidge(alpha=3),
    "lasso": lambda: SkLasso(alpha=14 / 255, max_iter=5000),
    "elasticnet:alpha=.1": lambda: SkElasticNet(alpha=0.1, max_iter=5000),
    "knn:neighbours=3": lambda: KNeighborsRegressor(3),
    "boosting:rounds=5": lambda: HistGradientBoostingRegressor(max_iter=5, random_state=7),
    "svr": SVR,
}


def answers(detector: Detector, train: LabeledImages, val: LabeledImages, images: Any, seed: int = 7) -> FloatArray:
    detector.fit(train, val, seed=seed, budget=Budget())
    return np.asarray(detector.predict(images))


@pytest.mark.parametrize("text", THEIRS)
def test_equals_scikit_learn_coordinate_by_coordinate(text: str, digits: Digits) -> None:
    train, val, test = digits("both", 60)
    ours = answers(resolve(text).build(), train, val, test.images)
    pixels = train.images.reshape(len(train), -1) / 255
    unseen = test.images.reshape(len(test), -1) / 255
    for k in range(2):
        for axis in range(2):
            theirs = THEIRS[text]().fit(pixels, train.points[:, k, axis]).predict(unseen)
            assert np.allclose(ours[:, k, axis], theirs, rtol=0, atol=1e-6)


def test_forest_and_mlp_equal_scikit_learn_on_all_coordinates_at_once(digits: Digits) -> None:
    train, val, test = digits("both", 60)
    inputs, unseen = features(train.images, "pts11+hog"), features(test.images, "pts11+hog")
    wanted = train.points.reshape(60, 4)
    forest = RandomForestRegressor(10, random_state=7).fit(inputs, wanted).predict(unseen)
    ours = answers(Forest(features="pts11+hog", trees=10), train, val, test.images)
    assert np.allclose(ours.reshape(60, 4), forest, rtol=0, atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlp = MLPRegressor(hidden_layer_sizes=(20,), max_iter=30, random_state=7).fit(inputs, wanted).predict(unseen)
    ours = answers(Perceptron(features="pts11+hog", hidden=20, iterations=30), train, val, test.images)
    assert np.allclose(ours.reshape(60, 4), mlp, rtol=0, atol=1e-9)


def test_linear_on_extrema_is_exact_on_unseen_digits(digits: Digits) -> None:
    train, val, test = digits("topleft", 300)
    assert np.abs(answers(Linear(features="pts"), train, val, test.images) - test.points).max() < 1e-6
    assert np.abs(answers(Linear(features="pts12"), train, val, test.images) - test.points).max() < 1e-6
    assert np.abs(answers(Linear(features="pts11"), train, val, test.images) - test.points).max() > 1
    assert np.abs(answers(Linear(features="pts+const+random"), train, val, test.images) - test.points).max() < 1e-6


@pytest.mark.parametrize(
    ("task", "sets", "oracle"),
    [
        ("topleft", "pts", True),
        ("topleft", "pix+pts12+random", True),
        ("topleft", "pts11", False),
        ("topleft", "pts22", False),
        ("center", "pts11", True),
        ("topleft", "pix", False),
        ("topleft", "hog+const", False),
    ],
)
def test_oracle_features_are_told_apart_task_by_task(task: str, sets: str, oracle: bool, digits: Digits) -> None:
    train, _, _ = digits(task, 568)
    assert holds_the_answer(Linear(features=sets), train) is oracle


def test_what_counts_as_hand_made(digits: Digits) -> None:
    images = digits()[0].images
    for spec in ("pix", "hog", "pix+const+random12"):
        assert Linear(features=spec).handmade_features(images) is None
    made = Linear(features="pix+pts11+random + max").handmade_features(images)
    assert made is not None
    assert np.array_equal(made, features(images, "pts11+max"))


def test_lasso_default_is_alpha_1_on_raw_pixels_and_points_scaled_to_one(digits: Digits) -> None:
    train, val, test = digits("topleft", 100)
    raw = SkLasso(alpha=1, max_iter=20000, tol=1e-8).fit(train.images.reshape(100, -1), train.points[:, 0] / 14 - 1)
    scaled = (raw.predict(test.images.reshape(100, -1)) + 1) * 14
    ours = answers(Lasso(), train, val, test.images)[:, 0]
    assert np.abs(ours - scaled).max() < 0.02
    assert np.ptp(ours[:, 0]) > 1
    with_one = answers(Lasso(alpha=1), train, val, test.images)[:, 0]
    assert np.ptp(with_one[:, 0]) < 0.5
    assert pytest.approx(0.0549, abs=1e-4) == LASSO_ALPHA


def test_constant_columns_change_nothing_and_random_ones_do(digits: Digits) -> None:
    train, val, test = digits("topleft", 100)
    plain = answers(Ridge(), train, val, test.images)
    assert np.allclose(answers(Ridge(features="pix+const"), train, val, test.images), plain, rtol=0, atol=1e-6)
    assert np.abs(answers(Ridge(features="pix+random"), train, val, test.images) - plain).max() > 0.1


def test_not_converged_is_written_down_and_warns_nobody(digits: Digits) -> None:
    train, val, _ = digits("topleft", 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = Perceptron().fit(train, val, seed=0, budget=Budget(epochs=2))
        assert rows[0]["converged"] == 0
        assert Linear().fit(train, val, seed=0, budget=Budget())[0]["converged"] == 1


def test_history_holds_the_pixel_errors(digits: Digits) -> None:
    train, val, _ = digits("both", 60)
    detector = Ridge()
    (row,) = detector.fit(train, val, seed=0, budget=Budget())
    for name, data in (("train_px", train), ("val_px", val)):
        off = np.asarray(detector.predict(data.images)) - data.points
        assert row[name] == pytest.approx(np.sqrt((off**2).sum(axis=2)).mean(), abs=1e-12)
    assert detector.n_parameters == 4 * 785


@pytest.mark.parametrize("text", ["linear", "forest:trees=5", "boosting", "mlp:hidden=8"])
def test_restored_and_repeated_it_answers_bit_for_bit_the_same(text: str, digits: Digits) -> None:
    from safetensors.numpy import load, save

    train, val, test = digits("both", 50)
    some = LabeledImages(np.asfortranarray(train.images), train.annotations)
    fitted, again, restored = (resolve(text).build() for _ in range(3))
    for detector in (fitted, again):
        detector.fit(some, val, seed=3, budget=Budget(epochs=4))
    restored.restore(load(save(dict(fitted.state()))))
    points = np.asarray(fitted.predict(test.images))
    assert np.array_equal(points, np.asarray(again.predict(test.images)))
    assert np.array_equal(points, np.asarray(restored.predict(test.images)))


def test_seeds_matter_to_a_forest_and_not_to_least_squares(digits: Digits) -> None:
    train, val, test = digits("topleft", 60)
    assert not np.array_equal(
        *(answers(Forest(trees=5), train, val, test.images, seed=s) for s in (0, 1)),
    )
    assert np.array_equal(*(answers(Linear(), train, val, test.images, seed=s) for s in (0, 1)))


def test_colour_is_grey_and_val_is_not_learned_from(digits: Digits) -> None:
    train, val, test = digits("topleft", 60)
    plain = answers(Ridge(), train, val, test.images)

    def rgb(data: LabeledImages) -> LabeledImages:
        return LabeledImages(np.repeat(np.asarray(data.images)[..., None], 3, axis=3), data.annotations)

    assert np.array_equal(answers(Ridge(), rgb(train), rgb(val), rgb(test).images), plain)
    assert np.array_equal(answers(Ridge(), train, val.take([0]), test.images), plain)


def test_images_of_other_sizes_are_refused_in_one_line(digits: Digits) -> None:
    train, val, _ = digits("topleft", 20)
    detector = Ridge()
    detector.fit(train, val, seed=0, budget=Budget())
    with pytest.raises(UserError, match=r"images of shape \(28, 28\)"):
        detector.predict(np.zeros((1, 30, 28), dtype=np.uint8))
    ragged = [np.zeros((28, 28), dtype=np.uint8), np.zeros((30, 28), dtype=np.uint8)]
    with pytest.raises(UserError, match="images of one size"):
        Ridge().fit(LabeledImages(ragged, train.take([0, 1]).annotations), val, seed=0, budget=Budget())
    assert np.asarray(detector.predict([])).shape == (0, 1, 2)


@pytest.mark.parametrize(
    "text", ["ridge:alpha=0", "forest:trees=0", "knn:neighbours=-1", "elasticnet:mix=2", "linear:features=pixx"]
)
def test_impossible_parameters_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="pix|must be"):
        resolve(text).build()
