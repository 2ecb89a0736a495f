"""Frames of the videos of a manifest, by PyAV: `frames` is what `find_frames` finds by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from face_service.offline.frames import VideoFrame
from face_service.video import frames as video


def frames(
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
