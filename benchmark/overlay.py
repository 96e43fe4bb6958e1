"""Answers drawn over what they are about: a folder of PNG pictures, or a video for a video.

A ring about each point in its keypoint's colour, with a dot at the point itself, and the lines of the skeleton. Small
images are enlarged by a whole factor, so that a ring covers less than what is looked for. A point (x, y) of an image
enlarged z times lies at (x + .5) z - .5: an integer is the centre of a pixel in both.
"""

from __future__ import annotations

import colorsys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from benchmark import files
from benchmark.detector import Progress
from benchmark.structures import FloatArray, Image, UserError
from datasets.formats.answers import Answers
from datasets.formats.image_paths import stems_of
from datasets.images import write_png

LEAST = 320  # px of the longer side of what is drawn on
SHIFT = 4  # bits after the point of OpenCV's coordinates
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mov": "mp4v", ".mkv": "mp4v"}


def palette(count: int) -> list[tuple[int, int, int]]:
    """Colours that differ in hue, RGB: golden-ratio steps, so that the first few differ most."""
    hues = [(0.0 + 0.618034 * i) % 1.0 for i in range(count)]
    return [tuple(round(255 * v) for v in colorsys.hsv_to_rgb(h, 0.9, 1.0)) for h in hues]  # type: ignore[misc]


def draw(image: Image, instances: FloatArray, skeleton: Sequence[tuple[int, int]]) -> Image:
    """An image with points drawn on it.

    Args:
        image: (H, W) or (H, W, 3) RGB uint8.
        instances: (M, K, 2) px.
        skeleton: Pairs of keypoints that are joined.

    Returns:
        (z H, z W, 3) RGB uint8, z being 1 for large images.
    """
    import cv2

    zoom = max(1, -(-LEAST // max(image.shape[:2])))
    picture = np.repeat(np.repeat(image, zoom, axis=0), zoom, axis=1)
    picture = np.ascontiguousarray(np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture)
    radius = max(3, round(max(picture.shape[:2]) / 120))
    # What lies far off the picture is not drawn, and OpenCV's integers hold what lies near it.
    reach = 4.0 * max(picture.shape[:2])
    places = np.rint(np.clip((instances + 0.5) * zoom - 0.5, -reach, reach) * (1 << SHIFT)).astype(np.int64)
    colours = palette(instances.shape[1])
    for points in places.tolist():
        for a, b in skeleton:
            cv2.line(picture, points[a], points[b], (255, 255, 255), max(1, radius // 3), cv2.LINE_AA, SHIFT)
        for point, colour in zip(points, colours):
            cv2.circle(picture, point, (radius + 1) << SHIFT, (0, 0, 0), 1, cv2.LINE_AA, SHIFT)
            cv2.circle(picture, point, radius << SHIFT, colour, max(1, radius // 3), cv2.LINE_AA, SHIFT)
            cv2.circle(picture, point, 1 << SHIFT, colour, -1, cv2.LINE_AA, SHIFT)
    return picture


def refuse(path: Path, images: Path, *, video: bool) -> None:
    """UserError where no overlay can be written to a path: asked before the detector works for it.

    Args:
        path: Where it is to be.
        images: What it is drawn over.
        video: Whether that is a video.
    """
    if path.resolve() == images.resolve():
        raise UserError(f"overlay {path}: is what is to be drawn over; name another")
    if not video:
        if path.suffix.lower() in CODECS:
            raise UserError(f"overlay {path}: overlays of images are a folder of pictures; name a folder")
        files.refuse_occupied(path)
    elif path.is_dir():
        raise UserError(f"overlay {path}: is a folder; name a video file")
    elif path.suffix.lower() not in CODECS:
        raise UserError(f"overlay {path}: the overlay of a video ends in {', '.join(CODECS)}")


def write(path: Path, images: Iterable[Image], answers: Answers, rate: float, progress: Progress) -> None:
    """Draw answers over their images: a folder of PNG files, or a video where the answers are about one.

    Args:
        path: A new or empty folder; or a video file.
        images: The N images, in the order of the answers.
        answers: What is drawn.
        rate: Frames a second, of a video.
        progress: Is told how far it is.

    Raises:
        UserError: Where it cannot be written.
    """
    count, skeleton = len(answers.annotations), answers.annotations.skeleton

    def drawn() -> Iterator[Image]:
        for i, (image, rows) in enumerate(zip(images, answers.rows())):
            yield draw(np.asarray(image), answers.predictions.keypoints[rows], skeleton)
            progress((i + 1) / count, f"drawing {i + 1} of {count}")

    if answers.video:
        _write_video(path, drawn(), rate)
        return
    stems = stems_of(answers.annotations.file_names)

    def fill(folder: Path) -> None:
        for stem, picture in zip(stems, drawn()):
            place = folder / PurePosixPath(f"{stem}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_png(place, picture)

    files.write_folder(path.resolve(), fill, is_whole=lambda folder: folder.is_dir())


def _write_video(path: Path, pictures: Iterator[Image], rate: float) -> None:
    """Write a video whole: aside first, for a reader must not find half of one."""
    import cv2

    codec: Any = cv2.VideoWriter.fourcc
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".overlay-", dir=path.parent) as folder:
            aside = Path(folder) / f"overlay{path.suffix.lower()}"
            writer = None
            try:
                for picture in pictures:
                    picture = picture[
                        : picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2
                    ]  # codecs want even sides
                    if writer is None:
                        kind = codec(*CODECS[path.suffix.lower()])
                        writer = cv2.VideoWriter(str(aside), cv2.CAP_FFMPEG, kind, rate, picture.shape[1::-1])
                        if not writer.isOpened():
                            raise UserError(f"overlay {path}: OpenCV has no codec for {path.suffix}; try .avi")
                    writer.write(np.ascontiguousarray(picture[..., ::-1]))
            finally:
                if writer is not None:
                    writer.release()
            aside.replace(path)
