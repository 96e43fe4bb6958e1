"""What a network is shown of an image's brightness.

Whether a pixel counts as ink can depend on the value 1/255 (``topleft``: ink is anything above 0), which next to 1 is
nothing to a network trained for seconds. ``log`` shows log2(1 + 255 v) / 8 in its place: still the whole image, still
[0, 1], and 1/255 becomes 1/8. It is monotone and has no threshold: it is not an ink mask. ``both`` shows both.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Intensity = Literal["raw", "log", "both"]


def show(images: Tensor, intensity: Intensity) -> Tensor:
    """The channels that a network is shown.

    Args:
        images: (B, C, H, W) float32 in [0, 1].
        intensity: ``raw``, ``log`` or ``both``.

    Returns:
        (B, C, H, W) float32 in [0, 1], or (B, 2 C, H, W) for ``both``.
    """
    if intensity == "raw":
        return images
    log = torch.log2(1 + 255 * images) / 8
    return log if intensity == "log" else torch.cat([images, log], dim=1)


def channels(of_image: int, intensity: Intensity) -> int:
    """How many channels `show` makes of an image's."""
    return of_image * (2 if intensity == "both" else 1)
