"""Where the images of a SLEAP file are: inside it or another HDF5 file, in image files, or in video files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from benchmark.structures import UserError
from datasets.formats.hdf5 import Hdf5
from datasets.formats.sleap_labels import Frame, Labels, Video, format_of
from datasets.formats.video_frames import video_frames
from datasets.images import FORMATS, ImageSource

STANDARD_COLOURS = 1.4  # the format since which embedded images are RGB unless they say otherwise
ANCESTORS = 4  # folders above the labels in which a video is looked for


@dataclass(frozen=True)
class _Embedded:
    """An image inside an HDF5 file."""

    file: Path
    dataset: str
    row: int
    swapped: bool  # whether red and blue have changed places
    channels_first: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.dataset}, row {self.row}"

    def open(self) -> Pillow.Image:
        try:
            with Hdf5(self.file) as file:
                stored = file.row(self.dataset, self.row)
        except UserError as error:
            raise OSError(str(error)) from error
        if stored.ndim >= 2:
            return Pillow.fromarray(_pixels(stored, self.channels_first))
        image: Pillow.Image = Pillow.open(io.BytesIO(stored.tobytes()), formats=FORMATS)
        image.info.pop("exif", None)  # what was labelled is the image as stored
        if self.swapped and image.mode in ("RGB", "RGBA"):
            red, green, blue, *_ = image.split()
            image = Pillow.merge("RGB", (blue, green, red))
        return image


@dataclass(frozen=True)
class _Cropped:
    """A part of an image, which may reach beyond it."""

    image: Path | ImageSource
    box: tuple[int, ...]
    fill: int

    def __str__(self) -> str:
        return str(self.image)

    def open(self) -> Pillow.Image:
        x1, y1, x2, y2 = self.box
        with Pillow.open(self.image, formats=FORMATS) if isinstance(self.image, Path) else self.image.open() as whole:
            bands = len(whole.getbands())
            canvas = Pillow.new(whole.mode, (x2 - x1, y2 - y1), (self.fill,) * bands if bands > 1 else self.fill)
            canvas.paste(ImageOps.exif_transpose(whole), (-x1, -y1))
        return canvas


def _pixels(stored: NDArray[Any], channels_first: bool) -> NDArray[np.uint8]:
    """A frame that is stored as pixels; values from 0 to 1 become 0 to 255, as in SLEAP."""
    frame = stored.T if channels_first and stored.ndim == 3 else stored
    if frame.dtype != np.uint8:
        values = frame.astype(np.float64)
        frame = np.clip(np.floor(values * 255 if values.max(initial=0) <= 1 else values), 0, 255).astype(np.uint8)
    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[:, :, 0]
    if frame.ndim != 2 and (frame.ndim != 3 or frame.shape[2] != 3):
        raise ValueError(f"a frame of the shape {stored.shape}")
    return np.ascontiguousarray(frame, dtype=np.uint8)


def found_frames(labels: Labels) -> list[Frame]:
    """The frames whose images are found, these in place; frames of video files are decoded now.

    Args:
        labels: What a file says.

    Raises:
        UserError: Where an HDF5 file that holds images is damaged, or there is no room for decoded frames.
    """
    by_video: dict[int, list[Frame]] = {}
    for frame in labels.frames:
        by_video.setdefault(id(frame.video), []).append(frame)
    for frames in by_video.values():
        video: Video | None = frames[0].video
        crop = frames[0].video.crop
        left = frames
        while video is not None and left:  # what a package does not hold, its source may
            images = _images(video, [frame.number for frame in left], labels.path)
            for frame in left:
                if (image := images.get(frame.number)) is not None:
                    frame.image = _Cropped(image, crop[:4], crop[4]) if crop else image
            left = [frame for frame in left if frame.image is None]
            video = video.source
    return [frame for frame in labels.frames if frame.image is not None]


def _images(video: Video, numbers: Sequence[int], labels: Path) -> Mapping[int, Path | ImageSource | None]:
    """Number of a frame -> its image, for those that are found."""
    if video.dataset:
        file = labels if video.file == "." else _find(video.file, labels)
        return {} if file is None else _embedded(video, file)
    if video.files:
        known = {number: video.files[number] for number in numbers if 0 <= number < len(video.files)}
        return {number: _find(name, labels) for number, name in known.items()}
    file = _find(video.file, labels)
    return {} if file is None else video_frames(file, numbers, grey=video.grey)


def _embedded(video: Video, path: Path) -> dict[int, ImageSource]:
    with Hdf5(path) as file:
        name = f"{video.dataset}/video" if f"{video.dataset}/video" in file else video.dataset
        if name not in file:
            return {}
        shape = file.shape(name)
        numbers: list[int] = list(range(shape[0] if shape else 0))
        listed = f"{name.rpartition('/')[0]}/frame_numbers"
        if listed in file and file.shape(listed) != (0,):
            numbers = [int(v) for v in file.array(listed).ravel().tolist()][: len(numbers)]
        order = file.text(name, "channel_order")
        format_id = format_of(file)
    swapped = format_id < STANDARD_COLOURS if order is None else order.upper() == "BGR"
    return {number: _Embedded(path, name, row, swapped, video.channels_first) for row, number in enumerate(numbers)}


def _find(name: str, labels: Path) -> Path | None:
    """A file that labels name as it was called on the machine where they were made.

    It is looked for where it was, then by ever shorter ends of its path below the labels' folder and the folders above
    it; by its last part alone only beside the labels.
    """
    plain = name.replace("\\", "/")
    if "\0" in plain or "://" in plain:
        return None
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    folder = labels.resolve().parent
    above = [folder, *folder.parents][: 1 + ANCESTORS]
    places = [Path(plain)] if Path(plain).is_absolute() else []
    for start in range(len(parts)):
        end = Path(*parts[start:])
        places += [one / end for one in (above if start < len(parts) - 1 or len(parts) == 1 else above[:1])]
    try:
        return next((place for place in places if ".." not in place.parts and place.is_file()), None)
    except OSError:
        return None
