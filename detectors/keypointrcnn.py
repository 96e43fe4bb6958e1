"""Keypoint R-CNN (He 2017, section 5) as torchvision builds it, sized for small images.

The image is enlarged (28 px to 112 px) so that a feature cell of the small backbone is one pixel of the image. A
region proposal network with square anchors finds the object, a box head scores and refines it, and a keypoint head
answers with a heatmap over each box (softmax over its cells, cross-entropy), which torchvision enlarges bicubically to
the box's size and takes the maximum of. The heads are narrower than torchvision's, the steps the same.

Target boxes are padded by ``pad`` px: a point on its box's edge, as ``topleft`` always is, would lie outside half of
the proposals that training jitters around the box, and be dropped from the loss.

An instance's score is its box's, which says whether an object is there and soon is 1 for all, times the share of the
heatmap about its peak, which says how sure the point is.
"""

from __future__ import annotations

from typing import ClassVar

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
from detectors.coordinates import Frame
from detectors.detection import Backbone, DetectionDetector, Target, levels, rows
from detectors.intensity import Intensity
from detectors.training import Batch


class KeypointRCNNDetector(DetectionDetector):
    """Keypoint R-CNN: a box first, then a heatmap inside it.

    backbone: small (stride 4, 64 channels), or resnet18, resnet50 with a feature pyramid. size: the input's shorter
    side in px. pad: px added on each side of a target box. intensity: see `detectors.intensity`. pretrained: ImageNet
    weights for a ResNet. threshold: see `DetectionDetector`.
    """

    card: ClassVar[Card] = Card(
        reference="He 2017, Mask R-CNN, section 5; torchvision/models/detection/keypoint_rcnn.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"pad": 0.0},
    )

    def __init__(
        self,
        backbone: Backbone = "small",
        size: int = 112,
        pad: float = 3.0,
        intensity: Intensity = "both",
        pretrained: bool = False,
        threshold: float = 0.3,
    ) -> None:
        super().__init__(backbone, size, intensity, pretrained, margin=0, threshold=threshold)
        self.pad = pad

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        inputs, names = int(backbone.out_channels), levels(self.backbone)  # type: ignore[arg-type]
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
            box_roi_pool=MultiScaleRoIAlign(names, 5, 2),
            box_head=TwoMLPHead(inputs * 25, 128),
            box_predictor=FastRCNNPredictor(128, 2),
            box_batch_size_per_image=6,
            box_positive_fraction=0.75,
            keypoint_roi_pool=MultiScaleRoIAlign(names, 14, 1),
            keypoint_head=KeypointRCNNHeads(inputs, (64,) * 3),
            keypoint_predictor=KeypointRCNNPredictor(64, keypoints),
        )

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        found = []
        for row in rows(batch):
            points, boxes, seen = row["keypoints"], row["boxes"], row["visible"]
            at = points + 0.5  # counted from the image's edge, as boxes are
            far = torch.where(seen[..., None], at, torch.inf), torch.where(seen[..., None], at, -torch.inf)
            first = torch.minimum(boxes[:, :2], far[0].amin(dim=1)) - self.pad
            last = torch.maximum(boxes[:, :2] + boxes[:, 2:], far[1].amax(dim=1)) + self.pad
            limit = frame.points(boxes.new_tensor(batch.images.shape[:1:-1]) - 0.5)
            edges = frame.boxes(torch.cat([first, last - first], dim=1)).clamp(min=0)
            found.append(
                {
                    "boxes": torch.minimum(edges, limit.repeat(2)),
                    "labels": torch.ones(len(boxes), dtype=torch.int64, device=boxes.device),
                    "keypoints": torch.cat([frame.points(points), seen[..., None].float()], dim=2),
                }
            )
        return found

    def detect(self, model: nn.Module, images: Tensor) -> list[Target]:
        heads, maps = model.roi_heads, []
        heads.detections_per_img, heads.score_thresh = (1, 0.0) if model.single_instance else (50, self.threshold)  # type: ignore[union-attr]
        hook = heads.keypoint_predictor.register_forward_hook(  # type: ignore[operator,union-attr]
            lambda module, inputs, output: maps.append(output)
        )
        try:
            found = super().detect(model, images)
        finally:
            hook.remove()
        shares = torch.split(torch.cat([near_peak(m) for m in maps]), [len(f["boxes"]) for f in found])
        return [{**f, "shares": share} for f, share in zip(found, shares)]

    def instances(self, model: nn.Module, found: Target, frame: Frame) -> Prediction:
        scores = found["scores"].double() * found["shares"].mean(dim=1)
        best = torch.argsort(scores, descending=True, stable=True)
        points = frame.back(found["keypoints"][best, :, :2].double())
        return Prediction(points.cpu().numpy(), scores[best].cpu().numpy())


def near_peak(logits: Tensor) -> Tensor:
    """(R, K) float64: the share of each heatmap (R, K, H, W) in the 3 x 3 cells that hold most. In (0, 1]."""
    shares = logits.double().flatten(2).softmax(-1).view(logits.shape)
    return F.avg_pool2d(shares, 3, stride=1, padding=1).amax((2, 3)) * 9
