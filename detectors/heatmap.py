"""Heatmap detectors: a map an image and keypoint, at the image's own resolution, and the point read off it.

The family is four choices: trunk (`detectors.unet`), target and decoding (`detectors.heatmap_decoding`), and loss:

    ce    cross-entropy between the target, as a distribution, and the softmax over all pixels
    mse   squared error between the target and the map itself, as in Tompson 2014 and Newell 2016

``onehot`` + ``ce`` + ``argmax`` is a classification among the pixels, and answers whole pixels only. For points between
pixels take ``bilinear`` + ``ce`` + ``local``, or ``gaussian`` + ``mse`` + ``dark``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from torch import Tensor, nn

from benchmark.detector import Card
from benchmark.structures import Prediction
from detectors import heatmap_decoding as maps
from detectors.intensity import Intensity, channels, show
from detectors.pixels import Geometry
from detectors.training import Batch, TorchDetector, TrainConfig
from detectors.unet import Trunk, make_trunk


class MapDetector(TorchDetector):
    """Template: a trunk at stride 1 gives K maps; a subclass gives `map_loss` and `read`.

    trunk: unet or conv. width: channels at full resolution. intensity: what the network is shown, see
    `detectors.intensity`. augment: see `TorchDetector`.
    """

    train_config: TrainConfig = TrainConfig(
        epochs=20, batch=32, lr=5e-3, optimizer="adamw", weight_decay=1e-2, schedule="onecycle"
    )
    history_images: ClassVar[int] = 128

    def __init__(self, trunk: Trunk, width: int, intensity: Intensity, augment: str = "") -> None:
        if width < 1:
            raise ValueError(f"width={width}: a trunk needs at least one channel")
        self.trunk, self.width, self.intensity, self.augment = trunk, width, intensity, augment

    def build(self, geometry: Geometry) -> nn.Module:
        inputs = channels(geometry.channels, self.intensity)
        return make_trunk(self.trunk, inputs, geometry.keypoints, self.width)

    def maps(self, model: nn.Module, images: Tensor) -> Tensor:
        """(B, K, H, W) float32."""
        out: Tensor = model(show(images, self.intensity))
        return out.float()

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.map_loss(self.maps(model, batch.images), batch.targets, model.training)

    def decode(self, model: nn.Module, images: Tensor) -> list[Prediction]:
        points, scores = self.read(self.maps(model, images).double())  # in float32 sure scores would all be 1
        return answers(points, scores)

    def map_loss(self, out: Tensor, points: Tensor, training: bool) -> Tensor:
        """The scalar to minimise, from maps (B, K, H, W) and points (B, K, 2) px."""
        raise NotImplementedError

    def read(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) px and the confidence in each (B, K), in [0, 1], from maps."""
        raise NotImplementedError


def answers(points: Tensor, scores: Tensor) -> list[Prediction]:
    """One instance an image; its score is the mean of its keypoints'."""
    found, sure = points.double().cpu().numpy(), scores.double().mean(dim=1).cpu().numpy()
    return [Prediction(found[i : i + 1], sure[i : i + 1]) for i in range(len(found))]


class Heatmap(MapDetector):
    """Heatmap at stride 1: which pixel is it?

    target: onehot, bilinear or gaussian. loss: ce or mse. decode: argmax, local, quarter, dark or integral. sigma: px,
    of gaussian targets. trunk, width, intensity: see `MapDetector`. epochs: of the recipe.
    """

    card: ClassVar[Card] = Card(
        reference="Ronneberger 2015 (U-Net); Tompson 2014, Newell 2016 (heatmaps); Zhang 2020 (DARK)",
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def __init__(
        self,
        trunk: Trunk = "unet",
        target: Literal["onehot", "bilinear", "gaussian"] = "bilinear",
        loss: Literal["ce", "mse"] = "ce",
        decode: maps.Decoding = "local",
        sigma: float = 1.0,
        width: int = 16,
        intensity: Intensity = "both",
        epochs: int = 20,
        augment: str = "",
    ) -> None:
        super().__init__(trunk, width, intensity, augment)
        if sigma <= 0:
            raise ValueError(f"sigma={sigma}: a width in px is above 0")
        self.target, self.loss_name, self.decoding, self.sigma = target, loss, decode, sigma
        self.train_config = replace(self.train_config, epochs=epochs)

    def goal(self, points: Tensor, height: int, width: int) -> Tensor:
        """(B, K, H, W): the map that is asked for."""
        if self.target == "gaussian":
            return maps.gaussian(points, height, width, self.sigma)
        return (maps.onehot if self.target == "onehot" else maps.bilinear)(points, height, width)

    def map_loss(self, out: Tensor, points: Tensor, training: bool) -> Tensor:
        goal = self.goal(points, *out.shape[2:])
        if self.loss_name == "mse":
            return ((out - goal) ** 2).sum((2, 3)).mean()
        return maps.cross_entropy(out, goal)

    def read(self, out: Tensor) -> tuple[Tensor, Tensor]:
        found = maps.softmax(out) if self.loss_name == "ce" else out.clamp(min=0) + 1e-9
        sharp = found if self.loss_name == "ce" else maps.distribution(found)
        kind = self.decoding
        points = maps.decode(sharp if kind in ("local", "integral") else found, kind, sigma=self.sigma)
        return points, found.amax((2, 3)).clamp(max=1)
