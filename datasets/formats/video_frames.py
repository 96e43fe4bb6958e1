"""Frames of video files, as images that last as long as somebody holds them.

Which frame a number means is decided as annotation tools decide it, by OpenCV's ``CAP_PROP_POS_FRAMES``. Finding a frame
takes a video decoder a tenth of a second and more, and data is read several times: so each frame is decoded once, into a
lossless PNG in a temporary folder, which goes when its images go.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from benchmark.structures import UserError
from datasets.images import write_png


class TemporaryFolder:
    """A folder that is deleted with this object, or at the end of the process."""

    def __init__(self) -> None:
        """Make the folder; UserError where there is no room for one."""
        try:
            self.path = Path(tempfile.mkdtemp(prefix="frames-"))
        except OSError as error:
            raise UserError(f"{tempfile.gettempdir()}: cannot be written ({error.strerror})") from error
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True)
class VideoFrame:
    """A frame of a video, decoded.

    Attributes:
        folder: Where it lies.
        file: Its file in there.
        name: What errors call it.
    """

    folder: TemporaryFolder
    file: str
    name: str

    def __str__(self) -> str:
        return self.name

    def open(self) -> Pillow.Image:
        """The frame."""
        return Pillow.open(self.folder.path / self.file)


def video_frames(path: Path, numbers: Sequence[int], *, grey: bool) -> dict[int, VideoFrame | None]:
    """Decode some frames of a video.

    Args:
        path: A video file that OpenCV's FFmpeg reads.
        numbers: Which frames, from 0.
        grey: Whether one channel is kept, as of a video without colour.

    Returns:
        Number -> the frame; None where the video has no such frame.

    Raises:
        UserError: Where there is no room for them.
    """
    import cv2

    folder = TemporaryFolder()
    video = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    found: dict[int, VideoFrame | None] = {}
    try:
        for number in sorted(set(numbers)):
            if video.get(cv2.CAP_PROP_POS_FRAMES) != number:
                video.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, frame = video.read()
            if not read or frame is None or frame.dtype != np.uint8:
                found[number] = None
                continue
            file = folder.path / f"{number}.png"
            try:
                write_png(file, np.ascontiguousarray(frame[..., 0] if grey else frame[..., ::-1]))
            except OSError as error:
                raise UserError(
                    f"{file}: cannot be written ({error.strerror or error}); TMPDIR names a folder with more room"
                ) from error
            found[number] = VideoFrame(folder, file.name, f"{path}, frame {number}")
    finally:
        video.release()
    return found
