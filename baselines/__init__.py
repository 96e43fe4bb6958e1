"""Detectors without gradients. This catalog is a literal and imports nothing, so that listing names costs nothing."""

CATALOG = {
    "mean": {
        "target": "baselines.mean:Mean",
        "summary": "the mean of the training points: the baseline of every R2, on every board",
        "family": "reference",
    },
    "rule": {
        "target": "baselines.rule:Rule",
        "summary": "the rule on the ink that is exact on the training images, where there is one",
        "family": "reference",
    },
    "linear": {
        "target": "baselines.scikit:Linear",
        "summary": "linear least squares on features=pix, extrema of ink (pts11, pts12, pts22, pts), hog, ...",
        "family": "classic",
    },
    "ridge": {
        "target": "baselines.scikit:Ridge",
        "summary": "linear, with a squared penalty on the weights",
        "family": "classic",
    },
    "lasso": {
        "target": "baselines.scikit:Lasso",
        "summary": "linear, with an absolute penalty on the weights",
        "family": "classic",
    },
    "elasticnet": {
        "target": "baselines.scikit:ElasticNet",
        "summary": "linear, with half of either penalty",
        "family": "classic",
    },
    "knn": {
        "target": "baselines.scikit:Neighbours",
        "summary": "the mean point of the nearest training images",
        "family": "classic",
    },
    "forest": {
        "target": "baselines.scikit:Forest",
        "summary": "random forest on features=pix, pts, ...",
        "family": "classic",
    },
    "boosting": {
        "target": "baselines.scikit:Boosting",
        "summary": "gradient-boosted trees on binned features",
        "family": "classic",
    },
    "svr": {
        "target": "baselines.scikit:SupportVectors",
        "summary": "support vector regression with a Gaussian kernel",
        "family": "classic",
    },
    "mlp": {
        "target": "baselines.scikit:Perceptron",
        "summary": "scikit-learn's network with one hidden layer",
        "family": "classic",
    },
    "sift": {
        "target": "baselines.opencv:Sift",
        "summary": "SIFT keypoints as candidates, ranked by boosted trees",
        "family": "classic",
    },
    "orb": {
        "target": "baselines.opencv:Orb",
        "summary": "ORB keypoints as candidates, ranked by boosted trees",
        "family": "classic",
    },
    "fast": {
        "target": "baselines.opencv:Fast",
        "summary": "FAST corners as candidates, ranked by boosted trees",
        "family": "classic",
    },
    "corners": {
        "target": "baselines.opencv:Corners",
        "summary": "Shi-Tomasi corners as candidates, ranked by boosted trees",
        "family": "classic",
    },
    "cosfire": {
        "target": "baselines.cosfire:Cosfire",
        "summary": "COSFIRE: Gabor responses in the arrangement of an example",
        "family": "classic",
    },
}

# Suites: sets of specifications by name; `default` is what `run` takes when nothing is named, `baseline` what it adds.
SUITES = {
    "default": ["mean", "linear:features=pts", "forest"],
    "baseline": ["mean"],
    "suspects": [
        "ridge:features=hog",
        "svr",
    ],  # and more in detectors/__init__.py: unlike each other, so that they fail apart
    "heads": ["mean", "rule", "linear", "linear:features=pts", "ridge", "lasso", "forest", "sift", "cosfire"],
    "classic": [
        "mean",
        "linear",
        "linear:features=max",
        "linear:features=min",
        "linear:features=pts11",
        "linear:features=pts12",
        "linear:features=pts22",
        "linear:features=pts",
        "linear:features=hog",
        "ridge",
        "ridge:features=pix+const",
        "ridge:features=pix+random",
        "lasso",
        "elasticnet",
        "knn",
        "forest",
        "forest:features=hog",
        "boosting",
        "svr",
        "mlp",
        "sift",
        "orb",
        "fast",
        "corners",
        "cosfire",
    ],
}
