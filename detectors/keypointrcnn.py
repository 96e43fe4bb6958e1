"""Keypoint R-CNN (He 2017, section 5) as torchvision builds it, sized for small images.

The image is enlarged (28 px to 112 px) so that a feature cell of the small backbone is one pixel of the image. A
region proposal network with square anchors finds the object, a box head scores, classifies and refines it, and a
keypoint head answers with a heatmap over each box (softmax over its cells, cross-entropy), which torchvision enlarges
bicubically to the box's size and takes the maximum of. The heads are narrower than torchvision's, the steps the same.
The classes are the categories of the training annotations; the keypoint head is one for all of them.

Target boxes are padded by ``pad`` px: a point on its box's edge, as ``topleft`` always is, would lie outside half of
the proposals that training jitters around the box, and be dropped from the loss.

An instance's score is its box's, which says whether an object is there and soon is 1 for all, times the share of the
heatmap about its peak, which says how certain the point is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from benchmark.detector import Card
from benchmark.structures import Prediction
from detectors.detection import DetectionDetector
from detectors.layers.codecs import softmax2d
from detectors.layers.coordinates import Frame
from detectors.layers.detection import DetectionBackbone, Target, pooled_levels
from detectors.layers.intensity import Intensity
from detectors.layers.pixels import Geometry
from detectors.training import LARGE_PIXELS, Batch, TrainConfig

# Of small images by the small backbone: half the passes, and the weights of the last epochs, when the learning rate is
# down. Photographs, which are few and vary more, lose by it: 5.8 px instead of 3.0 on 23 frames, three seeds each.
QUICK = replace(DetectionDetector.train_config, epochs=6, least_steps=400, batch=8, select_from=0.9)


class KeypointRCNNDetector(DetectionDetector):
    """Keypoint R-CNN: a box first, then a heatmap inside it.

    Args:
        backbone: ``small`` (stride 4, 48 channels), or ``resnet18`` or ``resnet50`` with a feature pyramid.
        size: The input's shorter side in px.
        pad: px added on each side of a target box.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        pretrained: ImageNet weights for a ResNet.
        threshold: The least score of a box, where train images hold other than one instance.
    """

    card: ClassVar[Card] = Card(
        reference="He 2017, Mask R-CNN, section 5; torchvision/models/detection/keypoint_rcnn.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"pad": 0.0},
        version=2,
    )

    def __init__(
        self,
        backbone: DetectionBackbone = "small",
        size: int = 112,
        pad: float = 3.0,
        intensity: Intensity = "both",
        pretrained: bool = False,
        threshold: float = 0.3,
    ) -> None:
        super().__init__(backbone, size, intensity, pretrained, margin=0, threshold=threshold)
        self.pad = pad

    def quick(self, geometry: Geometry) -> bool:
        """Whether images are small enough for fewer steps of a lighter network that sees further."""
        return self.backbone == "small" and geometry.height * geometry.width <= LARGE_PIXELS

    def recipe(self, geometry: Geometry) -> TrainConfig:
        """As `TorchDetector.recipe`; a short one where images are small."""
        return QUICK if self.quick(geometry) else self.train_config

    def dilated(self, geometry: Geometry) -> tuple[int, ...]:
        """As `DetectionDetector.dilated`."""
        return (1, 2, 4, 2) if self.quick(geometry) else self.dilations

    def build(self, geometry: Geometry) -> nn.Module:
        """As `DetectionDetector.build`; what is learned quickly runs faster with channels last."""
        model = super().build(geometry)
        return model.to(memory_format=torch.channels_last) if self.quick(geometry) else model  # type: ignore[call-overload]

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """The Keypoint R-CNN of torchvision, with few proposals, narrow heads, and a class for each category."""
        inputs, levels = int(backbone.out_channels), pooled_levels(self.backbone)  # type: ignore[arg-type]
        width = 48 if self.quick(geometry) else 64
        sides = tuple(round(self.size * share) for share in (0.3, 0.55, 0.85))
        sizes = (sides,) if self.backbone == "small" else tuple((side,) for side in (*sides, *sides[-1:] * 2))
        return KeypointRCNN(  # type: ignore[no-any-return]
            backbone,
            rpn_anchor_generator=AnchorGenerator(sizes, ((1.0,),) * len(sizes)),
            rpn_pre_nms_top_n_train=100,
            rpn_post_nms_top_n_train=16,
            rpn_pre_nms_top_n_test=100,
            rpn_post_nms_top_n_test=16,
            rpn_batch_size_per_image=32,
            box_roi_pool=MultiScaleRoIAlign(levels, 5, 2),
            box_head=TwoMLPHead(inputs * 25, 128),
            box_predictor=FastRCNNPredictor(128, 1 + len(geometry.category_ids)),
            box_batch_size_per_image=6,
            box_positive_fraction=0.75,
            keypoint_roi_pool=MultiScaleRoIAlign(levels, 14, 1),
            keypoint_head=KeypointRCNNHeads(inputs, (width,) * 3),
            keypoint_predictor=_Predictor(width, geometry.keypoints),
        )

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        """Padded boxes that hold their visible keypoints, labels from 1, and keypoints with their visibility."""
        targets = []
        for row in self.instance_rows(batch):
            points, boxes, visible = row["keypoints"], row["boxes"], row["visible"]
            at = points + 0.5  # counted from the image's edge, as boxes are
            low, high = (torch.where(visible[..., None], at, far) for far in (torch.inf, -torch.inf))
            first = torch.minimum(boxes[:, :2], low.amin(dim=1)) - self.pad
            last = torch.maximum(boxes[:, :2] + boxes[:, 2:], high.amax(dim=1)) + self.pad
            limit = frame.points(boxes.new_tensor(batch.images.shape[:1:-1]) - 0.5)
            edges = frame.boxes(torch.cat([first, last - first], dim=1)).clamp(min=0)
            targets.append(
                {
                    "boxes": torch.minimum(edges, limit.repeat(2)),
                    "labels": 1 + row["category"],
                    "keypoints": torch.cat([frame.points(points), visible[..., None].float()], dim=2),
                }
            )
        return targets

    def detect(self, model: nn.Module, images: Tensor) -> list[Target]:
        """The detections of the network, each with ``peaks`` (M, K): see `peak_probability`."""
        heads: Any = model.roi_heads
        heads.detections_per_img, heads.score_thresh = (1, 0.0) if model.single_instance else (50, self.threshold)
        heatmaps: list[Tensor] = []
        hook = heads.keypoint_predictor.register_forward_hook(lambda module, inputs, output: heatmaps.append(output))
        try:
            detections = super().detect(model, images)
        finally:
            hook.remove()
        counts = [len(one["boxes"]) for one in detections]
        peaks = torch.split(torch.cat([peak_probability(maps) for maps in heatmaps]), counts)
        return [{**one, "peaks": peak} for one, peak in zip(detections, peaks)]

    def instances(self, model: nn.Module, detections: Target, frame: Frame) -> Prediction:
        """Every detected box is an instance; its score is the box's times the mean of its keypoints' ``peaks``."""
        scores = detections["scores"].double() * detections["peaks"].mean(dim=1)
        best = torch.argsort(scores, descending=True, stable=True)
        points = frame.to_pixels(detections["keypoints"][best, :, :2].double())
        categories = self.category_ids(detections["labels"][best].cpu().numpy() - 1)
        return Prediction(points.cpu().numpy(), scores[best].cpu().numpy(), categories)


class _Predictor(KeypointRCNNPredictor):  # type: ignore[misc]  # torchvision is untyped
    """torchvision's, which looks at heatmaps through views: these need channels first, whatever the head computes in."""

    def forward(self, features: Tensor) -> Tensor:
        """Features (R, C, H, W) to heatmaps (R, K, 2 H, 2 W) before the softmax."""
        return super().forward(features).contiguous()  # type: ignore[no-any-return]


def peak_probability(logits: Tensor) -> Tensor:
    """The share of each heatmap in the 3 x 3 cells that hold most of it.

    Args:
        logits: (R, K, H, W).

    Returns:
        (R, K) float64 in (0, 1].
    """
    return F.avg_pool2d(softmax2d(logits.double()), 3, stride=1, padding=1).amax((2, 3)) * 9
