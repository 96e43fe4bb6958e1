"""The extrema detector (claim 2): from raw pixels it learns what ink is and which extrema of it a keypoint asks for.

The head, and what it takes from others, stand in `detectors.layers.extrema`. What it calls ink is a threshold it learns
on half the pixel plus half its log intensity (`detectors.layers.intensity`), a fixed monotone map without a threshold:
0 and 1/255 lie .06 apart on it, 127/255 and 128/255 lie .003 apart. Nothing of the answer is given to it at the start:
the thresholds are drawn between .3 and .8 of that scale (18 to 170 of 255), each ink's from its own share of it, and
the choice among extrema is random. What is ink is known only as far as training images tell: where none of them has a
point that depends on a grey level, nothing says on which side of the threshold that level lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from benchmark.detector import Card
from detectors.layers import intensity
from detectors.layers.extrema import ExtremaHead
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, Batch, TorchDetector, TrainConfig

LOWEST, HIGHEST = 0.3, 0.8  # first thresholds, on a scale from 0 (black) to 1 (white)


class Extrema(TorchDetector):
    """First and last ink as differentiable distributions; a keypoint learns what ink is and which extrema it asks for.

    Args:
        inks: How many kinds of ink it may tell apart.
        gate: Width of the convolutions that move the choice; 0 for none.
        sharpness: Where the sharpness of the threshold starts.
        frozen: A part that does not learn, to see what it is good for: ``ink`` (thresholds stay where they were drawn)
            or ``choice`` (and the extrema asked for stay random).
        epochs: Passes over the training split, unless a budget says otherwise.
        augment: See `TorchDetector`.
    """

    train_config = TrainConfig(epochs=24, least_steps=LEAST_STEPS, batch=32, lr=0.05, schedule="onecycle")
    partial_labels = True
    amp = False  # bfloat16 can't tell grey 127 from 128
    history_images = 1000  # train errors decide where val has none, so few of them may be left out
    card = Card(
        reference="alpha compositing (Porter and Duff 1984) as a first-hit distribution; DSNT (Nibali et al. 2018)",
        rule_structured=True,
        untrained=True,
        ablation={"frozen": "ink"},
    )

    def __init__(
        self,
        inks: int = 2,
        gate: int = 16,
        sharpness: float = 10.0,
        frozen: Literal["", "ink", "choice"] = "",
        epochs: int = 24,
        augment: str = "",
    ) -> None:
        if inks < 1 or gate < 0 or sharpness <= 0:
            raise ValueError("inks must be at least 1, gate at least 0, and sharpness positive")
        if frozen not in ("", "ink", "choice"):
            raise ValueError(f"frozen={frozen}: use ink or choice")
        self.inks, self.gate, self.sharpness, self.frozen = inks, gate, sharpness, frozen
        self.augment = augment
        self.train_config = self.train_config.with_epochs(epochs)

    def build(self, geometry: Geometry) -> nn.Module:
        """A head on the pixels themselves, with random thresholds."""
        channels = 2 * geometry.channels
        head = ExtremaHead(channels, geometry.keypoints, self.inks, self.gate, self.sharpness)
        nn.init.constant_(head.ink.weight, 1 / channels)
        drawn = (torch.arange(self.inks) + torch.rand(self.inks)) / self.inks
        head.threshold.data.copy_(torch.log(LOWEST + (HIGHEST - LOWEST) * drawn)[:, None, None])
        for name, parameter in head.named_parameters():
            learned_as = "ink" if name.startswith(("ink.", "sharpness", "threshold")) else "choice"
            parameter.requires_grad_(learned_as != self.frozen)
        return head

    def groups(self, model: nn.Module) -> Iterable[dict[str, Any]]:
        """The head's own groups, without what is frozen."""
        groups = cast(ExtremaHead, model).groups(self.train_config.lr)
        return [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean negative log-likelihood of the true points, in nats."""
        return cast(ExtremaHead, model).loss(intensity.show(batch.images, "both"), batch.targets, batch.labelled)

    def decode(self, model: nn.Module, images: Tensor) -> Tensor:
        """(B, K, 2) px, a half pixel at the finest."""
        return cast(ExtremaHead, model).decode(intensity.show(images, "both"))
