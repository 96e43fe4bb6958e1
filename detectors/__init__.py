"""Detectors with gradients. This catalog is a literal and imports nothing, so that listing names costs nothing."""

CATALOG = {
    "net3": {
        "target": "detectors.net3:DenseNet",
        "line": "Pixels flattened, 28 linear units, squashed: the notes' Net3",
        "family": "regression",
    },
    "relu4": {
        "target": "detectors.net3:DenseNet",
        "line": "Net3 with a ReLU",
        "family": "regression",
        "params": {"activation": "relu"},
    },
    "basenet": {
        "target": "detectors.net3:DenseNet",
        "line": "Net3 deeper: 56, 28 and 14 ReLU units",
        "family": "regression",
        "params": {"widths": "56+28+14", "activation": "relu"},
    },
    "featsnet1": {
        "target": "detectors.net3:DenseNet",
        "line": "Dense net on pixels, and argmax and argmin of every row and column",
        "family": "regression",
        "params": {"features": "pix+max+min", "activation": "relu"},
    },
    "featsnet2": {
        "target": "detectors.net3:DenseNet",
        "line": "Dense net on the 72 ink extrema, standardised",
        "family": "regression",
        "params": {"features": "pts", "inputs": "standard", "activation": "relu", "epochs": 60},
    },
    "featsnet3": {
        "target": "detectors.net3:DenseNet",
        "line": "The same with the target standardised, too",
        "family": "regression",
        "params": {"features": "pts", "inputs": "standard", "activation": "relu", "scale": "standard", "epochs": 60},
    },
    "tabular": {
        "target": "detectors.net3:DenseNet",
        "line": "Batch-norm network on the 72 ink extrema",
        "family": "regression",
        "params": {
            "features": "pts",
            "widths": "200+100",
            "norm": True,
            "activation": "relu",
            "scale": "standard",
            "epochs": 60,
        },
    },
}

# Suites: sets of specifications by name; `default` is what `run` takes when nothing is named.
SUITES = {}
