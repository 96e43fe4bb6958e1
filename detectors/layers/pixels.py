"""The images of a split as tensors on the training device, one for each image size.

They are kept as floats where that takes little memory (a small network's step takes less time than the conversion),
else as bytes that become floats a batch at a time. Resizing follows the pixel-centre convention: a scale s takes x to
(x + .5) * s - .5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.structures import FloatArray, Image, IntArray, LabeledImages
from datasets.images import grey

FLOATS = 1 << 26  # bytes of float images that are kept
KEPT = 1 << 30  # bytes of byte images that are kept; more are decoded anew for each batch


@dataclass(frozen=True)
class Geometry:
    """What the shape of a network depends on.

    Attributes:
        keypoints: Number of keypoints of an instance, K.
        height: px, of the commonest image size.
        width: px, of the commonest image size.
        channels: 1, or 3 where any image has colour.
        category_ids: The COCO category ids of the training annotations, ascending; for detectors that tell them apart.
    """

    keypoints: int
    height: int
    width: int
    channels: int
    category_ids: tuple[int, ...] = (1,)

    @classmethod
    def of(cls, data: LabeledImages) -> Geometry:
        """The geometry of a training split."""
        if isinstance(data.images, np.ndarray):
            shapes = [data.images.shape[1:]] if len(data) else []
        elif _all_bytes(data.images) > KEPT:  # one size, as the harness makes it: a look at one is enough
            shapes = [data.images[0].shape]
        else:
            shapes = [image.shape for image in data.images]
        ((height, width), _) = Counter(shape[:2] for shape in shapes).most_common(1)[0]
        channels = 3 if any(len(shape) == 3 for shape in shapes) else 1
        categories = tuple(data.annotations.known_category_ids.tolist())
        return cls(data.annotations.keypoints.shape[1], int(height), int(width), channels, categories)


class Pixels:
    """N images as tensors (n, C, H, W), grouped by size: float32 in [0, 1], or uint8 where those would be too large.

    Args:
        images: N arrays, uint8, (H, W) or (H, W, 3) RGB.
        channels: 1 (colour becomes luma, see `datasets.images.grey`) or 3 (grey is repeated).
        size: (H, W) in px to resize all of them to, or None.
        device: Where the tensors are kept.
    """

    def __init__(self, images: Sequence[Image], channels: int, size: tuple[int, int] | None, device: str) -> None:
        scale = np.ones((len(images), 2))
        self._files: tuple[Sequence[Image], int] | None = None
        of_files = not isinstance(images, np.ndarray) and _all_bytes(images) > KEPT
        if of_files and size in (None, images[0].shape[:2]):
            self._files = images, channels
            self._group, self._row = np.zeros(len(images), dtype=np.int64), np.arange(len(images))
            self._tensors, self._scale, self._device = [torch.zeros(0)], scale, device
            return
        by_size: dict[tuple[int, int], tuple[list[IntArray], list[Tensor]]] = {}
        for positions, tensor in _stacks(images, channels):
            height, width = tensor.shape[-2:]
            if size is not None and size != (height, width):
                scale[positions] = size[1] / width, size[0] / height
                resized = torch.nn.functional.interpolate(tensor.float(), size, mode="bilinear", antialias=True)
                tensor = resized.round().clamp(0, 255).to(torch.uint8)
            same = by_size.setdefault((tensor.shape[-2], tensor.shape[-1]), ([], []))
            same[0].append(positions)
            same[1].append(tensor)
        self._group, self._row = np.zeros(len(images), dtype=np.int64), np.zeros(len(images), dtype=np.int64)
        tensors: list[Tensor] = []
        for group, (parts, stacks) in enumerate(by_size.values()):
            positions = np.concatenate(parts)
            self._group[positions], self._row[positions] = group, np.arange(len(positions))
            tensors.append(torch.cat(stacks).contiguous().to(device))
        if sum(tensor.numel() for tensor in tensors) * 4 <= FLOATS:
            tensors = [tensor.float().div_(255) for tensor in tensors]
        self._tensors, self._scale, self._device = tensors, scale, device

    def __len__(self) -> int:
        """The number of images."""
        return len(self._group)

    @property
    def sizes(self) -> int:
        """How many different sizes there are."""
        return len(self._tensors)

    def same_size(self, i: int, j: int) -> bool:
        """Whether images ``i`` and ``j`` can stand in one batch."""
        return bool(self._group[i] == self._group[j])

    def batches(self, order: IntArray, size: int) -> list[IntArray]:
        """Cut an order of positions into batches, each of one image size, the order kept within it.

        Args:
            order: (N,) int64, positions of images.
            size: Positions in a batch at most.

        Returns:
            Batches of positions.
        """
        groups = [order] if self.sizes == 1 else [order[self._group[order] == g] for g in range(self.sizes)]
        return [group[i : i + size] for group in groups for i in range(0, len(group), size)]

    def floats(self, positions: IntArray) -> Tensor:
        """(B, C, H, W) float32 in [0, 1]: the images at ``positions``, which must be of one size."""
        if self._files is not None:
            images, channels = self._files
            stack = np.stack([np.asarray(images[int(i)]) for i in positions])
            return _with_channels(stack, channels).to(self._device).float().div_(255)
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


def _all_bytes(images: Sequence[Image]) -> int:
    """Bytes of all images, were they all as large as the first."""
    return images[0].nbytes * len(images) if len(images) else 0


def _stacks(images: Sequence[Image], channels: int) -> list[tuple[IntArray, Tensor]]:
    """Images of one shape together: their positions, and (n, C, H, W) uint8."""
    if isinstance(images, np.ndarray) and len(images):
        return [(np.arange(len(images)), _with_channels(images, channels))]
    decoded = [np.asarray(image) for image in images]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(decoded):
        by_shape.setdefault(image.shape, []).append(i)
    return [
        (np.array(positions), _with_channels(np.stack([decoded[i] for i in positions]), channels))
        for positions in by_shape.values()
    ]


def _with_channels(images: Image, channels: int) -> Tensor:
    """(n, H, W) or (n, H, W, 3) uint8 as (n, C, H, W)."""
    if channels == 3 and images.ndim == 4:
        return torch.tensor(images).permute(0, 3, 1, 2)
    return torch.tensor(grey(images))[:, None].expand(-1, channels, -1, -1)
