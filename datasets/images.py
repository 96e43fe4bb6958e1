"""Image files as arrays: decoded when asked for, checked against what the annotations say of them.

Grey files become (H, W) uint8 and all others (H, W, 3) RGB uint8. Files of more than 8 bits (16-bit, 32-bit, float) are
mapped to 0..255 by one range for the whole data set, the smallest to the largest value in any of its images, so that equal
values stay equal. Of an animation or a stack the first image is taken.

A camera may store a photograph lying on its side and say so (EXIF orientation). Where the annotated size is that of the
upright image and not that of the stored one, the image is turned; where both fit, nothing says which the annotations mean,
and the pixels stay as they are stored. New images, of which nothing is annotated, are turned upright.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from benchmark.colour import grey as grey  # for those who have images from here
from benchmark.structures import Annotations, Image, IntArray, LabeledImages, LazyImages, UserError, image_digest

MEMORY = 512 * 2**20  # bytes of decoded pixels kept in memory; larger sets are decoded at every access
PREVIEW = 64  # px
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})  # of image files in a folder
ORIENTATION = 0x0112  # of EXIF
EIGHT_BITS, SIXTEEN_BITS = (0.0, 255.0), (0.0, 65536.0)
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Pillow.DecompressionBombError)


FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
"""What is decoded, whatever a file is called: Pillow would hand PostScript to an interpreter."""

Span = tuple[float, float]
"""The values of images of more than 8 bits that become 0 and 255."""


class ImageSource(Protocol):
    """An image that is no file of its own, such as one inside a container. `str` of it is what errors name it by."""

    def open(self) -> Pillow.Image:
        """The opened image, as stored.

        Raises:
            OSError and the like (see `BROKEN`): Where there is none that can be read.
        """


def _opened(place: Path | ImageSource) -> Pillow.Image:
    return Pillow.open(place, formats=FORMATS) if isinstance(place, Path) else place.open()


def decode(path: Path, *, rgb: bool = False, span: Span | None = None, turn: bool = True) -> Image:
    """The pixels of an image file: the one decoder, for data sets and for new images alike.

    Args:
        path: A file that Pillow reads.
        rgb: Whether grey files become RGB too.
        span: Of images of more than 8 bits, see `Span`; None: 0 to the largest value that 16 bits hold.
        turn: Whether an image that says it lies on its side is turned upright.

    Returns:
        (H, W) uint8 of a grey file, (H, W, 3) RGB uint8 of any other.

    Raises:
        OSError, ValueError and the like (see `BROKEN`): Where it is not an image that can be read.
    """
    with Pillow.open(path, formats=FORMATS) as image_file:
        turned = ImageOps.exif_transpose(image_file) if turn and orientation(image_file) != 1 else image_file
        return _pixels(turned, rgb, span)


def orientation(image_file: Pillow.Image) -> int:
    """The EXIF orientation of an opened file, 1 (as stored) to 8; only headers are read."""
    if "exif" not in image_file.info and image_file.format != "TIFF":
        return 1
    try:
        said = image_file.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1
    return said if said in range(1, 9) else 1


def lies(path: Path) -> bool:
    """Whether an image file says that it is to be turned or mirrored (EXIF orientation)."""
    with Pillow.open(path, formats=FORMATS) as image_file:
        return orientation(image_file) != 1


def sizes_of(paths: Sequence[Path | ImageSource], origin: str) -> IntArray:
    """The sizes of image files, upright, by their headers.

    Args:
        paths: N files, or images inside one.
        origin: The annotation file, named in errors.

    Returns:
        (N, 2) int64, width and height in px.

    Raises:
        UserError: For a file that cannot be read.
    """
    sizes = np.zeros((len(paths), 2), dtype=np.int64)
    for i, path in enumerate(paths):
        try:
            with _opened(path) as image_file:
                lying = orientation(image_file) >= 5
                sizes[i] = image_file.size[::-1] if lying else image_file.size
        except BROKEN as error:
            raise _unreadable(origin, i, path, error) from error
    return sizes


class ImageFiles(LazyImages):
    """The image files of one split, decoded when asked for.

    Attributes:
        rgb: Whether grey files become RGB too, as they must where a set holds both.
        span: Of images of more than 8 bits, see `Span`.
    """

    def __init__(self, paths: Sequence[Path | ImageSource], sizes: IntArray, origin: str, *, rgb: bool = False) -> None:
        """Images by their files; nothing is opened yet.

        Args:
            paths: N files, or images inside one.
            sizes: (N, 2) int64, (width, height) in pixels as annotated; a file of another size is an error.
            origin: The annotation file, named in errors.
            rgb: Whether grey files become RGB too.
        """
        self._paths, self._sizes, self._origin, self.rgb = list(paths), sizes, origin, rgb
        self.span: Span | None = None
        self._digests: dict[tuple[int, bool, Span | None], str] = {}

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, i: int) -> Image: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Image]: ...
    def __getitem__(self, i: int | slice) -> Image | Sequence[Image]:
        if isinstance(i, slice):
            part = ImageFiles(self._paths[i], self._sizes[i], self._origin, rgb=self.rgb)
            part.span = self.span
            return part
        at = range(len(self))[i]
        with self._open(at) as image_file:
            try:
                upright = image_file.size != tuple(self._sizes[at])
                return _pixels(ImageOps.exif_transpose(image_file) if upright else image_file, self.rgb, self.span)
            except BROKEN as error:
                raise _unreadable(self._origin, at, self._paths[at], error) from error

    def __iter__(self) -> Iterator[Image]:
        return (self[i] for i in range(len(self)))

    def digest(self, i: int) -> str:
        """`LazyImages.digest`, kept: 64 bytes an image are cheaper than its decoding."""
        known = (range(len(self))[i], self.rgb, self.span)
        if known not in self._digests:
            self._digests[known] = image_digest(self[i])
        return self._digests[known]

    def preview(self, i: int) -> Image:
        """`LazyImages.preview`: a JPEG is decoded at the smallest scale of at least `PREVIEW` px, several times faster."""
        with self._open(range(len(self))[i]) as image_file:
            if image_file.format != "JPEG" or min(image_file.size) < 2 * PREVIEW:
                return self[i]
            upright = image_file.size != tuple(self._sizes[i])
            image_file.draft("L", (PREVIEW, PREVIEW))
            return np.asarray((ImageOps.exif_transpose(image_file) if upright else image_file).convert("L"))

    @property
    def most_bytes(self) -> int:
        """The bytes of all its images decoded, were all of them RGB."""
        return int(self._sizes.prod(axis=1).sum()) * 3

    def check(self) -> Headers:
        """Look at every file's header.

        Returns:
            What they say.

        Raises:
            UserError: For a file that is missing, unreadable or of another size than its record says.
        """
        headers = Headers()
        for i in range(len(self)):
            with self._open(i) as image_file:
                headers.colour |= image_file.mode not in _GREY
                if image_file.mode.startswith("I") or image_file.mode == "F":
                    headers.deep.append(i)
                headers.stacks += getattr(image_file, "n_frames", 1) > 1
                if (said := orientation(image_file)) != 1:
                    turned = image_file.size != tuple(self._sizes[i])
                    headers.turned += turned
                    headers.ambiguous += not turned and (said < 5 or image_file.width == image_file.height)
        return headers

    def extremes(self, positions: Sequence[int]) -> Span:
        """The smallest and largest value in some of its files."""
        low, high = np.inf, -np.inf
        for i in positions:
            with self._open(i) as image_file:
                values = np.asarray(image_file, dtype=np.float64)
                finite = values[np.isfinite(values)]
                if len(finite):
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return low, high

    def _open(self, i: int) -> Pillow.Image:
        try:
            image_file = _opened(self._paths[i])
        except FileNotFoundError as error:
            raise UserError(f"{self._origin}: images entry {i}: there is no file {self._paths[i]}") from error
        except BROKEN as error:
            raise _unreadable(self._origin, i, self._paths[i], error) from error
        annotated = tuple(self._sizes[i])
        if image_file.size != annotated and not (image_file.size[::-1] == annotated and orientation(image_file) >= 5):
            width, height = self._sizes[i]
            image_file.close()
            raise UserError(
                f"{self._origin}: images entry {i}: says {width} x {height} px, but {self._paths[i]} is "
                f"{image_file.width} x {image_file.height}; correct the record or the file"
            )
        return image_file


@dataclass
class Headers:
    """What the headers of image files say.

    Attributes:
        colour: Whether any file has colour.
        deep: Positions of the files of more than 8 bits.
        turned: How many lie on their side, and are annotated upright.
        ambiguous: How many say that they are to be turned, where the annotated size fits both ways.
        stacks: How many hold several images.
    """

    colour: bool = False
    deep: list[int] = field(default_factory=list)
    turned: int = 0
    ambiguous: int = 0
    stacks: int = 0


def _unreadable(origin: str, i: int, path: Path | ImageSource, error: BaseException) -> UserError:
    why = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{origin}: images entry {i}: {path} is not a readable image ({why})")


def _pixels(image_file: Pillow.Image, rgb: bool, span: Span | None) -> Image:
    if image_file.mode.startswith("I") or image_file.mode == "F":
        low, high = span or SIXTEEN_BITS
        values = np.nan_to_num(np.asarray(image_file, dtype=np.float64), nan=low, posinf=high, neginf=low)
        pixels = np.clip(np.floor((values - low) * (256 / (high - low if high > low else 1))), 0, 255).astype(np.uint8)
        if (low, high) == EIGHT_BITS:
            pixels = np.clip(values, 0, 255).astype(np.uint8)
    elif image_file.mode in _GREY:
        pixels = np.asarray(image_file if image_file.mode == "L" else image_file.convert("L"))
    else:
        if image_file.mode == "P" and "transparency" in image_file.info:
            image_file = image_file.convert("RGBA")
        pixels = np.asarray(image_file if image_file.mode == "RGB" else image_file.convert("RGB"))
    return _as_rgb(pixels) if rgb else pixels


def _as_rgb(pixels: Image) -> Image:
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


@dataclass(frozen=True, eq=False)
class Opened:
    """Labelled images, and what their files turned out to be.

    Attributes:
        splits: Name -> the split.
        notes: What was turned, mapped or left ambiguous, a sentence with a count each.
        span: Of images of more than 8 bits, see `Span`; None where there are none.
    """

    splits: dict[str, LabeledImages]
    notes: tuple[str, ...] = ()
    span: Span | None = None


def open_splits(
    parts: Mapping[str, tuple[ImageFiles | Sequence[Image], Annotations]], *, decoded: bool = True
) -> Opened:
    """Labelled images from files and annotations; RGB in all splits if any file of any split has colour.

    Images are in memory, as (N, H, W[, 3]) uint8 where their sizes agree, if those of all splits fit in `MEMORY`; otherwise
    they are decoded at every access. Every header is looked at now.

    Args:
        parts: Name -> the images and the annotations of a split, in the same order.
        decoded: False: no image is decoded now, however few there are.

    Raises:
        UserError: For a file that is missing, unreadable or of another size than annotated.
    """
    files = [images for images, _ in parts.values() if isinstance(images, ImageFiles)]
    headers = [part.check() for part in files]
    notes, span = _notes_on(headers), _span(files, headers)
    if span is not None:
        deep = sum(len(one.deep) for one in headers)
        notes.append(f"{deep} images of more than 8 bits: {span[0]:g} to {span[1]:g} become 0 to 255, in all of them")
    for part in files:
        part.rgb, part.span = any(one.colour for one in headers), span
    loaded: list[Sequence[Image]] = [images for images, _ in parts.values()]
    if decoded and len(files) == len(parts) and sum(part.most_bytes for part in files) <= MEMORY:
        loaded = [_stacked(list(images)) for images in loaded]
    splits = {
        name: LabeledImages(images, annotations) for (name, (_, annotations)), images in zip(parts.items(), loaded)
    }
    return Opened(splits, tuple(notes), span)


def _span(files: Sequence[ImageFiles], headers: Sequence[Headers]) -> Span | None:
    """The range of all images of more than 8 bits; whole values that 8 bits hold stay what they are."""
    if not any(one.deep for one in headers):
        return None
    spans = [part.extremes(one.deep) for part, one in zip(files, headers) if one.deep]
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    return EIGHT_BITS if 1 < high <= 255 and low >= 0 else (low, high)


def _notes_on(headers: Sequence[Headers]) -> list[str]:
    notes = []
    if count := sum(one.turned for one in headers):
        notes.append(
            f"{count} images lie on their side and are annotated upright: turned, as their EXIF orientation says"
        )
    if count := sum(one.ambiguous for one in headers):
        notes.append(
            f"WARNING: {count} images say they are to be turned (EXIF), and their annotated size fits both ways: left as they "
            "are stored; if points are off, the annotations mean the turned images"
        )
    if count := sum(one.stacks for one in headers):
        notes.append(f"{count} files hold several images: the first is taken")
    return notes


def _stacked(images: list[Image]) -> Sequence[Image]:
    if len({image.shape for image in images}) != 1:
        return images
    return np.stack(images)  # type: ignore[return-value]  # an array is a sequence in all but name


def write_png(path: Path, image: Image) -> None:
    """Write an image as PNG, lightly compressed: a small digit is not worth the seconds.

    Args:
        path: The file.
        image: (H, W) or (H, W, 3) RGB uint8.
    """
    Pillow.fromarray(image).save(path, format="PNG", compress_level=1)
