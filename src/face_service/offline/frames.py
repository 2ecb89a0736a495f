"""Frames of videos: what decodes them is looked up, and may be absent."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import BinaryIO, NamedTuple, Protocol, cast

from face_service.errors import FaceServiceError
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
        from face_service.offline import videos

        return videos.frames
    try:
        return cast(Frames, found[0].load())
    except ImportError as error:
        raise FaceServiceError(f"Videos cannot be read: {error}") from error
