"""Cascade R-CNN (Cai 2018) on torchvision's parts: box heads in a row, each trained on better boxes than the last.

Stage t samples boxes that overlap the target by at least its IoU (.5, .6, .7), scores and refines them, and hands them
to the next; its deltas are scaled up with the IoU, as the paper's are (section 4.1). The answer's boxes are the last
stage's, its scores the mean of all stages'. A box is refined by the deltas of its best-scored class (the paper's
deltas are the same for all classes; with one class there is no difference).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops import boxes as box_ops

from benchmark.detector import Card
from detectors.box_detectors import PointFinder, class_count, two_stage
from detectors.layers.coordinates import Frame
from detectors.layers.detection import Target
from detectors.layers.intensity import Intensity
from detectors.layers.pixels import Geometry

IOUS = (0.5, 0.6, 0.7)


class CascadeHeads(nn.Module):
    """Takes the place of a Faster R-CNN's ``roi_heads``; each stage is one of those."""

    def __init__(self, stages: Sequence[RoIHeads]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[Target], dict[str, Tensor]]:
        """What torchvision asks of ``roi_heads``.

        Args:
            features: Feature maps (B, D, h, w) by name.
            proposals: Boxes (P, 4) of each image, (x1, y1, x2, y2) in the network's coordinates.
            shapes: (height, width) of each image.
            targets: Boxes and labels of each image, in train mode.

        Returns:
            (no detections, losses) in train mode, (detections, no losses) in eval mode.
        """
        losses: dict[str, Tensor] = {}
        probabilities: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            if self.training:
                sampled = stage.select_training_samples(proposals, targets)  # type: ignore[operator]
                proposals, _, labels, box_targets = sampled
            pooled = stage.box_roi_pool(features, proposals, shapes)  # type: ignore[operator]
            logits, deltas = stage.box_predictor(stage.box_head(pooled))  # type: ignore[operator]
            probabilities.append(F.softmax(logits, dim=1))
            if self.training:
                classes, boxes = fastrcnn_loss(logits, deltas, labels, box_targets)
                losses |= {f"classes{number}": classes, f"boxes{number}": boxes}
            if stage is not self.stages[-1]:
                proposals = self._refined(stage, logits, deltas, proposals, shapes)
        if self.training:
            return [], losses
        mean = torch.stack(probabilities).mean(0).log()  # a softmax of this is the mean again
        detections = self.stages[-1].postprocess_detections(mean, deltas, proposals, shapes)  # type: ignore[operator]
        return [{"boxes": b, "scores": s, "labels": k} for b, s, k in zip(*detections)], losses

    @staticmethod
    def _refined(
        stage: nn.Module, logits: Tensor, deltas: Tensor, proposals: list[Tensor], shapes: list[tuple[int, int]]
    ) -> list[Tensor]:
        """The proposals after a stage's deltas: as many in each image, clipped to it, and no gradient through them."""
        boxes = stage.box_coder.decode(deltas.detach(), proposals)  # type: ignore[operator,union-attr]
        best = logits[:, 1:].argmax(1) + 1
        chosen = boxes[torch.arange(len(boxes), device=boxes.device), best]
        parts = chosen.split([len(p) for p in proposals])
        return [box_ops.clip_boxes_to_image(part, shape) for part, shape in zip(parts, shapes)]


class CascadeRCNNPoints(PointFinder):
    """Cascade R-CNN: three box heads, each refining the last one's; the box's centre answers.

    Args:
        stages: 1 to 3, the box heads in a row.
        size: The input's shorter side in px, without the margin.
        side: Of the boxes, in px of the image.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        threshold: The least score of a box, where train images hold other than one instance.
    """

    card: ClassVar[Card] = Card(
        reference="Cai 2018, Cascade R-CNN, section 4; parts of torchvision/models/detection/roi_heads.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"stages": 1},
    )

    def __init__(
        self,
        stages: int = 3,
        size: int = 112,
        side: float = 8.0,
        intensity: Intensity = "both",
        threshold: float = 0.3,
    ) -> None:
        if stages not in range(1, len(IOUS) + 1):
            raise ValueError(f"stages={stages}: there can be 1 to {len(IOUS)}")
        super().__init__(size, side, intensity, threshold)
        self.stages = stages

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """A Faster R-CNN whose box head is replaced by a cascade."""
        classes = class_count(geometry)
        model = two_stage(backbone, self.anchors(frame), classes)
        inputs = int(backbone.out_channels)  # type: ignore[arg-type]
        heads = [
            RoIHeads(
                MultiScaleRoIAlign(["0"], 7, 1),
                TwoMLPHead(inputs * 49, 128),
                FastRCNNPredictor(128, classes + 1),
                fg_iou_thresh=iou,
                bg_iou_thresh=iou,
                batch_size_per_image=12,
                positive_fraction=0.5,
                bbox_reg_weights=tuple(w * (number + 1) for w in (10.0, 10.0, 5.0, 5.0)),
                score_thresh=0.0,
                nms_thresh=0.5,
                detections_per_img=50,
            )
            for number, iou in enumerate(IOUS[: self.stages])
        ]
        model.roi_heads = CascadeHeads(heads)
        return model
