"""A spatial transformer (Jaderberg 2015): one network chooses where to look, another finds the point there.

The localisation network gives four numbers, a scale and a shift an axis: the affine maps without rotation, the paper's
"attention" (its eq. 2) with a scale for each axis. With coordinates in [-1, 1], cell-centred as in `RegressionCodec`,

    sampled = scale * target + shift

is where each pixel of the crop is read from the image, bilinearly, black beyond the edge (eq. 5). The crop is as large
as the image, so a scale below 1 looks closer. The second network gives a point v of the crop, and scale * v + shift is
the answer: if the image moves and the crop follows, the answer moves along.

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
from detectors.layers.backbones import ConvBackbone
from detectors.layers.codecs import RegressionCodec
from detectors.layers.coordinates import cell_centres
from detectors.layers.intensity import Intensity, channels, show
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.training import LEAST_STEPS, Batch, TorchDetector, TrainConfig

EPOCHS = 20


def interpolation_matrix(scale: Tensor, shift: Tensor, side: int) -> Tensor:
    """How much each pixel of the image counts for each pixel of the crop, along one axis.

    Args:
        scale: (B,).
        shift: (B,), in [-1, 1] units.
        side: px.

    Returns:
        (B, side, side): row i holds the bilinear coefficients of pixel i of the crop.
    """
    sampled = ((scale[:, None] * cell_centres(side, scale) + shift[:, None] + 1) * side - 1) / 2
    return (1 - (sampled[..., None] - torch.arange(side, device=scale.device)).abs()).clamp(min=0)


def crop(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A crop of the same size, read from the images at scale * target + shift.

    Args:
        images: (B, C, H, W).
        scale: (B, 2) for (x, y).
        shift: (B, 2) for (x, y), in [-1, 1] units.

    Returns:
        (B, C, H, W).
    """
    height, width = images.shape[-2:]
    rows = interpolation_matrix(scale[:, 1], shift[:, 1], height)[:, None]
    columns = interpolation_matrix(scale[:, 0], shift[:, 0], width)[:, None]
    return rows @ images @ columns.transpose(-1, -2)


class Localisation(nn.Sequential):
    """Images (B, C, H, W) to (B, 4): log scale and shift for (x, y). Starts at the identity, as the paper's does.

    Args:
        inputs: Channels of the image.
        size: (height, width) of the image in px.
        width: Channels of the convolutions.
    """

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
    """Images (B, C, H, W) to points (B, K, 2) in [-1, 1]; `look` gives the crop's scale and shift.

    Args:
        geometry: Of the network's images.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        width: Channels of the convolutions.
        depth: Layers of the second network.
        transformer: False leaves the crop out.
    """

    def __init__(self, geometry: Geometry, intensity: Intensity, width: int, depth: int, transformer: bool) -> None:
        super().__init__()
        self.intensity, self.keypoints = intensity, geometry.keypoints
        inputs, size = channels(geometry.channels, intensity), (geometry.height, geometry.width)
        self.localisation = Localisation(inputs, size, width) if transformer else None
        self.backbone = ConvBackbone(inputs, width, depth, "zeros")
        self.out = nn.Linear(width * size[0] * size[1], 2 * geometry.keypoints)
        self.codec = RegressionCodec(geometry, "unit")

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scale in (1/e, e) and shift in (-1, 1), both (B, 2) for (x, y)."""
        if self.localisation is None:
            return images.new_ones(images.shape[0], 2), images.new_zeros(images.shape[0], 2)
        bounded: Tensor = torch.tanh(self.localisation(images))
        return bounded[:, :2].exp(), bounded[:, 2:]

    def forward(self, images: Tensor) -> Tensor:
        """Points (B, K, 2) in [-1, 1] of images (B, C, H, W) in [0, 1]."""
        shown = show(images, self.intensity)
        scale, shift = self.look(shown)
        within: Tensor = self.out(self.backbone(crop(shown, scale, shift)).flatten(1))
        return scale[:, None] * within.view(-1, self.keypoints, 2) + shift[:, None]


class SpatialTransformer(TorchDetector):
    """Spatial transformer: chooses an affine crop, finds the point in it, and maps it back.

    Args:
        transformer: False leaves the crop out.
        width: Channels of the convolutions.
        depth: Layers of the second network.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        epochs: Passes over the training split, unless a budget says otherwise.
        lr: Peak learning rate; the localisation learns at a tenth of it, or it moves faster than the second network
            follows.
        augment: See `TorchDetector`.
    """

    card = Card(reference="Jaderberg 2015, Spatial Transformer Networks, section 3", ablation={"transformer": False})
    fixed_size = True
    partial_labels = True

    def __init__(
        self,
        transformer: bool = True,
        width: int = 16,
        depth: int = 3,
        intensity: Intensity = "both",
        epochs: int = EPOCHS,
        lr: float = 3e-3,
        augment: str = "",
    ) -> None:
        if min(width, depth) < 1:
            raise UserError("width and depth from 1")
        self.transformer, self.width, self.depth, self.intensity = transformer, width, depth, intensity
        self.lr, self.augment = lr, augment
        self.train_config = TrainConfig(
            epochs=EPOCHS,
            least_steps=LEAST_STEPS,
            batch=32,
            lr=lr,
            optimizer="adamw",
            weight_decay=1e-2,
            schedule="onecycle",
        ).with_epochs(epochs)

    def build(self, geometry: Geometry) -> nn.Module:
        """Both networks."""
        return Attentive(geometry, self.intensity, self.width, self.depth, self.transformer)

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """The localisation network at a tenth of the rate, and the rest."""
        localisation = [] if model.localisation is None else list(model.localisation.parameters())
        rest = [p for name, p in model.named_parameters() if not name.startswith("localisation.")]
        return [{"params": rest}, {"params": localisation, "lr": 0.1 * self.lr}]

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """Mean squared error in [-1, 1]."""
        said, wanted = model(batch.images), model.codec.encode(batch.targets)
        return F.mse_loss(select(said, batch.labelled), select(wanted, batch.labelled))

    def decode(self, model: Any, images: Tensor) -> Tensor:
        """(B, K, 2) px."""
        points: Tensor = model.codec.decode(model(images))
        return points
