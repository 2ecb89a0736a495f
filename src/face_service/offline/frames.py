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
"""The entry points of this group are functions as `Frames` has them; the first by name is taken,
before PyAV."""


class VideoFrame(NamedTuple):
    """time_ms: since the beginning of the video. image: uint8 [height, width, 3], BGR, upright."""

    time_ms: int
    image: Image


class Frames(Protocol):
    """A function that reads the frames of a video."""

    def __call__(
        self, file: BinaryIO, start_s: float | None, end_s: float | None, every_s: float
    ) -> Iterator[VideoFrame]:
        """The frames, in order.

        file: seekable, the whole video. start_s, end_s: seconds, None from its beginning or to its
        end. every_s: the least seconds between two frames. Raises InvalidImage for what is no video
        that it can read.
        """


def find_frames() -> Frames:
    """What reads videos here: the function of an entry point, else PyAV. Raises FaceServiceError
    where nothing does."""
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    if not found:
        require_pyav()
        return frames_by_pyav
    try:
        return cast(Frames, found[0].load())
    except ImportError as error:
        raise FaceServiceError(f"Videos cannot be read: {error}") from error


def frames_by_pyav(
    file: BinaryIO, start_s: float | None, end_s: float | None, every_s: float
) -> Iterator[VideoFrame]:
    """The first frame of each interval of `every_s` seconds between `start_s` and `end_s`; see
    `Frames`. Raises InvalidImage for what is no video, ImageTooLarge for frames that are too large.
    """
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
    """The path of a file, or of its copy where it lies on no disk of this machine."""
    path = getattr(file, "name", None)
    if isinstance(path, int):  # a descriptor: Linux has a path for what has no name
        path = f"/proc/self/fd/{path}"
    if isinstance(path, str) and Path(path).is_file():
        yield Path(path)
        return
    with NamedTemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)
