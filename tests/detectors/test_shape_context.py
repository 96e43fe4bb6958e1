"""Shape contexts: bins against counting, weights written by hand that are a rule, and what is built in and what is not."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from detectors.layers.pixels import Geometry
from detectors.shape_context import Context, ShapeContext, ShapeContextMaps, bins_of

OCTAVES = torch.tensor([1, 2, 4])
maps = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.floats(0, 1, width=16)
)


def bin_by_loops(offset: int) -> int:
    """Of octaves 1, 2 to 3, and 4 on, in either direction."""
    distance = abs(offset)
    octave = 0 if distance == 0 else 1 if distance == 1 else 2 if distance <= 3 else 3
    return 3 + (octave if offset > 0 else -octave)


def test_convention_later_bins_are_those_of_larger_coordinates():
    bins = bins_of(9, OCTAVES)
    assert bins.shape == (7, 9, 9)
    for there in range(9):
        for here in range(9):
            assert bins[:, there, here].argmax() == bin_by_loops(there - here)
    assert bool((bins.sum(0) == 1).all())


@given(maps)
@settings(max_examples=25, deadline=None)
def test_context_says_what_lies_in_each_bin(image: np.ndarray) -> None:
    height, width = image.shape
    sums = np.zeros((7, 7, height, width))
    for y in range(height):
        for x in range(width):
            for v in range(height):
                for u in range(width):
                    sums[bin_by_loops(v - y), bin_by_loops(u - x), y, x] += image[v, u]
    got = Context(OCTAVES)(torch.from_numpy(image)[None, None])[0].numpy()
    np.testing.assert_allclose(got.reshape(7, 7, height, width), 1 - np.exp(-2 * sums), atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
def test_weights_can_say_first_pixel_of_the_first_row_or_last_of_the_last(last):
    net = ShapeContextMaps(1, 1, 0, 1, OCTAVES)
    weight = torch.zeros(7, 7)
    weight[:3] = weight[3, :3] = -1  # ink in rows above, and before it in its own row, counts against a pixel
    weight[3, 3] = 1
    with torch.no_grad():
        net.threshold.fill_(-6)
        net.hidden.weight.copy_((weight.flip(0, 1) if last else weight).view(1, -1, 1, 1))
    random = np.random.default_rng(0)
    for _ in range(20):
        image = random.integers(0, 256, (11, 13)) * (random.random((11, 13)) < 0.1)
        image[5, 6] = 1  # as faint as ink can be
        at = int(net(torch.from_numpy(image).float()[None, None] / 255).argmax())
        ink = np.flatnonzero(image)
        assert at == (ink.max() if last else ink.min())


def test_black_is_no_ink_whatever_is_learned():
    torch.manual_seed(0)
    net = ShapeContextMaps(1, 2, 4, 2, OCTAVES)
    black = net(torch.zeros(1, 1, 12, 15)).detach()
    torch.testing.assert_close(black, black.amin((2, 3), keepdim=True).expand_as(black))


def test_scores_move_with_the_ink_and_canvas():
    torch.manual_seed(1)
    net = ShapeContextMaps(1, 1, 4, 1, OCTAVES)
    digit = torch.rand(1, 1, 8, 6)
    small, large = torch.zeros(1, 1, 10, 9), torch.zeros(1, 1, 24, 31)
    small[..., 1:9, 2:8] = large[..., 13:21, 20:26] = digit
    torch.testing.assert_close(net(small)[..., 1:9, 2:8], net(large)[..., 13:21, 20:26])


def test_every_parameter_is_learned_once_and_gets_a_gradient():
    detector = ShapeContext(inks=2)
    torch.manual_seed(0)
    net = cast(ShapeContextMaps, detector.build(Geometry(2, 9, 11, 1, (1,))))
    grouped = [id(p) for group in detector.groups(net) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())
    detector.maps(net, torch.rand(2, 1, 9, 11)).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters())


def test_without_octaves_each_offset_has_a_weight():
    net = cast(ShapeContextMaps, ShapeContext(octaves=0, hidden=0).build(Geometry(1, 6, 9, 1, (1,))))
    assert net.hidden.weight.shape == (1, 17 * 17, 1, 1)


@pytest.mark.parametrize("wrong", [{"hidden": -1}, {"octaves": -1}, {"inks": 0}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers"):
        ShapeContext(**wrong)


@pytest.mark.fits
def test_it_learns_corners_of_rectangles():
    data = rectangles(60, seed=0)
    errors = []
    for budget in (Budget(epochs=0), Budget(steps=60)):
        detector = ShapeContext()
        detector.fit(data.take(range(40)), data.take(range(40, 60)), seed=0, budget=budget)
        answers = np.stack([p.keypoints[0] for p in detector.predict(data.images)])
        errors.append(np.linalg.norm(answers - data.points, axis=-1).mean())
    assert errors[1] < 0.7 * errors[0]
