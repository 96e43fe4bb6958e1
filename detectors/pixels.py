"""Images in memory: tensors on the training device, one for each image size; as floats where that takes little memory
(a small network's step is quicker than making them float), else as bytes that are made float a batch at a time.

Resizing follows the pixel-centre convention: a scale s takes x to (x + .5) * s - .5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.structures import FloatArray, Image, IntArray, LabeledImages

FLOATS = 1 << 26  # bytes of float images that are kept


@dataclass(frozen=True)
class Geometry:
    """What a network's shape depends on: keypoints, and the commonest height, width and the channels (1 or 3)."""

    keypoints: int
    height: int
    width: int
    channels: int

    @classmethod
    def of(cls, data: LabeledImages) -> Geometry:
        shapes = [image.shape for image in data.images]
        ((height, width), _) = Counter(shape[:2] for shape in shapes).most_common(1)[0]
        channels = 3 if any(len(shape) == 3 for shape in shapes) else 1
        return cls(data.annotations.keypoints.shape[1], int(height), int(width), channels)


class Pixels:
    """N images as tensors (n, C, H, W), grouped by size: float32 in [0, 1], or uint8 where those would be too large.

    channels: 1 (colour becomes luma) or 3 (grey is repeated). size: (H, W) to resize all of them to, or None.
    """

    def __init__(self, images: Sequence[Image], channels: int, size: tuple[int, int] | None, device: str) -> None:
        scale = np.ones((len(images), 2))
        by_size: dict[tuple[int, ...], list[int]] = {}
        tensors: list[Tensor] = []
        if isinstance(images, np.ndarray) and len(images):
            stacks = [(np.arange(len(images)), _channels(torch.tensor(images), channels))]
        else:
            decoded = [np.asarray(image) for image in images]
            for i, image in enumerate(decoded):
                by_size.setdefault(image.shape, []).append(i)
            stacks = [
                (np.array(found), _channels(torch.from_numpy(np.stack([decoded[i] for i in found])), channels))
                for found in by_size.values()
            ]
        merged: dict[tuple[int, int], tuple[list[IntArray], list[Tensor]]] = {}
        for found, tensor in stacks:
            height, width = tensor.shape[-2:]
            if size is not None and size != (height, width):
                scale[found] = size[1] / width, size[0] / height
                wide = torch.nn.functional.interpolate(tensor.float(), size, mode="bilinear", antialias=True)
                tensor = wide.round().clamp(0, 255).to(torch.uint8)
            entry = merged.setdefault((tensor.shape[-2], tensor.shape[-1]), ([], []))
            entry[0].append(found)
            entry[1].append(tensor)
        self._group, self._row = np.zeros(len(images), dtype=np.int64), np.zeros(len(images), dtype=np.int64)
        for g, (found_list, tensor_list) in enumerate(merged.values()):
            found = np.concatenate(found_list)
            self._group[found], self._row[found] = g, np.arange(len(found))
            tensors.append(torch.cat(tensor_list).contiguous().to(device))
        if sum(tensor.numel() for tensor in tensors) * 4 <= FLOATS:
            tensors = [tensor.float().div_(255) for tensor in tensors]
        self._tensors, self._scale, self._device = tensors, scale, device

    def __len__(self) -> int:
        return len(self._group)

    @property
    def sizes(self) -> int:
        """How many different sizes there are."""
        return len(self._tensors)

    def same_size(self, i: int, j: int) -> bool:
        return bool(self._group[i] == self._group[j])

    def batches(self, order: IntArray, size: int) -> list[IntArray]:
        """``order`` cut into batches of at most ``size`` positions, each of one image size, order kept within it."""
        groups = [order] if self.sizes == 1 else [order[self._group[order] == g] for g in range(self.sizes)]
        return [found[i : i + size] for found in groups for i in range(0, len(found), size)]

    def floats(self, positions: IntArray) -> Tensor:
        """(B, C, H, W) float32 in [0, 1]: the images at ``positions``, which must be of one size."""
        tensor = self._tensors[self._group[positions[0]]]
        rows = torch.from_numpy(self._row[positions]).to(self._device)
        chosen: Tensor = tensor.index_select(0, rows)
        return chosen if chosen.is_floating_point() else chosen.float().div_(255)

    def from_original(self, points: FloatArray) -> FloatArray:
        """(N, K, 2) px of the images as they came, as px of these tensors."""
        return (points + 0.5) * self._scale[:, None] - 0.5

    def to_original(self, points: FloatArray, positions: IntArray) -> FloatArray:
        """(B, K, 2) px of these tensors, as px of the images as they came."""
        return (points + 0.5) / self._scale[positions][:, None] - 0.5


def _channels(images: Tensor, channels: int) -> Tensor:
    """(n, H, W) or (n, H, W, 3) uint8 as (n, C, H, W)."""
    if images.ndim == 3:
        return images[:, None].expand(-1, channels, -1, -1)
    if channels == 3:
        return images.permute(0, 3, 1, 2)
    luma = torch.matmul(images.float(), torch.tensor([0.299, 0.587, 0.114]))
    return luma.round().to(torch.uint8).unsqueeze(1)
