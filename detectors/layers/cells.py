"""Images larger than digits are read in cells: which backbone reads a size, and where its cells lie.

A map backbone at stride s has a cell for each s x s pixels. Cells lie edge to edge from the image's first pixel, so that
pixel centre x lies at (x + .5) / s - .5 among their centres; `to_cells` and `to_pixels` alone change between the two. At
a stride of 1 they change nothing, and points come back as they were, to the last bit.

A side of `FINE` px is the border: up to it ``unet`` is read at stride 1, as digits always were; larger images are shown to
it at `LARGE` px and read at stride 4, larger where what is annotated on them is small.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from benchmark.structures import Annotations
from benchmark.windows import Size, scaled
from detectors.layers.backbones import MapBackbone, StridedUNet

FINE = 96  # px, the longer side of images that are read at stride 1
LARGE = 256  # px, the longer side that photographs are shown at, where nobody says
LARGEST = 512  # px, where instances are small on them
LEAST_EXTENT = 32  # px, from one of an instance's keypoints to the farthest: eight cells
STRIDE = 4


def wanted_side(annotations: Annotations, usual: int = LARGE) -> int:
    """The longer side at which instances are large enough to be read in cells.

    Args:
        annotations: Of the training images.
        usual: px, of the side that is enough as a rule.

    Returns:
        px, where keypoints of an instance would typically lie within `LEAST_EXTENT` px otherwise: up to `LARGEST`, and no
        larger than the images are. Else 0.
    """
    known = annotations.visible > 0
    several = (known.sum(axis=1) > 1) & ~annotations.crowd
    if not several.any():
        return 0
    low, high = (np.where(known[several][..., None], annotations.keypoints[several], far) for far in (np.inf, -np.inf))
    longest = annotations.sizes[annotations.index[several]].max(axis=1)
    shares = (high.max(axis=1) - low.min(axis=1)).max(axis=1) / longest
    needed = min(LEAST_EXTENT / max(float(np.median(shares)), 1e-6), LARGEST, float(np.median(longest)))
    return round(needed) if needed > usual else 0


def reading(backbone: MapBackbone, height: int, width: int) -> MapBackbone:
    """The backbone that reads images of a size: ``strided`` in place of ``unet`` where they are large."""
    return "strided" if backbone == "unet" and max(height, width) > FINE else backbone


def stride_of(backbone: nn.Module) -> int:
    """Pixels a side of a cell of a map backbone's maps."""
    return STRIDE if isinstance(backbone, StridedUNet) else 1


def to_cells(points: Tensor, stride: int) -> Tensor:
    """(..., 2) px to positions among the cells; a cell's centre is an integer."""
    return points if stride == 1 else (points + 0.5) / stride - 0.5


def to_pixels(points: Tensor, stride: int) -> Tensor:
    """(..., 2) positions among the cells to px: the inverse of `to_cells`."""
    return points if stride == 1 else (points + 0.5) * stride - 0.5


def shown_size(commonest: Size, longest: int) -> Size:
    """A size (height, width) whose longer side is ``longest`` px, in whole cells where it is read in cells."""
    height, width = scaled(commonest, longest / max(commonest))
    if max(height, width) <= FINE:
        return height, width
    return max(1, round(height / STRIDE)) * STRIDE, max(1, round(width / STRIDE)) * STRIDE
