"""A spatial transformer (Jaderberg 2015): one network chooses where to look, another finds the point there.

The localisation network says four numbers, a scale and a shift an axis: the affine maps without rotation, the paper's
"attention" (its eq. 2) with a scale for each axis. With coordinates in [-1, 1], cell-centred as in `detectors.scales`,

    source = scale * target + shift

is where each pixel of the crop is read from the image, bilinearly, black beyond the edge (eq. 5). The crop is as large
as the image, so a scale below 1 looks closer. The second network says a point v of the crop, and scale * v + shift is
the answer: move the image, let the crop follow, and the answer moves along.

Such maps treat x and y apart, so the sampling is two matrix products (rows, then columns), whose gradient repeats bit
for bit on a GPU, as that of torch's grid_sample does not.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import UserError
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry
from detectors.scales import OutputScale
from detectors.training import Batch, TorchDetector, TrainConfig
from detectors.trunks import ConvTrunk


def weights(scale: Tensor, shift: Tensor, side: int) -> Tensor:
    """(B, side, side): how much pixel j of the image counts for pixel i of the crop. scale, shift: (B,)."""
    at = (2 * torch.arange(side, device=scale.device) + 1) / side - 1
    source = ((scale[:, None] * at + shift[:, None] + 1) * side - 1) / 2
    return (1 - (source[..., None] - torch.arange(side, device=scale.device)).abs()).clamp(min=0)


def crop(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(B, C, H, W) of the same size, read from ``images`` at scale * target + shift. scale, shift: (B, 2) for (x, y)."""
    height, width = images.shape[-2:]
    rows = weights(scale[:, 1], shift[:, 1], height)[:, None]
    columns = weights(scale[:, 0], shift[:, 0], width)[:, None]
    return rows @ images @ columns.transpose(-1, -2)


class Localisation(nn.Sequential):
    """(B, C, H, W) -> (B, 4): log scale and shift for (x, y). Starts at the identity, as the paper's does."""

    def __init__(self, inputs: int, size: tuple[int, int], width: int) -> None:
        cells = -(-size[0] // 4) * -(-size[1] // 4)
        out = nn.Linear(64, 4)
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        super().__init__(
            nn.Conv2d(inputs, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * cells, 64),
            nn.ReLU(),
            out,
        )


class Attentive(nn.Module):
    """Images (B, C, H, W) to points (B, K, 2) in [-1, 1]; ``look`` gives the crop's scale and shift."""

    def __init__(self, geometry: Geometry, intensity: Intensity, width: int, depth: int, transformer: bool) -> None:
        super().__init__()
        self.intensity, self.keypoints = intensity, geometry.keypoints
        inputs, size = channels(geometry.channels, intensity), (geometry.height, geometry.width)
        self.localisation = Localisation(inputs, size, width) if transformer else None
        self.trunk = ConvTrunk(inputs, width, depth, "zeros")
        self.out = nn.Linear(width * size[0] * size[1], 2 * geometry.keypoints)
        self.scale = OutputScale(geometry, "unit")

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """scale in (1/e, e) and shift in (-1, 1), both (B, 2) for (x, y)."""
        if self.localisation is None:
            return images.new_ones(len(images), 2), images.new_zeros(len(images), 2)
        found: Tensor = torch.tanh(self.localisation(images))
        return found[:, :2].exp(), found[:, 2:]

    def forward(self, images: Tensor) -> Tensor:
        seen = show(images, self.intensity)
        scale, shift = self.look(seen)
        within: Tensor = self.out(self.trunk(crop(seen, scale, shift)).flatten(1))
        return scale[:, None] * within.view(-1, self.keypoints, 2) + shift[:, None]


class SpatialTransformer(TorchDetector):
    """Spatial transformer: chooses an affine crop, finds the point in it, and maps it back.

    transformer: false leaves the crop out. width, depth: of the convolutions. intensity: raw, log or both. lr: peak rate;
    the localisation learns at a tenth of it, or it runs away from the second network.
    """

    card = Card(reference="Jaderberg 2015, Spatial Transformer Networks, section 3", ablation={"transformer": False})
    fixed_size = True

    def __init__(
        self,
        transformer: bool = True,
        width: int = 16,
        depth: int = 3,
        intensity: Intensity = "both",
        epochs: int = 20,
        lr: float = 3e-3,
        augment: str = "",
    ) -> None:
        if min(width, depth) < 1:
            raise UserError("width and depth from 1")
        self.transformer, self.width, self.depth, self.intensity = transformer, width, depth, intensity
        self.lr, self.augment = lr, augment
        self.train_config = TrainConfig(
            epochs=epochs, batch=32, lr=lr, optimizer="adamw", weight_decay=1e-2, schedule="onecycle"
        )

    def build(self, geometry: Geometry) -> nn.Module:
        return Attentive(geometry, self.intensity, self.width, self.depth, self.transformer)

    def groups(self, model: Any) -> list[dict[str, Any]]:
        chooser = [] if model.localisation is None else list(model.localisation.parameters())
        rest = [p for name, p in model.named_parameters() if not name.startswith("localisation.")]
        return [{"params": rest}, {"params": chooser, "lr": 0.1 * self.lr}]

    def loss(self, model: Any, batch: Batch) -> Tensor:
        return F.mse_loss(model(batch.images), model.scale.encode(batch.targets))

    def decode(self, model: Any, images: Tensor) -> Tensor:
        points: Tensor = model.scale.decode(model(images))
        return points
