"""Dense networks on pixels or on hand-made features: the notes' Net3, Relu4, BaseNet, FeatsNet 1-3 and tabular net.

All are one shape: inputs side by side -> linear layers of the given widths -> 2 K outputs -> pixels
(`RegressionCodec`). What the notes report is for ``topleft`` on their 141 validation images, in their scale (mse x 196
= px^2; r2 is theirs).

    name      inputs                          layers                 output      the notes' figure
    net3      784 pixels in [0, 1]            28, no ReLU            squashed    mse .0206, r2 .170
    relu4     the same                        28, ReLU               squashed    mse .0165 to .031 over all variants
    basenet   the same                        56, 28, 14, ReLU       squashed    the same: depth and width hardly matter
    featsnet1 pixels; argmax and argmin of    28, ReLU               squashed    r2 .360 to .569
              every row and column
    featsnet2 72 extrema (pts), standardised  28, ReLU               squashed    r2 .964
    featsnet3 72 extrema (pts), standardised  28, ReLU               standard    r2 .993
    tabular   72 extrema (pts), batch norm    200, 100, ReLU, batch  standard    r2 .996, its inputs held the target
                                              norm

The notes name the FeatsNets without defining them; these inputs are our reading of them. pts holds the answer of
``topleft`` and ``center``: such rows are marked as having oracle features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import FloatArray, Image, LabeledImages, UserError
from datasets.features import features, parse
from detectors.layers.codecs import RegressionCodec, Scale
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.training import Batch, TorchDetector, TrainConfig

ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


class Inputs(nn.Module):
    """Images (B, C, H, W) in [0, 1] to (B, F): flattened pixels, or named features computed outside the gradient.

    Args:
        spec: ``pix``, or a sum of feature sets of `datasets.features`.
        geometry: Of the network's images.
        standard: Whether each column is standardised by the training images (see `fit`).

    Attributes:
        width: Number of columns F.
        mean: (F,) float32 buffer.
        scale: (F,) float32 buffer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: str, geometry: Geometry, standard: bool) -> None:
        super().__init__()
        self.spec, self.standard = spec, standard
        blank = torch.zeros(1, geometry.channels, geometry.height, geometry.width)
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("scale", torch.ones(0))
        self.width = self.compute(blank).shape[1]
        self.mean, self.scale = torch.zeros(self.width), torch.ones(self.width)

    def compute(self, images: Tensor) -> Tensor:
        """The columns as they are, (B, F)."""
        if self.spec == "pix":
            return images.flatten(1)
        pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
        grey = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return torch.from_numpy(features(grey, self.spec)).to(images)

    def fit(self, images: Tensor) -> None:
        """Standardise by these images; a column that never varies is left as it is."""
        if self.standard:
            columns = self.compute(images)
            spread = columns.std(0, correction=0)
            varies = spread > 1e-6
            self.mean.copy_(torch.where(varies, columns.mean(0), 0.0))
            self.scale.copy_(torch.where(varies, spread, 1.0))

    def forward(self, images: Tensor) -> Tensor:
        """The standardised columns, (B, F)."""
        return (self.compute(images) - self.mean) / self.scale


class Dense(nn.Module):
    """Linear layers on flat inputs, (B, C, H, W) to (B, K, 2).

    Args:
        geometry: Of the network's images.
        inputs: What enters the first layer.
        late: Features that enter beside the output of the first layer (the notes' wish), or None.
        widths: Units of the hidden layers.
        activation: One of `ACTIVATIONS`.
        norm: Whether inputs and hidden layers have batch normalisation.
        scale: The output scale of `RegressionCodec`.
    """

    def __init__(
        self,
        geometry: Geometry,
        inputs: Inputs,
        late: Inputs | None,
        widths: Sequence[int],
        activation: str,
        norm: bool,
        scale: Scale,
    ) -> None:
        super().__init__()
        self.inputs, self.late = inputs, late
        self.norm = nn.BatchNorm1d(inputs.width) if norm else nn.Identity()
        layers: list[nn.Module] = []
        before = inputs.width
        for i, width in enumerate(widths):
            layer: list[nn.Module] = [nn.Linear(before, width), ACTIVATIONS[activation]()]
            layers.append(nn.Sequential(*layer, *([nn.BatchNorm1d(width)] if norm else [])))
            before = width + (late.width if late is not None and i == 0 else 0)
        self.hidden = nn.ModuleList(layers)
        self.last = nn.Linear(before, geometry.keypoints * 2)
        self.keypoints = geometry.keypoints
        self.codec = RegressionCodec(geometry, scale)

    def forward(self, images: Tensor) -> Tensor:
        """Points (B, K, 2) in the output scale, of images (B, C, H, W) in [0, 1]."""
        x = self.norm(self.inputs(images))
        for i, layer in enumerate(self.hidden):
            x = layer(x)
            if i == 0 and self.late is not None:
                x = torch.cat([x, self.late(images)], dim=1)
        raw: Tensor = self.last(x)
        return self.codec.activate(raw.view(-1, self.keypoints, 2))


class DenseRegression(TorchDetector):
    """Flatten, linear layers, points: the notes' Net3 and its relatives.

    Args:
        features: What goes in: a sum of feature sets of `datasets.features`; ``pix`` is the pixels.
        late: Features that join after the first layer; "" for none.
        widths: Units of the hidden layers, as 56+28+14.
        activation: ``none``, ``relu``, ``tanh`` or ``gelu``.
        norm: Batch normalisation of inputs and hidden layers.
        inputs: ``raw``, or ``standard`` for standardised columns.
        scale: The output scale: ``squash``, ``unit`` or ``standard`` (see `RegressionCodec`).
        epochs: Passes over the training split, unless a budget says otherwise.
        lr: Learning rate.
        augment: See `TorchDetector`.
    """

    card = Card(reference="the notes' Net3; see the module for its relatives", ablation={"widths": "1"})
    fixed_size = True
    partial_labels = True

    def __init__(
        self,
        features: str = "pix",
        late: str = "",
        widths: str = "28",
        activation: Literal["none", "relu", "tanh", "gelu"] = "none",
        norm: bool = False,
        inputs: Literal["raw", "standard"] = "raw",
        scale: Scale = "squash",
        epochs: int = 10,
        lr: float = 1e-3,
        augment: str = "",
    ) -> None:
        for spec in filter(None, (features, late)):
            parse(spec)
        self.features, self.late, self.activation = features, late, activation
        try:
            self.widths = [int(w) for w in widths.split("+")]
        except ValueError:
            raise UserError(f"widths={widths}: write the hidden layers as 56+28+14") from None
        if min(self.widths) < 1 or activation not in ACTIVATIONS:
            raise UserError(f"widths={widths}, activation={activation}: widths from 1, one of {', '.join(ACTIVATIONS)}")
        self.norm, self.inputs, self.scale, self.augment = norm, inputs, scale, augment
        self.train_config = TrainConfig(epochs=epochs, batch=64, lr=lr)

    def build(self, geometry: Geometry) -> nn.Module:
        """The network with its inputs."""
        first = Inputs(self.features, geometry, self.inputs == "standard")
        late = Inputs(self.late, geometry, self.inputs == "standard") if self.late else None
        return Dense(geometry, first, late, self.widths, self.activation, self.norm, self.scale)

    def prepare(self, model: Any, train: LabeledImages, seed: int) -> None:
        """Standardise inputs and output by the training split, where that is asked for."""
        if self.inputs == "standard":
            pixels = self._pixels(train.images).floats(np.arange(len(train))).cpu()
            for part in (model.inputs, model.late):
                if part is not None:
                    part.fit(pixels)
        model.codec.fit(train, self.geometry)

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """Mean squared error in the output scale."""
        said, wanted = model(batch.images), model.codec.encode(batch.targets)
        return nn.functional.mse_loss(select(said, batch.labelled), select(wanted, batch.labelled))

    def decode(self, model: Any, images: Tensor) -> Tensor:
        """(B, K, 2) px."""
        points: Tensor = model.codec.decode(model(images))
        return points

    def graph(self) -> nn.Module | None:
        """None where its inputs are computed outside of the network; see `Detector.graph`."""
        return super().graph() if (self.features, self.late) == ("pix", "") else None

    def handmade_features(self, images: Sequence[Image]) -> FloatArray | None:
        """All its inputs but the pixels, (N, F) float64; None where there are none."""
        names = [n for spec in (self.features, self.late) for n in spec.split("+") if n and n != "pix"]
        return features(images, "+".join(names)) if names else None
