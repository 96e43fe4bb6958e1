"""Image files as arrays: decoded when asked for, checked against what the annotations say of them.

Grey files become (H, W) uint8 and all others (H, W, 3) RGB uint8; 16-bit grey keeps its upper byte. EXIF orientation is
not applied, as annotation tools and pycocotools do not apply it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image as Pillow

from benchmark.colour import grey as grey  # for those who have images from here
from benchmark.structures import Annotations, Image, IntArray, LabeledImages, UserError

MEMORY = 512 * 2**20  # bytes of decoded pixels kept in memory; larger sets are decoded at every access
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})  # of image files in a folder
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Pillow.DecompressionBombError)


def decode(path: Path, *, rgb: bool = False) -> Image:
    """The pixels of an image file: the one decoder, for data sets and for new images alike.

    Args:
        path: A file that Pillow reads.
        rgb: Whether grey files become RGB too.

    Returns:
        (H, W) uint8 of a grey file, (H, W, 3) RGB uint8 of any other.

    Raises:
        OSError, ValueError and the like (see `BROKEN`): Where it is not an image that can be read.
    """
    with Pillow.open(path) as image_file:
        return _pixels(image_file, rgb)


class ImageFiles(Sequence[Image]):
    """The image files of one split, decoded when asked for.

    Attributes:
        rgb: Whether grey files become RGB too, as they must where a set holds both.
    """

    def __init__(self, paths: Sequence[Path], sizes: IntArray, origin: str, *, rgb: bool = False) -> None:
        """Images by their files; nothing is opened yet.

        Args:
            paths: N files.
            sizes: (N, 2) int64, (width, height) in pixels as annotated; a file of another size is an error.
            origin: The annotation file, named in errors.
            rgb: Whether grey files become RGB too.
        """
        self._paths, self._sizes, self._origin, self.rgb = list(paths), sizes, origin, rgb

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, i: int) -> Image: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Image]: ...
    def __getitem__(self, i: int | slice) -> Image | Sequence[Image]:
        if isinstance(i, slice):
            return ImageFiles(self._paths[i], self._sizes[i], self._origin, rgb=self.rgb)
        with self._open(range(len(self))[i]) as image_file:
            try:
                return _pixels(image_file, self.rgb)
            except BROKEN as error:
                raise self._unreadable(i, error) from error

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))

    @property
    def most_bytes(self) -> int:
        """The bytes of all its images decoded, were all of them RGB."""
        return int(self._sizes.prod(axis=1).sum()) * 3

    def check(self) -> bool:
        """Check every file by its header.

        Returns:
            Whether any file has colour.

        Raises:
            UserError: For a file that is missing, unreadable or of another size than its record says.
        """
        colour = False
        for i in range(len(self)):
            with self._open(i) as image_file:
                colour = colour or image_file.mode not in _GREY
        return colour

    def _open(self, i: int) -> Pillow.Image:
        try:
            image_file = Pillow.open(self._paths[i])
        except FileNotFoundError as error:
            raise UserError(f"{self._origin}: images entry {i}: there is no file {self._paths[i]}") from error
        except BROKEN as error:
            raise self._unreadable(i, error) from error
        if image_file.size != tuple(self._sizes[i]):
            width, height = self._sizes[i]
            image_file.close()
            raise UserError(
                f"{self._origin}: images entry {i}: says {width} x {height} px, but {self._paths[i]} is "
                f"{image_file.width} x {image_file.height}; correct the record or the file"
            )
        return image_file

    def _unreadable(self, i: int, error: BaseException) -> UserError:
        why = " ".join(str(error).split()) or type(error).__name__
        return UserError(f"{self._origin}: images entry {i}: {self._paths[i]} is not a readable image ({why})")


def _pixels(image_file: Pillow.Image, rgb: bool) -> Image:
    if image_file.mode.startswith("I") or image_file.mode == "F":
        values = np.asarray(image_file)
        sixteen_bits = image_file.mode.startswith("I;16") or (values > 255).any()
        pixels = np.clip(values / 256 if sixteen_bits else values, 0, 255).astype(np.uint8)
    elif image_file.mode in _GREY:
        pixels = np.asarray(image_file if image_file.mode == "L" else image_file.convert("L"))
    else:
        if image_file.mode == "P" and "transparency" in image_file.info:
            image_file = image_file.convert("RGBA")
        pixels = np.asarray(image_file if image_file.mode == "RGB" else image_file.convert("RGB"))
    return _as_rgb(pixels) if rgb else pixels


def _as_rgb(pixels: Image) -> Image:
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def load(parts: Sequence[ImageFiles | Sequence[Image]]) -> list[Sequence[Image]]:
    """The images of every part, RGB in all parts if any file of any part has colour.

    Args:
        parts: The files of each; images that are no files, such as frames of a video, stay as they are.

    Returns:
        For each part its images: in memory, as (N, H, W[, 3]) uint8 where their sizes agree, if all parts together fit in
        `MEMORY`; otherwise decoded at every access, their headers checked now.

    Raises:
        UserError: For a file that is missing, unreadable or of another size than annotated.
    """
    files = [part for part in parts if isinstance(part, ImageFiles)]
    if len(files) < len(parts):
        return list(parts)
    if sum(part.most_bytes for part in files) > MEMORY:
        coloured = [part.check() for part in files]
        for part in files:
            part.rgb = any(coloured)
        return list(parts)
    decoded = [list(part) for part in parts]
    if any(image.ndim == 3 for images in decoded for image in images):
        decoded = [[_as_rgb(image) for image in images] for images in decoded]
    return [_stacked(images) for images in decoded]


def _stacked(images: list[Image]) -> Sequence[Image]:
    if len({image.shape for image in images}) != 1:
        return images
    return np.stack(images)  # type: ignore[return-value]  # an array is a sequence in all but name


def open_splits(parts: Mapping[str, tuple[ImageFiles | Sequence[Image], Annotations]]) -> dict[str, LabeledImages]:
    """Labelled images from files and annotations; see `load`.

    Args:
        parts: Name -> the files and the annotations of a split, in the same order.

    Returns:
        Name -> the split.

    Raises:
        UserError: For a file that is missing, unreadable or of another size than annotated.
    """
    loaded = load([files for files, _ in parts.values()])
    return {name: LabeledImages(images, annotations) for (name, (_, annotations)), images in zip(parts.items(), loaded)}


def write_png(path: Path, image: Image) -> None:
    """Write an image as PNG, lightly compressed: a small digit is not worth the seconds.

    Args:
        path: The file.
        image: (H, W) or (H, W, 3) RGB uint8.
    """
    Pillow.fromarray(image).save(path, format="PNG", compress_level=1)
