"""Heatmaps: conventions of targets and decodings, and detectors that learn, repeat, and come back from their state."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from benchmark.structures import Prediction, UserError
from detectors.heatmap import Heatmap
from detectors.layers import codecs
from detectors.layers.backbones import ConvMaps, UNet
from detectors.layers.coordinates import from_unit, to_unit
from detectors.layers.intensity import channels, show
from detectors.layers.pixels import Geometry
from detectors.soft_argmax import Gumbel, jensen_shannon
from detectors.training import Batch

inside = st.tuples(st.floats(4, 18), st.floats(4, 14))
NAMES = ("heatmap", "heatmap-onehot", "heatmap-dark", "heatmap-conv", "integral", "dsnt", "gumbel", "simcc")


def points(*pairs: tuple[float, float]) -> torch.Tensor:
    """(N, 1, 2) float64."""
    return torch.tensor(pairs, dtype=torch.float64)[:, None]


def test_convention_a_cell_is_a_pixel_centre():
    drawn = torch.zeros(1, 1, 19, 23, dtype=torch.float64)
    drawn[0, 0, 5, 7] = 1  # row 5, column 7
    for decoding in ("argmax", "local", "quarter", "dark", "integral"):
        assert codecs.decode_heatmap(drawn, decoding).tolist() == [[[7.0, 5.0]]], decoding
    assert torch.equal(codecs.onehot(points((7, 5)), 19, 23), drawn)
    assert torch.equal(codecs.bilinear(points((7, 5)), 19, 23), drawn)


def test_convention_unit_coordinates_are_cell_centred():
    size = torch.tensor([28.0, 14.0])
    assert to_unit(torch.tensor([0.0, 0.0]), size).tolist() == pytest.approx([1 / 28 - 1, 1 / 14 - 1])
    assert to_unit(torch.tensor([27.5, 13.5]), size).tolist() == pytest.approx([1, 1])  # the outer edge
    assert from_unit(to_unit(torch.tensor([3.25, 9.0]), size), size).tolist() == pytest.approx([3.25, 9.0], abs=1e-5)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_convention_bins_of_simcc_are_cell_centred(split):
    bins = torch.arange(28 * split)
    codec = codecs.SimCCCodec(split)
    means = codec.pixels(bins.double()).view(28, split).mean(dim=1)
    torch.testing.assert_close(means, torch.arange(28, dtype=torch.float64))  # a pixel's bins surround its centre
    torch.testing.assert_close(codec.bins(codec.pixels(bins.double())), bins.double())


@given(inside)
def test_bilinear_targets_have_their_mean_at_the_point(point):
    drawn = codecs.bilinear(points(point), 19, 23)
    assert drawn.sum() == pytest.approx(1)
    np.testing.assert_allclose(codecs.soft_argmax(drawn)[0, 0], point, atol=1e-9)


@given(inside)
def test_local_decoding_recovers_a_bilinear_target(point):
    np.testing.assert_allclose(
        codecs.decode_heatmap(codecs.bilinear(points(point), 19, 23), "local")[0, 0], point, atol=1e-9
    )


@given(inside, st.floats(0.8, 1.5))
def test_dark_recovers_a_gaussian(point, sigma):
    found = codecs.decode_heatmap(codecs.gaussian(points(point), 19, 23, sigma), "dark", sigma=sigma)[0, 0]
    np.testing.assert_allclose(found, point, atol=0.02)


@given(inside)
def test_quarter_moves_towards_the_point_and_never_doubles_the_error(point):
    drawn = codecs.gaussian(points(point), 19, 23, 1.0)
    whole, moved = (
        codecs.decode_heatmap(drawn, "argmax")[0, 0].numpy(),
        codecs.decode_heatmap(drawn, "quarter")[0, 0].numpy(),
    )
    assert set(np.abs(moved - whole)) <= {0.0, 0.25}
    off = np.array(point) - whole
    assert (np.abs(off - (moved - whole))[np.abs(off) > 0.25] <= 0.25).all()


def test_decodings_at_the_edge_stay_on_the_image():
    for corner in ((0.0, 0.0), (22.0, 18.0), (22.0, 0.0)):
        drawn = codecs.gaussian(points(corner), 19, 23, 1.0)
        for decoding in ("argmax", "quarter", "dark"):
            assert codecs.decode_heatmap(drawn, decoding)[0, 0].tolist() == list(corner), decoding


def test_targets_off_the_image_count_as_on_its_edge():
    drawn = codecs.bilinear(points((-3.0, 30.0)), 19, 23)
    assert drawn.sum() == 1
    assert drawn[0, 0, 18, 0] == 1


def test_jensen_shannon_is_0_for_equal_and_log_2_for_disjoint_maps():
    a, b = codecs.onehot(points((2, 3)), 9, 9), codecs.onehot(points((5, 3)), 9, 9)
    assert float(jensen_shannon(a, a)) == pytest.approx(0, abs=1e-12)
    assert float(jensen_shannon(a, b)) == pytest.approx(math.log(2))


def test_log_intensity_lifts_the_faintest_ink_and_is_no_mask():
    grey = torch.tensor([0, 1, 2, 255]).view(1, 1, 1, 4) / 255
    assert show(grey, "log").flatten().tolist() == pytest.approx([0, 1 / 8, math.log2(3) / 8, 1])
    assert show(grey, "both").shape[1] == channels(1, "both") == 2


@pytest.mark.parametrize("backbone", [UNet(1, 2, 4), ConvMaps(1, 2, 4)])
def test_map_backbones_keep_any_size(backbone):
    assert backbone.eval()(torch.zeros(2, 1, 23, 30)).shape == (2, 2, 23, 30)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 3), st.integers(0, 3))
def test_a_conv_backbone_moves_with_the_image(dx, dy):
    torch.manual_seed(0)
    backbone = ConvMaps(1, 1, 4).double().eval()
    image = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    image[..., 20:24, 20:23] = 1
    moved = torch.roll(image, (dy, dx), dims=(2, 3))
    response, moved_response = backbone(image) - backbone(image * 0), backbone(moved) - backbone(image * 0)
    torch.testing.assert_close(torch.roll(response, (dy, dx), dims=(2, 3)), moved_response)


@pytest.fixture(scope="module")
def data():
    return rectangles(48, height=20, width=20, seed=1), rectangles(8, height=20, width=20, seed=2)


def points_of(answers):
    return np.concatenate([p.keypoints for p in answers]) if isinstance(answers[0], Prediction) else answers


@pytest.mark.fits
@pytest.mark.parametrize("name", NAMES)
def test_repeats_and_comes_back(name, data):
    train, val = data
    detector, again, copy = (resolve(f"{name}:width=8").build() for _ in range(3))
    for one in (detector, again):
        one.fit(train, val, seed=3, budget=Budget(epochs=2))
    answers = points_of(detector.predict(val.images))
    assert answers.shape == (8, 1, 2)
    assert np.isfinite(answers).all()
    np.testing.assert_array_equal(answers, points_of(again.predict(val.images)))
    copy.restore(detector.state())
    np.testing.assert_array_equal(answers, points_of(copy.predict(val.images)))


@pytest.mark.fits
@pytest.mark.parametrize("name", NAMES)
def test_learns(name, data):
    """At some seed, on images it did not learn from, it is much better than the mean of the training points."""
    train, val = data
    constant = np.linalg.norm(val.points - train.points.mean(axis=0), axis=-1).mean()
    errors = []
    for seed in range(3):
        rows = resolve(f"{name}:width=8").build().fit(train, val, seed=seed, budget=Budget(epochs=20))
        errors.append(min(row["val_px"] for row in rows))
        if errors[-1] < 0.7 * constant:
            return
    raise AssertionError(f"no seed learned: {errors} px, and the mean of the training points is {constant} px off")


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_every_weight(name, data):
    train, _ = data
    torch.manual_seed(0)
    detector = resolve(name).build()
    model = detector.build(Geometry.of(train)).train()
    chosen = np.arange(4)
    images = torch.from_numpy(train.images[:4] / np.float32(255))[:, None].float()
    targets = torch.from_numpy(train.points[:4]).float()
    detector.loss(model, Batch(images, targets, chosen, train.annotations)).backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert [n for n in still if not n.endswith("out.bias")] == []  # a softmax does not see a constant


@pytest.mark.fits
def test_scores_fall_where_the_answer_is_unsure(data):
    train, val = data
    ratios = []
    for seed in range(3):
        detector = Heatmap(width=8)
        detector.fit(train, val, seed=seed, budget=Budget(epochs=20))
        clear, blank = (detector.predict(images) for images in (train.images, np.zeros_like(val.images)))
        ratios.append(np.mean([p.scores[0] for p in clear]) / np.mean([p.scores[0] for p in blank]))
        if ratios[-1] > 1.5:
            return
    raise AssertionError(f"no seed was surer of images with a rectangle than of blank ones: {ratios}")


def test_gumbel_draws_forward_one_pixel_and_passes_gradients():
    torch.manual_seed(0)
    out = torch.zeros(4, 1, 9, 9, requires_grad=True)
    loss = Gumbel().map_loss(out, torch.full((4, 1, 2), 4.0), training=True)
    loss.backward()
    steps = float(loss.detach()) * 4 * 2 * 9 / 2  # sum of |dx| + |dy|, whole pixels
    assert steps == pytest.approx(round(steps), abs=1e-4)
    assert float(out.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    "spec", ["heatmap:sigma=0", "heatmap:width=0", "gumbel:tau=0", "simcc:split_ratio=0", "dsnt:sigma=-1"]
)
def test_impossible_parameters_are_refused(spec):
    with pytest.raises(UserError, match="refuses its parameters"):
        resolve(spec).build()
