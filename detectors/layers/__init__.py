"""What several detectors share: blocks, backbones, pooling, heads, codecs, coordinates, and images as tensors.

    pixels        the images of a split as tensors, and the `Geometry` that a network's shape depends on
    intensity     raw brightness, its logarithm, or both, as the channels that a network is shown
    coordinates   conversions between this project's pixels and the coordinates of networks
    blocks        convolution, batch normalisation, ReLU
    backbones     image to feature grid: convolutions, U-Net, timm's models
    detection     what torchvision's detectors need: a batch transform, a small backbone, ResNets with a pyramid
    pooling       feature grid to a vector
    codecs        keypoints to training targets (``encode``) and network outputs to keypoints (``decode``)
    heads         features to keypoints, each with its loss
    rle           residual log-likelihood estimation
    extrema       the differentiable first and last ink of an image
    pretraining   what a backbone may learn before it sees the task

Each module stands alone: a detector imports the ones it needs.
"""
