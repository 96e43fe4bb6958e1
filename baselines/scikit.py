"""scikit-learn's regressors on features of the image: what learning without gradients through the image gets.

Every estimator is scikit-learn's, with its defaults except where a parameter below says otherwise; parameters are named
in plain words (trees, neighbours). Inputs are the columns of `datasets.features` (``features=pix+pts11+random``):
pixels in 0..1, extrema in px, unscaled. Answers are the 2K coordinates in px; estimators of one output are fitted once
a coordinate.

The scale matters to penalties. The notes this project began with fitted Lasso with alpha = 1 on pixels in 0..255 and
points in [-1, 1]. For pixels in 0..1 and points in px all weights are 14 * 255 times as large and squared errors 14^2
times, so the same problem has alpha = 14^2 / (14 * 255) = 14 / 255: the default here. With alpha = 1 it would
predict the mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from baselines.refit_on_load import RefitOnLoad
from benchmark.detector import Card, HistoryRow
from benchmark.structures import FloatArray, Image, IntArray, LabeledImages, mean_points, stack_images
from datasets.features import features, parse

NOT_HANDMADE = ("pix", "hog", "const", "random")  # sets that no rule of a task was written into
LASSO_ALPHA = 14 / 255


@dataclass(eq=False)
class ScikitRegressor(RefitOnLoad):
    """Base of detectors that fit an estimator on a sum of feature sets. A subclass gives `estimator`.

    Args:
        features: Names of `datasets.features`, joined by '+'.
    """

    features: str = "pix"

    longest_side: ClassVar[int] = 48  # a column a pixel: linear algebra on thousands of them, trees on every one

    def __post_init__(self) -> None:
        parse(self.features)

    def estimator(self, count: int, seed: int) -> Any:
        """A fresh, unfitted estimator.

        Args:
            count: Number of training images.
            seed: Fixes everything that is drawn at random.

        Returns:
            An estimator with scikit-learn's ``fit`` and ``predict``.
        """
        raise NotImplementedError

    def learn(self, images: Image, points: FloatArray, seed: int) -> None:
        """Fit on the features, recording whether the estimator reports that it converged; see `RefitOnLoad.learn`."""
        from sklearn.exceptions import ConvergenceWarning

        inputs = features(images, self.features)
        self._mean = mean_points(points)
        self._models: list[tuple[list[int], Any]] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            for keypoints, rows in _labelled_together(points):
                own = points[rows][:, keypoints]
                model = self.estimator(len(own), seed).fit(inputs[rows], own.reshape(len(own), -1))
                self._models.append((keypoints, model))
        self._converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
        for other in caught:
            if not issubclass(other.category, ConvergenceWarning):
                warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
        for _, model in self._models:
            if "n_jobs" in model.get_params():
                # Threads add up the trees' answers in the order in which they finish: the last bit would vary.
                model.set_params(n_jobs=1)
        self.n_parameters = sum(_learned(model) or 0 for _, model in self._models) or None

    def answer(self, images: Image) -> tuple[FloatArray, FloatArray]:
        """(N, K, 2) px, and scores of 1: a regressor has no confidence. What no image has is answered with the mean."""
        inputs = features(images, self.features)
        points = np.repeat(self._mean[None], len(images), axis=0)
        for keypoints, model in self._models:
            answers = np.asarray(model.predict(inputs), dtype=np.float64)
            points[:, keypoints] = answers.reshape(len(images), -1, 2)
        return points, np.ones(len(images))

    def memory(self, data: LabeledImages) -> int:
        """The images, and their features as 8-byte floats three times: computed, chosen from, and the estimator's own."""
        columns = features(stack_images(data.images[:1]), self.features).shape[1] if len(data) else 0
        return super().memory(data) + 3 * 8 * columns * len(data)

    def history_columns(self, train: LabeledImages, val: LabeledImages) -> HistoryRow:
        """``converged``: 1, or 0 where the estimator stopped before it had."""
        return {"converged": float(self._converged)}

    def handmade_features(self, images: Sequence[Image]) -> FloatArray | None:
        """(N, F) the columns designed for such tasks; None where there are only pixels, HOG or dummies."""
        handmade = [part for part in self.features.split("+") if parse(part)[0][0] not in NOT_HANDMADE]
        return features(images, "+".join(handmade)) if handmade else None


def _labelled_together(points: FloatArray) -> list[tuple[list[int], IntArray]]:
    """Keypoints that the same images have, and these images: one fit each; where all have all, one for all.

    Args:
        points: (N, K, 2) px, NaN where a keypoint is not labelled.

    Returns:
        Keypoints and ascending positions of images; a keypoint that no image has is in none.
    """
    labelled = ~np.isnan(points[:, :, 0])
    together: dict[bytes, list[int]] = {}
    for k in range(points.shape[1]):
        if labelled[:, k].any():
            together.setdefault(labelled[:, k].tobytes(), []).append(k)
    return [(keypoints, np.flatnonzero(labelled[:, keypoints[0]])) for keypoints in together.values()]


def _learned(model: Any) -> int | None:
    """How many numbers a linear model or a network learned; None for the others, which keep data or trees."""
    parts = [*np.atleast_1d(getattr(model, "intercept_", []))]
    if hasattr(model, "coefs_"):
        parts = [*model.coefs_, *model.intercepts_]
    elif hasattr(model, "coef_"):
        parts += [model.coef_]
    return sum(np.size(part) for part in parts) or None


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value:g}")


@dataclass(eq=False)
class Linear(ScikitRegressor):
    """Linear least squares, the shortest solution where columns are collinear.

    On the pixels of 568 images it is far worse than the mean: with 784 weights it fits every training point exactly, at
    the price of huge weights, which any penalty avoids. That figure depends on the last bits of the arithmetic.

    Args:
        features: Names of `datasets.features`, joined by '+'.
    """

    card = Card(
        reference="scikit-learn LinearRegression",
        ablation={"features": "const"},
    )

    def estimator(self, count: int, seed: int) -> Any:
        """Singular values below 1e-6 of the largest count as zero, as scikit-learn has it."""
        from sklearn.linear_model import LinearRegression

        return LinearRegression()


@dataclass(eq=False)
class Ridge(ScikitRegressor):
    """Linear least squares with a squared penalty on the weights.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        alpha: Weight of the penalty.
    """

    alpha: float = 1.0

    card = Card(
        reference="scikit-learn Ridge; Hoerl and Kennard 1970",
        ablation={"alpha": 1e9},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(alpha=self.alpha)

    def estimator(self, count: int, seed: int) -> Any:
        """By singular values, which stays exact where columns are collinear."""
        from sklearn.linear_model import Ridge as Model

        return Model(alpha=self.alpha, solver="svd")


@dataclass(eq=False)
class Lasso(ScikitRegressor):
    """Linear least squares with an absolute penalty on the weights, which sets most of them to zero.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        alpha: Weight of the penalty.
    """

    alpha: float = LASSO_ALPHA

    card = Card(
        reference="scikit-learn Lasso; Tibshirani 1996",
        ablation={"alpha": 1.0},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(alpha=self.alpha)

    def estimator(self, count: int, seed: int) -> Any:
        """5,000 rounds of coordinate descent at most, where scikit-learn has 1,000."""
        from sklearn.linear_model import Lasso as Model

        return Model(alpha=self.alpha, max_iter=5000)


@dataclass(eq=False)
class ElasticNet(ScikitRegressor):
    """Linear least squares with half a Lasso's and half a ridge's penalty.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        alpha: Weight of the penalty.
        mix: Share of the absolute penalty, 0 to 1 (scikit-learn's ``l1_ratio``).
    """

    alpha: float = LASSO_ALPHA
    mix: float = 0.5

    card = Card(
        reference="scikit-learn ElasticNet; Zou and Hastie 2005",
        ablation={"alpha": 100.0},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(alpha=self.alpha)
        if not 0 <= self.mix <= 1:
            raise ValueError(f"mix must be from 0 to 1, not {self.mix:g}")

    def estimator(self, count: int, seed: int) -> Any:
        """5,000 rounds of coordinate descent at most, where scikit-learn has 1,000."""
        from sklearn.linear_model import ElasticNet as Model

        return Model(alpha=self.alpha, l1_ratio=self.mix, max_iter=5000)


@dataclass(eq=False)
class Neighbours(ScikitRegressor):
    """The mean point of the training images nearest in the features.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        neighbours: How many; all images where there are fewer.
    """

    neighbours: int = 5

    card = Card(
        reference="scikit-learn KNeighborsRegressor",
        ablation={"neighbours": 200},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(neighbours=self.neighbours)

    def estimator(self, count: int, seed: int) -> Any:
        """Euclidean distance, equal weights."""
        from sklearn.neighbors import KNeighborsRegressor

        return KNeighborsRegressor(min(self.neighbours, count))


@dataclass(eq=False)
class Forest(ScikitRegressor):
    """The mean answer of many regression trees, each grown on a bootstrap sample.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        trees: How many.
        depth: Of each at most, 0 for no limit.
    """

    trees: int = 100
    depth: int = 0

    card = Card(
        reference="scikit-learn RandomForestRegressor; Breiman 2001",
        ablation={"depth": 1},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(trees=self.trees)

    def estimator(self, count: int, seed: int) -> Any:
        """Trees grow side by side; each has a random stream of its own, so that the threads change nothing."""
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(self.trees, max_depth=self.depth or None, random_state=seed, n_jobs=self.threads)


@dataclass(eq=False)
class Boosting(ScikitRegressor):
    """Gradient-boosted trees on binned features, a model a coordinate.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        rounds: Of boosting, unless a budget says otherwise.
        rate: How much of each tree counts (scikit-learn's ``learning_rate``).
    """

    rounds: int = 100
    rate: float = 0.1

    budgets = ("epochs",)
    card = Card(
        reference="scikit-learn HistGradientBoostingRegressor; Ke et al. 2017",
        ablation={"rounds": 1},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(rounds=self.rounds, rate=self.rate)

    def estimator(self, count: int, seed: int) -> Any:
        """No early stopping: it would keep images of the training split from training, above 10,000 of them."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.multioutput import MultiOutputRegressor

        model = HistGradientBoostingRegressor(
            max_iter=self.epochs or self.rounds, learning_rate=self.rate, early_stopping=False, random_state=seed
        )
        return MultiOutputRegressor(model)


@dataclass(eq=False)
class SupportVectors(ScikitRegressor):
    """Support vector regression with a Gaussian kernel, a model a coordinate.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        c: Cost of an error beyond ``margin``.
        margin: Error in px that costs nothing (scikit-learn's ``epsilon``).
    """

    c: float = 1.0
    margin: float = 0.1

    card = Card(
        reference="scikit-learn SVR (LIBSVM); Drucker et al. 1997",
        ablation={"c": 1e-6},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(c=self.c)

    def estimator(self, count: int, seed: int) -> Any:
        """The kernel's width follows the spread of the features."""
        from sklearn.multioutput import MultiOutputRegressor
        from sklearn.svm import SVR

        return MultiOutputRegressor(SVR(C=self.c, epsilon=self.margin))


@dataclass(eq=False)
class Perceptron(ScikitRegressor):
    """A small network on the features, as scikit-learn trains it.

    Args:
        features: Names of `datasets.features`, joined by '+'.
        hidden: Units of its one hidden layer.
        iterations: Passes over the data at most, unless a budget says otherwise.
    """

    hidden: int = 100
    iterations: int = 500

    budgets = ("epochs",)
    card = Card(
        reference="scikit-learn MLPRegressor",
        ablation={"iterations": 1},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(hidden=self.hidden, iterations=self.iterations)

    def estimator(self, count: int, seed: int) -> Any:
        """ReLU, Adam, batches of 200; it stops when the training loss does."""
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor(
            hidden_layer_sizes=(self.hidden,), max_iter=self.epochs or self.iterations, random_state=seed
        )
