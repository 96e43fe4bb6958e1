"""What a backbone may learn before it sees the task: to name other digits, or only the images' statistics.

`learn_digits` trains a backbone (with average and maximum pooling and a linear layer, thrown away afterwards) to name
the MNIST digits that do not occur in the task's training split. They are the detector's ``pretraining_images``: a run
whose test split holds one of them fails, so no answer is ever graded on an image that was learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmark.structures import Image, IntArray, LabeledImages, UserError
from datasets.sources import mnist_embedded
from detectors.layers.backbones import feature_shape
from detectors.layers.pixels import Pixels
from detectors.layers.pooling import GlobalPool

EPOCHS, BATCH, LR = 3, 64, 2e-3


def learn_digits(
    model: Any, train: LabeledImages, load: Callable[[Sequence[Image]], Pixels], seed: int, device: str
) -> Sequence[Image]:
    """Train a model's backbone in place to name the digits that the task does not use.

    Args:
        model: With ``backbone``, ``channels``, ``size`` and ``network_input``; see `detectors.regression.Composed`.
        train: The task's training split, whose labels say which digits it uses.
        load: From images to tensors of the network's size.
        seed: Of the order of the images.
        device: Where to train.

    Returns:
        The images that it learned from.

    Raises:
        UserError: Where no digits are left, or labels are unknown.
    """
    if train.annotations.labels is None:
        raise UserError("pretrained=digits needs the digit of every training image, and this data has no labels")
    images, labels = mnist_embedded()
    other = ~np.isin(labels, np.unique(train.annotations.labels))
    if len(classes := np.unique(labels[other])) < 2:
        raise UserError(
            "pretrained=digits needs digits that the task does not use, and this task uses them all: try tiny"
        )
    pretraining_images = list(images[other])
    pixels, targets = load(pretraining_images), torch.from_numpy(np.searchsorted(classes, labels[other])).to(device)
    depth = feature_shape(model.backbone, model.channels, model.size)[0]
    classifier = nn.Sequential(model.backbone, GlobalPool("avgmax"), nn.Linear(2 * depth, len(classes))).to(device)
    trainable = [p.requires_grad for p in model.backbone.parameters()]
    classifier.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LR, fused=True)
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for positions in pixels.batches(order.permutation(len(pixels)), BATCH):
            logits = classifier(model.network_input(pixels.floats(positions)))
            loss = F.cross_entropy(logits, targets[torch.from_numpy(positions).to(device)])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for p, learns in zip(model.backbone.parameters(), trainable):
        p.requires_grad_(learns)
    return pretraining_images


@torch.no_grad()
def calibrate(model: Any, pixels: Pixels, positions: IntArray, device: str) -> None:
    """Give the batch norms of a model's backbone the mean and variance of some images; its weights stay.

    Args:
        model: With ``backbone`` and ``network_input``; see `detectors.regression.Composed`.
        pixels: The images of a split.
        positions: (N,) int64, which of them to take.
        device: Where to compute.
    """
    backbone = model.backbone.to(device)
    norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.momentum = None  # a cumulative mean over the batches
    backbone.train()
    for batch in pixels.batches(positions, 256):
        backbone(model.network_input(pixels.floats(batch)))
    backbone.eval()
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
