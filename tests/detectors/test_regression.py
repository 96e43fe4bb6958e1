"""Backbones, pooling, heads and codecs against brute force and exact properties; the spatial transformer's map back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import entries, resolve, suite
from benchmark.structures import UserError
from detectors.layers.backbones import ConvBackbone
from detectors.layers.codecs import RegressionCodec, bilinear
from detectors.layers.coordinates import add_coordinates
from detectors.layers.heads import HeatmapHead, PointHead
from detectors.layers.pixels import Geometry
from detectors.layers.pooling import POOLINGS, make_pooling
from detectors.layers.pretraining import learn_digits
from detectors.layers.rle import RealNVP, rle_loss
from detectors.regression import Composed, FrozenFeatures, Regression
from detectors.simcc import SimCC
from detectors.stn import Attentive, crop
from detectors.training import Batch

TRAIN, VAL = rectangles(24, height=12, width=10, seed=1), rectangles(6, height=12, width=10, seed=2)
GEOMETRY = Geometry.of(TRAIN)


def features(height: int, width: int, depth: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, depth, height, width))).float()


def by_loops(name: str, x: np.ndarray) -> np.ndarray:
    """The poolings without parameters of one image's features (D, h, w), written out."""
    d, h, w = x.shape
    average, least, most = ([float(f(x[c])) for c in range(d)] for f in (np.mean, np.min, np.max))
    if name == "flatten":
        return np.array([x[c, i, j] for c in range(d) for i in range(h) for j in range(w)])
    if name == "gridpool":
        edges = [[(i * side // 4, -(-(i + 1) * side // 4)) for i in range(4)] for side in (h, w)]
        return np.array([x[c, a:b, e:f].mean() for c in range(d) for a, b in edges[0] for e, f in edges[1]])
    if name == "spatialsoftmax":
        share = [np.exp(x[c]) / np.exp(x[c]).sum() for c in range(d)]
        xs = [sum(s[i, j] * ((2 * j + 1) / w - 1) for i in range(h) for j in range(w)) for s in share]
        return np.array(xs + [sum(s[i, j] * ((2 * i + 1) / h - 1) for i in range(h) for j in range(w)) for s in share])
    return np.array({"avg": average, "max": most, "avgmax": average + most, "avgminmax": average + least + most}[name])


@pytest.mark.parametrize("size", [(7, 5), (8, 8), (1, 3)])
@pytest.mark.parametrize("name", [name for name in POOLINGS if name != "minmax"])
def test_poolings_equal_loops(name, size):
    x = features(*size)
    pooled = make_pooling(name, 3, size)(x).detach().numpy()
    np.testing.assert_allclose(pooled, [by_loops(name, one) for one in x.numpy()], atol=1e-5)


@pytest.mark.parametrize("size", [(2, 2), (7, 5), (1, 3), (1, 1)])
def test_minmax_that_keeps_its_extremes_ends_with_those_of_the_image(size):
    """With mixing that passes maxima on, what is left of a positive image is its largest value."""
    x = features(*size).abs() + 0.1
    pooling = make_pooling("minmax", 3, size)
    for mix in getattr(pooling, "mix", ()):
        with torch.no_grad():
            mix.bias.zero_()
            mix.weight.copy_(torch.cat([torch.zeros(3, 3), torch.eye(3)], 1)[..., None, None])
    np.testing.assert_allclose(pooling(x).detach()[:, -3:], x.amax((2, 3)), rtol=1e-5)


def test_coordconv_adds_each_pixels_place():
    x = add_coordinates(torch.zeros(1, 1, 2, 4))
    np.testing.assert_allclose(x[0, 1], [[-0.75, -0.25, 0.25, 0.75]] * 2)
    np.testing.assert_allclose(x[0, 2], [[-0.5] * 4, [0.5] * 4])


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 11)), min_size=2, max_size=2))
@settings(max_examples=25, deadline=None)
def test_codecs_come_back(points):
    data = rectangles(9, height=12, width=10, k=2)
    for kind in ("squash", "unit", "standard"):
        codec = RegressionCodec(Geometry.of(data), kind)
        codec.fit(data, Geometry.of(data))
        given = torch.tensor(points)[None]
        torch.testing.assert_close(codec.decode(codec.encode(given)), given, atol=1e-4, rtol=0)


def test_convention_codecs_are_cell_centred():
    codec = RegressionCodec(GEOMETRY, "unit")
    edges = codec.encode(torch.tensor([[[-0.5, -0.5]], [[9.5, 11.5]], [[0.0, 0.0]]]))[:, 0]
    np.testing.assert_allclose(edges, [[-1, -1], [1, 1], [1 / 10 - 1, 1 / 12 - 1]], atol=1e-6)
    squashed = RegressionCodec(GEOMETRY, "squash").activate(torch.tensor([-50.0, 0.0, 50.0]))
    assert squashed.tolist() == [-1, 0, 1]


def test_standard_scale_of_the_train_split_has_mean_0_and_deviation_1():
    codec = RegressionCodec(GEOMETRY, "standard")
    codec.fit(TRAIN, GEOMETRY)
    values = codec.encode(torch.from_numpy(TRAIN.points).float())
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(0, correction=0), 1, atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "avgmax", "avgminmax"])
def test_circular_padding_under_a_global_pool_cannot_know_where_anything_is(pooling):
    """Exactly: images moved round the torus have one answer. With zeros at the border they have not."""
    image = torch.zeros(1, 1, 9, 11, dtype=torch.float64)
    image[..., 4:6, 4:7] = torch.rand(2, 3, dtype=torch.float64)
    moved = torch.cat([torch.roll(image, (dy, dx), (2, 3)) for dy in range(9) for dx in range(11)])
    spread = {}
    for padding in ("circular", "zeros"):
        torch.manual_seed(0)
        how = Regression(pooling=pooling, padding=padding, width=4)
        model = Composed(Geometry(1, 9, 11, 1), how).double().eval()
        with torch.no_grad():
            answers = model.head.out(model.head.pooling(model(moved)))
        spread[padding] = float((answers - answers[0]).abs().max())
    assert spread["circular"] < 1e-9  # float64: rounding alone
    assert spread["zeros"] > 1e-6


def test_a_heatmap_head_moves_with_the_image():
    torch.manual_seed(0)
    head, backbone = HeatmapHead(4, Geometry(1, 9, 11, 1)), ConvBackbone(1, 4, 2, "circular").eval()
    image = torch.zeros(1, 1, 9, 11)
    image[..., 4, 5] = 1
    with torch.no_grad():
        maps = [head(backbone(torch.roll(image, move, (2, 3)))) for move in ((0, 0), (2, -3))]
    torch.testing.assert_close(torch.roll(maps[0], (2, -3), (2, 3)), maps[1], atol=1e-4, rtol=1e-4)


@given(st.tuples(st.floats(0, 10), st.floats(0, 8)))
@settings(max_examples=25, deadline=None)
def test_a_heatmap_heads_loss_is_least_at_the_point_it_answers(point):
    """Features that are the logarithm of the target: nothing is better, and the answer is the point."""
    target = torch.tensor(point)[None, None]
    head = HeatmapHead(1, Geometry(1, 9, 11, 1))
    with torch.no_grad():
        head.maps.weight.fill_(1.0)
    at_point = (bilinear(target, 9, 11) + 1e-9).log()
    torch.testing.assert_close(head.decode(at_point), target, atol=1e-3, rtol=0)
    beside = torch.roll(at_point, 1, 3)
    assert float(head.loss(at_point, target).detach()) < float(head.loss(beside, target).detach())


def test_the_flow_is_a_density():
    """Its integral over the plane is 1, by a sum over a grid."""
    torch.manual_seed(0)
    flow = RealNVP()
    for p in flow.parameters():
        torch.nn.init.normal_(p, std=0.2)
    side = torch.linspace(-10, 10, 161)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).view(-1, 2)
    with torch.no_grad():
        total = flow.log_prob(grid).exp().sum() * (side[1] - side[0]) ** 2
    assert float(total) == pytest.approx(1, abs=1e-3)


def test_rle_without_a_learned_correction_is_a_laplace_and_a_normal():
    """With couplings that do nothing, the loss is that of the written formula."""
    flow = RealNVP()
    for p in flow.parameters():
        torch.nn.init.zeros_(p)
    mu, sigma, target = (torch.rand(4, 2, 2) + 0.1 for _ in range(3))
    e = (mu - target) / sigma
    normal = torch.distributions.Normal(0, 1).log_prob(e).sum(-1).mean()
    expected = (sigma.log() + e.abs() + np.log(2)).sum(-1).mean() - normal
    torch.testing.assert_close(rle_loss(mu, sigma, target, flow), expected)


@pytest.mark.fits
@pytest.mark.parametrize("ratio", [1, 3])
def test_simcc_answers_with_the_centre_of_a_bin(ratio):
    detector = SimCC(split_ratio=ratio, width=4)
    detector.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=1))
    bins = (detector.predict(VAL.images) + 0.5) * ratio - 0.5
    np.testing.assert_allclose(bins, bins.round(), atol=1e-6)
    assert bins.min() >= 0
    assert (bins.max(axis=(0, 1)) <= np.array([10, 12]) * ratio - 1).all()


def test_simcc_asks_for_the_bin_of_the_point():
    """Scores that peak at the true bins cost less than any others tried."""
    detector, point = SimCC(split_ratio=3), torch.tensor([[[4.0, 7.0]]])
    batch = Batch(torch.zeros(1, 1, 12, 10), point, np.arange(1), TRAIN.annotations)
    network = detector.build(Geometry(1, 12, 10, 1))

    def cost(x: int, y: int) -> float:
        scores = 5 * F.one_hot(torch.tensor([[x]]), 30).float(), 5 * F.one_hot(torch.tensor([[y]]), 36).float()
        network.forward = lambda images: scores
        return float(detector.loss(network, batch))

    best = min((cost(x, y), (x, y)) for x in range(30) for y in range(36))[1]
    assert best == (3 * 4 + 1, 3 * 7 + 1)


def test_digits_for_pretraining_are_never_those_of_the_task(monkeypatch):
    loaded = []

    def load(images):
        loaded.extend(images)
        raise StopIteration

    from datasets.sources import mnist_embedded

    images, labels = mnist_embedded()
    train = DataWithLabels(labels=np.array([3, 7, 3, 7]))
    with pytest.raises(StopIteration):
        learn_digits(None, train, load, 0, "cpu")
    assert len(loaded) == int((~np.isin(labels, [3, 7])).sum())
    forbidden = {image.tobytes() for image in images[np.isin(labels, [3, 7])]}
    assert not forbidden & {np.asarray(image).tobytes() for image in loaded}
    with pytest.raises(UserError, match="uses them all"):
        learn_digits(None, DataWithLabels(labels=np.arange(10)), load, 0, "cpu")
    with pytest.raises(UserError, match="no labels"):
        learn_digits(None, DataWithLabels(labels=None), load, 0, "cpu")


class DataWithLabels:
    """As much of a data set as choosing the other digits looks at."""

    def __init__(self, labels):
        self.annotations = self
        self.labels = labels


@pytest.mark.fits
@pytest.mark.parametrize("pooling", ["avg", "heatmap", "extrema"])
def test_a_frozen_backbone_does_not_learn_and_its_head_does(pooling):
    how = f"regression:frozen=true,width=4,depth=2,pooling={pooling},project=3"
    before, after = resolve(how).build(), resolve(how).build()
    before.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=0))
    rows = after.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=20))
    assert min(row["loss"] for row in rows[1:]) < rows[0]["loss"]
    was, now = before.state(), after.state()
    same = {name for name in was if np.array_equal(was[name], now[name])}
    assert {name for name in was if name.startswith("model.backbone.")} <= same
    assert after.n_parameters == sum(
        v.size for n, v in now.items() if n.startswith(("model.head", "model.project"))
    ) - sum(v.size for n, v in now.items() if n.startswith("model.head.codec"))


@pytest.mark.fits
def test_features_kept_of_a_frozen_backbone_are_those_computed_anew(monkeypatch):
    detector = resolve("regression:frozen=true,width=4,depth=2").build()
    detector.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=1))
    kept = detector._pixels(VAL.images)
    monkeypatch.setattr("detectors.regression.KEPT", 0)
    anew = detector._pixels(VAL.images)
    assert isinstance(anew, FrozenFeatures)
    at = np.array([4, 0, 2])
    torch.testing.assert_close(kept.floats(at), anew.floats(at), atol=1e-4, rtol=1e-4)


def test_a_head_learns_at_its_own_rate():
    detector = resolve("regression:pooling=extrema,lr=0.003").build()
    model = detector.build(GEOMETRY)
    groups = {id(p): g.get("lr", detector.train_config.lr) for g in detector.groups(model) for p in g["params"]}
    assert len(groups) == len(list(model.parameters()))
    assert {groups[id(p)] for p in model.backbone.parameters()} == {0.003}
    assert min(groups[id(p)] for p in model.head.parameters()) > 0.003
    plain = resolve("regression:lr=0.004").build()
    assert {g.get("lr", 0.004) for g in plain.groups(plain.build(GEOMETRY)) if g["params"]} == {0.004}


def test_projections_give_the_probes_heads_one_size():
    sizes = {}
    for text in suite("probe"):
        detector = resolve(text).build()
        if detector.backbone == "raw":
            continue
        model = detector.build(Geometry(1, 28, 28, 1)).eval()
        with torch.no_grad():
            shown = model(torch.zeros(1, detector.width, 28, 28) if detector.frozen else torch.zeros(1, 1, 28, 28))
            if isinstance(model.head, PointHead):
                sizes.setdefault(detector.pooling, set()).add(model.head.pooling(shown).shape[1])
            elif isinstance(model.head, HeatmapHead):
                sizes.setdefault("heatmap", set()).add(model.head(shown).numel())
    assert sizes == {"avg": {48}, "max": {48}, "spatialsoftmax": {48}, "flatten": {784}, "heatmap": {784}}


def test_the_probe_is_every_backbone_under_every_head():
    rows = [resolve(text).build() for text in suite("probe")]
    backbones = {(d.backbone, d.padding, d.pretrained, d.frozen) for d in rows}
    assert len(rows) == len(backbones) * len({d.pooling for d in rows}) == 7 * 6
    assert [d.card.rule_structured for d in rows] == [d.pooling == "extrema" for d in rows]


def test_the_suite_heads_has_every_family_and_none_twice():
    names = [resolve(text).name for text in suite("heads")]
    families = {resolve(text).entry.family for text in suite("heads")}
    assert len(names) == len(set(names)) >= 24
    assert families >= {"regression", "heatmap", "rcnn", "classic", "extrema"}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("regression:backbone=resnet18,pooling=heatmap", "backbone=raw or backbone=conv"),
        ("regression:backbone=vit_tiny_patch16_224,pooling=extrema", "backbone=raw or backbone=conv"),
        ("regression:pooling=heatmap,loss=rle", "a loss and a scale of its own"),
        ("regression:backbone=resnet81", "resnet"),
        ("regression:backbone=raw,pretrained=digits", "no weights"),
        ("regression:pretrained=true", "pretrained=digits"),
        ("regression:project=-1", "from 0"),
        ("stn:width=0", "from 1"),
    ],
)
def test_impossible_parameters_are_refused(spec, why):
    with pytest.raises(UserError, match=why):
        resolve(spec).build()


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-0.8, 0.8), st.floats(-0.8, 0.8))
@settings(max_examples=25, deadline=None)
def test_the_crop_is_torchs_grid_sample(a, b, x, y):
    images = features(9, 7)
    scale, shift = torch.tensor([[a, b]] * 2).exp(), torch.tensor([[x, y]] * 2)
    theta = torch.stack([torch.diag_embed(scale)[:, 0], torch.diag_embed(scale)[:, 1]], 1)
    grid = F.affine_grid(torch.cat([theta, shift[..., None]], 2), list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(crop(images, scale, shift), expected, atol=1e-4, rtol=1e-4)


def test_the_transformer_starts_at_the_whole_image():
    torch.manual_seed(0)
    model = Attentive(GEOMETRY, "raw", 4, 2, True).eval()
    images = torch.rand(3, 1, 12, 10)
    scale, shift = model.look(images)
    assert scale.tolist() == [[1, 1]] * 3
    assert shift.tolist() == [[0, 0]] * 3
    torch.testing.assert_close(crop(images, scale, shift), images, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (-1, 3)])
def test_where_the_crop_follows_the_image_so_does_the_answer(dx, dy, monkeypatch):
    torch.manual_seed(0)
    model = Attentive(Geometry(1, 16, 16, 1), "raw", 4, 2, True).eval()
    images = torch.zeros(1, 1, 16, 16)
    images[..., 6:9, 5:9] = torch.rand(3, 4)
    here, scale = torch.tensor([[0.1, -0.05]]), torch.tensor([[0.5, 0.6]])
    step = torch.tensor([[2 * dx / 16, 2 * dy / 16]])
    answers = []
    for image, shift in ((images, here), (torch.roll(images, (dy, dx), (2, 3)), here + step)):
        monkeypatch.setattr(model, "look", lambda shown, shift=shift: (scale, shift))
        with torch.no_grad():
            answers.append(model.codec.decode(model(image))[0, 0])
    torch.testing.assert_close(answers[1] - answers[0], torch.tensor([dx, dy]).float(), atol=1e-4, rtol=0)


def test_every_name_of_the_family_is_offered():
    wanted = (
        "net3 relu4 basenet featsnet1 featsnet2 featsnet3 tabular late-extrema dummy-constant dummy-random probe stn"
    )
    assert set(wanted.split()) <= set(entries())
