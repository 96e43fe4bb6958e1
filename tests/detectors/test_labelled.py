"""What is not labelled is not learned from: every network's loss, whatever stands where a label is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.conformance import rectangles, unlabelled
from benchmark.detector import Budget
from benchmark.metrics.pixels import distance
from benchmark.registry import entries, resolve
from detectors.layers.labelled import select
from detectors.layers.pixels import Geometry
from detectors.training import Batch, TorchDetector, affordable

NETWORKS = sorted(
    name
    for name, offers in entries().items()
    if issubclass(offers[0].load(), TorchDetector) and not offers[0].load().card.multi_instance
)
TRAIN = rectangles(4, k=2)


def loss_of(detector: Any, points: Tensor, labelled: Tensor | None) -> Tensor:
    """The loss in eval mode of four images with these points."""
    images = torch.from_numpy(np.asarray(TRAIN.images))[:, None].float() / 255
    if getattr(detector, "frozen", False) is True:
        images = detector.model.backbone(detector.model.network_input(images))
    loss: Tensor = detector.loss(detector.model, Batch(images, points, np.arange(4), TRAIN.annotations, labelled))
    return loss


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loss_does_not_depend_on_what_is_not_labelled(name: str) -> None:
    detector = resolve(name).build()
    assert isinstance(detector, TorchDetector)
    torch.manual_seed(0)
    detector.geometry = Geometry.of(TRAIN)
    detector.model = detector.build(detector.geometry).eval()
    points = torch.from_numpy(TRAIN.points).float()
    labelled = torch.tensor([[True, True], [True, False], [False, True], [False, True]])
    losses = []
    for filler in (0.0, 20.0):
        filled = torch.where(labelled[..., None], points, filler)
        losses.append(loss_of(detector, filled, labelled))
    assert torch.equal(losses[0], losses[1])
    everywhere = torch.ones_like(labelled)
    assert loss_of(detector, points, everywhere).item() == pytest.approx(
        loss_of(detector, points, None).item(), rel=1e-5
    )
    assert losses[0].item() != pytest.approx(loss_of(detector, points, None).item(), rel=1e-7)


def test_select_takes_the_labelled_and_keeps_the_rest_of_the_shape() -> None:
    values = torch.arange(24.0).view(2, 3, 4)
    assert select(values, None) is values
    labelled = torch.tensor([[True, False, False], [False, True, True]])
    assert select(values, labelled).tolist() == [[list(range(4))], [list(range(16, 20))], [list(range(20, 24))]]


@pytest.mark.parametrize("name", ["linear:features=pts", "boosting:rounds=20", "mean", "rule"])
def test_a_classic_detector_learns_each_keypoint_from_the_images_that_have_it(name: str) -> None:
    """Keypoint 0 is known in one half of the images and keypoint 1 in the other: each as if the others were not there."""
    train, test = rectangles(60, k=2), rectangles(20, k=2, seed=9)
    holed = unlabelled(train, [(i, int(i >= 30)) for i in range(60)])
    detector = resolve(name).framed()
    detector.fit(holed, holed, seed=0, budget=Budget())
    answers = np.asarray(detector.predict(test.images))
    for keypoint, rows in ((0, range(30, 60)), (1, range(30))):
        alone = resolve(name).framed()
        part = train.take(list(rows))
        alone.fit(part, part, seed=0, budget=Budget())
        np.testing.assert_allclose(answers[:, keypoint], np.asarray(alone.predict(test.images))[:, keypoint], atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(name, marks=pytest.mark.fits) for name in ("heatmap:width=8", "extrema")), "cosfire", "corners"],
)
def test_holes_cost_little(name: str) -> None:
    """A tenth of the keypoints is missing; the detector is still far better than the mean."""
    train, test = rectangles(120, k=2), rectangles(30, k=2, seed=9)
    random = np.random.default_rng(0)
    holed = unlabelled(train, [(int(i), int(random.integers(2))) for i in random.permutation(120)[:24]])
    detector = resolve(name).framed()
    detector.fit(holed, unlabelled(rectangles(20, k=2, seed=5), [(0, 0)]), seed=0, budget=Budget(epochs=12))
    answers = detector.predict(test.images)
    points = answers if isinstance(answers, np.ndarray) else np.stack([one.keypoints[0] for one in answers])
    spread = distance(test.points - np.nanmean(train.points, axis=0)).mean()
    assert distance(points - test.points).mean() < spread / 2


def test_a_batch_is_smaller_where_images_are_large() -> None:
    assert [affordable(32, side * side) for side in (28, 128, 256, 512, 4096)] == [32, 32, 8, 2, 1]
