"""Frames of videos among the files of a command."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import cv2

from face_service.cli.files import File, is_special
from face_service.errors import FaceServiceError, RequestError
from face_service.video.frames import Frame, frames
from face_service.vision.blob import Image
from face_service.vision.kinds import HEAD, name_unread, sniff

UNITS: Mapping[str, float] = MappingProxyType(
    {"": 1000, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
)
"""Units of an interval, in milliseconds; a bare number is in seconds."""
INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
JPEG_QUALITY = 95
MAX_INTERVAL_MS = 24 * 3_600_000


class VideoFrame(NamedTuple):
    """A frame of a video, at `ms` milliseconds from its beginning: uint8 [height, width, 3], BGR,
    upright. Or, with `ms` None, the error why there is none or no further one."""

    file: File
    ms: int | None
    image: Image | RequestError

    @property
    def name(self) -> str:
        """The name of the video, as text that can be printed."""
        return self.file.name

    @property
    def place(self) -> str:
        """The video and the frame's time in seconds, for people."""
        return self.name if self.ms is None else f"{self.name} at {self.ms / 1000:.3f} s"

    def below(self, path: Path) -> Path:
        """Where a picture of it goes, if one of the video would go to `path`: a.mp4.jpg becomes
        a.mp4/00001000.jpg."""
        return path.with_suffix("") / f"{self.ms or 0:08}.jpg"


Source = File | VideoFrame
"""A file that is an image, or a frame of one that is a video."""


def as_milliseconds(interval: str) -> int:
    """The milliseconds of an interval as people write it: 1s, 500ms, 2.5 (seconds), 1min; 0 for
    every frame.

    Raises FaceServiceError for anything else, for more than a day, and for less than 1 ms but 0.
    """
    found = INTERVAL.fullmatch(interval.strip().lower())
    if not found or found[2] not in UNITS:
        raise FaceServiceError(
            f"--every {interval}: not an interval, as 1s, 500ms, 2.5, 1min or 0 for every frame"
        )
    exact = float(found[1]) * UNITS[found[2]]
    if exact > MAX_INTERVAL_MS or 0 < exact < 1:
        raise FaceServiceError(f"--every {interval}: not between a millisecond and a day")
    return round(exact)


def is_video_file(path: Path) -> bool:
    """Whether a file is a video, by its first bytes; False where it cannot be read."""
    if is_special(path):
        return False
    try:
        with path.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:  # reading it says why
        return False
    kind = name_unread(head)
    return sniff(head) is None and kind is not None and kind.video


def is_read_as_video(file: File) -> bool:
    """Whether frames are taken out of a file: if it is a video that was asked for by its name. One
    that was found in a folder is passed over, as a long video takes long."""
    return file.named and is_video_file(file.path)


async def sources(
    files: Sequence[File], every: int, done: Mapping[str, int], max_pixels: int
) -> AsyncGenerator[Source, None]:
    """The files, and in place of each video its frames, one of each `every` milliseconds; 0 for
    all. done: the time of the last frame that an earlier run has done of a video, in milliseconds,
    by name. A video that cannot be read, or no further, ends with a VideoFrame that has the error.
    """
    for file in files:
        if not is_read_as_video(file):
            yield file
            continue
        last = done.get(file.name)
        first = 0 if last is None or not every else last // every + 1
        read = frames(file.path, every, first, max_pixels)
        try:
            while frame := await asyncio.to_thread(next_frame, read, last):
                yield VideoFrame(file, frame.ms, frame.image)
        except RequestError as error:
            yield VideoFrame(file, None, error)


def next_frame(read: Iterator[Frame], last: int | None) -> Frame | None:
    """The next frame whose time is after `last`, in milliseconds (None: any frame); None at the
    end. Raises RequestError as `frames` does."""
    return next((frame for frame in read if last is None or frame.ms > last), None)


def write_frames(
    video: Path, every: int, out: Path, suffix: str, max_pixels: int
) -> Iterator[tuple[Path, Image]]:
    """Write the frames of a video into the folder `out`, named by their times in milliseconds.
    every: see `frames`. suffix: .jpg or .png. Gives the path and the pixels (uint8 [height, width,
    3], BGR) of each once it is written.

    Raises FaceServiceError where a file cannot be written, RequestError as `frames` does.
    """
    for frame in frames(video, every, max_pixels=max_pixels):
        path = out / f"{frame.ms:08}{suffix}"
        try:
            out.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(frame.image, suffix))
        except OSError as error:
            raise FaceServiceError(f"--out {path}: {error.strerror or error}") from error
        yield path, frame.image


def encode(image: Image, suffix: str) -> bytes:
    """A picture, uint8 [height, width, 3], BGR, as the bytes of a file. suffix: .jpg or .png."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, image, options)[1].tobytes()
