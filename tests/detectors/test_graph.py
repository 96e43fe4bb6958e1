"""A detector as one graph: Pillow's very bytes, and the answers of `predict`, from images of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.exported.graph import WholeGraph
from benchmark.registry import resolve
from benchmark.structures import Image
from benchmark.windows import Window

SIDE = st.integers(1, 30)


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2**32 - 1), st.booleans())
@example(1, 25, 3, 1, 1, True)  # nearly black, so that the order of the two passes shows in few images
@settings(max_examples=20, deadline=None)
def test_what_is_shown_is_what_pillow_renders(
    height: int, width: int, high: int, wide: int, seed: int, colour: bool
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, *[3] * colour), dtype=np.uint8)
    window = Window.whole((height, width), (high, wide))
    shown = WholeGraph(torch.nn.Identity(), window, (height, width), colour).shown(torch.from_numpy(image[None]))
    wanted = torch.from_numpy(window.render(image).copy()).float() / 255
    assert torch.equal(shown[0], wanted.permute(2, 0, 1) if colour else wanted[None])


def points_of(answers: object) -> np.ndarray:
    return answers if isinstance(answers, np.ndarray) else np.stack([one.keypoints[0] for one in answers])  # type: ignore[attr-defined]


@pytest.mark.fits
@pytest.mark.parametrize(
    "spec",
    [
        "gap:width=4,depth=2",
        "regression:width=4,depth=2,frozen=true",
        "resnet18:backbone=conv,width=4",
        "heatmap:backbone=conv,width=2",
        "heatmap-dark:backbone=conv,width=2",
        "integral:backbone=conv,width=2",
        "simcc:backbone=conv,width=2",
        "extrema",
        "net3",
        "stn:width=2",
    ],
)
def test_a_graph_answers_what_predict_answers(spec: str) -> None:
    """Untrained but for one step; images of the size it learned from, and of a larger one, one at a time and together."""
    train, val, test = (rectangles(count, seed=seed) for seed, count in enumerate((6, 2, 3), 1))
    detector = resolve(spec).framed()
    detector.fit(train, val, seed=0, budget=Budget(steps=1))
    random = np.random.default_rng(0)
    for images in (np.asarray(test.images), random.integers(0, 256, (3, 41, 50), dtype=np.uint8)):
        size = (images.shape[1], images.shape[2])
        window, colour = detector.view(size)
        assert not colour
        graph = WholeGraph(detector.detector.graph(), window, size, colour).eval()
        with torch.no_grad():
            points, scores = graph(torch.from_numpy(np.array(images)))
            (alone, _) = graph(torch.from_numpy(np.array(images[:1])))
        wanted: Image = points_of(detector.predict(images))
        assert points.dtype == scores.dtype == torch.float64
        assert scores.shape == (3,)
        assert np.abs(points.numpy() - wanted).max() < 1e-3
        assert np.abs(alone.numpy() - wanted[:1]).max() < 1e-3


@pytest.mark.parametrize("spec", ["keypointrcnn", "featsnet1", "late-extrema", "linear", "mean"])
def test_what_is_no_graph_says_so(spec: str) -> None:
    assert resolve(spec).framed().detector.graph() is None
