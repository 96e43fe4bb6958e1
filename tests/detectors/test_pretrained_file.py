"""Pre-trained weights from a file: the road to ImageNet weights where none can be downloaded, walked with a small file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import load_file, save_file

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.registry import resolve
from benchmark.structures import UserError

NAME = "test_resnet"  # timm's smallest ResNet: half a million numbers
TRAIN, VAL = rectangles(24, height=24, width=24, seed=1), rectangles(6, height=24, width=24, seed=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as timm's hub holds it: colour images in, a thousand classes out."""
    torch.manual_seed(7)
    file = tmp_path_factory.mktemp("weights") / "some.safetensors"
    save_file({name: value.numpy() for name, value in timm.create_model(NAME).state_dict().items()}, file)
    return file


def fitted(spec: str) -> Any:
    detector = resolve(spec).build()
    detector.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=1))
    return detector


def test_a_frozen_backbone_has_the_numbers_of_the_file(weights: Path) -> None:
    own = fitted(f"regression:backbone={NAME},pretrained={weights},frozen=true").model.backbone.net.state_dict()
    kept = {n: v for n, v in load_file(weights).items() if n.endswith("weight") and v.shape == own.get(n, v[:0]).shape}
    assert len(kept) > 20
    for name, value in kept.items():
        np.testing.assert_array_equal(own[name].numpy(), value)


def test_the_first_layer_sums_colours_for_grey_images(weights: Path) -> None:
    stem = next(value for value in load_file(weights).values() if value.ndim == 4 and value.shape[1] == 3)
    grey = fitted(f"regression:backbone={NAME},pretrained={weights},frozen=true,intensity=raw").model.backbone.net
    np.testing.assert_allclose(next(iter(grey.parameters())).detach().numpy(), stem.sum(1, keepdims=True), rtol=1e-6)


def test_weights_of_a_file_are_where_training_begins(weights: Path) -> None:
    states = [
        fitted(f"regression:backbone={NAME},{more}lr=1e-9,head_lr=.001").model.backbone.net.state_dict()
        for more in (f"pretrained={weights},", "")
    ]
    name, value = next((n, v) for n, v in reversed(load_file(weights).items()) if v.ndim == 4)
    np.testing.assert_allclose(states[0][name].numpy(), value, atol=1e-5)
    assert np.abs(states[1][name].numpy() - value).max() > 0.01  # without the file: other random numbers


def test_a_file_that_is_not_the_networks_is_refused_in_one_line(weights: Path, tmp_path: Path) -> None:
    whole = load_file(weights)
    last = next(name for name in reversed(whole) if name.endswith("weight") and whole[name].ndim == 4)
    save_file({name: value for name, value in whole.items() if name != last}, tmp_path / "lacking.safetensors")
    save_file({**whole, last: whole[last][:, :1]}, tmp_path / "narrow.safetensors")
    (tmp_path / "text.safetensors").write_text("none")
    (tmp_path / "other.pth").write_bytes(b"")
    said = {
        "lacking.safetensors": f"lacks 1 of {NAME}'s weights, as {last}",
        "narrow.safetensors": "other shapes",
        "text.safetensors": "is not a safetensors file",
        "other.pth": "no such .safetensors file",
        "gone.safetensors": "no such .safetensors file",
    }
    for file, words in said.items():
        with pytest.raises(UserError, match=words) as raised:
            fitted(f"regression:backbone={NAME},pretrained={tmp_path / file}")
        assert file in str(raised.value)
        assert "\n" not in str(raised.value)
