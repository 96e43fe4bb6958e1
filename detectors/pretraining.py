"""What a trunk may know before it sees the task: other digits' names, or only the images' statistics.

``learn_digits`` trains a trunk (with average and maximum pooling and a linear layer, thrown away afterwards) to name the
MNIST digits that do not occur in the task's training split. They are the detector's ``pretraining_images`` images: a run whose
test split holds one of them fails, so no answer is ever graded on an image that was learned from.
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
from detectors.pixels import Pixels
from detectors.readouts import Pooling
from detectors.trunks import feature_shape

EPOCHS, BATCH, LR = 3, 64, 2e-3


def learn_digits(
    model: Any, train: LabeledImages, load: Callable[[Sequence[Image]], Pixels], seed: int, device: str
) -> Sequence[Image]:
    """Train ``model.trunk`` in place to name the other digits; returns the images it saw. UserError where none are left,
    or labels are unknown."""
    if train.annotations.labels is None:
        raise UserError("pretrained=digits needs the digit of every training image, and this data has no labels")
    images, labels = mnist_embedded()
    used = np.unique(train.annotations.labels)
    kept = ~np.isin(labels, used)
    if len(classes := np.unique(labels[kept])) < 2:
        raise UserError(
            "pretrained=digits needs digits that the task does not use, and this task uses them all: try tiny"
        )
    pretraining_images = list(images[kept])
    pixels, names = load(pretraining_images), torch.from_numpy(np.searchsorted(classes, labels[kept])).to(device)
    depth = feature_shape(model.trunk, model.channels, model.size)[0]
    learner = nn.Sequential(model.trunk, Pooling("avgmax"), nn.Linear(2 * depth, len(classes))).to(device)
    frozen = [p.requires_grad for p in model.trunk.parameters()]
    learner.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=LR, fused=True)
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for positions in pixels.batches(order.permutation(len(pixels)), BATCH):
            answer = learner(model.seen(pixels.floats(positions)))
            loss = F.cross_entropy(answer, names[torch.from_numpy(positions).to(device)])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for p, learns in zip(model.trunk.parameters(), frozen):
        p.requires_grad_(learns)
    return pretraining_images


@torch.no_grad()
def calibrate(model: Any, pixels: Pixels, positions: IntArray, device: str) -> None:
    """Give the batch norms of ``model.trunk`` the mean and variance of these images; its weights stay."""
    trunk = model.trunk.to(device)
    norms = [m for m in trunk.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [m.momentum for m in norms]
    for m in norms:
        m.momentum = None  # a cumulative mean over the batches
    trunk.train()
    for chosen in pixels.batches(positions, 256):
        trunk(model.seen(pixels.floats(chosen)))
    trunk.eval()
    for m, momentum in zip(norms, before):
        m.momentum = momentum
