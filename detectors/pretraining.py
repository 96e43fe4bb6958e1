"""What a trunk may know before it sees the task: other digits' names, or only the images' statistics.

``learn_digits`` trains a trunk (with average and maximum pooling and a linear layer, thrown away afterwards) to name the
MNIST digits that do not occur in the task's training split, so that no image of the task is ever seen. What a trunk has
learned is kept while the process lives: a grid asks the same of it under every readout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.structures import Image, IntArray, KeypointDataset, UserError
from datasets.sources import mnist_embedded
from detectors.pixels import Pixels
from detectors.readouts import Pooling
from detectors.trunks import feature_shape

EPOCHS, BATCH, LR = 3, 64, 2e-3
LEARNED: dict[str, dict[str, Tensor]] = {}  # by `_beginning`


def learn_digits(
    model: Any, train: KeypointDataset, load: Callable[[Sequence[Image]], Pixels], seed: int, device: str
) -> None:
    """Train ``model.trunk`` in place to name the other digits. UserError where none are left, or labels are unknown."""
    if train.truth.labels is None:
        raise UserError("pretrained=digits needs the digit of every training image, and this data has no labels")
    images, labels = mnist_embedded()
    used = np.unique(train.truth.labels)
    kept = ~np.isin(labels, used)
    if len(classes := np.unique(labels[kept])) < 2:
        raise UserError(
            "pretrained=digits needs digits that the task does not use, and this task uses them all: try tiny"
        )
    pixels, names = load(list(images[kept])), torch.from_numpy(np.searchsorted(classes, labels[kept])).to(device)
    key = _beginning(model, used.tolist(), seed, device)
    if key not in LEARNED:
        with torch.random.fork_rng(devices=[] if device == "cpu" else None):
            _learn(model, pixels, names, len(classes), seed, device)
        LEARNED[key] = {name: value.detach().clone() for name, value in model.trunk.state_dict().items()}
    model.trunk.load_state_dict(LEARNED[key])


def _beginning(model: Any, used: list[int], seed: int, device: str) -> str:
    """All that decides what a trunk will have learned: its first weights and what it is shown, digits, seed, device."""
    h = hashlib.sha256(repr((used, seed, device, torch.get_num_threads(), model.intensity, model.coordinates)).encode())
    for name, value in model.trunk.state_dict().items():
        h.update(name.encode() + value.cpu().numpy().tobytes())
    return h.hexdigest()


def _learn(model: Any, pixels: Pixels, names: Tensor, classes: int, seed: int, device: str) -> None:
    depth = feature_shape(model.trunk, model.channels, model.size)[0]
    learner = nn.Sequential(model.trunk, Pooling("avgmax"), nn.Linear(2 * depth, classes)).to(device)
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
