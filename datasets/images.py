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

from benchmark.structures import Annotations, FloatArray, Image, IntArray, LabeledImages, UserError, stack_images

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
    with Pillow.open(path) as picture:
        return _pixels(picture, rgb)


def grey(images: Sequence[Image] | Image) -> Image:
    """Images of one size as one grey array.

    RGB becomes luma (ITU-R BT.601), rounded up so that what is not black stays ink.

    Args:
        images: N of (H, W) or (H, W, 3) uint8.

    Returns:
        (N, H, W) uint8.
    """
    stacked = stack_images(images)
    if stacked.ndim == 3:
        return stacked
    luma: FloatArray = stacked[..., :3] @ np.array([0.299, 0.587, 0.114])
    return np.ceil(luma - 1e-9).astype(np.uint8)


class ImageFiles(Sequence[Image]):
    """The image files of one split. ``rgb`` turns grey files into RGB too, where a set holds both.

    paths: N files. sizes: (N, 2) int64 (width, height) as annotated. origin: the annotation file, named in errors.
    """

    def __init__(self, paths: Sequence[Path], sizes: IntArray, origin: str, *, rgb: bool = False) -> None:
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
        with self._open(range(len(self))[i]) as picture:
            try:
                return _pixels(picture, self.rgb)
            except BROKEN as error:
                raise self._unreadable(i, error) from error

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))

    @property
    def most_bytes(self) -> int:
        """The bytes of all its images decoded, were all of them RGB."""
        return int(self._sizes.prod(axis=1).sum()) * 3

    def check(self) -> bool:
        """Whether any file has colour. Reads headers only; UserError for a file that is missing, unreadable or of
        another size than its record says."""
        colour = False
        for i in range(len(self)):
            with self._open(i) as picture:
                colour = colour or picture.mode not in _GREY
        return colour

    def _open(self, i: int) -> Pillow.Image:
        try:
            picture = Pillow.open(self._paths[i])
        except FileNotFoundError as error:
            raise UserError(f"{self._origin}: images entry {i}: there is no file {self._paths[i]}") from error
        except BROKEN as error:
            raise self._unreadable(i, error) from error
        if picture.size != tuple(self._sizes[i]):
            wide, high = self._sizes[i]
            picture.close()
            raise UserError(
                f"{self._origin}: images entry {i}: says {wide} x {high} px, but {self._paths[i]} is "
                f"{picture.width} x {picture.height}; correct the record or the file"
            )
        return picture

    def _unreadable(self, i: int, error: BaseException) -> UserError:
        why = " ".join(str(error).split()) or type(error).__name__
        return UserError(f"{self._origin}: images entry {i}: {self._paths[i]} is not a readable image ({why})")


def _pixels(picture: Pillow.Image, rgb: bool) -> Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = np.asarray(picture)
        wide = picture.mode.startswith("I;16") or (grey > 255).any()
        pixels = np.clip(grey / 256 if wide else grey, 0, 255).astype(np.uint8)
    elif picture.mode in _GREY:
        pixels = np.asarray(picture if picture.mode == "L" else picture.convert("L"))
    else:
        if picture.mode == "P" and "transparency" in picture.info:
            picture = picture.convert("RGBA")
        pixels = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return _as_rgb(pixels) if rgb else pixels


def _as_rgb(pixels: Image) -> Image:
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def load(parts: Sequence[ImageFiles]) -> list[Sequence[Image]]:
    """The images of every part, RGB in all parts if any file of any part has colour.

    In memory, as (N, H, W[, 3]) where the sizes of a part agree, if all parts together fit in `MEMORY`; else decoded at
    every access, their headers checked now. UserError for a file that is missing, unreadable or of another size.
    """
    if sum(part.most_bytes for part in parts) > MEMORY:
        coloured = [part.check() for part in parts]
        for part in parts:
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


def open_splits(parts: Mapping[str, tuple[ImageFiles, Annotations]]) -> dict[str, LabeledImages]:
    """Labelled images from files and annotations: every file checked, and decoded where all fit in memory."""
    images = load([files for files, _ in parts.values()])
    return {name: LabeledImages(found, annotations) for (name, (_, annotations)), found in zip(parts.items(), images)}


def write_png(path: Path, image: Image) -> None:
    """Write (H, W) or (H, W, 3) RGB uint8 as PNG, lightly compressed: a small digit is not worth the seconds."""
    Pillow.fromarray(image).save(path, format="PNG", compress_level=1)
