"""Videos as frames: all of them, in their order, in their colours; and what is said of a file that is no whole video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.structures import UserError
from datasets.videos import VideoFile

COUNT = 12


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Frame i is 48 x 32 px of one colour, RGB (20 i, 255 - 20 i, 100)."""
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (48, 32))
    if not video.isOpened():
        pytest.skip("this OpenCV writes no MJPG videos")
    for i in range(COUNT):
        video.write(np.full((32, 48, 3), (100, 255 - 20 * i, 20 * i), dtype=np.uint8))
    video.release()
    return path


def test_frames_come_whole_and_in_order(clip: Path) -> None:
    video = VideoFile.open(clip)
    assert (video.count, video.rate) == (COUNT, 12.5)
    for _ in range(2):  # anew each time
        frames = list(video.frames())
        assert [frame.shape for frame in frames] == [(32, 48, 3)] * COUNT
        colours = np.array([frame.reshape(-1, 3).mean(axis=0) for frame in frames])
        wanted = np.array([(20 * i, 255 - 20 * i, 100) for i in range(COUNT)])
        assert np.abs(colours - wanted).max() < 6  # MJPG loses a little


def test_a_video_that_is_cut_off_is_said(clip: Path) -> None:
    content = clip.read_bytes()
    start = content.index(b"movi")
    clip.write_bytes(content[: start + (len(content) - start) // 2])
    video = VideoFile.open(clip)
    promised = VideoFile(clip, COUNT, video.rate)  # what its header still says, where the reader believes it
    with pytest.raises(UserError, match=r"clip.avi: frame \d+ of 12 cannot be read: the file is damaged or cut off"):
        list(promised.frames())


def test_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(UserError, match="a.mp4: is no video that OpenCV can read"):
        VideoFile.open(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="b.mp4: there is no such file"):
        VideoFile.open(tmp_path / "b.mp4")
