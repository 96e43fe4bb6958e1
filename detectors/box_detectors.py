"""Box detectors as point finders: each point becomes a box of one size centred on it, and the found box's centre answers.

Faster R-CNN (Ren 2015), RetinaNet (Lin 2017), SSD (Liu 2016) and FCOS (Tian 2019) as torchvision builds them, on the
small backbone of `detectors.detection` and a single feature map of stride 4, so that a cell is one pixel of a 28 px
image enlarged to 112. torchvision clips boxes to the image, which would shift the centre of a point near the edge:
half a box of black is put around the image first.

A keypoint is a class: K of them are K classes of boxes, and `group` makes instances of them.
"""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.ops import MultiScaleRoIAlign

from benchmark.detector import Card
from benchmark.structures import FloatArray, IntArray, LabeledImages, Prediction
from detectors.coordinates import Frame
from detectors.detection import DetectionDetector, Target, rows
from detectors.intensity import Intensity
from detectors.pixels import Geometry
from detectors.training import Batch


def group(points: FloatArray, scores: FloatArray, kinds: IntArray, offsets: FloatArray, single: bool) -> Prediction:
    """Instances of K keypoints from D found points, each of one kind.

    points: (D, 2) px. scores: (D,). kinds: (D,) in 0..K-1. offsets: (K, 2) px, the mean position of each kind relative
    to kind 0 in the train split. The first kind that was found leads (0 as a rule): each of its points is an instance,
    or the best alone where there is a single one. Best-scored first, a leader takes of every other kind the unused
    point nearest to where the offset expects it (the best-scored one, if single); where none is left, the expected
    place, with score 0. An instance's score is the mean of its points'.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores, kinds = points[order], scores[order], kinds[order]
    if not len(points):
        return Prediction(np.zeros((0, len(offsets), 2)), np.zeros(0))
    lead = int(kinds.min())
    leaders = np.flatnonzero(kinds == lead)[: 1 if single else None]
    unused = np.ones(len(points), dtype=bool)
    found, sure = np.zeros((len(leaders), len(offsets), 2)), np.zeros((len(leaders), len(offsets)))
    for i, leader in enumerate(leaders):
        expected = points[leader] + offsets - offsets[lead]
        for kind in range(len(offsets)):
            left = np.flatnonzero((kinds == kind) & unused)
            if kind == lead:
                chosen = leader
            elif not len(left):
                found[i, kind] = expected[kind]
                continue
            else:
                away = np.linalg.norm(points[left] - expected[kind], axis=1)
                chosen = left[0 if single else int(away.argmin())]
            found[i, kind], sure[i, kind], unused[chosen] = points[chosen], scores[chosen], False
    best = np.argsort(-sure.mean(axis=1), kind="stable")
    return Prediction(found[best], sure.mean(axis=1)[best])


class PointFinder(DetectionDetector):
    """Template: a box detector whose boxes are centred on points. A subclass gives `network`.

    size: the input's shorter side in px, without the margin. side: of the boxes, in px of the image. intensity: see
    `detectors.intensity`. threshold: see `DetectionDetector`.
    """

    first_label: ClassVar[int] = 1
    dilations: ClassVar[tuple[int, ...]] = (1, 2, 4, 2)

    def __init__(
        self, size: int = 112, side: float = 8.0, intensity: Intensity = "both", threshold: float = 0.3
    ) -> None:
        if side <= 0:
            raise ValueError(f"side={side}: a box has a side above 0 px")
        super().__init__("small", size, intensity, pretrained=False, margin=math.ceil(side / 2), threshold=threshold)
        self.side = side

    def build(self, geometry: Geometry) -> nn.Module:
        model = super().build(geometry)
        model.register_buffer("offsets", torch.zeros(geometry.keypoints, 2, dtype=torch.float64))
        return model

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        super().prepare(model, train, seed)
        seen = train.annotations.visible > 0
        paired = (seen & seen[:, :1])[..., None]
        away = np.where(paired, train.annotations.keypoints - train.annotations.keypoints[:, :1], 0.0)
        mean = away.sum(axis=0) / np.maximum(paired.sum(axis=0), 1)
        model.offsets.copy_(torch.as_tensor(mean))  # type: ignore[operator,union-attr]

    def anchors(self, frame: Frame) -> AnchorGenerator:
        """One square a cell, of the boxes' own size."""
        return AnchorGenerator(((round(self.side * frame.scale),),), ((1.0,),))

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        found = []
        for row in rows(batch):
            instance, kind = torch.nonzero(row["visible"], as_tuple=True)
            centres = frame.points(row["keypoints"][instance, kind])
            half = self.side * frame.scale / 2
            found.append(
                {"boxes": torch.cat([centres - half, centres + half], dim=1), "labels": kind + self.first_label}
            )
        return found

    def instances(self, model: nn.Module, found: Target, frame: Frame) -> Prediction:
        boxes = found["boxes"].double()
        centres = frame.back((boxes[:, :2] + boxes[:, 2:]) / 2).cpu().numpy()
        scores, kinds = found["scores"].double().cpu().numpy(), found["labels"].cpu().numpy() - self.first_label
        offsets: FloatArray = model.offsets.cpu().numpy()  # type: ignore[union-attr,operator]
        kept = scores >= (0 if model.single_instance else self.threshold)
        return group(centres[kept], scores[kept], kinds[kept], offsets, bool(model.single_instance))


def two_stage(backbone: nn.Module, anchors: AnchorGenerator, keypoints: int) -> nn.Module:
    """torchvision's Faster R-CNN with few proposals and a narrow box head."""
    inputs = int(backbone.out_channels)  # type: ignore[arg-type]
    return FasterRCNN(  # type: ignore[no-any-return]
        backbone,
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_train=100,
        rpn_post_nms_top_n_train=16,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=16,
        rpn_batch_size_per_image=32,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 1),
        box_head=TwoMLPHead(inputs * 49, 128),
        box_predictor=FastRCNNPredictor(128, keypoints + 1),
        box_score_thresh=0.0,
        box_batch_size_per_image=12,
        box_positive_fraction=0.5,
        box_detections_per_img=50,
    )


class FasterRCNNPoints(PointFinder):
    """Faster R-CNN: proposals first, then a box head; the box's centre answers."""

    card: ClassVar[Card] = Card(
        reference="Ren 2015; torchvision/models/detection/faster_rcnn.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        return two_stage(backbone, self.anchors(frame), keypoints)


class RetinaNetPoints(PointFinder):
    """RetinaNet: one stage, focal loss; the box's centre answers. Its towers are normalised, as torchvision's v2 is."""

    first_label: ClassVar[int] = 0
    card: ClassVar[Card] = Card(
        reference="Lin 2017, Focal Loss for Dense Object Detection; torchvision/models/detection/retinanet.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        inputs = int(backbone.out_channels)  # type: ignore[arg-type]
        return RetinaNet(  # type: ignore[no-any-return]
            backbone,
            num_classes=keypoints,
            anchor_generator=self.anchors(frame),
            head=RetinaNetHead(inputs, 1, keypoints, norm_layer=partial(nn.GroupNorm, 16)),
            score_thresh=0.0,
            topk_candidates=50,
            detections_per_img=50,
        )


class SSDPoints(PointFinder):
    """SSD: one stage, one convolution from the features to boxes; the box's centre answers."""

    card: ClassVar[Card] = Card(
        reference="Liu 2016; torchvision/models/detection/ssd.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        return SSD(  # type: ignore[no-any-return]
            backbone,
            self.anchors(frame),  # in px, where SSD's own default boxes grow with the canvas
            size=(self.size, self.size),
            num_classes=keypoints + 1,
            head=SSDHead([int(backbone.out_channels)], [1], keypoints + 1),  # type: ignore[arg-type]
            score_thresh=0.0,
            topk_candidates=50,
            detections_per_img=50,
        )


class FCOSPoints(PointFinder):
    """FCOS: one stage, no anchors, each cell says how far the box's sides are; the box's centre answers."""

    width: ClassVar[int] = 32  # its group normalisation takes multiples of 32 channels
    first_label: ClassVar[int] = 0
    card: ClassVar[Card] = Card(
        reference="Tian 2019; torchvision/models/detection/fcos.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def network(self, backbone: nn.Module, frame: Frame, keypoints: int) -> nn.Module:
        return FCOS(  # type: ignore[no-any-return]
            backbone,
            num_classes=keypoints,
            anchor_generator=AnchorGenerator(((4,),), ((1.0,),)),
            score_thresh=0.0,
            topk_candidates=50,
            detections_per_img=50,
        )
