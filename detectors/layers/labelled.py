"""Losses see the keypoints that are labelled, and no others.

A loss takes what the network says and what it should say as tensors (B, K, ...) and means over all of them. `select`
leaves the labelled ones as (L, 1, ...), so that the same loss means over those. Where everything is labelled nothing is
touched, and the arithmetic stays what it was to the last bit.
"""

from __future__ import annotations

from torch import Tensor


def select(values: Tensor, labelled: Tensor | None) -> Tensor:
    """The values of labelled keypoints.

    Args:
        values: (B, K, ...), one a keypoint.
        labelled: (B, K) bool; None: all of them are.

    Returns:
        (L, 1, ...) of the L labelled ones; ``values`` itself where all are.
    """
    return values if labelled is None else values[labelled].unsqueeze(1)
