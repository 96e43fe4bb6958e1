"""Where the instances are: a Faster R-CNN whose answer is boxes, for detectors that want one instance an image.

Its two keypoints are the corners of a box, its first and last pixel's outer edges less half a pixel (`benchmark.framed`
makes such annotations and reads such answers), so that it is a detector as any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from benchmark.detector import Card
from benchmark.structures import Prediction
from detectors.detection import DetectionDetector
from detectors.layers.coordinates import Frame
from detectors.layers.detection import Target
from detectors.layers.pixels import Geometry
from detectors.training import Batch, TrainConfig

SIDES = (16, 32, 64, 112)  # px of the network's input, of anchors
RATIOS = (0.5, 1.0, 2.0)


class InstanceBoxes(DetectionDetector):
    """Faster R-CNN on the instances' own boxes.

    Args:
        size: The input's shorter side in px, at least.
        threshold: The least score of a box.
    """

    train_config: TrainConfig = replace(DetectionDetector.train_config, epochs=30, batch=8)
    longest_side: ClassVar[int] = 160
    dilations: ClassVar[tuple[int, ...]] = (1, 2, 4, 2)
    card: ClassVar[Card] = Card(
        reference="Ren 2015; torchvision/models/detection/faster_rcnn.py", multi_instance=True, has_confidence=True
    )

    def __init__(self, size: int = 112, threshold: float = 0.3) -> None:
        super().__init__("small", size, "raw", pretrained=False, margin=0, threshold=threshold)

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """A Faster R-CNN with anchors of several sizes and shapes, and a class for each category."""
        inputs = int(backbone.out_channels)  # type: ignore[arg-type]
        return FasterRCNN(  # type: ignore[no-any-return]
            backbone,
            rpn_anchor_generator=AnchorGenerator((SIDES,), (RATIOS,)),
            rpn_pre_nms_top_n_train=200,
            rpn_post_nms_top_n_train=64,
            rpn_pre_nms_top_n_test=200,
            rpn_post_nms_top_n_test=64,
            rpn_batch_size_per_image=64,
            box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
            box_head=TwoMLPHead(inputs * 49, 128),
            box_predictor=FastRCNNPredictor(128, 1 + len(geometry.category_ids)),
            box_score_thresh=self.threshold,
            box_batch_size_per_image=32,
            box_positive_fraction=0.5,
            box_detections_per_img=50,
        )

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        """The instances' boxes, and labels from 1."""
        return [
            {"boxes": frame.boxes(at_least_a_pixel(row["boxes"])), "labels": 1 + row["category"]}
            for row in self.instance_rows(batch)
        ]

    def instances(self, model: nn.Module, detections: Target, frame: Frame) -> Prediction:
        """The corners of every detected box."""
        corners = torch.stack([detections["boxes"][:, :2], detections["boxes"][:, 2:]], dim=1)
        points = frame.to_pixels(corners.double()).cpu().numpy()
        categories = self.category_ids(detections["labels"].cpu().numpy() - 1)
        return Prediction(points, detections["scores"].double().cpu().numpy(), categories)


def at_least_a_pixel(boxes: Tensor) -> Tensor:
    """Boxes (M, 4) x, y, width, height, each at least a pixel on both sides: torchvision takes no others."""
    return torch.cat([boxes[:, :2], boxes[:, 2:].clamp(min=1)], dim=1)
