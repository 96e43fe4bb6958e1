"""Box detectors as point finders: a keypoint becomes a box centred on it, and the centre of a detected box answers.

Faster R-CNN (Ren 2015), RetinaNet (Lin 2017), SSD (Liu 2016) and FCOS (Tian 2019) as torchvision builds them, on the
small backbone of `detectors.layers.detection` and a single feature map of stride 4, so that a cell is one pixel of a 28
px image enlarged to 112. torchvision clips boxes to the image, which would shift the centre of a point near the edge:
half a box of black is put around the image first.

A class of boxes is a keypoint of a category: K keypoints and C categories are K C classes, the K of the first category
first. `group_points` makes instances of the points of each category.
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
from detectors.detection import DetectionDetector
from detectors.layers.coordinates import Frame
from detectors.layers.detection import Target
from detectors.layers.intensity import Intensity
from detectors.layers.pixels import Geometry
from detectors.training import Batch


def group_points(
    points: FloatArray, scores: FloatArray, kinds: IntArray, offsets: FloatArray, single: bool
) -> Prediction:
    """Make instances of K keypoints from D detected points.

    The first keypoint that was detected leads (0 as a rule): each of its points is an instance, or the best alone where
    there is a single one. Best-scored first, a leader takes of every other keypoint the unused point nearest to where
    the offset expects it (the best-scored one, if single); where none is left, the expected place, with score 0.

    Args:
        points: (D, 2) px.
        scores: (D,).
        kinds: (D,) which keypoint each is, in 0..K-1.
        offsets: (K, 2) px, the mean position of each keypoint relative to keypoint 0 in the train split.
        single: Whether there is one instance at most.

    Returns:
        The instances, best first; the score of one is the mean of its points'.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores, kinds = points[order], scores[order], kinds[order]
    if not len(points):
        return Prediction(np.zeros((0, len(offsets), 2)), np.zeros(0))
    lead = int(kinds.min())
    leaders = np.flatnonzero(kinds == lead)[: 1 if single else None]
    unused = np.ones(len(points), dtype=bool)
    keypoints = np.zeros((len(leaders), len(offsets), 2))
    confidences = np.zeros((len(leaders), len(offsets)))
    for i, leader in enumerate(leaders):
        expected = points[leader] + offsets - offsets[lead]
        for kind in range(len(offsets)):
            left = np.flatnonzero((kinds == kind) & unused)
            if kind == lead:
                chosen = leader
            elif not len(left):
                keypoints[i, kind] = expected[kind]
                continue
            else:
                distances = np.linalg.norm(points[left] - expected[kind], axis=1)
                chosen = left[0 if single else int(distances.argmin())]
            keypoints[i, kind], confidences[i, kind], unused[chosen] = points[chosen], scores[chosen], False
    best = np.argsort(-confidences.mean(axis=1), kind="stable")
    return Prediction(keypoints[best], confidences.mean(axis=1)[best])


class PointFinder(DetectionDetector):
    """Template of a box detector whose boxes are centred on points. A subclass gives `network`.

    Args:
        size: The input's shorter side in px, without the margin.
        side: Of the boxes, in px of the image.
        intensity: What the network is shown; see `detectors.layers.intensity`.
        threshold: The least score of a box, where train images hold other than one instance.

    Attributes:
        first_label: torchvision's number of the first class: 1 where 0 is the background.
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
        """The network, with the mean offsets between keypoints of each category as a buffer (C, K, 2) float64, px."""
        model = super().build(geometry)
        shape = (len(geometry.category_ids), geometry.keypoints, 2)
        model.register_buffer("offsets", torch.zeros(shape, dtype=torch.float64))
        return model

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        """Take the mean offset of each keypoint from keypoint 0 over the instances where both are labelled."""
        super().prepare(model, train, seed)
        annotations = train.annotations
        for i, category in enumerate(self.geometry.category_ids):
            rows = annotations.category_ids == category
            keypoints, labelled = annotations.keypoints[rows], annotations.visible[rows] > 0
            paired = (labelled & labelled[:, :1])[..., None]
            offsets = np.where(paired, keypoints - keypoints[:, :1], 0.0)
            mean = offsets.sum(axis=0) / np.maximum(paired.sum(axis=0), 1)
            model.offsets[i].copy_(torch.as_tensor(mean))  # type: ignore[operator,union-attr,index]

    def anchors(self, frame: Frame) -> AnchorGenerator:
        """One square a cell, of the boxes' own size."""
        return AnchorGenerator(((round(self.side * frame.scale),),), ((1.0,),))

    def targets(self, batch: Batch, frame: Frame) -> list[Target]:
        """A box about each visible keypoint, labelled by keypoint and category."""
        targets = []
        for row in self.instance_rows(batch):
            instance, kind = torch.nonzero(row["visible"], as_tuple=True)
            centres = frame.points(row["keypoints"][instance, kind])
            half = self.side * frame.scale / 2
            labels = kind + self.geometry.keypoints * row["category"][instance] + self.first_label
            targets.append({"boxes": torch.cat([centres - half, centres + half], dim=1), "labels": labels})
        return targets

    def instances(self, model: nn.Module, detections: Target, frame: Frame) -> Prediction:
        """The centres of the boxes, grouped within each category; the instances of all categories, best first."""
        boxes = detections["boxes"].double()
        centres = frame.to_pixels((boxes[:, :2] + boxes[:, 2:]) / 2).cpu().numpy()
        scores = detections["scores"].double().cpu().numpy()
        categories, kinds = np.divmod(detections["labels"].cpu().numpy() - self.first_label, self.geometry.keypoints)
        offsets: FloatArray = model.offsets.cpu().numpy()  # type: ignore[union-attr,operator]
        kept = scores >= (0 if model.single_instance else self.threshold)
        grouped = []
        for i in range(len(offsets)):
            of = kept & (categories == i)
            grouped.append(group_points(centres[of], scores[of], kinds[of], offsets[i], bool(model.single_instance)))
        confidence = np.concatenate([one.scores for one in grouped])
        classes = np.repeat(np.arange(len(grouped)), [len(one.scores) for one in grouped])
        best = np.argsort(-confidence, kind="stable")
        keypoints = np.concatenate([one.keypoints for one in grouped])
        return Prediction(keypoints[best], confidence[best], self.category_ids(classes[best]))


def class_count(geometry: Geometry) -> int:
    """How many classes of boxes there are, without the background: a keypoint of a category is one."""
    return geometry.keypoints * len(geometry.category_ids)


def two_stage(backbone: nn.Module, anchors: AnchorGenerator, classes: int) -> nn.Module:
    """The Faster R-CNN of torchvision, with few proposals and a narrow box head.

    Args:
        backbone: With one feature map and ``out_channels``.
        anchors: Of the region proposal network.
        classes: Without the background.
    """
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
        box_predictor=FastRCNNPredictor(128, classes + 1),
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

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """The Faster R-CNN of `two_stage`."""
        return two_stage(backbone, self.anchors(frame), class_count(geometry))


class RetinaNetPoints(PointFinder):
    """RetinaNet: one stage, focal loss; the box's centre answers. Its towers are normalised, as torchvision's v2 is."""

    first_label: ClassVar[int] = 0
    card: ClassVar[Card] = Card(
        reference="Lin 2017, Focal Loss for Dense Object Detection; torchvision/models/detection/retinanet.py",
        multi_instance=True,
        has_confidence=True,
        ablation={"intensity": "raw"},
    )

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """The RetinaNet of torchvision, with one anchor a cell and group normalisation."""
        inputs, classes = int(backbone.out_channels), class_count(geometry)  # type: ignore[arg-type]
        return RetinaNet(  # type: ignore[no-any-return]
            backbone,
            num_classes=classes,
            anchor_generator=self.anchors(frame),
            head=RetinaNetHead(inputs, 1, classes, norm_layer=partial(nn.GroupNorm, 16)),
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

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """The SSD of torchvision, with one anchor a cell, in px, where SSD's own default boxes grow with the canvas."""
        inputs, classes = int(backbone.out_channels), class_count(geometry) + 1  # type: ignore[arg-type]
        return SSD(  # type: ignore[no-any-return]
            backbone,
            self.anchors(frame),
            size=(self.size, self.size),
            num_classes=classes,
            head=SSDHead([inputs], [1], classes),
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

    def network(self, backbone: nn.Module, frame: Frame, geometry: Geometry) -> nn.Module:
        """The FCOS of torchvision; its "anchors" of 4 px say where the cells are."""
        return FCOS(  # type: ignore[no-any-return]
            backbone,
            num_classes=class_count(geometry),
            anchor_generator=AnchorGenerator(((4,),), ((1.0,),)),
            score_thresh=0.0,
            topk_candidates=50,
            detections_per_img=50,
        )
