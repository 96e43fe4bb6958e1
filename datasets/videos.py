"""A video file as frames from first to last, for a detector to answer: decoded by OpenCV, nothing kept.

`formats.video_frames` finds single frames that labels name; here every frame is read in its order, as fast as they decode.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.structures import Image, UserError

SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"})
RATE = 25.0  # frames a second of a video that does not say
SHORT = 0.01  # share of the frames a header promises that may be missing: many headers only estimate their number


@dataclass(frozen=True)
class VideoFile:
    """A video.

    Attributes:
        path: The file.
        count: Frames that its header promises; 0 where it does not say.
        rate: Frames a second.
    """

    path: Path
    count: int
    rate: float

    @classmethod
    def open(cls, path: Path) -> VideoFile:
        """A video by its header.

        Raises:
            UserError: Where there is no such file, or OpenCV cannot read it.
        """
        if not path.is_file():
            raise UserError(f"video {path}: there is no such file")
        import cv2

        capture = _capture(path)
        try:
            count, rate = (float(capture.get(what)) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        finally:
            capture.release()
        known = np.isfinite(rate) and 0 < rate <= 1000
        return cls(path, int(count) if 0 < count < 2**31 else 0, rate if known else RATE)

    def frames(self) -> Iterator[Image]:
        """Its frames, (H, W, 3) RGB uint8, upright as the video says.

        Raises:
            UserError: Where none can be read, their size changes, or it ends before its header says, as a damaged one does.
        """
        capture = _capture(self.path)
        number, shape = 0, None
        try:
            while True:
                read, frame = capture.read()
                if not read or frame is None:
                    break
                if frame.dtype != np.uint8 or frame.ndim != 3 or shape not in (None, frame.shape):
                    raise UserError(
                        f"{self.path}: frame {number} is of shape {frame.shape} ({frame.dtype}) where {shape or '(H, W, 3)'} "
                        "uint8 was expected; convert the video"
                    )
                shape = frame.shape
                yield np.ascontiguousarray(frame[..., ::-1])
                number += 1
        finally:
            capture.release()
        if not number:
            raise UserError(f"{self.path}: no frame of it can be read; convert it, to MP4 with H.264 for example")
        if number < self.count - max(2, SHORT * self.count):
            raise UserError(
                f"{self.path}: frame {number} of {self.count} cannot be read: the file is damaged or cut off; convert what is "
                "left of it to a new video"
            )


def _capture(path: Path) -> Any:
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet, as the level set below: the error is one line
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    finally:
        cv2.utils.logging.setLogLevel(before)
    if not capture.isOpened():
        raise UserError(f"{path}: is no video that OpenCV can read; convert it, to MP4 with H.264 for example")
    return capture
