"""Images larger than digits: read in cells, half pixels exact, and nothing of it where images are small."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.framed import Framed
from benchmark.registry import resolve
from benchmark.structures import LabeledImages, Prediction
from detectors.heatmap import Heatmap
from detectors.layers.backbones import StridedUNet, UNet
from detectors.layers.cells import FINE, reading, shown_size, to_cells, to_pixels
from detectors.layers.pixels import Geometry
from detectors.simcc import SimCC

coordinates = st.floats(-10, 700)


@given(coordinates, coordinates, st.sampled_from([1, 2, 4, 8]))
def test_cells_and_pixels_undo_each_other(x: float, y: float, stride: int) -> None:
    points = torch.tensor([[[x, y]]], dtype=torch.float64)
    torch.testing.assert_close(to_pixels(to_cells(points, stride), stride), points, rtol=0, atol=1e-9)
    assert stride > 1 or torch.equal(to_cells(points, stride), points)


def test_convention_a_cells_centre_is_the_mean_of_its_pixels() -> None:
    for cell in range(3):
        own = torch.tensor([[4.0 * cell + i, 0.0] for i in range(4)])
        assert float(to_cells(own, 4).mean(dim=0)[0]) == pytest.approx(cell)


def test_small_images_are_read_as_they_always_were() -> None:
    detector = Heatmap()
    for size in ((28, 28), (80, 80), (72, FINE)):
        assert detector.shown_size(size, 0) == size
        assert isinstance(detector.build(Geometry(1, *size, 1)), UNet)
    assert isinstance(detector.build(Geometry(1, 72, FINE + 1, 1)), StridedUNet)
    assert reading("conv", 480, 640) == "conv"


def test_photographs_are_shown_in_whole_cells_and_no_larger_than_asked_for() -> None:
    assert Heatmap().shown_size((480, 640), 0) == (192, 256)
    assert Heatmap().shown_size((406, 396), 0) == (256, 248)  # 249.7 px are 62 cells
    assert Heatmap().shown_size((480, 640), 96) == (72, 96)
    assert Heatmap().shown_size((200, 231), 0) == (200, 232)  # maps end where images end
    assert Heatmap(backbone="conv").shown_size((480, 640), 0) == (72, 96)
    assert shown_size((1, 640), 256) == (4, 256)


@pytest.mark.parametrize(
    ("extent", "wanted"),
    [
        (300.0, 0),
        (90.0, 0),  # 36 px of 256
        (60.0, 341),  # 32 px of 341
        (20.0, 512),  # no more than that
    ],
)
def test_small_instances_are_shown_larger(extent: float, wanted: int) -> None:
    annotations = rectangles(3, height=480, width=640, k=2).annotations
    keypoints = np.tile([[[100.0, 90.0], [100.0 + extent, 80.0]]], (3, 1, 1))
    assert Heatmap().wanted_side(replace(annotations, keypoints=keypoints)) == wanted
    one = replace(annotations, keypoints=keypoints, visible=np.tile([[2, 0]], (3, 1)))
    assert Heatmap().wanted_side(one) == 0  # of a single keypoint there is no extent
    digits = rectangles(3, k=2).annotations
    assert Heatmap().wanted_side(digits) == 0


@pytest.mark.parametrize("size", [(64, 96), (33, 50), (7, 5)])
def test_a_strided_backbone_has_a_cell_for_each_four_pixels_of_any_size(size: tuple[int, int]) -> None:
    maps = StridedUNet(1, 3, 4).eval()(torch.zeros(2, 1, *size))
    assert maps.shape == (2, 3, -(-size[0] // 4), -(-size[1] // 4))


@pytest.mark.parametrize(("height", "width", "cells"), [(28, 28, 784), (96, 128, 768), (150, 97, 950)])
def test_simcc_has_bins_of_pixels_whatever_its_backbone_reads(height: int, width: int, cells: int) -> None:
    detector, geometry = SimCC(maps_per_keypoint=1, width=2), Geometry(2, height, width, 1, (1,))
    network = detector.build(geometry).eval()
    assert network.columns.in_features == network.rows.in_features == cells
    columns, rows = network(torch.zeros(3, 2, height, width))
    assert (columns.shape, rows.shape) == ((3, 2, 3 * width), (3, 2, 3 * height))
    points = torch.tensor([[[5.0, 7.0]]])
    stride = 1 if cells == height * width else 4
    codec = detector.codec(stride)
    spread = codec.encode(points[..., 0], columns[:1, :1])
    at = codec.pixels(torch.arange(3.0 * width))
    assert torch.isclose((spread * at).sum(), torch.tensor(5.0), atol=0.05)
    assert torch.isclose((spread * (at - 5) ** 2).sum().sqrt(), torch.tensor(0.5 * stride), rtol=0.05)  # half a cell


class Brightness(StridedUNet):
    """Cells that say how bright they are: a detector that has nothing to learn."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = F.pad(images[:, :1], (0, -width % 4, 0, -height % 4))
        return (F.avg_pool2d(padded, 4) + 1e-6).log() + 0 * self.nothing


class Spot(Heatmap):
    """Answers with the mean of the light."""

    def __init__(self) -> None:
        super().__init__(decode="integral")

    def build(self, geometry: Geometry) -> nn.Module:
        return Brightness()


@dataclass(frozen=True)
class _Spots:
    data: LabeledImages
    points: np.ndarray


def spots(size: tuple[int, int], seed: int) -> _Spots:
    """Images (height, width) with a round light about a point, in place of those of `rectangles`."""
    count, (height, width) = 4, size
    data = rectangles(count, height=height, width=width)
    points = np.random.default_rng(seed).uniform([0.3 * width, 0.3 * height], [0.7 * width, 0.7 * height], (count, 2))
    rows, columns = np.mgrid[:height, :width]
    away = [((columns - x) ** 2 + (rows - y) ** 2) / (2 * (0.05 * width) ** 2) for x, y in points]
    images = np.stack([np.round(255 * np.exp(-d)).astype(np.uint8) for d in away])
    return _Spots(LabeledImages(images, data.annotations), points)


@pytest.mark.parametrize("size", [(480, 640), (333, 500), (406, 396)])
def test_a_spot_on_a_photograph_is_found_where_it_is(size: tuple[int, int]) -> None:
    """Resized, letterboxed, read in cells and mapped back: half a pixel lost anywhere would be 1 px and more here."""
    shown = spots(size, 1)
    framed = Framed(Spot())
    framed.fit(shown.data, shown.data, seed=0, budget=Budget(epochs=0))
    assert "images are shown at" in framed.notes[0]
    answers = framed.predict(shown.data.images)
    found = np.stack([one.keypoints[0, 0] for one in answers if isinstance(one, Prediction)])
    assert np.abs(found - shown.points).max() < 0.1


@pytest.mark.fits
def test_it_learns_in_cells() -> None:
    """At some seed, on images it did not learn from, it is much better than the mean of the training points."""
    train, val = rectangles(32, height=40, width=100, seed=1), rectangles(8, height=40, width=100, seed=2)
    constant = np.linalg.norm(val.points - train.points.mean(axis=0), axis=-1).mean()
    errors = []
    for seed in range(3):
        rows = resolve("heatmap:width=6").build().fit(train, val, seed=seed, budget=Budget(steps=50))
        errors.append(min(row["val_px"] for row in rows))
        if errors[-1] < 0.5 * constant:
            return
    raise AssertionError(f"no seed learned: {errors} px, and the mean of the training points is {constant} px off")
