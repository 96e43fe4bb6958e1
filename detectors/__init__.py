"""Detectors with gradients. This catalog is a literal and imports nothing, so that listing names costs nothing."""

CATALOG = {
    "extrema": {
        "target": "detectors.extrema:Extrema",
        "line": "Differentiable argmin and argmax of ink behind a learned threshold, chosen a keypoint: claim 2",
        "family": "extrema",
    },
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
    "late-extrema": {
        "target": "detectors.net3:DenseNet",
        "line": "Net3 with a ReLU; argmax and argmin of every row and column enter after its first layer",
        "family": "regression",
        "params": {"late": "max+min", "inputs": "standard", "activation": "relu"},
    },
    "dummy-constant": {
        "target": "detectors.net3:DenseNet",
        "line": "Net3 with a ReLU and 72 superfluous columns of a constant",
        "family": "regression",
        "params": {"features": "pix+const", "activation": "relu"},
    },
    "dummy-random": {
        "target": "detectors.net3:DenseNet",
        "line": "Net3 with a ReLU and 72 superfluous columns of noise",
        "family": "regression",
        "params": {"features": "pix+random", "activation": "relu"},
    },
    "regression": {
        "target": "detectors.regression:Regression",
        "line": "Trunk x readout x loss from parts: trunk=, readout=, loss=, pretrained=, frozen=",
        "family": "regression",
    },
    "probe": {
        "target": "detectors.regression:Probe",
        "line": "Backbone or head? Any trunk, frozen or trained, under any readout: suite probe",
        "family": "regression",
        "params": {"intensity": "both", "head_lr": 0.03},
    },
    "resnet18": {
        "target": "detectors.regression:ResNet18",
        "line": "ResNet18, average and maximum pooling, 512, points: the notes' backbone and head",
        "family": "regression",
        "params": {"trunk": "resnet18", "hidden": 512},
    },
    "gap": {
        "target": "detectors.regression:PooledConv",
        "line": "Stride-1 convolutions, global average pool, linear",
        "family": "regression",
        "params": {"readout": "avg"},
    },
    "flatten": {
        "target": "detectors.regression:FlattenedConv",
        "line": "Stride-1 convolutions, flattened, linear",
        "family": "regression",
        "params": {"readout": "flatten"},
    },
    "gridpool": {
        "target": "detectors.regression:GridPooledConv",
        "line": "Stride-1 convolutions, means over a 4 x 4 grid, linear",
        "family": "regression",
        "params": {"readout": "gridpool"},
    },
    "spatial-softmax": {
        "target": "detectors.regression:SpatialSoftmaxConv",
        "line": "Stride-1 convolutions, each channel's mean position, linear",
        "family": "regression",
        "params": {"readout": "spatialsoftmax"},
    },
    "coordconv": {
        "target": "detectors.regression:CoordConv",
        "line": "Stride-1 convolutions that see x and y, average and maximum, linear",
        "family": "regression",
        "params": {"coordinates": True},
    },
    "minmax-pool": {
        "target": "detectors.regression:ExtremePooledConv",
        "line": "Stride-1 convolutions, min and max pooling in steps, linear",
        "family": "regression",
        "params": {"readout": "minmax"},
    },
    "avgminmax": {
        "target": "detectors.regression:ExtremePooledConv",
        "line": "Stride-1 convolutions, average, minimum and maximum, linear",
        "family": "regression",
        "params": {"readout": "avgminmax"},
    },
    "stn": {
        "target": "detectors.stn:SpatialTransformer",
        "line": "A network that first chooses where to look: an affine crop, and a point within it mapped back",
        "family": "regression",
    },
    "rle": {
        "target": "detectors.regression:ResidualLikelihood",
        "line": "Stride-1 convolutions, flattened, residual log-likelihood",
        "family": "regression",
        "params": {"readout": "flatten", "loss": "rle"},
    },
    "vit": {
        "target": "detectors.regression:VisionTransformer",
        "line": "Small vision transformer on 4 px patches",
        "family": "regression",
        "params": {"trunk": "vit_tiny_patch16_224", "readout": "avg", "lr": 0.001},
    },
    "mobilenet": {
        "target": "detectors.regression:MobileNet",
        "line": "MobileNetV3 small, average and maximum pooling",
        "family": "regression",
        "params": {"trunk": "mobilenetv3_small_100"},
    },
    "heatmap": {
        "target": "detectors.heatmap:Heatmap",
        "line": "U-Net heatmap at stride 1, bilinear targets, cross-entropy, sub-pixel decoding",
        "family": "heatmap",
    },
    "heatmap-onehot": {
        "target": "detectors.heatmap:Heatmap",
        "line": "U-Net, one-hot cross-entropy: which pixel is it?",
        "family": "heatmap",
        "params": {"target": "onehot", "decode": "argmax"},
    },
    "heatmap-conv": {
        "target": "detectors.heatmap:Heatmap",
        "line": "One-hot cross-entropy on six 5 x 5 convolutions that never leave the grid",
        "family": "heatmap",
        "params": {"trunk": "conv", "target": "onehot", "decode": "argmax"},
    },
    "heatmap-gaussian": {
        "target": "detectors.heatmap:Heatmap",
        "line": "U-Net, squared error to a Gaussian, argmax",
        "family": "heatmap",
        "params": {"target": "gaussian", "loss": "mse", "decode": "argmax"},
    },
    "heatmap-quarter": {
        "target": "detectors.heatmap:Heatmap",
        "line": "The same with a quarter pixel towards the larger neighbour",
        "family": "heatmap",
        "params": {"target": "gaussian", "loss": "mse", "decode": "quarter"},
    },
    "heatmap-dark": {
        "target": "detectors.heatmap:Heatmap",
        "line": "The same with DARK's Newton step on the log of the map",
        "family": "heatmap",
        "params": {"target": "gaussian", "loss": "mse", "decode": "dark"},
    },
    "integral": {
        "target": "detectors.soft_argmax:Integral",
        "line": "Soft-argmax of a U-Net's map, learned from the distance alone",
        "family": "heatmap",
    },
    "dsnt": {
        "target": "detectors.soft_argmax:DSNT",
        "line": "Soft-argmax with the map pulled towards a Gaussian",
        "family": "heatmap",
    },
    "gumbel": {
        "target": "detectors.soft_argmax:Gumbel",
        "line": "One pixel drawn by Gumbel noise, straight-through gradient",
        "family": "heatmap",
    },
    "simcc": {
        "target": "detectors.simcc:SimCC",
        "line": "Two one-dimensional classifications, finer than the pixel",
        "family": "heatmap",
    },
    "keypointrcnn": {
        "target": "detectors.keypointrcnn:KeypointRCNNDetector",
        "line": "torchvision's Keypoint R-CNN on a small backbone, input 112 px",
        "family": "rcnn",
    },
    "keypointrcnn-fpn": {
        "target": "detectors.keypointrcnn:KeypointRCNNDetector",
        "line": "Keypoint R-CNN on a ResNet18 with a feature pyramid",
        "family": "rcnn",
        "params": {"backbone": "resnet18"},
    },
    "fasterrcnn": {
        "target": "detectors.box_detectors:FasterRCNNPoints",
        "line": "Faster R-CNN as a point finder: a box centred on the point",
        "family": "rcnn",
    },
    "retinanet": {
        "target": "detectors.box_detectors:RetinaNetPoints",
        "line": "RetinaNet as a point finder",
        "family": "rcnn",
    },
    "ssd": {
        "target": "detectors.box_detectors:SSDPoints",
        "line": "SSD as a point finder",
        "family": "rcnn",
    },
    "fcos": {
        "target": "detectors.box_detectors:FCOSPoints",
        "line": "FCOS as a point finder",
        "family": "rcnn",
    },
    "cascadercnn": {
        "target": "detectors.cascade:CascadeRCNNPoints",
        "line": "Cascade R-CNN as a point finder: three box heads in a row",
        "family": "rcnn",
    },
}

# The probe: is it the backbone or the head? Projections give the pooled readouts 48 numbers each, and the flattened one as
# many as the heatmap has cells. A frozen trunk is random, or has learned to name the digits that the task does not use.
PROBED_TRUNKS = ["trunk=raw"] + [
    f"padding={padding},{how}"
    for padding in ("zeros", "circular")
    for how in ("frozen=true", "pretrained=digits,frozen=true", "frozen=false")
]
PROBED_READOUTS = [
    "readout=avg,project=48",
    "readout=max,project=48",
    "readout=flatten,project=1",
    "readout=spatialsoftmax,project=24",
    "readout=heatmap",
    "readout=extrema",
]

# Suites: sets of specifications by name; `default` is what `run` takes when nothing is named.
SUITES = {
    "default": ["net3", "extrema"],
    "first": ["net3", "resnet18", "heatmap", "extrema", "keypointrcnn"],
    "heads": [
        "net3",
        "relu4",
        "basenet",
        "featsnet1",
        "featsnet2",
        "featsnet3",
        "tabular",
        "late-extrema",
        "dummy-constant",
        "dummy-random",
        "resnet18",
        "mobilenet",
        "vit",
        "gap",
        "flatten",
        "gridpool",
        "spatial-softmax",
        "coordconv",
        "minmax-pool",
        "avgminmax",
        "rle",
        "stn",
        "heatmap",
        "heatmap-onehot",
        "heatmap-conv",
        "heatmap-dark",
        "integral",
        "dsnt",
        "gumbel",
        "simcc",
        "keypointrcnn",
        "fasterrcnn",
        "cascadercnn",
        "retinanet",
        "ssd",
        "extrema",
    ],
    "probe": [f"probe:{trunk},{readout}" for trunk in PROBED_TRUNKS for readout in PROBED_READOUTS],
}
