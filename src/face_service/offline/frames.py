"""Frames of the videos of a manifest, by whatever decodes them: PyAV, or what an entry point
names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, NamedTuple, Protocol, cast

from face_service.errors import FaceServiceError
from face_service.video import frames as video
from face_service.video.opening import require_pyav
from face_service.vision.blob import Image

GROUP = "face_service.frames"
"""Entry points of this group name functions that are called as `Frames` says; the first by name is
used, in preference to PyAV."""


class VideoFrame(NamedTuple):
    """time_ms: since the beginning of the video. image: uint8 [height, width, 3], BGR, upright."""

    time_ms: int
    image: Image


class Frames(Protocol):
    """A function that reads the frames of a video."""

    def __call__(
        self, file: BinaryIO, start_s: float | None, end_s: float | None, every_s: float
    ) -> Iterator[VideoFrame]:
        """One frame of each interval of `every_s` seconds, in order.

        file: seekable, the whole video. start_s, end_s: seconds, the first inclusive and the second
        exclusive; None: from the beginning, to the end. Raises InvalidImage for what is no video
        that it can read.
        """


def find_frames() -> Frames:
    """The function that reads videos: that of an entry point of GROUP, else `frames_by_pyav`.
    Raises FaceServiceError where it cannot be imported or is not in its module, and without entry
    point and PyAV."""
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    if not found:
        require_pyav()
        return frames_by_pyav
    try:
        return cast(Frames, found[0].load())
    except (ImportError, AttributeError) as error:
        raise FaceServiceError(f"Videos cannot be read: {error}") from error


def frames_by_pyav(
    file: BinaryIO, start_s: float | None, end_s: float | None, every_s: float
) -> Iterator[VideoFrame]:
    """The first frame of each interval of `every_s` seconds (1 ms at the least), of those from
    `start_s` on and before `end_s`; see `Frames`. Raises as `video.frames` does: InvalidImage for
    what is no video, ImageTooLarge for frames of more than 50 million pixels, InvalidRequest."""
    every = max(1, round(every_s * 1000))
    start = round((start_s or 0) * 1000)
    with local(file) as path:
        for frame in video.frames(path, every, start // every):
            if end_s is not None and frame.ms >= end_s * 1000:
                return
            if frame.ms >= start:
                yield VideoFrame(frame.ms, frame.image)


@contextmanager
def local(file: BinaryIO) -> Iterator[Path]:
    """A path to what a file holds: its own, or, where it lies on no disk of this machine, that of a
    temporary copy, which is deleted at the end of the block."""
    path = getattr(file, "name", None)
    if isinstance(path, int):  # the descriptor of an unnamed file: Linux has a path for it
        path = f"/proc/self/fd/{path}"
    if isinstance(path, str) and Path(path).is_file():
        yield Path(path)
        return
    with NamedTemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)
